"""The whole way through by the command line, as a user walks it: sample PDF to exports that verify."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core import paths
from core.project.project import Project
from core.project.records import ExampleDraft, RunSettings
from tests.conftest import ROOT, Command
from tests.core.models.hub_server import Hub, serving
from tests.data.asked_questions import add_asked
from tests.data.gguf_tiny import write_tiny

SAMPLE = next(iter(sorted((paths.resources() / "samples").glob("*.pdf"))), Path("missing"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, elenchus: Command) -> Path:
    """The sample, asked about."""
    path = tmp_path_factory.mktemp("journey") / "atlas.elenchus"
    elenchus("new", path)
    elenchus("add", path, SAMPLE)
    elenchus("ask", path, "--limit", 12, "--seed", 1)
    return path


def rows(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines()]


def test_examples_carry_evidence_that_stands_on_the_page(project: Path, elenchus: Command) -> None:
    pages = {row["page"]: row for row in rows(elenchus("text", SAMPLE, "--json").stdout)}
    examples = rows(elenchus("show", project, "--json").stdout)
    assert 10 <= len(examples) <= 12
    for example in examples:
        found = example["evidence"]
        assert pages[found["page"]]["text"][found["start"] : found["end"]] == found["text"]
        assert found["rectangles"]
        assert set(example["checks"]) == {"verbatim", "round_trip", "leak", "standalone", "length", "near_duplicate"}
        assert example["checks"]["verbatim"]["passed"]
        assert example["state"] == "draft"
        assert len(example["run"]["model_sha256"]) == 64
        assert example["run"]["seed"] == 1


def test_the_same_seed_gives_the_same_questions(project: Path, elenchus: Command, tmp_path: Path) -> None:
    """In another project, and with other rows in the batch, whose rounding may tip a sampled word now and then."""
    again = tmp_path / "again.elenchus"
    elenchus("new", again)
    elenchus("add", again, SAMPLE)
    elenchus("ask", again, "--limit", 5, "--seed", 1)
    first = {(e["question"], e["answer"]) for e in rows(elenchus("show", project, "--json").stdout)}
    second = {(e["question"], e["answer"]) for e in rows(elenchus("show", again, "--json").stdout)}
    assert len(second & first) >= len(second) - 1


def test_ratings_and_undo_say_what_they_did(elenchus: Command, tmp_path: Path) -> None:
    path = tmp_path / "p.elenchus"
    with Project.create(path) as project:
        first, second, _ = add_asked(project)
    assert "2 examples are rated 4 of 5." in elenchus("review", path, first, second, "--rate", 4).stderr
    assert "1 example is without stars." in elenchus("review", path, second, "--rate", 0).stderr
    assert "Undone: Rate 1 question." in elenchus("undo", path).stderr
    assert "Undone: Rate 2 questions." in elenchus("undo", path).stderr
    assert "Done again: Rate 2 questions." in elenchus("undo", path, "--redo").stderr
    with Project.open(path, read_only=True) as project:
        assert [one.rating for one in project.iter_examples()] == [4, 4, None]
    elenchus("undo", path)
    elenchus("undo", path)  # that they were accepted
    assert "There is nothing to undo." in elenchus("undo", path).stderr


def test_review_and_export_in_every_format(project: Path, elenchus: Command, tmp_path: Path) -> None:
    ids = [example["id"] for example in rows(elenchus("show", project, "--json").stdout)]
    elenchus("review", project, *ids[:6], "--accept")
    elenchus("review", project, ids[6], "--reject")
    assert len(rows(elenchus("show", project, "--state", "accepted", "--json").stdout)) == 6
    for format in ("alpaca", "sharegpt", "messages", "completion"):
        out = tmp_path / f"{format}.jsonl"
        assert "6 examples" in elenchus("export", project, "--format", format, "--out", out).stderr
        assert len(rows(out.read_text(encoding="utf-8"))) == 6
        assert (tmp_path / f"{format}.jsonl.card.md").read_text(encoding="utf-8").startswith("---\n")
    elenchus("export", project, "--format", "csv", "--out", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 6


def test_what_a_run_generated_is_shown_and_exported(elenchus: Command, tmp_path: Path) -> None:
    path, out = tmp_path / "counter.elenchus", tmp_path / "out.jsonl"
    with Project.create(path) as project:
        settings = RunSettings("counter", "", "tiny", "", "", "", "", {}, {"mixed": []}, 1, "", "")
        context = (("user", "2 + 2?"), ("assistant", "4"))
        draft = ExampleDraft(None, 0, "countering", "I think it is 5.", "It is 4.", None, context=context)
        for run in (project.start_run(settings), project.start_run(settings)):
            project.add_example(run, draft)
        project.set_state([1, 2], "accepted")
    shown = elenchus("show", path).stdout
    assert "2  accepted  countering  of run 2\n    user: 2 + 2?\n    assistant: 4\n    I think it is 5.\n" in shown
    assert [row["context"] for row in rows(elenchus("show", path, "--json").stdout)] == [
        [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "4"}]
    ] * 2
    assert "1 examples" in elenchus("export", path, "--format", "messages", "--out", out, "--run", 2).stderr
    (row,) = rows(out.read_text(encoding="utf-8"))
    assert row["messages"][2]["content"] == "I think it is 5."
    assert "no run 3" in elenchus("export", path, "--format", "messages", "--out", out, "--run", 3, code=1).stderr


def test_text_of_one_page(elenchus: Command) -> None:
    (page,) = rows(elenchus("text", SAMPLE, "--page", 2, "--json").stdout)
    assert page.keys() == {"page", "label", "text", "warnings"}
    assert page["page"] == 2


def test_what_is_nearest_to_a_text_is_that_text(project: Path, elenchus: Command) -> None:
    example = rows(elenchus("show", project, "--json").stdout)[3]
    text = f"{example['question']} {example['answer']}"
    for _ in range(2):  # the second time from what the project keeps
        found = rows(elenchus("similar", project, text, "--of", "examples", "--top", 3, "--json").stdout)
        assert (found[0]["id"], round(found[0]["similarity"], 3)) == (example["id"], 1)
        assert len(found) == 3 > 1 > found[2]["similarity"]
    assert "Veyra" in elenchus("similar", project, "the islands of Veyra", "--top", 23).stdout


def test_models_are_listed(elenchus: Command) -> None:
    (starter,) = [row for row in rows(elenchus("models", "--json").stdout) if row["prompt_style"] == "starter"]
    assert starter["architecture"] == "llama"
    assert starter["size"] <= 20_000_000
    assert (starter["program"], starter["fit"]["missing"]) == ("Elenchus", 0)
    assert "Fits this computer: " in elenchus("models").stdout
    known = rows(elenchus("models", "--recommended", "--json").stdout)
    assert all(row["source"].endswith(".gguf") for row in known)
    assert "elenchus download Qwen/" in elenchus("models", "--recommended").stdout


def test_a_download_is_stopped_resumed_and_listed(
    elenchus: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_tiny(tmp_path / "tiny.gguf").read_bytes()
    hub = Hub({"owner/name/tiny.gguf": data}, pause=threading.Event())
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with serving(hub):
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        if os.name == "posix":
            command = [sys.executable, "-m", "core.cli", "download", "owner/name/tiny.gguf"]
            with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as loading:
                while not list(tmp_path.rglob("*.part")):
                    time.sleep(0.02)
                loading.send_signal(signal.SIGINT)
                _, said = loading.communicate(timeout=30)
            assert loading.returncode == 130, said
            assert "The same command goes on where it stopped." in said
        assert hub.pause is not None
        hub.pause.set()
        (model,) = rows(elenchus("download", "owner/name/tiny.gguf", "--json").stdout)
        assert Path(model["path"]).read_bytes() == data
        listed = rows(elenchus("models", "--json").stdout)
        assert model in listed
        assert "has no file" in elenchus("download", "owner/name/other.gguf", code=1).stderr


def test_one_model_of_another_program_is_listed(
    elenchus: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_CACHE", str(write_tiny(tmp_path / "tiny.gguf").parent))
    assert [row["program"] for row in rows(elenchus("models", "--json").stdout)] == ["Elenchus", "llama.cpp"]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["new", "{project}"], 1, "exists"),
        (["show", "{tmp}/none.elenchus"], 1, "no "),
        (["add", "{project}", "{tmp}/none.pdf"], 1, "There is no file"),
        (["add", "{project}", "{sample}"], 1, "already in this project"),
        (["add", "{project}", "{sample}", "--passage-size", "100", "--overlap", "100"], 1, "passage"),
        (["ask", "{project}", "--model", "{tmp}/none.gguf"], 1, "none.gguf"),
        (["ask", "{project}", "--model", "{sample}"], 1, "GGUF"),
        (["ask", "{project}", "--kinds", "comparison"], 1, "cannot ask comparison"),
        (["ask", "{project}", "--language", "Turkish"], 1, "one language only"),
        (["ask", "{project}", "--limit", "0"], 2, "between"),
        (["ask", "{project}", "--seed", "9" * 30], 2, "between"),
        (["ask", "{project}", "--resume", "--limit", "3"], 1, "leave out --limit"),
        (["export", "{project}", "--format", "csv", "--out", "{project}", "--state", "draft"], 1, "would be lost"),
        (["ask", "{project}", "--kinds", "riddle"], 2, "invalid choice"),
        (["ask", "{project}", "--resume"], 1, "no unfinished run"),
        (["ask", "{empty}"], 1, "no passages"),
        (["review", "{project}", "99999", "--accept"], 1, "99999"),
        (["review", "{project}", "1"], 2, "required"),
        (
            ["export", "{project}", "--format", "csv", "--out", "{tmp}/x", "--state", "quarantined"],
            1,
            "nothing to export",
        ),
        (["text", "{sample}", "--page", "999"], 1, "page 999"),
        (["download", "owner/name"], 1, "owner/name/file.gguf"),
        (["download", "owner/name/file.gguf", "--sha256", "12"], 1, "64 hexadecimal digits"),
        (["{project}"], 1, "elenchus"),
        (["--nonsense"], 2, "usage"),
    ],
)
def test_mistakes_get_a_sentence(
    arguments: list[str], code: int, sentence: str, project: Path, elenchus: Command, tmp_path: Path
) -> None:
    empty = tmp_path / "empty.elenchus"
    elenchus("new", empty)
    names = {"project": project, "tmp": tmp_path, "sample": SAMPLE, "empty": empty}
    done = elenchus(*(argument.format(**names) for argument in arguments), code=code)
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_bad_file_does_not_stop_the_others(elenchus: Command, tmp_path: Path) -> None:
    project, bad = tmp_path / "p.elenchus", tmp_path / "bad.pdf"
    bad.write_bytes(b"")
    elenchus("new", project)
    done = elenchus("add", project, bad, SAMPLE, code=1)
    assert "empty" in done.stderr
    assert "Added" in done.stderr
    elenchus("ask", project, "--limit", 1)


def wait_for_rows(path: Path, count: int) -> None:
    """Until so many rows of a run in another process are committed."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with Project.open(path, read_only=True) as project:
            if project.count() >= count:
                return
        time.sleep(0.05)
    raise AssertionError("the run commits nothing")


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one group")
def test_ctrl_c_keeps_what_is_finished_and_resume_goes_on(elenchus: Command, tmp_path: Path) -> None:
    project = tmp_path / "p.elenchus"
    elenchus("new", project)
    elenchus("add", project, SAMPLE)
    command = [sys.executable, "-m", "core.cli", "ask", str(project), "--seed", "1", "--limit", "12"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True) as asking:
        wait_for_rows(project, 3)
        os.killpg(asking.pid, signal.SIGINT)  # as a terminal does: the whole group hears it
        began = time.monotonic()
        _, said = asking.communicate(timeout=30)
    assert time.monotonic() - began < 4
    assert asking.returncode == 130, said
    assert "Cancelled" in said
    kept = rows(elenchus("show", project, "--json").stdout)
    elenchus("ask", project, "--resume")
    whole = rows(elenchus("show", project, "--json").stdout)
    assert [row["id"] for row in whole[: len(kept)]] == [row["id"] for row in kept]
    assert "no unfinished run" in elenchus("ask", project, "--resume", code=1).stderr
