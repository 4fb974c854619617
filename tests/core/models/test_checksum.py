"""The SHA-256 of a model is right, and read from the file once for each of its states."""

import hashlib
import os
from pathlib import Path

import pytest

from core.errors import Cancelled, UserError
from core.models import checksum
from core.models.checksum import hashing, sha256
from core.paths import cache_folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(os.urandom(3 << 20))
    return path


def test_it_is_right_and_read_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = hashlib.sha256(model.read_bytes()).hexdigest()
    assert sha256(model) == expected
    monkeypatch.setattr(checksum.hashlib, "sha256", None)
    assert sha256(model) == expected


def test_a_changed_file_is_read_again(model: Path) -> None:
    first = sha256(model)
    model.write_bytes(b"other")
    assert sha256(model) == hashlib.sha256(b"other").hexdigest() != first


def test_it_says_how_far_it_is(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksum, "CHUNK", 1 << 20)
    *fractions, digest = hashing(model)
    assert fractions == [pytest.approx(n / 3) for n in (1, 2, 3)]
    assert digest == sha256(model)


@pytest.mark.parametrize("damage", [b"", b"not json", b"[1]", b'{"a": 7}'])
def test_a_damaged_cache_costs_only_time(model: Path, damage: bytes) -> None:
    (cache_folder() / "checksums.json").write_bytes(damage)
    assert sha256(model) == hashlib.sha256(model.read_bytes()).hexdigest()


def test_a_cache_that_cannot_be_written_costs_only_time(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checksum.os, "replace", full)
    assert sha256(model) == hashlib.sha256(model.read_bytes()).hexdigest()
    assert not list(cache_folder().glob("checksums?*[!n]"))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        sha256(tmp_path / "nowhere.gguf")


def test_a_cancel_is_heard_in_the_midst_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    path.write_bytes(bytes(checksum.CHUNK * 2))
    with pytest.raises(Cancelled):
        sha256(path, lambda: True)
    digest = sha256(path)
    assert sha256(path, lambda: True) == digest  # known: it takes no time
