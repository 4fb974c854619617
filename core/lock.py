"""One writer at a time: a lock file beside what is written, which the system frees when its holder dies.

For a project, SQLite's own exclusive lock would keep a second instance from reading as well, and any lock on the file
itself is dropped by POSIX when this process closes another descriptor of it. Hence a file of its own.
"""

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class Lock:
    """Holds what lies at `path` until `release`. Raises BlockingIOError when another holds it, else OSError."""

    def __init__(self, path: Path) -> None:
        self._file = lock_file(path)
        while True:
            self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _hold(self._descriptor)
            except OSError as error:
                os.close(self._descriptor)
                if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                    raise BlockingIOError(error.errno, "another process holds it") from error
                raise
            if self._is_current():
                return
            os.close(self._descriptor)  # its last holder removed the file between our open and our hold

    def release(self) -> None:
        """Lets go and removes the lock file; may be called twice."""
        if self._descriptor < 0:
            return
        if sys.platform != "win32":  # while it is still held, so that nobody takes a file that goes away
            self._remove()
        os.close(self._descriptor)
        self._descriptor = -1
        if sys.platform == "win32":  # where an open file cannot be removed: not ours any more when this fails
            self._remove()

    def _remove(self) -> None:
        with suppress(OSError):
            os.unlink(self._file)

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._file))
        except FileNotFoundError:
            return False


def lock_file(path: Path) -> Path:
    """Where the lock of what lies at `path` is."""
    return path.with_name(path.name + "-lock")


def _hold(descriptor: int) -> None:
    if sys.platform == "win32":
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
