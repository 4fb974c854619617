"""Lists the models at hand: the starter, those in the models folder, those chosen besides, and other programs'."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core import paths
from core.errors import UserError
from core.models.discovery import Found, found_elsewhere, gguf_files
from core.models.files import ModelFile, read_model

OWN = "Elenchus"  # the program that the starter, the models folder and what was chosen count to


@dataclass(frozen=True)
class Shelved:
    """A file that should be a model: what it is, or the sentence that says why it cannot be used."""

    path: Path
    model: ModelFile | None
    problem: str = ""
    chosen: bool = False  # by the user, from anywhere
    program: str = OWN  # whose folder it was found in


def models_folder() -> Path:
    """Where a user may put GGUF files for Elenchus to find; made when missing. Raises UserError."""
    return paths.made(paths.data_folder() / "models")


def shelf(chosen: Sequence[Path] = ()) -> Iterator[Shelved]:
    """Each model once, in the order: the starter, those in the models folder, those chosen, those of other programs.

    A file that cannot be used is listed with its sentence where it is the user's own; one in the folder of another
    program is passed over. A file that is reached in two ways is listed where it is met first.
    """
    seen: set[object] = set()
    for path in [paths.starter_model(), *gguf_files(models_folder())]:
        yield from _shelved(Found(path, OWN), seen, False)
    for path in chosen:
        yield from _shelved(Found(path, OWN), seen, True)
    for found in found_elsewhere():
        yield from _shelved(found, seen, False)


def _shelved(found: Found, seen: set[object], chosen: bool) -> Iterator[Shelved]:
    """What a file is, unless it is one of those `seen`, to which it is added."""
    if _identity(found.path) in seen:
        return
    seen.add(_identity(found.path))
    try:
        model = read_model(found.path)
    except UserError as error:
        if found.program == OWN:
            yield Shelved(found.path, None, str(error), chosen)
        return
    if model.path != found.path and _identity(model.path) in seen:  # another part of one that was listed
        return
    seen.update(map(_identity, model.parts))
    yield Shelved(model.path, replace(model, name=found.name or model.name), "", chosen, found.program)


def _identity(path: Path) -> object:
    """What two ways to one file have in common; the path where there is no file."""
    try:
        status = os.stat(path)
    except OSError:
        return path
    return (status.st_dev, status.st_ino) if status.st_ino else path.resolve()
