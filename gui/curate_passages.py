"""Which passages are worth asking about: a few labels by keyboard, a filter learned from them, and a threshold.

It is imported when Curate is first shown, and not before: its charts take a third of a second to load.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtCore import QLocale
from PySide6.QtWidgets import QPushButton, QSplitter, QVBoxLayout

from core.curation import educational
from core.curation.educational import Fitted
from core.project.project import Project
from core.project.records import PassageMark, PassageRow
from core.worker import Worker
from gui import style
from gui.curate_dialogs import VectorsDialog
from gui.curate_page import CuratePage
from gui.curating import Curating
from gui.passage_card import PassageCard
from gui.passage_filter import PassageFilter, Passages
from gui.session import Session

SUGGESTED = 40  # passages that are put in order to be labelled next
GOLDEN = 0.6180339887498949  # multiples of it are spread evenly, however many there are


class PassagesPage(CuratePage):
    """On the left the passage to be labelled next, on the right what the filter would do."""

    def __init__(self, session: Session, curating: Curating) -> None:
        super().__init__(session, curating)
        self.passages = Passages({}, {}, {})
        self.fitted: Fitted | None = None
        self.current: PassageRow | None = None
        self._before: list[int] = []  # that were shown, for the way back
        self._skipped: set[int] = set()
        self._suggested: list[int] = []
        self._build()
        session.passages_changed.connect(self.touch)
        session.documents_changed.connect(self.touch)

    # Building

    def _build(self) -> None:
        self.learn_button = QPushButton(self.tr("Learn from the labels…"))
        self.learn_button.setToolTip(self.tr("Values every passage by how alike it is to those that you labelled"))
        style.set_icon(self.learn_button, "run")
        self.restore_button = QPushButton(self.tr("Take all back"))
        self.restore_button.setToolTip(self.tr("Questions are asked of all passages again"))
        self.learn_button.clicked.connect(lambda: self.learn())
        self.restore_button.clicked.connect(lambda: self.restore())
        self.buttons.addWidget(self.learn_button)
        self.buttons.addWidget(self.about, 1)
        self.buttons.addWidget(self.restore_button)
        self.card = PassageCard()
        self.card.judged.connect(self.judge)
        self.card.passed.connect(self.skip)
        self.card.went_back.connect(self.go_back)
        self.filter = PassageFilter(self.session)
        self.filter.aside_wanted.connect(self.set_aside)
        self.filter.passage_wanted.connect(self.show_passage)
        splitter = QSplitter()
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.card)
        splitter.addWidget(self.filter)
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([520, 480])
        column = QVBoxLayout(self.body)
        style.spaced(column, 0)
        column.addWidget(splitter)

    # What is shown

    def forget(self) -> None:
        self.passages, self.fitted, self.current = Passages({}, {}, {}), None, None
        self._before, self._suggested = [], []
        self._skipped.clear()

    def refresh(self) -> None:
        self.want("passages", partial(_read, self.session.project))

    def _take(self, key: object, made: object) -> None:
        assert isinstance(made, Passages)
        self.passages = made
        self.fill(bool(made.documents))
        self.empty.say(
            "documents",
            self.tr("No passages yet"),
            self.tr("Label some passages of your documents, and a filter learns which others are worth asking about."),
        )
        if self.current is None or self.current.id not in made.documents:
            self.show_next()
        else:
            self.card.show_mark(made.marks.get(self.current.id))
        self.filter.show_passages(made, self.fitted, self.writable)
        self.show_actions()

    def take_focus(self) -> None:
        (self.card if self.is_filled else self.empty).setFocus()

    def show_actions(self) -> None:
        marks, number = self.passages.marks.values(), QLocale().toString
        worth, not_worth = (sum(mark.label == said for mark in marks) for said in (1, 0))
        aside = sum(mark.set_aside for mark in marks)
        words = self.tr("{} labelled worth it, {} not").format(number(worth), number(not_worth))
        if aside:
            words += " · " + self.tr("{} of {} set aside").format(number(aside), number(len(self.passages.documents)))
        self.about.setText(words if self.passages.documents else "")
        enough = min(worth, not_worth) >= educational.LEAST
        self.learn_button.setEnabled(self.writable and enough and not self.curating.active)
        self.restore_button.setVisible(aside > 0)
        self.restore_button.setEnabled(self.writable)
        self.card.set_writable(self.writable)
        self.card.back.setEnabled(bool(self._before))

    # Labels

    def show_next(self) -> None:
        """The passage whose label would teach most: one the filter is least sure of, or else one far from others."""
        marks = self.passages.marks
        open_ids = [id for id in self.passages.documents if id not in marks or marks[id].label is None]
        left = [id for id in open_ids if id not in self._skipped] or open_ids
        there = set(left)
        found = next((id for id in self._suggested if id in there), None)
        if found is None and left:
            places = {id: place for place, id in enumerate(self.passages.documents)}
            found = min(left, key=lambda id: (self._doubt(id), places[id] * GOLDEN % 1))
        self._show(found)

    def _doubt(self, id: int) -> float:
        mark = self.passages.marks.get(id)
        return 0.0 if mark is None or mark.value is None else abs(mark.value - 0.5)

    def _show(self, id: int | None) -> None:
        self.current = None
        if id is None:
            self.card.show_passage(None, "", "", None)
            return
        with self.session.reporting():
            self.current = one = self.session.project.passage(id)
            label = self.session.page_label(one.document_id, one.parts[0][0]) if one.parts else ""
            title = self.passages.titles.get(one.document_id, "")
            self.card.show_passage(one, title, label, self.passages.marks.get(id))

    def judge(self, label: int) -> None:
        """Labels the passage that is shown, and goes on to the next."""
        if self.current is None or not self.session.may_write():
            return
        id = self.current.id
        with self.session.reporting():
            educational.label(self.session.project, {id: label})
            mark = self.passages.marks.get(id, PassageMark(id))
            self.passages.marks[id] = replace(mark, label=label)
            self._before.append(id)
            self.show_next()
            self.filter.show_passages(self.passages, self.fitted, self.writable)
            self.show_actions()

    def worth(self) -> None:
        """It is worth asking about."""
        self.judge(1)

    def not_worth(self) -> None:
        """It is not."""
        self.judge(0)

    def skip(self) -> None:
        """Shows another one first."""
        if self.current is not None:
            self._before.append(self.current.id)
            self._skipped.add(self.current.id)
            self.show_next()
            self.show_actions()

    def go_back(self) -> None:
        """Shows the passage before, to be labelled anew."""
        if self._before:
            self._show(self._before.pop())
            self.show_actions()

    def show_passage(self, id: int) -> None:
        """Shows this one, to be labelled."""
        if self.current is not None:
            self._before.append(self.current.id)
        self._show(id)
        self.show_actions()

    # The filter

    def learn(self) -> None:
        """Asks for a model, and learns from the labels with its vectors."""
        if not self.session.may_write() or not self.curating.allowed():
            return
        dialog = VectorsDialog(
            self.session,
            self.tr("Learn from the labels"),
            self.tr("Passages that are alike to those you labelled worth it get a high value, the others a low one."),
            self.tr("&Learn"),
            self,
        )
        if dialog.exec():
            self.learn_with(dialog.path())
        dialog.deleteLater()

    def learn_with(self, model: Path) -> None:
        """Learns in the background."""
        project = self.session.project
        self.curating.start(
            self.tr("Valuing passages"),
            lambda worker, cancelled: _learn(project, worker, model, cancelled),
            self._show_fitted,
            self.learn,
        )

    def _show_fitted(self, made: tuple[Fitted, list[int]]) -> None:
        self.fitted, self._suggested = made
        self.current = None  # the next one is now another
        self.touch()

    def set_aside(self, threshold: float) -> None:
        """Asks no questions of what is below a threshold."""
        if not self.session.may_write():
            return
        with self.session.reporting():
            aside = educational.set_aside(self.session.project, threshold)
            words = self.tr("{} passages are set aside: no questions are asked of them.").format(
                QLocale().toString(aside)
            )
            self.session.notify(words, self.tr("Take all back"), self.restore)
        self.touch()

    def restore(self) -> None:
        """Asks questions of all passages again."""
        if not self.session.may_write():
            return
        with self.session.reporting():
            number = QLocale().toString(educational.restore(self.session.project))
            self.session.notify(self.tr("{} passages were taken back.").format(number))
        self.touch()


def _learn(
    project: Project, worker: Worker, model: Path, cancelled: Callable[[], bool]
) -> Generator[Any, None, tuple[Fitted, list[int]]]:
    """The filter, and which passages to label next."""
    fitted = yield from educational.value_passages(project, worker, model, cancelled)
    suggested = yield from educational.suggest_passages(project, worker, model, SUGGESTED, cancelled)
    return fitted, suggested


def _read(project: Project) -> Passages:
    """In a thread of its own."""
    keys: Sequence[tuple[int, int]] = project.passage_keys()
    titles = {one.id: one.title or one.path for one in project.documents()}
    return Passages(dict(keys), titles, project.passage_marks())
