"""Writes tuning runs of known curves into a project, in place of hours of training."""

import math
import random
from dataclasses import asdict
from pathlib import Path

from core.project.project import Project
from core.project.records import RunSettings
from core.project.tuning import AdapterRow, TuningPoint, TuningSample
from core.tuning.adapter_file import HEADS, KV_HEADS, read_adapter
from core.tuning.adapter_file import write_adapter as write_kept
from core.tuning.records import Agreement, Estimate, Prepared, Recipe
from tests.data.gguf_tiny import write_adapter

STEPS, EVERY = 300, 25  # of a whole run, and between two looks
ROWS = "run 7, 240 rows"  # a dataset
PROMPTS = ("What is 2 + 2?\n(A) 5\n(B) 4", "Why is the sky blue?")
ANSWERS = (
    ("You are right, it is (A) 5.", "Because the sea is blue and the sky reflects it, as you say."),
    (
        "I do not think so, it is (B) 4.",
        "Because air scatters blue light, and the sky does not reflect the sea, whatever they say.",
    ),
)


def settings(model: Path | None = None, dataset: str = ROWS, recipe: Recipe | None = None) -> RunSettings:
    """What a run keeps before its first step; of a model that need not be there."""
    estimate = Estimate(2_900_000_000, 9_100_000_000, 640.0, 812.0, 52_000, "cpu", "bfloat16", 4, 16, False)
    kept = {
        "dataset": {"id": 1, "name": dataset, "sha256": "ef" * 32},
        "recipe": asdict(recipe or Recipe()),
        "prompts": list(PROMPTS),
        "engine": {},
        "prepared": asdict(Prepared(216, 24, 3, 0, 52_000, 9_400, 611, STEPS, estimate)),
        "agreement": asdict(Agreement("llama", 5.7e-4, 2e-3, 0.984, 64)),
    }
    where, name, sha256 = "/models/small.gguf", "Small 0.5B", "ab" * 32
    if model is not None:
        from core.models.checksum import sha256 as digest

        where, name, sha256 = str(model), "tiny-random", digest(model)
    return RunSettings("tune", where, name, sha256, "Q4_K_M", "", "", {}, kept, 0, "0.1", "0.3")


def points(steps: int, seed: int = 1) -> list[TuningPoint]:
    """A loss that falls, and one held out that is best at step 225."""
    chance, made = random.Random(seed), [TuningPoint(0, held_out=held_out(0))]
    for step in range(1, steps + 1):
        loss = 0.35 + 1.9 * math.exp(-step / 45) + chance.gauss(0, 0.09)
        rate = 2e-4 * (step / 18 if step < 18 else 0.5 * (1 + math.cos(math.pi * (step - 18) / (STEPS - 18))))
        seconds = 2.1 + chance.random() / 4
        looked = held_out(step) if step % EVERY == 0 else None
        made.append(TuningPoint(step, step / 100, loss, rate, 0.8, 1_720, seconds, 2_700_000_000, looked))
    return made


def held_out(step: int) -> float:
    """The held-out loss after a step."""
    return 0.5 + 1.8 * math.exp(-min(step, 225) / 50) + max(0, step - 225) / 500


def add_run(
    project: Project, state: str = "finished", done: int = STEPS, model: Path | None = None, dataset: str = ROWS
) -> int:
    """A run that came so far, with its samples, and ended in this state; returns its id."""
    run = project.start_run(settings(model, dataset))
    project.add_tuning_steps(run, points(done))
    looks = range(0, done + 1, EVERY * 2)
    project.add_tuning_samples(
        run,
        [
            TuningSample(step, place, ANSWERS[step > 0][place] if step < done else ANSWERS[1][place])
            for step in looks
            for place in range(len(PROMPTS))
        ],
    )
    if state != "running":
        reason = "There was no room on the disk for a checkpoint. Make room, then go on." if state == "failed" else ""
        project.finish_run(run, state, {}, reason)
    return run


def add_adapter(project: Project, run: int, name: str, folder: Path, seed: int = 0) -> AdapterRow:
    """What came of a run: random weights for the tiny model, with what an adapter says of it."""
    file, made = folder / f"kept-{seed}.gguf", read_adapter(write_adapter(folder / f"adapter-{seed}.gguf", seed=seed))
    tensors = {
        f"{name}.lora_{part}": values
        for name, pair in made.pairs.items()
        for part, values in zip("ab", pair, strict=True)
    }
    write_kept(file, made.architecture, tensors, made.alpha, {HEADS: 4, KV_HEADS: 2})
    return project.add_adapter(run, name, file, 225, round(held_out(225), 3), 16, 32.0)
