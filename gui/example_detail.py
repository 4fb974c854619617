"""One question beside its page: texts that are edited in place, rating, checks in words, and where it comes from."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QHBoxLayout,
    QRadioButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core import language
from core.project.records import Example
from gui import style
from gui.detail import Detail
from gui.edit_field import EditField
from gui.example_source import ExampleSource
from gui.flow import Flow
from gui.labels import Badge, caption, plain, quiet, tint
from gui.pictures import Pictures
from gui.provenance import Provenance
from gui.session import Session
from gui.star_rating import StarRating
from gui.words import check_name, check_words, failed_first, kind_name, state_name, state_sign, tooltip


class ExampleDetail(Detail):
    """Shows one example. Edits go into the project at once, as one undo step each; `edited` says so."""

    rated = Signal(int)  # stars; 0 takes them away
    judged = Signal(str)  # the state wanted
    again_wanted = Signal()

    def __init__(self, session: Session, pictures: Pictures) -> None:
        super().__init__(session)
        self._choices: list[_Choice] = []
        self._writable = True
        self.source = ExampleSource(session, pictures)
        self._arrange(self._build_form(), self.source)
        self._connect()
        self.show_example(None)

    # What it shows

    def _show(self, example: Example | None, same: bool) -> None:
        self.source.show_example(example, same)
        if example is not None:
            self._show_head(example)
            self._show_texts(example, same)
            self._show_checks(example)
            self._show_draft(example)
            self._again.setHidden(example.passage_id is None)
            self.why.show_example(example)

    def _commit(self) -> None:
        for field in self._fields():
            field.commit()

    def edit(self) -> None:
        """Puts the cursor into the question."""
        self.question.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._scroll.ensureWidgetVisible(self.question)

    def set_writable(self, writable: bool) -> None:
        """Whether anything may be changed."""
        self._writable = writable
        for widget in (*self._buttons, self.rating, self._true, self._false):
            widget.setEnabled(writable)
        for field in self._fields():
            field.setReadOnly(not writable)
        for choice in self._choices:
            choice.right.setEnabled(writable)

    def set_askable(self, askable: bool) -> None:
        """Whether another question may be made in place of this one now."""
        self._again.setEnabled(askable and self._writable)

    # Building

    def _build_form(self) -> QWidget:
        self._head = quiet()
        self._reason = plain()
        self.question = EditField(self.tr("Question"))
        self.answer = EditField(self.tr("Answer"))
        self._answer_label = caption(self.tr("Answer"), self.answer)
        self._evidence_label, self._evidence = caption(self.tr("Evidence")), plain(selectable=True)
        self._failed, self._passed = QVBoxLayout(), Flow()
        style.spaced(self._failed, 0, style.HALF)
        badges = QWidget()
        badges.setLayout(self._passed)
        badges.setAccessibleName(self.tr("Checks that were passed"))
        self._draft_label, self._draft = caption(self.tr("As it was drafted")), quiet(selectable=True)
        self.rating = StarRating()
        head = QHBoxLayout()
        style.spaced(head, 0)
        head.addWidget(self._head, 1)
        head.addWidget(self.rating, 0, Qt.AlignmentFlag.AlignTop)
        form = QWidget()
        column = QVBoxLayout(form)
        style.spaced(column, style.DOUBLE, style.HALF)
        column.addLayout(self._build_buttons())
        column.addSpacing(style.HALF)
        column.addLayout(head)
        column.addWidget(self._reason)
        column.addSpacing(style.HALF)
        column.addWidget(caption(self.tr("Question"), self.question))
        column.addWidget(self.question)
        column.addSpacing(style.HALF)
        column.addWidget(self._answer_label)
        column.addWidget(self.answer)
        column.addWidget(self._build_choices())
        column.addWidget(self._build_truth())
        column.addWidget(self._draft_label)
        column.addWidget(self._draft)
        column.addSpacing(style.HALF)
        column.addWidget(self._evidence_label)
        column.addWidget(self._evidence)
        column.addSpacing(style.HALF)
        self._checks_label = quiet()
        column.addWidget(self._checks_label)
        column.addLayout(self._failed)
        column.addWidget(badges)
        column.addSpacing(style.HALF)
        self.why = Provenance(self._session)
        column.addWidget(self.why)
        column.addStretch(1)
        return form

    def _build_buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        style.spaced(row, 0, style.HALF)
        self._buttons = []
        for state, glyph, meaning, text, key in (
            ("accepted", "accept", "good", self.tr("Accept"), "A"),
            ("rejected", "reject", "bad", self.tr("Reject"), "R"),
            ("draft", "", None, self.tr("Back to draft"), "D"),
        ):
            button = self._button(glyph, meaning, text, key)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.clicked.connect(lambda _=False, state=state: self.judged.emit(state))
            row.addWidget(button)
        row.addStretch(1)
        self._again = self._button("again", None, self.tr("Ask again: another question in its place"), "G")
        self._again.clicked.connect(self.again_wanted)
        row.addWidget(self._again)
        return row

    def _button(self, glyph: str, meaning: str | None, text: str, key: str) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setAccessibleName(text)
        button.setToolTip(f"{text} ({key})")
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        if glyph:
            style.set_icon(button, glyph, meaning)
        self._buttons.append(button)
        return button

    def _build_choices(self) -> QWidget:
        self._choice_box, self._choice_group = QWidget(), QButtonGroup(self)
        column = QVBoxLayout(self._choice_box)
        style.spaced(column, 0, style.HALF)
        self._choice_group.idClicked.connect(self._choose)
        return self._choice_box

    def _build_truth(self) -> QWidget:
        self._truth_box, group = QWidget(), QButtonGroup(self)
        self._true, self._false = QRadioButton(), QRadioButton()
        row = QHBoxLayout(self._truth_box)
        style.spaced(row, 0, style.DOUBLE)
        for button in (self._true, self._false):
            group.addButton(button)
            row.addWidget(button)
            button.clicked.connect(lambda _=False, button=button: self._write(answer=button.property("answer")))
        row.addStretch(1)
        return self._truth_box

    def _connect(self) -> None:
        self.question.committed.connect(self._write_question)
        for field in (self.question, self.answer):
            field.dropped.connect(partial(self._offer_back, field))
        self.answer.committed.connect(lambda text: self._write(answer=text))
        for field in (self.question, self.answer):
            field.left.connect(self.left)
        self.rating.rated.connect(self.rated)
        self.why.unfolded.connect(lambda: self._scroll.ensureWidgetVisible(self.why))

    # Showing

    def _show_head(self, example: Example) -> None:
        where = ""
        if example.evidence and example.document_id is not None:
            label = self._session.page_label(example.document_id, example.evidence.page)
            where = self.tr("page {}").format(label)
        sign = f"{state_sign(example.state)[0]} {state_name(example.state)}"
        parts = [sign, kind_name(example.kind), where, " ".join(example.document.split())]
        self._head.setText(" · ".join(part for part in parts if part))
        self._reason.setText(example.reason)
        self._reason.setVisible(bool(example.reason))
        tint(self._reason, "warning")
        self.rating.show_rating(example.rating or 0)

    def _show_texts(self, example: Example, same: bool) -> None:
        self.question.show_text(example.question, keep=same)
        self.answer.show_text(example.answer, keep=same)
        truth = language.truths(example.answer) if example.kind == "true_false" else None
        choices = example.choices if example.answer in example.choices else ()
        self._truth_box.setVisible(truth is not None)
        self.answer.setVisible(truth is None and not choices)
        self._show_choices(example, same)
        for button, word in zip((self._true, self._false), truth or ("", ""), strict=True):
            button.setText(word.replace("&", "&&"))
            button.setProperty("answer", word)
            if truth:
                button.setChecked(word == example.answer)

    def _show_choices(self, example: Example, same: bool) -> None:
        while len(self._choices) > len(example.choices):
            choice = self._choices.pop()
            self._choice_group.removeButton(choice.right)
            choice.deleteLater()
        while len(self._choices) < len(example.choices):
            self._add_choice()
        self._choice_box.setVisible(bool(example.choices))
        self._choice_group.setExclusive(False)
        for choice, text in zip(self._choices, example.choices, strict=True):
            choice.text.show_text(text, keep=same)
            choice.right.setChecked(text == example.answer)
        self._choice_group.setExclusive(True)

    def _add_choice(self) -> None:
        number = len(self._choices)
        choice = _Choice(number)
        choice.right.setEnabled(self._writable)
        choice.text.setReadOnly(not self._writable)
        choice.text.committed.connect(lambda text: self._write_choice(number, text))
        choice.text.left.connect(self.left)
        self._choice_group.addButton(choice.right, number)
        self._choices.append(choice)
        layout = self._choice_box.layout()
        assert layout is not None
        layout.addWidget(choice)

    def _show_checks(self, example: Example) -> None:
        style.clear(self._failed)
        style.clear(self._passed)
        old = self.tr("Checks of the draft: they were not made again after your change")
        self._checks_label.setText(old if example.overwritten and example.checks else self.tr("Checks"))
        for check in failed_first(example.checks):
            if check.passed:
                self._passed.addWidget(Badge(check_words(check), tooltip(check.detail or check_name(check.name))))
            else:
                label = plain(check_words(check))
                tint(label, "bad")
                self._failed.addWidget(label)
        if not example.checks:
            self._failed.addWidget(quiet(self.tr("None were made.")))

    def _show_draft(self, example: Example) -> None:
        changed = example.overwritten
        self._draft.setText("\n".join(changed))
        self._draft.setVisible(bool(changed))
        self._draft_label.setVisible(bool(changed))
        text = example.evidence.text if example.evidence else ""
        self._evidence.setText(f"“{' '.join(text.split())}”" if text else self.tr("None: the text does not answer it."))
        for label in (self._evidence_label, self._evidence):
            label.setVisible(example.passage_id is not None)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._example is not None:  # the system turned light or dark
            self._show_head(self._example)
            self._show_checks(self._example)

    # Writing

    def _offer_back(self, field: EditField, text: str) -> None:
        """After Escape: what was written can be had again, as long as the same question is shown."""
        example = self._example

        def bring_back() -> None:
            if example is not None and self._example is not None and self._example.id == example.id:
                field.setPlainText(text)
                field.setFocus()

        self._session.notify(self.tr("The change was dropped."), self.tr("Bring it back"), bring_back)

    def _fields(self) -> list[EditField]:
        return [self.question, self.answer, *(choice.text for choice in self._choices)]

    def _write_question(self, text: str) -> None:
        if text.strip():
            self._write(question=text)
        else:
            self.question.restore()
            self._session.notice_given.emit(self.tr("A question needs some text. Reject it if you do not want it."))

    def _choose(self, number: int) -> None:
        if self._example is not None:
            self._write(answer=self._example.choices[number])

    def _write_choice(self, number: int, text: str) -> None:
        if self._example is None or number >= len(self._example.choices):
            return
        before = self._example.choices[number]
        choices = [text if place == number else other for place, other in enumerate(self._example.choices)]
        self._write(choices=choices, answer=text if self._example.answer == before else None)

    def _write(self, **values: Any) -> None:
        if self._example is None or not self._session.is_open:
            return
        with self._session.reporting():
            self._session.project.edit_example(self._example.id, **values)
            self.edited.emit(self._example.id)


class _Choice(QWidget):
    """One of several answers, and whether it is the right one."""

    def __init__(self, number: int) -> None:
        super().__init__()
        letter = chr(ord("A") + number) if number < 26 else str(number + 1)
        self.right = QRadioButton(letter)
        self.right.setToolTip(self.tr("The right answer"))
        self.right.setAccessibleName(self.tr("{} is the right answer").format(letter))
        self.text = EditField(self.tr("Choice {}").format(letter))
        row = QHBoxLayout(self)
        style.spaced(row, 0)
        row.addWidget(self.right)
        row.addWidget(self.text, 1)
