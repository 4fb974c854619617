"""Groups of questions that say the same: a list of them, and one of them with the words marked that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QCoreApplication,
    QLocale,
    QModelIndex,
    QPersistentModelIndex,
    QSignalBlocker,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QListView,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from core.project.records import Example
from gui import style
from gui.answer_pairs import Text, changed
from gui.choice_box import ChoiceBox
from gui.labels import caption, plain, quiet, strong
from gui.run_list import LINES, Line, RunDelegate, whole
from gui.words import kind_name, state_name, state_sign, tooltip

if TYPE_CHECKING:  # with numpy
    from core.curation.duplicates import Group

translate = QCoreApplication.translate

SHOWN = 20  # questions of a group that are shown in full

Index = QModelIndex | QPersistentModelIndex
_ROOT = QModelIndex()


@dataclass(frozen=True)
class Standing:
    """A group as far as its questions are not rejected, the one to be kept first."""

    group: Group
    examples: tuple[Example, ...]

    @property
    def kept(self) -> Example:
        """The one that stays."""
        return self.examples[0]


class GroupList(QListView):
    """All groups, a few words each."""

    chosen = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._model = _Groups(2 * self.fontMetrics().height() + 2 * style.HALF)
        self.setModel(self._model)
        self.setAccessibleName(self.tr("Groups of duplicates"))
        self.setItemDelegate(RunDelegate(self))
        self.setSpacing(1)
        self.setUniformItemSizes(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(200)
        self.selectionModel().currentChanged.connect(lambda *_: self.chosen.emit())

    @property
    def current(self) -> Standing | None:
        """The group that is looked at."""
        row = self.currentIndex().row()
        return self._model.groups[row] if 0 <= row < len(self._model.groups) else None

    def show_groups(self, groups: Sequence[Standing]) -> None:
        """Other groups; the one that was looked at stays so, else that in its place."""
        row, before = max(0, self.currentIndex().row()), self.current
        with QSignalBlocker(self.selectionModel()):
            self._model.show_groups(groups)
            ids = set(before.group.ids) if before else set()
            same = next((place for place, one in enumerate(groups) if ids & set(one.group.ids)), None)
            place = same if same is not None else min(row, len(groups) - 1)
            self.setCurrentIndex(self._model.index(place, 0) if groups else _ROOT)
        self.chosen.emit()

    def keyboardSearch(self, search: str) -> None:
        """Letters are commands here."""


class _Groups(QAbstractListModel):
    def __init__(self, height: int) -> None:
        """`height`: pixels of a group."""
        super().__init__()
        self._height = height
        self.groups: list[Standing] = []

    def show_groups(self, groups: Sequence[Standing]) -> None:
        self.beginResetModel()
        self.groups = list(groups)
        self.endResetModel()

    def rowCount(self, parent: Index = _ROOT) -> int:
        return 0 if parent.isValid() else len(self.groups)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if role == Qt.ItemDataRole.SizeHintRole:
            return QSize(0, self._height)
        if role not in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, LINES):
            return None
        one = self.groups[index.row()]
        lines: list[Line] = [
            (" ".join(one.kept.question.split()), "", ""),
            ("", f"{rows_words(len(one.examples))} · {likeness(one.group)}", ""),
        ]
        if role == LINES:
            return lines
        text = "\n".join(map(whole, lines))
        return tooltip(text) if role == Qt.ItemDataRole.ToolTipRole else text


class GroupView(QScrollArea):
    """The questions of one group below each other."""

    kept = Signal(int)  # the user wants another one to be kept: its id
    wanted = Signal()  # the others are to be rejected

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(self.tr("The questions of the group"))
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._head, self._why, self.choice = strong(size=1.1), quiet(), ChoiceBox()
        self.choice.setAccessibleName(self.tr("Which one is kept"))
        self.choice.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.choice.setMinimumContentsLength(16)
        self.choice.activated.connect(lambda _: self.kept.emit(self.choice.currentData()))
        self.button = QPushButton(self.tr("Reject the others (K)"))
        self.button.clicked.connect(self.wanted)
        self._texts = QVBoxLayout()
        style.spaced(self._texts, 0, style.HALF)
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addWidget(caption(self.tr("Keep"), self.choice))
        row.addWidget(self.choice, 1)
        row.addWidget(self.button)
        self._page = page = QWidget()
        column = QVBoxLayout(page)
        style.spaced(column, style.DOUBLE, style.SPACE)
        column.addWidget(self._head)
        column.addLayout(row)
        column.addWidget(self._why)
        column.addLayout(self._texts)
        column.addStretch(1)
        self.setWidget(page)

    def show_group(self, standing: Standing | None, writable: bool) -> None:
        """Another group, or none."""
        style.clear(self._texts)
        self._page.setVisible(standing is not None)
        if standing is None:
            return
        self._head.setText(f"{rows_words(len(standing.examples))}, {likeness(standing.group)}")
        self._why.setText(self.tr("It is kept because: {}.").format(standing.group.why) if standing.group.why else "")
        with QSignalBlocker(self.choice):
            self.choice.clear()
            for example in standing.examples:
                self.choice.addItem(f"{example.id} · {' '.join(example.question.split())}", example.id)
        self.choice.setEnabled(writable)
        self.button.setEnabled(writable)
        for place, example in enumerate(standing.examples[:SHOWN]):
            self._add(standing.kept, example, first=place == 0)
        if len(standing.examples) > SHOWN:
            more = QLocale().toString(len(standing.examples) - SHOWN)
            self._texts.addWidget(quiet(self.tr("{} more are not shown.").format(more)))
        self.verticalScrollBar().setValue(0)

    def _add(self, kept: Example, example: Example, first: bool) -> None:
        fate = self.tr("✓ stays") if first else self.tr("✕ would be rejected")
        sign = f"{state_sign(example.state)[0]} {state_name(example.state)}"
        facts = (fate, str(example.id), sign, "★" * (example.rating or 0), kind_name(example.kind))
        head = plain(" · ".join(filter(None, (*facts, " ".join(example.document.split())))))
        head.setContentsMargins(0, style.SPACE, 0, 0)
        self._texts.addWidget(head)
        for name, now, before in (
            (self.tr("Question {}").format(example.id), example.question, kept.question),
            (self.tr("Answer {}").format(example.id), example.answer, kept.answer),
        ):
            text = Text()
            text.setAccessibleName(name)
            text.show_text(now, () if first else changed(before, now))
            self._texts.addWidget(text)


def likeness(group: Group) -> str:
    """How alike the questions of a group are, in words."""
    share = QLocale().toString(group.similarity, "f", 2)
    words = {
        "exact": translate("Duplicates", "word for word the same"),
        "near": translate("Duplicates", "nearly the same words ({})").format(share),
        "semantic": translate("Duplicates", "the same meaning, by the model ({})").format(share),
    }
    return words.get(group.kind, group.kind)


def rows_words(count: int) -> str:
    """So many questions."""
    return translate("Duplicates", "{} questions").format(QLocale().toString(count))
