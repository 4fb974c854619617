"""From many drafts to a small, excellent set: scores, duplicates, a map, picks, passages, and what is frozen of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, Signal
from PySide6.QtGui import QAction, QShowEvent
from PySide6.QtWidgets import QStackedWidget, QTabWidget, QVBoxLayout

from core.project.tuning import Dataset
from gui import style
from gui.curating import MANY, Curating
from gui.datasets_page import DatasetsPage
from gui.empty_page import EmptyPage
from gui.jobs import Jobs
from gui.panels.panel import Panel
from gui.session import Session

if TYPE_CHECKING:  # with numpy, and charts: imported when the panel is first shown
    from gui.curate_duplicates import DuplicatesPage
    from gui.curate_map import MapPage
    from gui.curate_page import CuratePage
    from gui.curate_passages import PassagesPage
    from gui.curate_pick import PickPage
    from gui.curate_scores import ScoresPage
    from gui.row_facts import RowFacts


class CuratePanel(Panel):
    """A page for each step. The keys that judge and rate act on what is selected on the page that is shown."""

    glyph = "curate"
    documents_wanted = Signal()
    tune_wanted = Signal(str)  # on the dataset of this name

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__(session, jobs, QCoreApplication.translate("Panel", "Curate"))
        self.curating = Curating(session, jobs, self)
        self.facts: RowFacts | None = None
        self.pages: list[CuratePage] = []  # but for the last, which judges nothing
        self.datasets = DatasetsPage(session, jobs)
        self.datasets.tune_wanted.connect(self.tune_wanted)
        self.datasets.called.connect(self._show_datasets)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for widget in (self.tabs, self.tabs.tabBar()):
            widget.setAccessibleName(self.tr("Steps of curation"))
        self.empty = EmptyPage()
        self._stack = QStackedWidget()
        self._stack.addWidget(self.empty)
        self._stack.addWidget(self.tabs)
        column = QVBoxLayout(self)
        style.spaced(column, style.SPACE)
        column.addWidget(self._stack)
        self._build_actions()
        session.project_opened.connect(self._show_project)
        session.project_closed.connect(self._show_project)
        session.documents_changed.connect(self._show_empty)
        for signal in (session.examples_changed, session.datasets_changed):
            signal.connect(self._fill)
        self._show_project()

    def take_focus(self) -> None:
        page = self.page
        if self._stack.currentWidget() is self.empty:
            self.empty.setFocus()
        else:
            (page or self.datasets).take_focus()

    def actions(self) -> list[QAction]:
        """Those of the datasets too, whose keys work among them alone."""
        return [*super().actions(), *self.datasets.actions()]

    @property
    def page(self) -> CuratePage | None:
        """The page that is shown."""
        place = self.tabs.currentIndex()
        return self.pages[place] if 0 <= place < len(self.pages) else None

    @property
    def idle(self) -> bool:
        """Whether all that is to be seen is reckoned."""
        reading = self.facts is not None and not self.facts.idle
        return not reading and (self.page or self.datasets).idle

    # Building

    def _build_actions(self) -> None:
        self._judging: list[QAction] = [
            self.add_action(self.tr("Accept"), lambda: self.judge("accepted"), "A", "accept"),
            self.add_action(self.tr("Reject"), lambda: self.judge("rejected"), "R", "reject"),
            self.add_action(self.tr("Back to draft"), lambda: self.judge("draft"), "D"),
        ]
        for stars in range(1, 6):
            text = self.tr("Rate 1 star") if stars == 1 else self.tr("Rate {} stars").format(stars)
            self._judging.append(self.add_action(text, partial(self.rate, stars), str(stars)))
        self._judging.append(self.add_action(self.tr("No rating"), lambda: self.rate(0), "0"))
        self.add_action(self.tr("Undo the last change"), self.undo, "U", "undo")
        self._own: list[tuple[str, QAction]] = []
        for attribute, text, do, key in (
            ("scores", self.tr("Score…"), "ask", None),
            ("scores", self.tr("Check rules"), "check_rules", None),
            ("duplicates", self.tr("Find duplicates…"), "ask", None),
            ("duplicates", self.tr("Compare with a test set…"), "compare", None),
            ("duplicates", self.tr("Keep this one, reject the others"), "keep_current", "K"),
            ("map", self.tr("Draw the map…"), "ask", None),
            ("pick", self.tr("Pick…"), "ask", None),
            ("pick", self.tr("Freeze the pick…"), "freeze", None),
            ("passages", self.tr("Passage: worth asking about"), "worth", "W"),
            ("passages", self.tr("Passage: not worth it"), "not_worth", "N"),
            ("passages", self.tr("Passage: worth it (1)"), "worth", "1"),
            ("passages", self.tr("Passage: not worth it (0)"), "not_worth", "0"),
            ("passages", self.tr("Passage: skip"), "skip", "S"),
            ("passages", self.tr("Passage: back"), "go_back", "B"),
            ("passages", self.tr("Learn from the labels…"), "learn", None),
        ):
            self._own.append((attribute, self.add_action(text, partial(self._do, attribute, do), key)))

    def _do(self, attribute: str, what: str) -> None:
        """What an action does, on its page."""
        self._make_pages()
        page: CuratePage = getattr(self, attribute)
        self.tabs.setCurrentWidget(page)
        do: Callable[[], object] = getattr(page, what)
        do()

    def _make_pages(self) -> None:
        """Charts and numpy are imported here."""
        if self.pages:
            return
        from gui.curate_duplicates import DuplicatesPage
        from gui.curate_map import MapPage
        from gui.curate_passages import PassagesPage
        from gui.curate_pick import PickPage
        from gui.curate_scores import ScoresPage
        from gui.row_facts import RowFacts

        self.facts = RowFacts(self.session)
        self.scores: ScoresPage = ScoresPage(self.session, self.curating, self.facts)
        self.duplicates: DuplicatesPage = DuplicatesPage(self.session, self.curating)
        self.map: MapPage = MapPage(self.session, self.curating, self.facts)
        self.pick: PickPage = PickPage(self.session, self.curating, self.facts)
        self.passages: PassagesPage = PassagesPage(self.session, self.curating)
        self.pages = [self.scores, self.duplicates, self.map, self.pick, self.passages]
        for page, name in zip(
            self.pages,
            (self.tr("&Scores"), self.tr("Dup&licates"), self.tr("&Map"), self.tr("&Pick"), self.tr("Pa&ssages")),
            strict=True,
        ):
            self.tabs.addTab(page, name)
            page.show_project()
            state = self.session.settings.value(f"curate/{type(page).__name__}")
            if state and page.splitter is not None:
                page.splitter.restoreState(state)  # pyright: ignore[reportArgumentType]
        self.tabs.addTab(self.datasets, self.tr("Da&tasets"))
        self.duplicates.undo_wanted.connect(self.undo)
        self.pick.frozen.connect(self._show_frozen)
        kept = str(self.session.settings.value("curate/page", 0))
        self.tabs.setCurrentIndex(min(int(kept), self.tabs.count() - 1) if kept.isdecimal() else 0)
        self.tabs.currentChanged.connect(self._show_actions)
        self._show_actions()

    def _show_datasets(self) -> None:
        self._make_pages()
        self.tabs.setCurrentWidget(self.datasets)

    def _show_frozen(self, dataset: Dataset) -> None:
        """What was frozen of a pick."""
        self._show_datasets()
        self.datasets.show_frozen(dataset)

    # What is shown

    def _show_project(self) -> None:
        """Another project, or none."""
        if self.facts is not None:
            self.facts.forget()
        for page in self.pages:
            page.show_project()
        self._show_empty()

    def _show_empty(self, _: object = None) -> None:
        """Whether there is anything to curate."""
        some = self.session.is_open and self._has_anything()
        self._stack.setCurrentWidget(self.tabs if some else self.empty)
        self.empty.say(
            "curate",
            self.tr("Nothing to curate yet"),
            self.tr("Add documents and have questions asked about them; here the best of them become a set."),
            self.tr("Documents"),
            self.documents_wanted.emit,
        )
        self._show_actions()

    def _fill(self, _: object = None) -> None:
        """Questions have come: from now on there is something."""
        if self._stack.currentWidget() is self.empty:
            self._show_empty()

    def _has_anything(self) -> bool:
        with self.session.reporting():
            project = self.session.project
            some = any(one.passages for one in project.documents()) or any(project.counts().values())
            return some or bool(project.datasets())
        return False

    def _show_actions(self, _: object = None) -> None:
        """The keys of one page do nothing on the others."""
        page, writable = self.page, self.session.is_open and not self.session.project.read_only
        judges = page is not None and page is not self.passages
        for action in self._judging:
            action.setEnabled(writable and judges)
        for attribute, action in self._own:
            shown = bool(self.pages) and page is getattr(self, attribute)
            action.setEnabled(self.session.is_open and (shown or not action.shortcut().toString()))

    # What the keys do

    def judge(self, state: str) -> None:
        """Accepts, rejects or takes back what is selected; after a verdict on one, the next comes up."""
        ids = self.page.selected_ids() if self.page is not None else []
        if not ids or not self.session.may_write():
            return
        project = self.session.project
        if len(ids) > MANY:
            self.curating.change(lambda: project.set_state(ids, state))
            return
        with self.session.reporting():
            project.set_state(ids, state)
            self._go_on()

    def rate(self, stars: int) -> None:
        """Gives what is selected so many stars; 0 takes them away."""
        ids = self.page.selected_ids() if self.page is not None else []
        if not ids or not self.session.may_write():
            return
        project = self.session.project
        if len(ids) > MANY:
            self.curating.change(lambda: project.rate_all(ids, stars or None))
            return
        with self.session.reporting():
            project.rate_all(ids, stars or None)
            self._go_on()

    def _go_on(self) -> None:
        if self.page is not None and self.page.rows is not None:
            self.page.rows.select_next()

    def undo(self) -> None:
        """Takes the last change of questions back."""
        self._step(redo=False)

    def redo(self) -> None:
        """Makes it again."""
        self._step(redo=True)

    def _step(self, redo: bool) -> None:
        if not self.session.may_write():
            return
        project = self.session.project
        step = project.redo if redo else project.undo
        if project.step_size(redo) > MANY:
            self.curating.change(step)
            return
        with self.session.reporting():
            if (label := step()) is None:
                words = self.tr("There is nothing to do again.") if redo else self.tr("There is nothing to undo.")
            else:
                words = (self.tr("Done again: {}") if redo else self.tr("Undone: {}")).format(label)
            self.session.notify(words)

    # State

    def save_state(self) -> None:
        if self.pages:
            self.session.settings.setValue("curate/page", self.tabs.currentIndex())
        if self.facts is not None:
            self.facts.stop()
        for page in self.pages:
            page.reckoner.stop()
            if page.splitter is not None:
                self.session.settings.setValue(f"curate/{type(page).__name__}", page.splitter.saveState())
        self.datasets.save_state()

    # Qt's own

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self._make_pages()
