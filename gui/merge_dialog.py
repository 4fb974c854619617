"""Makes a new model of a base and an adapter: of which type, where, how far it is, and whether it answers the same."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication, QLocale, QObject, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.engine.requests import Loading
from core.models.shelf import models_folder
from core.project.tuning import AdapterRow
from gui import style
from gui.adapters import MOST_SCALE, SCALE_STEP, base_of, file_name
from gui.jobs import Job, Jobs, Status
from gui.labels import plain, quiet
from gui.running import Running
from gui.session import Session
from gui.words import size_words

if TYPE_CHECKING:  # with numpy: imported when the first model is merged
    from core.tuning.merge import Merged, Merging


@dataclass(frozen=True)
class Wish:
    """What is to be merged, and where to."""

    adapter: AdapterRow
    path: Path
    kind: str  # of the weights; empty: as the base has them
    scale: float
    name: str


class Merger(Running):
    """The one merge that may go on at a time; it lives on when its dialog has closed."""

    progressed = Signal()
    merged = Signal(object)  # Merged

    def __init__(self, session: Session, jobs: Jobs, parent: QObject | None = None) -> None:
        super().__init__(session, jobs, parent)
        self.result: Merged | None = None
        self.problem = ""

    @property
    def status(self) -> Status | None:
        """How far the one that goes on is."""
        return self._job.status if self._job is not None else None

    def start(self, wish: Wish) -> None:
        """Begins."""
        project, chosen = self._session.project, self._session.chosen_models()

        def work(job: Job) -> None:
            from core.tuning.merge import merge

            assert job.worker is not None
            job.say(Status(self.tr("Checking the model file")))
            base, file = base_of(wish.adapter, chosen, job.cancelled), project.adapter_file(wish.adapter.id)
            job.report(None)  # what was in memory gives way
            for item in merge(job.worker, base, file, wish.path, wish.scale, wish.kind, wish.name, job.cancelled):
                self._tell(job, item)

        self.result, self.problem = None, ""
        title = self.tr("Merging “{}”").format(wish.adapter.name)
        self._begin(title, work, None, self._end)
        assert self._job is not None
        self._job.status_changed.connect(lambda _: self.progressed.emit())

    def forget(self) -> None:
        """Of what came of the last one."""
        if not self.active:
            self.result, self.problem = None, ""

    def stop(self) -> None:
        """Ends it; nothing is written then."""
        if self._job is not None:
            self._job.cancel()

    def _tell(self, job: Job, item: Loading | Merging | Merged) -> None:
        """In the thread of its lane."""
        from core.tuning.merge import Merged, Merging

        if isinstance(item, Merged):
            job.report(item)
        elif isinstance(item, Merging):
            stages = {
                "adding": self.tr("Adding the adapter to the weights"),
                "quantising": self.tr("Making the type"),
                "comparing": self.tr("Comparing with the base and the adapter"),
            }
            words = stages.get(item.stage, item.stage)
            job.say(Status(words, round(1000 * item.fraction), 1000 if item.fraction else 0))

    def _take(self, item: object) -> None:
        if item is None:
            self.model_loaded.emit(item)
        else:
            self.result = item  # pyright: ignore[reportAttributeAccessIssue]
            self.merged.emit(item)

    def _end(self, state: str) -> None:
        error = self._job.error if self._job else None
        self._job = None
        self.problem = str(error) if state == "failed" else ""
        self.changed.emit()


class MergeDialog(QDialog):
    """What is chosen, and below how far the merge is and what came of it."""

    def __init__(self, session: Session, merger: Merger, adapter: AdapterRow, parent: QWidget | None) -> None:
        super().__init__(parent)
        self._session, self._merger, self._adapter = session, merger, adapter
        self.setWindowTitle(self.tr("Merge into a new model"))
        merger.forget()
        self._build()
        for signal in (merger.changed, merger.progressed, merger.merged):
            signal.connect(self._show_state)
        for signal in (self.kind.currentIndexChanged, merger.merged):
            signal.connect(self._suggest)
        self._suggest()
        self._show_state()
        self.setMinimumWidth(560)

    @property
    def wish(self) -> Wish:
        """What is chosen now."""
        path = Path(os.path.expanduser(self.path.text().strip()))
        path = path if path.is_absolute() else models_folder() / path
        return Wish(
            self._adapter, path, self.kind.currentData(), round(self.scale.value(), 2), self.name.text().strip()
        )

    # Building

    def _build(self) -> None:
        adapter = self._adapter
        about = plain(self.tr("“{}” is added to the weights of {}.").format(adapter.name, adapter.base_name))
        why = quiet(self.tr("The new model needs no adapter, so other programs can use it too. Both stay as they are."))
        self.kind, self.scale, self.name, self.path = QComboBox(), QDoubleSpinBox(), QLineEdit(), QLineEdit()
        self._fill_kinds()
        self.kind.setToolTip(self.tr("Fewer bits take less room, and round what was learned."))
        self.scale.setRange(0, MOST_SCALE)
        self.scale.setSingleStep(SCALE_STEP)
        self.scale.setValue(adapter.scale)
        self.name.setText(f"{adapter.base_name} + {adapter.name}")
        self.path.textEdited.connect(lambda: self.path.setModified(True))
        self._choose = QPushButton(self.tr("Choose…"))
        self._choose.setAutoDefault(False)
        self._choose.clicked.connect(self._choose_file)
        where = QHBoxLayout()
        style.spaced(where, 0)
        where.addWidget(self.path, 1)
        where.addWidget(self._choose)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setHorizontalSpacing(style.DOUBLE)
        form.setVerticalSpacing(style.SPACE)
        for text, field in (
            (self.tr("&Type"), self.kind),
            (self.tr("&Strength"), self.scale),
            (self.tr("&Name"), self.name),
        ):
            form.addRow(text, field)
            field.setAccessibleName(text.replace("&", ""))
        form.addRow(self.tr("File"), where)
        self.path.setAccessibleName(self.tr("File"))
        self.bar, self.state = QProgressBar(), plain(selectable=True)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(10)
        self.bar.setAccessibleName(self.tr("How far it is"))
        self.state.setAccessibleName(self.tr("What came of it"))
        self._buttons = style.button_box(QDialogButtonBox.StandardButton.Close)
        self._buttons.button(QDialogButtonBox.StandardButton.Close).setAutoDefault(False)
        self.start = self._buttons.addButton(self.tr("&Merge"), QDialogButtonBox.ButtonRole.ActionRole)
        self.stop = self._buttons.addButton(self.tr("St&op"), QDialogButtonBox.ButtonRole.ActionRole)
        self.start.setDefault(True)
        self.start.clicked.connect(self._begin)
        self.stop.clicked.connect(self._merger.stop)
        self._buttons.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addWidget(about)
        column.addWidget(why)
        column.addLayout(form)
        column.addWidget(self.bar)
        column.addWidget(self.state)
        column.addStretch(1)
        column.addWidget(self._buttons)

    def _fill_kinds(self) -> None:
        from core.tuning.merge import TYPES

        with self._session.reporting():
            run = self._session.project.run(self._adapter.run_id)
            kind = run.request.quantisation
            self.kind.addItem(self.tr("As the base ({})").format(kind) if kind else self.tr("As the base"), "")
        for name in TYPES:
            self.kind.addItem(name, name)

    # What the user does

    def _suggest(self) -> None:
        """A file among the models, unless the user has named one."""
        if self.path.isModified():
            return
        stem = "-".join(
            filter(None, (file_name(f"{self._adapter.base_name}-{self._adapter.name}"), self.kind.currentData()))
        )
        folder = models_folder()
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        self.path.setText(str(next(path for name in names if not (path := folder / f"{name}.gguf").exists())))

    def _choose_file(self) -> None:
        title = self.tr("The new model's file")
        name, _ = QFileDialog.getSaveFileName(
            self, title, self.path.text(), "GGUF (*.gguf)", options=QFileDialog.Option.DontConfirmOverwrite
        )
        if name:
            self.path.setText(name if name.lower().endswith(".gguf") else f"{name}.gguf")
            self.path.setModified(True)

    def _begin(self) -> None:
        if not self._merger.active:
            self._merger.start(self.wish)

    # Showing

    def _show_state(self) -> None:
        active, status, result = self._merger.active, self._merger.status, self._merger.result
        for field in (self.kind, self.scale, self.name, self.path, self._choose):
            field.setEnabled(not active)
        self.start.setVisible(not active)
        self.stop.setVisible(active)
        self.bar.setVisible(active)
        if active and status is not None:
            self.bar.setMaximum(status.total)
            self.bar.setValue(status.done)
            self.state.setText(status.text)
        else:
            self.state.setText(merged_words(result) if result is not None else self._merger.problem)
        self.state.setVisible(bool(self.state.text()))


def merged_words(merged: Merged) -> str:
    """What was written, and how it was found to answer."""
    translate, number = QCoreApplication.translate, QLocale().toString
    written = translate("MergeDialog", "{} is written: {}, {}.").format(
        merged.path.name, merged.quantisation, size_words(merged.size)
    )
    compared = translate(
        "MergeDialog",
        "On {} tokens it differs by {} nats from the base with the adapter, and has the same likeliest token in {} %; "
        "the adapter itself makes {} nats.",
    ).format(
        number(merged.tokens),
        number(merged.kl, "g", 2),
        number(100 * merged.top1, "f", 1),
        number(merged.effect, "g", 2),
    )
    return " ".join(filter(None, (written, compared, merged.warning)))
