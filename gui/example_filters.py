"""The switches over the table of questions: queue, search, filters and order, and the filter that they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QSignalBlocker, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLineEdit, QTabBar, QVBoxLayout, QWidget

from core.project.records import (
    GENERATED_KINDS,
    GENERATING_RUNS,
    IMPORTED,
    KINDS,
    STATES,
    DocumentRow,
    ExampleFilter,
    Run,
)
from gui import style
from gui.choice_box import ChoiceBox
from gui.labels import caption
from gui.words import fault_name, file_of, kind_name, local_time, run_words, state_name

TYPING = 200  # milliseconds without a key before a search begins
ALL_PASSED = "all passed"
OF_QUESTIONS = ("kind", "check", "document", "run")  # the switches that say most of questions
OF_RATIONALES = ("steps", "kind", "document")
CHECKS = ("verbatim", "round_trip", "leak", "standalone", "length", "near_duplicate")


class ExampleFilters(QWidget):
    """`changed` says that another list is asked for."""

    changed = Signal()
    done = Signal()  # Return in the search field

    def __init__(self, button: QWidget, shown: Sequence[str] = OF_QUESTIONS) -> None:
        super().__init__()
        self._shown = shown
        self._build(button)
        self._connect()

    @property
    def filter(self) -> ExampleFilter:
        """What the switches ask for."""
        queue, order, check = self.queues.currentIndex(), self.sort.currentData(), self.check.currentData()
        return ExampleFilter(
            state=STATES[queue - 1] if queue > 0 else None,
            kind=self.kind.currentData(),
            document_id=self.document.currentData(),
            run_id=self.run.currentData(),
            failed_check=check if check != ALL_PASSED else None,
            all_passed=check == ALL_PASSED,
            rationale=self.steps.currentData(),
            text=self.search.text(),
            sort=order[0],
            descending=order[1],
        )

    def clear(self) -> None:
        """Lets every question through; the order stays."""
        with QSignalBlocker(self.search), QSignalBlocker(self.queues):
            self.search.clear()
            self.queues.setCurrentIndex(0)
        for combo in self._combos.values():
            with QSignalBlocker(combo):
                combo.setCurrentIndex(0)
        self._change()

    def sort_by(self, name: str) -> None:
        """Orders by this, and by the same again backwards."""
        order = self.sort.currentData()
        turned = (not order[1]) if order[0] == name else name == "rating"  # the best come first, the others from A to Z
        place = next(i for i in range(self.sort.count()) if tuple(self.sort.itemData(i)) == (name, turned))
        self.sort.setCurrentIndex(place)

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """How many questions are in each queue."""
        numbers = (sum(counts.values()), *(counts[state] for state in STATES))
        names = (self.tr("All"), *map(state_name, STATES))
        for place, (name, number) in enumerate(zip(names, numbers, strict=True)):
            self.queues.setTabText(place, self.tr("{} {:,}").format(name, number))

    def show_found(self, found: int, among: int) -> None:
        """How many of a queue pass the filters; says nothing where all do."""
        self._found.setText("" if found == among else self.tr("{:,} of {:,}").format(found, among))
        self._found.setVisible(found != among)

    def show_sources(self, documents: Sequence[DocumentRow], runs: Sequence[Run]) -> None:
        """The documents and the runs that can be chosen among."""
        titles = [(" ".join(one.title.split()) or one.path, one.id) for one in documents if one.state == "ready"]
        making = [run for run in reversed(runs) if run.request.kind in ("ask", "ask_again", "import", *GENERATING_RUNS)]
        times = [(self._run_name(run), run.id) for run in making]
        made = {run.request.kind for run in runs}
        generated = GENERATED_KINDS if made & set(GENERATING_RUNS) else ()
        kinds = (*KINDS, *generated, *((IMPORTED,) if "import" in made else ()))
        fill(self.kind, self.tr("Any kind"), [(kind_name(kind), kind) for kind in kinds])
        fill(self.document, self.tr("Any document"), titles)
        fill(self.run, self.tr("Any run"), times)
        self.document.setVisible("document" in self._shown and len(titles) > 1)
        self.run.setVisible("run" in self._shown and len(times) > 1)

    def _run_name(self, run: Run) -> str:
        name = self.tr("Run {} · {}").format(run.id, local_time(run.started_at))
        return " · ".join(filter(None, (name, run_words(run.request.kind), file_of(run))))

    # Building

    def _build(self, button: QWidget) -> None:
        self.queues = QTabBar()
        self.queues.setAccessibleName(self.tr("Queue"))
        self.queues.setDrawBase(False)
        self.queues.setExpanding(False)
        self.queues.setUsesScrollButtons(True)
        for _ in range(1 + len(STATES)):
            self.queues.addTab("")
        self.search = QLineEdit()
        self.search.setAccessibleName(self.tr("Search in the questions"))
        self.search.setPlaceholderText(self.tr("Search questions and answers"))
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(self.fontMetrics().averageCharWidth() * 16)
        glass = self.search.addAction(style.icon("search"), QLineEdit.ActionPosition.LeadingPosition)
        style.set_icon(glass, "search", "quiet")
        self.kind, self.document = self._combo(self.tr("Kind")), self._combo(self.tr("Document"))
        self.check, self.run = self._combo(self.tr("Checks")), self._combo(self.tr("Run"))
        self.steps, self.sort = self._combo(self.tr("Steps")), self._combo(self.tr("Order"))
        self._combos = {
            "steps": self.steps,
            "kind": self.kind,
            "check": self.check,
            "document": self.document,
            "run": self.run,
        }
        fill(self.steps, self.tr("With or without steps"), [(self.tr("With steps"), True), (self.tr("Without"), False)])
        fill(self.kind, self.tr("Any kind"), [(kind_name(kind), kind) for kind in KINDS])
        failed = self.tr("✕ {}")
        faults = [(failed.format(fault_name(check)), check) for check in CHECKS]
        fill(self.check, self.tr("Any checks"), [(self.tr("✓ All passed"), ALL_PASSED), *faults])
        self._fill_orders()
        column, rows = QVBoxLayout(self), [QHBoxLayout() for _ in range(3)]
        style.spaced(column, 0)
        for row in rows:
            style.spaced(row, 0)
            column.addLayout(row)
        rows[0].addWidget(button)
        rows[0].addWidget(self.queues, 1)
        self._found = caption("")
        self._found.setAccessibleName(self.tr("How many were found"))
        rows[1].addWidget(self.search, 3)
        rows[1].addWidget(self._found)
        rows[1].addWidget(self.sort, 1)
        for name, combo in self._combos.items():
            rows[2].addWidget(combo, 1)
            combo.setHidden(name not in self._shown)

    def _combo(self, name: str) -> QComboBox:
        combo = ChoiceBox()
        combo.setAccessibleName(name)
        combo.setToolTip(name)
        combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        combo.setMinimumContentsLength(6)
        combo.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        return combo

    def _fill_orders(self) -> None:
        for text, order in (
            (self.tr("Oldest first"), ("id", False)),
            (self.tr("Newest first"), ("id", True)),
            (self.tr("By state"), ("state", False)),
            (self.tr("By state, backwards"), ("state", True)),
            (self.tr("By kind"), ("kind", False)),
            (self.tr("By kind, backwards"), ("kind", True)),
            (self.tr("By document"), ("document_id", False)),
            (self.tr("By document, backwards"), ("document_id", True)),
            (self.tr("Best rated first"), ("rating", True)),
            (self.tr("Worst rated first"), ("rating", False)),
        ):
            self.sort.addItem(text, order)

    def _connect(self) -> None:
        self.queues.currentChanged.connect(self._change)
        for combo in (*self._combos.values(), self.sort):
            combo.currentIndexChanged.connect(self._change)
        self._typing = QTimer(self, singleShot=True, interval=TYPING)
        self._typing.timeout.connect(self._change)
        self.search.textChanged.connect(lambda: self._typing.start())
        self.search.returnPressed.connect(self._finish)
        leave = QShortcut(QKeySequence(Qt.Key.Key_Escape), self.search, context=Qt.ShortcutContext.WidgetShortcut)
        leave.activated.connect(self._leave)

    def _change(self) -> None:
        self._typing.stop()
        self.changed.emit()

    def _leave(self) -> None:
        """Escape: first empties the field, then goes back to the list."""
        if self.search.text():
            self.search.clear()
        else:
            self.done.emit()

    def _finish(self) -> None:
        self._change()
        self.done.emit()


def fill(combo: QComboBox, name: str, entries: Sequence[tuple[str, object]]) -> None:
    """Gives a filter its entries behind its name, which asks for nothing; what was chosen stays chosen."""
    chosen = combo.currentData()
    wanted = [(name, None), *entries]
    if [(combo.itemText(i), combo.itemData(i)) for i in range(combo.count())] == wanted:
        return
    with QSignalBlocker(combo):
        combo.clear()
        for text, value in wanted:
            combo.addItem(text, value)
        combo.setCurrentIndex(max(0, next((i for i, (_, value) in enumerate(wanted) if value == chosen), 0)))
