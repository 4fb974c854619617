"""The list of steps by itself: what is shown is what is kept, whatever is done to it in whatever order."""

import random

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMainWindow, QScrollArea
from pytestqt.qtbot import QtBot

from core.project.records import Step
from gui.step_field import StepField
from gui.step_list import StepList

Steps = tuple[Step, ...]
DEEDS = (
    *("type",) * 4, *("return",) * 3, "backspace", "up", "down", "leave", "raise", "lower", "remove", "accept", "all",
    "merge", "list", "edit", "add", "undo",
)  # fmt: skip


class Owner:
    """Keeps steps as a project does, with all that they were before."""

    def __init__(self, shown: StepList, window: QMainWindow) -> None:
        self.list, self.window, self.heard = shown, window, 0
        self.kept: list[Steps] = [(Step("one"), Step("two"), Step("three"))]
        shown.show_steps(self.kept[0], str, same=False)
        shown.changed.connect(self.keep)

    def keep(self, steps: Steps) -> None:
        assert all(step.text.strip() for step in steps)
        assert steps != self.kept[-1]
        self.heard += 1
        self.kept.append(steps)
        self.list.show_steps(steps, str, same=True)

    def undo(self) -> None:
        self.list.commit()
        if len(self.kept) > 1:
            self.kept.pop()
            self.list.show_steps(self.kept[-1], str, same=True)


@pytest.fixture
def owner(qtbot: QtBot) -> Owner:
    window, area, steps = QMainWindow(), QScrollArea(), StepList()
    area.setWidgetResizable(True)
    area.setWidget(steps)
    window.setCentralWidget(area)
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow)
    steps.setFocus()
    return Owner(steps, window)


def do(owner: Owner, deed: str, chance: random.Random) -> None:
    steps, field = owner.list, QApplication.focusWidget()
    keys = {"return": Qt.Key.Key_Return, "backspace": Qt.Key.Key_Backspace, "up": Qt.Key.Key_Up}
    keys |= {"down": Qt.Key.Key_Down, "leave": Qt.Key.Key_Escape}
    if isinstance(field, StepField) and deed in ("return", "backspace") and chance.random() < 0.6:
        cursor = field.textCursor()
        cursor.setPosition(0 if deed == "backspace" else chance.randint(0, len(field.toPlainText())))
        field.setTextCursor(cursor)
    if deed == "type" and not isinstance(field, StepField):
        steps.edit()
    elif deed == "type":
        assert isinstance(field, StepField)
        field.insertPlainText(chance.choice(["ab ", "x", "é y", "🙂 z", " ", "two\nlines"]))
    elif deed in keys and field is not None:
        QTest.keyClick(field, keys[deed])
    else:
        deeds = {"raise": lambda: steps.shift(-1), "lower": lambda: steps.shift(1), "remove": steps.remove}
        deeds |= {"accept": steps.accept, "all": steps.accept_all, "merge": steps.merge, "list": steps.setFocus}
        deeds |= {"edit": steps.edit, "add": steps.add, "undo": owner.undo}
        deeds[deed]()


@pytest.mark.parametrize("seed", range(8))
def test_what_is_shown_is_what_is_kept(owner: Owner, seed: int) -> None:
    chance, steps = random.Random(seed), owner.list
    for _ in range(80):
        do(owner, chance.choice(DEEDS), chance)
        QApplication.processEvents()
        assert 0 <= steps.current <= max(0, len(steps.rows) - 1)
        assert sum(not row.field.text.strip() for row in steps.rows) <= 1  # one may be begun
    steps.commit()
    steps.setFocus()
    assert [" ".join(row.field.text.split()) for row in steps.rows] == [step.text for step in owner.kept[-1]]
    assert steps.steps == owner.kept[-1]
    assert owner.heard > 5


def test_a_click_on_another_step_reaches_that_one_though_an_empty_one_goes(owner: Owner, qtbot: QtBot) -> None:
    steps = owner.list
    steps.edit()
    qtbot.keyClick(steps.rows[0].field, Qt.Key.Key_Return)
    assert len(steps.rows) == 4
    wanted = steps.rows[3].field
    wanted.setFocus(Qt.FocusReason.MouseFocusReason)
    assert [row.field.text for row in steps.rows] == ["one", "two", "three"]
    assert wanted.hasFocus()
    assert wanted.text == "three"
    assert steps.current == 2
    assert wanted.accessibleName() == "Step 3"
