"""The steps of a rationale as a list that is edited: by keys, by a pen in each step, and as one change at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from core.errors import UserError
from core.project.records import Evidence, Step
from core.rationales import edits
from gui import style
from gui.step_row import StepRow
from gui.word_diff import units

Steps = tuple[Step, ...]
BLANK = Step("")  # one that is being written: the project hears of it when it has words


class StepList(QWidget):
    """Emits `changed` with what the steps are to be; whoever owns it keeps them and shows what came of it.

    The current step is the one that the keys act on, whether the list or one of its fields has the focus.
    """

    changed = Signal(object)  # the steps, as a tuple
    current_changed = Signal()
    refused = Signal(str)  # a sentence: why nothing was changed
    dropped = Signal(int, str)  # by Escape: the row, and what had been written
    left = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[StepRow] = []
        self._steps: Steps = ()  # as they are shown
        self._current = 0
        self._writable = True
        self._label: Callable[[int], str] = str
        self.setAccessibleName(self.tr("Steps"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._column = QVBoxLayout(self)
        style.spaced(self._column, 0, 0)

    # What it shows

    @property
    def steps(self) -> Steps:
        """Those that have words, with what is being written in them."""
        return _worded(self._written())

    @property
    def writing(self) -> bool:
        """Whether the cursor is in one of them."""
        return any(row.field.hasFocus() for row in self.rows)

    @property
    def current(self) -> int:
        """The row of the current step; 0 where there is none."""
        return self._current

    @property
    def current_step(self) -> Step | None:
        """The step that the keys act on."""
        return self._steps[self._current] if self._current < len(self._steps) else None

    def show_steps(self, steps: Sequence[Step], label: Callable[[int], str], same: bool) -> None:
        """The steps as the project has them; `label` says what a page is called.

        Of the `same` example, what is being written stays, and so does the current step.
        """
        self._label = label
        replaced = _worded(self._steps) != tuple(steps)
        if not same:
            self._current = 0
        elif replaced and self._written() != self._steps:  # others came while one was being written
            self.dropped.emit(self._current, self.rows[self._current].field.text)
        if replaced or not same:
            self._steps = tuple(steps)
        self._fill(keep=same and not replaced)
        self._choose(min(self._current, max(0, len(self._steps) - 1)))

    def set_writable(self, writable: bool) -> None:
        """Whether anything may be changed."""
        self._writable = writable
        for row in self.rows:
            row.field.setReadOnly(not writable)
            row.tick.setEnabled(writable)

    def mark(self, spans: Sequence[Sequence[tuple[int, int]]]) -> None:
        """Marks words of each step; those that are left over have none."""
        for place, row in enumerate(self.rows):
            row.field.mark(spans[place] if place < len(spans) else ())

    def commit(self) -> None:
        """Says what is being written, when that is something new."""
        if self._written() != self._steps:
            self._put(self._written(), self._current)

    def edit(self) -> None:
        """Puts the cursor into the current step, or begins the first."""
        if not self._steps:
            self.add()
        else:
            self._write_in(self._current)

    def write(self, row: int, text: str) -> None:
        """Puts the cursor into a step with this text, which is not kept yet."""
        if row < len(self.rows):
            self.rows[row].field.setPlainText(text)
            self._write_in(row)

    # What is done to the steps

    def choose(self, row: int) -> None:
        """Makes a step the current one."""
        if 0 <= row < len(self._steps):
            self._choose(row)

    def add(self) -> None:
        """Begins a step below the current one."""
        if self._writable:
            steps = self._written()
            at = min(self._current + 1, len(steps))
            if self.current_step is None or steps[self._current].text:  # else one is begun already
                self._put((*steps[:at], BLANK, *steps[at:]), at)
            self._write_in(self._current)

    def split(self) -> None:
        """Cuts the current step in two where the cursor stands in it."""
        if not self._steps or not self._writable:
            return
        row = self.rows[self._current]
        if row.field.text[: row.field.offset].strip() and row.field.text[row.field.offset :].strip():
            self._divide(row, row.field.offset)
        else:
            self.refused.emit(self.tr("Put the cursor into the step, where the second half is to begin."))

    def merge(self) -> None:
        """Joins the current step to the one above."""
        if self._current > 0:
            self._change(_joined, self._current - 1)

    def shift(self, by: int) -> None:
        """Takes the current step up (-1) or down (1)."""
        if 0 <= (to := self._current + by) < len(self._steps):
            self._change(lambda steps, at: edits.move(steps, at, to), to)

    def remove(self) -> None:
        """Takes the current step away."""
        self._change(edits.remove, self._current)

    def cite(self, cited: Evidence | None) -> None:
        """Lets the current step cite this, or nothing."""
        self._change(lambda steps, at: edits.cite(steps, at, cited), self._current)

    def accept(self) -> None:
        """Accepts the current step and goes to the next that is not; of one that was accepted, takes that back."""
        if (step := self.current_step) is not None and step.text:
            follow = self._current if step.accepted else self._next_open()
            self._change(lambda steps, at: edits.accept(steps, at, not step.accepted), follow)

    def accept_all(self) -> None:
        """Accepts every step."""
        steps = _worded(self._written())
        for at in range(len(steps)):
            steps = edits.accept(steps, at, True)
        if self._writable:
            self._put(steps, self._current)

    def _next_open(self) -> int:
        later = [at for at in range(self._current + 1, len(self._steps)) if not self._steps[at].accepted]
        return later[0] if later else self._current

    def _change(self, edit: Callable[[Steps, int], Steps], follow: int) -> None:
        """Does something to the current step, with what is being written in it."""
        if self._writable and self.current_step is not None:
            writing = self.writing
            try:
                steps = edit(self._written(), self._current)
            except UserError as error:
                self.refused.emit(str(error))
                return
            self._put(steps, follow)
            if writing and self._steps:
                self._write_in(self._current)

    def _divide(self, row: StepRow, offset: int) -> None:
        """Enter in a step: another above it, one of its second half, or another below."""
        steps, text, at = self._written(), row.field.text, self.rows.index(row)
        before, after = " ".join(text[:offset].split()), text[offset:].strip()
        if not before and not after:
            return  # one without words is followed by no other
        if before and after:
            steps = edits.split(steps, at, len(before))
        else:
            new = at + 1 if before else at
            steps = (*steps[:new], BLANK, *steps[new:])
        self._put(steps, at + 1 if before else at)
        self._write_in(self._current, at_end=False)

    def _join(self, row: StepRow) -> None:
        """Backspace at the start of a step: joins it to the one above, with the cursor where they meet."""
        at = self.rows.index(row)
        if at == 0 or not self._writable:
            return
        steps, field = self._written(), self.rows[at - 1].field
        above = units(field.text, len(steps[at - 1].text))
        self._put(_joined(steps, at), at - 1)
        self._write_in(at - 1)
        cursor = field.textCursor()
        cursor.setPosition(above)
        field.setTextCursor(cursor)

    # Rows

    def _written(self) -> Steps:
        """The steps with what stands in their fields."""
        pairs = zip(self._steps, self.rows, strict=True)
        return tuple(_with_text(step, row.field.text) for step, row in pairs)

    def _put(self, steps: Steps, current: int) -> None:
        """Shows other steps, and says so where they are not the same but for one without words."""
        before, self._steps = _worded(self._steps), steps
        self._fill(keep=False)
        self._choose(max(0, min(current, len(steps) - 1)))
        if _worded(steps) != before:
            self.changed.emit(_worded(steps))

    def _fill(self, keep: bool) -> None:
        lost = self.writing and len(self.rows) > len(self._steps)
        while len(self.rows) > len(self._steps):
            self._take_row(len(self.rows) - 1)
        while len(self.rows) < len(self._steps):
            self._add_row()
        for place, (row, step) in enumerate(zip(self.rows, self._steps, strict=True)):
            row.show_step(place + 1, step, self._label(step.cited.page) if step.cited else "", keep)
        if lost and not self.writing:
            self.setFocus()

    def _add_row(self) -> None:
        row = StepRow()
        row.field.setReadOnly(not self._writable)
        row.tick.setEnabled(self._writable)
        row.pressed.connect(partial(self._press, row))
        row.ticked.connect(partial(self._tick, row))
        row.field.entered.connect(partial(self._enter, row))
        row.field.divided.connect(partial(self._divide, row))
        row.field.joined.connect(partial(self._join, row))
        row.field.passed.connect(partial(self._pass, row))
        row.field.committed.connect(lambda _: self.commit())
        row.field.leaving.connect(partial(self._drop_blank, row))
        row.field.left.connect(self.setFocus)
        row.field.dropped.connect(lambda text: self.dropped.emit(self.rows.index(row), text))
        self._column.addWidget(row)
        QWidget.setTabOrder(self.rows[-1].field if self.rows else self, row.field)  # else it would come last of all
        self.rows.append(row)

    def _take_row(self, place: int) -> None:
        row = self.rows.pop(place)
        row.field.blockSignals(True)  # it has nothing more to say
        self._column.removeWidget(row)
        row.hide()
        row.deleteLater()

    def _choose(self, place: int) -> None:
        self._current = place
        for number, row in enumerate(self.rows):
            row.choose(number == place)
        if place < len(self.rows):  # else who does not see it would hear nothing of where the arrows lead
            row = self.rows[place]
            told = (row.field.accessibleName(), row.field.text, row.citation.text(), row.tick.accessibleName())
            self.setAccessibleDescription(". ".join(filter(None, told)))
        self.current_changed.emit()

    def _enter(self, row: StepRow) -> None:
        self._choose(self.rows.index(row))

    def _press(self, row: StepRow) -> None:
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if row in self.rows:  # else it had no words, and went
            self._enter(row)

    def _tick(self, row: StepRow) -> None:
        self._enter(row)
        accepted = not self._steps[self._current].accepted
        self._change(lambda steps, at: edits.accept(steps, at, accepted), self._current)

    def _pass(self, row: StepRow, by: int) -> None:
        if 0 <= (place := self.rows.index(row) + by) < len(self.rows):
            self._write_in(place, at_end=by < 0)

    def _write_in(self, place: int, at_end: bool = True) -> None:
        field = self.rows[place].field
        field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        field.place_cursor(at_end)

    def _drop_blank(self, row: StepRow) -> None:
        """A step that was left without words goes; the others stay in their rows, one of which the user is going to."""
        if row not in self.rows or row.field.text.strip():
            return
        place = self.rows.index(row)
        self._steps = edits.remove(self._steps, place)
        self._take_row(place)
        self._fill(keep=True)
        self._choose(max(0, self._current - (place <= self._current)))

    # Qt's own

    def keyPressEvent(self, event: QKeyEvent) -> None:
        keys = Qt.Key
        if event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier:
            super().keyPressEvent(event)
        elif event.key() in (keys.Key_Up, keys.Key_Down):
            self.choose(self._current + (1 if event.key() == keys.Key_Down else -1))
        elif event.key() in (keys.Key_Home, keys.Key_End):
            self.choose(0 if event.key() == keys.Key_Home else len(self._steps) - 1)
        elif event.key() == keys.Key_Space:
            self.accept()
        elif event.key() in (keys.Key_Return, keys.Key_Enter):
            self.edit()
        elif event.key() == keys.Key_Escape:
            self.left.emit()
        else:
            super().keyPressEvent(event)

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        self.update()  # and with it the steps: the current one says where the focus is

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.update()


def _with_text(step: Step, text: str) -> Step:
    words = " ".join(text.split())
    return step if words == step.text else Step(words, step.cited, step.accepted)


def _joined(steps: Steps, at: int) -> Steps:
    """A step and the one above as one; a step without words goes."""
    return edits.merge(steps, at - 1) if steps[at].text else edits.remove(steps, at)


def _worded(steps: Steps) -> Steps:
    return tuple(step for step in steps if step.text)
