"""Frozen datasets: a list of them, the rows of the one that is selected, and how two differ."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from PySide6.QtCore import QLocale, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QInputDialog,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core import datasets
from core.datasets import Difference
from core.project.project import Project
from core.project.tuning import Dataset
from gui import style
from gui.dataset_comparison import DifferencePage
from gui.dataset_facts import DatasetFacts
from gui.dataset_list import DatasetList, Entry
from gui.dataset_removal import DatasetRemover
from gui.dataset_rows import Numbered, RowsPage
from gui.dataset_words import tuned_on
from gui.empty_page import EmptyPage
from gui.export_dialog import ExportDialog
from gui.freeze_dialog import FreezeDialog
from gui.jobs import Jobs
from gui.labels import strong
from gui.panels.panel import action_button, action_tool
from gui.reckoner import Reckoner
from gui.session import Session


@dataclass(frozen=True)
class Shown:
    """The rows of a dataset."""

    entry: Entry
    rows: list[Numbered]


class DatasetsPage(QWidget):
    """One dataset is shown, or two beside each other; its actions are for the menu of the panel it is in."""

    tune_wanted = Signal(str)  # on the dataset of this name
    called = Signal()  # one of its actions is to be done, wherever it was called from

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self.session, self.jobs = session, jobs
        self._reckoner, self._remover = Reckoner(session), DatasetRemover(session)
        self._build()
        self._connect()
        self._show_project()

    def take_focus(self) -> None:
        """The keys go to the list."""
        (self.empty if self._pages.currentWidget() is self.empty else self.list).setFocus()

    def find_rows(self) -> bool:
        """Puts the cursor into the search field of the rows; False where none are shown."""
        if not self.rows.isVisible():
            return False
        self.rows.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.rows.search.selectAll()
        return True

    @property
    def idle(self) -> bool:
        """Whether all that is to be seen is read."""
        return self._reckoner.idle and self._remover.idle and self.rows.idle

    @property
    def dataset(self) -> Dataset | None:
        """The one that is selected; none where there are two."""
        selected = self.list.selected
        return selected[0].dataset if len(selected) == 1 else None

    # Building

    def _build(self) -> None:
        self._freeze = self._action(self.tr("&Freeze a dataset…"), self.freeze, "F", "freeze")
        self._tune = self._action(self.tr("&Tune a model on it…"), self.tune, "T", "tuning")
        self._export = self._action(self.tr("E&xport the dataset…"), self.export, "X", "export")
        self._rename = self._action(self.tr("Re&name…"), self.rename, "F2", "edit")
        self._remove = self._action(self.tr("Remo&ve"), self.remove, "Del", "remove")
        self.list = DatasetList()
        self.list.addActions([self._tune, self._export, self._rename, self._remove])
        self.problem, self.empty = EmptyPage(), EmptyPage()
        self.rows, self.difference = RowsPage(self.session), DifferencePage()
        self._right = QStackedWidget()
        for page in (self.problem, self._one(), self.difference):
            self._right.addWidget(page)
        self.splitter = QSplitter()
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(self.list)
        self.splitter.addWidget(self._right)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([280, 740])
        if state := self.session.settings.value("datasets/splitter"):
            self.splitter.restoreState(state)  # pyright: ignore[reportArgumentType]
        body = QWidget()
        column = QVBoxLayout(body)
        style.spaced(column, 0)
        column.addLayout(self._tools())
        column.addWidget(self.splitter, 1)
        self._pages = QStackedWidget()
        self._pages.addWidget(body)
        self._pages.addWidget(self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, style.SPACE, 0, 0)
        column.addWidget(self._pages)

    def _one(self) -> QWidget:
        """One dataset: its name, facts that are folded away, and its rows."""
        self.name, self.facts = strong(size=1.15, selectable=True), DatasetFacts(self.session)
        self.single = QWidget()
        column = QVBoxLayout(self.single)
        column.setContentsMargins(style.SPACE, 0, 0, 0)
        column.setSpacing(style.HALF)
        column.addWidget(self.name)
        column.addWidget(self.facts)
        column.addWidget(self.rows, 1)
        return self.single

    def _tools(self) -> QHBoxLayout:
        row = QHBoxLayout()
        style.spaced(row, 0)
        for action, text, tip in (
            (self._freeze, self.tr("&Freeze…"), self.tr("Keep a selection of rows, with splits, as it is now")),
            (self._tune, self.tr("&Tune…"), self.tr("Have a model learn from the selected dataset")),
            (self._export, self.tr("E&xport…"), self.tr("Write the selected dataset to a file or a folder")),
        ):
            button: QPushButton = action_button(action, text)
            button.setToolTip(tip)
            row.addWidget(button)
        row.addStretch(1)
        for action, name in ((self._rename, self.tr("Rename")), (self._remove, self.tr("Remove"))):
            row.addWidget(action_tool(action, name))
        return row

    def _action(self, text: str, do: Callable[[], object], key: str, glyph: str) -> QAction:
        action = QAction(text, self)
        action.setShortcut(QKeySequence(key))
        action.setShortcutContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        style.set_icon(action, glyph)
        action.triggered.connect(self.called)
        action.triggered.connect(lambda: do())
        self.addAction(action)
        return action

    def _connect(self) -> None:
        self.list.chosen.connect(self._show_selection)
        self._reckoner.reckoned.connect(self._take)
        self.session.project_opened.connect(self._show_project)
        self.session.project_closing.connect(self._leave)
        self.session.project_closed.connect(self._show_project)
        for signal in (self.session.datasets_changed, self.session.adapters_changed):
            signal.connect(self._refresh)

    # Showing

    def _show_project(self) -> None:
        """Another project, or none."""
        self.list.show_datasets([], {})
        self._refresh()
        self._show_actions()

    def _leave(self) -> None:
        self._reckoner.forget()
        self._remover.stop()
        self.rows.stop()

    def _refresh(self, _: object = None) -> None:
        """Reads which there are."""
        if not self.session.is_open or not self.isVisible():
            return
        with self.session.reporting():
            project = self.session.project
            self.list.show_datasets(project.datasets(), tuned_on(project))
        self._show_empty()
        self._show_actions()

    def _show_empty(self) -> None:
        has_any = self.list.count() > 0
        self._pages.setCurrentIndex(0 if has_any else 1)
        if not has_any:
            self.empty.say(
                "dataset",
                self.tr("No datasets yet"),
                self.tr(
                    "A dataset is a selection of rows that is frozen: divided into what is learned from and what it "
                    "is judged by, so that later figures stay comparable."
                ),
                self.tr("Freeze…"),
                None if self.session.project.read_only else self.freeze,
            )

    def _show_selection(self) -> None:
        self._show_actions()
        selected = self.list.selected
        if not self.session.is_open or not selected:
            return
        project = self.session.project
        self._reckoner.forget()
        if len(selected) == 1:
            self._reckoner.want("shown", partial(_look, project, selected[0]))
        elif len(selected) == 2:
            before, after = (entry.dataset.name for entry in selected)
            self._reckoner.want("shown", partial(datasets.compare, project, before, after))
        else:
            self.problem.say("info", self.tr("Choose one dataset to see it, or two to compare them."))
            self._right.setCurrentWidget(self.problem)

    def _take(self, _: object, made: object) -> None:
        selected = self.list.selected
        if isinstance(made, Shown) and [made.entry] == selected:
            self.name.setText(made.entry.dataset.name)
            self.facts.show_entry(made.entry)
            self.rows.show_rows(made.rows)
            self._right.setCurrentWidget(self.single)
        elif isinstance(made, Difference) and [made.before, made.after] == [entry.dataset for entry in selected]:
            self.difference.show_difference(made)
            self._right.setCurrentWidget(self.difference)

    def _show_actions(self) -> None:
        open = self.session.is_open
        writable = open and not self.session.project.read_only
        one = open and self.dataset is not None
        self._freeze.setEnabled(writable)
        self._export.setEnabled(one)
        for action in (self._tune, self._rename, self._remove):
            action.setEnabled(one and writable)

    # What the user does

    def freeze(self, what: str = datasets.ACCEPTED) -> None:
        """Asks how a dataset is to be made, and selects it when it is there."""
        if not self.session.may_write():
            return
        with self.session.reporting():
            dialog = FreezeDialog(self.session, what, self)
            dialog.frozen.connect(self.show_frozen)
            dialog.exec()
            dialog.deleteLater()

    def show_frozen(self, dataset: Dataset) -> None:
        """Selects a dataset that was just frozen, and offers what most do with it next."""
        words = self.tr("“{}” is frozen: {} rows.")
        if dataset in self.list.datasets:
            words = self.tr("These very rows were frozen before, as “{}”: {} rows.")
        self._refresh()
        self.list.select(dataset.id)
        said = words.format(dataset.name, QLocale().toString(dataset.rows))
        self.session.notify(said, self.tr("Tune…"), partial(self._ask_to_tune, dataset.name))

    def tune(self) -> None:
        """Has a model tuned on the selected dataset."""
        if self.dataset is not None:
            self._ask_to_tune(self.dataset.name)

    def _ask_to_tune(self, name: str) -> None:
        self.tune_wanted.emit(name)

    def export(self) -> None:
        """Asks where to and in which format."""
        if self.dataset is not None:
            dialog = ExportDialog(self.session, self.jobs, self, dataset=self.dataset.name)
            dialog.exec()
            dialog.deleteLater()

    def rename(self) -> None:
        """Asks for another name; what was tuned on it goes on to say the old one."""
        dataset = self.dataset
        if dataset is None or not self.session.may_write():
            return
        name, given = QInputDialog.getText(self, self.tr("Rename the dataset"), self.tr("Name"), text=dataset.name)
        if given and name.strip() and name.strip() != dataset.name:
            with self.session.reporting():
                self.session.project.rename_dataset(dataset.id, name.strip())

    def remove(self) -> None:
        """Takes the selected dataset out of the project; it can be brought back."""
        dataset = self.dataset
        if dataset is None or not self.session.may_write():
            return
        self._remover.remove(dataset)

    # State

    def save_state(self) -> None:
        """Called when the window closes."""
        self.session.settings.setValue("datasets/splitter", self.splitter.saveState())
        self._reckoner.stop()
        self._leave()

    # Qt's own

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self._refresh()


def _look(project: Project, entry: Entry) -> Shown:
    """In a thread of its own."""
    rows = project.dataset_rows(entry.dataset.id)
    return Shown(entry, [Numbered(number, row) for number, row in enumerate(rows, 1)])
