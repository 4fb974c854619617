"""Qt without a screen; whatever it warns about fails the test, and garbage is collected where widgets may die."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication

    from gui.jobs import Jobs
    from gui.session import Session

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session", autouse=True)
def what_is_loaded_stays() -> None:
    """Spares each collection below a look at all modules."""
    import gui.main_window  # noqa: F401

    gc.freeze()


@pytest.fixture(autouse=True)
def widgets_die_in_their_thread() -> Iterator[None]:
    """As in the app, no other thread collects: see `gui.garbage`."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


@pytest.fixture
def session(qapp: "QApplication", tmp_path: Path) -> "Iterator[Session]":
    """No project is open, and settings of its own."""
    from PySide6.QtCore import QSettings

    from gui.session import Session

    session = Session(QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat))
    yield session
    session.close()


@pytest.fixture
def jobs(qapp: "QApplication") -> "Iterator[Jobs]":
    """Closed at the end, with what still runs."""
    from gui.jobs import Jobs

    jobs = Jobs()
    yield jobs
    jobs.close()


@pytest.fixture(autouse=True)
def qt_is_quiet() -> Iterator[None]:
    from PySide6.QtCore import QtMsgType, qInstallMessageHandler

    said: list[str] = []

    def hear(kind: QtMsgType, context: object, message: str) -> None:
        if kind != QtMsgType.QtDebugMsg and not message.startswith("This plugin does not support"):
            said.append(message)

    before = qInstallMessageHandler(hear)
    yield
    qInstallMessageHandler(before)
    assert said == []
