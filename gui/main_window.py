"""The main window: sidebar, panels, message bar, job bar, menus, and what may be dropped on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, QTimer
from PySide6.QtGui import QAction, QActionGroup, QCloseEvent, QDragEnterEvent, QDropEvent, QKeySequence
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QMainWindow,
    QMenu,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import JobFailed, UserError
from core.project.errors import ProjectLocked
from core.project.tuning import AdapterRow
from gui import style
from gui.about import AboutDialog
from gui.command_palette import CommandPalette
from gui.export_dialog import ExportDialog
from gui.import_dialog import ImportDialog
from gui.job_bar import JobBar
from gui.jobs import Job, Jobs
from gui.keys import KeysDialog
from gui.labels import quiet
from gui.messages import BugDialog, MessageBar
from gui.panels.curate import CuratePanel
from gui.panels.documents import DocumentsPanel
from gui.panels.example_panel import ExamplePanel
from gui.panels.models import ModelsPanel
from gui.panels.panel import Panel
from gui.panels.questions import QuestionsPanel
from gui.panels.rationales import RationalesPanel
from gui.panels.sycophancy import SycophancyPanel
from gui.panels.tuning import TuningPanel
from gui.pictures import Pictures
from gui.sample import copy_sample, sample_documents, sample_folder
from gui.session import Session
from gui.sidebar import Sidebar
from gui.start_page import StartPage

SUFFIX = ".elenchus"
TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")  # files of rows


class MainWindow(QMainWindow):
    """One window for one project; the start page while none is open."""

    def __init__(self, session: Session, jobs: Jobs) -> None:
        super().__init__()
        self.session, self.jobs = session, jobs
        self.pictures = Pictures(session.passwords)
        self.documents = DocumentsPanel(session, jobs, self.pictures)
        self.questions = QuestionsPanel(session, jobs, self.pictures)
        self.rationales = RationalesPanel(session, jobs, self.pictures)
        self.curate = CuratePanel(session, jobs)
        self.sycophancy = SycophancyPanel(session, jobs)
        self.tuning = TuningPanel(session, jobs)
        self.models = ModelsPanel(session, jobs)
        self.panels: Sequence[Panel] = (
            self.documents,
            self.questions,
            self.rationales,
            self.curate,
            self.sycophancy,
            self.tuning,
            self.models,
        )
        self._build()
        self._build_menus()
        self._connect()
        self._restore()
        self._show_project()

    # Building

    def _build(self) -> None:
        self.setAcceptDrops(True)
        self.setMinimumSize(720, 480)
        self.message_bar, self.job_bar = MessageBar(), JobBar(self.jobs)
        self.start_page = StartPage(self.session)
        self.sidebar = Sidebar()
        self.stack = QStackedWidget()
        for panel in self.panels:
            self.sidebar.add_panel(panel.title, panel.glyph)
            self.stack.addWidget(panel)
        offline = quiet(self.tr("Offline: nothing leaves this computer"))
        offline.setContentsMargins(style.SPACE + style.HALF, style.SPACE, style.SPACE, style.SPACE)
        offline.setToolTip(self.tr("Elenchus opens no network connection, unless you download a model."))
        left = QWidget()
        column = QVBoxLayout(left)
        style.spaced(column, 0)
        column.addWidget(self.sidebar, 1)
        column.addWidget(offline)
        self._workspace = QWidget()
        row = QHBoxLayout(self._workspace)
        style.spaced(row, 0, 0)
        row.addWidget(left)
        row.addWidget(self.stack, 1)
        self._pages = QStackedWidget()
        self._pages.addWidget(self.start_page)
        self._pages.addWidget(self._workspace)
        centre = QWidget()
        column = QVBoxLayout(centre)
        style.spaced(column, 0, 0)
        column.addWidget(self._pages, 1)
        column.addWidget(self.message_bar)  # below: what is to be clicked on stays where it is
        column.addWidget(self.job_bar)
        self.setCentralWidget(centre)

    def _build_menus(self) -> None:
        keys = QKeySequence.StandardKey
        bar = self.menuBar()
        file = bar.addMenu(self.tr("&File"))
        self._add(file, self.tr("&New project…"), self.new_project, keys.New, "new")
        self._add(file, self.tr("&Open project…"), self.open_project, keys.Open, "open")
        self.recent_menu = file.addMenu(self.tr("Open &recent"))
        self.recent_menu.aboutToShow.connect(self._fill_recent)
        self._add(file, self.tr("Open the &sample"), self.open_sample, None, "sample")
        file.addSeparator()
        self._in_project: list[QAction] = [
            self._add(file, self.tr("&Add PDFs…"), self.documents.choose_files, "Ctrl+Shift+A", "add"),
            self._add(file, self.tr("As&k questions…"), self.ask, "Ctrl+R", "run"),
            self._add(file, self.tr("&Probe for sycophancy…"), self.probe, "Ctrl+P", "sycophancy"),
            self._add(file, self.tr("&Tune a model…"), self.tune, "Ctrl+T", "tuning"),
            self._add(file, self.tr("&Import rows…"), self.import_rows, "Ctrl+I", "import"),
            self._add(file, self.tr("&Export…"), self.export, "Ctrl+E", "export"),
            self._add(file, self.tr("&Close project"), self.close_project, keys.Close),
        ]
        file.addSeparator()
        self._add(file, self.tr("S&top what runs"), self.jobs.cancel_all, "Ctrl+.", "stop")
        self._add(file, self.tr("&Quit"), self.close, keys.Quit).setMenuRole(QAction.MenuRole.QuitRole)
        edit = bar.addMenu(self.tr("&Edit"))
        self._in_project += [
            self._add(edit, self.tr("&Undo"), partial(self.step, False), keys.Undo, "undo"),
            self._add(edit, self.tr("&Redo"), partial(self.step, True), keys.Redo, "redo"),
        ]
        edit.addSeparator()
        self._in_project.append(self._add(edit, self.tr("&Find"), self.find_text, keys.Find, "search"))
        view = bar.addMenu(self.tr("&View"))
        for number, panel in enumerate(self.panels):
            show = partial(self.show_panel, panel)
            self._in_project.append(self._add(view, panel.title, show, f"Ctrl+{number + 1}", panel.glyph))
        view.addSeparator()
        view.addMenu(self._appearance_menu())
        self._add(view, self.tr("Co&mmand palette…"), self.show_palette, "Ctrl+K", "command")
        self.panel_menu = bar.addMenu(self.tr("&Panel"))
        help = bar.addMenu(self.tr("&Help"))
        self._add(help, self.tr("&Keys"), self.show_keys, "F1", "keys")
        about = self._add(help, self.tr("&About Elenchus"), self.show_about)
        about.setMenuRole(QAction.MenuRole.AboutRole)

    def _appearance_menu(self) -> QMenu:
        menu, group = QMenu(self.tr("&Appearance"), self), QActionGroup(self)
        kept = str(self.session.settings.value("appearance", "Unknown"))
        for text, name, scheme in (
            (self.tr("&Like the system"), self.tr("Appearance: like the system"), Qt.ColorScheme.Unknown),
            (self.tr("Li&ght"), self.tr("Appearance: light"), Qt.ColorScheme.Light),
            (self.tr("&Dark"), self.tr("Appearance: dark"), Qt.ColorScheme.Dark),
        ):
            action = self._add(menu, text, partial(self.set_appearance, scheme))
            action.setProperty("name", name)  # where it stands alone, as in the command palette
            action.setCheckable(True)
            action.setChecked(scheme.name == kept)
            group.addAction(action)
        return menu

    def set_appearance(self, scheme: Qt.ColorScheme) -> None:
        """Draws the windows light, dark, or as the system is, now and when the app is started again."""
        self.session.settings.setValue("appearance", scheme.name)
        style.set_scheme(scheme)

    def _add(
        self,
        menu: QMenu,
        text: str,
        do: Callable[[], object],
        shortcut: QKeySequence.StandardKey | str | None = None,
        glyph: str = "",
    ) -> QAction:
        action = QAction(text, self)
        if isinstance(shortcut, QKeySequence.StandardKey):
            action.setShortcuts(shortcut)  # all of the platform's keys for it
        elif shortcut is not None:
            action.setShortcut(shortcut)
        if glyph:
            style.set_icon(action, glyph)
        action.triggered.connect(lambda: do())
        menu.addAction(action)
        return action

    def _connect(self) -> None:
        self.sidebar.currentRowChanged.connect(self._bring)
        self.sidebar.itemClicked.connect(lambda _: self.show_panel(self.panels[self.sidebar.currentRow()]))
        self.sidebar.itemActivated.connect(lambda _: self.show_panel(self.panels[self.sidebar.currentRow()]))
        for panel in self.panels:
            self.session.project_closing.connect(panel.save_state)
        self.session.project_opened.connect(self._show_project)
        self.session.project_closed.connect(self._show_project)
        self.session.error_reported.connect(self.report)
        self.session.notice_given.connect(self.message_bar.show_notice)
        self.session.offer_made.connect(self.message_bar.show_notice)
        self.jobs.job_failed.connect(self._report_job)
        self.documents.ask_wanted.connect(self.ask)
        self.questions.export_wanted.connect(self.export)
        self.questions.documents_wanted.connect(lambda: self.show_panel(self.documents))
        self.rationales.questions_wanted.connect(lambda: self.show_panel(self.questions))
        self.sycophancy.examples_wanted.connect(lambda: self.show_panel(self.questions))
        self.curate.documents_wanted.connect(lambda: self.show_panel(self.documents))
        self.curate.tune_wanted.connect(self.tune)
        self.tuning.questions_wanted.connect(lambda: self.show_panel(self.questions))
        self.tuning.probes_wanted.connect(lambda: self.show_panel(self.sycophancy))
        self.tuning.chat_wanted.connect(self.chat_with)
        self.tuning.probe_wanted.connect(self.probe)
        self.tuning.files.model_made.connect(lambda path: self.models.add_files([path]))
        for runs in (
            self.questions.asking,
            self.rationales.drafting,
            self.sycophancy.probing,
            self.sycophancy.countering,
            self.curate.curating,
            self.tuning.tuning,
            self.tuning.estimating,
            self.tuning.both,
            self.tuning.files.merger,
        ):
            runs.model_loaded.connect(self.models.show_loaded)
        self.start_page.new_wanted.connect(self.new_project)
        self.start_page.open_wanted.connect(self.open_project)
        self.start_page.sample_wanted.connect(self.open_sample)
        self.start_page.path_chosen.connect(self.open_path)

    # What the actions do

    def new_project(self) -> None:
        """Asks where, and makes an empty project there."""
        path = self._ask_path(QFileDialog.AcceptMode.AcceptSave, self.tr("New project"))
        if path is not None and self._may_leave():
            with self.session.reporting():
                named = path.suffix.lower() == SUFFIX  # “v1.2” has a suffix too, but not this one
                self.session.create(path if named else path.with_name(path.name + SUFFIX))
                self.show_panel(self.documents)

    def open_project(self) -> None:
        """Asks which, and opens it."""
        path = self._ask_path(QFileDialog.AcceptMode.AcceptOpen, self.tr("Open project"))
        if path is not None:
            self.open_path(path)

    def open_path(self, path: Path, read_only: bool = False) -> None:
        """Opens a project; when another window has it open, offers to look at it."""
        if not self._may_leave():
            return
        QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)  # a large project is checked for a second or more
        try:
            self.session.open(path, read_only)
        except ProjectLocked as error:
            self.message_bar.show_error(
                str(error), self.tr("Open to read"), lambda: self.open_path(path, read_only=True)
            )
        except UserError as error:
            self.report(error)
        finally:
            QApplication.restoreOverrideCursor()

    def open_sample(self) -> None:
        """Opens a fresh copy of the sample project."""
        if self._may_leave():
            with self.session.reporting():
                self.session.open(copy_sample())
                self.show_panel(self.documents)
                if not self.session.project.documents():
                    self.documents.add_files(sample_documents())

    def close_project(self) -> None:
        """Goes back to the start page."""
        if self._may_leave():
            self.session.close()

    def add_files(self, paths: Sequence[Path]) -> None:
        """Opens a project, reads PDFs and imports rows into the one that is open, making one when there is none."""
        projects = [path for path in paths if path.suffix.lower() == SUFFIX]
        pdfs = [path for path in paths if path.suffix.lower() == ".pdf"]
        tables = [path for path in paths if path.suffix.lower() in TABLES]
        if projects:
            self.open_path(projects[0])
            if not self.session.is_open or self.session.project.path != projects[0].resolve():
                return  # the others are not for the project that stayed open
        if not projects and not pdfs and not tables:
            self.message_bar.show_notice(
                self.tr("Only PDF files, tables (JSONL, JSON, CSV, TSV, Parquet) and projects can be dropped here.")
            )
        elif (pdfs or tables) and not self.session.is_open:
            self.new_project()
        if pdfs and self.session.is_open:
            self.show_panel(self.documents)
            self.documents.add_files(pdfs)
        for table in tables:
            self.import_rows(table)

    def ask(self) -> None:
        """Shows the questions and the dialog that starts a run."""
        self.show_panel(self.questions)
        self.questions.ask()

    def probe(self, adapter: AdapterRow | None = None) -> None:
        """Shows the sycophancy lab and the dialog that starts a run, of an adapter where one is given."""
        self.show_panel(self.sycophancy)
        self.sycophancy.probe(adapter)

    def tune(self, dataset: str = "") -> None:
        """Shows the adapters and the dialog that starts a run, on a dataset where one is named."""
        self.show_panel(self.tuning)
        self.tuning.tune(dataset)

    def chat_with(self, adapter: AdapterRow) -> None:
        """Shows the chat with an adapter on the model that it was made for."""
        self.show_panel(self.models)
        self.models.chat_with(adapter)

    def import_rows(self, path: Path | None = None) -> None:
        """Shows the dialog that takes rows out of a file, and the questions, where they will stand."""
        if self.session.may_write():
            self.show_panel(self.questions)
            _show(ImportDialog(self.session, self.jobs, self, path))

    def export(self) -> None:
        """Shows the export dialog."""
        if self.session.is_open:
            _show(ExportDialog(self.session, self.jobs, self))

    def find_text(self) -> None:
        """Puts the cursor into the search field: of what can be seen where that has one, else of the questions."""
        panel = self.stack.currentWidget()
        if panel is self.sycophancy and self.sycophancy.find_items():
            return
        if panel is self.curate and self.curate.datasets.find_rows():
            return
        if not isinstance(panel, ExamplePanel):
            panel = self.questions
            self.show_panel(panel)
        panel.find()

    def step(self, redo: bool) -> None:
        """Takes a change of the examples back, or makes it again, where it can be seen."""
        with self.session.reporting():
            panel = self.stack.currentWidget()
            if not isinstance(panel, ExamplePanel | CuratePanel):
                panel = self.questions
                if self.session.project.step_size(redo):
                    self.show_panel(panel)  # else what is being written would lose the focus, and its own steps
            if redo:
                panel.redo()
            else:
                panel.undo()

    def show_panel(self, panel: Panel) -> None:
        """Brings a panel to the front and gives it the keys."""
        self._bring(self.panels.index(panel))
        if self.session.is_open:
            self.panels[self.stack.currentIndex()].take_focus()

    def _bring(self, number: int) -> None:
        if number < 0 or not self.session.is_open:
            return
        self.stack.setCurrentIndex(number)
        self.sidebar.setCurrentRow(number)
        self.panel_menu.clear()
        self.panel_menu.addActions(self.panels[number].actions())
        self.session.settings.setValue("panel", number)

    def show_palette(self) -> None:
        """Every action by its name."""
        self._fill_recent()
        panel = self.panels[self.stack.currentIndex()].actions() if self.session.is_open else []
        _show(CommandPalette([*self.menu_actions(), *panel], self))

    def show_keys(self) -> None:
        """Every key, by the panel where it works."""
        _show(KeysDialog(self.key_groups(), self))

    def key_groups(self) -> list[tuple[str, list[QAction]]]:
        """All actions: those that work everywhere, and those of each panel."""
        groups = [(panel.title, panel.actions()) for panel in self.panels]
        of_panels = {action for _, actions in groups for action in actions}  # one of them has a menu too
        everywhere = [action for action in self.menu_actions() if action not in of_panels]
        return [(self.tr("Everywhere"), everywhere), *groups]

    def menu_actions(self) -> list[QAction]:
        """Every action of the menus and of the menus in them."""
        return _actions(self.menuBar())

    def show_about(self) -> None:
        """Version, licences, and where things are kept."""
        _show(AboutDialog(self))

    # Messages

    def report(self, error: Exception) -> None:
        """Says what went wrong."""
        if isinstance(error, UserError):
            self.message_bar.show_error(str(error))
        else:
            details = error.details if isinstance(error, JobFailed) else ""
            _show(BugDialog(f"{type(error).__name__}: {error}", details, self))

    def _report_job(self, job: Job) -> None:
        if isinstance(job.error, UserError):
            again = job.retry
            self.message_bar.show_error(f"{job.title}: {job.error}", self.tr("Try again") if again else "", again)
        else:
            _show(BugDialog(f"{job.title}: {job.error}", job.details, self))

    # State

    def _show_project(self) -> None:
        open = self.session.is_open
        number = str(self.session.settings.value("panel", 0))  # before the sidebar gets the focus and its first row
        self._pages.setCurrentWidget(self._workspace if open else self.start_page)
        for action in self._in_project:
            action.setEnabled(open)
        self.panel_menu.menuAction().setVisible(open)
        if open:
            project = self.session.project
            name = project.path.stem.replace("[*]", "[*][*]")  # Qt takes a single one for its sign of changes
            self.setWindowTitle(name + (self.tr(" (read only)") if project.read_only else ""))
            self.setWindowFilePath(str(project.path))
            self.show_panel(self.panels[min(int(number), len(self.panels) - 1) if number.isdecimal() else 0])
        else:
            self.setWindowTitle("Elenchus")
            self.setWindowFilePath("")

    def _fill_recent(self) -> None:
        self.recent_menu.clear()
        for path in self.session.recent():
            action = self.recent_menu.addAction(path.stem.replace("&", "&&"))
            action.setProperty("name", self.tr("Open {}").format(path.stem))
            action.setToolTip(str(path))
            action.setEnabled(os.path.exists(path))
            action.triggered.connect(lambda _=False, p=path: self.open_path(p))

    def _may_leave(self) -> bool:
        """Whether the open project may be closed: not while work is going on in it."""
        work = [job for job in self.jobs.active if job.lane in ("documents", "model") and job.in_bar]
        if self.session.is_open and work:  # a chat has nothing to do with the project
            self.message_bar.show_error(
                self.tr("Work is going on in this project. Cancel it below or wait for its end, then open another.")
            )
            return False
        self.message_bar.hide()  # what was said was about what is left now
        return True

    def _ask_path(self, mode: QFileDialog.AcceptMode, title: str) -> Path | None:
        dialog = QFileDialog(self, title, str(self._folder()), self.tr("Elenchus projects (*.elenchus)"))
        dialog.setAcceptMode(mode)
        if mode == QFileDialog.AcceptMode.AcceptOpen:
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setDefaultSuffix("elenchus")
        chosen = Path(dialog.selectedFiles()[0]) if dialog.exec() else None
        dialog.deleteLater()
        return chosen

    def _folder(self) -> Path:
        recent = [path for path in self.session.recent() if path.parent != sample_folder()]
        return recent[0].parent if recent and os.path.isdir(recent[0].parent) else Path.home()

    def _restore(self) -> None:
        if geometry := self.session.settings.value("geometry"):
            self.restoreGeometry(geometry)  # pyright: ignore[reportArgumentType]
        else:
            self.resize(1240, 800)

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "stack"):
            style.redraw()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        files = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        QTimer.singleShot(0, self, lambda: self.add_files(files))  # the program dragged from waits until we return

    def closeEvent(self, event: QCloseEvent) -> None:
        self.session.settings.setValue("geometry", self.saveGeometry())
        self.jobs.close()
        self.pictures.close()
        self.session.close()
        event.accept()


def _show(dialog: QDialog) -> None:
    """Until it is closed; its parent would keep it for ever."""
    dialog.exec()
    dialog.deleteLater()


def _actions(menu: QWidget) -> list[QAction]:
    found = []
    for action in menu.actions():
        inner = action.menu()
        found += _actions(inner) if isinstance(inner, QMenu) else [action]
    return found
