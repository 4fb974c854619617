"""A line to click on, and under it facts by their names, folded away until they are asked for."""

from __future__ import annotations

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QFormLayout, QLineEdit, QToolButton, QVBoxLayout, QWidget

from gui import style
from gui.labels import caption, plain
from gui.session import Session


class Facts(QWidget):
    """Who inherits says which; they are read when they are to be seen."""

    unfolded = Signal()

    def __init__(self, session: Session, title: str) -> None:
        super().__init__()
        self.session = session
        self.fold = fold(title)
        self.fold.toggled.connect(self._unfold)
        self._facts = QWidget()
        self._rows = QFormLayout(self._facts)
        self._rows.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self._rows.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
        self._rows.setLabelAlignment(Qt.AlignmentFlag.AlignLeft)
        self._rows.setContentsMargins(style.DOUBLE, 0, 0, 0)
        self._rows.setVerticalSpacing(style.HALF)
        self._rows.setHorizontalSpacing(style.DOUBLE)
        self._facts.hide()
        column = QVBoxLayout(self)
        style.spaced(column, 0, style.HALF)
        column.addWidget(self.fold)
        column.addWidget(self._facts)

    def facts(self) -> list[tuple[str, str]]:
        """Names and what is to be said of each; what is empty is left out."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Reads them anew, where they are to be seen."""
        if not self.fold.isChecked():
            return
        while self._rows.rowCount():
            self._rows.removeRow(0)
        with self.session.reporting():
            for name, value in self.facts():
                if value:
                    breaks = max(map(len, value.split()), default=0) <= 30
                    self._rows.addRow(caption(name), plain(value) if breaks else _Fact(value))

    def _unfold(self, open: bool) -> None:
        self._facts.setVisible(open)
        self.refresh()
        if open:
            QTimer.singleShot(0, self, self.unfolded.emit)


def fold(title: str = "") -> QToolButton:
    """A line that shows and hides what it is about."""
    button = QToolButton(autoRaise=True)
    button.setCheckable(True)
    button.setText(title)
    button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    button.setArrowType(Qt.ArrowType.RightArrow)
    button.toggled.connect(lambda on: button.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow))
    return button


class _Fact(QLineEdit):
    """One word or number of any length, to be looked at and copied."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setReadOnly(True)
        self.setFrame(False)
        self.setCursorPosition(0)
        self.setTextMargins(-2, 0, 0, 0)  # in line with labels
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        palette = QPalette()
        palette.setColor(QPalette.ColorRole.Base, Qt.GlobalColor.transparent)
        self.setPalette(palette)
