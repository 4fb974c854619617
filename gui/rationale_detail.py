"""One rationale beside its page: question and answer, the steps with what each cites, a draft, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QAction, QKeySequence, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from core.project.records import Evidence, Example, Step
from core.rationales.findings import is_stale
from gui import style
from gui.detail import Detail
from gui.example_source import ExampleSource
from gui.flow import Flow
from gui.labels import plain, quiet, strong, tint
from gui.page_selection import SelectingCanvas
from gui.pictures import Pictures
from gui.rationale_draft import DraftView
from gui.rationale_findings import Findings
from gui.rationale_words import verdict_words
from gui.session import Session
from gui.step_list import StepList
from gui.word_diff import changed_lines
from gui.words import check_words, kind_name, state_name, state_sign

SIDE_BY_SIDE = 540  # pixels of width from which on a draft stands beside the steps, and not under them
FAULTS = ("citations", "last_step")  # checks that are shown where they failed; “leads” is told as a sentence


class RationaleDetail(Detail):
    """Shows an example's steps. Each change goes into the project at once, as one undo step."""

    selection_changed = Signal()  # other words of the page are selected, or none
    draft_wanted = Signal()  # a model is to write the first steps

    def __init__(self, session: Session, pictures: Pictures, findings: Findings) -> None:
        super().__init__(session)
        self._findings = findings
        self._canvas = SelectingCanvas()
        self.source = ExampleSource(session, pictures, self._canvas)
        self.steps, self.draft = StepList(), DraftView(session)
        self._arrange(self._build_form(), self.source)
        self.splitter.setSizes([420, 380])
        self._connect()
        self.show_example(None)

    @property
    def selection(self) -> Evidence | None:
        """The words that are selected on the page."""
        page, span = self._canvas.page, self._canvas.span
        if page is None or span is None:
            return None
        return Evidence(page.number, *span, page.text[slice(*span)])

    def clear_selection(self) -> None:
        """Selects nothing on the page."""
        self._canvas.select(None)

    def refresh(self, newest: bool = False) -> None:
        """Reads anew what models drafted and found; with `newest` the last that was drafted comes up."""
        example = self._example
        if example is None or not self._session.is_open:
            return
        with self._session.reporting():
            project = self._session.project
            # The newest run first, and of each the best candidate.
            drafts = sorted(project.rationales(example.id), key=lambda one: (-one.run_id, one.slot))
            chosen = drafts[0].id if newest and drafts else example.rationale_draft
            self.draft.show_drafts(drafts, example.rationale, self._label, chosen, keep=not newest)
            self._mark()
            self._findings.read(project, [example.id])
            self._show_verdict(example, is_stale(project, example))

    def show_draft(self, shown: bool) -> None:
        """Whether the draft stands beside the steps."""
        self.draft.setVisible(shown)
        self._mark()

    def add_tools(self, actions: Sequence[QAction | None], draft: QAction) -> None:
        """Buttons over the steps that do what these actions do, and the one that shows the draft; None is a gap."""
        for action in actions:
            self._tools.addWidget(_gap() if action is None else _tool(action))
        self._tools.addWidget(_gap())
        button = _tool(draft)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._tools.addWidget(button)

    def add_runs(self, actions: Sequence[QAction]) -> None:
        """Buttons under the steps that let a model do something with them."""
        for action in actions:
            button = _tool(action)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            self._runs.addWidget(button)

    # Detail's own

    def set_writable(self, writable: bool) -> None:
        self.steps.set_writable(writable)
        self.draft.set_writable(writable)
        for button in (self.add, self.begin):
            button.setEnabled(writable)

    def _show(self, example: Example | None, same: bool) -> None:
        self.source.show_example(example, same)
        if example is None:
            return
        self._show_head(example)
        self.steps.show_steps(example.rationale, self._label, same)
        self._cite_current()
        self.refresh(newest=False)

    def _commit(self) -> None:
        self.steps.commit()

    # Building

    def _build_form(self) -> QWidget:
        self._head, self.question = quiet(), strong(selectable=True)
        self.answer, self._evidence = plain(selectable=True), quiet(selectable=True)
        self.verdict, self.faults = plain(selectable=True), plain(selectable=True)
        self._tools, tools = Flow(), QWidget()
        tools.setLayout(self._tools)
        self._tools.setSpacing(0)
        self._runs, self._runs_box = Flow(), QWidget()
        self._runs_box.setLayout(self._runs)
        form = QWidget()
        column = QVBoxLayout(form)
        style.spaced(column, style.DOUBLE, style.HALF)
        column.addWidget(self._head)
        column.addWidget(self.question)
        column.addWidget(self.answer)
        column.addWidget(self._evidence)
        column.addSpacing(style.HALF)
        column.addWidget(tools)
        column.addLayout(self._build_steps())
        column.addSpacing(style.HALF)
        column.addWidget(self.verdict)
        column.addWidget(self.faults)
        column.addWidget(self._runs_box)
        column.addStretch(1)
        return form

    def _build_steps(self) -> QBoxLayout:
        self._none = self._build_none()
        steps = QVBoxLayout()
        style.spaced(steps, 0, 0)
        steps.addWidget(self._none)
        steps.addWidget(self.steps)
        steps.addStretch(1)
        self._sides = QBoxLayout(QBoxLayout.Direction.TopToBottom)
        style.spaced(self._sides, 0, style.DOUBLE)
        self._sides.addLayout(steps, 1)
        self._sides.addWidget(self.draft, 1)
        self.draft.hide()
        return self._sides

    def _build_none(self) -> QWidget:
        box = QWidget()
        self.begin, self.add = QPushButton(self.tr("Draft…")), QPushButton(self.tr("Write the first step"))
        self.begin.clicked.connect(self.draft_wanted)
        self.add.clicked.connect(lambda: self.steps.add())
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addWidget(self.begin)
        row.addWidget(self.add)
        row.addStretch(1)
        column = QVBoxLayout(box)
        style.spaced(column, style.SPACE)
        column.addWidget(quiet(self.tr("No steps lead from this question to its answer yet.")))
        column.addLayout(row)
        return box

    def _connect(self) -> None:
        self.steps.changed.connect(self._write)
        self.steps.current_changed.connect(self._cite_current)
        self.steps.refused.connect(self._session.notice_given)
        self.steps.dropped.connect(self._offer_back)
        self.steps.left.connect(self.left)
        self.draft.turned.connect(self._mark)
        self._canvas.selected.connect(self.selection_changed)

    # Showing

    def _show_verdict(self, example: Example, stale: bool) -> None:
        found = self._findings.of(example.id)
        words = verdict_words(found) or self.tr("Not checked yet.")
        if stale:
            words += " " + self.tr("That was before the last change: check it again.")
        self.verdict.setText(words)
        told = stale or found.leads is None
        tint(self.verdict, "quiet" if told else "good" if found.leads and not found.alone else "warning")
        faults = [check for check in example.checks if check.name in FAULTS and not check.passed]
        self.faults.setText("\n".join(check_words(check) for check in faults))
        tint(self.faults, "quiet" if stale else "bad")
        for widget in (self.verdict, self._runs_box):
            widget.setVisible(bool(example.rationale))
        self.faults.setVisible(bool(example.rationale and faults))

    def _label(self, page: int) -> str:
        """What the document of the example calls a page."""
        example = self._example
        if example is None or example.document_id is None:
            return str(page)
        return self._session.page_label(example.document_id, page)

    def _show_head(self, example: Example) -> None:
        sign = f"{state_sign(example.state)[0]} {state_name(example.state)}"
        where = self.tr("page {}").format(self._label(example.evidence.page)) if example.evidence else ""
        parts = [sign, kind_name(example.kind), where, " ".join(example.document.split())]
        self._head.setText(" · ".join(part for part in parts if part))
        self.question.setText(example.question)
        self.answer.setText(self.tr("Answer: {}").format(example.answer))
        text = example.evidence.text if example.evidence else ""
        self._evidence.setText(f"“{' '.join(text.split())}”")
        self._evidence.setVisible(bool(text))

    def _cite_current(self) -> None:
        """Marks on the page what the current step cites, and brings the step into view."""
        step = self.steps.current_step
        self.source.page.show_citation(step.cited if step else None)
        self._none.setVisible(not self.steps.rows)
        if self.steps.rows and (self.steps.hasFocus() or self.steps.writing):
            self._scroll.ensureWidgetVisible(self.steps.rows[self.steps.current], 0, style.SPACE)

    def _mark(self) -> None:
        """Marks in the steps the words that the draft beside them does not have."""
        draft = self.draft.draft if not self.draft.isHidden() else None
        mine = [step.text for step in self.steps.steps]
        self.steps.mark(changed_lines([step.text for step in draft.steps], mine) if draft else ())

    # Writing

    def _write(self, steps: tuple[Step, ...]) -> None:
        """Keeps other steps, which come from the same draft."""
        if self._example is None or not self._session.is_open:
            return
        example = self._example
        with self._session.reporting():
            self._session.project.set_rationales({example.id: (steps, example.rationale_draft)})
            self.edited.emit(example.id)
            return
        self.steps.show_steps(example.rationale, self._label, same=False)  # it was refused

    def _offer_back(self, row: int, text: str) -> None:
        """After Escape: what was written can be had again, as long as the same question is shown."""
        example = self._example

        def bring_back() -> None:
            if example is not None and self._example is not None and self._example.id == example.id:
                self.steps.write(row, text)

        self._session.notify(self.tr("The change was dropped."), self.tr("Bring it back"), bring_back)

    # Qt's own

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        wide = event.size().width() >= SIDE_BY_SIDE
        self._sides.setDirection(QBoxLayout.Direction.LeftToRight if wide else QBoxLayout.Direction.TopToBottom)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and self._example is not None:  # the system turned light or dark
            self.refresh()


def _tool(action: QAction) -> QToolButton:
    """A button for an action, that leaves the cursor where it is when it is clicked."""
    button = QToolButton(autoRaise=True)
    if key := action.shortcut().toString(QKeySequence.SequenceFormat.NativeText):
        action.setToolTip(f"{action.text()} ({key})")
    button.setDefaultAction(action)
    button.setAccessibleName(action.text())
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button


def _gap() -> QWidget:
    """Between buttons that do not belong together."""
    gap = QWidget()
    gap.setFixedWidth(style.SPACE)
    return gap
