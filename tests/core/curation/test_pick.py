"""Picks from a project whose vectors are known: what is kept, why, and how it compares with chance."""

import json
from collections.abc import Generator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.curation.coverage import from_json
from core.curation.pick import Made, Picked, PickOptions, Quota, most_of, pick, pick_job
from core.curation.plane import lay_out
from core.curation.reckoning import Reckoned, handed_over, received
from core.curation.selection import facility_location
from core.curation.vectors import around_mean
from core.errors import Cancelled, UserError
from core.project.project import Project
from core.project.records import Check, ExampleFilter
from core.worker import Worker
from tests.data.curated import TOPICS, add_rows, add_topics, give_vectors
from tests.data.gguf_tiny import write_tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


def result(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def ids_of(picked: Picked, baseline: bool = False) -> list[int]:
    return [row.example_id for row in picked.rows if row.baseline == baseline]


def test_the_good_ones_of_every_topic_are_picked_and_kept_beside_chance(
    project: Project, worker: Worker, model: Path
) -> None:
    ids = add_topics(project, model, 20)
    good = ids[::2]
    project.rate_all(good, 5)
    project.rate_all(ids[1::2], 1)
    picked = result(pick(project, worker, PickOptions(9, model, name="nine")))
    assert set(ids_of(picked)) <= set(good)
    assert picked.coverage.quality == 1 > picked.baseline.quality
    assert picked.coverage.coverage > picked.baseline.coverage
    assert picked.coverage.share("document") == picked.coverage.share("topic") == 1
    assert [part.all for part in picked.coverage.parts["document"]] == [20, 20, 20]

    assert picked.pick == project.pick("nine")
    assert list(picked.rows) == project.pick_rows(picked.pick.id)
    assert [one.id for one in project.iter_examples(ExampleFilter(pick_id=picked.pick.id))] == sorted(ids_of(picked))
    baseline = ids_of(picked, baseline=True)
    assert len(set(baseline)) == 9
    assert set(baseline) <= set(ids)
    recipe = json.loads(json.dumps(picked.pick.recipe))
    assert (recipe["size"], recipe["method"], recipe["candidates"], recipe["clients"]) == (9, "facility", 60, 60)
    assert recipe["model"] == "tiny-random"
    assert from_json(recipe["coverage"]["picked"]) == picked.coverage


def test_each_reason_says_what_it_adds_how_good_it_is_and_from_where(
    project: Project, worker: Worker, model: Path
) -> None:
    ids = add_topics(project, model, 6)
    project.rate_all(ids, 4)
    picked = result(pick(project, worker, PickOptions(4, model)))
    reasons = [row.reason for row in picked.rows if not row.baseline]
    for row, reason in zip(picked.rows[:3], reasons, strict=False):
        added, quality, whence = reason.split("; ")
        document = project.example(row.example_id).document
        share, topic = added.removeprefix("adds ").split(" % to the coverage of topic ")
        assert float(share) > 90  # the first of a topic that lies close together
        assert topic.split(", ")[0].strip("“") in " ".join(TOPICS[document]).lower()
        assert quality == "quality 0.75 (rated 4 of 5)"
        assert whence in (f"1 of 1 picked from “{document}”", f"1 of 2 picked from “{document}”")
    assert "; 2 of 2 picked from “" in reasons[3]
    assert float(reasons[3].split()[1]) < 10
    coverage_alone = result(pick(project, worker, PickOptions(4, model, quality_weight=0)))
    assert all("quality" not in row.reason for row in coverage_alone.rows)
    far = result(pick(project, worker, PickOptions(3, model, method="k-centre")))
    said = [row.reason for row in far.rows if not row.baseline]
    assert said[0].startswith("the choice begins with it, in topic “")
    assert said[1].startswith("no example picked before it is nearer than 1.")


def test_what_is_added_is_told_by_every_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though only the highest are looked at where there are many: all gains of a topic make up its coverage."""
    monkeypatch.setattr("core.curation.pick.facility_location", partial(facility_location, cosines=400))
    rows = np.random.default_rng(0).standard_normal((60, 8))
    options = PickOptions(12, quality_weight=0)
    with handed_over(rows.astype("f4")) as path:
        assert path is not None
        groups = {"kind": (("factual",), np.zeros(60, np.int64))}
        made = list(pick_job([f"Text {n}" for n in range(60)], path, np.zeros(60), groups, options))[-1]
        known = around_mean(received(path))
    assert isinstance(made, Made)
    labels = np.array(made.topics)
    nearest = np.zeros(60)
    for place, gain in zip(made.places, made.gains, strict=True):
        own, before = labels == labels[place], nearest
        nearest = np.maximum(nearest, known @ known[place])
        assert gain == pytest.approx((nearest - before)[own].mean(), abs=1e-5)


def test_what_covers_nothing_is_not_said_to(project: Project, worker: Worker, model: Path) -> None:
    ids = add_rows(project, [("Why?", f"Since {n}.") for n in range(4)])
    give_vectors(project, model, ids, np.ones((4, 64), "f4"))  # none of which differs from their mean
    project.rate_all(ids, 5)
    picked = result(pick(project, worker, PickOptions(2, model)))
    assert picked.coverage.coverage == 0
    assert all(row.reason.startswith("adds 0.0 % ") for row in picked.rows if not row.baseline)


def test_equal_options_pick_the_same_and_another_seed_another_baseline(
    project: Project, worker: Worker, model: Path
) -> None:
    add_topics(project, model, 15)
    first, second = (result(pick(project, worker, PickOptions(10, model))) for _ in range(2))
    assert first.rows == second.rows
    assert [one.name for one in project.picks()] == ["10 of 45", "10 of 45 (2)"]
    other = result(pick(project, worker, PickOptions(10, model, seed=1)))
    assert ids_of(other, baseline=True) != ids_of(first, baseline=True)


@pytest.mark.parametrize("method", ["facility", "k-centre"])
def test_quotas_hold(project: Project, worker: Worker, model: Path, method: str) -> None:
    ids = add_topics(project, model, 9)
    project.rate_all(ids[:9], 5)
    project.rate_all(ids[9:], 1)
    free = result(pick(project, worker, PickOptions(9, model, method, quality_weight=1.0)))
    assert max(part.chosen for part in free.coverage.parts["document"]) == 9
    for by in ("document", "topic"):
        bound = result(pick(project, worker, PickOptions(9, model, method, 1.0, quotas=(Quota(by, 0.34),))))
        assert max(part.chosen for part in bound.coverage.parts[by]) == 3
        assert bound.pick.size == 9
        assert not bound.note
    tight = result(pick(project, worker, PickOptions(9, model, method, quotas=(Quota("kind", 0.5),))))
    assert (tight.pick.size, len(ids_of(tight, baseline=True))) == (4, 4)
    assert tight.note.startswith("The quotas allow 4 examples and no more: 9 were asked for. Raise a quota")


def test_a_share_of_a_few_is_one_at_least() -> None:
    assert [most_of(Quota("kind", most), 10) for most in (0.01, 0.1, 0.29, 0.3, 1.0)] == [1, 1, 2, 3, 10]
    assert most_of(Quota("kind", 0.29), 100) == 29  # which is 28.999… in floating point


def test_only_what_may_be_picked_is(project: Project, worker: Worker, model: Path) -> None:
    ids = add_topics(project, model, 4)
    project.set_checks({ids[0]: [Check("leak", False)]})
    project.set_state([ids[1]], "draft")
    assert set(ids_of(result(pick(project, worker, PickOptions(10, model))))) == set(ids[2:])
    assert set(ids_of(result(pick(project, worker, PickOptions(11, model, without_failed=False))))) == {
        ids[0],
        *ids[2:],
    }
    assert ids_of(result(pick(project, worker, PickOptions(1, model, state="draft")))) == [ids[1]]
    with pytest.raises(
        UserError, match=r"only 10 accepted examples of which no check failed, and 11 were to be picked"
    ):
        result(pick(project, worker, PickOptions(11, model)))
    with pytest.raises(UserError, match="There are no rejected examples"):
        result(pick(project, worker, PickOptions(1, model, state="rejected")))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 0}, "1 or more"),
        ({"method": "luck"}, "There is no method “luck”. Choose one of facility, k-centre"),
        ({"quality_weight": 1.5}, "between 0, for coverage alone, and 1"),
        ({"quotas": (Quota("author", 0.5),)}, "one of document, topic, kind"),
        ({"quotas": (Quota("kind", 0.0),)}, "a share above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(project: Project, worker: Worker, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        result(pick(project, worker, PickOptions(**{"size": 1, **changes})))


def test_a_cancel_keeps_nothing(project: Project, worker: Worker, model: Path) -> None:
    add_topics(project, model, 10)
    stages: list[str] = []
    steps = pick(project, worker, PickOptions(25, model), lambda: "picking" in stages)
    with pytest.raises(Cancelled, match="Nothing was changed"):
        stages.extend(item.stage for item in steps if isinstance(item, Reckoned))
    assert project.picks() == []
    assert result(pick(project, worker, PickOptions(2, model))).pick.size == 2


def test_what_comes_from_no_document_comes_from_its_run(project: Project, worker: Worker, model: Path) -> None:
    one, other = (add_rows(project, [(f"{name} {n}?", "Yes.") for n in range(5)]) for name in ("Why", "How"))
    give_vectors(project, model, [*one, *other], np.random.default_rng(0).standard_normal((10, 64)).astype("f4"))
    picked = result(pick(project, worker, PickOptions(4, model, quotas=(Quota("document", 0.5),))))
    assert [(part.name, part.all, part.chosen) for part in picked.coverage.parts["document"]] == [
        ("run 1", 5, 2),
        ("run 2", 5, 2),
    ]


def test_the_map_has_every_example_its_topic_and_its_place(project: Project, worker: Worker, model: Path) -> None:
    ids = add_topics(project, model, 6)
    made = result(lay_out(project, worker, model, ids))
    assert made.ids == tuple(ids)
    assert made.points.shape == (18, 2)
    for start, texts in zip((0, 6, 12), TOPICS.values(), strict=True):
        (topic,) = set(made.topics[start : start + 6].tolist())
        assert made.names[topic].split(", ")[0] in " ".join(texts).lower()
    middles = np.stack([made.points[start : start + 6].mean(axis=0) for start in (0, 6, 12)])
    own = np.linalg.norm(made.points - np.repeat(middles, 6, axis=0), axis=1)
    apart = np.linalg.norm(middles - np.roll(middles, 1, axis=0), axis=1)
    assert own.max() < apart.min() / 2
    assert 0.5 < made.shown <= 1
    assert result(lay_out(project, worker, model, [])).points.shape == (0, 2)


def test_vectors_are_made_by_the_model_where_none_are_kept(project: Project, worker: Worker, model: Path) -> None:
    add_rows(project, [(f"{topic}?", answer) for topic, (_, answer) in TOPICS.items()])
    picked = result(pick(project, worker, PickOptions(2, model)))
    assert picked.pick.size == 2
    assert asdict(picked.coverage)["parts"]["topic"]
