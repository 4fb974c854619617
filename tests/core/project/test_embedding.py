"""The vectors of a project's texts: made once, kept, and believed only when they are sound."""

import os
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import numpy as np
import pytest

from core.engine.requests import Embedded, EngineSettings, Trying
from core.errors import Cancelled, UserError
from core.project import embedding
from core.project.embedding import Progress, embed
from core.project.project import Project
from core.worker import Worker
from tests.data.gguf_tiny import SAMPLE, write_encoder, write_tiny

SETTINGS = EngineSettings(context=1024, sequences=4, threads=1)
TEXTS = [f"{start} {SAMPLE[start : start + 60]}" for start in range(200)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


def result(steps: Generator[Any, None, Any]) -> tuple[list[Progress], Any]:
    said: list[Progress] = []
    while True:
        try:
            item = next(steps)
        except StopIteration as stop:
            return said, stop.value
        if isinstance(item, Progress):
            said.append(item)


def embedded(project: Project, worker: Worker, model: Path, texts: list[str]) -> tuple[list[Progress], Any]:
    return result(embed(project, worker, model, texts, bool, SETTINGS))


def dying_above_job(path: Path, settings: EngineSettings, texts: Sequence[str]) -> Iterator[Any]:
    """Ends its process while it loads with the first plan, as a driver does for want of memory."""
    yield Trying(0.0, settings.rung)
    if not settings.rung:
        os.abort()
    yield Embedded(0, len(texts), np.eye(len(texts), 64, dtype="<f4").tobytes())


def test_loading_that_ends_the_process_goes_on_with_less(
    project: Project, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "embed_texts", dying_above_job)
    with Worker() as worker:
        assert (embedded(project, worker, model, TEXTS[:3])[1] == np.eye(3, 64)).all()


def test_vectors_are_made_once_and_kept(project: Project, model: Path, tmp_path: Path) -> None:
    with Worker() as worker:
        said, vectors = embedded(project, worker, model, [*TEXTS, TEXTS[5]])
        assert said[0] == Progress(1, 201)  # one stands there twice
        assert said[-1] == Progress(201, 201)
        assert vectors.shape == (201, 64)
        assert (vectors[200] == vectors[5]).all()
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        _, straight = embedded(project, worker, model, [TEXTS[5]])
        assert np.abs(straight[0] - vectors[5]).max() == 0

        other = write_encoder(tmp_path / "bert.gguf")
        assert embedded(project, worker, other, TEXTS[:3])[1].shape == (3, 48)
    with Worker() as idle:
        said, again = embedded(project, idle, model, TEXTS)
        assert (again == vectors[:200]).all()
        assert said == [Progress(200, 200)]
        assert not idle.alive  # nobody was asked


def test_near_texts_are_nearer_than_far_ones(project: Project, model: Path) -> None:
    with Worker() as worker:
        _, vectors = embedded(
            project, worker, model, ["The old captain of the river boat", "The old captain", "für Gäste"]
        )
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_what_a_stranger_put_there_is_not_believed(project: Project, model: Path) -> None:
    with Worker() as worker:
        _, vectors = embedded(project, worker, model, TEXTS[:4])
    project.close()
    connection = apsw.Connection(str(project.path))
    rows = list(connection.execute("SELECT id FROM embeddings ORDER BY id"))
    bad = [b"", bytes(128), np.full(64, np.nan, "<f2").tobytes(), np.ones(65, "<f2").tobytes()]
    for (id,), vector in zip(rows, bad, strict=True):
        connection.execute("UPDATE embeddings SET vector = ? WHERE id = ?", (vector, id))
    connection.close()
    with Project.open(project.path) as opened, Worker() as worker:
        said, again = embedded(opened, worker, model, TEXTS[:4])
        assert said[0] == Progress(0, 4)
        assert np.abs(again - vectors).max() == 0


def test_a_project_to_be_read_only_gets_vectors_and_stays_as_it_is(project: Project, model: Path) -> None:
    project.close()
    before = project.path.read_bytes()
    with Project.open(project.path, read_only=True) as opened, Worker() as worker:
        assert embedded(opened, worker, model, TEXTS[:2])[1].shape == (2, 64)
    assert project.path.read_bytes() == before


def test_a_cancel_keeps_what_was_made(project: Project, model: Path) -> None:
    many = [f"{number} {text}" for number in range(3) for text in TEXTS]
    with Worker() as worker:
        said: list[Progress] = []
        steps = embed(project, worker, model, many, lambda: bool(said and said[-1].done > 300), SETTINGS)
        with pytest.raises(Cancelled, match="kept"):
            said.extend(item for item in steps if isinstance(item, Progress))
        said, _ = embedded(project, worker, model, many)
        assert 300 < said[0].done < 600


def test_no_texts_and_a_file_that_is_no_model(project: Project, model: Path, tmp_path: Path) -> None:
    with Worker() as worker:
        assert len(embedded(project, worker, model, [])[1]) == 0
        (tmp_path / "no.gguf").write_bytes(b"no model")
        with pytest.raises(UserError, match="damaged or not a model"):
            embedded(project, worker, tmp_path / "no.gguf", ["x"])
