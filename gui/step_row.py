"""One step of a rationale in the list: its number, whether it is accepted, its text, and under that what it cites."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QEvent, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QToolButton, QWidget

from core.project.records import Step
from gui import style
from gui.labels import line, quiet
from gui.step_field import StepField

LONGEST = 160  # characters of a citation that are shown; its page has them all
CHOSEN, FOCUSED = 22, 56  # how strong the ground behind it is, of 255
EDGE = 3  # pixels of the bar beside the step that is chosen


class StepRow(QWidget):
    """Shows a step; what is done to it is the list's."""

    pressed = Signal()
    ticked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._chosen = False
        self.tick = QToolButton(autoRaise=True)
        self.tick.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Space and A do it from the list
        self.tick.clicked.connect(lambda _: self.ticked.emit())
        self.number = line()
        self.number.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
        self.number.setContentsMargins(0, style.HALF + 1, 0, 0)
        self.number.setMinimumWidth(self.fontMetrics().horizontalAdvance("00"))
        self.field, self.citation = StepField(), quiet()
        self.citation.setContentsMargins(style.HALF, 0, style.HALF, 0)
        grid = QGridLayout(self)
        grid.setContentsMargins(style.SPACE, style.HALF, style.HALF, style.HALF)
        grid.setHorizontalSpacing(style.HALF)
        grid.setVerticalSpacing(1)
        grid.addWidget(self.number, 0, 0)
        grid.addWidget(self.tick, 0, 1, Qt.AlignmentFlag.AlignTop)
        grid.addWidget(self.field, 0, 2)
        grid.addWidget(self.citation, 1, 2)
        grid.setColumnStretch(2, 1)

    def show_step(self, number: int, step: Step, page: str, keep: bool) -> None:
        """The step that is the `number`th, citing a page that the document calls so; `keep` as in EditField."""
        self.number.setText(f"{number}.")
        self.field.setAccessibleName(self.tr("Step {}").format(number))
        self.field.show_text(step.text, keep=keep)
        self.citation.setText(cited_words(step, page))
        self.citation.setVisible(bool(step.text))
        self.field.setAccessibleDescription(self.citation.text())
        accepted = self.tr("Step {} is accepted").format(number)
        open = self.tr("Step {} is not accepted yet").format(number)
        self.tick.setAccessibleName(accepted if step.accepted else open)
        self.tick.setToolTip(self.tr("Accept the step (A)"))
        style.set_icon(self.tick, "accepted" if step.accepted else "not_accepted", "good" if step.accepted else "quiet")

    def choose(self, chosen: bool) -> None:
        """Whether it is the one that the keys act on."""
        self._chosen = chosen
        self.update()

    # Qt's own

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if self._chosen:
            painter, ground = QPainter(self), style.colour("accent")
            painter.fillRect(0, 0, EDGE, self.height(), ground)
            around = self.parentWidget()
            ground.setAlpha(FOCUSED if around is not None and around.hasFocus() else CHOSEN)
            painter.fillRect(EDGE, 0, self.width() - EDGE, self.height(), ground)
            painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self.pressed.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()


def cited_words(step: Step, page: str) -> str:
    """What a step cites and where, or that it cites nothing."""
    if step.cited is None:
        return QCoreApplication.translate("StepRow", "Inference: it cites nothing")
    text = " ".join(step.cited.text.split())
    shown = text if len(text) <= LONGEST else text[:LONGEST].rstrip() + "…"
    return QCoreApplication.translate("StepRow", "“{}” · page {}").format(shown, page)
