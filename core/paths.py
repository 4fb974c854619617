"""Where things lie, from a source checkout and from a frozen application alike; how a file comes there whole."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from core.errors import UserError


def resources() -> Path:
    """The folder of prompts, samples and the starter model."""
    frozen = getattr(sys, "_MEIPASS", None)
    return (Path(frozen) if frozen else Path(__file__).resolve().parent.parent) / "resources"


def starter_model() -> Path:
    """The small model that comes with the app, for trying it."""
    return resources() / "models" / "starter.gguf"


def data_folder() -> Path:
    """The user's own folder for backups, settings and models; made when missing."""
    return made(Path(platformdirs.user_data_dir("elenchus", appauthor=False)))


def cache_folder() -> Path:
    """A folder for what can be made again; made when missing."""
    return made(Path(platformdirs.user_cache_dir("elenchus", appauthor=False)))


def made(folder: Path) -> Path:
    """A folder, made when missing. Raises UserError where that cannot be, as on a disk that is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"Elenchus cannot make its folder {folder}: {error.strerror}. Make it, or let your account write there."
        ) from error
    return folder


@contextmanager
def finished_file(target: Path) -> Iterator[Path]:
    """A temporary name to write to; it takes the target's name once it is whole and on the disk."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        with open(partial, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, target)
        _sync_folder(target.parent)
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    """Makes a rename durable where folders can be synced; elsewhere the system sees to it."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
