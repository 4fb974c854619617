"""Exports rows: the format, which rows, what it will look like, what is left out and why, and where to."""

from __future__ import annotations

import itertools
import os
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import UserError
from core.exchange.export import preview
from core.exchange.formats import PAIRS
from core.exchange.trainers import check_tools
from core.project.project import Project
from gui import style
from gui.adapters import file_name
from gui.exporting import Wish, start_export
from gui.facts import fold
from gui.file_preview import FilePreview
from gui.format_choice import SHAPED, FormatChoice
from gui.jobs import Jobs
from gui.labels import line, plain, quiet, strong
from gui.reckoner import Reckoner
from gui.row_source import Rows, RowSource
from gui.session import Session

ROWS = 3  # in the preview
WIDTH = 270  # pixels of what is chosen on the left
SUFFIXES = {"csv": ".csv", "parquet": ".parquet", "folder": ""}  # else JSON lines
CONFIGS = {"llama-factory": "LLaMA-Factory", "axolotl": "Axolotl"}  # training programs with settings of their own


class ExportDialog(QDialog):
    """Shows what an export will hold; what it begins goes on in the background when it has closed."""

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None, dataset: str = "") -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._named = False  # whether the user has chosen the file's name
        self._reckoner = Reckoner(session)
        self._later = QTimer(self, singleShot=True, interval=0)  # several changes at once are looked at once
        self.setWindowTitle(self.tr("Export"))
        with session.reporting():
            self._reasons = session.project.quarantine_reasons()
        self._build(dataset)
        self._connect()
        self._restore()
        self._refresh()
        self.resize(960, 640)

    @property
    def wish(self) -> Wish:
        """What is chosen now."""
        path = Path(os.path.expanduser(self.path.text().strip()))  # Path's own raises where there is no such user
        configs = tuple(name for name, tick in self.configs.items() if tick.isChecked() and tick.isEnabled())
        return Wish(
            path,
            self.format,
            not self.provenance.isChecked(),
            self.rows.rows,
            self.choice.shape,
            self.guard.isChecked(),
            configs,
        )

    @property
    def format(self) -> str:
        """The chosen format, as `core.exchange.formats` names it."""
        return self.choice.format

    @property
    def idle(self) -> bool:
        """Whether all that is to be seen is read."""
        return self._reckoner.idle and not self._later.isActive()

    # Building

    def _build(self, dataset: str) -> None:
        body = QHBoxLayout()
        style.spaced(body, 0, style.WIDE)
        body.addLayout(self._choices(dataset))
        body.addLayout(self._example(), 1)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addLayout(body, 1)
        column.addLayout(self._target())
        column.addLayout(self._foot())
        self.button.setDefault(True)

    def _choices(self, dataset: str) -> QVBoxLayout:
        self.choice, self.rows = FormatChoice(), RowSource(self._session, dataset)
        for widget in (self.choice, self.rows):
            widget.setFixedWidth(WIDTH)
        column = QVBoxLayout()
        style.spaced(column, 0, style.HALF)
        column.addWidget(strong(self.tr("Which rows")))
        column.addWidget(self.rows)
        column.addSpacing(style.SPACE)
        column.addWidget(strong(self.tr("Format")))
        column.addWidget(self.choice)
        column.addWidget(self._more())
        column.addStretch(1)
        return column

    def _more(self) -> QWidget:
        """What is rarely needed, folded away."""
        self.fold = fold(self.tr("More"))
        self.provenance = QCheckBox(self.tr("With &where each row comes from"))
        self.provenance.setToolTip(self.tr("Evidence, document, page and run of each row; training tools ignore it."))
        self.guard = QCheckBox(self.tr("&Guard against formulas"))
        self.guard.setToolTip(
            self.tr("Puts a ’ before what a spreadsheet would run as a formula. An import takes it away again.")
        )
        self.configs = {name: QCheckBox(self.tr("Settings for {} beside it").format(CONFIGS[name])) for name in CONFIGS}
        for tick in self.configs.values():
            tick.setToolTip(self.tr("Files that have it train on these rows: look through them before you start."))
        self._folded = QWidget()
        ticks = QVBoxLayout(self._folded)
        style.spaced(ticks, 0, style.HALF)
        ticks.setContentsMargins(style.DOUBLE, 0, 0, 0)
        for tick in (self.provenance, self.guard, *self.configs.values()):
            ticks.addWidget(tick)
        self._folded.hide()
        self.fold.toggled.connect(self._folded.setVisible)
        more = QWidget()
        column = QVBoxLayout(more)
        style.spaced(column, 0, style.HALF)
        column.addWidget(self.fold)
        column.addWidget(self._folded)
        return more

    def _example(self) -> QVBoxLayout:
        self.preview = FilePreview()
        self.preview.setAccessibleName(self.tr("The first rows in this format"))
        self.left_out = quiet()
        column = QVBoxLayout()
        style.spaced(column, 0)
        column.addWidget(strong(self.tr("The first rows")))
        column.addWidget(self.preview, 1)
        column.addWidget(self.left_out)
        return column

    def _target(self) -> QGridLayout:
        self.path = QLineEdit()
        self._label = line()
        self._label.setBuddy(self.path)
        self._choose_button = QPushButton(self.tr("C&hoose…"))
        self._choose_button.setAutoDefault(False)
        self.replaced = quiet(self.tr("It is there already and will be replaced."))
        grid = QGridLayout()
        style.spaced(grid, 0)
        grid.addWidget(self._label, 0, 0)
        grid.addWidget(self.path, 0, 1)
        grid.addWidget(self._choose_button, 0, 2)
        grid.addWidget(self.replaced, 1, 1)
        grid.setColumnStretch(1, 1)
        return grid

    def _foot(self) -> QHBoxLayout:
        self.summary = plain()
        self._buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        self.button = self._buttons.addButton(self.tr("&Export"), QDialogButtonBox.ButtonRole.AcceptRole)
        style.set_icon(self.button, "export")
        row = QHBoxLayout()
        style.spaced(row, 0, style.DOUBLE)
        row.addWidget(self.summary, 1)
        row.addWidget(self._buttons)
        return row

    def _connect(self) -> None:
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._later.timeout.connect(self._look)
        self._session.project_closing.connect(self.reject)
        self._reckoner.reckoned.connect(self._take)
        self._choose_button.clicked.connect(self._choose)
        self.path.textEdited.connect(self._name_given)
        for signal in (self.choice.changed, self.rows.changed, self.provenance.toggled, self.guard.toggled):
            signal.connect(self._refresh)

    def _restore(self) -> None:
        settings = self._session.settings
        shape = str(settings.value("export/shape", "messages"))
        self.choice.choose(str(settings.value("export/format", "messages")), shape)
        self.choice.buttons[self.format].setFocus()
        ticks = {"provenance": self.provenance, "guard": self.guard, **self.configs}
        for name, tick in ticks.items():
            usual = tick in (self.provenance, self.guard)
            tick.setChecked(str(settings.value(f"export/{name}", usual)).lower() == "true")
            if tick.isChecked() != usual:
                self.fold.setChecked(True)  # what is not as usual is to be seen

    # What it will look like

    def _refresh(self) -> None:
        """Something was chosen."""
        name = self.tr("Fol&der") if self.format == "folder" else self.tr("&File")
        self._label.setText(name)
        self.path.setAccessibleName(name.replace("&", ""))
        self.guard.setVisible(self.format == "csv")
        for tool, tick in self.configs.items():
            tick.setEnabled(_reads(tool, self.choice.shape))
        if not self._named:
            self.path.setText(str(self._default_path()))
        self._show_left_out()
        self._show_target()
        self._later.start()

    def _look(self) -> None:
        self._reckoner.forget()
        if self.rows.count:
            self._reckoner.want("preview", partial(_look, self._session.project, self.wish))
        else:
            self.preview.show_text("")

    def _take(self, _: object, text: object) -> None:
        if isinstance(text, UserError):
            self.preview.show_text("")
            self.summary.setText(str(text))
            self.button.setEnabled(False)
        else:
            self.preview.show_text(str(text).rstrip())

    def _show_left_out(self) -> None:
        rows, count = self.rows.rows, sum(self._reasons.values())
        if rows != Rows(rows.state) or rows.state == "quarantined" or not count:
            self.left_out.hide()
            return
        reasons = [
            f"{self.locale().toString(number)} × {reason or self.tr('put there by hand')}"
            for reason, number in list(self._reasons.items())[:3]
        ]
        if len(self._reasons) > 3:
            reasons.append("…")
        head = self.tr("Left out, because quarantined: {}").format(self.locale().toString(count))
        self.left_out.setText("\n".join([head, *reasons]))
        self.left_out.show()

    def _show_target(self) -> None:
        path, count = self.wish.path, self.rows.count
        is_there = os.path.isdir if self.format == "folder" else os.path.isfile
        replaced = is_there(path)  # while it is typed, it may be a place that nobody may look at
        self.replaced.setVisible(replaced)
        self.button.setEnabled(bool(count and self.path.text().strip()))
        self.summary.setText(self._promise(count))

    def _promise(self, count: int) -> str:
        """How much will be written, or what to do where that is nothing."""
        number, mixed, rows = self.locale().toString, self.rows.mixed, self.rows.rows
        if count and mixed:
            text = self.tr("Rows to be written: {}, {} of which are mixed in. A dataset card is put beside the file.")
            return text.format(number(count + mixed), number(mixed))
        if count and self.choice.shape in PAIRS:
            return self.tr("Rows to be written: those of {} that have a worse answer.").format(number(count))
        if count and self.format == "folder":
            return self.tr("Rows to be written: {}, with a card that describes them.").format(number(count))
        if count:
            return self.tr("Rows to be written: {}. A dataset card is put beside the file.").format(number(count))
        if not any(self.rows.counts.values()) and rows == Rows(rows.state):
            return self.tr("This project has no questions yet. Ask some first, and accept the good ones.")
        if rows.state == "accepted" and rows.dataset is None and rows.pick is None:
            return self.tr("No question is accepted yet. Accept some with the key A, or choose others above.")
        return self.tr("There is no such row. Choose others above.")

    def _default_path(self) -> Path:
        project, rows = self._session.project.path, self.rows.rows
        folder = Path(str(self._session.settings.value("export/folder", "") or project.parent))
        folder = folder if os.path.isdir(folder) else project.parent
        name = file_name(rows.dataset) if rows.dataset is not None else project.stem
        of = [f"run-{rows.run}"] if rows.run is not None else [f"pick-{rows.pick}"] if rows.pick is not None else []
        what = "questions" if self.format == "csv" else self.choice.shape
        stem = "-".join([name, *of, *filter(None, [rows.split]), what])
        suffix = SUFFIXES.get(self.format, ".jsonl")
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        return next(path for name in names if not os.path.exists(path := folder / f"{name}{suffix}"))

    # What the user does

    def _name_given(self) -> None:
        self._named = bool(self.path.text().strip())
        self._show_target()

    def _choose(self) -> None:
        dialog = QFileDialog(self, self.tr("Export to"), str(self.wish.path.parent))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix(self.wish.path.suffix.lstrip("."))
        dialog.selectFile(self.wish.path.name)
        if dialog.exec():
            self.path.setText(dialog.selectedFiles()[0])
            self._name_given()

    def accept(self) -> None:
        """Begins the export and closes."""
        wish, settings = self.wish, self._session.settings
        if not wish.path.is_absolute():  # a bare name goes where the default would have gone
            wish = replace(wish, path=self._default_path().parent / wish.path)
        settings.setValue("export/format", wish.format)
        if wish.format in SHAPED:
            settings.setValue("export/shape", wish.shape)
        settings.setValue("export/folder", str(wish.path.parent))
        for name, tick in {"provenance": self.provenance, "guard": self.guard, **self.configs}.items():
            settings.setValue(f"export/{name}", "true" if tick.isChecked() else "false")
        start_export(self._session, self._jobs, wish)
        super().accept()

    def done(self, result: int) -> None:
        self._later.stop()
        self._reckoner.stop()
        super().done(result)


def _reads(tool: str, shape: str) -> bool:
    """Whether a training program can be told how to read such rows."""
    try:
        check_tools((tool,), shape)
    except UserError:
        return False
    return True


def _look(project: Project, wish: Wish) -> str | UserError:
    """The beginning of what would be written; in a thread of its own."""
    try:
        rows = asdict(wish.rows)
        return preview(project, wish.format, plain=wish.plain, limit=ROWS, shape=wish.shape, guard=wish.guard, **rows)
    except UserError as error:
        return error
