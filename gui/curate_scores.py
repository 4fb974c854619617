"""What is known of how good each question is: rules, the model's score, your ratings, and how far those two agree.

It is imported when Curate is first shown, and not before: its charts take a third of a second to load.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial
from typing import Any

from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from core.curation.scoring import KEEP, ScoreOptions, keep_scored, resume_scores, score
from core.engine.requests import Adapter
from core.project.records import Run, ScoreRow
from core.worker import Worker
from gui import style
from gui.adapters import file_of
from gui.choice_box import ChoiceBox
from gui.curate_dialogs import ScoreDialog
from gui.curate_page import CuratePage
from gui.curating import MANY, Curating
from gui.labels import caption, quiet
from gui.row_facts import RowFacts
from gui.rows_pane import RowsPane
from gui.score_figures import Figures, ScoreFigures, difference, figures_of
from gui.session import Session
from gui.words import local_time

SCORED = ("draft", "accepted")  # states of what can be scored and kept


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
        self.charts = ScoreFigures(self.session)
        self.charts.runs_chosen.connect(self._compare)
        self.rows = RowsPane(self.session, self.tr("Score"), self.tr("Scored questions"))
        splitter = QSplitter()
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.charts)
        splitter.addWidget(self._build_rows())
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([540, 480])
        column = QVBoxLayout(self.body)
        style.spaced(column, 0)
        column.addWidget(splitter)

    def _build_rows(self) -> QWidget:
        self.order = ChoiceBox()
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
        self.whom = ChoiceBox()
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
            self.want("figures", partial(figures_of, self.session.project, dict(self._facts.rows)))

    def _take(self, key: object, made: object) -> None:
        if isinstance(made, Figures):
            self.figures = made
            self._show(made)
        elif key == "difference":
            self.charts.show_difference(str(made))

    def _show(self, figures: Figures) -> None:
        unrated = not any(figures.bands[1].values())
        self.fill(bool(figures.scores) or not unrated or bool(figures.checks))
        self._say_empty()
        self.charts.show_figures(figures)
        for widget in (self.order, self.foot):
            widget.setVisible(bool(figures.scores))
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

    def _compare(self, first: int, second: int) -> None:
        if self.session.is_open:
            self.want("difference", partial(difference, self.session.project, first, second))

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
