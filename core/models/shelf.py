"""Lists the models at hand: the starter model, the GGUF files in the user's models folder, and those chosen besides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import paths
from core.errors import UserError
from core.models.files import ModelFile, read_model


@dataclass(frozen=True)
class Shelved:
    """A file that should be a model: what it is, or the sentence that says why it cannot be used."""

    path: Path
    model: ModelFile | None
    problem: str = ""
    chosen: bool = False  # by the user, from anywhere


def models_folder() -> Path:
    """Where a user may put GGUF files for Elenchus to find; made when missing."""
    folder = paths.data_folder() / "models"
    folder.mkdir(exist_ok=True)
    return folder


def shelf(chosen: Sequence[Path] = ()) -> Iterator[Shelved]:
    """Each model once, in the order: the starter, those in the models folder, those chosen."""
    found = [paths.starter_model(), *sorted(models_folder().rglob("*.gguf"))]
    seen: set[Path] = set()
    for number, path in enumerate([*found, *chosen]):
        if path in seen:
            continue
        seen.add(path)
        try:
            model = read_model(path)
        except UserError as error:
            yield Shelved(path, None, str(error), number >= len(found))
            continue
        if model.path != path and model.path in seen:  # another part of one that was listed
            continue
        seen.update(model.parts)
        yield Shelved(model.path, model, "", number >= len(found))


def at_hand() -> Iterator[tuple[ModelFile | None, str]]:
    """Each model, or None with the sentence that says why its file cannot be used."""
    for item in shelf():
        yield item.model, item.problem
