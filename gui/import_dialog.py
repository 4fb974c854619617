"""Imports rows of a file as examples: what it seems to be, which column is what, and the first rows as they will be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.errors import UserError
from core.exchange.formats import KEY
from core.exchange.importing import open_table, preview
from core.exchange.mapping import Mapping, guess
from core.project.project import Project
from core.tables import Table
from gui import style
from gui.empty_page import EmptyPage
from gui.import_check import Check, Checked
from gui.import_fields import ImportFields
from gui.import_preview import ImportPreview, Made
from gui.import_verdict import ImportVerdict
from gui.importing import Wish, start_import
from gui.jobs import Jobs
from gui.labels import plain, quiet, strong, tint
from gui.reckoner import Reckoner
from gui.session import Session
from gui.words import state_name

ASKED, ANSWERED = ("question", "conversation"), ("answer", "worked", "conversation")  # columns, one of each is needed
STATES = ("draft", "accepted")  # into which rows are imported
SHOWN = 50  # rows in the preview


@dataclass(frozen=True)
class Opened:
    """The beginning of a file, and what it seems to be."""

    table: Table
    mapping: Mapping | None


class ImportDialog(QDialog):
    """What it begins goes on in the background when it has closed."""

    def __init__(self, session: Session, jobs: Jobs, parent: QWidget | None, path: Path | None = None) -> None:
        super().__init__(parent)
        self._session, self._jobs = session, jobs
        self._table: Table | None = None
        self._check: Check | None = None  # that goes through the file
        self._is_checked = False  # whether it has come to its end
        self._past: list[Check] = []  # so that none is destroyed while its thread still runs
        self._meaning = "quiet"  # the colour of what is said of the file
        self._reckoner = Reckoner(session)
        self.setWindowTitle(self.tr("Import rows"))
        self.setAcceptDrops(True)
        self._build()
        self._connect()
        self._ask_for_file()
        self.resize(1000, 680)
        if path is not None:
            self.open(path)

    @property
    def idle(self) -> bool:
        """Whether all that is to be seen is read."""
        return self._reckoner.idle and (self._check is None or self._is_checked)

    # Building

    def _build(self) -> None:
        self.empty = EmptyPage()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self._page())
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addWidget(self.pages, 1)
        column.addLayout(self._foot())

    def _page(self) -> QWidget:
        body = QHBoxLayout()
        style.spaced(body, 0, style.WIDE)
        body.addLayout(self._choices())
        body.addLayout(self._rows(), 1)
        page = QWidget()
        column = QVBoxLayout(page)
        style.spaced(column, 0, style.DOUBLE)
        column.addLayout(self._file())
        column.addLayout(body, 1)
        return page

    def _file(self) -> QHBoxLayout:
        self.file, self.found = strong(), plain()
        self.found.setAccessibleName(self.tr("What the file is"))
        names = QVBoxLayout()
        style.spaced(names, 0, style.HALF)
        names.addWidget(self.file)
        names.addWidget(self.found)
        self._choose_button = QPushButton(self.tr("C&hoose another…"))
        self._choose_button.setAutoDefault(False)
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addLayout(names, 1)
        row.addWidget(self._choose_button, 0, Qt.AlignmentFlag.AlignTop)
        return row

    def _choices(self) -> QVBoxLayout:
        self.fields, self.state = ImportFields(), QComboBox()
        for state in STATES:
            self.state.addItem(state_name(state), state)
        self.state.setAccessibleName(self.tr("Import as"))
        column = QVBoxLayout()
        style.spaced(column, 0, style.HALF)
        column.addWidget(strong(self.tr("Which column is what")))
        column.addWidget(self.fields)
        column.addSpacing(style.SPACE)
        column.addWidget(strong(self.tr("Import as")))
        column.addWidget(self.state)
        column.addWidget(quiet(self.tr("Drafts are to be reviewed; accepted rows may be tuned on at once.")))
        column.addStretch(1)
        return column

    def _rows(self) -> QVBoxLayout:
        self.preview, self.head = ImportPreview(), strong()
        column = QVBoxLayout()
        style.spaced(column, 0)
        column.addWidget(self.head)
        column.addWidget(self.preview, 1)
        return column

    def _foot(self) -> QHBoxLayout:
        self.verdict = ImportVerdict()
        self._buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        self._buttons.button(QDialogButtonBox.StandardButton.Cancel).setAutoDefault(False)
        self.button = self._buttons.addButton(self.tr("&Import"), QDialogButtonBox.ButtonRole.AcceptRole)
        style.set_icon(self.button, "import")
        self.button.setDefault(True)
        row = QHBoxLayout()
        style.spaced(row, 0, style.DOUBLE)
        row.addWidget(self.verdict, 1)
        row.addWidget(self._buttons, 0, Qt.AlignmentFlag.AlignBottom)
        return row

    def _connect(self) -> None:
        self._buttons.accepted.connect(self.accept)
        self._buttons.rejected.connect(self.reject)
        self._choose_button.clicked.connect(self._choose_file)
        self.fields.changed.connect(self._look)
        self.verdict.changed.connect(lambda: self.button.setEnabled(self.verdict.fits))
        self._reckoner.reckoned.connect(self._take)

    # The file

    def open(self, path: Path) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Reads the beginning of a file that the user chose, in a thread."""
        self._show_empty("documents", self.tr("Reading…"), path.name)
        self._reckoner.forget()
        self._reckoner.want("opened", partial(_opened, path))

    def _ask_for_file(self) -> None:
        text = self.tr("JSON lines, JSON, CSV, TSV or Parquet; or drop it here.")
        self._show_empty("import", self.tr("Choose a file of questions and answers"), text, self.tr("C&hoose…"))

    def _show_empty(self, glyph: str, head: str, text: str, button: str = "") -> None:
        """Says what there is to do before anything can be chosen."""
        self._stop_check()
        self._table = None
        self._said = (glyph, head, text, button)
        self.empty.say(glyph, head, text, button, self._choose_file if button else None)
        self.pages.setCurrentWidget(self.empty)
        self.empty.setFocus()
        self.verdict.show_wait()

    def _take(self, key: object, made: object) -> None:
        if key == "opened" and isinstance(made, UserError):
            words = self.tr("This file cannot be imported"), str(made), self.tr("C&hoose another…")
            self._show_empty("warning", *words)
        elif isinstance(made, Opened):
            self._show_file(made)
        elif isinstance(made, UserError):
            self._count(self._check, Checked(over=True, problem=str(made)))
        elif isinstance(made, list):
            self.preview.show_rows(made)

    def _show_file(self, opened: Opened) -> None:
        self._table, mapping = opened.table, opened.mapping
        self.file.setText(opened.table.path.name)
        self._meaning = "good" if mapping else "quiet"
        self.found.setText(
            self.tr("✓ Recognised: {}.").format(self._shape(opened))
            if mapping
            else self.tr("Not a shape that is known: say which column is the question, and which the answer.")
        )
        tint(self.found, self._meaning)
        self.fields.show_columns(opened.table.columns, mapping)
        self.pages.setCurrentIndex(1)
        self.fields.boxes["question"].setFocus()
        self.button.setDefault(True)  # which the button of the empty page took over
        self._look()

    def _shape(self, opened: Opened) -> str:
        fields = opened.mapping.fields if opened.mapping else {}
        if "worked" in fields:
            words = self.tr("worked solutions, as in GSM8K")
        elif "rejected" in fields and "kind" not in fields:
            words = self.tr("preference pairs")
        elif "conversation" in fields:
            words = self.tr("conversations")
        elif fields.get("question") == "instruction":
            words = self.tr("instructions and outputs")
        else:
            words = self.tr("questions and answers")
        return self.tr("{}, exported by Elenchus").format(words) if KEY in opened.table.columns else words

    # The rows

    def _look(self) -> None:
        """Shows the first rows as they are chosen now, and goes through all of them."""
        self._stop_check()
        table, mapping = self._table, self.fields.mapping
        if table is None:
            return
        lacking = self._lacking(mapping)
        as_is, as_made = self.tr("The first row of the file"), self.tr("The first rows, as they will be")
        self.head.setText(as_is if lacking else as_made)
        self.verdict.show_wait(lacking)
        if lacking:
            self.preview.show_cells(table.rows[0])
            return
        self._reckoner.want("rows", partial(_previewed, self._session.project, table, mapping))
        self._check = Check(self._session.project, table.path, mapping)
        self._check.found.connect(self._count)
        self._check.start()

    def _lacking(self, mapping: Mapping) -> str:
        """What is still to be said before a row can be read."""
        if not any(name in mapping.fields for name in ASKED):
            return self.tr("Choose the column of the question, or of a whole conversation.")
        if not any(name in mapping.fields for name in ANSWERED):
            return self.tr("Choose the column of the answer.")
        return ""

    def _stop_check(self) -> None:
        if self._check is not None:
            self._check.abandon()
            self._past = [check for check in (*self._past, self._check) if check.alive]
        self._check, self._is_checked = None, False

    def _count(self, check: Check | None, checked: Checked) -> None:
        if check is self._check:
            self._is_checked = checked.over
            self.verdict.show_checked(checked)

    # What the user does

    def _choose_file(self) -> None:
        folder = str(self._session.settings.value("import/folder", ""))
        filter = self.tr("Tables (*.jsonl *.ndjson *.json *.csv *.tsv *.parquet *.txt);;All files (*)")
        name, _ = QFileDialog.getOpenFileName(self, self.tr("Choose a file of questions and answers"), folder, filter)
        if name:
            self._session.settings.setValue("import/folder", str(Path(name).parent))
            self.open(Path(name))

    def accept(self) -> None:
        """Begins the import and closes."""
        if self._table is None or not self.button.isEnabled():
            return
        wish = Wish(self._table.path, self.fields.mapping, self.state.currentData(), self.verdict.skip.isChecked())
        start_import(self._session, self._jobs, wish)
        super().accept()

    # Qt's own

    def done(self, result: int) -> None:
        self._stop_check()
        for check in self._past:
            check.stop()
        self._reckoner.stop()
        super().done(result)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_said"):
            self.empty.say(*self._said, self._choose_file if self._said[-1] else None)
            tint(self.found, self._meaning)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if len(event.mimeData().urls()) == 1 and event.mimeData().urls()[0].isLocalFile():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.open(Path(event.mimeData().urls()[0].toLocalFile()))


def _opened(path: Path) -> Opened | UserError:
    """In a thread of its own."""
    try:
        table = open_table(path)
        return Opened(table, guess(table))
    except UserError as error:
        return error


def _previewed(project: Project, table: Table, mapping: Mapping) -> list[Made] | UserError:
    """In a thread of its own."""
    try:
        return preview(table, mapping, SHOWN, project)
    except UserError as error:
        return error
