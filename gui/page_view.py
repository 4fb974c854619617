"""Shows a page of a document under a tool bar: turning, zooming, its picture, and why there may be none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from PySide6.QtCore import QEvent, Qt, QTimer, Signal
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.documents.picture import NEEDS_PASSWORD
from core.documents.records import Page
from core.errors import UserError
from core.project.records import DocumentRow
from gui import style
from gui.labels import line, plain, quiet
from gui.page_canvas import Mark, PageCanvas
from gui.pictures import Pictures, Wanted
from gui.session import Session

SMALLEST, LARGEST = 0.25, 6.0  # logical pixels a point
ZOOM_STEP = 1.2
SCALE_STEP = 32  # scales are multiples of 1/32 device pixel a point, so that the same pictures are asked for again
REVEALED = ("citation", "evidence")  # meanings of what is scrolled to: the first that there is
SETTLE = 60  # milliseconds that the size must stay before a picture is asked for


class PageView(QWidget):
    """One page of a document under a slim tool bar. `marks(document_id, page)` gives what to draw over each page."""

    page_changed = Signal(int)  # the number (from 1) of the page that is shown
    password_wanted = Signal(str)  # the path of the document

    def __init__(
        self,
        session: Session,
        pictures: Pictures,
        marks: Callable[[int, Page], Sequence[Mark]] | None = None,
        canvas: PageCanvas | None = None,
    ) -> None:
        super().__init__()
        self._canvas = canvas or PageCanvas()
        self._session, self._pictures, self._marks = session, pictures, marks
        self._document: DocumentRow | None = None
        self._page: Page | None = None
        self._fits = True
        self._troubles: dict[str, str] = {}  # path → why its pages can't be drawn
        self._build()
        self._connect()
        self.clear()

    # What it shows

    @property
    def number(self) -> int:
        """The number (from 1) of the page that is shown; 0 when none is."""
        return self._page.number if self._page else 0

    @property
    def scale(self) -> float:
        """Logical pixels a point."""
        return self._canvas.scale

    def show_page(self, document_id: int, number: int, top: float | None = None) -> None:
        """Shows a page from its start, or from `top` points below it; a page that is there already stays in place."""
        before = (self._document.id, self.number) if self._document else None
        try:
            document = self._session.project.document(document_id)
            page = self._session.project.page(document_id, number)
        except UserError as error:
            self.clear(str(error))
            return
        self._document, self._page = document, page
        self._canvas.show_page(page, self._marks(document_id, page) if self._marks else ())
        self._sentence.hide()
        self._canvas.show()
        self._bar.setEnabled(True)
        self._fill_bar()
        self._zoom_to_fit()
        if before != (document_id, number) or top is not None:
            self._canvas.scroll_to(top or 0.0)
        self._ask_picture()
        if before != (document_id, number):
            self.page_changed.emit(number)

    def clear(self, sentence: str = "") -> None:
        """Shows no page, and a sentence in its place."""
        self._document = self._page = None
        self._canvas.show_page(None, ())
        self._canvas.setVisible(not sentence)
        self._sentence.setText(sentence)
        self._sentence.setVisible(bool(sentence))
        self._banner.hide()
        self._bar.setEnabled(False)
        self._field.clear()
        self._of.clear()

    def set_marks(self, marks: Sequence[Mark], reveal: bool = True) -> None:
        """Draws these over the page that is shown; scrolls the first citation or evidence into view."""
        self._canvas.set_marks(marks)
        if reveal:
            wanted = (mark for meaning in REVEALED for mark in marks if mark.meaning == meaning)
            self._canvas.reveal(next(wanted, None))

    def refresh_marks(self) -> None:
        """Asks anew what to draw over the page."""
        if self._document and self._page and self._marks:
            self._canvas.set_marks(self._marks(self._document.id, self._page))

    def turn(self, pages: int) -> None:
        """Goes some pages on, or back."""
        if self._document and self._page:
            number = min(max(1, self._page.number + pages), self._document.pages)
            if number != self._page.number:
                self.show_page(self._document.id, number)

    def go_to(self, text: str) -> None:
        """Goes to the page with this label, or this number."""
        if not self._document or not self._page or not (text := text.strip()):
            return
        number = self._numbered(text)
        if number and number != self.number:
            self.show_page(self._document.id, number)
        else:
            self._fill_bar()
            self._field.selectAll()

    def _numbered(self, text: str) -> int:
        """The number of the page with this label, else of the page with this number; 0 when there is none.

        Of several pages with one label it is the next one from here, as in a book of many parts.
        """
        assert self._document
        with self._session.reporting():
            labels = self._session.project.page_labels(self._document.id)
            found = [n for n, label in enumerate(labels, 1) if label.casefold() == text.casefold()]
            later = [n for n in found if n > self.number]
            plain = int(text) if text.isdecimal() and len(text) < 9 else 0
            return (later or found or [plain if plain <= len(labels) else 0])[0]
        return 0

    def zoom_in(self) -> None:
        """Shows the page larger."""
        self._zoom(self._canvas.scale * ZOOM_STEP)

    def zoom_out(self) -> None:
        """Shows the page smaller."""
        self._zoom(self._canvas.scale / ZOOM_STEP)

    def fit_width(self) -> None:
        """Shows the page as wide as there is room for, and keeps it so."""
        self._fits = True
        self._zoom_to_fit()

    # Building

    def _build(self) -> None:
        self._bar = QWidget()
        self._previous = self._button("previous", self.tr("Previous page (Page Up)"), lambda: self.turn(-1))
        self._next = self._button("next", self.tr("Next page (Page Down)"), lambda: self.turn(1))
        self._field = QLineEdit()
        self._field.setAccessibleName(self.tr("Page"))
        self._field.setToolTip(self.tr("Type the number or the label of a page"))
        self._field.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._field.setFixedWidth(self.fontMetrics().horizontalAdvance("0") * 8)
        self._of = line()
        row = QHBoxLayout(self._bar)
        row.setContentsMargins(style.HALF, style.HALF, style.HALF, style.HALF)
        row.setSpacing(style.HALF)
        for widget in (self._previous, self._field, self._of, self._next):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(self._button("zoom_out", self.tr("Smaller (Ctrl+−)"), self.zoom_out))
        row.addWidget(self._button("fit", self.tr("Fit the width (Ctrl+0)"), self.fit_width))
        row.addWidget(self._button("zoom_in", self.tr("Larger (Ctrl++)"), self.zoom_in))

        self._banner = QWidget()
        self._reason = plain()
        self._remedy = QPushButton()
        row = QHBoxLayout(self._banner)
        style.spaced(row, style.SPACE)
        row.addWidget(self._reason, 1)
        row.addWidget(self._remedy)

        self._canvas.setAccessibleName(self.tr("Page of the document"))
        self._sentence = quiet()
        self._sentence.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._sentence.setContentsMargins(style.WIDE, style.WIDE, style.WIDE, style.WIDE)
        self._sentence.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        column = QVBoxLayout(self)
        style.spaced(column, 0, 0)
        for widget in (self._bar, self._banner):
            column.addWidget(widget)
        column.addWidget(self._canvas, 1)
        column.addWidget(self._sentence, 1)

    def _button(self, glyph: str, name: str, do: Callable[[], object]) -> QToolButton:
        button = QToolButton(autoRaise=True)
        button.setAccessibleName(name)
        button.setToolTip(name)
        button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        style.set_icon(button, glyph)
        button.clicked.connect(do)
        return button

    def _connect(self) -> None:
        self._settle = QTimer(self, singleShot=True, interval=SETTLE)
        self._settle.timeout.connect(self._ask_picture)
        self._pictures.ready.connect(self._receive)
        self._pictures.failed.connect(self._receive)
        self._session.project_closed.connect(self.clear)
        self._field.returnPressed.connect(lambda: self.go_to(self._field.text()))
        self._remedy.clicked.connect(self._mend)
        self._canvas.resized.connect(self._zoom_to_fit)
        self._canvas.turn_wanted.connect(self.turn)
        self._canvas.zoom_wanted.connect(lambda steps: self._zoom(self._canvas.scale * ZOOM_STEP**steps))
        keys = QKeySequence.StandardKey
        shortcuts = ((keys.ZoomIn, self.zoom_in), ("Ctrl+=", self.zoom_in), (keys.ZoomOut, self.zoom_out),
                     ("Ctrl+0", self.fit_width))  # fmt: skip
        for key, do in shortcuts:
            shortcut = QShortcut(QKeySequence(key), self, context=Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(do)

    def _fill_bar(self) -> None:
        assert self._document
        assert self._page
        page, count = self._page, self._document.pages
        self._field.setText(page.label or str(page.number))
        labelled = page.label not in ("", str(page.number))
        self._of.setText(
            self.tr("({} of {})").format(page.number, count) if labelled else self.tr("of {}").format(count)
        )
        self._previous.setEnabled(page.number > 1)
        self._next.setEnabled(page.number < count)
        self._canvas.setAccessibleDescription(self.tr("Page {} of {}").format(page.number, count))

    # The picture

    def _wanted(self) -> Wanted | None:
        if not self._document or not self._page:
            return None
        return Wanted(self._document.path, self._page.number, self._canvas.scale * self.devicePixelRatioF())

    def _ask_picture(self) -> None:
        """Shows the picture, or what there is until it comes."""
        if (wanted := self._wanted()) is None:
            return
        exact = self._pictures.get(wanted)
        picture = exact or self._pictures.nearest(wanted)
        if reason := self._pictures.reason(wanted):
            self._troubles[wanted.path] = reason
        elif picture:
            self._troubles.pop(wanted.path, None)
        self._canvas.show_picture(picture, words=picture is None and wanted.path in self._troubles)
        self._explain(self._troubles.get(wanted.path, ""))
        if exact and self._document and wanted.page < self._document.pages:
            self._pictures.get(replace(wanted, page=wanted.page + 1))  # the one that is likely to be wanted next

    def _explain(self, trouble: str) -> None:
        text = trouble or " ".join(self._page.warnings if self._page else ())
        self._reason.setText(text)
        self._remedy.setVisible(bool(trouble))
        self._remedy.setText(self.tr("Give password…") if trouble in NEEDS_PASSWORD else self.tr("Try again"))
        self._banner.setVisible(bool(text))

    def _receive(self, arrived: Wanted, _: str = "") -> None:
        wanted = self._wanted()
        if wanted and (arrived.path, arrived.page) == (wanted.path, wanted.page) and not self._settle.isActive():
            self._ask_picture()

    def _mend(self) -> None:
        if not self._document:
            return
        if self._troubles.get(self._document.path) in NEEDS_PASSWORD:
            self.password_wanted.emit(self._document.path)
        else:
            self.retry()

    def retry(self) -> None:
        """Tries to draw the page anew: its file is back, or its password was given."""
        if self._document:
            self._pictures.forget(self._document.path)
            self._troubles.pop(self._document.path, None)
            self._ask_picture()

    # Zoom

    def _zoom(self, scale: float) -> None:
        self._fits = False
        self._set_scale(scale)

    def _zoom_to_fit(self) -> None:
        if self._fits and self._page and self._page.width > 0:
            self._set_scale(self._canvas.room() / self._page.width)

    def _set_scale(self, scale: float) -> None:
        ratio = self.devicePixelRatioF()
        steps = int(min(max(SMALLEST, scale), LARGEST) * ratio * SCALE_STEP + 1e-6)
        if (scale := steps / SCALE_STEP / ratio) != self._canvas.scale:
            self._canvas.set_scale(scale)
            self._settle.start()

    # Qt's own

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.DevicePixelRatioChange:
            self._settle.start()
        return super().event(event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._ask_picture()  # the password may have been given elsewhere
