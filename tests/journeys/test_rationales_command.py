"""Rationales by the command line: drafted, killed, gone on with, shown, checked, and what is refused."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.project.project import Project
from core.project.records import Step
from tests.conftest import ROOT, Command
from tests.data.asked_questions import add_asked


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def asked(path: Path, count: int) -> Path:
    """A project with so many accepted questions."""
    with Project.create(path) as project:
        add_asked(project, count)
    return path


def begin_and_stop(path: Path, number: signal.Signals, *more: str) -> tuple[int, list[dict[str, Any]], str]:
    """Starts drafting, and sends a signal when the first draft is told of."""
    command = [sys.executable, "-m", "core.cli", "rationales", str(path), "--json", *more]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, **pipes) as drafting:
        assert drafting.stdout is not None
        first = drafting.stdout.readline()
        drafting.send_signal(number)
        rest, said = drafting.communicate(timeout=60)
        return drafting.returncode, rows(first + rest), said


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_drafting_is_killed_stopped_and_gone_on_with(elenchus: Command, tmp_path: Path) -> None:
    project = asked(tmp_path / "p.elenchus", 24)
    _, told, _ = begin_and_stop(project, signal.SIGKILL, "--candidates", "1")
    code, more, said = begin_and_stop(project, signal.SIGINT, "--resume")
    told += more
    if code == 130:  # else it was done before it heard of the end
        assert f"elenchus rationales {project} --resume goes on where it stopped." in said
        last = elenchus("rationales", project, "--resume", "--json")
        told += rows(last.stdout)
        assert "lead the model to the answer" in last.stderr
    with Project.open(project, read_only=True) as opened:
        examples, page = list(opened.iter_examples()), opened.page_text(1, 1)
        (run,) = [run.id for run in opened.runs() if run.request.kind == "rationales"]
        drafts = opened.rationales_of_run(run)
    assert all(example.rationale for example in examples)
    assert len({(draft.example_id, draft.slot) for draft in drafts}) == len(drafts)
    assert {(row["id"], row["candidate"]) for row in told} <= {(draft.example_id, draft.slot) for draft in drafts}
    cited = [step["cited"] for row in told for step in row["steps"] if step["cited"]]
    assert cited
    assert all(page[one["start"] : one["end"]] == one["text"] for one in cited)


def test_rationales_are_drafted_shown_and_checked(elenchus: Command, tmp_path: Path) -> None:
    project = asked(tmp_path / "p.elenchus", 4)
    drafted = elenchus("rationales", project, "--limit", 3, "--candidates", 1).stderr
    assert "Run 2 kept 3 drafts of rationales, of 3 questions." in drafted
    assert "--take" not in drafted  # all became the questions' own
    assert "nats a token" in drafted
    shown = elenchus("show", project).stdout
    assert shown.count('      1. The passage says: "') == 3
    assert shown.count("         p. ") >= 3
    checked = elenchus("rationales", project, "--check", "--json")
    assert [row.keys() for row in rows(checked.stdout)] == [{"id", "leads", "alone", "gain"}] * 3
    assert "Checked by run 3: " in checked.stderr


def test_steps_drafted_beside_others_are_taken_by_the_number_of_their_run(elenchus: Command, tmp_path: Path) -> None:
    path = asked(tmp_path / "p.elenchus", 1)
    with Project.open(path) as project:
        project.set_rationales({1: ((Step("It is so."),), 0)})
    drafted = elenchus("rationales", path, "--examples", 1, "--candidates", 1, "--unchecked").stderr
    take = f"elenchus rationales {path} --take 2"
    assert f"The steps of 1 question stay as they were: {take} gives them those drafted now." in drafted
    assert (
        "The steps of 1 question are now those that run 2 drafted." in elenchus("rationales", path, "--take", 2).stderr
    )
    assert "There was nothing to take" in elenchus("rationales", path, "--take", 2).stderr
    assert "of the kind “ask” and drafted no steps" in elenchus("rationales", path, "--take", 1, code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--resume"], 1, "no unfinished run of rationales"),
        (["--resume", "--seed", "3"], 1, "leave out --seed"),
        (["--take", "1", "--resume"], 1, "leave out --resume"),
        (["--take", "1", "--examples", "2"], 1, "leave out --examples"),
        (["--check", "--candidates", "3"], 1, "leave out --candidates"),
        (["--check"], 1, "no rationale to check"),
        (["--instruction", "Shorter."], 1, "--examples"),
        (["--instruction", "Shorter.", "--examples", "1"], 1, "follows no instructions"),
        (["--take", "9"], 1, "no run 9"),
        (["--examples", "9"], 1, "no question 9"),
        ([], 1, "No question is accepted yet"),
        (["--candidates", "0"], 2, "between"),
    ],
)
def test_mistakes_get_a_sentence(
    arguments: list[str], code: int, sentence: str, elenchus: Command, tmp_path: Path
) -> None:
    path = tmp_path / "empty.elenchus"
    Project.create(path).close()
    assert sentence in elenchus("rationales", path, *arguments, code=code).stderr
