"""What can go wrong with a project file, as sentences for the person at the keyboard."""

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import peewee

from core.errors import UserError
from core.project import backup


class ProjectLocked(UserError):
    """Another instance of Elenchus has the project open for writing."""


class ProjectReadOnly(UserError):
    """The project was opened read-only, so nothing can be changed in it."""


class ProjectDamaged(UserError):
    """The file is not a whole project as Elenchus writes it."""


class DiskFull(UserError):
    """There is no room for what was to be written; the project is as it was before."""


class Unreadable(Exception):
    """A stored value that does not have the shape it was written with; becomes ProjectDamaged at the door."""


_BROKEN = (
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.FormatError,
    apsw.TooBigError,
    apsw.InterruptError,  # it took longer than any whole file of its size does
    UnicodeDecodeError,
    Unreadable,
)
_UNREACHABLE = (
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.PermissionsError,
    apsw.AuthError,
    apsw.NoLFSError,
)


@contextmanager
def plain_errors(path: Path, otherwise: Callable[[str], UserError] | None = None) -> Iterator[None]:
    """Turns what SQLite and the system say about the file into a UserError; bugs pass through as they are.

    Where the file is not known to be ours, whatever else SQLite says is its fault: `otherwise` says it.
    """
    try:
        yield
    except (apsw.Error, peewee.PeeweeException, OSError, UnicodeDecodeError, Unreadable) as error:
        # peewee dresses apsw's errors as its own; the one underneath says more.
        cause = error.__context__ if isinstance(error, peewee.PeeweeException) else error
        sentence = _sentence(path, cause or error, otherwise)
        if sentence is None:
            raise
        raise sentence from error


def damaged(path: Path, detail: str) -> ProjectDamaged:
    """The sentence for a file that is not whole, with where to find what was saved."""
    newest = backup.newest_backup(path)
    kept = f"the newest backup of it is {newest}" if newest else "no backup of it was found"
    return ProjectDamaged(
        f"{path.name} cannot be used because it is damaged or was not made by Elenchus ({detail}). "
        f"It was left as it is; {kept}. Open a backup or a copy that you kept."
    )


def _sentence(path: Path, cause: BaseException, otherwise: Callable[[str], UserError] | None) -> UserError | None:
    if isinstance(cause, apsw.FullError) or getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(
            f"The disk is full, so the last change to {path.name} was not saved. Nothing saved before is lost. "
            "Free some room and try again."
        )
    if isinstance(cause, _BROKEN) or _wrong_type(cause):
        return damaged(path, _detail(cause))
    if isinstance(cause, apsw.BusyError | apsw.LockedError):
        return UserError(
            f"{path.name} is being read by another program just now, so the last change was not saved. "
            "Close that program or wait a moment, then try again."
        )
    if isinstance(cause, (*_UNREACHABLE, OSError)):
        return UserError(
            f"{path.name} could not be read or written ({_detail(cause)}). Check that its disk is still "
            "connected and that you may write to its folder, then try again."
        )
    if otherwise is not None and isinstance(cause, apsw.Error):
        return otherwise(_detail(cause))
    return None


def _wrong_type(cause: BaseException) -> bool:
    """Whether a stored value turned out to be of another type than its column; our own values never do."""
    code = getattr(cause, "extendedresult", 0)
    return isinstance(cause, apsw.ConstraintError) and code == apsw.SQLITE_CONSTRAINT_DATATYPE


def _detail(cause: BaseException) -> str:
    if isinstance(cause, UnicodeDecodeError):
        return "text in it is not valid UTF-8"
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    return str(cause).strip() or type(cause).__name__
