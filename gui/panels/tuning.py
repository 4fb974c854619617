"""Fine-tuning: runs and the adapters that they made, how each learned, and what a model says with one and without."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QInputDialog,
    QMenu,
    QMessageBox,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QVBoxLayout,
)

from core.project.project import Project
from core.project.records import GENERATING_RUNS, ExampleFilter
from core.project.tuning import AdapterRow, TuningPoint, TuningSample
from core.tuning import extra
from gui import style
from gui.adapter_files import AdapterFiles
from gui.before_after import BeforeAfterPage
from gui.empty_page import EmptyPage
from gui.estimating import Estimating
from gui.jobs import Jobs
from gui.labels import plain
from gui.offered_prompts import offered_prompts
from gui.panels.panel import Panel, action_button, action_tool
from gui.reckoner import Reckoner
from gui.session import Session
from gui.tune_dialog import TuneDialog
from gui.tuning import STOPPED, Tuning
from gui.tuning_list import Entry, TuningList, entries
from gui.tuning_samples import SamplesPage
from gui.tuning_words import best_point, dataset_of, prompts_of

if TYPE_CHECKING:  # with numpy and charts: imported when the first run is shown
    from gui.tuning_overview import TrainingPage

LIVE = 500  # milliseconds between two looks at a run that goes on


@dataclass(frozen=True)
class Shown:
    """All of an entry that is looked at."""

    entry: Entry
    points: list[TuningPoint]
    samples: list[TuningSample]
    prompts: list[str]  # to compare it with its base on


class TuningPanel(Panel):
    """The entry that is selected is shown: as it learned, what it answered, and beside its base."""

    glyph = "tuning"
    questions_wanted = Signal()
    probes_wanted = Signal()
    chat_wanted = Signal(object)  # the AdapterRow to talk with
    probe_wanted = Signal(object)  # the AdapterRow to probe

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__(session, jobs, QCoreApplication.translate("Panel", "Fine-tune"))
        self.tuning = Tuning(session, jobs, self)
        self.estimating = Estimating(session, jobs, self)
        self.files = AdapterFiles(session, jobs, self)
        self._missing = extra.missing()  # what tuning needs and is not installed, in a sentence
        self._reckoner = Reckoner(session)
        self._live = QTimer(self, singleShot=True, interval=LIVE)
        self._training: TrainingPage | None = None
        self._build()
        self._connect()
        self._show_project()

    def take_focus(self) -> None:
        (self.empty if self._pages.currentWidget() is self.empty else self.list).setFocus()

    @property
    def idle(self) -> bool:
        """Whether all that is to be seen is read."""
        return self._reckoner.idle

    @property
    def adapter(self) -> AdapterRow | None:
        """The adapter that is selected."""
        return self.list.current.adapter if self.list.current else None

    # Building

    def _build(self) -> None:
        self.tune_button = QPushButton(self.tr("Tune…"))
        self.tune_button.clicked.connect(lambda: self.tune())
        style.set_icon(self.tune_button, "run")
        self._resume = self.add_action(self.tr("&Resume"), self.resume, "R", "run")
        self._stop = self.add_action(self.tr("&Stop and keep"), self.tuning.stop, "S", "stop")
        self._chat = self.add_action(self.tr("Use in &Chat"), self.use_in_chat, "C", "questions")
        self._probe = self.add_action(self.tr("&Probe with it…"), self.probe, "P", "sycophancy")
        self._gguf = self.add_action(self.tr("Export as &GGUF…"), self.export_gguf, "G", "export")
        self._peft = self.add_action(self.tr("Export as P&EFT…"), self.export_peft, None, "export")
        self._merge = self.add_action(self.tr("&Merge into a new model…"), self.merge, "M", "merge")
        self._rename = self.add_action(self.tr("Re&name…"), self.rename, "F2", "edit")
        self._remove = self.add_action(self.tr("Remo&ve"), self.remove, "Del", "remove")
        self.list = TuningList()
        self.list.addActions([self._rename, self._remove, self._chat, self._probe, self._gguf, self._peft, self._merge])
        self.tabs = QTabWidget()
        self.tabs.setDocumentMode(True)
        for widget in (self.tabs, self.tabs.tabBar()):
            widget.setAccessibleName(self.tr("What to see of it"))
        self.samples, self.both = SamplesPage(), BeforeAfterPage(self.session, self.jobs)
        self.problem, self.empty = EmptyPage(), EmptyPage()
        self._right = QStackedWidget()
        self._right.addWidget(self.problem)
        self._right.addWidget(self.tabs)
        self.splitter = QSplitter()
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(self.list)
        self.splitter.addWidget(self._right)
        self.splitter.setStretchFactor(1, 1)
        self.splitter.setSizes([260, 760])
        if state := self.session.settings.value("tuning/splitter"):
            self.splitter.restoreState(state)  # pyright: ignore[reportArgumentType]
        self._pages = QStackedWidget()
        self._pages.addWidget(self.splitter)
        self._pages.addWidget(self.empty)
        column = QVBoxLayout(self)
        style.spaced(column, style.SPACE)
        column.addLayout(self._tools())
        column.addWidget(self._missing_strip())
        column.addWidget(self._pages, 1)

    def _tools(self) -> QHBoxLayout:
        self._export = QPushButton(self.tr("E&xport"))
        menu = QMenu(self._export)
        menu.addActions([self._gguf, self._peft, self._merge])
        self._export.setMenu(menu)
        style.set_icon(self._export, "export")
        self._stop_button = action_button(self._stop, self.tr("&Stop and keep"))
        self._resume_button = action_button(self._resume, self.tr("&Resume"))
        chat, probe = action_button(self._chat, self.tr("Use in &Chat")), action_button(self._probe, self._probe.text())
        self._tips: list[tuple[QPushButton, str]] = [
            (self.tune_button, self.tr("Have a model learn from a dataset")),
            (self._resume_button, self.tr("Go on with the selected run")),
            (self._stop_button, self.tr("End the run that goes on, and keep what it learned; it can go on later")),
            (chat, self.tr("Talk with the model with this adapter")),
            (probe, self.tr("Ask it a suite of questions, and push back")),
            (self._export, self.tr("Write the adapter, or a model with it, to a file")),
        ]
        row = QHBoxLayout()
        style.spaced(row, 0)
        for button, tip in self._tips:
            button.setToolTip(tip)
            row.addWidget(button)
        row.addStretch(1)
        for action, name in ((self._rename, self.tr("Rename")), (self._remove, self.tr("Remove"))):
            row.addWidget(action_tool(action, name))
        return row

    def _missing_strip(self) -> QFrame:
        """Says what is not installed, where there are adapters to look at all the same."""
        self.missing = QFrame()
        self.missing.setFrameShape(QFrame.Shape.StyledPanel)
        copy = QPushButton(self.tr("Copy the command"))
        copy.clicked.connect(self.copy_command)
        style.set_icon(copy, "copy")
        row = QHBoxLayout(self.missing)
        style.spaced(row, style.SPACE, style.DOUBLE)
        row.addWidget(plain(self._missing, selectable=True), 1)
        row.addWidget(copy)
        return self.missing

    def _connect(self) -> None:
        self.list.chosen.connect(self._show_selection)
        self._live.timeout.connect(self._refresh)
        self._reckoner.reckoned.connect(self._take)
        self.tuning.changed.connect(self._show_actions)
        self.tuning.run_begun.connect(self._follow)
        self.tuning.options_wanted.connect(self.tune)
        self.tuning.adapter_wanted.connect(self.show_adapter)
        self.session.project_opened.connect(self._show_project)
        self.session.project_closing.connect(self._leave)
        self.session.project_closed.connect(self._show_project)
        for signal in (self.session.runs_changed, self.session.adapters_changed):
            signal.connect(self._refresh)
        for signal in (self.session.tuning_changed, self.session.examples_changed, self.session.datasets_changed):
            signal.connect(self._look_soon)

    def _make_training(self) -> TrainingPage:
        if self._training is None:
            from gui.tuning_overview import TrainingPage

            self._training = TrainingPage(self.session)
            self.tabs.addTab(self._training, self.tr("&Training"))
            self.tabs.addTab(self.samples, self.tr("Sa&mples"))
            self.tabs.addTab(self.both, self.tr("&Before and after"))
        return self._training

    # Showing

    def _show_project(self) -> None:
        """Another project, or none."""
        self.list.show_entries([])
        if self.session.is_open:
            self._refresh()
            with self.session.reporting():
                self.tuning.offer_to_resume()
        self._show_actions()

    def _leave(self) -> None:
        self._live.stop()
        self._reckoner.forget()
        self.both.keep()
        self.both.forget()

    def _look_soon(self, _: object = None) -> None:
        if self.isVisible() and not self._live.isActive():
            self._live.start()

    def _refresh(self, _: object = None) -> None:
        """Reads what there is, and has what is selected read anew."""
        if not self.session.is_open:
            return
        with self.session.reporting():
            self.list.show_entries(entries(self.session.project))
            self._show_empty()
        self._show_actions()
        self._want()

    def _follow(self) -> None:
        """Selects the run that has begun."""
        self._refresh()
        with self.session.reporting():
            found = [one for one in entries(self.session.project) if one.run.state == "running"]
            if found:
                self.list.select(found[0].key)

    def show_adapter(self, adapter_id: int) -> None:
        """Selects an adapter, and shows it beside its base."""
        self._refresh()
        self.list.select(("adapter", adapter_id))
        self._make_training()
        self.tabs.setCurrentWidget(self.both)

    def _show_selection(self) -> None:
        self._show_actions()
        self._want()

    def _want(self) -> None:
        entry = self.list.current
        if entry is None or not self.isVisible() or not self.session.is_open:
            return
        self._reckoner.want("shown", partial(_look, self.session.project, entry), first=True)

    def _take(self, _: object, made: object) -> None:
        entry = self.list.current
        if not isinstance(made, Shown) or entry is None or entry.key != made.entry.key or not self.session.is_open:
            return
        training, run = self._make_training(), made.entry.run
        training.show_run(run, made.points, entry.adapter)
        best = best_point(made.points)
        kept = entry.adapter.step if entry.adapter else best.step if best else None
        self.samples.show_samples(prompts_of(run), made.samples, run.state == "running", kept)
        if entry.adapter is not None:
            self.both.show_adapter(entry.adapter, made.prompts)
        self.tabs.setTabVisible(self.tabs.indexOf(self.both), entry.adapter is not None)
        self._right.setCurrentWidget(self.tabs)

    def _show_empty(self) -> None:
        has_any = self.list.current is not None
        self._pages.setCurrentWidget(self.splitter if has_any else self.empty)
        self.missing.setVisible(bool(self._missing) and has_any)
        if has_any:
            return
        writable = not self.session.project.read_only
        if self._missing:
            head = self.tr("Fine-tuning is not installed")
            self.empty.say("tuning", head, self._missing, self.tr("Copy the command"), self.copy_command)
        elif self._anything_to_learn():
            self.empty.say(
                "tuning",
                self.tr("No adapters yet"),
                self.tr(
                    "Have a model learn from your examples. What it learns is an adapter: a small file that is added "
                    "to the model, and leaves it as it is."
                ),
                self.tr("Tune…"),
                self.tune if writable else None,
            )
        else:
            self.empty.say(
                "tuning",
                self.tr("Nothing to learn from yet"),
                self.tr("Accept some questions, or make countering data of a probe. Then tune a model on them here."),
                self.tr("Questions"),
                self.questions_wanted.emit,
                self.tr("Sycophancy"),
                self.probes_wanted.emit,
            )

    def _anything_to_learn(self) -> bool:
        project = self.session.project
        made = any(run.request.kind in GENERATING_RUNS for run in project.runs())
        return made or bool(project.datasets()) or project.count(ExampleFilter(state="accepted")) > 0

    def _show_actions(self) -> None:
        open = self.session.is_open
        writable = open and not self.session.project.read_only
        entry = self.list.current if open else None
        free = writable and not self.tuning.active and not self._missing
        self.tune_button.setEnabled(free)
        self.tune_button.setText(self.tr("Tuning…") if self.tuning.active else self.tr("Tune…"))
        self._resume.setEnabled(free and entry is not None and entry.adapter is None and entry.run.state in STOPPED)
        self._stop.setEnabled(self.tuning.active)
        self._stop_button.setVisible(self.tuning.active)
        self._resume_button.setVisible(not self.tuning.active)
        adapter = entry is not None and entry.adapter is not None
        for action in (self._chat, self._probe, self._gguf):
            action.setEnabled(adapter)
        self._probe.setEnabled(adapter and writable)
        for action in (self._peft, self._merge):
            action.setEnabled(adapter and not self._missing)
        for action in (self._rename, self._remove):
            action.setEnabled(adapter and writable)
        self._export.setEnabled(adapter)
        for button, tip in self._tips:
            why = self.session.only_read() if open and not writable else tip
            button.setToolTip(why if button in (self.tune_button, self._resume_button) else tip)
        if self._missing and writable:
            self.tune_button.setToolTip(self._missing)

    # What the user does

    def tune(self, dataset: str = "") -> None:
        """Asks what to tune and how, on a dataset where one is named, and begins."""
        if self._missing:
            self.take_focus()  # the panel says it already
            return
        if not self.tuning.allowed():
            return
        with self.session.reporting():
            dialog = TuneDialog(self.session, self.estimating, self, dataset)
            if dialog.exec():
                self.tuning.start(dialog.options())
            dialog.deleteLater()

    def copy_command(self) -> None:
        """Puts what installs the rest on the clipboard."""
        QGuiApplication.clipboard().setText(self._missing.partition("“")[2].partition("”")[0])
        self.session.notify(self.tr("The command is on the clipboard: run it in a terminal."))

    def resume(self) -> None:
        """Goes on with the selected run."""
        if (entry := self.list.current) is not None and entry.adapter is None:
            self.tuning.resume(entry.run.id)

    def use_in_chat(self) -> None:
        """Has the selected adapter talked with."""
        if self.adapter is not None:
            self.chat_wanted.emit(self.adapter)

    def probe(self) -> None:
        """Has the selected adapter probed."""
        if self.adapter is not None:
            self.probe_wanted.emit(self.adapter)

    def export_gguf(self) -> None:
        """Writes the selected adapter to a file for llama.cpp."""
        if self.adapter is not None:
            self.files.export_gguf(self.adapter)

    def export_peft(self) -> None:
        """Writes the selected adapter into a folder for transformers."""
        if self.adapter is not None:
            self.files.export_peft(self.adapter)

    def merge(self) -> None:
        """Writes the base model with the selected adapter in it to a new file."""
        if self.adapter is not None:
            self.files.merge(self.adapter)

    def rename(self) -> None:
        """Asks for another name of the selected adapter."""
        adapter = self.adapter
        if adapter is None or not self.session.may_write():
            return
        title, label = self.tr("Rename the adapter"), self.tr("Name")
        name, given = QInputDialog.getText(self, title, label, text=adapter.name)
        if given and name.strip() and name.strip() != adapter.name:
            with self.session.reporting():
                self.session.project.rename_adapter(adapter.id, name.strip())

    def remove(self) -> None:
        """Takes the selected adapter out of the project; a small one can be brought back."""
        adapter = self.adapter
        if adapter is None or not self.session.may_write():
            return
        if adapter.path and not self._is_sure(adapter):
            return
        with self.session.reporting():
            project = self.session.project
            adapter = project.adapter(adapter.id)  # as it is now
            file = None if adapter.path else project.adapter_file(adapter.id)
            project.remove_adapter(adapter.id)
            sentence = self.tr("The adapter “{}” is removed.").format(adapter.name)
            if file is None:
                self.session.notify(sentence)
            else:
                self.session.notify(
                    sentence, self.tr("Undo"), partial(_bring_back, self.session, project, adapter, file)
                )

    def _is_sure(self, adapter: AdapterRow) -> bool:
        words = self.tr("“{}” lies beside the project, and its file is removed too. This cannot be undone.")
        box = QMessageBox(self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setWindowTitle(self.tr("Remove the adapter?"))
        box.setText(words.format(adapter.name))
        remove = box.addButton(self.tr("&Remove"), QMessageBox.ButtonRole.DestructiveRole)
        box.addButton(QMessageBox.StandardButton.Cancel)
        box.exec()
        clicked = box.clickedButton()
        box.deleteLater()
        return clicked is remove

    # State

    def save_state(self) -> None:
        self.session.settings.setValue("tuning/splitter", self.splitter.saveState())
        self._reckoner.stop()
        self.both.keep()

    # Qt's own

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not event.spontaneous():
            self._refresh()


def _look(project: Project, entry: Entry) -> Shown:
    """In a thread of its own."""
    prompts = prompts_of(entry.run)
    if entry.adapter is not None and not prompts and (dataset := dataset_of(project, entry.run)) is not None:
        prompts = offered_prompts(project, project.dataset_rows(dataset.id))
    return Shown(entry, project.tuning_points(entry.run.id), project.tuning_samples(entry.run.id), prompts)


def _bring_back(session: Session, project: Project, adapter: AdapterRow, file: Path) -> None:
    """Puts a removed adapter into its project again."""
    if session.is_open and session.project is project:
        with session.reporting():
            back = project.add_adapter(
                adapter.run_id, adapter.name, file, adapter.step, adapter.best_loss, adapter.rank, adapter.alpha
            )
            project.set_adapter_scale(back.id, adapter.scale)
