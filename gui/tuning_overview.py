"""What a tuning run shows: its losses, its pace and all that it is made of; imported when the first one is shown.

Its charts take a third of a second to load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from PySide6.QtCore import QLocale, Qt
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from core.project.records import Run
from core.project.tuning import AdapterRow, TuningPoint
from gui import style
from gui.charts.chart import Line
from gui.charts.plots import LineChart, smoothed
from gui.facts import Facts
from gui.job_bar import time_left
from gui.labels import plain, quiet, strong
from gui.session import Session
from gui.tuning_words import (
    agreement_of,
    best_point,
    dataset_name,
    loss_words,
    memory_words,
    objective_name,
    pace,
    pace_words,
    prepared_of,
    rate_words,
    recipe_of,
    state_words,
    steps_of,
)
from gui.words import local_time, size_words

SMALL = 150  # pixels of height of the lesser charts


class TrainingPage(QScrollArea):
    """How far and how well first, then the curves, and folded away where it all comes from."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setAccessibleName(self.tr("Training"))
        self.title, self.about = strong(size=1.15, selectable=True), quiet()
        self.state, self.figures = plain(selectable=True), quiet()
        step = self.tr("Step")
        self.losses = LineChart(session, self.tr("Loss (nats)"), step)
        self.losses.say_empty(self.tr("The first step is not made yet."))
        self.rate = LineChart(session, self.tr("Learning rate"), step, SMALL, rate_words)
        self.speed = LineChart(session, self.tr("Tokens a second"), step, SMALL, pace_words)
        self.facts = TuningFacts(session)
        self._stale: Sequence[TuningPoint] | None = None  # of what is not drawn yet
        lesser = QHBoxLayout()
        style.spaced(lesser, 0, style.DOUBLE)
        for chart in (self.rate, self.speed):
            chart.setMinimumWidth(160)
            lesser.addWidget(chart, 1)
        page = QWidget()
        column = QVBoxLayout(page)
        style.spaced(column, style.DOUBLE, style.SPACE)
        for widget in (self.title, self.about, self.state, self.figures):
            column.addWidget(widget)
        column.addSpacing(style.SPACE)
        column.addWidget(self.losses)
        column.addLayout(lesser)
        column.addWidget(self.facts)
        column.addStretch(1)
        self.setWidget(page)

    def show_run(self, run: Run, points: Sequence[TuningPoint], adapter: AdapterRow | None) -> None:
        """Another run, or the same grown."""
        self.title.setText(adapter.name if adapter else self.tr("Run {}").format(run.id))
        recipe = recipe_of(run)
        about = [
            run.request.model_name,
            dataset_name(run),
            objective_name(recipe.objective),
            local_time(run.started_at),
        ]
        self.about.setText(" · ".join(filter(None, about)))
        self.state.setText(self._state(run, points))
        self.figures.setText(self._figures(run, points))
        for label in (self.state, self.figures):
            label.setVisible(bool(label.text()))
        self.facts.show_run(run, adapter)
        self._stale = points
        if self.isVisible():
            self._draw()

    def _state(self, run: Run, points: Sequence[TuningPoint]) -> str:
        done, total = steps_of(run, _last(points))
        if run.state == "failed" or not points:
            words = state_words(run, done, total)
            return words[:1].upper() + words[1:] + ("." if words[-1:] not in ".!?" else "")
        best, last = best_point(points), [point.loss for point in points if point.loss is not None][-1:]
        parts = []
        if total:
            stopped = run.state in ("cancelled", "interrupted")
            words = self.tr("Stopped at step {} of {}") if stopped else self.tr("Step {} of {}")
            parts.append(words.format(*map(QLocale().toString, (done, total))))
        if last:
            parts.append(self.tr("loss {}").format(loss_words(last[0])))
        before = [point.held_out for point in points if point.held_out is not None][:1]
        if before and best is None:
            parts.append(self.tr("held out {} before").format(loss_words(before[0])))
        if best is not None:
            words = self.tr("held out {} at step {}, from {} before")
            parts.append(words.format(loss_words(best.held_out), QLocale().toString(best.step), loss_words(before[0])))
            if best.accuracy is not None:
                share = QLocale().toString(100 * best.accuracy, "f", 0)
                parts.append(self.tr("{} % of the pairs told apart").format(share))
        return " · ".join(parts)

    def _figures(self, run: Run, points: Sequence[TuningPoint]) -> str:
        if not points:
            return ""
        done, total = steps_of(run, _last(points))
        tokens, seconds = pace(points)
        memory = max(point.memory for point in points)
        parts = [
            self.tr("{} tokens/s").format(pace_words(tokens)) if tokens else "",
            self.tr("{} of memory at most").format(size_words(memory)) if memory else "",
            self.tr("epoch {}").format(QLocale().toString(points[-1].epoch, "f", 1)),
            time_left(seconds * (total - done)) if run.state == "running" and seconds and total > done else "",
        ]
        return " · ".join(filter(None, parts))

    def _draw(self) -> None:
        points, self._stale = self._stale, None
        if points is None:
            return
        losses = [(float(point.step), point.loss) for point in points if point.loss is not None]
        held = [(float(point.step), point.held_out) for point in points if point.held_out is not None]
        best = best_point(points)
        self.losses.show_lines(
            [
                Line(self.tr("Each step"), losses, "quiet", "thin"),
                Line(self.tr("Smoothed"), smoothed(losses)),
                Line(self.tr("Held out"), held, "warning", "points", best.step if best else None),
            ]
        )
        made = [point for point in points if point.seconds > 0]
        self.rate.show_lines(
            [Line(self.tr("Learning rate"), [(float(point.step), point.learning_rate) for point in made])]
        )
        speeds = [(float(point.step), point.tokens / point.seconds) for point in made]
        self.speed.show_lines([Line(self.tr("Tokens a second"), smoothed(speeds))])
        for chart in (self.rate, self.speed):
            chart.setVisible(not chart.is_empty)

    # Qt's own

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._draw()


def _last(points: Sequence[TuningPoint]) -> int:
    return points[-1].step if points else 0


class TuningFacts(Facts):
    """What a run and its adapter are made of: data, base, recipe, the gate before it, and checksums."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, "")
        self.fold.setText(self.tr("Where does it come from?"))
        self._run: Run | None = None
        self._adapter: AdapterRow | None = None

    def show_run(self, run: Run, adapter: AdapterRow | None) -> None:
        """Another run, or the same as it is now."""
        if (run, adapter) != (self._run, self._adapter):
            self._run, self._adapter = run, adapter
            self.refresh()

    def facts(self) -> list[tuple[str, str]]:
        if self._run is None:
            return []
        run, made = self._run.request, self._run
        dataset = run.settings.get("dataset")
        dataset = dataset if isinstance(dataset, dict) else {}
        return [
            (self.tr("Dataset"), str(dataset.get("name", ""))),
            (self.tr("Its SHA-256"), str(dataset.get("sha256", ""))),
            *self._counted(made),
            (self.tr("Base model"), " · ".join(filter(None, (run.model_name, run.quantisation)))),
            (self.tr("Its file"), run.model_path),
            (self.tr("Its SHA-256"), run.model_sha256),
            *self._agreement(made),
            (self.tr("Recipe"), self._recipe(made)),
            (self.tr("Seed"), str(recipe_of(made).seed)),
            (self.tr("Run"), self.tr("{} of {}").format(made.id, local_time(made.started_at))),
            (self.tr("Made with"), " · ".join(filter(None, (f"Elenchus {run.app_version}", run.engine_version)))),
            *self._kept(),
        ]

    def _counted(self, run: Run) -> list[tuple[str, str]]:
        if (prepared := prepared_of(run)) is None:
            return []
        number, estimate = QLocale().toString, prepared.estimate
        lost = [
            self.tr("{} dropped as too long").format(number(prepared.dropped)) if prepared.dropped else "",
            self.tr("{} cut").format(number(prepared.cut)) if prepared.cut else "",
        ]
        examples = self.tr("{} to learn from, {} held out").format(number(prepared.examples), number(prepared.held_out))
        tokens = self.tr("{} an epoch, {} of them learned; the longest example has {}")
        tokens = tokens.format(*map(number, (prepared.tokens, prepared.answer_tokens, prepared.longest)))
        device = self.tr("{} in {}").format(estimate.device, estimate.dtype)
        return [
            (self.tr("Examples"), ", ".join(filter(None, (examples, *lost)))),
            (self.tr("Tokens"), tokens),
            (self.tr("Device"), device),
            (self.tr("Estimated"), memory_words(estimate)),
        ]

    def _agreement(self, run: Run) -> list[tuple[str, str]]:
        """The gate: whether what is trained computes what the model computes."""
        if (found := agreement_of(run)) is None:
            return []
        number = QLocale().toString
        words = self.tr("with llama.cpp on {} tokens: {} nats of divergence (at most {}), {} relative, {} % the same")
        share = number(100 * found.top1, "f", 1)
        figures = (number(found.kl, "g", 2), number(found.limit, "g", 2), number(found.relative_l2, "g", 2), share)
        return [(self.tr("Agreement"), words.format(number(found.tokens), *figures))]

    def _recipe(self, run: Run) -> str:
        words = {True: self.tr("yes"), False: self.tr("no")}
        said = [
            f"{name.replace('_', ' ')} {words[value] if isinstance(value, bool) else value}"
            for name, value in asdict(recipe_of(run)).items()
            if name != "seed"
        ]
        return ", ".join(said)

    def _kept(self) -> list[tuple[str, str]]:
        if (adapter := self._adapter) is None:
            return []
        return [
            (
                self.tr("Adapter"),
                self.tr("rank {}, alpha {}, {}").format(adapter.rank, adapter.alpha, size_words(adapter.size)),
            ),
            (self.tr("Its SHA-256"), adapter.sha256),
            (self.tr("Kept"), self.tr("beside the project: {}").format(adapter.path) if adapter.path else ""),
        ]
