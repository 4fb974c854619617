"""The command palette: what it lists, how typing narrows it, and that what is chosen runs once it has closed."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt, QTimer
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QApplication, QLineEdit, QMainWindow, QTreeWidgetItem, QWidget
from pytestqt.qtbot import QtBot

from gui.command_palette import CommandPalette
from gui.jobs import Jobs
from gui.panels.panel import Panel
from gui.session import Session


@pytest.fixture
def window(qtbot: QtBot) -> QMainWindow:
    window = QMainWindow()
    qtbot.addWidget(window)
    window.resize(800, 600)
    window.show()
    return window


Make = Callable[..., QAction]


@pytest.fixture
def ran() -> list[str]:
    return []


@pytest.fixture
def make(window: QMainWindow, ran: list[str]) -> Make:
    """Makes an action that notes its name when it runs."""

    def action(text: str, shortcut: str = "") -> QAction:
        action = QAction(text, window)
        action.setShortcut(QKeySequence(shortcut))
        action.triggered.connect(lambda: ran.append(text))
        return action

    return action


def opened(qtbot: QtBot, actions: Sequence[QAction], window: QWidget) -> CommandPalette:
    palette = CommandPalette(actions, window)
    qtbot.addWidget(palette)
    palette.show()
    palette.field.setFocus()
    return palette


def names(palette: CommandPalette) -> list[tuple[str, str]]:
    items = [palette.list.topLevelItem(row) for row in range(palette.list.topLevelItemCount())]
    return [(item.text(0), item.text(1)) for item in items if item is not None]


def item_at(palette: CommandPalette, row: int) -> QTreeWidgetItem:
    item = palette.list.topLevelItem(row)
    assert item is not None
    return item


def test_it_lists_what_can_be_run(qtbot: QtBot, window: QMainWindow, make: Make) -> None:
    separator, disabled, menu = QAction(window), make("&Disabled"), window.menuBar().addMenu("&More")
    separator.setSeparator(True)
    disabled.setEnabled(False)
    first, second = make("&New project…", "Ctrl+N"), make("Salt && pepper")
    actions = [first, separator, disabled, menu.menuAction(), make(""), second, make("New project…")]
    palette = opened(qtbot, actions, window)
    assert names(palette) == [("New project…", "Ctrl+N"), ("Salt & pepper", "")]


def test_every_typed_word_must_be_in_the_name(qtbot: QtBot, window: QMainWindow, make: Make) -> None:
    palette = opened(
        qtbot, [make("Open project"), make("Project settings"), make("IŞIK aç"), make("Résumé run")], window
    )
    for typed, found in {
        "proj": ["Project settings", "Open project"],  # those that begin so come first
        "ject op": ["Open project"],
        "ışık": ["IŞIK aç"],
        "resume": ["Résumé run"],
        "nothing": [],
        "": ["Open project", "Project settings", "IŞIK aç", "Résumé run"],
    }.items():
        palette.field.setText(typed)  # QTest's keys know Latin-1 only
        assert [name for name, _ in names(palette)] == found, typed
        assert palette.list.isVisible() == bool(found)


def test_return_runs_what_was_typed_after_closing(
    qtbot: QtBot, window: QMainWindow, make: Make, ran: list[str]
) -> None:
    closed_first: list[bool] = []
    action = make("&Export…")
    palette = opened(qtbot, [make("Open"), action, make("Quit")], window)
    action.triggered.connect(lambda: closed_first.append(not palette.isVisible()))
    qtbot.keyClicks(palette.field, "exp")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert not palette.isVisible()
    qtbot.waitUntil(lambda: bool(ran))
    assert (ran, closed_first) == (["&Export…"], [True])


def test_it_works_as_a_modal_dialog(qtbot: QtBot, window: QMainWindow, make: Make, ran: list[str]) -> None:
    palette = CommandPalette([make("Open"), make("Quit")], window)
    QTimer.singleShot(50, lambda: qtbot.keyClicks(palette.field, "qu"))
    QTimer.singleShot(100, lambda: qtbot.keyClick(palette.field, Qt.Key.Key_Enter))
    palette.exec()
    qtbot.waitUntil(lambda: bool(ran))
    assert ran == ["Quit"]


def test_arrows_move_while_the_cursor_stays_in_the_field(
    qtbot: QtBot, window: QMainWindow, make: Make, ran: list[str]
) -> None:
    palette = opened(qtbot, [make(name) for name in "abcd"], window)
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Down, Qt.Key.Key_Up):
        qtbot.keyClick(palette.field, key)
    assert palette.field.text() == ""
    assert item_at(palette, 1) is palette.list.currentItem()
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(ran))
    assert ran == ["b"]


def test_escape_and_an_empty_list_run_nothing(qtbot: QtBot, window: QMainWindow, make: Make, ran: list[str]) -> None:
    palette = opened(qtbot, [make("Open")], window)
    qtbot.keyClicks(palette.field, "nothing like it")
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    assert palette.isVisible()
    qtbot.keyClick(palette.field, Qt.Key.Key_Escape)
    assert not palette.isVisible()
    qtbot.wait(50)
    assert ran == []


def test_a_click_runs_too(qtbot: QtBot, window: QMainWindow, make: Make, ran: list[str]) -> None:
    palette = opened(qtbot, [make("Open"), make("Quit")], window)
    place = palette.list.visualItemRect(item_at(palette, 1)).center()
    qtbot.mouseClick(palette.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    qtbot.waitUntil(lambda: bool(ran))
    assert ran == ["Quit"]


def test_an_action_of_one_letter_runs_though_a_text_was_being_typed(
    qtbot: QtBot, window: QMainWindow, tmp_path: Path
) -> None:
    done: list[str] = []
    settings = QSettings(str(tmp_path / "window.ini"), QSettings.Format.IniFormat)
    panel = Panel(Session(settings), Jobs(), "Panel")
    field = QLineEdit(panel)
    window.setCentralWidget(panel)
    panel.add_action("&Accept", lambda: done.append("accepted"), "A")
    window.activateWindow()
    field.setFocus()
    qtbot.waitUntil(lambda: QApplication.focusWidget() is field)
    qtbot.keyClick(field, "A")
    assert (field.text(), done) == ("A", [])
    palette = opened(qtbot, panel.actions(), window)
    qtbot.keyClick(palette.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(done))
    assert done == ["accepted"]
