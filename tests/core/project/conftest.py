"""Fixtures for the tests of the project file; backups go to a folder of the test's own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import paths
from core.project.project import Project

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE))  # for project_material and its kin, which child processes use too


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's backups lie."""
    folder = tmp_path / "data folder"
    monkeypatch.setattr(paths, "data_folder", lambda: folder)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project, open."""
    with Project.create(tmp_path / "test.elenchus") as project:
        yield project


@pytest.fixture
def child(data_folder: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `project_child.py` with a task; what still runs at the end of the test is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(task: str, project: Path, argument: object = "") -> subprocess.Popen[str]:
        command = [sys.executable, "-B", str(HERE / "project_child.py"), task, str(project), str(data_folder)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        process = subprocess.Popen([*command, str(argument)], stdin=pipe, stdout=pipe, text=True, env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        for end in (process.stdin, process.stdout):
            if end is not None:
                end.close()
