"""The sample: a small project of one's own to try the app in, and the documents that come with the app for it."""

from __future__ import annotations

import filecmp
import shutil
from itertools import count
from pathlib import Path

from core import paths
from core.errors import UserError
from core.project.project import Project


def copy_sample() -> Path:
    """A project to try the app in, in the user's data folder. Raises UserError when it cannot be made.

    Nothing is ever written over: a copy that somebody has worked in, or has open, is left, and the next number taken.
    """
    folder = sample_folder()
    ready = next(iter(sorted(_samples().glob("*.elenchus"))), None)
    for number in count(1):
        path = folder / ("Sample.elenchus" if number == 1 else f"Sample {number}.elenchus")
        if not path.exists():
            _make(path, ready)
            return path
        if _is_untouched(path, ready):
            return path
    raise AssertionError  # there is always a next number


def sample_folder() -> Path:
    """Where the copies lie."""
    return paths.data_folder() / "sample"


def sample_documents() -> list[Path]:
    """The PDFs that come with the app, for a sample project that has none yet."""
    return sorted(_samples().glob("*.pdf"))


def _samples() -> Path:
    return paths.resources() / "samples"


def _make(path: Path, ready: Path | None) -> None:
    if ready is None:
        Project.create(path).close()
        return
    try:
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(ready, path)
    except OSError as error:
        raise UserError(
            f"The sample could not be copied to {path.parent}: {error.strerror or error}. "
            "Make room there, or start with a new project."
        ) from error


def _is_untouched(path: Path, ready: Path | None) -> bool:
    """Whether the copy at `path` is nobody's work and nobody has it open."""
    if ready is not None:
        return filecmp.cmp(path, ready, shallow=False)
    try:
        with Project.open(path) as project:
            return not project.read_only and not any(project.counts().values())
    except UserError:  # open in another window, or no project any more
        return False
