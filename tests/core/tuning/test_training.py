"""The whole training in the child: what is told, how it stops and goes on, and what is refused."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from core.engine import open_engine
from core.engine.logits import every_logit
from core.engine.requests import EngineSettings, Loaded, Loading
from core.errors import UserError
from core.tuning import training
from core.tuning.adapter_file import read_adapter
from core.tuning.records import (
    Agreement,
    Checkpointed,
    Evaluated,
    Prepared,
    Recipe,
    Sampled,
    Stepped,
    Trained,
    TrainingRow,
    TuningJob,
)
from core.tuning.tokens import Reader
from core.tuning.trainer import Step, Trainer
from core.tuning.training import estimate_job, kept_job, train_job
from core.worker import Worker, WorkerDied
from tests.data.gguf_tiny import SAMPLE, write_tiny

ENGINE = EngineSettings(threads=1)
RECIPE = Recipe(rank=4, alpha=8.0, learning_rate=5e-3, batch=4, epochs=3, context=256, threads=1, dtype="float32")
WORDS = SAMPLE.split()


def rows(count: int, seed: int = 0) -> tuple[TrainingRow, ...]:
    chance = Random(seed)

    def some(number: int) -> str:
        return " ".join(chance.choices(WORDS, k=number))

    return tuple(TrainingRow((("user", some(8)),), some(5), rejected=some(4), rationale=some(6)) for _ in range(count))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.gguf")


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def job(folder: Path, count: int = 12, held_out: int = 3, prompts: tuple[str, ...] = (), **recipe: Any) -> TuningJob:
    return TuningJob(rows(count), rows(held_out, 1), replace(RECIPE, **recipe), str(folder), prompts)


def kept(worker: Worker, folder: Path, model: Path) -> bytes:
    """The adapter of a training, as a file."""
    out = folder / "adapter.gguf"
    list(worker.run(kept_job, str(folder), model, out))
    return out.read_bytes()


def told(worker: Worker, model: Path, wanted: TuningJob) -> list[Any]:
    return [one for one in worker.run(train_job, model, ENGINE, wanted) if not isinstance(one, Loading | Loaded)]


def only(kind: type, items: list[Any]) -> list[Any]:
    return [one for one in items if isinstance(one, kind)]


def test_a_training_from_beginning_to_end(worker: Worker, tiny: Path, tmp_path: Path) -> None:
    items = told(worker, tiny, job(tmp_path, prompts=("Why is the sky blue?", "Who?"), evaluations=1))
    assert [type(one) for one in items[:6]] == [Agreement, Prepared, Sampled, Sampled, Evaluated, Checkpointed]
    prepared, agreement = items[1], items[0]
    assert agreement.passed
    assert (prepared.examples, prepared.held_out, prepared.steps, prepared.dropped) == (12, 3, 9, 0)
    assert prepared.estimate.fits
    steps = only(Stepped, items)
    assert [one.step for one in steps] == list(range(1, 10))
    assert [one.epoch for one in steps] == pytest.approx([number / 3 for number in range(1, 10)])
    assert sum(one.tokens for one in steps[:3]) == prepared.tokens - 12  # nothing follows the last
    assert steps[-1].loss < steps[0].loss
    looks = only(Evaluated, items)
    assert [one.step for one in looks] == [0, 3, 6, 9]
    assert not looks[0].best
    assert {(one.step, one.prompt) for one in only(Sampled, items)} == {(n, p) for n in (0, 3, 6, 9) for p in (0, 1)}
    best = min(looks[1:], key=lambda one: one.loss)
    assert items[-1] == Trained(9, best.step, best.loss, "finished")
    assert sorted(path.name.partition("-")[0] for path in tmp_path.iterdir()) == ["checkpoint", "checkpoint.json"]


def test_one_example_trains_without_a_held_out_part(worker: Worker, tiny: Path, tmp_path: Path) -> None:
    items = told(worker, tiny, job(tmp_path, 1, 0))
    assert only(Prepared, items)[0].held_out == 0
    assert only(Evaluated, items) == []
    assert items[-1] == Trained(3, 3, None, "finished")


@pytest.mark.parametrize("recipe", [{}, {"objective": "two-task"}, {"objective": "dpo", "dropout": 0.1, "noise": 5.0}])
def test_stopped_and_gone_on_with_it_is_the_same_training(
    worker: Worker, tiny: Path, tmp_path: Path, recipe: dict[str, Any]
) -> None:
    """Bit for bit, and a second training of the same seed as well."""
    through, parts, recipe = tmp_path / "through", tmp_path / "parts", {"patience": 0, **recipe}
    whole = told(worker, tiny, job(through, **recipe))
    expected = kept(worker, through, tiny)
    first = stopped_after(worker, tiny, job(parts, **recipe), 4)
    assert first[-1].why == "stopped"
    second = told(worker, tiny, job(parts, **recipe))
    assert second[-1] == whole[-1]
    numbers = {one.step: (one.loss, one.gradient) for one in only(Stepped, first + second)}
    assert numbers == {one.step: (one.loss, one.gradient) for one in only(Stepped, whole)}
    looks = {one.step: one for one in only(Evaluated, first + second)}
    assert looks == {one.step: one for one in only(Evaluated, whole)}
    assert kept(worker, parts, tiny) == expected
    told(worker, tiny, job(tmp_path / "again", **recipe))
    assert kept(worker, tmp_path / "again", tiny) == expected


def stopped_after(worker: Worker, model: Path, wanted: TuningJob, step: int) -> list[Any]:
    items = []
    for one in worker.run(train_job, model, ENGINE, wanted):
        items.append(one)
        if isinstance(one, Stepped) and one.step == step:
            worker.cancel()
    return items


def test_the_best_on_what_was_held_out_is_kept_and_no_better_one_ends_it(
    worker: Worker, tiny: Path, tmp_path: Path
) -> None:
    """Random answers cannot be known from others: the held-out loss soon rises."""
    items = told(worker, tiny, job(tmp_path, epochs=60, learning_rate=2e-2, patience=2))
    looks, done = only(Evaluated, items), items[-1]
    assert done.why == "early"
    best = min(looks[1:], key=lambda one: one.loss)
    assert (done.best_step, done.best_loss) == (best.step, best.loss)
    assert [one.best for one in looks[-3:]] == [True, False, False]
    assert done.step == looks[-1].step > done.best_step
    again = told(worker, tiny, job(tmp_path, epochs=60, learning_rate=2e-2, patience=2))
    assert again[2:] == [done]  # there is nothing to go on with
    assert next(iter(worker.run(kept_job, str(tmp_path), tiny, tmp_path / "a.gguf"))).best_step == done.best_step


def test_how_often_it_is_saved_changes_nothing(
    worker: Worker, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a checkpoint comes between the last step and the look at what is held out."""
    told(worker, tiny, job(tmp_path / "seldom", evaluations=1))
    monkeypatch.setattr(training, "BETWEEN", 0.0)
    items = list(train_job(tiny, ENGINE, job(tmp_path / "often", evaluations=1)))
    assert len(only(Checkpointed, items)) == 9 + 4
    assert kept(worker, tmp_path / "often", tiny) == kept(worker, tmp_path / "seldom", tiny)


def test_the_kept_adapter_says_what_is_needed_of_its_model(worker: Worker, tiny: Path, tmp_path: Path) -> None:
    told(worker, tiny, job(tmp_path, rank_stabilised=True))
    list(worker.run(kept_job, str(tmp_path), tiny, tmp_path / "a.gguf", {"elenchus.seed": 5}))
    adapter = read_adapter(tmp_path / "a.gguf")
    assert (adapter.architecture, adapter.rank) == ("llama", 4)
    assert adapter.alpha == pytest.approx(8.0 * 4**0.5)  # as llama.cpp reads alpha / √rank
    assert adapter.facts["elenchus.base.head_count"] == 4
    assert adapter.facts["elenchus.seed"] == 5
    assert len(adapter.pairs) == 14


def test_only_the_chosen_kinds_of_matrices_are_adapted(worker: Worker, tiny: Path, tmp_path: Path) -> None:
    told(worker, tiny, replace(job(tmp_path), targets=("attn_q", "ffn_down")))
    kept(worker, tmp_path, tiny)
    assert {name.split(".")[2] for name in read_adapter(tmp_path / "adapter.gguf").pairs} == {"attn_q", "ffn_down"}
    with pytest.raises(UserError, match=r"no matrices of the kinds.*attn_k.*ffn_up"):
        told(worker, tiny, replace(job(tmp_path / "other"), targets=("ssm_in",)))


def test_samples_are_answered_by_the_adapter_and_the_first_by_the_base(
    worker: Worker, tiny: Path, tmp_path: Path
) -> None:
    """One example learned by heart is what a sample of its prompt says."""
    row = TrainingRow((("user", "Why is the sky blue?"),), "Because of the air.")
    recipe = replace(RECIPE, epochs=60, learning_rate=1e-2, patience=0, evaluations=1)
    wanted = TuningJob((row,), (), recipe, str(tmp_path), ("Why is the sky blue?",))
    samples = only(Sampled, told(worker, tiny, wanted))
    assert samples[0].text != row.answer
    assert (samples[-1].step, samples[-1].text) == (60, row.answer)


def test_what_was_learned_by_heart_llama_cpp_knows_as_well(worker: Worker, tiny: Path, tmp_path: Path) -> None:
    """The loss in torch, the likelihood that llama.cpp gives with the adapter, and the base's, which is far from it."""
    recipe = replace(RECIPE, rank=8, epochs=40, learning_rate=1e-2, patience=0, evaluations=1)
    items = told(worker, tiny, TuningJob(rows(4), rows(4), recipe, str(tmp_path)))
    kept(worker, tmp_path, tiny)
    looks = only(Evaluated, items)
    assert looks[0].loss > 5
    assert looks[-1].loss < 0.1
    theirs = list(worker.run(nll_job, tiny, tmp_path / "adapter.gguf", rows(4)))[-1]
    assert theirs == pytest.approx(items[-1].best_loss, abs=0.05)
    base = list(worker.run(nll_job, tiny, None, rows(4)))[-1]
    assert base == pytest.approx(looks[0].loss, abs=0.05)


def nll_job(path: Path, adapter: Path | None, examples: tuple[TrainingRow, ...]) -> Iterator[Any]:
    """The mean of the answers' tokens by llama.cpp, read one by one."""
    engine = yield from open_engine(path, ENGINE)
    texts = [one for (one,) in Reader(engine.chat, engine.vocabulary, RECIPE).read(examples).groups]
    found = []
    for text in texts:
        loaded = engine.model.adapter(adapter) if adapter else None
        logits = every_logit(engine.model, text.tokens[:-1], loaded)[text.learned - 1 :].astype(np.float64)
        norms = np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1)) + logits.max(-1)
        found += list(norms - logits[np.arange(len(text.targets)), list(text.targets)])
    yield float(np.mean(found))


def test_an_estimate_is_told_and_nothing_is_trained(worker: Worker, tiny: Path, tmp_path: Path) -> None:
    items = list(worker.run(estimate_job, tiny, ENGINE, job(tmp_path / "none")))
    assert isinstance(items[-1], Prepared)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"count": 0}, "no examples to train on"),
        ({"context": 16}, "longer than the context of 16 tokens"),
        ({"rank": 1_000_000}, "smallest matrix has, 32"),
        ({"rank": 0}, "0 makes no sense as rank"),
        ({"learning_rate": float("nan")}, "nan makes no sense as learning rate"),
        ({"objective": "guess"}, "the objective is sft, two-task or dpo"),
        ({"device": "cuda"}, "no device “cuda”"),
    ],
)
def test_what_cannot_be_trained_is_said(
    worker: Worker, tiny: Path, tmp_path: Path, wanted: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        told(worker, tiny, job(tmp_path, **wanted))


@pytest.mark.parametrize(("objective", "sentence"), [("dpo", "a worse answer"), ("two-task", "has a rationale")])
def test_data_without_what_the_objective_needs_is_said(
    worker: Worker, tiny: Path, tmp_path: Path, objective: str, sentence: str
) -> None:
    plain = tuple(replace(row, rejected="", rationale="") for row in rows(4))
    with pytest.raises(UserError, match=sentence):
        told(worker, tiny, TuningJob(plain, (), replace(RECIPE, objective=objective), str(tmp_path)))


def test_a_model_of_no_numbers_does_not_pass_the_gate(worker: Worker, tmp_path: Path) -> None:
    model = write_tiny(tmp_path / "nan.gguf", nan=True)
    with pytest.raises(UserError, match=r"computes it otherwise than llama.cpp"):
        told(worker, model, job(tmp_path / "run"))


def test_numbers_without_bounds_end_it_and_what_was_kept_stays(
    worker: Worker, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"broke off at step \d+.*learning rate"):
        told(worker, tiny, job(tmp_path / "steep", learning_rate=1e30, clip=0.0, warmup=0.0))
    steps, broken = Trainer.step, Step(float("nan"), 1.0, 1e-3, 9)
    monkeypatch.setattr(Trainer, "step", lambda self, n, *rest: broken if n == 5 else steps(self, n, *rest))
    with pytest.raises(UserError, match="broke off at step 5"):
        list(train_job(tiny, ENGINE, job(tmp_path, evaluations=3)))
    (done,) = worker.run(kept_job, str(tmp_path), tiny, tmp_path / "a.gguf")
    assert done.step == 4


def test_a_checkpoint_of_another_training_is_refused(worker: Worker, tiny: Path, tmp_path: Path) -> None:
    told(worker, tiny, job(tmp_path))
    with pytest.raises(UserError, match="other examples or settings"):
        told(worker, tiny, job(tmp_path, seed=1))


def test_before_the_first_step_nothing_can_be_kept(worker: Worker, tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="before its first step"):
        kept(worker, tmp_path, tiny)


def test_what_does_not_fit_is_said_with_what_to_change(tiny: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("core.tuning.estimate.free", lambda _: 1_000_000)
    with pytest.raises(UserError, match=r"[MG]B of memory, and [0-9.]+ [MG]B are free.*context than 256.*rank than 4"):
        list(train_job(tiny, ENGINE, job(tmp_path)))


@pytest.mark.slow
def test_killed_at_any_step_it_goes_on_to_the_same_adapter(worker: Worker, tiny: Path, tmp_path: Path) -> None:
    """Twelve trainings of the same kind are killed again and again, while steps are made and while they are saved."""
    told(worker, tiny, job(tmp_path / "whole", evaluations=8))
    expected = kept(worker, tmp_path / "whole", tiny)
    chance, kills = Random(0), 0
    for number in range(12):
        folder = tmp_path / str(number)
        while not (finished := killed_somewhere(tiny, job(folder, evaluations=8), chance)):
            kills += 1
        assert finished
        assert kept(worker, folder, tiny) == expected
    assert kills > 12


def killed_somewhere(model: Path, wanted: TuningJob, chance: Random) -> bool:
    """Trains in a child that is killed a moment after one of its next steps; whether it came to its end before."""
    with Worker() as worker:
        last, moment = chance.randint(1, 6), chance.random() * 0.02
        running = worker.run(train_job, model, ENGINE, wanted)
        try:
            steps = (one for one in running if isinstance(one, Stepped | Trained))
            for count, _ in enumerate(takewhile(lambda one: isinstance(one, Stepped), steps), start=1):
                if count == last:
                    time.sleep(moment)  # somewhere in the next step, or in what is saved after this one
                    os.kill(worker._process.pid, signal.SIGKILL)
            return True
        except WorkerDied:
            return False
