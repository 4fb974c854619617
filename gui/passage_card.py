"""One passage to be judged: its text, where it stands, and the buttons that say whether it is worth asking about."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from core.project.records import PassageMark, PassageRow
from gui import style
from gui.answer_pairs import Text
from gui.charts.chart import percent
from gui.labels import quiet


class PassageCard(QWidget):
    """The keys are those of the page around it."""

    judged = Signal(int)  # 1: worth asking about, 0: not
    passed = Signal()
    went_back = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._where, self.verdict, self.text = quiet(), quiet(), Text()
        self.text.setAccessibleName(self.tr("The passage"))
        self.yes, self.no = QPushButton(self.tr("Worth asking about (W)")), QPushButton(self.tr("Not worth it (N)"))
        self.skip, self.back = QPushButton(self.tr("Skip (S)")), QPushButton(self.tr("Back (B)"))
        style.set_icon(self.yes, "accept", "good")
        style.set_icon(self.no, "reject", "bad")
        self.yes.clicked.connect(lambda: self.judged.emit(1))
        self.no.clicked.connect(lambda: self.judged.emit(0))
        self.skip.clicked.connect(self.passed)
        self.back.clicked.connect(self.went_back)
        row = QHBoxLayout()
        style.spaced(row, 0)
        for button in (self.yes, self.no, self.skip, self.back):
            row.addWidget(button)
        row.addStretch(1)
        page = QWidget()
        inside = QVBoxLayout(page)
        style.spaced(inside, style.SPACE, style.SPACE)
        inside.addWidget(self.text)
        inside.addStretch(1)
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setWidget(page)
        column = QVBoxLayout(self)
        style.spaced(column, 0, style.SPACE)
        column.addLayout(row)
        column.addWidget(self._where)
        column.addWidget(self.verdict)
        column.addWidget(self._scroll, 1)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def show_passage(self, passage: PassageRow | None, document: str, page: str, mark: PassageMark | None) -> None:
        """Another passage, or none: all that are to be judged have been."""
        for widget in (self.text, self.yes, self.no, self.skip, self.verdict):
            widget.setVisible(passage is not None)
        if passage is None:
            self._where.setText(self.tr("Every passage has a label."))
            self.verdict.clear()
            return
        place = self.tr("page {}").format(page)
        self._where.setText(" · ".join(filter(None, (" ".join(document.split()), place, passage.section))))
        self.text.show_text(passage.text)
        self.show_mark(mark)
        self._scroll.verticalScrollBar().setValue(0)
        self.setAccessibleName(self.tr("Passage on page {}").format(page))

    def show_mark(self, mark: PassageMark | None) -> None:
        """What is known of its worth."""
        parts = []
        if mark is not None and mark.label is not None:
            parts.append(self.tr("✓ You: worth it") if mark.label else self.tr("✕ You: not worth it"))
        if mark is not None and mark.value is not None:
            parts.append(self.tr("Filter: {}").format(percent(mark.value, 0)))
        if mark is not None and mark.set_aside:
            parts.append(self.tr("Set aside"))
        self.verdict.setText(" · ".join(parts) or self.tr("No label yet"))

    def set_writable(self, writable: bool) -> None:
        """Whether labels may be given."""
        self.yes.setEnabled(writable)
        self.no.setEnabled(writable)
