"""Downloads that are under way, as they lie on the disk: in a hidden folder of the models folder, one folder each.

It holds `download.json`, which names each file at a pinned commit, and the files, as `.part` until they are whole.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.lock import Lock
from core.models.shelf import models_folder
from core.models.sources import Source, read_source

RECORD = "download.json"


@dataclass(frozen=True)
class Unfinished:
    """A download that was interrupted: `text` resumes it, `done` of `total` bytes are here (0: nobody knows)."""

    text: str
    name: str
    done: int
    total: int
    folder: Path


@dataclass
class File:
    """One file of a model: `validator` is the ETag, or the date, by which its server knows this state of it."""

    name: str
    url: str
    size: int = 0
    sha256: str = ""
    promised: bool = False  # the checksum, by the server: else it is what the user gave
    validator: str = ""


class WorkingFolder:
    """Where one download gathers its files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def part(self, file: File) -> Path:
        """What has arrived of a file that is not whole."""
        return self.path / f"{file.name}.part"

    def whole(self, file: File) -> Path:
        """A file that has arrived and was checked."""
        return self.path / file.name

    def arrived(self, file: File) -> int:
        """Bytes of a file."""
        return size_of(self.whole(file)) or size_of(self.part(file))

    def record(self, source: Source, files: list[File]) -> None:
        """Written beside and moved into place: a crash leaves the old or the new."""
        temporary = self.path / f"{RECORD}.new"
        content = {"source": source.text, "files": [asdict(file) for file in files]}
        temporary.write_text(json.dumps(content), encoding="utf-8")
        os.replace(temporary, self.path / RECORD)

    def recorded(self) -> tuple[Source, list[File]] | None:
        """What was begun here; nothing where there is no record, or none that makes sense."""
        try:
            content: Any = json.loads((self.path / RECORD).read_text(encoding="utf-8"))
            source = read_source(content["source"])
            files = [File(**file) for file in content["files"]]
            sensible = all(isinstance(file.size, int) and isinstance(file.sha256, str) for file in files)
            named = [file.name for file in files] == [name for name, _ in source.addresses()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UserError):
            return None
        return (source, files) if sensible and named else None

    def forget(self) -> None:
        """Removes the record: the next time begins anew."""
        (self.path / RECORD).unlink()

    def clear(self) -> None:
        """Removes everything."""
        shutil.rmtree(self.path)
        self.path.mkdir()


def unfinished() -> list[Unfinished]:
    """The downloads that can be resumed, or thrown away with `discard`."""
    found = []
    for path in sorted(_all().glob(f"*/{RECORD}")):
        folder = WorkingFolder(path.parent)
        if (begun := folder.recorded()) is not None:
            source, files = begun
            total = sum(file.size for file in files) if all(file.size for file in files) else 0
            done = sum(folder.arrived(file) for file in files)
            found.append(Unfinished(source.text, source.name, done, total, folder.path))
    return found


def discard(download: Unfinished) -> None:
    """Deletes what has arrived of a download. Raises UserError while it goes on."""
    with _held(download.folder, download.name):
        shutil.rmtree(download.folder, ignore_errors=True)


@contextmanager
def working_folder(source: Source) -> Iterator[WorkingFolder]:
    """The folder of a download, which nobody else uses meanwhile. Raises UserError."""
    path = _all() / hashlib.sha256(source.text.encode()).hexdigest()[:16]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"The folder {path} cannot be made: {error.strerror}. Let your account write there.") from error
    with _held(path, source.name):
        try:
            yield WorkingFolder(path)
        finally:
            with suppress(OSError):  # one that holds something stays
                path.rmdir()


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _all() -> Path:
    return models_folder() / ".downloads"


@contextmanager
def _held(folder: Path, name: str) -> Iterator[None]:
    try:
        lock = Lock(folder)
    except BlockingIOError as error:
        raise UserError(f"“{name}” is being downloaded already. Wait for its end, or cancel it there.") from error
    except OSError as error:
        raise UserError(f"The folder {folder.parent} cannot be used: {error.strerror}. Choose another disk.") from error
    try:
        yield
    finally:
        lock.release()
