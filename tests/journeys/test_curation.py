"""From many drafts to a few good ones: by the command line, and with an oracle that knows which rows are good."""

import json
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from core import paths
from core.curation.coverage import Coverage
from core.curation.pick import Picked, PickOptions, pick
from core.engine.requests import Adapter, EngineSettings
from core.project.project import Project
from core.project.records import ExampleFilter
from core.project.tuning import DatasetRow
from core.statistics import percentiles, resampled
from core.tuning.records import Recipe
from core.tuning.tune import Kept, TuneOptions, tune
from core.worker import Worker
from tests.conftest import Command
from tests.data.curated import add_rows, add_topics
from tests.data.gguf_tiny import write_tiny
from tests.data.losses import Loss, losses_job

STARTER = paths.starter_model()
ENGINE = EngineSettings(context=4096, sequences=8)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def result(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_duplicates_are_shown_rejected_and_compared_with_a_file(elenchus: Command, tmp_path: Path) -> None:
    path, quiz = tmp_path / "p.elenchus", tmp_path / "quiz.csv"
    with Project.create(path) as project:
        ids = add_rows(project, [("Why is ice cold?", "It is."), ("why is ICE cold?", "Because."), ("Who?", "Ada.")])
    (group,) = lines(elenchus("duplicates", path, "--json").stdout)
    assert (group["kind"], group["ids"], group["best"]) == ("exact", ids[:2], ids[1])
    quiz.write_text("question,answer\nWho?,Mira\nWhere?,There\n", "utf-8")
    (leak,) = lines(elenchus("duplicates", path, "--against", quiz, "--json").stdout)
    assert (leak["example_id"], leak["row"], leak["kind"], leak["text"]) == (ids[2], 2, "exact", "Who?")
    theirs = tmp_path / "theirs.csv"
    theirs.write_text("Item,Key\nWho?,Mira\nWhere?,There\n", "utf-8")
    refused = elenchus("duplicates", path, "--against", theirs, code=1)
    assert "its columns are “Item”, “Key”" in refused.stderr
    assert "No example stands in it" not in refused.stderr
    (leak,) = lines(elenchus("duplicates", path, "--against", theirs, "--map", "question=Item", "--json").stdout)
    assert (leak["example_id"], leak["row"], leak["kind"]) == (ids[2], 2, "exact")
    done = elenchus("duplicates", path, "--keep-best")
    assert f"keep {ids[1]}: its answer is the longest" in done.stdout
    assert "Rejected 1 duplicate." in done.stderr
    assert "No two examples ask the same" in elenchus("duplicates", path).stderr
    assert "no dataset of this name" in elenchus("duplicates", path, "--against", "none", code=1).stderr
    assert "--keep-best goes without" in elenchus("duplicates", path, "--against", quiz, "--keep-best", code=1).stderr


def test_a_pick_is_kept_explained_listed_and_forgotten(elenchus: Command, tmp_path: Path) -> None:
    path, model = tmp_path / "p.elenchus", write_tiny(tmp_path / "tiny.gguf")
    with Project.create(path) as project:
        add_topics(project, model, 9)
    options = ("--model", model, "--quota", "document=0.34", "--quality", 0.3)
    said = elenchus("curate", path, "--pick", 6, *options, "--explain", "--name", "six").stdout
    assert re.search(r"^documents +3 of 3 +\d of 3$", said, re.MULTILINE)
    assert said.count("% to the coverage of topic “") == 6
    (row,) = lines(elenchus("curate", path, "--pick", 6, *options, "--json").stdout)
    assert row["recipe"]["quotas"] == [{"by": "document", "most": 0.34}]
    assert len(row["rows"]) == len(row["baseline"]) == 6
    assert [one["name"] for one in lines(elenchus("picks", path, "--json").stdout)] == ["six", "6 of 27"]
    assert elenchus("picks", path, "--show", "six").stdout.count("% to the coverage of topic “") == 6
    assert elenchus("picks", path, "--show", 2).stdout.startswith("2  6 of 27")
    elenchus("picks", path, "--remove", "six")
    assert len(lines(elenchus("picks", path, "--json").stdout)) == 1
    assert "There is no pick “six”" in elenchus("picks", path, "--show", "six", code=1).stderr
    assert "“x” is no quota" in elenchus("curate", path, "--pick", 1, "--quota", "x", code=1).stderr
    assert "only 27 accepted examples" in elenchus("curate", path, "--pick", 28, code=1).stderr


# With an oracle


def problems(shared: Path, count: int, seed: int, longest: int = 400) -> list[tuple[str, str]]:
    """Short problems of GSM8K with their worked answers, without the marks of its calculator."""
    rows = lines((shared / "gsm8k" / "train.jsonl").read_text(encoding="utf-8"))
    short = [
        (row["question"], re.sub("<<.*?>>", "", row["answer"]))
        for row in rows
        if len(row["question"]) + len(row["answer"]) <= longest
    ]
    return Random(seed).sample(short, count)


def add_half_wrong(project: Project, rows: list[tuple[str, str]]) -> set[int]:
    """Adds rows of which every second has another's answer, and a person who rates them so; returns the good ones."""
    wrong = rows[1::2]
    mixed = [
        (question, wrong[(place // 2 + 1) % len(wrong)][1] if place % 2 else answer)
        for place, (question, answer) in enumerate(rows)
    ]
    ids = add_rows(project, mixed)
    project.rate_all(ids[::2], 5)
    project.rate_all(ids[1::2], 1)
    return set(ids[::2])


def tell(name: str, picked: Picked) -> None:
    for whose, one in (("picked", picked.coverage), ("random", picked.baseline)):
        parts = {by: f"{sum(part.chosen > 0 for part in some)}/{len(some)}" for by, some in one.parts.items()}
        figures = f"coverage {one.coverage:.4f}, farthest {one.least:.3f}, quality {one.quality:.3f}"
        print(f"{name}, {whose}: {figures}, {parts}")


def beats(picked: Coverage, baseline: Coverage) -> bool:
    return picked.coverage > baseline.coverage and picked.quality > baseline.quality


@pytest.mark.slow
def test_on_gsm8k_the_pick_is_better_than_chance_in_coverage_and_in_quality(
    shared: Path, tmp_path: Path, worker: Worker
) -> None:
    with Project.create(tmp_path / "p.elenchus") as project:
        add_half_wrong(project, problems(shared, 600, seed=0))
        for size in (30, 60, 150):
            for weight in (0.5, 0.0):
                picked = result(pick(project, worker, PickOptions(size, STARTER, quality_weight=weight, engine=ENGINE)))
                tell(f"gsm8k, {size} of 600, weight {weight}", picked)
                assert beats(picked.coverage, picked.baseline) or weight == 0
                assert picked.coverage.coverage > picked.baseline.coverage


@pytest.mark.slow
def test_on_a_project_the_pick_is_better_than_chance_in_coverage_and_in_quality(
    elenchus: Command, tmp_path: Path, worker: Worker
) -> None:
    """The sample, asked by the starter; every second question is given another's answer."""
    path = tmp_path / "p.elenchus"
    elenchus("new", path)
    elenchus("add", path, *sorted((paths.resources() / "samples").glob("*.pdf")))
    elenchus("ask", path, "--seed", 1, "--per-passage", 4)
    with Project.open(path) as project:
        ids = project.example_ids(ExampleFilter(all_passed=True))
        project.set_state(ids, "accepted")
        answers = [project.example(id).answer for id in ids[1::2]]
        for id, answer in zip(ids[1::2], [*answers[1:], answers[0]], strict=True):
            project.edit_example(id, answer=answer)
        project.rate_all(ids[::2], 5)
        project.rate_all(ids[1::2], 1)
        for share in (10, 5, 3):
            picked = result(pick(project, worker, PickOptions(len(ids) // share, STARTER, engine=ENGINE)))
            tell(f"sample, {len(ids) // share} of {len(ids)}", picked)
            assert beats(picked.coverage, picked.baseline)


@pytest.mark.slow
def test_what_is_picked_teaches_more_than_as_much_at_random(shared: Path, tmp_path: Path, worker: Worker) -> None:
    """200 of 600 rows against 200 at random, by one recipe, and 150 rows that neither saw tell."""
    rows = problems(shared, 750, seed=1)
    pool, unseen = rows[:600], rows[600:]
    held_out = [DatasetRow((("user", question),), answer, split="validation") for question, answer in unseen]
    recipe = Recipe(learning_rate=1e-3, epochs=3, batch=8, evaluations=1, patience=0)
    with Project.create(tmp_path / "p.elenchus") as project:
        add_half_wrong(project, pool)
        picked = result(pick(project, worker, PickOptions(200, STARTER, engine=ENGINE)))
        tell("tuning, 200 of 600", picked)
        losses = {"untuned": scored(worker, None, unseen)}
        for name, baseline in (("picked", False), ("random", True)):
            ids = [row.example_id for row in picked.rows if row.baseline == baseline]
            learned = [DatasetRow((("user", one.question),), one.answer) for one in map(project.example, ids)]
            project.add_dataset(name, {}, [*learned, *held_out])
            (kept,) = [
                item for item in tune(project, worker, TuneOptions(name, STARTER, recipe)) if isinstance(item, Kept)
            ]
            losses[name] = scored(worker, Adapter(project.adapter_file(kept.adapter.id)), unseen)
    for name, some in losses.items():
        print(f"{name}: {some.mean():.4f} nats a token on {len(some)} held-out rows")
    difference = losses["picked"] - losses["random"]
    interval = percentiles(resampled(difference[:, None], 10_000, 0)[:, 0] / len(difference))
    assert interval is not None
    print(f"picked − random: {difference.mean():+.4f} [{interval[0]:+.4f}, {interval[1]:+.4f}] nats a token, paired")
    print(f"picked is better on {(difference < 0).mean():.0%} of the rows")
    assert losses["picked"].mean() < losses["random"].mean() < losses["untuned"].mean()


def scored(worker: Worker, adapter: Adapter | None, rows: list[tuple[str, str]]) -> np.ndarray:
    """The loss of each row, nats a token."""
    items = worker.run(losses_job, STARTER, ENGINE, adapter, rows)
    found = {item.place: item.nats for item in items if isinstance(item, Loss)}
    return np.array([found[place] for place in range(len(rows))])
