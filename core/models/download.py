"""Downloads a model when the user asks for one: resumed where it stopped, checked, and only then put with the others.

Nothing is asked of a network before `download` is called.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from core.errors import Cancelled, UserError
from core.models import checksum
from core.models.files import ModelFile, read_model
from core.models.shelf import models_folder
from core.models.sources import Source, hub, read_source
from core.models.unfinished import File, WorkingFolder, size_of, working_folder

if TYPE_CHECKING:
    from core.models.fetch import Answer, Refused

KEPT_FREE = 1 << 30  # bytes of the disk that a download leaves alone
WAITS = (1, 2, 4, 8, 16, 30)  # seconds before each try that follows one which brought nothing
LONGEST_WAIT = 300  # seconds that a server may ask for
TOLD = 0.2  # seconds between two items that say how far it is
PACE = 5  # seconds over which the speed is measured

T = TypeVar("T")
Cancel = Callable[[], bool]


@dataclass(frozen=True)
class Downloading:
    """How far a download is: bytes of all its files; `total` is 0 while a server does not say how many."""

    name: str
    done: int = 0
    total: int = 0
    bytes_per_second: float = 0.0
    checking: bool = False  # the checksum, of what has arrived
    waiting: str = ""  # before the next try: what went wrong


def download(text: str, sha256: str = "", cancelled: Cancel = bool) -> Iterator[Downloading | ModelFile]:
    """Downloads what `core.models.sources.read_source` understands; yields how far it is, and the model last.

    All parts of a model in several files are taken. A download that was begun goes on where it stopped.
    Raises UserError, and Cancelled once `cancelled` says so: what has arrived is kept for the next time.
    """
    source = read_source(text)
    wanted = _digest(sha256, len(list(source.addresses())))
    yield Downloading(source.name)
    with working_folder(source) as folder, _disk_errors():
        if (begun := folder.recorded()) is not None:
            files = begun[1]
        else:
            folder.clear()  # of what belongs to no record
            files = yield from _survey(source, cancelled)
        if wanted and files[0].promised and files[0].sha256 != wanted:
            raise UserError(
                f"By “{source.host}” the checksum of “{source.name}” begins with {files[0].sha256[:12]}, and not with "
                f"{wanted[:12]} as you gave it. Check what you gave, or choose another source."
            )
        files[0].sha256 = wanted or files[0].sha256
        folder.record(source, files)
        there = [_is_there(file, cancelled) for file in files]
        if not all(there):
            transfer = _Transfer(source, files, folder, cancelled)
            for file in files:
                yield from transfer.take(file)
            _install(files, folder)
        shutil.rmtree(folder.path, ignore_errors=True)
    yield read_model(models_folder() / files[0].name)


def room() -> int:
    """Bytes that downloads may still take on the disk of the models folder."""
    return max(0, shutil.disk_usage(models_folder()).free - KEPT_FREE)


# Before anything is transferred


def _survey(source: Source, cancelled: Cancel) -> Generator[Downloading, None, list[File]]:
    """Asks how large each file is, and for its checksum and the commit that pins it where the hub says so."""
    files: list[File] = []
    commit = ""
    for index in range(len(list(source.addresses()))):
        name, url = list(source.addresses(commit))[index]
        headers = yield from _again(
            partial(_head, source, url, cancelled), partial(Downloading, name), source, cancelled
        )
        if not commit and re.fullmatch(r"[0-9a-f]{40}", headers.get("X-Repo-Commit", "")):
            commit = headers["X-Repo-Commit"]
            name, url = list(source.addresses(commit))[index]
        linked = headers.get("X-Linked-Etag", "").strip('"').lower()
        files.append(File(name, url, _number(headers.get("X-Linked-Size") or headers.get("Content-Length"))))
        if re.fullmatch(r"[0-9a-f]{64}", linked):
            files[-1].sha256, files[-1].promised = linked, True
        else:
            files[-1].validator = _validator(headers)
    return files


def _head(source: Source, url: str, cancelled: Cancel) -> Generator[Downloading, None, Message]:
    from core.models.fetch import Refused, asked

    yield from ()  # there is nothing to tell, but `_again` wants a generator
    try:
        with asked(url, {}, _token(url), cancelled, "HEAD") as answer:
            return answer.headers
    except Refused as refused:
        if 300 <= refused.status < 400:  # it lies with another host, which is of no interest yet
            for name in ("Content-Length", "ETag", "Last-Modified"):  # of the redirect, not of the file
                del refused.headers[name]
            return refused.headers
        if not source.repository:  # some servers know no HEAD: the transfer will tell
            return Message()
        raise


def _is_there(file: File, cancelled: Cancel = bool) -> bool:
    """Whether this very file is among the models already. Raises UserError when it is another of that name."""
    path = models_folder() / file.name
    if not os.path.lexists(path):
        return False
    same_size = path.is_file() and path.stat().st_size == file.size
    if file.sha256 and same_size and checksum.sha256(path, cancelled) == file.sha256:
        return True
    raise UserError(
        f"There is a file “{file.name}” in the models folder already, and it may be another one. "
        f"Rename it, or remove it from {path.parent}, and download again."
    )


# The transfer


class _Transfer:
    """Brings the files of one model into its folder, and measures how fast."""

    def __init__(self, source: Source, files: list[File], folder: WorkingFolder, cancelled: Cancel) -> None:
        self._source, self._files, self._folder, self._cancelled = source, files, folder, cancelled
        self._paces: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])
        self._received = 0
        self._check_room(sum(max(0, file.size - folder.arrived(file)) for file in files))

    def take(self, file: File) -> Iterator[Downloading]:
        """Transfers a file and checks it; it loses its `.part` once it is the right one."""
        part, whole = self._folder.part(file), self._folder.whole(file)
        if whole.exists():
            return
        yield from _again(lambda: self._receive(file, part), lambda: self._told(file), self._source, self._cancelled)
        if file.sha256:
            yield from self._check(file, part)
        os.replace(part, whole)

    def _receive(self, file: File, part: Path) -> Generator[Downloading, None, None]:
        from core.models.fetch import Dropped, Refused, asked

        if not (file.sha256 or file.validator):  # nothing would tell whether it is still the same file
            part.unlink(missing_ok=True)
        have = size_of(part)
        if have and have == file.size:
            return
        headers = {"Range": f"bytes={have}-"} if have else {}
        if have and not file.sha256:  # else the checksum tells; servers of one network may differ in their ETags
            headers["If-Range"] = file.validator
        try:
            with asked(file.url, headers, _token(file.url), self._cancelled) as answer:
                goes_on = self._begin(file, part, answer, have)
                with open(part, "ab" if goes_on else "wb") as out:
                    for chunk in answer.body:
                        out.write(chunk)
                        self._received += len(chunk)
                        if file.size and out.tell() > file.size:
                            break
                        if self._due():
                            self._check_room()
                            out.flush()
                            yield self._told(file)
                    out.flush()
                    os.fsync(out.fileno())
        except Refused as refused:
            if refused.status != 416:
                raise
            part.unlink(missing_ok=True)
            raise Dropped("the server no longer has the rest of the file") from refused
        arrived = size_of(part)
        if file.size and arrived > file.size:
            part.unlink()
            raise UserError(
                f"“{file.name}” is longer than its server said, so it was removed. Download it again, or elsewhere."
            )
        if arrived < file.size:
            raise Dropped("the connection broke off")

    def _begin(self, file: File, part: Path, answer: Answer, have: int) -> bool:
        """Whether the answer goes on where the part ends; takes note of what the server says of the file."""
        from core.models.fetch import Dropped

        length = _number(answer.headers.get("Content-Length"))
        if answer.status == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
            if not span or _number(span[1]) != have or (file.size and span[2] not in ("*", str(file.size))):
                part.unlink(missing_ok=True)
                raise Dropped("the server sent another piece than was asked for")
            file.size = file.size or _number(span[2])
            return True
        if not (file.sha256 and file.size):  # else the checksum tells in the end whether it is still this file
            file.size = length
        file.validator = _validator(answer.headers)
        self._folder.record(self._source, self._files)
        self._check_room(max(0, file.size - have))
        return False

    def _check(self, file: File, part: Path) -> Iterator[Downloading]:
        size = size_of(part)
        for done in checksum.hashing(part):
            if self._cancelled():
                raise Cancelled("The download was stopped.")
            if not isinstance(done, str):
                yield Downloading(file.name, int(done * size), size, checking=True)
            elif done != file.sha256:
                part.unlink()
                if len(self._files) == 1:  # begin anew: what was promised may have been wrong
                    self._folder.forget()
                raise UserError(
                    f"“{file.name}” is not the file that was promised: its checksum begins with {done[:12]} and should "
                    f"begin with {file.sha256[:12]}. It was removed. Download it again, or from another source."
                )

    def _told(self, file: File) -> Downloading:
        now = time.monotonic()
        self._paces.append((now, self._received))
        while len(self._paces) > 2 and now - self._paces[0][0] > PACE:
            self._paces.popleft()
        began, before = self._paces[0]
        speed = (self._received - before) / max(now - began, 1e-3)
        total = sum(other.size for other in self._files) if all(other.size for other in self._files) else 0
        return Downloading(file.name, sum(self._folder.arrived(other) for other in self._files), total, speed)

    def _due(self) -> bool:
        return time.monotonic() - self._paces[-1][0] >= TOLD

    def _check_room(self, needed: int = 0) -> None:
        free = shutil.disk_usage(self._folder.path).free
        if free < needed + KEPT_FREE:
            raise UserError(
                f"The disk has no room for “{self._source.name}”: {_gigabytes(free)} are free, and "
                f"{_gigabytes(needed + KEPT_FREE)} are needed, of which {_gigabytes(KEPT_FREE)} stay free. "
                "Make room and download again: what has arrived is kept."
            )


def _again(
    attempt: Callable[[], Generator[Downloading, None, T]],
    reached: Callable[[], Downloading],
    source: Source,
    cancelled: Cancel,
) -> Generator[Downloading, None, T]:
    """Tries until it works: as long as each try brings something, and then with ever longer waits."""
    from core.models.fetch import Dropped, Refused

    most = tries = 0
    while True:
        try:
            return (yield from attempt())
        except Dropped as dropped:
            why, asked_for = str(dropped), 0
        except Refused as refused:
            why, asked_for = str(refused), _patience(refused, source)
        told = reached()
        if told.done > most:
            most, tries = told.done, 0
        if tries == len(WAITS):
            raise UserError(
                f"“{source.name}” could not be downloaded: {why}. "
                "Check the connection, and download again: what has arrived is kept."
            )
        until = time.monotonic() + max(WAITS[tries], asked_for)
        tries += 1
        yield replace(told, waiting=why)
        while (left := until - time.monotonic()) > 0:
            if cancelled():
                raise Cancelled("The download was stopped.")
            time.sleep(min(TOLD, left))


def _patience(refused: Refused, source: Source) -> float:
    """Seconds to wait where a server is only busy. Raises UserError for what it will say again."""
    if refused.status not in (408, 425, 429, 500, 502, 503, 504):
        raise UserError(_refusal(refused.status, source)) from refused
    text = refused.headers.get("Retry-After", "")
    seconds = float(_number(text))
    if text and not seconds:
        with suppress(ValueError, TypeError):
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
    if seconds > LONGEST_WAIT:
        raise UserError(
            f"“{source.host}” is busy and asks for {seconds / 60:.0f} minutes of patience. "
            "Download again after that: what has arrived is kept."
        ) from refused
    return max(0.0, seconds)


def _refusal(status: int, source: Source) -> str:
    if status in (401, 403) and source.repository:
        return (
            f"“{source.host}” does not give out “{source.repository}”: there is no such repository, or its terms must "
            f"be agreed to first. Check the name, agree to the terms at {hub()}/{source.repository}, and start "
            "Elenchus with your access token in the environment variable HF_TOKEN."
        )
    if status in (404, 410):
        return f"“{source.host}” has no file “{source.text}”. Check its name and its revision."
    return f"“{source.host}” refuses to send “{source.name}” (HTTP status {status}). Choose another source."


# At the end


def _install(files: list[File], folder: WorkingFolder) -> None:
    """Moves what is a model to the other models. Raises UserError for what is none, and removes it."""
    try:
        read_model(folder.whole(files[0]))
    except UserError as error:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise UserError(f"It was downloaded and removed again: {error}") from error
    there = [_is_there(file) for file in files]
    for file, known in zip(files, there, strict=True):
        if not known:
            os.replace(folder.whole(file), models_folder() / file.name)
            if file.sha256:
                checksum.remember(models_folder() / file.name, file.sha256)


@contextmanager
def _disk_errors() -> Iterator[None]:
    """What the network does wrong is told as such; what is left of OSError comes from the disk."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The download cannot be written: {error.strerror or error}. "
            "Make room, or let your account write in the models folder, and download again: what has arrived is kept."
        ) from error


# What was given, and what servers say


def _digest(text: str, files: int) -> str:
    digest = text.strip().lower().removeprefix("sha256:")
    if digest and not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise UserError("A SHA-256 has 64 hexadecimal digits. Copy it again, or leave it out.")
    if digest and files > 1:
        raise UserError("This model has several files, and one checksum cannot be that of all. Leave it out.")
    return digest


def _token(url: str) -> str:
    """The user's access token, for the hub alone, and only where nobody can read it on the way."""
    from core.models.fetch import is_safe

    ours = urlsplit(url)[:2] == urlsplit(hub())[:2]
    return os.environ.get("HF_TOKEN", "").strip() if ours and is_safe(url) else ""


def _number(text: str | None) -> int:
    """A number of a header; 0 for what is none."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0


def _validator(headers: Message) -> str:
    """By what a server knows this very state of a file, as If-Range wants it (RFC 9110, 13.1.5)."""
    etag = headers.get("ETag", "")
    return etag if etag.startswith('"') else headers.get("Last-Modified", "")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
