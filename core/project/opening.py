"""Opens and makes project files: nothing in a file is used before everything in it has been checked.

The order: header and id; a newer version is only read; the lock; the schema, object by object; the contents; a backup
and the migrations. See https://www.sqlite.org/security.html for what SQLite asks of those who open strangers' files.
"""

import errno
import functools
import shutil
import struct
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import apsw

from core import __version__
from core.errors import UserError
from core.lock import Lock
from core.paths import finished_file
from core.project import backup
from core.project.errors import ProjectLocked, damaged, plain_errors

APPLICATION_ID = 0x456C656E  # "Elen"
MIGRATIONS = Path(__file__).with_name("migrations")

_MAGIC = b"SQLite format 3\0"
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_BUSY = 5000  # milliseconds to wait for another instance that reads
_LIMITS = {
    apsw.SQLITE_LIMIT_LENGTH: 64 * 1024 * 1024,
    apsw.SQLITE_LIMIT_SQL_LENGTH: 1024 * 1024,
    apsw.SQLITE_LIMIT_ATTACHED: 0,
    apsw.SQLITE_LIMIT_COLUMN: 100,
    apsw.SQLITE_LIMIT_EXPR_DEPTH: 100,
    apsw.SQLITE_LIMIT_VDBE_OP: 100_000,
}


@dataclass
class OpenFile:
    """A project file that passed all checks; `close` frees what holds it."""

    connection: apsw.Connection
    version: int
    project_id: str
    read_only: bool
    notice: str
    release: Callable[[], None]

    def __post_init__(self) -> None:
        self._filename = Path(self.connection.filename)  # a connection that a backup reads from answers no one else

    def another(self) -> apsw.Connection:
        """A second connection to what was opened, to read only."""
        return _connect(self._filename, apsw.SQLITE_OPEN_READONLY)

    def close(self) -> None:
        """Closes the file and lets others have it."""
        self.connection.close()
        self.release()


def create_file(path: Path) -> None:
    """Makes an empty project at `path`, which appears there whole or not at all. Raises UserError."""
    if path.exists():
        raise UserError(f"{path} exists already. Choose another name, or open it.")
    if _journal(path).exists():
        raise UserError(
            f"{_journal(path)} belongs to an earlier project of this name. Move it away or choose another name."
        )
    with plain_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with finished_file(path) as partial:
            connection = apsw.Connection(str(partial))
            try:
                connection.pragma("journal_mode", "MEMORY")
                connection.pragma("synchronous", "OFF")  # it is made durable as a whole, before it gets its name
                connection.pragma("application_id", APPLICATION_ID)
                migrate(connection)
                row = (uuid.uuid4().hex, datetime.now(UTC).isoformat(timespec="seconds"), __version__)
                connection.execute("INSERT INTO project VALUES (?, ?, ?)", row)
            finally:
                connection.close()


def open_file(path: Path, read_only: bool = False) -> OpenFile:
    """Opens the project at `path` as the module says.

    Raises ProjectLocked when another instance writes to it, ProjectDamaged, or another UserError. A file that cannot
    be written, or that a newer Elenchus made, is opened read-only with a notice that says so. Reading never changes
    the file or its folder: when a write was cut short, or its format is an older one, a private copy is read instead.
    """
    path = path.resolve()
    with plain_errors(path, lambda detail: damaged(path, detail)):
        version = _read_version(path)
        _check_companions(path)
        newest = newest_version()
        if version > newest:
            notice = (
                f"{path.name} was made by a newer version of Elenchus and is open for reading only. "
                "Install the newest version to change it."
            )
            return _open_reading(path, notice)
        if read_only:
            return _open_reading(path, f"{path.name} is open for reading only.")
        try:
            lock = _lock(path)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            return _open_reading(path, _unwritable(path, "its folder cannot be written"))
        try:
            return _open_writing(path, lock)
        except BaseException:
            lock.release()
            raise


def restore_file(saved: Path, path: Path) -> Path | None:
    """Puts the backup `saved` at `path` and returns the new place of what was there, if anything was.

    Raises ProjectLocked when the project is open, DiskFull, or another UserError.
    """
    path = path.resolve()
    with plain_errors(path):
        lock = _lock(path)
        try:
            return backup.restore(saved, path)
        finally:
            lock.release()


def migrate(connection: apsw.Connection) -> None:
    """Brings the file to the newest version, each step in one transaction with its number. Raises apsw.Error.

    A step may make a table anew under its old name: rows that refer to it are looked at when the step is done.
    """
    for number, sql in _steps(MIGRATIONS).items():
        if number > connection.pragma("user_version"):
            connection.pragma("foreign_keys", 0)  # it cannot be changed inside a transaction
            try:
                with _transaction(connection):
                    connection.execute(sql)
                    if astray := connection.execute("PRAGMA foreign_key_check").fetchall():
                        raise apsw.ConstraintError(f"a row of {astray[0][0]} refers to nothing")
                    connection.pragma("user_version", number)
            finally:
                connection.pragma("foreign_keys", 1)


def newest_version() -> int:
    """The version of the format that this Elenchus writes."""
    return max(_steps(MIGRATIONS))


@functools.cache
def _steps(folder: Path) -> dict[int, str]:
    files = sorted(folder.glob("[0-9]*.sql"))
    return {int(file.name[:4]): file.read_text(encoding="utf-8") for file in files}


@contextmanager
def _transaction(connection: apsw.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if not connection.getautocommit():
            connection.execute("ROLLBACK")
        raise


def _lock(path: Path) -> Lock:
    try:
        return Lock(path)
    except BlockingIOError:
        raise ProjectLocked(
            f"{path.name} is open in another window of Elenchus. Go on there, or open it here for reading only."
        ) from None


def _read_version(path: Path) -> int:
    """The format's version from the file's header. Raises UserError when the file is missing or not ours."""
    if not path.is_file():
        raise UserError(
            f"There is no project file at {path}. It may have been moved or renamed: look for it and open it."
        )
    # Through SQLite, because closing a descriptor of our own would drop the locks of another connection to it (POSIX).
    flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0]
    file = apsw.VFSFile("", str(path), flags)
    try:
        header = file.xRead(100, 0) if file.xFileSize() >= 512 else b""
    finally:
        file.xClose()
    if len(header) < 100 or not header.startswith(_MAGIC):
        raise damaged(path, "its first bytes are not a project's")
    application_id, version = struct.unpack_from(">i", header, 68)[0], struct.unpack_from(">i", header, 60)[0]
    if application_id != APPLICATION_ID or version < 1:
        raise damaged(path, "it is a database of another program")
    if header[18:20] != b"\1\1":  # we never write WAL, and opening it would make files beside it
        raise damaged(path, "its journal format is not a project's")
    return version


def _check_companions(path: Path) -> None:
    """Refuses files beside the project that SQLite would act upon and that we never write."""
    if path.with_name(path.name + "-wal").exists():
        raise damaged(path, "another program keeps a write-ahead log beside it")
    journal = _journal(path)
    if journal.exists() and journal.stat().st_size >= 8:
        with open(journal, "rb") as file:
            file.seek(-8, 2)
            if file.read() == _JOURNAL_MAGIC:  # it names one more file, which SQLite would delete
                raise damaged(path, "the journal beside it is not a project's")


def _open_writing(path: Path, lock: Lock) -> OpenFile:
    connection = _connect(path, apsw.SQLITE_OPEN_READWRITE)
    try:
        if connection.readonly("main"):
            connection.close()
            lock.release()
            return _open_reading(path, _unwritable(path, "the file is write-protected"))
        project_id = _check(connection, path)
        connection.pragma("synchronous", "EXTRA")
        if connection.pragma("user_version") < newest_version():
            backup.back_up(connection, path, project_id)
            migrate(connection)
        return OpenFile(connection, newest_version(), project_id, False, "", lock.release)
    except BaseException:
        connection.close()
        raise


def _open_reading(path: Path, notice: str) -> OpenFile:
    connection = _connect(path, apsw.SQLITE_OPEN_READONLY)
    release = _nothing
    try:
        if _needs_copy(connection):
            original = connection
            connection, release = _private_copy(original, path)
            original.close()
        project_id = _check(connection, path)
        return OpenFile(connection, connection.pragma("user_version"), project_id, True, notice, release)
    except BaseException:
        connection.close()
        release()
        raise


def _nothing() -> None:
    """There is no lock to release."""


def _needs_copy(connection: apsw.Connection) -> bool:
    try:
        return connection.pragma("user_version") < newest_version()
    except apsw.ReadOnlyError:  # a journal is to be rolled back first
        return True


def _private_copy(original: apsw.Connection, path: Path) -> tuple[apsw.Connection, Callable[[], None]]:
    """The file with its journal in a temporary folder, rolled back and migrated there."""
    folder = tempfile.TemporaryDirectory(prefix="elenchus-", ignore_cleanup_errors=True)
    try:
        copy = Path(folder.name) / "copy.elenchus"
        try:
            backup.copy_pages(original, copy)
        except apsw.ReadOnlyError:  # its writer is dead, so nothing changes it while it is copied as it stands
            shutil.copyfile(path, copy)
            shutil.copyfile(_journal(path), _journal(copy))
        connection = _connect(copy, apsw.SQLITE_OPEN_READWRITE)
        try:
            _check(connection, path)
            migrate(connection)
        finally:
            connection.close()
        return _connect(copy, apsw.SQLITE_OPEN_READONLY), folder.cleanup
    except BaseException:
        folder.cleanup()
        raise


def _connect(path: Path, flags: int) -> apsw.Connection:
    connection = apsw.Connection(str(path), flags)
    connection.set_busy_timeout(_BUSY)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0)
    for limit, value in _LIMITS.items():
        connection.limit(limit, value)
    for name, value in (("cell_size_check", 1), ("foreign_keys", 1), ("temp_store", "MEMORY")):
        connection.pragma(name, value)
    return connection


def _check(connection: apsw.Connection, path: Path) -> str:
    """Refuses anything that is not a whole project as we make it; returns the project's id."""
    deadline = time.monotonic() + 30 + path.stat().st_size / 10e6  # far slower than any disk
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
    _check_schema(connection, path)
    result = connection.execute("PRAGMA quick_check(1)").fetchall()
    if result != [("ok",)]:
        raise damaged(path, " ".join(str(result[0][0]).split()) if result else "its contents cannot be checked")
    ids = [str(id) for (id,) in connection.execute("SELECT id FROM project")]
    if len(ids) != 1:
        raise damaged(path, "it does not say which project it is")
    connection.set_progress_handler(None)
    connection.pragma("cache_size", -65536)  # KiB; not earlier, because this reads the file
    return ids[0]


def _check_schema(connection: apsw.Connection, path: Path) -> None:
    """Compares every object with the ones our migrations make; of a newer version, only looks for what can run code."""
    version = connection.pragma("user_version")
    found = set(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema"))
    if version > newest_version():
        foreign = [row for row in found if row[0] not in ("table", "index") or "virtual" in str(row[3])[:20].lower()]
    else:
        made = apsw.Connection(":memory:")
        for number, sql in _steps(MIGRATIONS).items():
            if number <= version:
                made.execute(sql)
        foreign = sorted(found ^ set(made.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema")), key=str)
    if foreign:
        raise damaged(path, f"the {foreign[0][0]} {foreign[0][1]} in it is not as Elenchus makes it")


def _journal(path: Path) -> Path:
    return path.with_name(path.name + "-journal")


def _unwritable(path: Path, why: str) -> str:
    return (
        f"{path.name} is open for reading only because {why}. To change it, copy it to a folder of your own "
        "and open the copy."
    )
