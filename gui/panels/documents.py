"""The documents of the project: reading PDFs, what is known of each, its pages with the passages drawn over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QItemSelectionModel, Qt, Signal
from PySide6.QtGui import QKeySequence, QTextOption
from PySide6.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QListView,
    QPlainTextEdit,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QTabWidget,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from core.documents.records import Heading
from core.errors import UserError
from core.project.importing import add_pdf, recut_document, reread_pdf
from core.project.records import DocumentRow, ExampleFilter
from gui import style
from gui.cut_preview import CutPreview
from gui.document_list import DocumentDelegate, DocumentList
from gui.empty_page import EmptyPage
from gui.jobs import Job, Jobs
from gui.labels import plain, strong
from gui.page_view import PageView
from gui.panels.panel import Panel
from gui.pictures import Pictures
from gui.reading import Outcome, Read, Reading, ask_password
from gui.session import Session


class DocumentsPanel(Panel):
    """Documents at the left, with what is known of the current one below them; its pages at the right."""

    ask_wanted = Signal()

    glyph = "documents"

    def __init__(self, session: Session, jobs: Jobs, pictures: Pictures) -> None:
        super().__init__(session, jobs, QCoreApplication.translate("Panel", "Documents"))
        self._pictures = pictures
        self._reading = 0  # jobs that read files now
        self._shown: DocumentRow | None = None
        self._build()
        self._connect()
        self._show_project()

    def take_focus(self) -> None:
        self._list.setFocus()

    def save_state(self) -> None:
        for name, splitter in self._splitters.items():
            self.session.settings.setValue(f"documents/{name}", splitter.saveState())

    # Reading files

    def choose_files(self) -> None:
        """Asks which PDFs to read, and reads them."""
        folder = str(self.session.settings.value("documents/folder", str(self.session.project.path.parent)))
        names, _ = QFileDialog.getOpenFileNames(self, self.tr("Add PDFs"), folder, self.tr("PDF files (*.pdf)"))
        if names:
            self.session.settings.setValue("documents/folder", str(Path(names[0]).parent))
            self.add_files([Path(name) for name in names])

    def add_files(self, paths: Sequence[Path]) -> None:
        """Reads PDFs into the project, one after the other."""
        project, files = self.session.project, list(dict.fromkeys(path.resolve() for path in paths))
        if not files:
            return
        if project.read_only:
            sentence = self.tr("This project is open to be read only, so nothing was added to it.")
            self.session.error_reported.emit(UserError(sentence))
            return

        def read(job: Job, path: Path, on_page: Callable[[int, int], None]) -> DocumentRow:
            assert job.worker
            password = self.session.passwords.get(str(path))
            return add_pdf(project, job.worker, path, password, on_page=on_page, cancelled=job.cancelled)

        self._start_reading(files, read)

    def read_again(self) -> None:
        """Reads the files of the selected documents anew, in place of what was read before."""
        project = self.session.project
        ids = {Path(document.path): document.id for document in self._selected()}

        def read(job: Job, path: Path, on_page: Callable[[int, int], None]) -> DocumentRow:
            assert job.worker
            password = self.session.passwords.get(str(path))
            return reread_pdf(project, job.worker, ids[path], password, on_page, job.cancelled)

        if ids:
            self._start_reading(list(ids), read)

    def _start_reading(self, files: Sequence[Path], read: Read) -> None:
        title = self.tr("Reading {}").format(files[0].name)
        if len(files) > 1:
            title = self.tr("Reading {} files").format(len(files))
        job = self.jobs.start("documents", title, Reading(files, read))
        job.item_arrived.connect(self._conclude)
        job.ended.connect(self._end_reading)
        self._reading += 1
        self._show_emptiness()

    def _end_reading(self, _: str) -> None:
        self._reading -= 1
        self._show_emptiness()

    def _conclude(self, outcome: Outcome) -> None:
        """Says once what could not be read, selects what could, and asks for passwords."""
        if not self.session.is_open:
            return
        with self.session.reporting():
            for id in outcome.read:
                self._pictures.forget(self.session.project.document(id).path)
        if self._shown and self._shown.id in outcome.read:
            self._cutting.clear()
            self._shown = None  # it may look the same and be another
        self._refresh(select=outcome.read[:1])
        if outcome.failures:
            self.session.error_reported.emit(UserError(outcome.summary))
        unlocked = [path for path, wrong in outcome.locked.items() if self._unlock(path, wrong)]
        if unlocked and self.session.is_open:  # the window may have been closed while it asked
            self._start_reading(unlocked, outcome.again)

    # Passwords

    def ask_password(self, name: str, wrong: bool) -> str | None:
        """Asks for the password of a file; None when the user would rather not."""
        return ask_password(name, wrong, self)

    def give_password(self, path: str) -> None:
        """Asks for the password of a document whose page is to be seen."""
        if self._unlock(Path(path), wrong=path in self.session.passwords):
            self._view.retry()

    def _unlock(self, path: Path, wrong: bool) -> bool:
        """Whether a password was given; it is remembered until the window is closed."""
        self.session.passwords.pop(str(path), None)
        password = self.ask_password(path.name, wrong)
        if password:
            self.session.passwords[str(path)] = password
            self._pictures.forget(str(path))
        return bool(password)

    # Documents

    def remove(self) -> None:
        """Takes the selected documents out of the project; their files stay where they are."""
        removed: list[DocumentRow] = []
        for document in self._selected():
            with self.session.reporting():
                self.session.project.remove_document(document.id)
                removed.append(document)
        text = self.tr("{} documents were removed. Add their files again to bring them back.").format(len(removed))
        if len(removed) == 1:
            text = self.tr("“{}” was removed. Add its file again to bring it back.").format(removed[0].title)
        if removed:
            self.session.notice_given.emit(text)

    def cut_anew(self) -> None:
        """Replaces the passages of the current document by those of the preview."""
        if (document := self._shown) is None:
            return
        project, numbers = self.session.project, self._cutting.numbers

        def cut(_: Job) -> None:
            recut_document(project, document.id, *numbers)

        self.jobs.start("documents", self.tr("Cutting “{}” anew").format(document.title), cut)

    def _selected(self) -> list[DocumentRow]:
        return [self._model.documents[index.row()] for index in self._list.selectionModel().selectedRows()]

    # Showing

    def _show_project(self) -> None:
        self._cutting.clear()
        self._shown = None
        self._view.clear()
        self._refresh()

    def _refresh(self, _: object = None, select: Sequence[int] = ()) -> None:
        """Shows the documents as they are now, with the same ones selected, or those in `select`."""
        chosen, row = [document.id for document in self._selected()], self._list.currentIndex().row()
        documents: list[DocumentRow] = []
        if self.session.is_open:
            with self.session.reporting():
                documents = self.session.project.documents()
        self._model.show(documents)
        there = {document.id for document in documents}
        wanted = [id for id in select or chosen if id in there]
        if not wanted and documents:
            wanted = [documents[min(max(0, row), len(documents) - 1)].id]
        self._select(wanted)
        if select:
            self._list.scrollTo(self._list.currentIndex())
        self._show_emptiness()

    def _select(self, ids: Iterable[int]) -> None:
        rows = [row for row, document in enumerate(self._model.documents) if document.id in set(ids)]
        selection, flag = self._list.selectionModel(), QItemSelectionModel.SelectionFlag
        selection.blockSignals(True)
        selection.clear()
        for row in reversed(rows):
            selection.setCurrentIndex(self._model.index(row), flag.Select)
        selection.blockSignals(False)
        self._list.viewport().update()
        self._show_current()

    def _show_emptiness(self) -> None:
        empty = not self._model.documents
        self._pages.setCurrentIndex(1 if empty else 0)
        if self._reading:
            text = self.tr("Documents appear here as they are finished.")
            self._empty.say("documents", self.tr("Reading…"), text)
        else:
            text = self.tr("Add the PDFs that you want to ask about, or drop them anywhere on this window.")
            self._empty.say("documents", self.tr("No documents yet"), text, self._add.text(), self._add.trigger)
        self._enable()

    def _enable(self) -> None:
        writable = self.session.is_open and not self.session.project.read_only
        selected = self._selected()
        self._add.setEnabled(writable)
        self._empty.button.setEnabled(writable)
        self._remove.setEnabled(writable and bool(selected))
        self._reread.setEnabled(writable and bool(selected))
        self._ask.setEnabled(writable and any(document.passages for document in self._model.documents))
        asked = bool(self._shown) and writable and self._has_questions(self._shown)
        self._recut.setEnabled(writable and self._cutting.is_changed and not asked)
        self._cutting.show_reason(
            self.tr("Questions come from these passages: they stay as they are.") if asked else ""
        )

    def _has_questions(self, document: DocumentRow) -> bool:
        with self.session.reporting():
            return self.session.project.count(ExampleFilter(document_id=document.id)) > 0
        return True

    def _show_current(self) -> None:
        """Shows the document that was selected last, in full only when it is another one or has changed."""
        index = self._list.currentIndex()
        rows = self._list.selectionModel().selectedRows()
        index = index if index in rows or not rows else rows[0]
        document = self._model.documents[index.row()] if rows else None
        if document == self._shown:
            self._enable()
            return
        same = document and self._shown and document.id == self._shown.id
        self._shown = document
        self._details.setVisible(document is not None)
        self._cutting.clear()
        if document is None:
            self._view.clear()
        elif document.state == "failed":
            self._view.clear(self.tr("This file could not be read, so there are no pages to show."))
            self._show_details(document)
        else:
            self._show_details(document)
            self._view.show_page(document.id, self._view.number if same and self._view.number else 1)
        self._enable()

    def _show_details(self, document: DocumentRow) -> None:
        self._heading.setText(document.title)
        self._reason.setText(document.reason)
        self._reason.setVisible(bool(document.reason))
        self._retry.setVisible(document.state == "failed")
        self._tabs.setVisible(document.state == "ready")
        self._warnings.setPlainText("\n\n".join(document.warnings))
        self._tabs.setTabVisible(2, bool(document.warnings))
        self._tabs.setTabText(2, self.tr("Warnings ({})").format(len(document.warnings)))
        self._about.setPlainText(self._model.about(document))
        if document.state != "ready":
            return
        project = self.session.project
        with self.session.reporting():
            self._cutting.show_document(document)
            self._fill_outline(project.document_outline(document.id), project.page_labels(document.id))

    def _fill_outline(self, outline: Sequence[Heading], labels: Sequence[str]) -> None:
        self._outline.clear()
        parents: list[QTreeWidgetItem] = []
        top: list[QTreeWidgetItem] = []
        for heading in outline:
            label = labels[heading.page - 1] if heading.page <= len(labels) else str(heading.page)
            item = QTreeWidgetItem([heading.title, label])
            item.setData(0, Qt.ItemDataRole.UserRole, heading)
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            del parents[heading.level :]
            if parents:
                parents[-1].addChild(item)
            else:
                top.append(item)
            parents.append(item)
        self._outline.addTopLevelItems(top)
        self._tabs.setTabVisible(1, bool(outline))

    def _go_to_heading(self, item: QTreeWidgetItem) -> None:
        heading: Heading = item.data(0, Qt.ItemDataRole.UserRole)
        if self._shown:
            self._view.show_page(self._shown.id, heading.page, heading.top or 0.0)

    # Building

    def _build(self) -> None:
        self._build_actions()
        self._model = DocumentList(self)
        self._cutting = CutPreview(self.session, self._recut)
        self._view = PageView(self.session, self._pictures, self._cutting.marks)
        left = QSplitter(Qt.Orientation.Vertical)
        left.addWidget(self._build_list())
        left.addWidget(self._build_details())
        left.setChildrenCollapsible(False)
        across = QSplitter(Qt.Orientation.Horizontal)
        across.addWidget(left)
        across.addWidget(self._view)
        across.setChildrenCollapsible(False)
        left.setSizes([420, 300])
        across.setSizes([380, 700])
        across.setStretchFactor(1, 1)
        self._splitters = {"across": across, "left": left}
        for name, splitter in self._splitters.items():
            if state := self.session.settings.value(f"documents/{name}"):
                splitter.restoreState(state)  # pyright: ignore[reportArgumentType]
        self._pages = QStackedWidget()
        self._pages.addWidget(across)
        self._empty = EmptyPage()
        self._pages.addWidget(self._empty)
        column = QVBoxLayout(self)
        style.spaced(column, 0, 0)
        column.addWidget(self._pages)

    def _build_actions(self) -> None:
        self._add = self.add_action(self.tr("Add PDFs…"), self.choose_files, None, "add")
        self._add.setIconText(self._add.text())
        self._reread = self.add_action(self.tr("Read again"), self.read_again, "F5", "again")
        self._remove = self.add_action(
            self.tr("Remove"), self.remove, QKeySequence(QKeySequence.StandardKey.Delete), "remove"
        )
        self._recut = self.add_action(self.tr("Cut anew"), self.cut_anew, None)
        self._ask = self.add_action(self.tr("Ask questions…"), self.ask_wanted.emit, None, "run")

    def _build_list(self) -> QWidget:
        bar = QHBoxLayout()
        style.spaced(bar, style.HALF, style.HALF)
        for action in (self._add, self._reread, self._remove):
            button = QToolButton(autoRaise=True)
            button.setDefaultAction(action)
            if action is self._add:
                button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            button.setAccessibleName(action.text())
            button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
            bar.addWidget(button)
        bar.addStretch(1)
        ask = QPushButton(self._ask.text())
        style.set_icon(ask, "run")
        ask.clicked.connect(self._ask.trigger)
        self._ask.enabledChanged.connect(ask.setEnabled)
        bar.addWidget(ask)
        self._list = QListView()
        self._list.setModel(self._model)
        self._list.setItemDelegate(DocumentDelegate(self._list))
        self._list.setAccessibleName(self.tr("Documents"))
        self._list.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self._list.setFrameShape(QListView.Shape.NoFrame)
        self._list.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self._list.setUniformItemSizes(True)
        self._list.addAction(self._remove)
        self._remove.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)  # not beside a text or a page that is read
        whole = QWidget()
        column = QVBoxLayout(whole)
        style.spaced(column, 0, 0)
        column.addLayout(bar)
        column.addWidget(self._list, 1)
        return whole

    def _build_details(self) -> QWidget:
        self._details = QWidget()
        self._heading, self._reason = strong(selectable=True), plain(selectable=True)
        self._heading.setAccessibleName(self.tr("Title"))
        self._reason.setAccessibleName(self.tr("Why it could not be read"))
        self._tabs = QTabWidget()
        self._tabs.setAccessibleName(self.tr("About the document"))
        self._tabs.tabBar().setAccessibleName(self.tr("About the document"))
        self._tabs.setDocumentMode(True)
        self._tabs.addTab(self._cutting, self.tr("Passages"))
        self._outline = QTreeWidget()
        self._outline.setAccessibleName(self.tr("Outline"))
        self._outline.setHeaderHidden(True)
        self._outline.setColumnCount(2)
        self._outline.setUniformRowHeights(True)
        self._outline.setFrameShape(QTreeWidget.Shape.NoFrame)
        header = self._outline.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        self._tabs.addTab(self._outline, self.tr("Outline"))
        self._warnings, self._about = _read_only(self.tr("Warnings")), _read_only(self.tr("About this document"))
        self._tabs.addTab(self._warnings, self.tr("Warnings"))
        self._tabs.addTab(self._about, self.tr("About"))
        self._retry = QPushButton(self._reread.text())
        self._retry.clicked.connect(self._reread.trigger)
        self._reread.enabledChanged.connect(self._retry.setEnabled)
        column = QVBoxLayout(self._details)
        style.spaced(column, style.SPACE, style.SPACE)
        column.addWidget(self._heading)
        column.addWidget(self._reason)
        column.addWidget(self._retry, 0, Qt.AlignmentFlag.AlignLeft)
        column.addWidget(self._tabs, 1)
        column.addStretch(0)
        return self._details

    def _connect(self) -> None:
        self.session.project_opened.connect(self._show_project)
        self.session.project_closed.connect(self._show_project)
        self.session.documents_changed.connect(self._refresh)
        self._list.selectionModel().selectionChanged.connect(self._show_current)
        self._list.selectionModel().currentChanged.connect(self._show_current)
        self._outline.itemClicked.connect(self._go_to_heading)
        self._outline.itemActivated.connect(self._go_to_heading)
        self._cutting.numbers_changed.connect(self._enable)
        self._cutting.marks_changed.connect(self._view.refresh_marks)
        self._view.password_wanted.connect(self.give_password)


def _read_only(name: str) -> QPlainTextEdit:
    """Text to be read and copied, broken anywhere: a path may be one long word."""
    text = QPlainTextEdit()
    text.setReadOnly(True)
    text.setAccessibleName(name)
    text.setFrameShape(QPlainTextEdit.Shape.NoFrame)
    text.setTabChangesFocus(True)
    text.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
    return text
