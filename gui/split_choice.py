"""A choice of how a dataset is divided, and a bar that is divided so."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QEvent, QLocale, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QSizePolicy, QSlider, QSpinBox, QWidget

from core.project.tuning import SPLITS
from gui import style
from gui.dataset_words import sizes_words, split_name
from gui.labels import line, quiet, strong

SHARES = {"validation": 10, "test": 10}  # per cent to begin with; the rest is to learn from
MOST_SHARE = 40
HEIGHT, GAP = 10, 2  # pixels
STRENGTH = (255, 150, 70)  # of the colour of each split: told apart without hues, and the words stand beside it


class SplitBar(QWidget):
    """Empty while nothing is known."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(self.tr("Splits"))

    def show_counts(self, counts: Mapping[str, int]) -> None:
        """Rows of each split."""
        self._counts = {split: counts[split] for split in SPLITS if counts.get(split)}
        self.setAccessibleDescription(sizes_words(self._counts))
        self.setToolTip(sizes_words(self._counts))
        self.update()

    # Qt's own

    def sizeHint(self) -> QSize:
        return QSize(200, HEIGHT)

    def minimumSizeHint(self) -> QSize:
        return QSize(60, HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(style.colour("line"))
        if not self._counts:
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
        room = self.width() - GAP * max(0, len(self._counts) - 1)
        left, total = 0.0, sum(self._counts.values())
        for split, count in self._counts.items():
            ink = QColor(style.colour("accent"))
            ink.setAlpha(STRENGTH[SPLITS.index(split)])
            wide = room * count / total
            painter.setPen(ink)
            painter.setBrush(ink)
            painter.drawRoundedRect(QRectF(left, 0, max(1.0, wide), self.height()).adjusted(0.5, 0.5, -0.5, -0.5), 2, 2)
            left += wide + GAP
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:
            self.update()


class SplitChoice(QWidget):
    """The shares that are not learned from, each by a slider or a number."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.bar, self.train = SplitBar(), line()
        self.train.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.sliders: dict[str, QSlider] = {}
        self.shares: dict[str, QSpinBox] = {}
        grid = QGridLayout(self)
        style.spaced(grid, 0, style.HALF)
        grid.setHorizontalSpacing(style.DOUBLE)
        grid.addWidget(strong(self.tr("Splits")), 0, 0, 1, 4)
        grid.addWidget(self.bar, 1, 0, 1, 4)
        meanings = {
            "train": self.tr("is learned from"),
            "validation": self.tr("tells when it has learned enough"),
            "test": self.tr("is never looked at while tuning"),
        }
        for row, (split, meaning) in enumerate(meanings.items(), 2):
            grid.addWidget(line(split_name(split)), row, 0)
            about = quiet(meaning)
            about.setWordWrap(False)
            grid.addWidget(about, row, 3)
            if split == "train":
                grid.addWidget(self.train, row, 2)
            else:
                self._add(grid, row, split)
        grid.setColumnStretch(1, 1)
        self._show_rest()

    def share(self, split: str) -> float:
        """Of all rows."""
        return self.shares[split].value() / 100

    def _add(self, grid: QGridLayout, row: int, split: str) -> None:
        self.sliders[split] = slider = QSlider(Qt.Orientation.Horizontal)
        self.shares[split] = share = QSpinBox()
        for field in (slider, share):
            field.setRange(0, MOST_SHARE)
            field.setValue(SHARES[split])
            field.setAccessibleName(self.tr("Share of {}").format(split_name(split)))
        slider.setPageStep(5)
        share.setSuffix(" %")
        slider.valueChanged.connect(share.setValue)
        share.valueChanged.connect(slider.setValue)
        share.valueChanged.connect(self._tell)
        grid.addWidget(slider, row, 1)
        grid.addWidget(share, row, 2)

    def _tell(self) -> None:
        self._show_rest()
        self.changed.emit()

    def _show_rest(self) -> None:
        rest = 100 - sum(share.value() for share in self.shares.values())
        self.train.setText(f"{QLocale().toString(rest)} %")
