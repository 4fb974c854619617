"""Fine-tunes a model in the worker's child: what is told of it, when it is looked at, and how it stops and goes on."""

import hashlib
import json
import math
import os
import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from core import worker
from core.engine import SPIN, close_engine, open_engine
from core.engine.devices import physical_cores
from core.engine.fit import estimate as engine_need
from core.engine.fit import size as in_words
from core.engine.requests import GREEDY, Adapter, EngineSettings, Loaded, Loading, Request, Task
from core.errors import Cancelled, UserError
from core.models.files import read_model
from core.tuning.batches import Order
from core.tuning.records import (
    OBJECTIVES,
    Agreement,
    AllTooLong,
    Checkpointed,
    Estimate,
    Evaluated,
    Prepared,
    Recipe,
    Sampled,
    Stepped,
    Trained,
    TuningItem,
    TuningJob,
)
from core.tuning.tokens import Reader, Texts
from core.tuning.traits import read_traits

if TYPE_CHECKING:
    from torch import Tensor

    from core.engine.engine import Engine
    from core.tuning.checkpoint import Checkpoint
    from core.tuning.decoder import Decoder
    from core.tuning.lora import Lora

BETWEEN = 60.0  # seconds after which a checkpoint is due
TOLD = 200  # steps, losses and samples that are in a checkpoint too: whoever keeps them may be killed before it has
SAMPLE_TOKENS = 160
SAMPLES_AT_ONCE = 4
SAMPLE_CONTEXT = 1024  # tokens of one

Told = Loading | Loaded | TuningItem


def train_job(model: Path, settings: EngineSettings, job: TuningJob) -> Iterator[Told]:
    """A worker's job: the whole training, from its last checkpoint where there is one.

    When cancelled it keeps the state after the last whole step and ends with Trained(why="stopped"); before the first
    it ends quietly. Raises UserError when there is nothing to train on, torch and llama.cpp do not agree, there is no
    memory or no room on the disk, or the numbers are finite no more. What was kept stays.
    """
    try:
        ready = yield from _prepare(model, settings, job)
    except Cancelled:
        return
    if not ready.estimate.fits:
        raise UserError(_too_large(ready.estimate, job.recipe))
    yield from _Training(ready, job).run()


def estimate_job(model: Path, settings: EngineSettings, job: TuningJob) -> Iterator[Told]:
    """A worker's job: what a training would take, told by Prepared, also where there is no memory for it.

    Raises as `train_job` does.
    """
    try:
        yield from _prepare(model, settings, job)
    except Cancelled:
        return


def kept_job(
    folder: str, model: Path, out: Path, facts: Mapping[str, str | int | float] | None = None
) -> Iterator[Trained]:
    """A worker's job: writes the adapter of a checkpoint as GGUF: the best on what was held out, else the last.

    `facts` go into its metadata. Then says how far the training was, as of one that was stopped. Raises UserError when
    there is no checkpoint after a step, or the file cannot be written.
    """
    from core.tuning import checkpoint

    kept = checkpoint.load(Path(folder))
    if kept is None or not kept.facts["step"]:
        raise UserError("The training was stopped before its first step was kept, so there is no adapter yet. Go on.")
    tensors = checkpoint.under("best", kept.tensors) or checkpoint.under("adapter", kept.tensors)
    facts = {**kept.facts["heads"], **(facts or {})}
    _write_adapter(out, kept.facts["architecture"], tensors, kept.facts["alpha"], facts)
    done = _Progress.of(kept)
    yield Trained(done.step, done.best_step or done.step, done.best_loss, "stopped")


@dataclass(frozen=True)
class _Ready:
    """All that is there before the first step."""

    engine: "Engine"
    decoder: "Decoder"
    lora: "Lora"
    texts: Texts
    held_out: Texts
    order: Order
    recipe: Recipe  # as it was asked for, but the context is no longer than the model's
    estimate: Estimate
    threads: int
    kept: "Checkpoint | None"


@dataclass
class _Progress:
    """How far a training is."""

    step: int = 0
    best_step: int = 0  # 0: nothing was held out, or not looked at yet
    best_loss: float | None = None
    waited: int = 0  # evaluations since the best
    looked: int = -1  # the step after which the held-out loss was last looked at

    @classmethod
    def of(cls, kept: "Checkpoint | None") -> "_Progress":
        return cls(**kept.facts["progress"]) if kept else cls()


def _prepare(model: Path, settings: EngineSettings, job: TuningJob) -> Generator[Told, None, _Ready]:
    """Reads the examples, asks whether torch and llama.cpp agree, and reckons what it will take."""
    _check(job)
    yield Loading(0.0)
    os.environ.setdefault(*SPIN)  # before the next line loads OpenMP
    import torch

    from core.tuning import checkpoint, estimate, parity
    from core.tuning.decoder import Decoder
    from core.tuning.weights import Weights

    kept = checkpoint.load(Path(job.folder))
    if kept and kept.facts["job"] != _fingerprint(job):
        raise UserError("What was kept belongs to a training of other examples or settings. Begin a new one.")
    facts = kept.facts if kept else {}
    device = estimate.chosen_device(facts.get("device") or job.recipe.device)
    besides = _bare() if device == "cpu" else 0
    engine = yield from open_engine(model, _for_samples(settings, job, device))
    yield engine.loaded
    file = read_model(model)
    recipe = replace(job.recipe, context=min(job.recipe.context, read_traits(model).context))
    reader = Reader(engine.chat, engine.vocabulary, recipe)
    texts, held_out = reader.read(job.rows), reader.read(job.held_out)
    _check_texts(texts, recipe, len(job.rows))
    threads = facts.get("threads") or recipe.threads or physical_cores()
    torch.set_num_threads(threads)
    decoder = Decoder(Weights(model, device, facts.get("dtype") or estimate.chosen_dtype(recipe.dtype, device)))
    agreement = parity.check(decoder, engine.model, _of_the_longest(texts, parity.TOKENS))
    yield agreement
    if not agreement.passed:
        raise UserError(_disagreement(agreement, file.name))
    if not job.prompts:
        close_engine()
    elif device == "cpu":
        need = engine_need(file.dimensions, 0, engine.context.shape).system
        besides += need.cache + need.compute
    lora = _fresh_lora(decoder, job)
    order = Order(len(texts.groups), recipe.batch, recipe.epochs, recipe.seed)
    work = estimate.Work.of(texts.groups, held_out.groups, recipe)
    took = estimate.estimate(decoder, lora, recipe, work, order, besides)
    yield _prepared(texts, held_out, order, took, facts.get("step", 0))
    return _Ready(engine, decoder, lora, texts, held_out, order, recipe, took, threads, kept)


class _Training:
    """One run, from its last checkpoint or from the beginning."""

    def __init__(self, ready: _Ready, job: TuningJob) -> None:
        from core.tuning.trainer import Trainer

        self.ready, self.job, self.recipe, self.order = ready, job, ready.recipe, ready.order
        self.trainer = Trainer(ready.decoder, ready.lora, ready.recipe, ready.order.steps, ready.estimate.recompute)
        self.progress = _Progress.of(ready.kept)
        self.best: dict[str, Tensor] = {}  # the adapter
        self.references: dict[str, Tensor] = {}  # of DPO
        self.fingerprint = _fingerprint(job)
        self.saved = (self.progress.step, self.progress.looked) if ready.kept else None
        self.saved_at = time.monotonic()
        self.told: deque[Stepped | Evaluated | Sampled] = deque(maxlen=TOLD)

    def run(self) -> Iterator[Told]:
        """All that is told from here on."""
        for item in self._run():
            if isinstance(item, Stepped | Evaluated | Sampled):
                self.told.append(item)
            yield item

    def _run(self) -> Iterator[Told]:
        from core.tuning import estimate

        weights = self.ready.decoder.weights
        weights.keep_dense(self.ready.estimate.dense_layers)
        estimate.forget_peak(weights.device)
        if self.ready.kept:
            self._take_up(self.ready.kept)
        elif not self._find_references():
            return
        while not worker.cancelled():
            if self._is_due():
                yield from self._look()
            elif self._why_over() or (stepped := self._step()) is None:
                break
            else:
                yield stepped
                if time.monotonic() - self.saved_at > BETWEEN:
                    yield from self._save()
        if self.saved is not None:  # else it was stopped before it began
            yield from self._save()
            done, why = self.progress, "" if self._is_due() else self._why_over()
            yield Trained(done.step, done.best_step or done.step, done.best_loss, why or "stopped")

    def _find_references(self) -> bool:
        """What DPO compares with, once for the whole run; False where it was cancelled."""
        if self.recipe.objective == "dpo":
            for name, texts in (("train", self.ready.texts), ("held_out", self.ready.held_out)):
                found = self.trainer.references(texts.groups, worker.cancelled)
                if found is None:
                    return False
                self.references[name] = found
        return True

    def _take_up(self, kept: "Checkpoint") -> None:
        """Goes on from a checkpoint."""
        from core.tuning.checkpoint import under

        self.trainer.load(kept.tensors, self.progress.step)
        self.best, self.references = under("best", kept.tensors), under("reference", kept.tensors)

    def _why_over(self) -> str:
        """Why there is nothing left to do; empty while there is."""
        if self.progress.step >= self.order.steps:
            return "finished"
        return "early" if 0 < self.recipe.patience <= self.progress.waited else ""

    def _is_due(self) -> bool:
        """Whether the held-out loss has to be looked at now: so many times an epoch, before the first step, and after
        the last."""
        step, looks = self.progress.step, self.recipe.evaluations / self.order.steps_each
        due = step in (0, self.order.steps) or math.floor(step * looks) > math.floor((step - 1) * looks)
        return due and self.progress.looked < step

    def _step(self) -> Stepped | None:
        """The next step; None when it was cancelled. Raises UserError when its numbers are not finite."""
        from core.tuning import estimate

        began, number = time.perf_counter(), self.progress.step + 1
        chosen = self.order.of(number)
        references = self.references["train"][chosen] if self.references else None
        groups = [self.ready.texts.groups[place] for place in chosen]
        done = self.trainer.step(number, groups, references, worker.cancelled)
        if done is None:
            return None
        if not done.finite:
            raise UserError(_not_finite(number, done.learning_rate))
        self.progress.step = number
        return Stepped(
            number,
            self.order.steps,
            self.order.epoch(number),
            done.loss,
            done.learning_rate,
            done.gradient,
            done.tokens,
            time.perf_counter() - began,
            estimate.peak(self.ready.decoder.weights.device),
        )

    def _look(self) -> Iterator[Told]:
        """The samples and the held-out loss after the last step, and then a checkpoint.

        What a cancel breaks off is done anew when the training goes on: it is the same as one that was not stopped.
        """
        yield from self._samples()
        if (groups := self.ready.held_out.groups) and not worker.cancelled():
            found = self.trainer.evaluate(groups, self.references.get("held_out"), worker.cancelled)
            if found is not None:
                yield self._judged(*found)
        if not worker.cancelled():
            self.progress.looked = self.progress.step
            yield from self._save()

    def _judged(self, loss: float, accuracy: float | None) -> Evaluated:
        """Notes whether the adapter is the best so far. Raises UserError when the loss is not finite."""
        done = self.progress
        if not math.isfinite(loss):
            raise UserError(_not_finite(done.step, self.recipe.learning_rate))
        best = done.step > 0 and (done.best_loss is None or loss < done.best_loss)
        if best:
            done.best_step, done.best_loss, done.waited = done.step, loss, 0
            self.best = {name: tensor.clone() for name, tensor in self.ready.lora.tensors().items()}
        elif done.step:
            done.waited += 1
        done.looked = done.step
        return Evaluated(done.step, loss, best, accuracy)

    def _samples(self) -> Iterator[Sampled]:
        """The answers to the run's prompts, by llama.cpp with the adapter as it is."""
        engine, step = self.ready.engine, self.progress.step
        if not self.job.prompts:
            return
        path = Path(self.job.folder) / f"sample-{step}.gguf"
        if step:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_adapter(path, self.ready.decoder.traits.architecture, self.ready.lora.tensors(), self._alpha)
        try:
            tasks = (_sample(step, place, prompt) for place, prompt in enumerate(self.job.prompts))
            yield from engine.run(tasks, adapter=Adapter(path) if step else None)
        finally:
            engine.forget(path)
            path.unlink(missing_ok=True)

    @property
    def _alpha(self) -> float:
        """As llama.cpp reads it, which divides it by the rank."""
        return self.ready.lora.scale * self.recipe.rank

    def _save(self) -> Iterator[Checkpointed]:
        """A checkpoint after the last whole step, where there is none yet."""
        from core.tuning import checkpoint
        from core.tuning.adapter_file import HEADS, KV_HEADS

        now = self.progress.step, self.progress.looked
        if self.saved == now:
            return
        traits, estimate = self.ready.decoder.traits, self.ready.estimate
        facts = {
            "step": self.progress.step,
            "progress": asdict(self.progress),
            "job": self.fingerprint,
            "recipe": asdict(self.job.recipe),
            "device": estimate.device,
            "dtype": estimate.dtype,
            "threads": self.ready.threads,
            "architecture": traits.architecture,
            "alpha": self._alpha,
            "heads": {HEADS: traits.heads, KV_HEADS: traits.kv_heads},
            "told": [(type(item).__name__, asdict(item)) for item in self.told],
        }
        tensors = self.trainer.state()
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        tensors |= {f"reference.{name}": tensor for name, tensor in self.references.items()}
        checkpoint.save(Path(self.job.folder), checkpoint.Checkpoint(tensors, facts))
        self.saved, self.saved_at = now, time.monotonic()
        yield Checkpointed(self.progress.step)


def _sample(step: int, place: int, prompt: str) -> Task[Sampled]:
    request = Request((("user", prompt),), SAMPLE_TOKENS, GREEDY, thinks=False)
    return Sampled(step, place, (yield request).text.strip())


@cache
def _bare() -> int:
    """What this process takes with torch and without a model: bytes."""
    from core.tuning import estimate

    close_engine()
    return estimate.resident()


def _of_the_longest(texts: Texts, count: int) -> list[int]:
    """So many tokens of the longest text, and of the next ones where that is shorter."""
    longest_first = sorted((group[0].tokens for group in texts.groups), key=len, reverse=True)
    return list(islice(chain.from_iterable(longest_first), count))


def _fresh_lora(decoder: "Decoder", job: TuningJob) -> "Lora":
    """An adapter that changes nothing yet. Raises UserError where the model has no such matrix."""
    import torch

    from core.tuning.lora import Lora

    weights, recipe = decoder.weights, job.recipe
    shapes = {
        name: shape for name, shape in weights.linears.items() if not job.targets or name.split(".")[2] in job.targets
    }
    if not shapes:
        kinds = ", ".join(sorted({name.split(".")[2] for name in weights.linears}))
        raise UserError(f"The model has no matrices of the kinds that were chosen. It has these: {kinds}.")
    if recipe.rank > (least := min(min(shape) for shape in shapes.values())):
        raise UserError(
            f"A rank of {recipe.rank:,} is more than the model's smallest matrix has, {least:,}. Choose a lower one: "
            "16 is usual."
        )
    generator = torch.Generator().manual_seed(recipe.seed)
    lora = Lora(shapes, recipe.rank, recipe.alpha, recipe.rank_stabilised, recipe.dropout, generator)
    return lora.to(weights.device)


def _write_adapter(
    path: Path,
    architecture: str,
    tensors: "Mapping[str, Tensor]",
    alpha: float,
    facts: Mapping[str, str | int | float] | None = None,
) -> None:
    from core.tuning.adapter_file import write_adapter

    try:
        write_adapter(path, architecture, {name: one.cpu().numpy() for name, one in tensors.items()}, alpha, facts)
    except OSError as error:
        raise UserError(
            f"The adapter could not be written to {path}: {error.strerror}. What was kept of the training is still "
            "there: make room, or choose another place."
        ) from error


def _for_samples(settings: EngineSettings, job: TuningJob, device: str) -> EngineSettings:
    """An engine as small as will do; on the processor, for the graphics card trains."""
    several = max(1, min(len(job.prompts), SAMPLES_AT_ONCE))
    small = replace(settings, sequences=several, context=several * SAMPLE_CONTEXT)
    return small if device == "cpu" else replace(small, gpu_layers=0)


def _prepared(texts: Texts, held_out: Texts, order: Order, took: Estimate, done: int) -> Prepared:
    of_all = [text for group in texts.groups for text in group]
    return Prepared(
        examples=len(texts.groups),
        held_out=len(held_out.groups),
        dropped=texts.dropped + held_out.dropped,
        cut=texts.cut + held_out.cut,
        tokens=sum(len(text.tokens) for text in of_all),
        answer_tokens=sum(len(text.targets) for text in of_all),
        longest=max(len(text.tokens) for text in of_all),
        steps=order.steps,
        estimate=took,
        lacking=texts.lacking + held_out.lacking,
        done=done,
    )


def _fingerprint(job: TuningJob) -> str:
    """What makes a training this one and no other."""
    what = [asdict(job.recipe), [asdict(row) for row in (*job.rows, *job.held_out)], len(job.rows), job.targets]
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


# What is said when it cannot be done


def _check(job: TuningJob) -> None:
    """Raises UserError where there is nothing to train on, or a choice makes no sense."""
    recipe = job.recipe
    if not job.rows:
        raise UserError("The dataset has no examples to train on. Accept some, or choose another dataset.")
    above_zero = ("rank", "alpha", "learning_rate", "epochs", "batch", "context")
    not_below = ("warmup", "weight_decay", "clip", "dropout", "noise", "rationale_weight", "evaluations", "patience")
    for name in (*above_zero, *not_below):
        value = getattr(recipe, name)
        if not 0 <= value < math.inf or (name in above_zero and not value):
            raise UserError(f"{value} makes no sense as {name.replace('_', ' ')}. Choose another.")
    if recipe.dropout >= 1 or recipe.warmup > 1 or recipe.objective not in OBJECTIVES:
        raise UserError("Dropout and warm-up are shares below one, and the objective is sft, two-task or dpo.")


def _check_texts(texts: Texts, recipe: Recipe, rows: int) -> None:
    """Raises UserError where no example can be used, or none has what the objective needs."""
    if texts.lacking == rows and recipe.objective == "dpo":
        raise UserError(
            "No example has a worse answer beside its own, which DPO learns from. Choose the objective “sft”, or data "
            "with rejected answers."
        )
    if texts.lacking == rows and recipe.objective == "two-task":
        raise UserError(
            "No example has a rationale to learn from. Choose the objective “sft”, or data with rationales."
        )
    if not texts.groups:
        raise AllTooLong(
            f"All examples are longer than the context of {recipe.context:,} tokens; the longest has "
            f"{texts.longest:,}. Choose a longer context, or have the beginning of long prompts cut."
        )


def _disagreement(agreement: Agreement, name: str) -> str:
    return (
        f"“{name}” cannot be trained: Elenchus computes it otherwise than llama.cpp does (KL {agreement.kl:.3g} nats a "
        f"token, relative L2 {agreement.relative_l2:.3g}, the same likeliest token in {agreement.top1:.0%}; the "
        f"limit is a KL of {agreement.limit:g}). Choose another model."
    )


def _too_large(took: Estimate, recipe: Recipe) -> str:
    return (
        f"The training would take about {in_words(took.memory)} of memory, and {in_words(took.available)} are free. "
        f"Choose a shorter context than {recipe.context:,} tokens, a lower rank than {recipe.rank}, a smaller model, "
        "or close other programs."
    )


def _not_finite(step: int, rate: float) -> str:
    return (
        f"The training broke off at step {step}: its numbers grew beyond all bounds, as they do where the learning "
        f"rate ({rate:.2g} in this step) is too high for the data. What was kept before is still there; going on would "
        "end here again. Start a new run with a lower learning rate."
    )
