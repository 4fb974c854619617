"""The message bar and the window for bugs: what they say, what they offer, and that nothing is taken for markup."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPlainTextEdit, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

import core
from gui.messages import BugDialog, MessageBar

HOSTILE = '<img src="file:///etc/passwd"><b>bold</b> & more'


@pytest.fixture
def bar(qtbot: QtBot) -> MessageBar:
    bar = MessageBar()
    qtbot.addWidget(bar)
    return bar


def action_button(bar: MessageBar) -> QPushButton:
    button = bar.findChild(QPushButton)
    assert isinstance(button, QPushButton)
    return button


def test_an_error_stays_and_a_notice_goes(qtbot: QtBot, bar: MessageBar, monkeypatch: pytest.MonkeyPatch) -> None:
    bar._timer.setInterval(30)
    bar.show_error("The disk is full. Free some room.")
    qtbot.wait(80)
    assert bar.isVisible()
    bar.show_notice("Saved.")
    assert bar.text == "Saved."
    qtbot.waitUntil(bar.isHidden)
    bar.show_notice("Saved.")
    bar.show_error("The disk is full.")
    qtbot.wait(80)
    assert bar.isVisible()


def test_what_can_be_done_is_done_by_key(qtbot: QtBot, bar: MessageBar) -> None:
    done: list[str] = []
    bar.show_error("It was locked.", "Open to read", lambda: done.append((bar.isVisible() and "shown") or "hidden"))
    button = action_button(bar)
    assert button.isVisible()
    assert button.text() == "Open to read"
    button.setFocus()
    qtbot.keyClick(button, Qt.Key.Key_Space)
    assert done == ["hidden"]  # so that the action may show something else
    bar.show_error("Without anything to do.")
    assert not button.isVisible()


def test_a_message_may_follow_from_its_own_action(qtbot: QtBot, bar: MessageBar) -> None:
    bar.show_error("First.", "Again", lambda: bar.show_error("Second."))
    action_button(bar).click()
    assert bar.isVisible()
    assert bar.text == "Second."


def test_it_can_be_closed(qtbot: QtBot, bar: MessageBar) -> None:
    bar.show_error("It went wrong.")
    close = bar.findChild(QToolButton)
    assert isinstance(close, QToolButton)
    assert close.accessibleName()
    close.click()
    assert bar.isHidden()


def test_markup_stays_text(qtbot: QtBot, bar: MessageBar) -> None:
    bar.show_error(HOSTILE)
    assert bar.text == HOSTILE
    labels = [label for label in bar.findChildren(QLabel) if label.text()]
    assert [label.textFormat() for label in labels] == [Qt.TextFormat.PlainText]


def test_a_bug_can_be_copied_and_closed(qtbot: QtBot) -> None:
    dialog = BugDialog(f"KeyError: {HOSTILE}", "Traceback: line 1")
    qtbot.addWidget(dialog)
    dialog.show()
    shown = dialog.findChild(QPlainTextEdit)
    assert isinstance(shown, QPlainTextEdit)
    assert HOSTILE in shown.toPlainText()
    dialog.copy_details()
    copied = QGuiApplication.clipboard().text()
    assert copied == shown.toPlainText()
    for part in (core.__version__, HOSTILE, "Traceback: line 1"):
        assert part in copied
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.isHidden()
