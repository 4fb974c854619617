"""Promises about imports that a linter cannot see, and that nothing opens a socket."""

import subprocess
import sys

import pytest

HEAVY = ("llama_cpp", "torch", "PySide6", "pypdf", "pypdfium2", "numpy")


@pytest.mark.parametrize("module", ["core.cli", "gui", "core.questions.ask", "core.documents.reader", "core.engine"])
def test_heavy_modules_are_imported_late(module: str) -> None:
    script = f"import sys, {module}\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
