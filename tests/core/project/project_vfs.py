"""Disks that fail: one that is full, and one that remembers what was written and synced, to lose power at any point."""

import os
import random
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

SECTOR = 512
SYSTEM = apsw.vfs_names()[0]  # the disks of this module come and go on top of it


@contextmanager
def default_vfs(vfs: apsw.VFS, name: str) -> Iterator[None]:
    """Lets every connection opened in the body go through the VFS."""
    apsw.set_default_vfs(name)
    try:
        yield
    finally:
        apsw.set_default_vfs(SYSTEM)
        vfs.unregister()


class FullDisk(apsw.VFS):
    """A disk with room for `room` more bytes; writing where there already is something takes none."""

    def __init__(self, name: str) -> None:
        super().__init__(name, SYSTEM)
        self.room = 1 << 40

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _FullFile(name, flags, self)

    def excepthook(self, etype: Any, evalue: Any, etraceback: Any) -> bool:
        """A full disk is what the test wants: nothing to print."""
        return True


class _FullFile(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], disk: FullDisk) -> None:
        super().__init__(SYSTEM, name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:
        grows = max(0, offset + len(data) - self.xFileSize())
        if grows > self._disk.room:
            raise apsw.FullError("the disk is full")
        self._disk.room -= grows
        super().xWrite(data, offset)

    def excepthook(self, etype: Any, evalue: Any, etraceback: Any) -> bool:
        """A full disk is what the test wants: nothing to print."""
        return True


@dataclass(frozen=True)
class Event:
    """What was done to a file; "ack" is the test's own: everything before it was promised to be kept."""

    what: str  # "write", "truncate", "sync", "delete" or "ack"
    path: str
    data: bytes = b""
    offset: int = 0


class RecordingDisk(apsw.VFS):
    """A disk that writes down what is done to it."""

    def __init__(self, name: str) -> None:
        super().__init__(name, SYSTEM)
        self.events: list[Event] = []

    def acknowledge(self, what: object) -> None:
        """Notes that the application was told that this is saved."""
        self.events.append(Event("ack", str(what)))

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        return _RecordingFile(name, flags, path, self.events)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self.events.append(Event("delete" if syncdir else "unsynced delete", filename))


class _RecordingFile(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], path: str | None, events: list[Event]) -> None:
        super().__init__(SYSTEM, name, flags)
        self._path, self._events = path, events

    def _note(self, what: str, data: bytes = b"", offset: int = 0) -> None:
        if self._path is not None:
            self._events.append(Event(what, self._path, data, offset))

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._note("write", bytes(data), offset)

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._note("truncate", offset=newsize)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._note("sync")


@dataclass
class Remains:
    """What a power loss leaves: what was synced, and of the rest whatever reached the disk, in any order."""

    durable: dict[str, bytes]
    pending: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))

    def play(self, event: Event) -> None:
        """Does what the event did, as far as it is certain."""
        if event.what == "sync":
            self.durable[event.path] = _done(self.durable.get(event.path, b""), self.pending.pop(event.path, []))
        elif event.what == "delete":
            self.durable.pop(event.path, None)
            self.pending.pop(event.path, None)
        elif event.what != "ack":
            self.pending[event.path].append(event)

    def written(self, folder: Path, chance: random.Random | None, share: float) -> None:
        """Writes the files as they may be found afterwards: a share of what is pending, the last write torn."""
        for path in {*self.durable, *self.pending}:
            pending = list(self.pending.get(path, []))
            if chance is not None:
                pending = [event for event in pending if chance.random() < share]
                if pending and pending[-1].what == "write":
                    last = pending.pop()
                    kept = SECTOR * chance.randint(0, len(last.data) // SECTOR)
                    pending.append(Event("write", path, last.data[:kept] or last.data, last.offset))
            content = _done(self.durable.get(path, b""), pending)
            if content is not None and (path in self.durable or pending):
                (folder / os.path.basename(path)).write_bytes(content)


def _done(content: bytes, events: list[Event]) -> bytes:
    data = bytearray(content)
    for event in events:
        if event.what == "truncate":
            del data[event.offset :]
        elif event.what == "write":
            data.extend(b"\0" * (event.offset - len(data)))
            data[event.offset : event.offset + len(event.data)] = event.data
    return bytes(data)
