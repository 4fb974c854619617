"""What is said of tuning in the window: what a run learns from and how, how far it is, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from PySide6.QtCore import QCoreApplication, QLocale

from core.project.project import Project
from core.project.records import Run
from core.project.tuning import Dataset, TuningPoint
from core.tuning.records import Agreement, Estimate, Prepared, Recipe
from gui.words import size_words

translate = QCoreApplication.translate

MOST = 1 << 63
RECENT = 20  # steps whose pace tells how long the others take


def kept(record: type, values: object) -> Any:
    """A record out of the settings of a run, of the fields that it has there; None where they do not suffice.

    Also where one is of another kind, as only a stranger's file has it.
    """
    if not isinstance(values, dict):
        return None
    kinds = {one.name: one.type for one in fields(record)}
    try:
        return record(**{name: _of(kinds[name], value) for name, value in values.items() if name in kinds})
    except TypeError:
        return None


def _of(kind: Any, value: Any) -> Any:
    """A value of this kind, that Qt can show where it is a number. Raises TypeError for any other."""
    kinds = (int, float) if kind is float else (kind,)
    if not isinstance(value, kinds) or isinstance(value, bool) != (kind is bool):
        raise TypeError(f"{value!r:.40} is no {kind}")
    if kind in (int, float) and not abs(value) < MOST:  # also where it is no number
        raise TypeError(f"{value!r:.40} is too large")
    return float(value) if kind is float else value


def recipe_of(run: Run) -> Recipe:
    """How a run tunes."""
    return kept(Recipe, run.request.settings.get("recipe")) or Recipe()


def prepared_of(run: Run) -> Prepared | None:
    """What a run had to learn from, once that was counted."""
    values = run.request.settings.get("prepared")
    estimate = kept(Estimate, values.get("estimate")) if isinstance(values, dict) else None
    return kept(Prepared, values | {"estimate": estimate}) if isinstance(values, dict) and estimate else None


def agreement_of(run: Run) -> Agreement | None:
    """How far the two ways to compute the model agreed."""
    return kept(Agreement, run.request.settings.get("agreement"))


def prompts_of(run: Run) -> list[str]:
    """What is answered before, during and after a run."""
    prompts = run.request.settings.get("prompts")
    return [str(prompt) for prompt in prompts] if isinstance(prompts, list) else []


def dataset_name(run: Run) -> str:
    """What a run learns from."""
    dataset = run.request.settings.get("dataset")
    return str(dataset.get("name", "")) if isinstance(dataset, dict) else ""


def dataset_of(project: Project, run: Run) -> Dataset | None:
    """What a run learned from, as it was frozen; None where it is not in the project."""
    dataset = run.request.settings.get("dataset")
    id = dataset.get("id") if isinstance(dataset, dict) else None
    return next((one for one in project.datasets() if one.id == id), None)


def objective_name(objective: str) -> str:
    """What is learned."""
    names = {
        "sft": translate("Tuning", "Answers"),
        "two-task": translate("Tuning", "Answers and rationales"),
        "dpo": translate("Tuning", "Preferences (DPO)"),
    }
    return names.get(objective, objective)


def loss_words(loss: float | None) -> str:
    """A loss as people read it: with three digits after the point, and more where it is small."""
    if loss is None:
        return "–"
    size = math.floor(math.log10(abs(loss))) if loss and math.isfinite(loss) else 0
    return QLocale().toString(float(loss), "f", min(6, max(3, min(4, 2 - size), -size)))


def rate_words(rate: float) -> str:
    """A learning rate as everybody writes it: 2e-4."""
    if not rate:
        return QLocale().toString(0)
    mantissa, exponent = f"{rate:.2e}".split("e")
    return f"{QLocale().toString(float(mantissa), 'g', 3)}e{int(exponent)}"


def pace_words(tokens: float) -> str:
    """Tokens a second, without a unit."""
    return QLocale().toString(round(tokens))


def held_out_words(loss: float | None) -> str:
    """The best loss on what was held out."""
    if loss is None:
        return translate("Tuning", "held-out loss unknown")
    return translate("Tuning", "held out {}").format(loss_words(loss))


def steps_of(run: Run, done: int) -> tuple[int, int]:
    """Steps that are done, and steps in all; 0 while nobody knows."""
    prepared = prepared_of(run)
    return done, max(done, prepared.steps) if prepared else 0


def state_words(run: Run, done: int, total: int) -> str:
    """How far a run is, or how it ended."""
    number = QLocale().toString
    if run.state == "running":
        if not total:
            return translate("Tuning", "preparing")
        return translate("Tuning", "step {} of {}").format(number(done), number(total))
    if run.state == "finished":
        return translate("Tuning", "finished, its adapter was removed")
    if run.state == "failed":
        return translate("Tuning", "failed: {}").format(run.reason) if run.reason else translate("Tuning", "failed")
    if not total:
        return translate("Tuning", "stopped before its first step")
    return translate("Tuning", "Resume {} of {} steps").format(number(done), number(total))


def pace(points: Sequence[TuningPoint]) -> tuple[float, float]:
    """Tokens a second, and seconds a step, of the steps that were made last; 0 where there is none."""
    recent = [point for point in points if point.seconds > 0][-RECENT:]
    seconds = sum(point.seconds for point in recent)
    if not seconds:
        return 0.0, 0.0
    return sum(point.tokens for point in recent) / seconds, seconds / len(recent)


def best_point(points: Sequence[TuningPoint]) -> TuningPoint | None:
    """The step after which what was held out was known best; of several the first."""
    known = [(point.held_out, point) for point in points if point.step and point.held_out is not None]
    return min(known, key=lambda pair: pair[0])[1] if known else None


def memory_words(estimate: Estimate) -> str:
    """What a run takes of the memory that there is."""
    need, have = size_words(estimate.memory), size_words(estimate.available)
    if estimate.fits:
        return translate("Tuning", "{} of memory, of {} that are free").format(need, have)
    return translate("Tuning", "{} of memory, and only {} are free").format(need, have)


def split_prompts(text: str) -> tuple[str, ...]:
    """Prompts that are written with an empty line between them."""
    prompts: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip():
            prompts[-1].append(line.rstrip())
        elif prompts[-1]:
            prompts.append([])
    return tuple("\n".join(lines) for lines in prompts if lines)


def join_prompts(prompts: Sequence[str]) -> str:
    """The same the other way round; empty lines within a prompt go."""
    return "\n\n".join("\n".join(line for line in prompt.splitlines() if line.strip()) for prompt in prompts)
