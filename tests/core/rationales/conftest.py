"""A project with questions to explain, and a worker whose child keeps its model warm from test to test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.project.project import Project
from core.worker import Worker
from tests.data.asked_questions import add_asked


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "p.elenchus") as project:
        yield project


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


@pytest.fixture
def asked(project: Project) -> list[int]:
    """Three accepted questions of one passage."""
    return add_asked(project)
