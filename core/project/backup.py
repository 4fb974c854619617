"""Verified copies of a project, kept outside its folder and made without holding up the work on it."""

import hashlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import apsw

from core import paths
from core.errors import UserError
from core.paths import finished_file

INTERVAL = 300.0  # seconds of change between two backups
KEPT = 5
SLICE = 256  # pages copied at a time; the project's own writes go in between
_TIME = "%Y%m%dT%H%M%S%f"
COUNTED = ("documents", "pages", "passages", "runs", "examples", "actions")


class Backups:
    """The backups of one open project: made in a thread of their own, when there is change and the last one is old.

    `lock` guards the connection; it is held for one slice of the copy at a time. `problem` says why the last backup
    failed; the work goes on, and the next change after the interval tries again.
    """

    def __init__(self, connection: apsw.Connection, path: Path, project_id: str, lock: threading.RLock) -> None:
        self.problem = ""
        self._source = (connection, path, project_id)
        self._lock = lock
        self._thread: threading.Thread | None = None
        newest = newest_backup(path)
        self._last = _made_at(newest) if newest else 0.0

    def maybe(self) -> None:
        """Begins a backup when one is due."""
        if abs(time.time() - self._last) >= INTERVAL and not (self._thread and self._thread.is_alive()):
            self._last = time.time()
            self._thread = threading.Thread(target=self._run, name="elenchus-backup", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Waits for a backup that is being made."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            back_up(*self._source, self._lock)
            self.problem = ""
        except (apsw.Error, OSError, UserError) as error:
            self.problem = f"The last backup of {self._source[1].name} failed ({error}). Your work is saved as usual."


def folder() -> Path:
    """Where all backups lie: one folder a project."""
    return paths.data_folder() / "backups"


def newest_backup(path: Path) -> Path | None:
    """The newest backup of the project that lies, or lay, at `path`; None when there is none, or none in reach."""
    try:
        found = folder().glob(f"*/*.{_mark(path)}.elenchus")
        return max(found, key=lambda backup: backup.name, default=None)
    except OSError:
        return None


def back_up(
    connection: apsw.Connection, path: Path, project_id: str, lock: AbstractContextManager | None = None
) -> Path:
    """Copies the project at `path`, open as `connection`, verifies the copy and returns where it lies.

    A copy that fails half-way leaves nothing behind. Raises apsw.Error or OSError (disk full, unreadable), UserError
    when the copy is not whole.
    """
    target = folder() / project_id / f"{datetime.now(UTC):{_TIME}}.{_mark(path)}.elenchus"
    target.parent.mkdir(parents=True, exist_ok=True)
    with finished_file(target) as partial:
        counts = copy_pages(connection, partial, lock)
        _verify(partial, counts)
    _prune(target)
    return target


def restore(backup: Path, path: Path) -> Path | None:
    """Puts a verified copy of `backup` at `path`; what was there is renamed, not deleted, and its new place returned.

    The project must not be open: `opening.restore_file` sees to it. Raises apsw.Error, OSError, or UserError when the
    backup is not whole.
    """
    kept = path.with_name(f"{path.stem} (before {datetime.now(UTC):%Y-%m-%d %H%M%S}){path.suffix}")
    with finished_file(path) as partial:
        with _reading(backup) as source:
            counts = copy_pages(source, partial)
        _verify(partial, counts)
        existed = path.exists()
        if existed:
            os.replace(path, kept)
        journal = path.with_name(path.name + "-journal")
        if journal.exists():  # left beside the restored file, it would be rolled back into it
            os.replace(journal, kept.with_name(kept.name + "-journal"))
    return kept if existed else None


def _made_at(backup: Path) -> float:
    try:
        return datetime.strptime(backup.name.split(".")[0], _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:  # a name of someone else's
        return 0.0


def _mark(path: Path) -> str:
    """Tells the backups of two copies of one project apart, and finds them when the file can no longer be read."""
    return hashlib.sha256(str(path.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]


@contextmanager
def _reading(path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(path.resolve()), apsw.SQLITE_OPEN_READONLY)
    try:
        yield connection
    finally:
        connection.close()


def copy_pages(source: apsw.Connection, target: Path, lock: AbstractContextManager | None = None) -> list[int]:
    """Copies page by page and returns the number of rows as of the end of the copy.

    Changes made through the same connection between two slices go into the copy too, so that it never starts again.
    """
    lock = lock or nullcontext()
    copy = apsw.Connection(str(target))
    try:
        copy.pragma("journal_mode", "OFF")
        copy.pragma("synchronous", "OFF")  # it is made durable at the end, without the project waiting for it
        with lock:
            progress = copy.backup("main", source, "main")
        try:
            while True:
                with lock:
                    progress.step(SLICE)
                    if progress.done:
                        return _counts(source)
                time.sleep(0.001)  # lets a waiting writer have the lock
        finally:
            with lock:
                progress.close(True)
    finally:
        copy.close()


def _verify(path: Path, counts: list[int]) -> None:
    with _reading(path) as copy:
        result = copy.execute("PRAGMA integrity_check(1)").fetchall()
        if result != [("ok",)] or _counts(copy) != counts:
            raise UserError(f"The backup {path.name} is not whole. Check the disk it is on, then try again.")


def _counts(connection: apsw.Connection) -> list[int]:
    return [connection.execute(f"SELECT count(*) FROM {table}").get for table in COUNTED]


def _prune(newest: Path) -> None:
    """Keeps the newest few of the same project file, and removes what a killed backup left."""
    mark = newest.name.split(".")[1]
    for partial in newest.parent.glob(f"*.{mark}.elenchus.partial"):
        partial.unlink(missing_ok=True)
    for old in sorted(newest.parent.glob(f"*.{mark}.elenchus"))[:-KEPT]:
        old.unlink(missing_ok=True)
