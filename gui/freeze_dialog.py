"""Freezes a dataset: of what, how it is divided, and what that comes to before anything is kept."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial

from PySide6.QtCore import QEvent, QTimer, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from core import datasets
from core.datasets import Selection
from core.errors import UserError
from core.project.project import Project
from core.project.tuning import Dataset
from gui import style
from gui.dataset_words import named, offered, sizes_words, source_words
from gui.facts import fold
from gui.labels import line, plain, quiet, strong, tint
from gui.reckoner import Reckoner
from gui.session import Session
from gui.split_choice import SplitChoice

SETTLE = 250  # milliseconds without a change before it is reckoned
MOST_SEED = (1 << 31) - 1


class FreezeDialog(QDialog):
    """Keeps the dataset when it is accepted, and closes when it is kept."""

    frozen = Signal(object)  # the Dataset

    def __init__(self, session: Session, what: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self._session = session
        self._named = False  # whether the user has chosen the name
        self._chosen: Selection | None = None
        self._problem = ""
        self._reckoner = Reckoner(session)
        self._later = QTimer(self, singleShot=True, interval=SETTLE)
        self.setWindowTitle(self.tr("Freeze a dataset"))
        self._build()
        self._connect()
        self._fill_sources(what)
        self._change()
        self.resize(600, 500)
        self.name.setFocus()

    @property
    def idle(self) -> bool:
        """Whether all that is to be seen is reckoned."""
        return self._reckoner.idle and not self._later.isActive()

    # Building

    def _build(self) -> None:
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addWidget(
            quiet(self.tr("What is frozen never changes: its rows, how they are divided, and its checksum."))
        )
        column.addLayout(self._what())
        self.splits = SplitChoice()
        column.addWidget(self.splits)
        column.addLayout(self._more())
        column.addWidget(self._before(), 1)
        self._buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        self._buttons.button(QDialogButtonBox.StandardButton.Cancel).setAutoDefault(False)
        self.button = self._buttons.addButton(self.tr("&Freeze"), QDialogButtonBox.ButtonRole.AcceptRole)
        style.set_icon(self.button, "freeze")
        self.button.setDefault(True)
        column.addWidget(self._buttons)

    def _what(self) -> QFormLayout:
        self.source, self.name = QComboBox(), QLineEdit()
        self.source.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.pairs = QCheckBox(self.tr("As &pairs of a better and a worse answer"))
        self.pairs.setToolTip(
            self.tr("For DPO: from what was edited, rated differently, or made to counter sycophancy; others stay out.")
        )
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setHorizontalSpacing(style.DOUBLE)
        form.setVerticalSpacing(style.SPACE)
        form.addRow(self.tr("&Of"), self.source)
        form.addRow("", self.pairs)
        form.addRow(self.tr("&Name"), self.name)
        self.source.setAccessibleName(self.tr("Of"))
        self.name.setAccessibleName(self.tr("Name"))
        return form

    def _more(self) -> QVBoxLayout:
        self.fold = fold(self.tr("More"))
        self.seed = QSpinBox()
        self.seed.setRange(0, MOST_SEED)
        self.seed.setAccessibleName(self.tr("Seed"))
        self.seed.setToolTip(self.tr("The same seed divides the same rows in the same way."))
        self.probed = QCheckBox(self.tr("Also what was &probed"))
        self.probed.setToolTip(
            self.tr(
                "Rows that a probe of this project asked are left out, since a model that learned them proves less."
            )
        )
        label = line(self.tr("&Seed"))
        label.setBuddy(self.seed)
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.setContentsMargins(style.DOUBLE, 0, 0, 0)
        row.addWidget(label)
        row.addWidget(self.seed)
        row.addSpacing(style.DOUBLE)
        row.addWidget(self.probed)
        row.addStretch(1)
        folded = QWidget()
        folded.setLayout(row)
        folded.hide()
        self.fold.toggled.connect(folded.setVisible)
        column = QVBoxLayout()
        style.spaced(column, 0, style.HALF)
        column.addWidget(self.fold)
        column.addWidget(folded)
        return column

    def _before(self) -> QFrame:
        box = QFrame()
        box.setFrameShape(QFrame.Shape.StyledPanel)
        self.counts, self.said = plain(), plain(selectable=True)
        self.counts.setAccessibleName(self.tr("Rows of each split"))
        self.said.setAccessibleName(self.tr("What comes of it"))
        column = QVBoxLayout(box)
        style.spaced(column, style.SPACE, style.HALF)
        column.addWidget(strong(self.tr("Before it is frozen")))
        column.addWidget(self.counts)
        column.addWidget(self.said)
        column.addStretch(1)
        return box

    def _connect(self) -> None:
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._later.timeout.connect(self._reckon)
        self._session.project_closing.connect(self.reject)
        self._reckoner.reckoned.connect(self._take)
        self.name.textEdited.connect(self._name_given)
        self.source.currentIndexChanged.connect(self._change)
        self.seed.valueChanged.connect(self._change)
        self.splits.changed.connect(self._change)
        for tick in (self.pairs, self.probed):
            tick.toggled.connect(self._change)

    def _fill_sources(self, what: str) -> None:
        with self._session.reporting():
            what, found = named(self._session.project, what), offered(self._session.project)
            found = found if any(what == name for name, _ in found) else [(what, source_words(what)), *found]
            self.source.blockSignals(True)
            for name, words in found:
                self.source.addItem(words, name)
            self.source.setCurrentIndex(self.source.findData(what))
            self.source.blockSignals(False)

    # Reckoning

    def _change(self) -> None:
        """Something was chosen: what comes of it is to be found out anew."""
        self._chosen, self._problem = None, ""
        self._reckoner.forget()
        self._later.start()
        self._show_state()

    def _reckon(self) -> None:
        self._reckoner.want("selection", partial(_select, self._session.project, self._wish()))

    def _wish(self) -> dict[str, object]:
        return {
            "what": self.source.currentData(),
            "held_out": self.splits.share("validation"),
            "test": self.splits.share("test"),
            "seed": self.seed.value(),
            "pairs": self.pairs.isChecked(),
            "allow_probed": self.probed.isChecked(),
        }

    def _take(self, key: object, made: object) -> None:
        if key == "kept":
            self._end(made)
            return
        self._chosen = made if isinstance(made, Selection) else None
        self._problem = str(made) if isinstance(made, UserError) else ""
        if self._chosen is not None and not self._named:
            self.name.setText(self._chosen.name)
        self._show_state()

    # Showing

    def _name_given(self) -> None:
        self._named = bool(self.name.text().strip())
        self._show_state()

    def _show_state(self) -> None:
        chosen = self._chosen
        counts = Counter(row.split for row in chosen.rows) if chosen else Counter()
        self.splits.bar.show_counts(counts)
        self.counts.setText(sizes_words(counts))
        self.counts.setVisible(bool(chosen))
        waiting = self._problem or self.tr("Looking through the rows…")
        self.said.setText("\n".join(datasets.describe(self._called(chosen))) if chosen else waiting)
        self._tint()
        self.button.setEnabled(chosen is not None and bool(self.name.text().strip()))

    def _tint(self) -> None:
        tint(self.said, "warning" if self._problem else "quiet")

    def _called(self, chosen: Selection) -> Selection:
        """With the name that the user has given it."""
        return replace(chosen, name=" ".join(self.name.text().split()) or chosen.name)

    # Keeping

    def accept(self) -> None:
        """Keeps what was found, in a thread: many rows take a moment."""
        if self._chosen is None or not self.button.isEnabled():
            return
        self._buttons.setEnabled(False)
        self._reckoner.want("kept", partial(_keep, self._session.project, self._called(self._chosen)))

    def _end(self, made: object) -> None:
        self._buttons.setEnabled(True)
        if isinstance(made, Dataset):
            self._reckoner.stop()
            self.frozen.emit(made)
            super().accept()
        else:
            self._chosen, self._problem = None, str(made)
            self._show_state()

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "said"):
            self._tint()

    def done(self, result: int) -> None:
        self._later.stop()
        self._reckoner.stop()
        super().done(result)


def _select(project: Project, wish: dict[str, object]) -> Selection | UserError:
    """In a thread of its own."""
    try:
        return datasets.select(project, **wish)  # pyright: ignore[reportArgumentType]
    except UserError as error:
        return error


def _keep(project: Project, chosen: Selection) -> Dataset | UserError:
    """In a thread of its own."""
    try:
        return project.add_dataset(chosen.name, chosen.recipe, chosen.rows)
    except UserError as error:
        return error
