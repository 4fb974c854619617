"""Asks how many questions are to be picked and by what: quality against diversity, quotas, and what is picked from."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLocale, Qt
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QSlider,
    QSpinBox,
    QWidget,
)

from core.curation.pick import PickOptions, Quota
from core.project.records import ExampleFilter
from gui import style
from gui.curate_dialogs import CurateDialog, embedding_words
from gui.labels import caption
from gui.session import Session

translate = QCoreApplication.translate

MOST_SEEDS = (1 << 31) - 1
USUAL = 200  # questions, where there are twice as many
USUAL_QUOTA = 30  # per cent of the pick


class PickDialog(CurateDialog):
    """After `exec`, `options` says what to pick."""

    def __init__(self, session: Session, parent: QWidget | None = None) -> None:
        super().__init__(
            session,
            translate("PickDialog", "Pick"),
            translate(
                "PickDialog",
                "A few excellent questions that differ teach more than many that repeat each other. As many are drawn "
                "at random beside them, so that you see what picking gains.",
            ),
            translate("PickDialog", "&Pick"),
            parent,
        )
        self._build()
        self._connect()
        self.show_what_follows()
        self.size_box.setFocus()
        self.size_box.selectAll()

    def options(self) -> PickOptions:
        """What is to be picked."""
        model = self.model.model
        return PickOptions(
            size=self.size_box.value(),
            model=model.path if model is not None else None,
            method=self.method.currentData(),
            quality_weight=self.weight.value() / 100,
            quotas=tuple(Quota(by, box.value() / 100) for by, (check, box) in self.quotas.items() if check.isChecked()),
            seed=self.seed.value(),
            state=self.state.currentData(),
            without_failed=self.sound.isChecked(),
            name=self.name.text().strip(),
        )

    def _build(self) -> None:
        self.size_box, self.seed, self.name = QSpinBox(), QSpinBox(), QLineEdit()
        self.size_box.setRange(1, 1_000_000)
        self.size_box.setGroupSeparatorShown(True)
        self.state, self.method = QComboBox(), QComboBox()
        self.state.addItem(self.tr("Accepted questions"), "accepted")
        self.state.addItem(self.tr("Drafts"), "draft")
        self.sound = QCheckBox(self.tr("Only those that passed their &checks"))
        self.sound.setChecked(True)
        if not self._there("accepted"):
            self.state.setCurrentIndex(1)
        self.size_box.setValue(min(USUAL, max(1, self._there(self.state.currentData()) // 2)))
        self.method.addItem(self.tr("Stand for all the others (facility location)"), "facility")
        self.method.addItem(self.tr("Lie far from each other (k-centre)"), "k-centre")
        self.seed.setRange(0, MOST_SEEDS)
        self.seed.setToolTip(self.tr("The same seed draws the same questions at random beside the pick."))
        self.name.setPlaceholderText(self.tr("as its size and method say"))
        self.row(self.tr("&How many"), self.size_box)
        self.row(self.tr("&From"), self.state)
        self.form.addRow(self.sound)
        self.row(self.tr("&Quality against diversity"), self._build_weight())
        self.row(self.tr("&Model for what is alike"), self.model)
        self.row(self.tr("M&ethod"), self.method)
        self.form.addRow(caption(self.tr("At most this share of the pick from one")), self._build_quotas())
        self.row(self.tr("&Seed"), self.seed)
        self.row(self.tr("&Name"), self.name)

    def _build_weight(self) -> QWidget:
        box, row = QWidget(), QHBoxLayout()
        self.weight = QSlider(Qt.Orientation.Horizontal)
        self.weight.setRange(0, 100)
        self.weight.setValue(50)
        self.weight.setPageStep(10)
        self.weight.setAccessibleName(self.tr("Weight of the quality"))
        style.spaced(row, 0)
        row.addWidget(caption(self.tr("diverse")))
        row.addWidget(self.weight, 1)
        row.addWidget(caption(self.tr("good")))
        box.setLayout(row)
        box.setFocusProxy(self.weight)
        return box

    def _build_quotas(self) -> QWidget:
        box, grid = QWidget(), QGridLayout()
        style.spaced(grid, 0)
        self.quotas: dict[str, tuple[QCheckBox, QSpinBox]] = {}
        for place, (by, name) in enumerate(
            (("document", self.tr("document")), ("topic", self.tr("topic")), ("kind", self.tr("kind")))
        ):
            check, share = QCheckBox(name), QSpinBox()
            share.setRange(1, 100)
            share.setValue(USUAL_QUOTA)
            share.setSuffix(self.tr(" %"))
            share.setEnabled(False)
            share.setAccessibleName(self.tr("Most of one {}").format(name))
            check.toggled.connect(share.setEnabled)
            self.quotas[by] = check, share
            grid.addWidget(check, 0, 2 * place)
            grid.addWidget(share, 0, 2 * place + 1)
        grid.setColumnStretch(6, 1)
        box.setLayout(grid)
        return box

    def _connect(self) -> None:
        self.size_box.valueChanged.connect(lambda _: self.show_what_follows())
        self.state.currentIndexChanged.connect(lambda _: self.show_what_follows())
        self.sound.toggled.connect(lambda _: self.show_what_follows())

    def _there(self, state: str) -> int:
        """How many there are to pick from."""
        with self.session.reporting():
            return self.session.project.count(ExampleFilter(state=state, all_passed=self.sound.isChecked()))
        return 0

    def show_what_follows(self) -> None:
        if not hasattr(self, "name"):
            return
        there, model = self._there(self.state.currentData()), self.model.model
        words = (
            self.tr("There are {} to pick from.")
            if there >= self.size_box.value()
            else self.tr("There are only {} to pick from: pick fewer, or review more of them first.")
        )
        said = [words.format(QLocale().toString(there))]
        if model is not None and not model.is_embedding:
            said.append(embedding_words())
        self.note.setText("\n".join(said))
        self.begin.setEnabled(there >= self.size_box.value() and model is not None)
