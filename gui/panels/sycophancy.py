"""The sycophancy lab: runs of probes, what each shows, item by item, and what two of them show beside each other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import (
    QCoreApplication,
    QEvent,
    QItemSelectionModel,
    QLocale,
    QSignalBlocker,
    QSize,
    Qt,
    QTimer,
    Signal,
)
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
)

from core.errors import UserError
from core.project.project import Project
from core.project.records import Run
from core.project.tuning import AdapterRow
from core.sycophancy.probe import how_far, probe_runs
from gui import style
from gui.counter_dialog import CounterDialog, Countering
from gui.empty_page import EmptyPage
from gui.jobs import Jobs
from gui.panels.panel import Panel, action_button
from gui.probe_dialog import ProbeDialog
from gui.probe_item_table import Row, rows_of, rows_of_both
from gui.probe_items import ItemsPage
from gui.probe_words import headline, run_facts, run_model, run_title, run_ways
from gui.probing import STOPPED, Probing
from gui.reckoner import Reckoner
from gui.run_list import LINES, Line, RunDelegate, whole
from gui.session import Session
from gui.suite_dialog import SuiteDialog
from gui.words import local_time, tooltip

if TYPE_CHECKING:  # with numpy, and charts: imported when the first run is shown
    from core.sycophancy.compare import Comparison
    from core.sycophancy.metrics import Summary
    from gui.probe_comparison import ComparisonPage
    from gui.probe_overview import FlipsPage, OverviewPage

LIVE = 500  # milliseconds between two looks at a run that goes on, at least
BREATH = 4  # times as long as a look took is waited before the next

_ID = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class Shown:
    """All of a run that is looked at."""

    run: Run
    rows: list[Row]
    summary: Summary
    trained: int  # items that the project has countering examples of
    seconds: float  # that it took


@dataclass(frozen=True)
class Compared:
    """All of two runs, the earlier first."""

    runs: tuple[Run, Run]
    rows: list[Row]
    comparison: Comparison


class SycophancyPanel(Panel):
    """One run that is selected is shown; two are compared."""

    glyph = "sycophancy"
    examples_wanted = Signal()

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__(session, jobs, QCoreApplication.translate("Panel", "Sycophancy"))
        self.probing = Probing(session, jobs, self)
        self.countering = Countering(session, jobs, self)
        self._runs: dict[int, Run] = {}
        self._headlines: dict[int, tuple[tuple[str, int], Line, str]] = {}  # of a state and number of items done
        self._touched: set[int] = set()  # runs that were answered since they were looked at
        self._reckoner = Reckoner(session)
        self._live = QTimer(self, singleShot=True, interval=LIVE)
        self._overview: OverviewPage | None = None
        self._flips: FlipsPage | None = None
        self._comparison: ComparisonPage | None = None
        self._build()
        self._connect()
        self._show_project()

    def take_focus(self) -> None:
        (self.empty if self._pages.currentWidget() is self.empty else self.list).setFocus()

    @property
    def idle(self) -> bool:
        """Whether all that is to be seen is reckoned."""
        return self._reckoner.idle

    # Building

    def _build(self) -> None:
        self.probe_button = QPushButton(self.tr("Probe…"))
        self.probe_button.clicked.connect(lambda: self.probe())
        style.set_icon(self.probe_button, "run")
        self._resume = self.add_action(self.tr("&Resume"), self.resume, "R", "run")
        self._compare = self.add_action(self.tr("&Compare"), self.compare, "C", "compare")
        self._counter = self.add_action(self.tr("Countering &data…"), self.counter, "D", "edit")
        self._import = self.add_action(self.tr("&Import a suite…"), self.import_suite, "I", "add")
        self._tools: list[tuple[QPushButton, str]] = [
            (self.probe_button, self.tr("Ask a model a suite of questions, and push back")),
            (action_button(self._resume, self.tr("&Resume")), self.tr("Go on with the selected run")),
            (action_button(self._compare, self.tr("&Compare")), self.tr("Two runs: hold Ctrl and click on the second")),
            (
                action_button(self._counter, self.tr("Countering &data…")),
                self.tr("Make examples that teach the model to stand by the truth"),
            ),
            (action_button(self._import, self.tr("&Import a suite…")), self.tr("Questions from a file of your own")),
        ]
        row = QHBoxLayout()
        style.spaced(row, 0)
        for button, _ in self._tools:
            row.addWidget(button)
        row.addStretch(1)
        self.list = QListWidget()
        self.list.setAccessibleName(self.tr("Runs of probes"))
        self.list.setSelectionMode(QListWidget.SelectionMode.ExtendedSelection)
        self.list.setIconSize(QSize(20, 20))
        self.list.setSpacing(1)
        self.list.setItemDelegate(RunDelegate(self.list))
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setMinimumWidth(200)
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for widget in (self.tabs, self.tabs.tabBar()):
            widget.setAccessibleName(self.tr("What to see of the run"))
        self.items, self.changes = ItemsPage(), ItemsPage()
        self.problem = EmptyPage()
        self._right = QStackedWidget()
        self._right.addWidget(self.problem)
        self._right.addWidget(self.tabs)
        self.splitter = QSplitter()
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(self.list)
        self.splitter.addWidget(self._right)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([260, 760])
        if state := self.session.settings.value("sycophancy/splitter"):
            self.splitter.restoreState(state)  # pyright: ignore[reportArgumentType]
        self.empty = EmptyPage()
        self._pages = QStackedWidget()
        self._pages.addWidget(self.splitter)
        self._pages.addWidget(self.empty)
        column = QVBoxLayout(self)
        style.spaced(column, style.SPACE)
        column.addLayout(row)
        column.addWidget(self._pages, 1)

    def _connect(self) -> None:
        self.list.itemSelectionChanged.connect(self._show_selection)
        self._live.timeout.connect(self._catch_up)
        self._reckoner.reckoned.connect(self._take)
        self.probing.changed.connect(self._show_actions)
        self.probing.run_begun.connect(self._follow)
        self.probing.options_wanted.connect(lambda: self.probe())
        self.countering.changed.connect(self._show_actions)
        self.countering.examples_wanted.connect(self.examples_wanted)
        self.session.project_opened.connect(self._show_project)
        self.session.project_closing.connect(self._reckoner.forget)
        self.session.project_closed.connect(self._show_project)
        self.session.runs_changed.connect(self._refresh)
        self.session.responses_changed.connect(self._note)

    def _make_pages(self) -> tuple[OverviewPage, FlipsPage, ComparisonPage]:
        if self._overview is None or self._flips is None or self._comparison is None:
            from gui.probe_comparison import ComparisonPage
            from gui.probe_overview import FlipsPage, OverviewPage

            self._overview, self._flips = OverviewPage(self.session), FlipsPage(self.session)
            self._comparison = ComparisonPage(self.session)
            self._flips.item_chosen.connect(self._show_item)
            for page, name in (
                (self._overview, self.tr("&Overview")),
                (self._flips, self.tr("&Flips")),
                (self.items, self.tr("I&tems")),
                (self._comparison, self.tr("Co&mparison")),
                (self.changes, self.tr("I&tems")),
            ):
                self.tabs.addTab(page, name)
        return self._overview, self._flips, self._comparison

    # The list

    def selected_ids(self) -> list[int]:
        """The runs that are selected, oldest first."""
        return sorted(item.data(_ID) for item in self.list.selectedItems())

    def _show_project(self) -> None:
        """Another project, or none."""
        self._live.stop()
        self._reckoner.forget()
        self._headlines.clear()
        self._touched.clear()
        self._runs = {}
        with QSignalBlocker(self.list):
            self.list.clear()
        if self.session.is_open:
            self._refresh()
            with self.session.reporting():
                self.probing.offer_to_resume()
        self._show_actions()

    def _refresh(self, _: object = None) -> None:
        """Reads which runs there are, and how far they are."""
        if not self.session.is_open:
            return
        with self.session.reporting():
            self._runs = {run.id: run for run in reversed(probe_runs(self.session.project))}
        before = self.selected_ids()
        with QSignalBlocker(self.list):
            self._fill()
            self._mark(before or list(self._runs)[:1])
        self._show_empty()
        self._show_actions()
        if self.selected_ids() != before:
            self._show_selection()
        elif self.isVisible():
            self._want()

    def _fill(self) -> None:
        """One row a run, the newest first; rows that are there already are only written anew."""
        ids = [self.list.item(row).data(_ID) for row in range(self.list.count())]
        if ids != list(self._runs):
            self.list.clear()
            for id in self._runs:
                item = QListWidgetItem(self.list)
                item.setData(_ID, id)
                item.setSizeHint(QSize(0, 3 * self.fontMetrics().height() + 2 * style.SPACE))
        for row, run in enumerate(self._runs.values()):
            self._write(self.list.item(row), run)

    def _write(self, item: QListWidgetItem, run: Run) -> None:
        done, total = self._how_far(run)
        _, found, verdict = self._headlines.get(run.id, (None, ("", "", ""), ""))
        glyph, meaning = {"running": ("run", "accent"), "finished": ("accept", "good")}.get(
            run.state, ("stop", "warning")
        )
        ways = "".join(f" · {way}" for way in run_ways(run))
        number = self.tr(", run {}").format(run.id)
        lines = [
            (run_title(run), number, f" · {local_time(run.started_at)}"),
            (run_model(run), ways, ""),
            found,
        ]
        if run.state != "finished":
            going = self.tr("{} of {} items") if run.state == "running" else self.tr("stopped: resume {}/{}")
            lines[2] = ("", going.format(*(QLocale().toString(number) for number in (done, total))), "")
        item.setData(LINES, lines)
        item.setText("\n".join(map(whole, lines)))
        item.setIcon(style.icon(glyph, meaning))
        facts = [whole(lines[0]), run_model(run), " · ".join(run_facts(run)), whole(lines[2]), whole(found), verdict]
        item.setToolTip(tooltip("\n".join(filter(None, (*dict.fromkeys(facts), run.reason)))))

    def _how_far(self, run: Run) -> tuple[int, int]:
        with self.session.reporting():
            return how_far(self.session.project, run)
        return 0, 0

    def select(self, ids: Sequence[int]) -> None:
        """Selects these runs, and no others."""
        self._mark(ids)
        self._show_selection()

    def _mark(self, ids: Sequence[int]) -> None:
        with QSignalBlocker(self.list):  # else each step on the way would be shown
            for row in range(self.list.count()):
                item = self.list.item(row)
                item.setSelected(item.data(_ID) in ids)
                if ids and item.data(_ID) == ids[-1]:
                    self.list.setCurrentRow(row, QItemSelectionModel.SelectionFlag.NoUpdate)

    def _follow(self, run_id: int) -> None:
        """Selects a run that has begun."""
        self._refresh()
        self.select([run_id])

    def _show_empty(self) -> None:
        self._pages.setCurrentWidget(self.splitter if self._runs else self.empty)
        writable = self.session.is_open and not self.session.project.read_only
        self.empty.say(
            "sycophancy",
            self.tr("No probes yet"),
            self.tr(
                "Ask a model what it knows, push back, and see exactly when it gives in: with intervals, item by item."
            ),
            self.tr("Probe…"),
            (lambda: self.probe()) if writable else None,
        )

    def _show_actions(self) -> None:
        open = self.session.is_open
        writable = open and not self.session.project.read_only
        chosen = [self._runs[id] for id in self.selected_ids() if id in self._runs]
        one = chosen[0] if len(chosen) == 1 else None
        free = writable and not self.probing.active
        self.probe_button.setEnabled(free)
        self.probe_button.setText(self.tr("Probing…") if self.probing.active else self.tr("Probe…"))
        self._resume.setEnabled(free and one is not None and one.state in STOPPED)
        self._compare.setEnabled(len(chosen) == 2)
        self._counter.setEnabled(writable and one is not None and one.state != "running" and not self.countering.active)
        self._import.setEnabled(writable)
        for button, why in self._tools:
            button.setToolTip(why if writable or not open else self.session.only_read())

    # Looking

    def _show_selection(self) -> None:
        self._show_actions()
        self._want()

    def _want(self) -> None:
        """Has what is selected reckoned, and the headlines that are missing."""
        ids = self.selected_ids()
        if not self.session.is_open or not self.isVisible():
            return
        project = self.session.project
        if len(ids) == 1:
            self._reckoner.want("shown", partial(_look, project, self._runs[ids[0]]), first=True)
        elif len(ids) == 2:
            runs = self._runs[ids[0]], self._runs[ids[1]]
            self._reckoner.want("shown", partial(_look_at_both, project, runs), first=True)
        else:
            self._say(self.tr("Choose one run to see it, or two to compare them."))
        for id, run in self._runs.items():
            if self._headlines.get(id, (None,))[0] != (run.state, self._how_far(run)[0]) and [id] != ids:
                self._reckoner.want(id, partial(_look, project, run))

    def _take(self, key: object, made: object) -> None:
        if not self.session.is_open:
            return
        if isinstance(made, Compared):
            self._show_compared(made)
        elif isinstance(made, UserError):
            if key == "shown":
                self._say(str(made))
        elif isinstance(made, Shown):
            self._live.setInterval(max(LIVE, round(1000 * BREATH * made.seconds)))
            self._show_headline(made)
            if key == "shown" and self.selected_ids() == [made.run.id]:
                self._show_run(made)

    def _show_run(self, shown: Shown) -> None:
        overview, flips, _ = self._make_pages()
        overview.show_run(shown.run, shown.summary, shown.trained)
        flips.show_run(shown.run, shown.summary)
        self.items.show_rows([shown.run], shown.rows)
        self._show_tabs(compared=False)

    def _show_compared(self, made: Compared) -> None:
        if self.selected_ids() != [run.id for run in made.runs]:
            return
        _, _, comparison = self._make_pages()
        names = _told_apart(made.runs)
        comparison.show_runs(made.runs, names, made.comparison)
        self.changes.show_rows(made.runs, made.rows, names)
        self._show_tabs(compared=True)

    def _show_tabs(self, compared: bool) -> None:
        was = self.tabs.currentIndex()
        for place in range(self.tabs.count()):
            self.tabs.setTabVisible(place, (place >= 3) == compared)
        if not self.tabs.isTabVisible(was):
            self.tabs.setCurrentIndex(3 if compared else 0)
        self._right.setCurrentWidget(self.tabs)

    def _show_item(self, key: str) -> None:
        """The item of a point in a chart."""
        self.tabs.setCurrentWidget(self.items)
        self.items.choose(key)

    def find_items(self) -> bool:
        """Shows the items and puts the cursor into their search field; False where no run is shown."""
        if self._right.currentWidget() is not self.tabs or self._pages.currentWidget() is self.empty:
            return False
        page = self.changes if self.tabs.isTabVisible(self.tabs.indexOf(self.changes)) else self.items
        self.tabs.setCurrentWidget(page)
        page.search.setFocus(Qt.FocusReason.ShortcutFocusReason)
        page.search.selectAll()
        return True

    def _say(self, sentence: str) -> None:
        self.problem.say("info", sentence)
        self._right.setCurrentWidget(self.problem)

    def _show_headline(self, shown: Shown) -> None:
        summary, run = shown.summary, shown.run
        found, verdict = ("", self.tr("nothing answered yet"), ""), ""
        if summary.answered and summary.tells:
            found = headline(summary.metric(summary.primary))
        elif summary.answered:
            found, verdict = ("", self.tr("tells nothing"), ""), summary.verdict
        self._headlines[run.id] = (run.state, summary.answered), found, verdict
        for row in range(self.list.count()):
            if self.list.item(row).data(_ID) == run.id and run.id in self._runs:
                self._write(self.list.item(row), self._runs[run.id])

    def _note(self, ids: Sequence[int]) -> None:
        """Some runs were answered: looks at them soon."""
        self._touched.update(ids)
        if not self._live.isActive():
            self._live.start()

    def _catch_up(self) -> None:
        touched, self._touched = self._touched, set()
        if not self.session.is_open or not self.isVisible():
            return
        for row, run in enumerate(self._runs.values()):
            if run.id in touched and row < self.list.count():
                self._write(self.list.item(row), run)
        if touched & set(self.selected_ids()):
            self._want()

    # What the user does

    def probe(self, adapter: AdapterRow | None = None) -> None:
        """Asks what to probe, an adapter where one is given, and begins."""
        if not self.probing.allowed():
            return
        with self.session.reporting():
            dialog = ProbeDialog(self.session, self, adapter)
            if dialog.exec():
                self.probing.start(dialog.options())
            dialog.deleteLater()

    def resume(self) -> None:
        """Goes on with the selected run."""
        ids = self.selected_ids()
        if len(ids) == 1:
            self.probing.resume(ids[0])

    def compare(self) -> None:
        """Shows the two selected runs beside each other."""
        if self._comparison is not None and len(self.selected_ids()) == 2:
            self.tabs.setCurrentWidget(self._comparison)
            self._comparison.setFocus()

    def counter(self) -> None:
        """Asks how much countering data to make of the selected run, and makes it."""
        ids = self.selected_ids()
        if len(ids) != 1 or not self.session.may_write():
            return
        with self.session.reporting():
            dialog = CounterDialog(self.session, self._runs[ids[0]], self)
            if dialog.exec():
                self.countering.start(dialog.options())
            dialog.deleteLater()

    def import_suite(self) -> None:
        """Takes questions from a file."""
        if not self.session.may_write():
            return
        with self.session.reporting():
            dialog = SuiteDialog(self.session, self)
            dialog.suite_imported.connect(self._tell_imported)
            dialog.exec()
            dialog.deleteLater()

    def _tell_imported(self, name: str) -> None:
        self.session.settings.setValue("probe/suites", [name])  # checked in the next dialog
        self.session.notify(
            self.tr("“{}” is among the suites now.").format(name), self.tr("Probe…"), lambda: self.probe()
        )

    # State

    def save_state(self) -> None:
        self.session.settings.setValue("sycophancy/splitter", self.splitter.saveState())
        self._reckoner.stop()

    # Qt's own

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self._refresh()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_pages"):  # icons are drawn in its colours
            with QSignalBlocker(self.list):
                self._fill()
            self._show_empty()


def _look(project: Project, run: Run) -> Shown | UserError:
    """In a thread of its own."""
    from core.sycophancy.counter import trained_items
    from core.sycophancy.metrics import summarise

    began = time.perf_counter()
    answered = project.answered(run.id)
    if not answered:
        return UserError(QCoreApplication.translate("SycophancyPanel", "This run stopped before its items were made."))
    trained = trained_items(project, [one.item for one in answered])
    summary, rows = summarise(answered), rows_of(answered)
    return Shown(run, rows, summary, trained, time.perf_counter() - began)


def _look_at_both(project: Project, runs: tuple[Run, Run]) -> Compared | UserError:
    """In a thread of its own."""
    from core.sycophancy.compare import compare_runs

    answered = project.answered(runs[0].id), project.answered(runs[1].id)
    try:
        return Compared(runs, rows_of_both(*answered), compare_runs(project, *runs))
    except UserError as error:
        return error


def _told_apart(runs: tuple[Run, Run]) -> tuple[str, str]:
    names = run_model(runs[0]), run_model(runs[1])
    if names[0] != names[1]:
        return names
    told = QCoreApplication.translate("SycophancyPanel", "{}, run {}")
    return told.format(names[0], runs[0].id), told.format(names[1], runs[1].id)
