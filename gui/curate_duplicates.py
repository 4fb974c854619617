"""Questions that say the same as others, group by group, and those that stand in a set that is kept for testing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLocale, Signal
from PySide6.QtWidgets import QFileDialog, QMenu, QPushButton, QSplitter, QStackedWidget, QTabBar, QVBoxLayout, QWidget

from core.project.project import CHUNK, Project
from core.project.records import Example
from gui import style
from gui.curate_dialogs import DuplicatesDialog
from gui.curate_page import CuratePage
from gui.curating import MANY, Curating
from gui.duplicate_groups import GroupList, GroupView, Standing
from gui.rows_pane import RowsPane
from gui.session import Session

if TYPE_CHECKING:  # with numpy
    from core.curation.duplicates import Group
    from core.curation.leaks import HeldOut, Leak

KINDS_OF_TABLES = "*.jsonl *.json *.csv *.tsv *.parquet"


class DuplicatesPage(CuratePage):
    """What was found is kept while the project is open; who undoes a rejection finds its group here again."""

    undo_wanted = Signal()  # of the last change

    def __init__(self, session: Session, curating: Curating) -> None:
        super().__init__(session, curating)
        self.found: list[Group] | None = None  # None: nobody has looked yet
        self.leaks: list[Leak] | None = None
        self._standing: list[Standing] = []
        self._against = ""  # the name of the file that was compared with
        self._build()
        session.examples_changed.connect(self._note)

    def _build(self) -> None:
        self.find_button = QPushButton(self.tr("Find duplicates…"))
        self.against_button = QPushButton(self.tr("Compare with a test set…"))
        self.against_menu = QMenu(self)
        self.against_button.setToolTip(self.tr("Questions of a file that is kept for testing must not be learned from"))
        self.all_button = QPushButton(self.tr("Keep the best of each"))
        style.set_icon(self.find_button, "search")
        style.set_icon(self.all_button, "accept")
        self.find_button.clicked.connect(lambda: self.ask())
        self.against_button.clicked.connect(lambda: self.compare())
        self.all_button.clicked.connect(lambda: self.keep(self._standing))
        for button in (self.find_button, self.against_button):
            self.buttons.addWidget(button)
        self.buttons.addWidget(self.about, 1)
        self.buttons.addWidget(self.all_button)
        self.switch = QTabBar()
        self.switch.setDrawBase(False)
        self.switch.setExpanding(False)
        self.switch.setAccessibleName(self.tr("What was found"))
        for _ in range(2):
            self.switch.addTab("")
        self.switch.currentChanged.connect(self._show_part)
        self._parts = QStackedWidget()
        self._parts.addWidget(self._build_groups())
        self.leaked = self.rows = RowsPane(self.session, self.tr("In the test set"), self.tr("Questions of a test set"))
        self._parts.addWidget(self.leaked)
        column = QVBoxLayout(self.body)
        style.spaced(column, 0, style.SPACE)
        column.addWidget(self.switch)
        column.addWidget(self._parts, 1)

    def _build_groups(self) -> QWidget:
        self.list, self.view = GroupList(), GroupView()
        self.list.chosen.connect(self._show_group)
        self.view.kept.connect(self.choose)
        self.view.wanted.connect(self.keep_current)
        splitter = QSplitter()
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(self.list)
        splitter.addWidget(self.view)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([300, 640])
        return splitter

    # What is shown

    def forget(self) -> None:
        self.found, self.leaks, self._standing = None, None, []
        self.list.show_groups([])
        self.leaked.forget()

    def refresh(self) -> None:
        if self.found:
            self.want("groups", partial(_standing, self.session.project, list(self.found)))
        else:
            self._take("groups", [])

    def selected_ids(self) -> list[int]:
        return self.leaked.selected_ids() if self.is_filled and self.switch.currentIndex() == 1 else []

    def take_focus(self) -> None:
        if not self.is_filled:
            self.empty.setFocus()
        else:
            (self.leaked if self.switch.currentIndex() else self.list).setFocus()

    def _note(self, ids: Sequence[int]) -> None:
        """Some questions have changed: only those of groups matter here."""
        known = {id for group in self.found or () for id in group.ids}
        if known.intersection(ids):
            self.touch()

    def _take(self, key: object, made: object) -> None:
        assert isinstance(made, list)
        self._standing = made
        self.list.show_groups(made)
        number = QLocale().toString
        leaks = {leak.example_id: leak for leak in reversed(self.leaks or ())}  # the likest first
        self.leaked.show_ids(sorted(leaks), lambda id: leak_words(leaks[id]) if id in leaks else "")
        self.switch.setTabText(0, self.tr("Groups {}").format(number(len(made))))
        self.switch.setTabText(1, self.tr("In {} {}").format(self._against, number(len(leaks))))
        self.switch.setTabVisible(1, self.leaks is not None)
        self.switch.setVisible(self.leaks is not None)
        self._show_words(len(leaks))
        self.fill(bool(made) or bool(leaks))
        self.show_actions()

    def _show_words(self, leaks: int) -> None:
        spare = sum(len(one.examples) - 1 for one in self._standing)
        number = QLocale().toString
        words = ""
        if self._standing:
            words = self.tr("{} groups; {} questions would be rejected.").format(
                number(len(self._standing)), number(spare)
            )
        self.about.setText(words)
        if self.found is None and self.leaks is None:
            head = self.tr("Nobody has looked yet")
            text = self.tr("Questions that say the same teach the same twice, and count twice in every figure.")
        elif self.found is None:
            head, text = (
                self.tr("Nothing of the test set is here"),
                self.tr("No question of {} stands in this project."),
            )
            text = text.format(self._against)
        else:
            head, text = self.tr("No duplicates"), self.tr("No two questions that are kept say the same.")
        writable = self.session.is_open
        self.empty.say("curate", head, text, self.tr("Find duplicates…"), (lambda: self.ask()) if writable else None)

    def _show_part(self, place: int) -> None:
        self._parts.setCurrentIndex(place)
        self.show_actions()

    def _show_group(self) -> None:
        self.view.show_group(self.list.current, self.writable)
        self.show_actions()

    def show_actions(self) -> None:
        free = self.session.is_open and not self.curating.active
        self.find_button.setEnabled(free)
        self.against_button.setEnabled(free)
        groups = self.switch.currentIndex() == 0
        self.all_button.setEnabled(self.writable and bool(self._standing) and groups)
        self.all_button.setToolTip("" if self.writable or not self.session.is_open else self.session.only_read())

    # What the user does

    def ask(self) -> None:
        """Asks what counts as a duplicate, and looks for them."""
        if not self.curating.allowed():
            return
        dialog = DuplicatesDialog(self.session, self)
        if dialog.exec():
            self.look(dialog.near.value(), dialog.model_path(), dialog.alike.value())
        dialog.deleteLater()

    def look(self, near: float, model: Path | None, alike: float) -> None:
        """Looks for duplicates in the background."""
        from core.curation.duplicates import Duplicates, find

        project = self.session.project
        options = Duplicates(near=near, semantic=alike, model=model)
        self.curating.start(
            self.tr("Looking for duplicates"),
            lambda worker, cancelled: find(project, worker, options, cancelled),
            self._show_found,
            self.ask,
        )

    def _show_found(self, found: list[Group]) -> None:
        self.found = found
        self.switch.setCurrentIndex(0)
        self.touch()
        if not found:
            self.session.notify(self.tr("No duplicates were found."))

    def choose(self, id: int) -> None:
        """Another question of the group is to be kept."""
        current = self.list.current
        if current is None or self.found is None:
            return
        group = replace(current.group, best=id, why=self.tr("you chose it"))
        self.found = [group if one.ids == group.ids else one for one in self.found]
        examples = sorted(current.examples, key=lambda one: (one.id != id, one.id))
        chosen = Standing(group, tuple(examples))
        self._standing = [chosen if one is current else one for one in self._standing]
        self.list.show_groups(self._standing)

    def keep_current(self) -> None:
        """Rejects all of the group but the one that is kept."""
        if (current := self.list.current) is not None:
            self.keep([current])

    def keep(self, groups: Sequence[Standing]) -> None:
        """The same for several, as one action that can be undone."""
        if not groups or not self.session.may_write():
            return
        from core.curation.duplicates import keep_best

        with self.session.reporting():
            project, wanted = self.session.project, [_remaining(one) for one in groups]
            if sum(len(one.ids) for one in wanted) > MANY:
                self.curating.change(lambda: keep_best(project, wanted))
                return
            rejected = keep_best(project, wanted)
            words = self.tr("{} duplicates were rejected.").format(QLocale().toString(rejected))
            self.session.notify(words, self.tr("Undo"), self.undo_wanted.emit)
        self.touch()

    def compare(self) -> None:
        """Asks what is kept for testing, a file or a dataset of the project, and looks for its questions here."""
        if not self.curating.allowed():
            return
        self.against_menu.clear()
        self.against_menu.addAction(self.tr("A &file…")).triggered.connect(lambda: self.choose_file())
        with self.session.reporting():
            for dataset in reversed(self.session.project.datasets()):
                if dataset.held_out or dataset.test:
                    text = self.tr("Held out of “{}”").format(dataset.name).replace("&", "&&")
                    action = self.against_menu.addAction(text)
                    action.triggered.connect(lambda _=False, name=dataset.name: self.look_against_dataset(name))
        if len(self.against_menu.actions()) == 1:
            self.choose_file()
        else:
            self.against_menu.popup(self.against_button.mapToGlobal(self.against_button.rect().bottomLeft()))

    def choose_file(self) -> None:
        """Asks for a file that is kept for testing."""
        title, kinds = self.tr("Choose a test set"), self.tr("Tables ({});;All files (*)").format(KINDS_OF_TABLES)
        name, _ = QFileDialog.getOpenFileName(self, title, str(self.session.project.path.parent), kinds)
        if name:
            self.look_against(Path(name))

    def look_against(self, path: Path) -> None:
        """Looks in the background for questions of this file."""
        from core.curation.leaks import of_file

        self._look_against(path.name, lambda: of_file(path))

    def look_against_dataset(self, name: str) -> None:
        """Looks in the background for questions that a dataset of the project holds out."""
        from core.curation.leaks import of_dataset

        project = self.session.project
        self._look_against(name, lambda: of_dataset(project, name))

    def _look_against(self, name: str, read: Callable[[], Sequence[HeldOut]]) -> None:
        from core.curation.duplicates import Duplicates
        from core.curation.leaks import leaks

        project, self._against = self.session.project, name
        self.curating.start(
            self.tr("Comparing with {}").format(name),
            lambda worker, cancelled: leaks(project, worker, read(), Duplicates(), cancelled),
            self._show_leaks,
            self.compare,
        )

    def _show_leaks(self, found: list[Leak]) -> None:
        self.leaks = found
        self.touch()
        if found:
            self.switch.setCurrentIndex(1)
        else:
            self.session.notify(self.tr("No question of {} stands in this project.").format(self._against))


def leak_words(leak: Leak) -> str:
    """Where a question stands in a test set, and how alike."""
    translate = QCoreApplication.translate
    return translate("Duplicates", "row {}, alike {}: {}").format(
        QLocale().toString(leak.row), QLocale().toString(leak.similarity, "f", 2), " ".join(leak.text.split())
    )


def _standing(project: Project, groups: Sequence[Group]) -> list[Standing]:
    """In a thread of its own: the groups of which two or more are not rejected."""
    ids = sorted({id for group in groups for id in group.ids})
    examples: dict[int, Example] = {}
    for start in range(0, len(ids), CHUNK):
        found = project.examples_by_id(ids[start : start + CHUNK])
        examples.update((one.id, one) for one in found if one.state != "rejected")
    standing = []
    for group in groups:
        there = [examples[id] for id in group.ids if id in examples]
        if len(there) > 1:
            there.sort(key=lambda one: (one.id != group.best, one.id))
            standing.append(Standing(group, tuple(there)))
    return standing


def _remaining(one: Standing) -> Group:
    """The group of what is not rejected; where the best one is, the next is."""
    return replace(one.group, ids=tuple(example.id for example in one.examples), best=one.kept.id)
