"""The quality of examples: hand-made parts, and a project's examples."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from core.curation.quality import Quality, Weights, mean_of_parts, quality
from core.project.project import Project
from core.project.records import OF_WORDING, Check, ScoreRow, Step, wording
from tests.core.project.project_material import make_document, make_draft, make_passages, make_settings

NAN = math.nan


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "p.elenchus") as project:
        project.add_document(make_document(), make_passages(), 1200, 200)
        yield project


def test_the_mean_goes_by_weight_and_what_nobody_has_does_not_count() -> None:
    parts = {"rating": np.array([1.0, 0.5]), "checks": np.array([0.0, 1.0]), "rubric": np.array([NAN, NAN])}
    assert mean_of_parts(parts, Weights()).tolist() == [4 / 6, 4 / 6]
    assert mean_of_parts(parts, Weights(rating=0)).tolist() == [0, 1]
    assert mean_of_parts({"rating": np.array([NAN])}, Weights()).tolist() == [0.5]


def test_nobody_gains_or_loses_by_not_being_looked_at() -> None:
    """A rating above the mean lifts an example above its like without one, and one below it sinks it."""
    parts = {"rating": np.array([1.0, NAN, 0.0]), "checks": np.ones(3)}
    high, none, low = mean_of_parts(parts, Weights())
    assert high > none > low


def test_all_that_is_known_of_an_example_is_in_its_reason(project: Project) -> None:
    run = project.start_run(make_settings())
    checks = (Check("round_trip", True, 0.75), Check("leak", False), Check("length", True))
    first = project.add_example(run, make_draft(0, checks=checks))
    second = project.add_example(run, make_draft(1, checks=()))
    project.rate(first, 4)
    score = project.start_run(make_settings("score"))
    rows = [
        ScoreRow(first, "rubric", 3.0),
        ScoreRow(first, "rationale_gain", math.log(2)),
        ScoreRow(second, "rubric", 5),
    ]
    project.add_scores(score, rows)
    found = quality(project, [second, first])
    assert {name: part[1] for name, part in found.parts.items()} == pytest.approx(
        {"rating": 0.75, "rubric": 0.5, "checks": 0.5, "round_trip": 0.75, "rationale_gain": 0.5}
    )
    assert found.values[1] == pytest.approx((4 * 0.75 + 2 * 0.5 + 2 * 0.5 + 0.75 + 0.5) / 10)
    assert found.values[0] == pytest.approx((4 * 0.75 + 2 * 1 + 2 * 0.5 + 0.75 + 0.5) / 10)
    assert found.reason(1) == (
        "rated 4 of 5, model's score 3.0 of 5, 1 check failed, round trip 0.75, "
        "its steps make the answer likelier by 0.7 nats a token"
    )
    assert found.reason(0) == "model's score 5.0 of 5"


def test_what_steps_gained_that_were_edited_since_does_not_count(project: Project) -> None:
    example = project.add_example(project.start_run(make_settings()), make_draft(0))
    project.set_rationales({example: ((Step("So."),), 0)})
    rows = [
        ScoreRow(example, "rationale_gain", math.log(2)),
        ScoreRow(example, OF_WORDING, 1, wording(project.example(example))),
    ]
    project.add_scores(project.start_run(make_settings("rationale_check")), rows)
    assert quality(project, [example]).parts["rationale_gain"].tolist() == pytest.approx([0.5])
    project.set_rationales({example: ((Step("Otherwise."),), 0)})
    assert np.isnan(quality(project, [example]).parts["rationale_gain"]).all()


def test_what_is_not_known_is_said() -> None:
    assert Quality(np.array([0.5]), {"rating": np.array([NAN])}).reason(0) == "nothing is known of it yet"
