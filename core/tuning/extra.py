"""Whether what fine-tuning needs beside the application is installed: it is an extra, for torch is large."""

import sys
from importlib.util import find_spec

NEEDED = ("torch", "gguf", "safetensors")


def missing() -> str:
    """A sentence that says what is not installed and how to add it, else nothing. Imports none of it."""
    lacking = [name for name in NEEDED if find_spec(name) is None]
    if not lacking:
        return ""
    return (
        f"Fine-tuning needs {' and '.join(lacking)} beside Elenchus, which is large and not installed. "
        f"Add it with “{sys.executable} -m pip install {' '.join(lacking)}”, then start Elenchus anew."
    )
