"""What is known of how good each question is: rules, the model's score, your ratings, and how far those two agree.

It is imported when Curate is first shown, and not before: its charts take a third of a second to load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from PySide6.QtCore import QCoreApplication, QLocale, QSignalBlocker
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from core.curation.calibration import Calibration, calibrate
from core.curation.scoring import (
    KEEP,
    RUBRIC,
    Compared,
    ScoreOptions,
    compare_scores,
    keep_scored,
    resume_scores,
    score,
)
from core.engine.requests import Adapter
from core.errors import UserError
from core.project.project import Project
from core.project.records import Run, ScoreRow
from core.worker import Worker
from gui import style
from gui.adapters import file_of
from gui.charts.chart import Line, Rate, percent
from gui.charts.matrix import MatrixChart
from gui.charts.plots import BarChart, LineChart
from gui.curate_dialogs import ScoreDialog
from gui.curate_page import CuratePage
from gui.curating import MANY, Curating
from gui.labels import caption, plain, quiet, strong
from gui.row_facts import RowFact, RowFacts
from gui.rows_pane import RowsPane
from gui.session import Session
from gui.words import check_name, local_time

BANDS = range(1, 6)
SCORED = ("draft", "accepted")  # states of what can be scored and kept


@dataclass(frozen=True)
class Figures:
    """All that the page shows."""

    scores: Mapping[int, ScoreRow]
    bands: tuple[Mapping[int, int], Mapping[int, int]]  # how many of each score, and of each rating
    checks: Mapping[str, tuple[int, int]]  # name → passed, and all that were checked
    calibration: Calibration
    runs: Sequence[Run]  # that scored, the newest first


class ScoresPage(CuratePage):
    """Charts on the left; on the right the questions with their scores, to be rated by the keys."""

    def __init__(self, session: Session, curating: Curating, facts: RowFacts) -> None:
        super().__init__(session, curating)
        self._facts = facts
        self.figures: Figures | None = None
        self._build()
        session.scores_changed.connect(self.touch)
        session.runs_changed.connect(self.touch)
        facts.changed.connect(self.touch)

    # Building

    def _build(self) -> None:
        self.score_button = QPushButton(self.tr("Score…"))
        self.score_button.setToolTip(self.tr("A model gives each question 1 to 5 points, and a reason"))
        style.set_icon(self.score_button, "run")
        self.rules_button = QPushButton(self.tr("Check rules"))
        self.rules_button.setToolTip(self.tr("Length, repetition, language, profanity and personal data; no model"))
        self.resume_button = QPushButton(self.tr("Resume"))
        self.score_button.clicked.connect(lambda: self.ask())
        self.rules_button.clicked.connect(lambda: self.check_rules())
        self.resume_button.clicked.connect(lambda: self.resume())
        for button in (self.score_button, self.rules_button, self.resume_button):
            self.buttons.addWidget(button)
        self.buttons.addWidget(self.about, 1)
        self.rows = RowsPane(self.session, self.tr("Score"), self.tr("Scored questions"))
        splitter = QSplitter()
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self._build_charts())
        splitter.addWidget(self._build_rows())
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([540, 480])
        column = QVBoxLayout(self.body)
        style.spaced(column, 0)
        column.addWidget(splitter)

    def _build_charts(self) -> QScrollArea:
        self.spread = BarChart(self.session, self.tr("How the scores are spread"))
        self.spread.say_empty(self.tr("Nothing is scored or rated yet."))
        self.checks = BarChart(self.session, self.tr("Questions that pass each check"))
        self.hint = quiet(self.tr("No model has scored these questions yet, and you have rated none."))
        self.trusted = strong(self.tr("Can the score be trusted?"))
        self.trust, self.figures_line = plain(selectable=True), quiet(selectable=True)
        self.matrix = MatrixChart(
            self.session,
            self.tr("The model's score beside your rating"),
            self.tr("Model's score"),
            self.tr("Your rating"),
        )
        self.matrix.say_empty(self.tr("Rate some of the questions on the right with the keys 1 to 5."))
        self.curve = LineChart(
            self.session,
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
        area = QScrollArea()
        area.setAccessibleName(self.tr("Figures of the scores"))
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setWidget(page)
        return area

    def _build_comparison(self) -> QWidget:
        self.first, self.second, self.difference = QComboBox(), QComboBox(), plain(selectable=True)
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

    def _build_rows(self) -> QWidget:
        self.order = QComboBox()
        self.order.setAccessibleName(self.tr("Order"))
        for text, key in (
            (self.tr("Best score first"), "high"),
            (self.tr("Worst score first"), "low"),
            (self.tr("Not rated yet"), "unrated"),
        ):
            self.order.addItem(text, key)
        self.order.currentIndexChanged.connect(lambda _: self._show_rows())
        self.threshold, self.kept = QDoubleSpinBox(), quiet()
        self.threshold.setRange(1, 5)
        self.threshold.setSingleStep(0.1)
        self.threshold.setDecimals(2)
        self.threshold.setValue(KEEP)
        self.threshold.setAccessibleName(self.tr("Least score that is kept"))
        self.threshold.valueChanged.connect(lambda _: self._show_kept())
        self.whom = QComboBox()
        self.whom.setAccessibleName(self.tr("Of which questions"))
        self.whom.addItem(self.tr("of the drafts"), ("draft",))
        self.whom.addItem(self.tr("of drafts and accepted ones"), SCORED)
        self.whom.currentIndexChanged.connect(lambda _: self._show_kept())
        self.keep_button = QPushButton(self.tr("Keep these"))
        style.set_icon(self.keep_button, "accept")
        self.keep_button.clicked.connect(lambda: self.keep())
        above = QHBoxLayout()
        style.spaced(above, 0)
        above.addWidget(self.order)
        above.addStretch(1)
        self.foot, below = QWidget(), QHBoxLayout()
        foot = QVBoxLayout(self.foot)
        style.spaced(foot, 0, style.HALF)
        foot.addLayout(below)
        foot.addWidget(self.kept)
        style.spaced(below, 0)
        below.addWidget(caption(self.tr("Keep from"), self.threshold))
        below.addWidget(self.threshold)
        below.addWidget(self.whom)
        below.addStretch(1)
        below.addWidget(self.keep_button)
        right = QWidget()
        column = QVBoxLayout(right)
        style.spaced(column, 0, style.HALF)
        column.addLayout(above)
        assert self.rows is not None
        column.addWidget(self.rows, 1)
        column.addWidget(self.foot)
        return right

    # What is shown

    def forget(self) -> None:
        self.figures = None
        if self.rows is not None:
            self.rows.forget()

    def refresh(self) -> None:
        self._facts.want()
        if self._facts.ready:
            self.want("figures", partial(_figures, self.session.project, dict(self._facts.rows)))

    def _take(self, key: object, made: object) -> None:
        if isinstance(made, Figures):
            self.figures = made
            self._show(made)
        elif key == "difference":
            self.difference.setText(str(made))

    def _show(self, figures: Figures) -> None:
        unrated = not any(figures.bands[1].values())
        self.fill(bool(figures.scores) or not unrated or bool(figures.checks))
        self._say_empty()
        self._show_spread(figures)
        self._show_calibration(figures.calibration)
        self.checks.show_rates(
            [("", [Rate(check_name(n), p / of, note=_of(p, of)) for n, (p, of) in figures.checks.items()])]
        )
        self._fill_runs(figures.runs)
        self._show_rows()
        self._show_kept()
        number, latest = QLocale().toString, figures.runs[0] if figures.runs else None
        words = ""
        if latest is not None:
            words = self.tr("{} questions are scored, last by {} at {}.").format(
                number(len(figures.scores)), latest.request.model_name, local_time(latest.started_at)
            )
        self.about.setText(words)
        self.show_actions()

    def _say_empty(self) -> None:
        some = bool(self._facts.rows)
        text = self.tr("A model gives each question a score; your own ratings show whether it may be trusted.")
        self.empty.say(
            "star",
            self.tr("No scores yet") if some else self.tr("No questions yet"),
            text,
            self.tr("Score…"),
            (lambda: self.ask()) if some and self.writable else None,
            self.tr("Check rules"),
            (lambda: self.check_rules()) if some and self.writable else None,
        )

    def _show_spread(self, figures: Figures) -> None:
        series = []
        for name, counts in zip((self.tr("Model's score"), self.tr("Your rating")), figures.bands, strict=True):
            total = sum(counts.values())
            if total:
                rates = [Rate(str(band), counts[band] / total, note=_of(counts[band], total)) for band in BANDS]
                series.append((name, rates))
        self.spread.show_rates(series)

    def _show_calibration(self, found: Calibration) -> None:
        assert self.figures is not None
        scored = bool(self.figures.scores)
        for widget in (self.trusted, self.trust, self.figures_line, self.foot):
            widget.setVisible(scored)
        self.hint.setVisible(self.spread.is_empty)
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
        if first is None or second is None or first == second or not self.session.is_open:
            self.difference.setText(self.tr("Choose two different runs."))
        else:
            self.want("difference", partial(_difference, self.session.project, first, second))

    def _show_rows(self) -> None:
        if self.figures is None or self.rows is None:
            return
        scores, order = self.figures.scores, self.order.currentData()
        ids = [id for id in scores if id in self._facts.rows]
        if order == "unrated":
            ids = [id for id in ids if self._facts.rows[id].rating is None]
        ids.sort(key=lambda id: (scores[id].value if order == "low" else -scores[id].value, id))
        self.rows.show_ids(ids or list(self._facts.rows), lambda id: score_words(scores[id]) if id in scores else "")

    def _show_kept(self) -> None:
        kept, others = self._parted()
        number = QLocale().toString
        self.kept.setText(
            self.tr("Would be accepted: {}. Would be rejected: {}.").format(number(len(kept)), number(len(others)))
        )
        self.keep_button.setEnabled(self.writable and bool(kept or others))

    def _parted(self) -> tuple[list[int], list[int]]:
        """What the threshold keeps and what it does not."""
        scores = self.figures.scores if self.figures else {}
        states, rows = self.whom.currentData(), self._facts.rows
        judged = [id for id in scores if id in rows and rows[id].state in states]
        kept = [id for id in judged if scores[id].value >= self.threshold.value()]
        return kept, sorted(set(judged) - set(kept))

    def show_actions(self) -> None:
        free = self.writable and not self.curating.active
        self.score_button.setEnabled(free)
        self.rules_button.setEnabled(free)
        stopped = self._stopped() is not None
        self.resume_button.setVisible(stopped)
        self.resume_button.setEnabled(free and stopped)

    def _stopped(self) -> Run | None:
        """The last run that scored, where it did not finish."""
        runs = self.figures.runs if self.figures else ()
        return runs[0] if runs and runs[0].state in ("interrupted", "cancelled", "failed") else None

    # What the user does

    def ask(self) -> None:
        """Asks who scores what, and begins."""
        if not self.session.may_write() or not self.curating.allowed():
            return
        counts = {state: self._facts.ids(state) for state in SCORED}
        dialog = ScoreDialog(self.session, counts, self.selected_ids(), self)
        if dialog.exec() and dialog.model.model is not None:
            adapter = dialog.adapter.currentData()
            options = ScoreOptions(dialog.model.model.path, dialog.ids())
            if adapter is None:
                self.score(options)
            elif (file := file_of(self.session, adapter)) is not None:
                self.score(replace(options, adapter=Adapter(file, adapter.scale), adapter_name=adapter.name))
        dialog.deleteLater()

    def score(self, options: ScoreOptions) -> None:
        """Scores in the background."""
        project = self.session.project
        self.curating.start(
            self.tr("Scoring"),
            lambda worker, cancelled: score(project, worker, options, cancelled),
            lambda _: self.session.notify(self.tr("The scores are there.")),
            self.ask,
        )

    def resume(self) -> None:
        """Goes on with the run that stopped."""
        if self._stopped() is None or not self.session.may_write() or not self.curating.allowed():
            return
        project = self.session.project
        self.curating.start(
            self.tr("Scoring"),
            lambda worker, cancelled: resume_scores(project, worker, cancelled=cancelled),
            lambda _: self.session.notify(self.tr("The scores are there.")),
            self.resume,
        )

    def check_rules(self) -> None:
        """Checks what needs no model, in the background."""
        if not self.session.may_write() or not self.curating.allowed():
            return
        from core.curation.rules import apply_rules

        project = self.session.project

        def check(_: Worker, cancelled: Callable[[], bool]) -> Generator[Any, None, None]:
            yield from apply_rules(project, cancelled=cancelled)

        self.curating.start(
            self.tr("Checking rules"),
            check,
            lambda _: self.session.notify(self.tr("The rules are checked.")),
            self.check_rules,
        )

    def keep(self) -> None:
        """Accepts what has the score and rejects the rest, as one action that can be undone."""
        if not self.session.may_write():
            return
        with self.session.reporting():
            ids = [id for some in self._parted() for id in some]
            project, threshold = self.session.project, self.threshold.value()
            if len(ids) > MANY:
                self.curating.change(lambda: keep_scored(project, threshold, ids))
                return
            changed = keep_scored(project, threshold, ids)
            words = self.tr("{} questions were judged by their score. Undo takes it back.")
            self.session.notify(words.format(QLocale().toString(changed)))


def score_words(score: ScoreRow) -> str:
    """A score and the model's reason for it."""
    return " · ".join(filter(None, (QLocale().toString(score.value, "f", 2), score.detail)))


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


def _figures(project: Project, facts: dict[int, RowFact]) -> Figures:
    """In a thread of its own."""
    scores = {id: row for id, row in project.scores(RUBRIC).items() if id in facts}
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


def _difference(project: Project, first: int, second: int) -> str:
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
