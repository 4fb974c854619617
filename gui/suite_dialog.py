"""Imports a probe suite: the file, what it seems to be, which column is what, and how it will be asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QTextCursor
from PySide6.QtWidgets import (
    QButtonGroup,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QStackedWidget,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from core.errors import UserError
from core.project.probes import Question
from core.sycophancy import scripts
from core.sycophancy.importing import BETWEEN, ROLES, SEVERAL, Guess, Made, make_questions, make_suite, preview
from core.sycophancy.suites import names
from core.sycophancy.wordings import LETTERS, fill, load_wordings
from core.tables import Table
from gui import style
from gui.background import Background
from gui.empty_page import EmptyPage
from gui.labels import line, plain, quiet, strong, tint
from gui.session import Session

SHOWN = 3  # questions in the preview
TOLD = 3  # rows whose faults are told


class SuiteDialog(QDialog):
    """Keeps the suite in the project when it is accepted."""

    suite_imported = Signal(str)  # its name

    def __init__(self, session: Session, parent: QWidget | None, path: Path | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._taken = names(session.project)
        self._words = load_wordings("en")
        self._table: Table | None = None
        self._made: Made | None = None
        self._meaning = "quiet"  # the colour of what is said of the file
        self._named = False  # whether the user has chosen the suite's name
        self._work: _Work | None = None  # what a thread does now
        self._next: _Work | None = None  # what it does then
        self.setWindowTitle(self.tr("Import a suite"))
        self.setAcceptDrops(True)
        self._build()
        self._ask_for_file()
        self.resize(980, 680)
        if path is not None:
            self.open(path)

    @property
    def protocol(self) -> str:
        """How the questions will be asked, as `core.project.probes` names it."""
        return next(name for name, button in self.protocols.items() if button.isChecked())

    @property
    def mapping(self) -> dict[str, str]:
        """Role → column, as `core.sycophancy.importing` takes it."""
        other = "right" if self.protocol == "preference" else "matching"
        chosen = {role: self.roles[role].currentText().strip() for role in ROLES}
        return {role: column for role, column in chosen.items() if column and role != other}

    # Building

    def _build(self) -> None:
        self.empty = EmptyPage()
        self.pages = QStackedWidget()
        self.pages.addWidget(self.empty)
        self.pages.addWidget(self._build_page())
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE, style.DOUBLE)
        column.addWidget(self.pages, 1)
        column.addLayout(self._build_foot())

    def _build_page(self) -> QWidget:
        body = QHBoxLayout()
        style.spaced(body, 0, style.WIDE)
        body.addLayout(self._build_choices())
        body.addLayout(self._build_preview(), 1)
        page = QWidget()
        column = QVBoxLayout(page)
        style.spaced(column, 0, style.DOUBLE)
        column.addLayout(self._build_file())
        column.addLayout(body, 1)
        column.addLayout(self._build_name())
        return page

    def _build_file(self) -> QHBoxLayout:
        self.file = strong()
        self.found = plain()
        self.found.setAccessibleName(self.tr("What the file is"))
        names = QVBoxLayout()
        style.spaced(names, 0, style.HALF)
        names.addWidget(self.file)
        names.addWidget(self.found)
        self.choose = QPushButton(self.tr("&Choose another…"))
        self.choose.setAutoDefault(False)
        self.choose.clicked.connect(self._choose_file)
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addLayout(names, 1)
        row.addWidget(self.choose, 0, Qt.AlignmentFlag.AlignTop)
        return row

    def _build_choices(self) -> QVBoxLayout:
        column = QVBoxLayout()
        style.spaced(column, 0, style.HALF)
        column.addWidget(strong(self.tr("Which column is what")))
        column.addLayout(self._build_roles())
        column.addSpacing(style.SPACE)
        column.addWidget(strong(self.tr("How it is asked")))
        self.protocols: dict[str, QRadioButton] = {}
        group = QButtonGroup(self)
        for name, (title, meaning) in self._protocol_words().items():
            self.protocols[name] = button = QRadioButton(title)
            button.setAccessibleDescription(meaning)
            group.addButton(button)
            column.addWidget(button)
            told = quiet(meaning)
            told.setContentsMargins(style.WIDE, 0, 0, style.HALF)
            column.addWidget(told)
        self.protocols["branches"].setChecked(True)
        self._show_roles()
        group.buttonToggled.connect(self._protocol_toggled)
        column.addStretch(1)
        return column

    def _build_roles(self) -> QFormLayout:
        self._form = form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.setHorizontalSpacing(style.DOUBLE)
        form.setVerticalSpacing(style.HALF)
        self.roles: dict[str, QComboBox] = {}
        for role, (label, meaning) in self._role_words().items():
            self.roles[role] = box = QComboBox()
            box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
            box.setMinimumContentsLength(26)
            box.setAccessibleName(label.replace("&", ""))
            box.setToolTip(meaning)
            if role in SEVERAL:
                box.setEditable(True)
                box.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
            box.currentTextChanged.connect(self._make)
            form.addRow(label, box)
        return form

    def _build_preview(self) -> QVBoxLayout:
        self.preview = QPlainTextEdit()
        self.preview.setReadOnly(True)
        self.preview.setTabChangesFocus(True)
        self.preview.setAccessibleName(self.tr("The first questions as they will be asked"))
        column = QVBoxLayout()
        style.spaced(column, 0)
        column.addWidget(strong(self.tr("The first questions, as they will be asked")))
        column.addWidget(self.preview, 1)
        return column

    def _build_name(self) -> QVBoxLayout:
        self.name = QLineEdit()
        self.name.textEdited.connect(self._name_given)
        self.name.textChanged.connect(self._judge)
        label = line(self.tr("&Name"))
        label.setBuddy(self.name)
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addWidget(label)
        row.addWidget(self.name, 1)
        self.faults = plain(selectable=True)
        self.skip = QCheckBox()
        self.skip.toggled.connect(self._judge)
        column = QVBoxLayout()
        style.spaced(column, 0)
        for widget in (self.faults, self.skip):
            column.addWidget(widget)
        column.insertLayout(0, row)
        return column

    def _build_foot(self) -> QHBoxLayout:
        self.sum = plain()
        self.sum.setAccessibleName(self.tr("What will be imported"))
        buttons = style.button_box(QDialogButtonBox.StandardButton.Cancel)
        buttons.button(QDialogButtonBox.StandardButton.Cancel).setAutoDefault(False)
        self.button = buttons.addButton(self.tr("&Import"), QDialogButtonBox.ButtonRole.AcceptRole)
        style.set_icon(self.button, "add")
        self.button.setDefault(True)
        buttons.accepted.connect(self.accept)
        buttons.rejected.connect(self.reject)
        row = QHBoxLayout()
        style.spaced(row, 0, style.DOUBLE)
        row.addWidget(self.sum, 1)
        row.addWidget(buttons)
        return row

    def _role_words(self) -> dict[str, tuple[str, str]]:
        several = self.tr("Several columns can be typed, with | between them.")
        return {
            "question": (self.tr("&Question"), ""),
            "options": (self.tr("&Options"), self.tr("One column, or one for each option.") + " " + several),
            "right": (self.tr("&Right answer"), self.tr("An option's text, its letter or its place")),
            "wrong": (self.tr("Ot&her answers"), self.tr("Where no column has all options.") + " " + several),
            "matching": (self.tr("&Shows the behaviour"), self.tr("The option that the set asks about")),
            "id": (self.tr("I&d"), self.tr("Unique in the file; without one, rows are counted")),
            "stem": (
                self.tr("&Group"),
                self.tr("The same for questions that are one but for wording or numbers: they count as one"),
            ),
            "domain": (self.tr("Do&main"), self.tr("The field that a question is of")),
        }

    def _protocol_words(self) -> dict[str, tuple[str, str]]:
        return {
            "branches": (
                self.tr("&Four branches"),
                self.tr("The question; then doubt, an authority, a wrong and the right suggestion."),
            ),
            "sure": (self.tr("&Are you sure?"), self.tr("The question, “Are you sure?”, and the final answer.")),
            "turns": (self.tr("&Turn of flip"), self.tr("Five turns, with ever more pressure for a wrong answer.")),
            "claims": (self.tr("C&laims"), self.tr("Right and wrong answers as claims, with and without an opinion.")),
            "preference": (self.tr("&Preference"), self.tr("Two options in both orders; one shows the behaviour.")),
        }

    # The file

    def open(self, path: Path) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Reads a file that the user chose, in a thread: a large one takes a while."""
        self._show_empty("documents", self.tr("Reading…"), path.name)
        self._begin(lambda: preview(path), self._take_file)

    def _ask_for_file(self) -> None:
        text = self.tr("CSV, TSV, JSON or JSON lines; or drop it here.")
        self._show_empty("questions", self.tr("Choose a file of questions"), text, self.tr("&Choose…"))

    def _show_empty(self, glyph: str, head: str, text: str, button: str = "") -> None:
        """Says what there is to do before anything can be chosen."""
        self._table = self._made = None
        self._said = (glyph, head, text, button)
        self.empty.say(glyph, head, text, button, self._choose_file if button else None)
        self.pages.setCurrentWidget(self.empty)
        self.empty.setFocus()
        self._judge()

    def _tell(self, words: str, meaning: str) -> None:
        """What the file is."""
        self._meaning = meaning
        self.found.setText(words)
        tint(self.found, meaning)

    def _take_file(self, read: tuple[Table, Guess | None]) -> None:
        self._table, guess = read
        count = self.locale().toString(len(self._table.rows))
        if guess is not None and guess.name:
            self._tell(self.tr("✓ Recognised: {}. Rows: {}.").format(guess.name, count), "good")
        else:
            self._tell(self.tr("Not a set that is known: say which column is what. Rows: {}.").format(count), "quiet")
        self._fill_roles(self._table, guess.mapping if guess else {})
        self.protocols[guess.protocol if guess else "branches"].setChecked(True)
        if not self._named:
            known = guess.name if guess is not None and guess.name != "Two-option set" else ""
            self.name.setText(known or self._table.path.stem)
        self.file.setText(self._table.path.name)
        self.pages.setCurrentIndex(1)
        self.roles["question"].setFocus()
        self.button.setDefault(True)  # which the button of the empty page took over
        self._make()

    def _fill_roles(self, table: Table, mapping: dict[str, str]) -> None:
        for role, box in self.roles.items():
            chosen = mapping.get(role, "")
            with QSignalBlocker(box):
                box.clear()
                box.addItems(["", *([chosen] if BETWEEN in chosen else []), *table.columns])
                box.setCurrentIndex(box.findText(chosen))

    # The questions

    def _protocol_toggled(self, _: object, checked: bool) -> None:
        if checked:
            self._show_roles()
            self._make()

    def _show_roles(self) -> None:
        """Those that the protocol knows: a preference has no right answer."""
        preference = self.protocol == "preference"
        self._form.setRowVisible(self.roles["right"], not preference)
        self._form.setRowVisible(self.roles["matching"], preference)

    def _make(self) -> None:
        """Makes the questions anew from what is chosen, in a thread."""
        table, protocol, mapping = self._table, self.protocol, self.mapping
        if table is not None:
            self._made = None
            self.button.setEnabled(False)
            self._begin(lambda: make_questions(table, protocol, mapping), self._take_questions)

    def _take_questions(self, made: Made) -> None:
        self._made = made
        self._show_questions(made.questions[:SHOWN])
        self.skip.setChecked(False)
        self._judge()

    def _show_questions(self, questions: tuple[Question, ...]) -> None:
        texts = [self._as_asked(question) for question in questions]
        self.preview.setPlainText("\n\n———\n\n".join(texts))
        self._tint_marks()

    def _as_asked(self, question: Question) -> str:
        """The first turn that a model will read, with the mark of the answer in it."""
        words = self._words
        turn = scripts.asked_by(self.protocol, words, Random(question.id), question).arms[0].turns[0]
        if turn.right is None:
            return turn.text
        option = fill(words.option, letter=LETTERS[turn.right], text=turn.options[turn.right])
        before, found, after = turn.text.rpartition(option)
        return f"{before}{found}   {self._mark()}{after}"

    def _mark(self) -> str:
        return self.tr("✓ shows the behaviour") if self.protocol == "preference" else self.tr("✓ right")

    def _tint_marks(self) -> None:
        """The marks in colour too."""
        marks = []
        cursor = self.preview.document().find(self._mark())
        while not cursor.isNull():
            mark = QTextEdit.ExtraSelection()
            mark.cursor = QTextCursor(cursor)  # pyright: ignore[reportAttributeAccessIssue]
            mark.format.setForeground(style.colour("good"))  # pyright: ignore
            marks.append(mark)
            cursor = self.preview.document().find(self._mark(), cursor)
        self.preview.setExtraSelections(marks)

    # What will come of it

    def _judge(self) -> None:
        """Says what would be imported, or what is in the way."""
        made, table = self._made, self._table
        faults = made.faults if made else ()
        number = self.locale().toString
        self.faults.setVisible(bool(faults))
        self.skip.setVisible(bool(faults and made and made.questions))
        one = len(faults) == 1
        rows = (
            self.tr("Leave o&ut 1 row that cannot be used")
            if one
            else self.tr("Leave o&ut {} rows that cannot be used")
        )
        self.skip.setText(rows.format(number(len(faults))))
        told = [str(fault) for fault in faults[:TOLD]]
        more = [self.tr("… and {} more").format(number(len(faults) - TOLD))] if len(faults) > TOLD else []
        self.faults.setText("\n".join(told + more))
        problem = ""
        if made is None or table is None:
            words = ""
        elif not made.questions:
            words = problem = self.tr("No row can be used. Is each column what you said it is?")
        elif faults and not self.skip.isChecked():
            words = problem = self.tr("Some rows cannot be used. Leave them out, or choose other columns.")
        elif not self.name.text().strip():
            words = problem = self.tr("Give the suite a name.")
        elif " ".join(self.name.text().split()) in self._taken:
            words = problem = self.tr("There is a suite of this name already. Choose another one.")
        else:
            words = self.tr("Questions to be imported: {}.").format(number(len(made.questions)))
        self._say(words, bool(problem))
        self.button.setEnabled(bool(words) and not problem)

    def _say(self, words: str, is_problem: bool) -> None:
        self._problem = is_problem
        self.sum.setText(words)
        tint(self.sum, "warning" if is_problem else "quiet")

    def _refuse(self, error: UserError) -> None:
        """Nothing can be imported as it is chosen now."""
        if self._table is None:
            self._show_empty(
                "warning", self.tr("This file cannot be imported"), str(error), self.tr("&Choose another…")
            )
        else:
            self.preview.clear()
            self._judge()
            self._say(str(error), is_problem=True)

    # What the user does

    def _name_given(self) -> None:
        self._named = bool(self.name.text().strip())

    def _choose_file(self) -> None:
        folder = str(self._session.settings.value("suites/folder", ""))
        filter = self.tr("Tables (*.csv *.tsv *.json *.jsonl *.ndjson *.txt);;All files (*)")
        name, _ = QFileDialog.getOpenFileName(self, self.tr("Choose a file of questions"), folder, filter)
        if name:
            self._session.settings.setValue("suites/folder", str(Path(name).parent))
            self.open(Path(name))

    def accept(self) -> None:
        """Keeps the suite; the dialog stays where that cannot be done."""
        if self._table is None or self._made is None:
            return
        try:
            suite = make_suite(
                self._table, self.name.text(), self.protocol, self.mapping, self._made, self.skip.isChecked()
            )
            self._session.project.add_suite(suite)
        except UserError as error:
            self._say(str(error), is_problem=True)
            return
        self.suite_imported.emit(suite.name)
        super().accept()

    # Threads

    def _begin(self, work: Callable[[], object], take: Callable[..., None]) -> None:
        """Has something done in a thread, after what is done there now; what is wanted later takes its place."""
        self._next = _Work(work, take)
        self._next.ended.connect(self._end)
        if self._work is None:
            self._go_on()

    def _go_on(self) -> None:
        self._work, self._next = self._next, None
        if self._work is not None:
            self._work.start()

    def _end(self, work: _Work, result: object) -> None:
        work.stop()  # its thread is over but for a moment
        wanted = self._next is None
        self._go_on()
        if not wanted:
            return
        if isinstance(result, UserError):
            self._refuse(result)
        elif isinstance(result, Exception):
            raise result  # a bug: the window tells of it
        else:
            work.take(result)

    # Qt's own

    def done(self, result: int) -> None:
        self._next = None
        if self._work is not None:
            self._work.stop()
        super().done(result)

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_problem"):
            self.empty.say(*self._said, self._choose_file if self._said[-1] else None)
            tint(self.found, self._meaning)
            tint(self.sum, "warning" if self._problem else "quiet")
            self._tint_marks()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if len(event.mimeData().urls()) == 1 and event.mimeData().urls()[0].isLocalFile():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        self.open(Path(event.mimeData().urls()[0].toLocalFile()))


class _Work(Background):
    """One piece of work in a thread."""

    ended = Signal(QObject, object)  # itself, and what came of it

    def __init__(self, work: Callable[[], object], take: Callable[..., None]) -> None:
        super().__init__("suite")
        self.take, self._work = take, work

    def _run(self) -> None:
        try:
            result = self._work()
        except Exception as error:
            result = error
        if not self._stopped:
            self.ended.emit(self, result)
