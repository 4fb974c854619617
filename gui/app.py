"""Starts the window: the application object, its style, and what happens to an exception that nobody expected."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from types import TracebackType

from PySide6.QtCore import QLibraryInfo, QLocale, Qt, QTranslator
from PySide6.QtWidgets import QApplication

import core
from core.errors import UserError
from gui import style
from gui.garbage import Collector
from gui.jobs import Jobs
from gui.main_window import MainWindow
from gui.messages import BugDialog
from gui.session import Session


def make_application(arguments: list[str]) -> QApplication:
    """The application object, with names, style and the user's language."""
    application = QApplication(arguments)
    application.setApplicationName("Elenchus")
    application.setApplicationVersion(core.__version__)
    application.setDesktopFileName("elenchus")
    if sys.platform.startswith("linux"):
        application.setStyle("Fusion")
    style.quieten()
    Collector(application)
    translator = QTranslator(application)
    if translator.load(QLocale(), "qtbase", "_", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)):
        application.installTranslator(translator)
    return application


def run(project: Path | None) -> int:
    """Opens the window, on a project where one is given, and returns the exit code when it is closed."""
    application = make_application(sys.argv[:1])
    session = Session()
    kept = str(session.settings.value("appearance", ""))
    if kept in ("Light", "Dark"):
        style.set_scheme(Qt.ColorScheme[kept])
    window = MainWindow(session, Jobs())
    sys.excepthook = _Unexpected(window)
    window.show()
    if project is not None:
        window.open_path(project)
    return application.exec()


class _Unexpected:
    """Shows an exception that reached nobody; what was finished is in the project already."""

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self._told = False  # whether a window that tells of one is open

    def __call__(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, UserError):
            self._window.report(error)
        elif not issubclass(kind, Exception):
            QApplication.exit(130)
        else:
            details = "".join(traceback.format_exception(kind, error, trace))
            print(details, file=sys.stderr)
            self._tell(f"{kind.__name__}: {error}", details)

    def _tell(self, message: str, details: str) -> None:
        if self._told:  # what fails at each repaint fails below this window too
            return
        self._told = True
        dialog = BugDialog(message, details, self._window)
        dialog.exec()
        dialog.deleteLater()
        self._told = False
