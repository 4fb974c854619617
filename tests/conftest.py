"""What every test may use: the command line as a subprocess, the third-party data when it is there."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from core.models import discovery

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Backups, caches and settings of the tests go to a folder of their own, in child processes too.

    The models that other programs have on this computer are not seen.
    """
    home = tmp_path_factory.mktemp("home")
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "APPDATA"):
        os.environ[name] = str(home / name.lower())
    os.environ |= dict.fromkeys(("HOME", "USERPROFILE"), str(home))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "LLAMA_CACHE", "OLLAMA_MODELS", "HF_TOKEN"):
        os.environ.pop(name, None)
    discovery.OLLAMA_OF_THE_SYSTEM = home / "ollama"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of third-party test data; the test is skipped when it is not beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the third-party data (../shared/data) is not beside this checkout")
    return SHARED


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def elenchus() -> Command:
    """Runs `elenchus ARGUMENTS` in a process of its own; `code` is the exit code that is expected."""

    def run(*arguments: object, code: int | None = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [sys.executable, "-m", "core.cli", *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            timeout=300,
            check=False,
        )
        assert code is None or done.returncode == code, done.stderr
        return done

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that at the end no process works on one while the others are idle."""
    items.sort(key=lambda item: "journeys" not in item.path.parts)
