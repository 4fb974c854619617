"""The filter of passages: against scipy's optimum and known truths, on plain vectors and on those of a model."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from scipy import optimize

from core import paths
from core.curation.educational import (
    FOLDS,
    LEAST,
    Fitted,
    cross_validate,
    fit,
    label,
    restore,
    set_aside,
    suggest,
    suggest_passages,
    value_passages,
)
from core.documents.records import Document, Page, Part, Passage
from core.errors import Cancelled, UserError
from core.project.project import Project
from core.worker import Worker

T = TypeVar("T")


def drawn(rows: int, width: int, seed: int = 0, apart: float = 1.0) -> tuple[Any, list[int]]:
    """Two clouds of vectors, `apart` standard deviations from each other, far off the origin."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, rows)
    vectors = 10 + random.standard_normal((rows, width))
    vectors[:, 0] += apart * labels
    return vectors.astype(np.float32), labels.tolist()


@pytest.mark.parametrize(("rows", "width"), [(200, 5), (40, 120)])
@pytest.mark.parametrize("strength", [0.05, 1.0, 20.0])
def test_the_fit_is_the_optimum_that_scipy_finds(rows: int, width: int, strength: float) -> None:
    """More rows than columns and fewer; scipy works on the plain vectors."""
    vectors, labels = drawn(rows, width)
    found = fit(vectors, labels, strength)
    plain = (vectors - vectors.mean(axis=0, dtype=np.float64)) / found.scale
    signs = np.where(np.array(labels) == 1, 1.0, -1.0)

    def cost(weights: Any) -> float:
        margins = signs * (plain @ weights[:-1] + weights[-1])
        return float(np.logaddexp(0, -margins).sum() + strength * (weights[:-1] ** 2).sum() / 2)

    best = optimize.minimize(cost, np.zeros(width + 1), method="L-BFGS-B", options={"ftol": 1e-14, "gtol": 1e-9})
    mine = np.append(found.weights, found.bias)
    assert cost(mine) <= best.fun + 1e-9
    assert mine == pytest.approx(best.x, abs=2e-3)
    assert float((plain**2).sum(axis=1).mean()) == pytest.approx(1)
    assert found.values(vectors) == pytest.approx(1 / (1 + np.exp(-(plain @ best.x[:-1] + best.x[-1]))), abs=2e-3)


def test_precision_and_recall_are_those_of_passages_not_seen() -> None:
    """Two clouds 2 apart in one dimension: half-way between them, both are 84 % at best (the normal integral of 1)."""
    vectors, labels = drawn(1000, 4, apart=2.0)
    half = next(point for point in cross_validate(vectors, labels) if point.threshold == 0.5)
    assert half.precision is not None
    assert half.precision_interval is not None
    assert half.precision_interval[0] < 0.841 < half.precision_interval[1]
    assert half.recall_interval[0] < 0.841 < half.recall_interval[1]
    assert half.kept == pytest.approx(0.5, abs=0.05)


def test_labels_that_follow_nothing_are_not_foretold() -> None:
    """With more columns than rows a fit is perfect on what it has seen; the curve must not be."""
    vectors, labels = drawn(120, 300, seed=3, apart=0.0)
    curve = cross_validate(vectors, labels)
    half = curve[9]
    assert half.precision_interval is not None
    share = sum(labels) / len(labels)
    assert half.precision_interval[0] < share < half.precision_interval[1]
    assert [point.kept for point in curve] == sorted((point.kept for point in curve), reverse=True)


def test_equal_seeds_give_equal_curves() -> None:
    vectors, labels = drawn(100, 10)
    assert cross_validate(vectors, labels, seed=1) == cross_validate(vectors, labels, seed=1)
    assert cross_validate(vectors, labels, seed=1) != cross_validate(vectors, labels, seed=2)


def test_too_few_labels_are_refused() -> None:
    vectors, _ = drawn(30, 4)
    with pytest.raises(UserError, match=f"21 passages .* and 9 as not .* Label at least {LEAST} of each"):
        fit(vectors, [1] * 21 + [0] * 9)
    with pytest.raises(UserError, match="too few"):
        cross_validate(vectors, [1] * 30, FOLDS)


def test_what_is_suggested_is_unlike_what_is_labelled_and_unsure() -> None:
    angles = np.radians([0, 1, 2, 90, 91, 180, 181, 270])
    vectors = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    unknown = np.full(8, np.nan)
    assert suggest(vectors, unknown, [0, 5], 2) == [3, 7] or suggest(vectors, unknown, [0, 5], 2) == [7, 3]
    first = suggest(vectors, unknown, [], 4)
    assert len({int(np.degrees(angles[row]) + 5) // 90 for row in first}) == 4  # one in each direction
    assert set(suggest(vectors, unknown, range(7), 5)) == {7}
    assert suggest(vectors, unknown, range(8), 5) == []
    many = np.random.default_rng(0).standard_normal((200, 3)).astype(np.float32)
    values = np.linspace(0, 1, 200)
    assert all(abs(values[row] - 0.5) < 0.06 for row in suggest(many, values, [], 1))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Pages of two sorts: 15 that explain something, 15 that are lists of numbers, and 4 without a label."""
    texts = [f"The river of village {n} rises in spring, because the snow on its hills melts then." for n in range(17)]
    texts += [f"{n} {n + 7} 0.{n} 17 {n * 3} 1,204 {n} {n + 1} 8.5 3 44 9 {n * 7} 12 0.{n}{n} 3 9 2" for n in range(17)]
    pages = tuple(Page(number, str(number), 100, 100, text) for number, text in enumerate(texts, 1))
    passages = [Passage("", (Part(page.number, 0, len(page.text)),), page.text) for page in pages]
    with Project.create(tmp_path / "p.elenchus") as project:
        project.add_document(Document("/d.pdf", "ab" * 32, "D", pages=pages), passages, 1200, 200)
        yield project


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def returned(steps: Generator[Any, None, T]) -> T:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def test_a_filter_is_learned_applied_and_taken_back(project: Project, worker: Worker) -> None:
    starter = paths.starter_model()
    with pytest.raises(UserError, match="too few"):
        returned(value_passages(project, worker, starter))
    assert len(returned(suggest_passages(project, worker, starter, 5))) == 5
    label(project, {id: int(id <= 17) for id in range(1, 35) if id not in (16, 17, 33, 34)})
    found = returned(value_passages(project, worker, starter))
    assert isinstance(found, Fitted)
    assert (found.worth, found.not_worth) == (15, 15)
    assert "the intervals are wide" in found.note
    assert min(found.values[16], found.values[17]) > 0.5 > max(found.values[33], found.values[34])
    assert {id: mark.value for id, mark in project.passage_marks().items()} == found.values
    assert set(returned(suggest_passages(project, worker, starter, 4))) == {16, 17, 33, 34}

    label(project, {1: 0, 18: 1, 2: None})
    assert set_aside(project, 0.5) == 17
    aside = {id for id, mark in project.passage_marks().items() if mark.set_aside}
    assert aside == {1, *range(19, 35)}  # a label stands above the value
    assert set_aside(project, 0.0) == 1 + 14
    assert restore(project) == 15
    assert not any(mark.set_aside for mark in project.passage_marks().values())
    assert project.passage_marks()[3].label == 1
    assert restore(project) == 0


def test_a_stop_changes_nothing(project: Project, worker: Worker) -> None:
    label(project, {id: int(id <= 17) for id in range(1, 35)})
    before = project.passage_marks()
    with pytest.raises(Cancelled):
        returned(value_passages(project, worker, paths.starter_model(), lambda: True))
    assert project.passage_marks() == before
