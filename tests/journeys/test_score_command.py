"""Scores, calibration and the filter of passages by the command line, as a user walks it."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core import paths
from core.cli import main
from core.curation.rules import RULES
from core.documents.records import Document, Page, Part, Passage
from core.project.project import Project
from core.project.records import Evidence, ExampleDraft
from tests.conftest import ROOT
from tests.core.project.project_material import make_settings
from tests.data.gguf_tiny import write_adapter, write_tiny

PROSE = "The river of village {0} rises in spring, because the snow on its {0} hills melts then."
TABLE = "{0} 17 0.{0} 1,204 {0} 8.5 3 44 9 {0} 12 0.{0}{0} 3 9 2 77 {0} 4 51"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A project of 24 pages, half of them tables, and a question about each page of prose."""
    path = tmp_path / "lab.elenchus"
    texts = [PROSE.format(n) for n in range(12)] + [TABLE.format(n) for n in range(12)]
    pages = tuple(Page(number, str(number), 100, 100, text) for number, text in enumerate(texts, 1))
    passages = [Passage("", (Part(page.number, 0, len(page.text)),), page.text) for page in pages]
    with Project.create(path) as project:
        project.add_document(Document("/d.pdf", "ab" * 32, "D", pages=pages), passages, 1200, 200)
        run = project.start_run(make_settings())
        for number in range(1, 13):
            text = texts[number - 1]
            draft = ExampleDraft(
                number, 0, "factual", f"What is river {number} like?", text, Evidence(number, 0, len(text), text)
            )
            project.add_example(run, draft)
    return path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_the_rules_count_what_they_checked(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = str(path)
    with Project.open(path) as project:
        for id in (1, 2, 3):
            project.edit_example(id, answer="As I said, it is so.")
    assert main(["score", lab, "--rules-only"]) == 0
    with Project.open(path) as project:
        project.set_state([3], "rejected")
    capsys.readouterr()
    assert main(["score", lab, "--rules-only"]) == 0
    assert "voice: 2 failed" in capsys.readouterr().err
    assert main(["score", lab, "--rules-only", "--examples", "2", "4"]) == 0
    assert "voice: 1 failed" in capsys.readouterr().err
    assert main(["score", lab, "--rules-only", "--examples", "777"]) == 1
    assert "no question 777" in capsys.readouterr().err


def test_examples_are_scored_rated_calibrated_and_kept(
    path: Path, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = str(path)
    assert main(["score", lab]) == 1
    assert "Say with --model which model is to judge" in capsys.readouterr().err
    assert main(["score", lab, "--rules-only", "--json"]) == 0
    assert [row["rule"] for row in rows(capsys.readouterr().out)] == list(RULES)

    assert main(["score", lab, "--model", str(tiny), "--json"]) == 0
    told = capsys.readouterr()
    scored = rows(told.out)
    assert [row["id"] for row in sorted(scored, key=lambda row: row["id"])] == list(range(1, 13))
    assert all(1 <= row["score"] <= 5 for row in scored)
    assert "12 of 12 questions scored" in told.err
    assert "its scores say little" in told.err  # of random weights

    lora = write_adapter(tmp_path / "lora.gguf")
    assert main(["score", lab, "--model", str(tiny), "--adapter", str(lora), "--examples", "1", "2", "3"]) == 0
    capsys.readouterr()
    with Project.open(path) as project:
        first, second = (run.id for run in project.runs() if run.request.kind == "score")
        for id in range(1, 13):
            project.rate(id, 1 + id % 5)
    assert main(["score", lab, "--compare", str(first), str(second)]) == 0
    assert "3 questions were scored by both" in capsys.readouterr().out
    assert main(["score", lab, "--compare", str(first), str(second), "--json"]) == 0
    compared = rows(capsys.readouterr().out)[0]
    assert compared["difference"] == pytest.approx(compared["second"] - compared["first"])

    assert main(["calibration", lab]) == 0
    shown = capsys.readouterr().out
    assert "Only 12 of the scored examples are rated" in shown
    assert "scored \\ rated" in shown
    assert main(["calibration", lab, "--json"]) == 0
    assert rows(capsys.readouterr().out)[0]["n"] == 12

    assert main(["calibration", lab, "--json", "--run", str(second)]) == 0
    assert rows(capsys.readouterr().out)[0]["n"] == 3

    middle = sorted(row["score"] for row in scored)[6]
    assert main(["score", lab, "--keep", str(middle), "--examples", *map(str, range(4, 13))]) == 0
    assert "9 examples were accepted or rejected" in capsys.readouterr().err
    with Project.open(path) as project:
        assert project.counts()["draft"] == 3
        project.undo()
        assert project.counts()["draft"] == 12


def test_what_contradicts_itself_is_refused(path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, why in (
        (["score", "--resume", "--examples", "1"], "leave out --examples"),
        (["score", "--resume"], "no unfinished run of scores"),
        (["score", "--model", str(tiny), "--examples", "99"], "There is no question 99"),
        (["score", "--compare", "1", "9"], "There is no run 9"),
        (["score", "--compare", "1", "1"], "Run 1 is of the kind"),
        (["passages", "--worth", "1", "2", "--not-worth", "2"], "A passage is named twice"),
        (["passages", "--worth", "99"], "There is no passage 99"),
        (["calibration", "--run", "9"], "There is no run 9"),
        (["passages", "--fit"], "too few to learn from"),
    ):
        assert main([arguments[0], str(path), *arguments[1:]]) == 1
        assert why in capsys.readouterr().err
    assert main(["calibration", str(path)]) == 0
    assert "No example has both a score and a rating" in capsys.readouterr().out


def test_passages_are_labelled_valued_and_set_aside(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lab = str(path)
    assert main(["passages", lab, "--suggest", "3", "--json"]) == 0
    assert len(rows(capsys.readouterr().out)) == 3
    worth, not_worth = [str(n) for n in range(1, 11)], [str(n) for n in range(13, 23)]
    assert main(["passages", lab, "--worth", *worth, "--not-worth", *not_worth]) == 0
    assert "10 passages worth asking about, 10 not" in capsys.readouterr().err
    assert main(["passages", lab, "--fit"]) == 0
    shown = capsys.readouterr().out
    assert "Learned from 10 passages worth asking about and 10 not. With 10 labels for" in shown
    assert "keeps 12 of all 24" in shown
    assert main(["passages", lab, "--set-aside", "0.5"]) == 0
    assert "12 passages are set aside" in capsys.readouterr().err
    assert main(["passages", lab, "--list", "--json"]) == 0
    listed = {row["id"]: row for row in rows(capsys.readouterr().out)}
    assert {id for id, row in listed.items() if row["set_aside"]} == set(range(13, 25))
    assert (listed[1]["label"], listed[13]["label"], listed[24]["label"]) == (1, 0, None)
    # A label that the filter would not give stands above its value, in the table as in what is set aside.
    assert main(["passages", lab, "--not-worth", "1", "2", "--worth", "11", "12", "24"]) == 0
    assert main(["passages", lab, "--fit"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("0.50 "))
    assert main(["passages", lab, "--set-aside", "0.5"]) == 0
    aside = int(capsys.readouterr().err.split(" passages are set aside")[0].split()[-1])
    assert f"keeps {24 - aside} of all 24" in line
    assert main(["passages", lab, "--worth", "1", "2", "--unlabel", "11", "12", "24"]) == 0
    assert main(["passages", lab, "--set-aside", "0.5"]) == 0
    capsys.readouterr()
    assert main(["passages", lab, "--restore", "--unlabel", "1"]) == 0
    assert "Restored 12 passages" in capsys.readouterr().err
    assert main(["passages", lab]) == 0
    assert "not worth" in capsys.readouterr().out


def test_where_there_is_nothing_to_check_or_to_judge_by_that_is_said(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["score", str(path), "--model", str(paths.starter_model())]) == 1
    told = capsys.readouterr().err
    assert "to judge examples is none of them" in told
    assert "all passed" not in told
    empty = tmp_path / "empty.elenchus"
    Project.create(empty).close()
    assert main(["score", str(empty), "--rules-only"]) == 0
    told = capsys.readouterr().err
    assert "There was nothing to check" in told
    assert "all passed" not in told


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_keeps_what_was_scored_and_says_how_to_go_on(path: Path, tiny: Path) -> None:
    command = [sys.executable, "-m", "core.cli", "score", str(path), "--model", str(tiny), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        first = json.loads(running.stdout.readline())
        running.send_signal(signal.SIGINT)
        _, told = running.communicate(timeout=60)
    assert running.returncode == 130
    assert f"elenchus score {path} --resume goes on where it stopped." in told
    with Project.open(path, read_only=True) as project:
        run = project.runs()[-1]
        assert run.state == "cancelled"
        assert first["id"] in project.scored(run.id)
    assert main(["score", str(path), "--resume"]) == 0
    with Project.open(path, read_only=True) as project:
        assert len(project.scored(run.id)) == 12
