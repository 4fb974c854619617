"""The picks of the project: what each chose and why, and how much better it covers all than as many at random.

It is imported when Curate is first shown, and not before: its charts take a third of a second to load.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from PySide6.QtCore import QLocale, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtWidgets import (
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from core.curation.pick import Picked, PickOptions, pick
from core.project.records import Pick, PickRow
from gui import style
from gui.charts.chart import percent
from gui.curate_page import CuratePage
from gui.curating import Curating
from gui.pick_dialog import PickDialog
from gui.pick_figures import PickFigures
from gui.row_facts import RowFacts
from gui.rows_pane import RowsPane
from gui.run_list import LINES, Line, RunDelegate, whole
from gui.session import Session
from gui.words import local_time, tooltip

_PICK = Qt.ItemDataRole.UserRole


class PickPage(CuratePage):
    """A list of picks on the left; figures, charts and rows of the one that is looked at on the right."""

    frozen = Signal(object)  # the Dataset that was made of one

    def __init__(self, session: Session, curating: Curating, facts: RowFacts) -> None:
        super().__init__(session, curating)
        self._facts = facts
        self._found: list[PickRow] = []  # of the pick that is looked at
        self._build()
        session.picks_changed.connect(self.touch)
        facts.changed.connect(self.touch)

    # Building

    def _build(self) -> None:
        self.pick_button = QPushButton(self.tr("Pick…"))
        self.pick_button.setToolTip(self.tr("Choose few questions that are good and stand for all the others"))
        style.set_icon(self.pick_button, "run")
        self.freeze_button = QPushButton(self.tr("Freeze…"))
        self.freeze_button.setToolTip(self.tr("Keep the pick as a dataset that never changes, divided by documents"))
        self.remove_button = QPushButton(self.tr("Remove"))
        self.remove_button.setToolTip(self.tr("Forgets the pick; its questions stay as they are"))
        for button, do in (
            (self.pick_button, self.ask),
            (self.freeze_button, self.freeze),
            (self.remove_button, self.remove),
        ):
            button.clicked.connect(lambda _=False, do=do: do())
        self.buttons.addWidget(self.pick_button)
        self.buttons.addWidget(self.freeze_button)
        self.buttons.addWidget(self.about, 1)
        self.buttons.addWidget(self.remove_button)
        self.charts = PickFigures(self.session)
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Picks"))
        self.list.setItemDelegate(RunDelegate(self.list))
        self.list.setSpacing(1)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMinimumWidth(160)
        self.list.currentItemChanged.connect(lambda *_: self._show_pick())
        splitter = QSplitter()
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.list)
        splitter.addWidget(self.charts)
        splitter.addWidget(self._build_rows())
        splitter.setStretchFactor(1, 1)
        splitter.setStretchFactor(2, 1)
        splitter.setSizes([190, 420, 420])
        column = QVBoxLayout(self.body)
        style.spaced(column, 0)
        column.addWidget(splitter)

    def _build_rows(self) -> QWidget:
        self.switch = QTabBar()
        self.switch.setDrawBase(False)
        self.switch.setExpanding(False)
        self.switch.setAccessibleName(self.tr("Which questions"))
        for text in (self.tr("Picked"), self.tr("At random")):
            self.switch.addTab(text)
        self.switch.currentChanged.connect(lambda _: self._show_rows())
        self.rows = RowsPane(self.session, self.tr("Why"), self.tr("Questions of the pick"))
        right = QWidget()
        column = QVBoxLayout(right)
        style.spaced(column, 0, style.HALF)
        column.addWidget(self.switch)
        column.addWidget(self.rows, 1)
        return right

    # What is shown

    @property
    def current(self) -> Pick | None:
        """The pick that is looked at."""
        item = self.list.currentItem()
        return item.data(_PICK) if item else None

    def forget(self) -> None:
        self._found = []
        with QSignalBlocker(self.list):
            self.list.clear()
        if self.rows is not None:
            self.rows.forget()

    def refresh(self) -> None:
        self._facts.want()
        with self.session.reporting():
            self._fill(self.session.project.picks()[::-1])
        self.fill(self.list.count() > 0)
        some = self._facts.ready and not self._facts.rows
        self.empty.say(
            "curate",
            self.tr("No questions yet") if some else self.tr("No picks yet"),
            self.tr("A few excellent questions that differ from each other teach more than many that do not."),
            self.tr("Pick…"),
            (lambda: self.ask()) if self.writable and not some else None,
        )
        self._show_pick()

    def select(self, pick_id: int) -> None:
        """Looks at this pick."""
        self.refresh()
        for row in range(self.list.count()):
            if self.list.item(row).data(_PICK).id == pick_id:
                self.list.setCurrentRow(row)

    def _fill(self, picks: Sequence[Pick]) -> None:
        """One row a pick, the newest first."""
        before = self.current
        if [self.list.item(row).data(_PICK) for row in range(self.list.count())] == list(picks):
            return
        with QSignalBlocker(self.list):
            self.list.clear()
            for one in picks:
                lines: list[Line] = [
                    (one.name, "", ""),
                    ("", self.tr("{} questions").format(QLocale().toString(one.size)), ""),
                    ("", local_time(one.created_at), ""),
                ]
                item = QListWidgetItem("\n".join(map(whole, lines)), self.list)
                item.setData(_PICK, one)
                item.setData(LINES, lines)
                item.setToolTip(tooltip("\n".join(map(whole, lines))))
                item.setSizeHint(QSize(0, 3 * self.fontMetrics().height() + 2 * style.SPACE))
            ids = [one.id for one in picks]
            self.list.setCurrentRow(ids.index(before.id) if before is not None and before.id in ids else 0)

    def _show_pick(self) -> None:
        """Reads the rows of the pick that is looked at."""
        one, self._found = self.current, []
        if one is not None and self.session.is_open:
            with self.session.reporting():
                self._found = self.session.project.pick_rows(one.id)
            self.charts.show_pick(one)
        self._show_rows()
        self.show_actions()

    def _show_rows(self) -> None:
        baseline = self.switch.currentIndex() == 1
        rows = [row for row in self._found if row.baseline == baseline]
        if self.rows is not None:
            reasons = {row.example_id: row.reason for row in rows}
            self.rows.show_ids(list(reasons), lambda id: reasons.get(id, ""))
        counts = Counter(row.baseline for row in self._found)
        for place, (name, side) in enumerate(((self.tr("Picked {}"), False), (self.tr("At random {}"), True))):
            self.switch.setTabText(place, name.format(QLocale().toString(counts[side])))

    def show_actions(self) -> None:
        one = self.current is not None and self.is_filled
        self.pick_button.setEnabled(self.writable and not self.curating.active)
        self.freeze_button.setEnabled(self.writable and one)
        self.remove_button.setEnabled(self.writable and one)

    # What the user does

    def ask(self) -> None:
        """Asks how many to pick and how, and picks them."""
        if not self.session.may_write() or not self.curating.allowed():
            return
        dialog = PickDialog(self.session, self)
        if dialog.exec():
            self.pick(dialog.options())
        dialog.deleteLater()

    def pick(self, options: PickOptions) -> None:
        """Picks in the background."""
        project = self.session.project
        self.curating.start(
            self.tr("Picking"),
            lambda worker, cancelled: pick(project, worker, options, cancelled),
            self._show_made,
            self.ask,
        )

    def _show_made(self, made: Picked) -> None:
        self.select(made.pick.id)
        words = self.tr("{} questions are picked: coverage {}, at random {}.").format(
            QLocale().toString(made.pick.size), percent(made.coverage.coverage), percent(made.baseline.coverage)
        )
        self.session.notify(words)

    def freeze(self) -> None:
        """Asks how the pick is to be divided, and keeps it as a dataset."""
        if self.current is None or not self.session.may_write():
            return
        from gui.freeze_dialog import FreezeDialog

        side = "baseline" if self.switch.currentIndex() == 1 else "pick"
        dialog = FreezeDialog(self.session, f"{side}:{self.current.id}", self)
        dialog.frozen.connect(self.frozen)
        dialog.exec()
        dialog.deleteLater()

    def remove(self) -> None:
        """Forgets the pick."""
        if self.current is None or not self.session.may_write():
            return
        with self.session.reporting():
            self.session.project.remove_pick(self.current.id)
        self.refresh()
