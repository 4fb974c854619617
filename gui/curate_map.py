"""The map: every question as a point, near to those that mean the same, beside a table of what is chosen on it.

It is imported when Curate is first shown, and not before: it draws with numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PySide6.QtCore import QLocale, QSignalBlocker, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QPushButton,
    QSizePolicy,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.curation.plane import Plane, lay_out
from core.curation.scoring import standing
from core.project.project import Project
from core.project.records import ExampleFilter
from gui import style
from gui.charts.chart import percent
from gui.charts.cloud import ZOOM, CloudChart, Group
from gui.choice_box import ChoiceBox
from gui.curate_dialogs import VectorsDialog
from gui.curate_page import CuratePage
from gui.curating import Curating
from gui.labels import caption
from gui.map_colours import columns, groups, pick_groups
from gui.row_facts import RowFact, RowFacts
from gui.rows_pane import RowsPane
from gui.session import Session

MAPPED = ("draft", "accepted")  # in these states; what was judged out teaches nobody


class MapPage(CuratePage):
    """The lasso fills the table; who selects rows in the table sees their points."""

    def __init__(self, session: Session, curating: Curating, facts: RowFacts) -> None:
        super().__init__(session, curating)
        self._facts = facts
        self.plane: Plane | None = None
        self._places: dict[int, int] = {}  # of the points, by the ids of their questions
        self._build()
        session.picks_changed.connect(self.touch)
        session.scores_changed.connect(self.touch)
        facts.changed.connect(self.touch)

    # Building

    def _build(self) -> None:
        self.draw_button = QPushButton(self.tr("Draw the map…"))
        style.set_icon(self.draw_button, "run")
        self.draw_button.clicked.connect(lambda: self.ask())
        self.by = ChoiceBox()
        self.by.setAccessibleName(self.tr("Coloured by"))
        self.by.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)
        for name, key in columns():
            self.by.addItem(name, key)
        self.by.currentIndexChanged.connect(lambda _: self._colour())
        self.buttons.addWidget(self.draw_button)
        self.buttons.addWidget(self.about, 1)
        self.chart = CloudChart(self.session, self.tr("Map of the questions"), self._describe)
        self.chart.chosen.connect(self._show_chosen)
        self.chart.pointed.connect(self._say_pointed)
        self.chart.canvas.setAccessibleDescription(
            self.tr("Arrows move a cross, with Shift they stretch a frame, Space chooses, plus and minus zoom.")
        )
        above = QHBoxLayout()
        style.spaced(above, 0, style.HALF)
        self._colours = caption(self.tr("Coloured by"), self.by)
        above.addWidget(self._colours)
        above.addWidget(self.by)
        above.addStretch(1)
        self.hand = self._tool("hand", self.tr("Move the map by dragging, and draw no lasso"))
        self.hand.setCheckable(True)
        self.hand.toggled.connect(self.chart.canvas.show_hand)
        for tool, do in (
            (self.hand, None),
            (self._tool("zoom_out", self.tr("Smaller (−)")), lambda: self.chart.canvas.zoom(1 / ZOOM)),
            (self._tool("zoom_in", self.tr("Larger (+)")), lambda: self.chart.canvas.zoom(ZOOM)),
            (self._tool("fit", self.tr("Show all (Home)")), self.chart.canvas.fit),
        ):
            if do is not None:
                tool.clicked.connect(lambda _=False, do=do: do())
            above.addWidget(tool)
        left = QWidget()
        column = QVBoxLayout(left)
        style.spaced(column, 0, style.HALF)
        column.addLayout(above)
        column.addWidget(self.chart, 1)
        self.hint = caption("")  # one line, so that the map stays as high as it is
        self.hint.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._say_pointed(-1)
        column.addWidget(self.hint)
        self.chosen_words = caption("")
        self.rows = RowsPane(self.session, name=self.tr("Chosen questions"))
        self.rows.chosen.connect(self._mark)
        right = QWidget()
        column = QVBoxLayout(right)
        style.spaced(column, 0, style.HALF)
        column.addWidget(self.chosen_words)
        column.addWidget(self.rows, 1)
        splitter = QSplitter()
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(left)
        splitter.addWidget(right)
        splitter.setStretchFactor(0, 3)
        splitter.setStretchFactor(1, 2)
        splitter.setSizes([620, 400])
        body = QVBoxLayout(self.body)
        style.spaced(body, 0)
        body.addWidget(splitter)

    def _tool(self, glyph: str, words: str) -> QToolButton:
        tool = QToolButton(autoRaise=True)
        tool.setToolTip(words)
        tool.setAccessibleName(words)
        style.set_icon(tool, glyph)
        return tool

    # What is shown

    def forget(self) -> None:
        self.plane = None
        self._show_plane()

    def refresh(self) -> None:
        self._facts.want()
        self._fill_columns()
        self._show_plane_words()
        self._colour()

    def take_focus(self) -> None:
        (self.chart if self.is_filled else self.empty).setFocus()

    def _fill_columns(self) -> None:
        """The picks there are, behind the other columns."""
        fixed, chosen = len(columns()), self.by.currentData()
        with self.session.reporting(), QSignalBlocker(self.by):
            while self.by.count() > fixed:
                self.by.removeItem(fixed)
            for pick in reversed(self.session.project.picks()):
                self.by.addItem(self.tr("Picked in “{}”").format(pick.name), pick.id)
            self.by.setCurrentIndex(max(0, self.by.findData(chosen)))

    def _show_plane(self) -> None:
        """Another map, or none."""
        self._places = {id: place for place, id in enumerate(self.plane.ids)} if self.plane is not None else {}
        if self.plane is None:
            self.chart.show_points((), np.zeros((0, 2), np.float32))
        else:
            self.chart.show_points(self.plane.ids, self.plane.points)
        if self.rows is not None:
            self.rows.forget()
        self._show_plane_words()
        self._show_chosen()

    def _show_plane_words(self) -> None:
        plane = self.plane
        self.fill(plane is not None and len(plane.ids) > 0)
        words = ""
        if plane is not None:
            words = self.tr("{} questions; the two directions show {} of how they differ.").format(
                QLocale().toString(len(plane.ids)), percent(plane.shown, 0)
            )
            missing = len(set(self._facts.ids(*MAPPED)) - set(plane.ids))
            if missing and self._facts.ready:
                words += " " + self.tr("{} are newer than the map: draw it again.").format(QLocale().toString(missing))
        self.about.setText(words)
        self.show_actions()

    def _say_empty(self) -> None:
        """What the map is for, and how to have one, unless something is being made already."""
        some = bool(self._facts.rows) or not self._facts.ready
        if self.curating.active:
            self.empty.say("curate", self.tr("Working…"), self.tr("How far it is can be seen below."))
            return
        self.empty.say(
            "curate",
            self.tr("No map yet") if some else self.tr("No questions yet"),
            self.tr("A model places questions that mean the same near to each other, and gaps and crowds can be seen."),
            self.tr("Draw the map…"),
            (lambda: self.ask()) if some else None,
        )

    def _colour(self) -> None:
        """Colours the points by the column that is chosen."""
        if self.plane is None or not self._facts.ready or not self.session.is_open:
            return
        self.want(
            "groups", partial(_groups, self.session.project, self.by.currentData(), self.plane, dict(self._facts.rows))
        )

    def _take(self, key: object, made: object) -> None:
        plane, found = made  # pyright: ignore[reportGeneralTypeIssues]
        if plane is self.plane:
            self.chart.show_groups(found)

    def _describe(self, row: int) -> str:
        """What is said of a point."""
        if self.plane is None or not self.session.is_open or row >= len(self.plane.ids):
            return ""
        with self.session.reporting():
            found = self.session.project.examples_by_id([self.plane.ids[row]])
            topic = self.plane.names[int(self.plane.topics[row])]
            return "\n".join((found[0].question, found[0].answer, topic)) if found else ""
        return ""

    def show_actions(self) -> None:
        self._say_empty()
        self.draw_button.setEnabled(self.session.is_open and not self.curating.active)
        self.draw_button.setText(self.tr("Draw the map…") if self.plane is None else self.tr("Draw it again…"))

    def _say_pointed(self, row: int) -> None:
        """What the mouse is at, or else what it can do."""
        if row < 0:
            self.hint.setText(
                self.tr("Draw around points to choose them; Shift adds, Alt takes away; the wheel zooms.")
            )
            return
        words = " · ".join(self._describe(row).split("\n"))
        self.hint.setText(self.fontMetrics().elidedText(words, Qt.TextElideMode.ElideRight, self.hint.width()))

    # Choosing

    def _show_chosen(self) -> None:
        """What the lasso chose, in the table; all of it is selected, so that the keys judge it."""
        if self.rows is None or self.plane is None:
            return
        ids = [self.plane.ids[row] for row in self.chart.chosen_rows.tolist()]
        with QSignalBlocker(self.rows):
            self.rows.show_ids(ids)
            self.rows.select(ids)
            if ids:
                self.rows.show_first()
        self._say_chosen(len(ids))

    def _say_chosen(self, count: int) -> None:
        total = QLocale().toString(len(self.plane.ids) if self.plane else 0)
        words = self.tr("{} of {} chosen").format(QLocale().toString(count), total)
        self.chosen_words.setText(words if count else self.tr("Nothing chosen"))

    def _mark(self) -> None:
        """The rows that are selected in the table are those that stand out on the map."""
        if self.rows is None or self.plane is None:
            return
        selected = self.rows.selected_ids()
        self.chart.choose([self._places[id] for id in selected])

    def show_ids(self, ids: Sequence[int]) -> None:
        """Chooses these questions on the map."""
        if self.plane is not None:
            wanted = set(ids)
            self.chart.choose([row for row, id in enumerate(self.plane.ids) if id in wanted])
            self._show_chosen()

    # The map

    def ask(self) -> None:
        """Asks which model is to see what is alike, and draws the map."""
        if not self.curating.allowed():
            return
        dialog = VectorsDialog(
            self.session,
            self.tr("Draw the map"),
            self.tr("A model turns each question with its answer into a vector; the map shows where they differ most."),
            self.tr("&Draw"),
            self,
        )
        if dialog.exec():
            self.draw(dialog.path())
        dialog.deleteLater()

    def draw(self, model: Path) -> None:
        """Makes the map in the background."""
        project = self.session.project
        self.curating.start(
            self.tr("Drawing the map"),
            lambda worker, cancelled: lay_out(project, worker, model, _mapped(project), cancelled),
            self.show_plane,
            self.ask,
        )

    def show_plane(self, plane: Plane) -> None:
        """Another map."""
        self.plane = plane
        self._show_plane()
        self.touch()


def _mapped(project: Project) -> list[int]:
    return sorted(id for state in MAPPED for id in project.example_ids(ExampleFilter(state=state)))


def _groups(project: Project, by: str | int, plane: Plane, facts: dict[int, RowFact]) -> tuple[Plane, list[Group]]:
    """In a thread of its own."""
    if isinstance(by, int):
        return plane, pick_groups(plane, project.pick_rows(by))
    scores = {id: row.value for id, row in standing(project, plane.ids).items()} if by == "score" else {}
    return plane, groups(by, plane, facts, scores)
