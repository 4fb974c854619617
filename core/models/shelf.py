"""Lists the models at hand: the starter model and the GGUF files in the user's models folder."""

from collections.abc import Iterator
from pathlib import Path

from core import paths
from core.errors import UserError
from core.models.files import ModelFile, read_model


def models_folder() -> Path:
    """Where a user may put GGUF files for Elenchus to find; made when missing."""
    folder = paths.data_folder() / "models"
    folder.mkdir(exist_ok=True)
    return folder


def at_hand() -> Iterator[tuple[ModelFile | None, str]]:
    """Each model, or None with the sentence that says why its file cannot be used."""
    seen: set[Path] = set()
    for path in [paths.starter_model(), *sorted(models_folder().rglob("*.gguf"))]:
        if path in seen:
            continue
        try:
            model = read_model(path)
        except UserError as error:
            yield None, str(error)
            continue
        seen.update(model.parts)
        yield model, ""
