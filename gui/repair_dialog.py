"""Does to similar rationales what was done to one: shows what would become of each, and changes the ticked ones."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QLocale, Qt
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QGridLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QSpinBox,
    QSplitter,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.project.records import Example, Step, rationale_text
from core.rationales import repair
from core.rationales.repair import Proposal, Repair
from gui import style
from gui.answer_pairs import Text
from gui.ask_dialog import left
from gui.jobs import Job, Jobs, Status
from gui.labels import plain, quiet, strong
from gui.model_choice import ModelChoice
from gui.repair_search import Found, RepairSearch
from gui.session import Session
from gui.word_diff import changed
from gui.words import tooltip

MOST = 200  # rows that are looked at


class RepairDialog(QDialog):
    """`before` and `after` are the steps of an example as they were drafted and as they are now."""

    def __init__(
        self, session: Session, jobs: Jobs, example: Example, before: Sequence[Step], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._session, self._jobs, self._example = session, jobs, example
        self._before = tuple(before)
        self._job: Job | None = None
        self._found = Found()
        self.done_to = 0  # examples that were changed, after `exec`
        self.setWindowTitle(self.tr("Apply this repair to similar rows"))
        self._build()
        self._connect()
        self._show_state()
        self.resize(820, 640)

    @property
    def ticked(self) -> list[Proposal]:
        """What is to be changed."""
        items = (self.list.topLevelItem(place) for place in range(self.list.topLevelItemCount()))
        pairs = zip(self._found.proposals, items, strict=True)
        return [one for one, item in pairs if item and item.checkState(0) == Qt.CheckState.Checked]

    # Building

    def _build(self) -> None:
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE)
        changes = repair.changes(self._before, self._example.rationale)
        self._any_change = same = bool(changes.replaced or changes.dropped)
        self.same_words = QRadioButton(self.tr("The &same words: what I changed here, where it stands in others"))
        self.by_model = QRadioButton(self.tr("Let a &model do it, as this example shows"))
        self.same_words.setEnabled(same)
        (self.same_words if same else self.by_model).setChecked(True)
        self._changes = quiet("\n".join(self._change_lines(changes)))
        self._changes.setContentsMargins(style.WIDE, 0, 0, 0)
        self.instruction = QLineEdit()
        self.instruction.setAccessibleName(self.tr("Instruction"))
        self.instruction.setPlaceholderText(self.tr("Such as: leave out what the passage does not say"))
        self.model, self.most = ModelChoice(self._session), QSpinBox()
        self.most.setRange(1, MOST)
        self.most.setValue(20)
        self.most.setAccessibleName(self.tr("Rows at most"))
        self.look = QPushButton(self.tr("&Find similar rows"))
        form = QFormLayout()
        form.setHorizontalSpacing(style.DOUBLE)
        form.addRow(self.tr("M&odel"), self.model)
        form.addRow(self.tr("&Nearest"), left(self.most))
        for widget in (self.same_words, self._changes, self.by_model, self.instruction):
            column.addWidget(widget)
        column.addLayout(form)
        row = QHBoxLayout()
        style.spaced(row, 0)
        self.progress = QProgressBar()
        self.progress.setAccessibleName(self.tr("How far the search is"))
        self.state = plain()
        row.addWidget(self.look)
        row.addWidget(self.progress, 1)
        row.addStretch()
        column.addLayout(row)
        column.addWidget(self.state)
        column.addWidget(self._build_results(), 1)
        self._buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        self.apply = self._buttons.addButton("", QDialogButtonBox.ButtonRole.AcceptRole)
        column.addWidget(self._buttons)

    def _build_results(self) -> QWidget:
        self.list = QTreeWidget()
        self.list.setAccessibleName(self.tr("Rows that would change"))
        self.list.setHeaderLabels([self.tr("Question"), self.tr("Similarity")])
        self.list.setRootIsDecorated(False)
        self.list.setUniformRowHeights(True)
        self.list.header().setStretchLastSection(False)
        self.list.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.list.header().setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self.preview = BeforeAfter()
        self.results = QSplitter(Qt.Orientation.Vertical)
        self.results.setChildrenCollapsible(False)
        self.results.addWidget(self.list)
        self.results.addWidget(self.preview)
        self.results.setSizes([200, 220])
        return self.results

    def _connect(self) -> None:
        self.look.clicked.connect(self._look)
        self.model.changed.connect(self._show_state)
        self.same_words.toggled.connect(self._show_state)
        self.instruction.textChanged.connect(self._show_state)
        self.list.currentItemChanged.connect(lambda _: self._show_preview())
        self.list.itemChanged.connect(lambda _: self._show_ticked())
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)

    def _change_lines(self, changes: repair.Changes) -> list[str]:
        words = [self.tr("“{}” becomes “{}”").format(old, new) for old, new in changes.replaced if new]
        words += [self.tr("“{}” is left out").format(old) for old, new in changes.replaced if not new]
        words += [self.tr("The step “{}” is dropped").format(text) for text in changes.dropped]
        none = self.tr("No words of the draft were changed or dropped here, and what a step cites stands in one place.")
        return words or [none + " " + self.tr("Change the words of a step first, or let a model do it.")]

    # Looking

    def _repair(self) -> Repair:
        said = " ".join(self.instruction.text().split()) if self.by_model.isChecked() else ""
        return Repair(self._before, self._example.rationale, said)

    def _look(self) -> None:
        if self._job is not None:
            self._job.cancel()
            return
        model = self.model.model
        if model is None:
            return
        self._show_found(Found())
        search = RepairSearch(
            self._session.project,
            model.path,
            self._example.id,
            self._repair(),
            self.most.value(),
            writes=self.by_model.isChecked(),
        )
        self._job = job = self._jobs.start("model", self.tr("Looking for similar rows"), search, in_bar=False)
        job.status_changed.connect(self._show_progress)
        job.ended.connect(lambda state: self._end(search, job, state))
        self._show_state()

    def _show_progress(self, status: Status) -> None:
        self.progress.setRange(0, status.total)
        self.progress.setValue(status.done)
        self.state.setText(status.text)

    def _end(self, search: RepairSearch, job: Job, state: str) -> None:
        self._job = None
        self._show_state()
        if state == "failed":
            self.state.setText(str(job.error))
        elif state == "finished":
            self._show_found(search.found)

    def _show_found(self, found: Found) -> None:
        self.list.clear()
        self._found = found
        project = self._session.project
        questions = {one.id: one.question for one in project.examples_by_id([p.example_id for p in found.proposals])}
        for one, likeness in zip(found.proposals, found.likeness, strict=True):
            text = questions.get(one.example_id, "")
            item = QTreeWidgetItem([" ".join(text.split()), QLocale().toString(likeness, "f", 2)])
            item.setToolTip(0, tooltip(text))
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            item.setCheckState(0, Qt.CheckState.Checked)
            self.list.addTopLevelItem(item)
        if (first := self.list.topLevelItem(0)) is not None:
            self.list.setCurrentItem(first)
        if not found.proposals:
            self.state.setText(self.tr("No other rationale would change.") if self._job is None else "")
        self._show_state()

    # What is shown

    def _show_state(self) -> None:
        searching, found = self._job is not None, bool(self._found.proposals)
        by_model = self.by_model.isChecked()
        self._changes.setVisible(not by_model)
        self.instruction.setVisible(by_model)
        lacking = not self._any_change and not self.instruction.text().strip()
        self.look.setText(self.tr("S&top") if searching else self.tr("&Find similar rows"))
        self.look.setEnabled(searching or (self.model.model is not None and not lacking))
        self.look.setDefault(not found)
        self.progress.setVisible(searching)
        for widget in (self.model, self.most, self.same_words, self.by_model, self.instruction):
            widget.setEnabled(not searching)
        self.same_words.setEnabled(not searching and self._any_change)
        self.results.setVisible(found)
        self._show_ticked()

    def _show_ticked(self) -> None:
        count = len(self.ticked) if self.list.topLevelItemCount() == len(self._found.proposals) else 0
        self.apply.setText(self.tr("&Apply to 1 row") if count == 1 else self.tr("&Apply to {} rows").format(count))
        self.apply.setEnabled(count > 0)
        if self._found.proposals:
            words = self.tr("{} of {} are ticked. Undo brings all of them back at once.")
            self.state.setText(words.format(count, len(self._found.proposals)))

    def _show_preview(self) -> None:
        place = self.list.currentIndex().row()
        if 0 <= place < len(self._found.proposals):
            one = self._found.proposals[place]
            self.preview.show_steps(one.before, one.after)

    # Its end

    def accept(self) -> None:
        with self._session.reporting():
            self.done_to = repair.apply(self._session.project, self.ticked)
            super().accept()

    def done(self, result: int) -> None:
        self.model.stop()
        if self._job is not None:
            self._job.cancel()
        super().done(result)


class BeforeAfter(QScrollArea):
    """Two lists of steps side by side; marked are the words that the other does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(self.tr("Before and after"))
        self.setWidgetResizable(True)
        self.setFrameShape(QScrollArea.Shape.NoFrame)
        self.before, self.after = Text(), Text()
        page = QWidget()
        grid = QGridLayout(page)
        style.spaced(grid, 0, style.HALF)
        grid.setHorizontalSpacing(style.DOUBLE)
        heads = (self.tr("As it is"), self.tr("As it would be"))
        for column, (head, text) in enumerate(zip(heads, (self.before, self.after), strict=True)):
            text.setAccessibleName(head)
            grid.addWidget(strong(head), 0, column)
            grid.addWidget(text, 1, column, Qt.AlignmentFlag.AlignTop)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(2, 1)
        self.setWidget(page)

    def show_steps(self, before: Sequence[Step], after: Sequence[Step]) -> None:
        """The steps, a line each."""
        old, new = rationale_text(before), rationale_text(after)
        self.before.show_text(old, changed(new, old))
        self.after.show_text(new, changed(old, new))
