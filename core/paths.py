"""Where things lie, from a source checkout and from a frozen application alike."""

import sys
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
