"""Tuning runs from beginning to end: what is committed, crashes, stops, going on, and the adapter in the project."""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import paths
from core.cli import main
from core.engine.requests import EngineSettings
from core.errors import UserError
from core.project.project import Project
from core.project.tuning import DatasetRow
from core.retrying import Restarted, TooManyCrashes
from core.tuning import training, tune
from core.tuning.adapter_file import read_adapter
from core.tuning.records import Checkpointed, Prepared, Recipe, Sampled, Stepped, Trained
from core.tuning.tune import Kept, TuneOptions, checkpoint_folder
from core.worker import Worker
from tests.core.project.project_material import make_settings
from tests.core.tuning import scripted
from tests.data.gguf_tiny import write_tiny

ENGINE = EngineSettings(context=512, sequences=1, threads=1)
RECIPE = Recipe(
    rank=4,
    alpha=8.0,
    epochs=2.0,
    batch=4,
    context=128,
    evaluations=1,
    patience=0,
    threads=1,
    dtype="float32",  # not what a measurement says, which another run may see otherwise
    learning_rate=1e-2,
)
SIDES = (*["train"] * 5, "validation")
WORDS = (
    "sky",
    "river",
    "harbour",
    "bridge",
    "lighthouse",
    "page",
    "question",
    "answer",
    "captain",
    "storm",
    "train",
    "park",
)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """One child for all, for torch takes seconds to come up."""
    with Worker() as worker:
        yield worker


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.create(tmp_path / "test.elenchus") as project:
        rows = [DatasetRow((("user", f"The {word}?"),), f"{word}!", split=SIDES[n % 6]) for n, word in enumerate(WORDS)]
        project.add_dataset("words", {}, rows)
        yield project


def options(model: Path, **changes: Any) -> TuneOptions:
    return replace(TuneOptions("words", model, RECIPE, ("The sky?",), engine=ENGINE), **changes)


def of(kind: type[Any], items: list[Any]) -> list[Any]:
    return [item for item in items if isinstance(item, kind)]


def stopping(at: int, items: list[Any]) -> Callable[[], bool]:
    """A question that is answered with yes once a step is done."""
    return lambda: any(item.step >= at for item in of(Stepped, items))


def collect(items: list[Any], run: Iterator[Any]) -> list[Any]:
    for item in run:
        items.append(item)
    return items


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, model: Path, worker: Worker) -> dict[str, Any]:
    """What comes of a run that nothing interrupts: the adapter's tensors and its curve."""
    with Project.create(tmp_path_factory.mktemp("whole") / "whole.elenchus") as project:
        rows = [DatasetRow((("user", f"The {word}?"),), f"{word}!", split=SIDES[n % 6]) for n, word in enumerate(WORDS)]
        project.add_dataset("words", {}, rows)
        items = list(tune.tune(project, worker, options(model)))
        (run,), (adapter,) = project.runs(), project.adapters()
        return {
            "items": items,
            "run": run,
            "adapter": adapter,
            "file": read_adapter(project.adapter_file(adapter.id)),
            "points": project.tuning_points(run.id),
            "samples": project.tuning_samples(run.id),
            "folder": checkpoint_folder(project, run.id),
        }


def assert_same_adapter(file: Path, expected: Any) -> None:
    found = read_adapter(file)
    assert list(found.pairs) == list(expected.pairs)
    for name, pair in expected.pairs.items():
        for one, other in zip(found.pairs[name], pair, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_run_keeps_its_curve_its_samples_and_its_adapter(undisturbed: dict[str, Any], model: Path) -> None:
    items, run, adapter = undisturbed["items"], undisturbed["run"], undisturbed["adapter"]
    (trained,), (prepared,), (kept,) = of(Trained, items), of(Prepared, items), of(Kept, items)
    steps = of(Stepped, items)
    assert (run.state, run.request.kind, run.request.model_name) == ("finished", "tune", "tiny-random")
    assert kept.adapter == adapter
    assert (adapter.name, adapter.step, adapter.rank) == ("words r4 #1", trained.best_step, 4)
    assert (prepared.examples, prepared.held_out, prepared.steps) == (10, 2, len(steps))
    points = {point.step: point for point in undisturbed["points"]}
    assert list(points) == list(range(len(steps) + 1))
    assert all(points[step.step].loss == pytest.approx(step.loss) for step in steps)
    assert points[0].loss is None
    assert points[0].held_out is not None
    assert min(point.held_out for point in points.values() if point.held_out is not None) == adapter.best_loss
    assert points[len(steps)].held_out < points[0].held_out * 0.7  # it learned
    answers = {sample.step: sample.text for sample in undisturbed["samples"]}
    assert len(answers) == len(of(Sampled, items)) > 1
    assert answers[0] != answers[max(answers)]
    settings = run.request.settings
    assert settings["trained"]["best_step"] == adapter.step
    assert settings["agreement"]["kl"] < 0.02
    assert settings["prepared"]["estimate"]["device"] == "cpu"
    facts = undisturbed["file"].facts
    assert facts["elenchus.base.sha256"] == run.request.model_sha256
    assert facts["elenchus.dataset.sha256"] == settings["dataset"]["sha256"]
    assert json.loads(facts["elenchus.recipe"]) == settings["recipe"]
    assert len(json.loads(facts["elenchus.curve"])) == len(points)
    assert facts["general.name"] == "words r4 #1"
    assert not undisturbed["folder"].exists()


def test_a_child_that_is_killed_costs_nothing(
    project: Project, worker: Worker, model: Path, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "train_job", scripted.dies_once)
    items = list(tune.tune(project, worker, options(model)))
    assert len(of(Restarted, items)) == 1
    steps = [item.step for item in of(Stepped, items)]
    assert sorted(set(steps)) == list(range(1, max(steps) + 1))
    assert len(steps) > len(set(steps))  # the last before the kill was made again
    (adapter,) = project.adapters()
    assert_same_adapter(project.adapter_file(adapter.id), undisturbed["file"])
    found = [replace(point, seconds=0.0, memory=0) for point in project.tuning_points(adapter.run_id)]
    assert found == [replace(point, seconds=0.0, memory=0) for point in undisturbed["points"]]


def test_stopping_keeps_what_was_learned_and_goes_on_to_the_same_end(
    project: Project, worker: Worker, model: Path, undisturbed: dict[str, Any]
) -> None:
    items: list[Any] = []
    collect(items, tune.tune(project, worker, options(model), stopping(2, items)))
    (run,), (kept,) = project.runs(), of(Kept, items)
    done = of(Trained, items)[0].step
    assert run.state == "cancelled"
    assert of(Trained, items)[0].why == "stopped"
    assert kept.adapter.name == f"words r4 #1, step {done}"
    assert read_adapter(project.adapter_file(kept.adapter.id)).rank == 4
    assert checkpoint_folder(project, run.id).exists()
    rest = list(tune.resume(project, worker))
    assert of(Stepped, rest)[0].step == done + 1
    assert project.run(run.id).state == "finished"
    final = project.adapter("words r4 #1")
    assert_same_adapter(project.adapter_file(final.id), undisturbed["file"])
    assert not checkpoint_folder(project, run.id).exists()
    with pytest.raises(UserError, match="no tuning that stopped"):
        next(tune.resume(project, worker))


def test_stopped_before_the_first_step_there_is_no_adapter(project: Project, worker: Worker, model: Path) -> None:
    items: list[Any] = []
    collect(items, tune.tune(project, worker, options(model, prompts=()), lambda: bool(items)))
    assert project.runs()[0].state == "cancelled"
    assert project.adapters() == []
    assert not of(Kept, items)


def test_a_child_that_always_dies_ends_the_run_with_its_curve(
    project: Project, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "train_job", scripted.dies_always)
    with Worker() as worker, pytest.raises(TooManyCrashes):
        list(tune.tune(project, worker, options(model)))
    (run,) = project.runs()
    assert (run.state, len(project.tuning_points(run.id))) == ("failed", 1)


def test_a_full_disk_loses_nothing(
    project: Project, worker: Worker, model: Path, undisturbed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(training, "train_job", scripted.full_disk)
        with pytest.raises(UserError, match="No space left"):
            list(tune.tune(project, worker, options(model)))
    (run,) = project.runs()
    assert (run.state, run.reason) == (
        "failed",
        "The state of the training could not be saved: No space left on device.",
    )
    assert len(project.tuning_points(run.id)) > 1
    (kept,) = project.adapters()
    assert kept.name == f"words r4 #1, step {kept.step}"
    list(tune.resume(project, worker, run.id))
    assert_same_adapter(project.adapter_file(project.adapter("words r4 #1").id), undisturbed["file"])


def test_numbers_out_of_bounds_are_said_and_the_curve_stays(project: Project, worker: Worker, model: Path) -> None:
    wild = replace(RECIPE, learning_rate=1e30, warmup=0.0, clip=0.0)
    with pytest.raises(UserError, match="lower learning rate"):
        list(tune.tune(project, worker, options(model, recipe=wild, prompts=())))
    (run,) = project.runs()
    assert run.state == "failed"
    assert project.tuning_points(run.id)


def test_estimate_trains_nothing_and_starts_no_run(project: Project, worker: Worker, model: Path) -> None:
    items = list(tune.estimate(project, worker, options(model, prompts=())))
    assert isinstance(items[-1], Prepared)
    assert items[-1].estimate.fits
    assert (project.runs(), project.adapters()) == ([], [])
    assert not checkpoint_folder(project, 0).exists()


def test_what_is_left_for_a_test_is_never_read(project: Project, worker: Worker, model: Path) -> None:
    """It is longer than the context, which would be told of a row that is read."""
    rows = project.dataset_rows(project.dataset("words").id)
    unread = [DatasetRow((("user", "sky " * 500 + str(n)),), "sky", split="test") for n in range(4)]
    project.add_dataset("with a test", {}, [*unread[:2], *rows, *unread[2:]])
    told = []
    for name in ("words", "with a test"):
        prepared = list(tune.estimate(project, worker, options(model, dataset=name, prompts=())))[-1]
        assert isinstance(prepared, Prepared)
        told.append((prepared.examples, prepared.held_out, prepared.tokens, prepared.dropped, prepared.cut))
    assert told[0] == told[1]
    assert told[0][:2] == (10, 2)


def test_another_model_or_dataset_is_refused_on_going_on(
    project: Project, worker: Worker, model: Path, tmp_path: Path
) -> None:
    items: list[Any] = []
    collect(items, tune.tune(project, worker, options(model, prompts=()), stopping(1, items)))
    other = write_tiny(tmp_path / "other.gguf", seed=5)
    with pytest.raises(UserError, match="is another file"):
        list(tune.resume(project, worker, model=other))
    project.add_settings(1, dataset={"name": "words", "sha256": "00" * 32})
    with pytest.raises(UserError, match="dataset that run 1 was begun with is not"):
        list(tune.resume(project, worker))
    for settings in ({"recipe": {"rank": "x"}}, {"recipe": {"rank": 4, "evil": 1}}, {"recipe": []}, {"prompts": 5}):
        run_id = project.start_run(
            replace(make_settings("tune"), settings={**project.run(1).request.settings, **settings})
        )
        project.finish_run(run_id, "failed", {})
        with pytest.raises(UserError, match=f"settings of run {run_id} are not whole"):
            list(tune.resume(project, worker, run_id))


def test_what_is_said_without_the_extra(
    project: Project, worker: Worker, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune.extra, "NEEDED", ("torch_of_another_world",))
    with pytest.raises(UserError, match=r"Fine-tuning needs torch_of_another_world, which is .* pip install"):
        next(tune.tune(project, worker, options(model)))
    assert project.runs() == []


def test_checkpoints_lie_in_the_users_folder(project: Project) -> None:
    assert checkpoint_folder(project, 7) == paths.data_folder() / "tuning" / project.id / "run-7"
    assert of(Checkpointed, []) == []


def test_the_commands_from_a_file_to_an_exported_adapter(
    worker: Worker, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("core.worker.Worker", lambda: nullcontext(worker))  # torch is there already
    lines = [json.dumps({"prompt": f"The {word}?", "completion": f"{word}!"}) for word in WORDS[:10]]
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join([*lines, '{"prompt": "?", "completion": ""}']) + "\n")

    def elenchus(*arguments: object, code: int = 0) -> Any:
        assert main([str(argument) for argument in arguments]) == code
        return capsys.readouterr()

    project = tmp_path / "lab.elenchus"
    elenchus("new", project)
    common = ("--dataset", rows, "--model", model, "--threads", 1, "--context", 128)
    refused = elenchus("tune", project, *common, code=1)
    assert "Row 11: its answer is empty." in refused.err
    asked = ("--rank", 4, "--batch", 4, "--epochs", 2, "--lr", 0.01, "--name", "terse", "--prompt", "The sky?")
    done = elenchus("tune", project, *common, *asked, "--skip-bad", "--json")
    adapter = json.loads(done.out)
    assert (adapter["name"], adapter["rank"], adapter["base_name"]) == ("terse", 4, "tiny-random")
    for said in (
        "“rows.jsonl” has 10 rows, of which 1 is held out",
        "1 could not be used and were left out.",
        "torch and llama.cpp agree: KL ",
        "9 examples of ",
        "Prompt 1 after step 0: ",
    ):
        assert said in done.err
    assert "terse  rank 4, step " in elenchus("adapters", project).out
    elenchus("adapters", project, "--export", "terse", "--out", tmp_path / "terse.gguf")
    assert read_adapter(tmp_path / "terse.gguf").facts["general.name"] == "terse"
    elenchus("adapters", project, "--export", "terse", "--peft", tmp_path / "peft")
    assert sorted(file.name for file in (tmp_path / "peft").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    again = elenchus("adapters", project, "--export", "terse", "--out", tmp_path / "terse.gguf", code=1)
    assert "exists already" in again.err
