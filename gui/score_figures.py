"""Figures of scores: how they are spread, how far the model's follow a person's, and two runs beside each other.

It is imported when Curate is first shown, and not before: its charts take a third of a second to load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QLocale, QSignalBlocker, Signal
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget

from core.curation.calibration import Calibration, calibrate
from core.curation.scoring import KEEP, Compared, compare_scores, standing
from core.errors import UserError
from core.project.project import Project
from core.project.records import Run, ScoreRow
from gui import style
from gui.charts.chart import Line, Rate, percent
from gui.charts.matrix import MatrixChart
from gui.charts.plots import BarChart, LineChart
from gui.choice_box import ChoiceBox
from gui.labels import plain, quiet, strong
from gui.row_facts import RowFact
from gui.session import Session
from gui.words import check_name, local_time

BANDS = range(1, 6)


@dataclass(frozen=True)
class Figures:
    """All that the page shows."""

    scores: Mapping[int, ScoreRow]
    bands: tuple[Mapping[int, int], Mapping[int, int]]  # how many of each score, and of each rating
    checks: Mapping[str, tuple[int, int]]  # name → passed, and all that were checked
    calibration: Calibration
    runs: Sequence[Run]  # that scored, the newest first


class ScoreFigures(QScrollArea):
    """All charts of the scores, one below the other; of what there is nothing to see of, none is shown."""

    runs_chosen = Signal(int, int)  # to be compared

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.spread = BarChart(session, self.tr("How the scores are spread"))
        self.spread.say_empty(self.tr("Nothing is scored or rated yet."))
        self.checks = BarChart(session, self.tr("Questions that pass each check"))
        self.hint = quiet()
        self.trusted = strong(self.tr("Can the score be trusted?"))
        self.trust, self.figures_line = plain(selectable=True), quiet(selectable=True)
        self.matrix = MatrixChart(
            session,
            self.tr("The model's score beside your rating"),
            self.tr("Model's score"),
            self.tr("Your rating"),
        )
        self.matrix.say_empty(self.tr("Rate some of the questions on the right with the keys 1 to 5."))
        self.curve = LineChart(
            session,
            self.tr("What a threshold would keep"),
            self.tr("Threshold"),
            words=lambda one: percent(one, 0),
        )
        self.curve.say_empty(self.tr("Rate questions that are good, and some that are not."))
        page = QWidget()
        column = QVBoxLayout(page)
        style.spaced(column, style.SPACE, style.SPACE)
        column.addWidget(self.hint)
        column.addWidget(self.spread)
        column.addSpacing(style.SPACE)
        column.addWidget(self.trusted)
        for widget in (self.trust, self.figures_line, self.matrix, self.curve):
            column.addWidget(widget)
        column.addSpacing(style.SPACE)
        column.addWidget(self._build_comparison())
        column.addWidget(self.checks)
        column.addStretch(1)
        self.setAccessibleName(self.tr("Figures of the scores"))
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setWidget(page)

    def show_figures(self, figures: Figures) -> None:
        """Other figures, or the same grown."""
        self._show_spread(figures)
        self._show_calibration(figures.calibration, bool(figures.scores))
        self.checks.show_rates(
            [("", [Rate(check_name(n), p / of, note=_of(p, of)) for n, (p, of) in figures.checks.items()])]
        )
        self._fill_runs(figures.runs)

    def show_difference(self, words: str) -> None:
        """What two runs show beside each other."""
        self.difference.setText(words)

    def _build_comparison(self) -> QWidget:
        self.first, self.second, self.difference = ChoiceBox(), ChoiceBox(), plain(selectable=True)
        self.versus, row = QWidget(), QHBoxLayout()
        for combo, name in ((self.first, self.tr("Run")), (self.second, self.tr("Beside run"))):
            combo.setAccessibleName(name)
            combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            combo.setMinimumContentsLength(12)
            combo.currentIndexChanged.connect(lambda _: self._compare())
            row.addWidget(combo, 1)
        column = QVBoxLayout(self.versus)
        style.spaced(column, 0, style.HALF)
        column.addWidget(strong(self.tr("Two runs beside each other")))
        column.addLayout(row)
        column.addWidget(self.difference)
        return self.versus

    def _show_spread(self, figures: Figures) -> None:
        series = []
        for name, counts in zip((self.tr("Model's score"), self.tr("Your rating")), figures.bands, strict=True):
            total = sum(counts.values())
            if total:
                rates = [Rate(str(band), counts[band] / total, note=_of(counts[band], total)) for band in BANDS]
                series.append((name, rates))
        self.spread.show_rates(series)
        rated = any(figures.bands[1].values())
        self.spread.entitle(
            self.tr("How the scores are spread") if figures.scores else self.tr("How your ratings are spread")
        )
        self.hint.setText(
            self.tr("No model has scored these questions yet: the stars are your own.")
            if rated
            else self.tr("No model has scored these questions yet, and you have rated none.")
        )

    def _show_calibration(self, found: Calibration, scored: bool) -> None:
        for widget in (self.trusted, self.trust):
            widget.setVisible(scored)
        self.hint.setVisible(not scored)
        self.spread.setVisible(not self.spread.is_empty)
        self.matrix.setVisible(found.n > 0)
        self.curve.setVisible(found.good.count > 0)
        self.trust.setText(("" if found.useful else "! ") + found.note)
        words = []
        if found.tau is not None:
            tau = self.tr("Kendall's τ {}").format(_number(found.tau))
            if found.low is not None and found.high is not None:
                tau += self.tr(" (95 %: {} to {})").format(_number(found.low), _number(found.high))
            words.append(tau)
        if found.n:
            words.append(
                self.tr("the same score in {}, at most one apart in {} of {}").format(
                    percent(found.exact.value), percent(found.within_one.value), QLocale().toString(found.n)
                )
            )
        if found.needed and found.needed > found.n:
            words.append(self.tr("about {} ratings would make this sure").format(QLocale().toString(found.needed)))
        self.figures_line.setText(" · ".join(words))
        self.figures_line.setVisible(bool(words))
        names = [str(band) for band in BANDS]
        far = {(i, j) for i in range(5) for j in range(5) if abs(i - j) > 1}
        self.matrix.show_counts(names, found.bands, far)
        lines = []
        for name, ink, shares in (
            (self.tr("Precision"), "accent", [one.precision for one in found.thresholds]),
            (self.tr("Recall"), "warning", [one.recall for one in found.thresholds]),
        ):
            scores = [one.score for one in found.thresholds]
            points = [(x, one.value) for x, one in zip(scores, shares, strict=True) if one.value is not None]
            lines.append(Line(name, points, ink, "points" if ink == "accent" else "line"))
        self.curve.show_lines(lines if found.good.count else [])

    def _fill_runs(self, runs: Sequence[Run]) -> None:
        self.versus.setVisible(len(runs) > 1)
        names = [(_run_name(run), run.id) for run in runs]
        for place, combo in enumerate((self.second, self.first)):
            if [combo.itemData(i) for i in range(combo.count())] == [id for _, id in names]:
                continue
            with QSignalBlocker(combo):
                combo.clear()
                for name, id in names:
                    combo.addItem(name, id)
                combo.setCurrentIndex(min(place, combo.count() - 1))
        self._compare()

    def _compare(self) -> None:
        first, second = self.first.currentData(), self.second.currentData()
        if first is None or second is None or first == second:
            self.difference.setText(self.tr("Choose two different runs."))
        else:
            self.runs_chosen.emit(first, second)


def compared_words(found: Compared) -> str:
    """What a second run found beside a first."""
    translate, number = QCoreApplication.translate, QLocale().toString
    words = translate("Scores", "{} questions, {} on average and then {}: {}").format(
        number(found.n), _number(found.first), _number(found.second), _signed(found.difference)
    )
    if found.low is not None and found.high is not None:
        words += translate("Scores", " (95 %: {} to {})").format(_signed(found.low), _signed(found.high))
    kept = translate("Scores", "{} or more had {} and then {}.")
    return f"{words}. {kept.format(_number(KEEP), number(found.kept_first), number(found.kept_second))}"


def figures_of(project: Project, facts: dict[int, RowFact]) -> Figures:
    """In a thread of its own."""
    scores = standing(project, list(facts))
    bands = Counter(min(5, max(1, int(row.value + 0.5))) for row in scores.values())
    ratings = Counter(row.rating for row in facts.values() if row.rating)
    passed, failed = Counter[str](), Counter[str]()
    for row in facts.values():
        passed.update(row.passed)
        failed.update(row.failed)
    checks = {name: (passed[name], passed[name] + failed[name]) for name in sorted({*passed, *failed})}
    pairs = [(row.value, rating) for id, row in scores.items() if (rating := facts[id].rating) is not None]
    runs = [run for run in reversed(project.runs()) if run.request.kind == "score"]
    return Figures(scores, (bands, ratings), checks, calibrate(pairs), runs)


def difference(project: Project, first: int, second: int) -> str:
    """In a thread of its own."""
    try:
        return compared_words(compare_scores(project, first, second))
    except UserError as error:
        return str(error)


def _run_name(run: Run) -> str:
    adapter = run.request.settings.get("adapter") or {}
    name = str(adapter.get("name", "")) if isinstance(adapter, dict) else ""
    return " · ".join(filter(None, (f"{run.id}", run.request.model_name, name, local_time(run.started_at))))


def _of(count: int, total: int) -> str:
    return f"{QLocale().toString(count)} / {QLocale().toString(total)}"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "−" if value < 0 else "±") + _number(abs(value))


def _number(value: float) -> str:
    return QLocale().toString(value, "f", 2)
