"""The SHA-256 of a model file, read once for each state of the file."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from core.errors import Cancelled, UserError
from core.paths import cache_folder

CHUNK = 4 << 20
REMEMBERED = 1_000  # files; the oldest are forgotten


def sha256(path: Path, cancelled: Callable[[], bool] = bool) -> str:
    """The hexadecimal SHA-256 of a file; from the cache while its size and time of change are the same.

    Raises UserError when the file cannot be read, and Cancelled when `cancelled` says so: a large file takes long.
    """
    digest = ""
    for done in hashing(path):
        if isinstance(done, str):
            digest = done
        elif cancelled():
            raise Cancelled("Cancelled while the model file was checked.")
    return digest


def hashing(path: Path) -> Iterator[float | str]:
    """The same, step by step: yields the fraction done (0..1) after each chunk, and the digest last."""
    try:
        status = path.stat()
        key = _key(path)
        digests = _load()
        if key not in digests:
            digest = hashlib.sha256()
            done = 0
            with open(path, "rb") as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
                    done += len(chunk)
                    yield min(1.0, done / max(status.st_size, 1))
            digests = _load()  # another process may have added to it meanwhile
            digests[key] = digest.hexdigest()
            _store(digests)
    except OSError as error:
        raise UserError(f"“{path.name}” cannot be read: {error.strerror or error}. Choose another file.") from error
    yield digests[key]


def known(path: Path) -> str:
    """The SHA-256 of a file where it was computed before, else nothing; costs no time."""
    try:
        return _load().get(_key(path), "")
    except OSError:
        return ""


def remember(path: Path, digest: str) -> None:
    """Notes the SHA-256 of a file that was computed before the file came to its place."""
    with suppress(OSError):
        _store(_load() | {_key(path): digest})


def _key(path: Path) -> str:
    status = path.stat()
    return f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"


def _cache() -> Path:
    return cache_folder() / "checksums.json"


def _load() -> dict[str, str]:
    try:
        stored = json.loads(_cache().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(stored, dict):
        return {}
    return {key: value for key, value in stored.items() if isinstance(value, str) and len(value) == 64}


def _store(digests: dict[str, str]) -> None:
    """Written beside and moved into place: a crash leaves the old or the new, a full disk costs only time."""
    recent = dict(list(digests.items())[-REMEMBERED:])
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=_cache().parent, prefix="checksums")
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(recent, file)
        os.replace(temporary, _cache())
    except OSError:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
