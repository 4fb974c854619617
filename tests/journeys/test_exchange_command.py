"""Datasets, exports and imports from the command line, in processes of their own."""

import csv
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from core.cli import FORMATS, SHAPES, SPLITS, TOOLS
from core.exchange import formats, trainers
from core.project import tuning
from core.project.project import Project
from tests.conftest import ROOT, Command


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "p.elenchus"
    Project.create(path).close()
    return path


@pytest.fixture
def quiz(tmp_path: Path) -> Path:
    """Thirty rows under names that are not guessed, one of them bad."""
    rows = [{"Item": f"What is {n}?", "Key, sir": "" if n == 7 else f"It is {n}."} for n in range(30)]
    path = tmp_path / "quiz.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


MAP = ("--map", 'question=Item,answer="Key, sir"')


def test_what_the_command_line_offers_is_what_there_is() -> None:
    assert (formats.FORMATS, tuple(formats.SHAPES)) == (FORMATS, SHAPES)
    assert (SPLITS, TOOLS) == (tuning.SPLITS, trainers.TOOLS)


def test_from_a_file_to_a_dataset_and_out_again(project: Path, quiz: Path, tmp_path: Path, elenchus: Command) -> None:
    assert "not of a known shape" in elenchus("import", project, quiz, code=1).stderr
    tried = elenchus("import", project, quiz, *MAP, "--dry-run")
    assert "1  imported\n    What is 0?\n    → It is 0.\n" in tried.stdout
    assert "29 rows can be used" in tried.stderr
    assert "Row 8: its answer is empty." in tried.stderr
    refused = elenchus("import", project, quiz, *MAP, code=1).stderr
    assert "1 of 30 rows of quiz.jsonl cannot be used, so nothing was imported." in refused
    assert "--skip-bad leaves it out" in refused
    done = elenchus("import", project, quiz, *MAP, "--skip-bad", "--state", "accepted", "--json")
    assert json.loads(done.stdout) == {
        "run_id": 1, "rows": 29, "left_out": 1, "faults": ["Row 8: its answer is empty."], "restored": 0,
    }  # fmt: skip
    assert "imported already, as run 1" in elenchus("import", project, quiz, *MAP, "--skip-bad", code=1).stderr

    made = elenchus("dataset", project, "freeze", "quiz", "--split", "80/10/10", "--json")
    frozen = json.loads(made.stdout)
    assert (frozen["name"], frozen["splits"]) == ("quiz", {"train": 23, "validation": 3, "test": 3})
    assert "3 are held out and 3 are left for a test" in made.stderr
    assert json.loads(elenchus("datasets", project, "--json").stdout) == frozen
    assert (
        "the very same rows were frozen before"
        in elenchus("dataset", project, "freeze", "again", "--split", "80/10/10").stderr
    )
    elenchus("dataset", project, "freeze", "other", "--split", "80/20", "--seed", "3")
    compared = json.loads(elenchus("dataset", project, "diff", "quiz", "other", "--json").stdout)
    assert compared["counts"]["added"] == compared["counts"]["removed"] == 0
    assert compared["counts"]["moved"] + compared["counts"]["unchanged"] == 29
    assert compared["recipe"]["seed"] == [0, 3]

    out = tmp_path / "folder"
    said = elenchus("export", project, "--format", "folder", "--dataset", "quiz", "--out", out, "--config", "axolotl")
    assert f"Wrote {tmp_path / 'folder.axolotl.yaml'}." in said.stderr
    assert len(list((out / "data").iterdir())) == 3
    elenchus("export", project, "--format", "csv", "--dataset", "quiz", "--split", "test", "--out", tmp_path / "t.csv")
    assert len((tmp_path / "t.csv").read_text(encoding="utf-8").splitlines()) == 4
    assert "one file" not in said.stderr
    mixed = elenchus("export", project, "--format", "csv", "--dataset", "quiz", "--plain", "--out", tmp_path / "m.csv")
    assert "Rows of all sides are in this one file: 23 train, 3 validation, 3 test. --split train" in mixed.stderr
    with open(tmp_path / "m.csv", encoding="utf-8", newline="") as file:
        assert Counter(row["split"] for row in csv.DictReader(file)) == frozen["splits"]

    elenchus("dataset", project, "rename", "other", "another")
    elenchus("dataset", project, "remove", "another")
    assert "no dataset “another”" in elenchus("dataset", project, "show", "another", code=1).stderr
    assert "SHA-256 " + frozen["sha256"] in elenchus("dataset", project, "show", "quiz").stdout
    assert "29 examples of run 1 are rejected" in elenchus("import", project, "--take-back", 1).stderr


@pytest.mark.parametrize("split", ["80/10", "a/b/c", "0/50/50", "80/30/-10"])
def test_shares_that_are_not_a_hundred_are_refused(project: Path, elenchus: Command, split: str) -> None:
    said = elenchus("dataset", project, "freeze", "x", "--split", split, code=2).stderr
    assert f"{split} is not like 80/10/10, which is a hundred together" in said


def test_an_import_that_is_interrupted_keeps_what_was_kept(project: Path, tmp_path: Path, elenchus: Command) -> None:
    path = tmp_path / "many.jsonl"
    path.write_text("".join(f'{{"prompt": "{n}?", "completion": "So."}}\n' for n in range(8_000)), encoding="utf-8")
    command = [sys.executable, "-m", "core.cli", "import", str(project), str(path)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, encoding="utf-8") as process:
        while kept(project) == 0:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Import the same file again to go on with it" in said
    before = kept(project)
    assert 0 < before < 8_000
    assert "Imported 8000 rows as run 1" in elenchus("import", project, path).stderr
    assert kept(project) == 8_000


def kept(project: Path) -> int:
    with Project.open(project, read_only=True) as opened:
        return opened.count()
