"""`elenchus chat`, by a terminal and by another program."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.data.gguf_tiny import write_adapter, write_tiny

CHAT = [sys.executable, "-m", "core.cli", "chat"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf", context=8192)


def chat(*arguments: object, said: str = "", code: int = 0) -> "subprocess.CompletedProcess[str]":
    command = [*CHAT, *map(str, arguments)]
    done = subprocess.run(
        command, cwd=ROOT, input=said, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def test_each_line_is_a_question_of_one_conversation(tiny: Path, tmp_path: Path) -> None:
    common = ("--model", tiny, "--temperature", 0, "--max-tokens", 30)
    done = chat(*common, "--json", "--system", "Be brief.", said="Why?\n\nAnd then?\n")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["question"], second["question"]) == ("Why?", "And then?")
    assert first["tokens"] == second["tokens"] == 30
    assert first["finish"] == "length"
    assert second["prompt_tokens"] > second["cached_tokens"] >= first["prompt_tokens"]
    plain = chat(
        *common, "--system", "Be brief.", "--adapter", write_adapter(tmp_path / "a.gguf"), "--scale", 0, said="Why?"
    )
    assert plain.stdout == first["text"] + "\n"
    assert re.search(r"\(\d+ tokens/s, 30 tokens, first after \d+\.\d s, reached 30 tokens\)", plain.stderr)


def test_what_cannot_be_answered_gets_a_sentence(tiny: Path, tmp_path: Path) -> None:
    assert "none.gguf" in chat("--model", tmp_path / "none.gguf", code=1).stderr
    assert "between" in chat("--temperature", "nan", code=2).stderr
    done = chat("--model", tiny, "--max-tokens", 5, said="boat " * 9000 + "\nWhy?\n", code=1)
    assert "no longer fits into the model's context of 8,192 tokens" in done.stderr
    assert done.stdout.strip()  # the second question had its answer


def test_questions_are_read_as_utf_8_whatever_the_system_uses(tiny: Path) -> None:
    done = subprocess.run(
        [*CHAT, "--model", str(tiny), "--max-tokens", "3", "--json"],
        cwd=ROOT, env=os.environ | {"PYTHONIOENCODING": "cp1252:strict"}, input="Größe?\n".encode() + b"\xff\n",
        capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    assert [json.loads(line)["question"] for line in done.stdout.splitlines()] == ["Größe?", "\ufffd"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminal")
def test_a_terminal_streams_stops_at_ctrl_c_and_leaves_at_ctrl_d(tiny: Path) -> None:
    import pty

    begins = chat("--model", tiny, "--temperature", 0, "--max-tokens", 3, said="Hello").stdout.split()[0]
    ours, theirs = pty.openpty()
    command = [*CHAT, "--model", str(tiny), "--temperature", "0", "--max-tokens", "8000"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=own_terminal
    ) as talking:
        os.close(theirs)
        wait_for(ours, b"> ")
        os.write(ours, b"Hello\n")
        wait_for(ours, b"Hello\r\n")
        wait_for(ours, begins.encode())
        os.write(ours, b"\x03")
        wait_for(ours, b"stopped)")
        wait_for(ours, b"> ")
        os.write(ours, b"\x04")
        assert talking.wait(30) == 0
    os.close(ours)


def own_terminal() -> None:
    """Makes stdin the terminal that Ctrl+C is typed at."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def wait_for(terminal: int, wanted: bytes) -> None:
    """Reads until that was written."""
    seen = b""
    while wanted not in seen:
        seen += os.read(terminal, 1)
