"""A draft of a rationale beside the steps as they are: one of several, with the words marked that are not in those."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from core.project.records import Rationale, Step
from gui import style
from gui.answer_pairs import Text
from gui.labels import line, quiet
from gui.session import Session
from gui.step_row import cited_words
from gui.word_diff import changed_lines


class DraftView(QWidget):
    """Shows one draft at a time. `taken` says that it is to become the example's steps."""

    turned = Signal()  # another draft is shown
    taken = Signal(object)  # Rationale

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._drafts: Sequence[Rationale] = ()
        self._place = 0
        self._steps: tuple[Step, ...] = ()
        self._label: Callable[[int], str] = str
        self.setAccessibleName(self.tr("Drafts"))
        self._build()

    @property
    def draft(self) -> Rationale | None:
        """The draft that is shown."""
        return self._drafts[self._place] if self._drafts else None

    def show_drafts(
        self,
        drafts: Sequence[Rationale],
        steps: tuple[Step, ...],
        label: Callable[[int], str],
        chosen: int,
        keep: bool,
    ) -> None:
        """The drafts of an example beside its `steps`: the one whose id is `chosen`, or to `keep`, the one before."""
        ids, before = [draft.id for draft in drafts], self.draft
        if keep and before is not None and before.id in ids:
            chosen = before.id
        self._place = ids.index(chosen) if chosen in ids else 0
        self._drafts, self._steps, self._label = drafts, steps, label
        self._show()

    def turn(self, by: int) -> None:
        """Shows the next draft (1), or the one before (-1)."""
        if 0 <= self._place + by < len(self._drafts):
            self._place += by
            self._show()
            self.turned.emit()

    def set_writable(self, writable: bool) -> None:
        """Whether a draft may be taken."""
        self._writable = writable
        self.take.setEnabled(writable)

    # Building

    def _build(self) -> None:
        self._writable = True
        self.title, self._about_label = line(), quiet()
        self.previous = self._arrow("previous", self.tr("The candidate before ([)"), -1)
        self.next = self._arrow("next", self.tr("The next candidate (])"), 1)
        self.take = QPushButton(self.tr("Take it"))
        self.take.setToolTip(self.tr("Let these steps take the place of the present ones (T)"))
        self.take.setAutoDefault(False)
        self.take.clicked.connect(lambda: self.taken.emit(self.draft) if self.draft else None)
        self._same = quiet(self.tr("Word for word as the steps are now."))
        row = QHBoxLayout()
        style.spaced(row, 0, style.HALF)
        for widget in (self.title, self.previous, self.next):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(self.take)
        column = QVBoxLayout(self)
        style.spaced(column, 0, style.HALF)
        column.addLayout(row)
        column.addWidget(self._about_label)
        column.addWidget(self._same)
        self._body = QVBoxLayout()
        style.spaced(self._body, 0, style.HALF)
        column.addLayout(self._body)
        column.addStretch(1)

    def _arrow(self, glyph: str, name: str, by: int) -> QToolButton:
        button = QToolButton(autoRaise=True)
        button.setAccessibleName(name)
        button.setToolTip(name)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        style.set_icon(button, glyph)
        button.clicked.connect(lambda: self.turn(by))
        return button

    # Showing

    def _show(self) -> None:
        draft, count = self.draft, len(self._drafts)
        self.title.setText(self.tr("Candidate {} of {}").format(self._place + 1, count) if draft else "")
        self.previous.setEnabled(self._place > 0)
        self.next.setEnabled(self._place + 1 < count)
        self._about_label.setText(self._about(draft) if draft else self.tr("No model drafted these steps."))
        style.clear(self._body)
        if draft is not None:
            self._fill(draft)
        same = draft is not None and _texts(draft.steps) == _texts(self._steps)
        self._same.setVisible(same)
        self.take.setVisible(draft is not None)
        self.take.setEnabled(self._writable and draft is not None and not _equal(draft.steps, self._steps))

    def _about(self, draft: Rationale) -> str:
        """Who wrote it, and what was asked for."""
        name = self._session.project.run(draft.run_id).request.model_name
        return self.tr("{}: “{}”").format(name, draft.instruction) if draft.instruction else name

    def _fill(self, draft: Rationale) -> None:
        before: QWidget = self.take
        marks = changed_lines(_texts(self._steps), _texts(draft.steps))
        for number, (step, spans) in enumerate(zip(draft.steps, marks, strict=True), 1):
            text = Text()
            text.setAccessibleName(self.tr("Step {} of the draft").format(number))
            text.show_text(step.text, spans)
            self._body.addWidget(text)
            QWidget.setTabOrder(before, text)
            before = text
            self._body.addWidget(caption_of(step, self._label))


def caption_of(step: Step, label: Callable[[int], str]) -> QWidget:
    """What a step cites, as a quiet line under it."""
    words = quiet(cited_words(step, label(step.cited.page) if step.cited else ""))
    words.setContentsMargins(style.HALF, 0, style.HALF, style.HALF)
    return words


def _texts(steps: Sequence[Step]) -> list[str]:
    return [step.text for step in steps]


def _equal(some: Sequence[Step], others: Sequence[Step]) -> bool:
    """Whether they say and cite the same, whoever accepted them."""
    return [(one.text, one.cited) for one in some] == [(one.text, one.cited) for one in others]
