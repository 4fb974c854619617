"""Scores by a rubric: the task by a scripted responder, runs on a tiny model, killed, resumed, with adapters."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from core import paths
from core.curation import scoring as module
from core.curation.calibration import calibration_of
from core.curation.quality import quality
from core.curation.scoring import (
    Progress,
    Scored,
    ScoreOptions,
    Subject,
    Unscored,
    certainty,
    compare_scores,
    expected,
    how_far,
    judge,
    keep_scored,
    resume_scores,
    score,
    standing,
)
from core.engine.requests import (
    Adapter,
    Completion,
    EngineSettings,
    Loaded,
    OptionScore,
    Request,
    Score,
    Scores,
    TooLong,
    Usage,
)
from core.errors import Cancelled, UserError
from core.project.project import Project
from core.project.records import IMPORTED, ExampleDraft, ScoreRow
from core.questions.prompts import load_prompts
from core.worker import Worker
from tests.core.project.project_material import fill, make_generated, make_settings
from tests.data.gguf_tiny import write_adapter, write_encoder, write_tiny

SMALL = EngineSettings(context=4096, sequences=4, threads=1)
PROMPTS = load_prompts("chat", "rubric")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


def run(project: Project, worker: Worker, model: Path, **more: Any) -> list[ScoreRow]:
    last = list(score(project, worker, ScoreOptions(model, engine=SMALL, **more)))[-1]
    assert isinstance(last, Progress)
    assert last.done == last.total
    assert project.run(last.run_id).state == "finished"
    return project.scores_of_run(last.run_id)


def scores_of(*shares: float) -> Scores:
    return Scores(tuple(OptionScore(math.log(share), 1, 1) for share in shares), 1)


def test_the_score_is_the_mean_of_the_digits_by_their_probabilities() -> None:
    assert expected(scores_of(0.1, 0.1, 0.1, 0.1, 0.1)) == pytest.approx(3)
    assert expected(scores_of(1e-9, 1e-9, 1e-9, 0.2, 0.6)) == pytest.approx((0.2 * 4 + 0.6 * 5) / 0.8)


def test_a_reason_comes_first_and_the_score_is_asked_after_it() -> None:
    task = judge(Subject(7, "Where?", "In Vell.", "Vell {question} lies by a river."), PROMPTS)
    first = next(task)
    assert isinstance(first, Request)
    assert first.sampling.temperature == 0
    assert "Vell {question} lies by a river." in first.messages[-1][1]  # what stands in a text is no place of ours
    second = task.send(Completion("It is \n short.", "stop", 1, 0, 1))
    assert isinstance(second, Score)
    assert second.messages[:2] == first.messages
    assert second.messages[2:] == (("assistant", "It is short."), ("user", PROMPTS.texts["score"]))
    assert (second.options, second.letters) == (("1", "2", "3", "4", "5"), True)
    with pytest.raises(StopIteration) as end:
        task.send(scores_of(0.1, 0.1, 0.1, 0.1, 0.4))
    scored: Scored = end.value.value
    assert (scored.example_id, scored.detail) == (7, "It is short.")
    assert (scored.value, scored.certainty) == pytest.approx((3.75, 0.8))


def test_what_has_no_room_is_not_scored() -> None:
    task = judge(Subject(7, "Where?", "In Vell."), PROMPTS)
    request = next(task)
    assert isinstance(request, Request)
    assert "Text:" not in request.messages[-1][1]
    with pytest.raises(StopIteration) as end:
        task.send(Completion("", "context", 0, 0, 0))
    assert isinstance(end.value.value, Unscored)
    task = judge(Subject(7, "Where?", "In Vell."), PROMPTS)
    next(task)
    task.send(Completion("It is short.", "stop", 1, 0, 1))
    with pytest.raises(StopIteration) as end:
        task.throw(TooLong("too long"))
    assert end.value.value == Unscored(7, "Its text is too long for this model.")


def test_two_runs_are_equal_and_an_adapter_makes_a_difference(
    project: Project, worker: Worker, tiny: Path, tmp_path: Path
) -> None:
    fill(project, 3)
    project.set_state([2], "accepted")
    project.set_state([3], "rejected")
    made = project.start_run(make_settings("counter"))
    project.add_example(made, make_generated(0))
    imported = project.add_example(made, ExampleDraft(None, 1, IMPORTED, "How many?", "Four.", None))
    lora = Adapter(write_adapter(tmp_path / "lora.gguf"))
    first, second = run(project, worker, tiny), run(project, worker, tiny)
    none = run(project, worker, tiny, adapter=Adapter(lora.path, 0.0))
    tuned = run(project, worker, tiny, adapter=lora, adapter_name="brief")
    assert first == second == none
    assert first != tuned
    rubric = {row.example_id: row for row in first if row.name == "rubric"}
    assert set(rubric) == {1, 2, imported}  # neither what is rejected nor what was generated
    assert all(1 <= row.value <= 5 and row.detail for row in rubric.values())
    assert len({round(row.value, 6) for row in rubric.values()}) == 3
    newest = project.runs()[-1]
    assert newest.request.settings["adapter"]["name"] == "brief"
    assert newest.request.prompt_version == PROMPTS.version
    assert project.scores("rubric")[1].value == next(row.value for row in tuned if row.name == "rubric")
    assert 0 < (certainty(project, newest.id) or 0) < 1
    assert certainty(project, made) is None


def test_a_random_model_is_calibrated_as_of_no_use(project: Project, worker: Worker, tiny: Path) -> None:
    fill(project, 40)
    for id in range(1, 41):
        project.rate(id, 1 + id % 5)
    run(project, worker, tiny)
    found = calibration_of(project)
    assert found.n == 40
    assert not found.useful
    assert "Do not pick by them" in found.note


def test_a_run_that_was_stopped_goes_on_and_scores_nothing_twice(project: Project, worker: Worker, tiny: Path) -> None:
    fill(project, 8)
    whole = run(project, worker, tiny)
    going = score(project, worker, ScoreOptions(tiny, engine=SMALL))
    for item in going:
        if isinstance(item, Progress) and item.done >= 3:
            break
    going.close()
    stopped = project.runs()[-1]
    done, total = how_far(project, stopped)
    assert stopped.state == "cancelled"
    assert 3 <= done < total == 8
    kept = project.scores_of_run(stopped.id)
    items = list(resume_scores(project, worker))
    assert sum(isinstance(item, Scored) for item in items) == 8 - done
    after = project.scores_of_run(stopped.id)
    assert set(kept) <= set(after)
    assert project.run(stopped.id).state == "finished"
    for one, other in zip(whole, after, strict=True):  # another batch rounds otherwise
        assert one.value == pytest.approx(other.value, abs=0.01)
    with pytest.raises(UserError, match="no unfinished run of scores"):
        list(resume_scores(project, worker))


def scripted_job(
    model: Path, settings: EngineSettings, adapter: Adapter | None, subjects: list[Subject], *_: Any
) -> Iterator[Loaded | Scored | Usage]:
    """In the model's place: ends the process at the second example."""
    yield Loaded("tiny", "CPU", 0, 2, 4096, 4, "chat")
    for subject in subjects:
        if subject.example_id == 2:
            os.abort()
        yield Scored(subject.example_id, 4.0, "Fine.", 1.0)
        yield Usage()


def test_an_example_that_kills_the_child_costs_itself_only(
    project: Project, worker: Worker, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "score_job", scripted_job)
    fill(project, 4)
    items = list(score(project, worker, ScoreOptions(tiny, engine=SMALL)))
    assert [item for item in items if isinstance(item, Unscored)] == [Unscored(2, "The model's process crashed on it.")]
    assert project.scored(project.runs()[-1].id) == {1, 3, 4}
    assert project.runs()[-1].state == "finished"


def test_what_cannot_judge_or_be_judged_is_refused(
    project: Project, worker: Worker, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="nothing to score"):
        next(score(project, worker, ScoreOptions(tiny)))
    fill(project, 2)
    runs = len(project.runs())
    with pytest.raises(UserError, match="to judge examples is none of them"):
        next(score(project, worker, ScoreOptions(paths.starter_model())))
    with pytest.raises(UserError, match="makes vectors and no text"):
        next(score(project, worker, ScoreOptions(write_encoder(tmp_path / "encoder.gguf"))))
    with pytest.raises(UserError, match="no question 99"):
        next(score(project, worker, ScoreOptions(tiny, examples=(1, 99))))
    with pytest.raises(Cancelled):
        next(score(project, worker, ScoreOptions(tiny), lambda: True))
    assert len(project.runs()) == runs


def add(project: Project, values: dict[int, float]) -> int:
    run_id = project.start_run(make_settings("score"))
    project.add_scores(run_id, [ScoreRow(id, "rubric", value) for id, value in values.items()])
    return run_id


def test_what_scored_enough_is_kept_as_one_action(project: Project) -> None:
    fill(project, 5)
    project.set_state([4], "accepted")
    add(project, {1: 4.5, 2: 4.49, 3: 4.9, 4: 1.0})
    assert keep_scored(project) == 3
    states = [example.state for example in project.examples()]
    assert states == ["accepted", "rejected", "accepted", "accepted", "draft"]  # 4 was decided on, 5 has no score
    assert project.undo() == "Keep what scored 4.5 or more of 3 questions"
    assert project.counts()["draft"] == 4
    assert keep_scored(project, 2.0, [4]) == 1
    assert project.example(4).state == "rejected"
    project.set_state([3], "quarantined")
    assert keep_scored(project, 2.0, [3]) == 0
    assert project.example(3).state == "quarantined"  # though it is named


def test_a_score_is_of_the_words_that_were_judged(project: Project, worker: Worker, tiny: Path) -> None:
    fill(project, 3)
    options = ScoreOptions(tiny, (1, 2, 3), engine=SMALL)
    items = score(project, worker, options)
    next(item for item in items if isinstance(item, Loaded))
    project.edit_example(2, answer="Quite another one.")  # while the model reads the old one
    list(items)
    project.rate_all([1, 2, 3], 3)
    assert standing(project, [1, 2, 3]).keys() == {1, 3}
    project.edit_example(1, question="And what is this about?")
    assert calibration_of(project).n == calibration_of(project, run_id=project.runs()[-1].id).n == 1
    assert np.isnan(quality(project, [1, 2, 3]).parts["rubric"]).tolist() == [True, True, False]
    project.set_state([1, 2, 3], "draft")
    assert keep_scored(project, 1.0) == 1
    project.undo()
    project.undo()
    project.undo()
    assert standing(project, [1, 2, 3]).keys() == {1, 3}  # an undo brings the words back that were judged


def test_two_runs_are_compared_pair_by_pair(project: Project) -> None:
    fill(project, 40)
    random = np.random.default_rng(2)
    before = dict(enumerate(random.uniform(2, 4, 40), 1))
    changes = random.normal(0.4, 0.5, 40)
    first = add(project, before)
    second = add(project, {id: before[id] + changes[id - 1] for id in range(3, 41)})
    found = compare_scores(project, first, second)
    used = changes[2:]
    assert found.n == 38
    assert found.difference == pytest.approx(used.mean())
    assert found.second - found.first == pytest.approx(used.mean())
    assert found.kept_first == 0
    assert (found.low, found.high) == (None, None)  # all come from one passage, and one cluster shows no spread


def test_the_interval_of_a_comparison_is_that_of_independent_passages(project: Project) -> None:
    run_id = project.start_run(make_settings("import"))
    for slot in range(200):
        project.add_example(run_id, ExampleDraft(None, slot, IMPORTED, f"How many are {slot}?", "Four.", None))
    random = np.random.default_rng(3)
    changes = random.normal(0.2, 0.6, 200)
    first, second = add(project, dict.fromkeys(range(1, 201), 3.0)), add(project, dict(enumerate(3 + changes, 1)))
    found = compare_scores(project, first, second)
    exact = stats.t.interval(0.95, 199, changes.mean(), stats.sem(changes))
    assert (found.low, found.high) == pytest.approx(exact, abs=0.01)
    with pytest.raises(UserError, match="none of the same"):
        compare_scores(project, first, project.start_run(make_settings("score")))
