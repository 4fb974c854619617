"""Whether what fine-tuning needs beside the application is installed: it is an extra, for torch is large."""

import sys
from importlib.util import find_spec

NEEDED = ("torch", "gguf", "safetensors")


def missing(what: str = "Fine-tuning") -> str:
    """A sentence that says what `what` needs and is not installed, and how to add it, else nothing. Imports none."""
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if not lacking:
        return ""
    verb, them = ("are", "them") if len(lacking) > 1 else ("is", "it")
    room = ": torch takes some gigabytes on the disk" if "torch" in lacking else ""
    return (
        f"{what} needs {_listed(lacking)}, which {verb} not installed{room}. "
        f"Add {them} with “{sys.executable} -m pip install {' '.join(lacking)}”, then start Elenchus anew."
    )


def _listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
