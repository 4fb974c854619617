"""Exports the examples of a state: the format, what it will look like, what is left out and why, and where to."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QEvent, QSignalBlocker
from PySide6.QtGui import QFontDatabase, QTextCursor, QTextFormat
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from core.exchange.export import mixture, preview
from core.project.records import GENERATING_RUNS, STATES, ExampleFilter
from gui import style
from gui.exporting import Wish, start_export
from gui.jobs import Jobs
from gui.labels import line, plain, quiet, strong
from gui.session import Session
from gui.words import run_words, state_name

ROWS = 3  # in the preview


class ExportDialog(QDialog):
    """Shows what an export will hold; what it begins goes on in the background when it has closed."""

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._named = False  # whether the user has chosen the file's name
        self.setWindowTitle(self.tr("Export a training set"))
        self._build()
        self._fill_runs()
        self._fill_states()
        self._restore()
        self._refresh()
        self.resize(920, 580)

    @property
    def wish(self) -> Wish:
        """What is chosen now."""
        path = Path(os.path.expanduser(self.path.text().strip()))  # Path's own raises where there is no such user
        return Wish(
            path, self.format, self.state.currentData(), not self.provenance.isChecked(), self.run.currentData()
        )

    @property
    def format(self) -> str:
        """The chosen format, as `core.exchange.formats` names it."""
        return next(name for name, button in self.formats.items() if button.isChecked())

    # Building

    def _build(self) -> None:
        body = QHBoxLayout()
        style.spaced(body, 0, style.WIDE)
        body.addLayout(self._choices())
        body.addLayout(self._example(), 1)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addLayout(body, 1)
        column.addLayout(self._target())
        column.addLayout(self._foot())
        self.button.setDefault(True)

    def _choices(self) -> QVBoxLayout:
        column = QVBoxLayout()
        style.spaced(column, 0, style.HALF)
        column.addWidget(strong(self.tr("Format")))
        self.formats: dict[str, QRadioButton] = {}
        group = QButtonGroup(self)
        for name, (title, readers) in self._formats().items():
            button = QRadioButton(title)
            button.setAccessibleDescription(readers)
            group.addButton(button)
            self.formats[name] = button
            column.addWidget(button)
            line = quiet(readers)
            line.setContentsMargins(style.WIDE, 0, 0, style.HALF)
            line.setWordWrap(False)
            column.addWidget(line)
        group.buttonToggled.connect(self._format_toggled)
        column.addSpacing(style.SPACE)
        column.addWidget(strong(self.tr("Which questions")))
        self.run = QComboBox()
        self.run.setAccessibleName(self.tr("Which runs"))
        self.run.currentIndexChanged.connect(self._choose_run)
        column.addWidget(self.run)
        self.state = QComboBox()
        self.state.setAccessibleName(self.tr("Which questions"))
        self.state.currentIndexChanged.connect(self._refresh)
        column.addWidget(self.state)
        column.addSpacing(style.SPACE)
        self.provenance = QCheckBox(self.tr("With &where each row comes from"))
        self.provenance.setToolTip(self.tr("Evidence, document, page and run of each row; training tools ignore it."))
        self.provenance.toggled.connect(self._refresh)
        column.addWidget(self.provenance)
        column.addStretch(1)
        return column

    def _formats(self) -> dict[str, tuple[str, str]]:
        return {
            "alpaca": (self.tr("&Alpaca"), self.tr("LLaMA-Factory, Axolotl, Unsloth, torchtune")),
            "sharegpt": (self.tr("&ShareGPT"), self.tr("Axolotl, LLaMA-Factory, Unsloth, FastChat")),
            "messages": (self.tr("&OpenAI messages"), self.tr("OpenAI, TRL, MLX, Axolotl and most others")),
            "completion": (self.tr("&Prompt and completion"), self.tr("TRL, MLX and older OpenAI models")),
            "csv": (self.tr("&CSV"), self.tr("Spreadsheets, pandas and R; all columns")),
        }

    def _example(self) -> QVBoxLayout:
        self.preview = QPlainTextEdit()
        self.preview.setReadOnly(True)
        self.preview.setTabChangesFocus(True)
        self.preview.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.preview.setAccessibleName(self.tr("The first rows in this format"))
        self.preview.setPlaceholderText(self.tr("There is no row to show."))
        self.left_out = quiet()
        column = QVBoxLayout()
        style.spaced(column, 0)
        column.addWidget(strong(self.tr("The first rows")))
        column.addWidget(self.preview, 1)
        column.addWidget(self.left_out)
        return column

    def _target(self) -> QGridLayout:
        self.path = QLineEdit()
        self.path.setAccessibleName(self.tr("File to write"))
        self.path.textEdited.connect(self._name_given)
        label = line(self.tr("&File"))
        label.setBuddy(self.path)
        choose = QPushButton(self.tr("C&hoose…"))
        choose.setAutoDefault(False)
        choose.clicked.connect(self._choose)
        self.replaced = quiet()
        grid = QGridLayout()
        style.spaced(grid, 0)
        grid.addWidget(label, 0, 0)
        grid.addWidget(self.path, 0, 1)
        grid.addWidget(choose, 0, 2)
        grid.addWidget(self.replaced, 1, 1)
        grid.setColumnStretch(1, 1)
        return grid

    def _foot(self) -> QHBoxLayout:
        self.summary = plain()
        buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        buttons.rejected.connect(self.reject)
        self.button = buttons.addButton(self.tr("&Export"), QDialogButtonBox.ButtonRole.AcceptRole)
        style.set_icon(self.button, "export")
        buttons.accepted.connect(self.accept)
        row = QHBoxLayout()
        style.spaced(row, 0, style.DOUBLE)
        row.addWidget(self.summary, 1)
        row.addWidget(buttons)
        return row

    # Filling

    def _fill_runs(self) -> None:
        """Sets that were generated may be exported each by itself."""
        name = self.tr("Run {}: {} with its mixture")
        with self._session.reporting(), QSignalBlocker(self.run):
            self.run.addItem(self.tr("All"), None)
            for run in reversed(self._session.project.runs()):
                if run.request.kind in GENERATING_RUNS:
                    self.run.addItem(name.format(run.id, run_words(run.request.kind)), run.id)
        self.run.setVisible(self.run.count() > 1)

    def _fill_states(self) -> None:
        project, run = self._session.project, self.run.currentData()
        with self._session.reporting():
            self._counts = {state: project.count(ExampleFilter(state=state, run_id=run)) for state in STATES}
            self._mixed = len(mixture(project, run))
            self._reasons = project.quarantine_reasons()
            states = ("accepted", *(state for state in STATES if state != "accepted"))
            with QSignalBlocker(self.state):
                for place, state in enumerate(states):
                    if place == self.state.count():
                        self.state.addItem("", state)
                    number = self.locale().toString(self._counts[state])
                    self.state.setItemText(place, f"{state_name(state)} · {number}")

    def _restore(self) -> None:
        settings = self._session.settings
        chosen = self.formats.get(str(settings.value("export/format", "messages")), self.formats["messages"])
        chosen.setChecked(True)
        chosen.setFocus()
        self.provenance.setChecked(str(settings.value("export/provenance", "true")).lower() == "true")

    def _refresh(self) -> None:
        if not any(button.isChecked() for button in self.formats.values()) or self.state.count() == 0:
            self.button.setEnabled(False)
            return
        self.provenance.setEnabled(self.format != "csv")
        if not self._named:
            self.path.setText(str(self._default_path()))
        wish = self.wish
        text = ""
        with self._session.reporting():
            text = preview(self._session.project, wish.format, wish.state, wish.plain, ROWS, wish.run)
        self.preview.setPlainText(text.rstrip() if self._counts[wish.state] else "")
        self._shade_rows()
        self._show_left_out()
        self._show_target()

    def _shade_rows(self) -> None:
        """Every other line of the file on another ground: a row is longer than the view is wide."""
        shaded = []
        block = self.preview.document().firstBlock().next()
        while block.isValid():
            line = QTextEdit.ExtraSelection()
            line.cursor = QTextCursor(block)  # pyright: ignore[reportAttributeAccessIssue]
            line.cursor.movePosition(QTextCursor.MoveOperation.EndOfBlock, QTextCursor.MoveMode.KeepAnchor)  # pyright: ignore
            line.format.setBackground(self.palette().alternateBase())  # pyright: ignore
            line.format.setProperty(QTextFormat.Property.FullWidthSelection, True)  # pyright: ignore
            shaded.append(line)
            block = block.next().next()
        self.preview.setExtraSelections(shaded)

    def _show_left_out(self) -> None:
        count = self._counts["quarantined"]
        if self.state.currentData() == "quarantined" or not count or self.wish.run is not None:
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
        wish, count = self.wish, self._counts[self.state.currentData()]
        replaced = os.path.isfile(wish.path)  # while it is typed, it may be a place that nobody may look at
        self.replaced.setText(self.tr("This file is there already and will be replaced.") if replaced else "")
        self.replaced.setVisible(replaced)
        self.button.setEnabled(bool(count and self.path.text().strip()))
        self.summary.setText(self._promise(count))

    def _promise(self, count: int) -> str:
        """How much will be written, or what to do where that is nothing."""
        if count and self._mixed:
            number = self.locale().toString
            text = self.tr("Rows to be written: {}, {} of which are mixed in. A dataset card is put beside the file.")
            return text.format(number(count + self._mixed), number(self._mixed))
        if count:
            number = self.locale().toString(count)
            return self.tr("Rows to be written: {}. A dataset card is put beside the file.").format(number)
        if not any(self._counts.values()) and self.wish.run is None:
            return self.tr("This project has no questions yet. Ask some first, and accept the good ones.")
        if self.state.currentData() == "accepted":
            return self.tr("No question is accepted yet. Accept some with the key A, or choose others above.")
        return self.tr("No question is in this state. Choose another above.")

    def _default_path(self) -> Path:
        project = self._session.project.path
        folder = Path(str(self._session.settings.value("export/folder", "") or project.parent))
        folder = folder if os.path.isdir(folder) else project.parent
        name = project.stem if (run := self.run.currentData()) is None else f"{project.stem}-run-{run}"
        stem, suffix = f"{name}-{self.format}", ".jsonl"
        if self.format == "csv":
            stem, suffix = f"{name}-questions", ".csv"
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        return next(path for name in names if not os.path.exists(path := folder / f"{name}{suffix}"))

    # Qt's own

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "preview"):
            self._shade_rows()

    # What the user does

    def _format_toggled(self, _: object, checked: bool) -> None:
        if checked:
            self._refresh()

    def _choose_run(self) -> None:
        self._fill_states()
        self._refresh()

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
        settings.setValue("export/folder", str(wish.path.parent))
        settings.setValue("export/provenance", "false" if wish.plain else "true")
        start_export(self._session, self._jobs, wish)
        super().accept()
