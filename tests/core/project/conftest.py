"""Fixtures for the tests of the project file; backups go to a folder of the test's own."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for project_material and its kin, which child processes use too

from core import paths
from core.project.project import Project


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
