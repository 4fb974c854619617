"""Promises about imports that a linter cannot see: heavy modules come late, the network only for a download."""

import subprocess
import sys

import pytest

HEAVY = ("llama_cpp", "torch", "gguf", "safetensors", "PySide6", "pypdf", "pypdfium2", "numpy")
NETWORK = ("core.models.fetch", "urllib.request", "http.client", "ssl", "certifi")


@pytest.mark.parametrize(
    "module",
    ["core.cli", "gui", "core.questions.ask", "core.documents.reader", "core.engine", "core.tuning.training"],
)
def test_heavy_modules_are_imported_late(module: str) -> None:
    assert imported(module, HEAVY) == []


def test_the_window_starts_without_charts() -> None:
    assert imported("gui.main_window", ("pyqtgraph", "numpy")) == []


@pytest.mark.parametrize("module", ["core.cli", "core.models.download", "gui.app"])
def test_nothing_that_opens_connections_is_there_before_a_download(module: str) -> None:
    assert imported(module, NETWORK) == []


def imported(module: str, names: tuple[str, ...]) -> list[str]:
    """Which of the names a process knows that has imported nothing but the module."""
    script = f"import sys, {module}\nprint(*[name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()
