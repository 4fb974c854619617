"""Checkpoints: whole or not there at all, whatever happens while they are written."""

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from core import paths
from core.errors import UserError
from core.tuning import checkpoint
from core.tuning.checkpoint import FACTS, TENSORS, Checkpoint


def at(step: int) -> Checkpoint:
    return Checkpoint({"adapter.x": torch.full((100, 100), float(step))}, {"step": step})


def step_of(folder: Path) -> int:
    """The step of a checkpoint whose tensors are those of its facts."""
    kept = checkpoint.load(folder)
    assert kept is not None
    assert torch.equal(kept.tensors["adapter.x"], torch.full((100, 100), float(kept.facts["step"])))
    return kept.facts["step"]


def test_the_last_one_counts_and_no_other_stays(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path) is None
    for step in (1, 2, 3):
        checkpoint.save(tmp_path / "new", at(step))
        assert step_of(tmp_path / "new") == step
        assert len(list((tmp_path / "new").iterdir())) == 2


class Full:
    """A disk that refuses the call of a function of `os` which is the next but `room`."""

    def __init__(self, room: int) -> None:
        self.room = room

    def refusing(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        real = getattr(os, name)

        def call(*given: object) -> object:
            self.room -= 1
            if self.room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(*given)

        monkeypatch.setattr(paths.os, name, call)


@pytest.mark.parametrize("room", range(6))
def test_a_failure_at_any_point_is_a_sentence_and_leaves_one_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """The points are those after which a file, its name or its folder is on the disk."""
    checkpoint.save(tmp_path, at(1))
    with monkeypatch.context() as patch:
        disk = Full(room)
        for name in ("fsync", "replace"):
            disk.refusing(name, patch)
        with pytest.raises(UserError, match=r"could not be saved.*No space left.*still there"):
            checkpoint.save(tmp_path, at(2))
    assert step_of(tmp_path) == (1 if room < 5 else 2)
    checkpoint.save(tmp_path, at(3))
    assert step_of(tmp_path) == 3


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file may grow beyond 10,000 bytes, which a write finds out as it does of a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_tensors_that_find_no_room_are_a_sentence(tmp_path: Path, small_files: None) -> None:
    small = Checkpoint({"adapter.x": torch.zeros(9)}, {"step": 1})
    checkpoint.save(tmp_path, small)
    with pytest.raises(UserError, match=r"could not be saved in .*File too large.*make room"):
        checkpoint.save(tmp_path, at(2))
    kept = checkpoint.load(tmp_path)
    assert kept is not None
    assert kept.facts["step"] == 1


@pytest.mark.parametrize("harm", ["flipped", "cut", "missing", "no facts", "elsewhere"])
def test_a_damaged_one_is_refused(tmp_path: Path, harm: str) -> None:
    checkpoint.save(tmp_path, at(1))
    facts, tensors = tmp_path / FACTS, tmp_path / TENSORS[0]
    if not tensors.exists():
        tensors = tmp_path / TENSORS[1]
    data = bytearray(tensors.read_bytes())
    if harm == "flipped":
        data[-1] ^= 1
        tensors.write_bytes(data)
    elif harm == "cut":
        tensors.write_bytes(data[:-10])
    elif harm == "missing":
        tensors.unlink()
    elif harm == "no facts":
        facts.write_text("{")
    else:
        (tmp_path.parent / "other").write_bytes(data)
        facts.write_text(json.dumps({**json.loads(facts.read_text()), "file": "../other"}))
    with pytest.raises(UserError, match=r"is damaged.*Begin it anew"):
        checkpoint.load(tmp_path)
