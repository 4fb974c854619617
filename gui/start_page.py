"""What the window shows while no project is open: three ways to begin, and the projects that were open last."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import (
    QDateTime,
    QEvent,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QAction, QIcon, QKeyEvent, QKeySequence, QPainter, QPalette, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QVBoxLayout,
    QWidget,
)

from gui import style
from gui.labels import quiet, strong
from gui.session import Session

WIDTH = 640  # pixels: longer lines are hard to read
_PATH, _WHEN = Qt.ItemDataRole.UserRole, Qt.ItemDataRole.UserRole + 1


class StartPage(QWidget):
    """Offers a new project, an existing one or the sample, and the recent ones by name."""

    new_wanted = Signal()
    open_wanted = Signal()
    sample_wanted = Signal()
    path_chosen = Signal(object)  # a Path

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._build()
        self.refresh()

    def refresh(self) -> None:
        """Reads the recent projects anew, and which of them are still there."""
        self.recent.clear()
        paths = self._session.recent()
        for path in paths:
            self.recent.addItem(self._item(path))
        for widget in (self._heading, self.recent):
            widget.setVisible(bool(paths))
        self._forget.setVisible(any(self._is_missing(item) for item in self._items()))
        rows = self.recent.sizeHintForRow(0) * len(paths) + 2 * self.recent.frameWidth()
        self.recent.setMaximumHeight(max(1, rows))

    def forget_missing(self) -> None:
        """Takes the projects that are not there any more off the list."""
        for item in self._items():
            if self._is_missing(item):
                self._session.forget(item.data(_PATH))
        self.refresh()

    # Building

    def _build(self) -> None:
        page = QWidget()
        page.setMaximumWidth(WIDTH)
        column = QVBoxLayout(page)
        style.spaced(column, 0, style.DOUBLE)
        column.addStretch(2)
        column.addLayout(self._title())
        column.addSpacing(style.SPACE)
        column.addLayout(self._buttons())
        column.addSpacing(style.DOUBLE)
        column.addLayout(self._recent_head())
        column.addWidget(self._recent_list(), 8)
        column.addWidget(quiet(self.tr("PDF files and projects can be dropped anywhere in this window.")))
        column.addStretch(3)
        row = QHBoxLayout(self)
        style.spaced(row, style.WIDE)
        row.addStretch(1)
        row.addWidget(page, 20)
        row.addStretch(1)

    def _title(self) -> QVBoxLayout:
        name = strong("Elenchus", 2.4)
        column = QVBoxLayout()
        style.spaced(column, 0, style.HALF)
        column.addWidget(name)
        column.addWidget(
            quiet(
                self.tr(
                    "Turns documents into a small, excellent training set, with the evidence for every answer, "
                    "on a model that runs on this computer."
                )
            )
        )
        return column

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        style.spaced(row, 0, style.SPACE)
        for text, glyph, signal, about in (
            (self.tr("&New project…"), "new", self.new_wanted, self.tr("An empty project to add PDF files to")),
            (self.tr("&Open project…"), "open", self.open_wanted, self.tr("A project that was made before")),
            (self.tr("Try the &sample"), "sample", self.sample_wanted, self.tr("A small project to try the app in")),
        ):
            button = QPushButton(text)
            button.setMinimumHeight(44)
            button.setIconSize(QSize(20, 20))
            button.setAutoDefault(True)  # so that Return presses the one that has the focus
            button.setAccessibleDescription(about)
            button.setToolTip(about)
            style.set_icon(button, glyph)
            button.clicked.connect(signal)
            row.addWidget(button, 1)
        return row

    def _recent_head(self) -> QHBoxLayout:
        self._heading = strong(self.tr("Recent projects"))
        self._forget = QPushButton(self.tr("&Forget the missing ones"))
        self._forget.setFlat(True)
        style.set_icon(self._forget, "remove")
        self._forget.clicked.connect(self.forget_missing)
        row = QHBoxLayout()
        style.spaced(row, 0)
        row.addWidget(self._heading, 1)
        row.addWidget(self._forget)
        return row

    def _recent_list(self) -> QListWidget:
        self.recent = QListWidget()
        self.recent.setAccessibleName(self.tr("Recent projects"))
        self.recent.setItemDelegate(_RecentDelegate(self.recent))
        self.recent.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.recent.setVerticalScrollMode(QListWidget.ScrollMode.ScrollPerPixel)
        self.recent.setMouseTracking(True)
        self.recent.itemClicked.connect(self._choose)
        self.recent.installEventFilter(self)
        forget = QAction(self.tr("Take &off this list"), self.recent)
        forget.setShortcut(QKeySequence(QKeySequence.StandardKey.Delete))
        forget.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        forget.triggered.connect(self._forget_current)
        self.recent.addAction(forget)
        self.recent.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)
        return self.recent

    def _item(self, path: Path) -> QListWidgetItem:
        try:
            changed = QDateTime.fromSecsSinceEpoch(int(path.stat().st_mtime))
            when = QLocale().toString(changed, QLocale.FormatType.ShortFormat)
        except OSError:
            when = ""
        item = QListWidgetItem(path.stem)
        item.setData(_PATH, path)
        item.setData(_WHEN, when or self.tr("missing"))
        described = self.tr("{}, in {}, {}").format(path.stem, path.parent, when or self.tr("missing"))
        item.setData(Qt.ItemDataRole.AccessibleTextRole, described)
        item.setIcon(style.icon("recent", "quiet") if when else style.icon("missing", "warning"))
        item.setData(_WHEN + 1, bool(when))
        return item

    def _items(self) -> list[QListWidgetItem]:
        return [self.recent.item(row) for row in range(self.recent.count())]

    @staticmethod
    def _is_missing(item: QListWidgetItem) -> bool:
        return not item.data(_WHEN + 1)

    # What the user does

    def _choose(self, item: QListWidgetItem) -> None:
        if not self._is_missing(item):
            self.path_chosen.emit(item.data(_PATH))

    def _forget_current(self) -> None:
        if (item := self.recent.currentItem()) is not None:
            row = self.recent.currentRow()
            self._session.forget(item.data(_PATH))
            self.refresh()
            self.recent.setCurrentRow(min(row, self.recent.count() - 1))

    # Qt's own

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            item = self.recent.currentItem()
            if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and item is not None:
                self._choose(item)
                return True
        return super().eventFilter(watched, event)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange:  # icons are drawn in its colours
            self.refresh()


class _RecentDelegate(QStyledItemDelegate):
    """Two lines: the name with its time, and the folder, elided in the middle. What is painted is no markup."""

    def paint(
        self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex
    ) -> None:
        self.initStyleOption(option, index)
        path, when, there = index.data(_PATH), index.data(_WHEN), index.data(_WHEN + 1)
        icon: QIcon = index.data(Qt.ItemDataRole.DecorationRole)
        option.text, option.icon = "", QIcon()  # pyright: ignore[reportAttributeAccessIssue]
        widget: QWidget = option.widget  # pyright: ignore[reportAttributeAccessIssue]
        widget.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, widget)
        selected = bool(option.state & QStyle.StateFlag.State_Selected)  # pyright: ignore[reportAttributeAccessIssue]
        role = QPalette.ColorRole.HighlightedText if selected else QPalette.ColorRole.Text
        strong = option.palette.color(role)  # pyright: ignore[reportAttributeAccessIssue]
        faint = strong if selected else style.colour("quiet")
        rect: QRect = option.rect.adjusted(style.SPACE, style.SPACE, -style.SPACE, -style.SPACE)  # pyright: ignore
        icon.paint(painter, QRect(rect.left(), rect.center().y() - 9, 20, 20))
        rect.setLeft(rect.left() + 20 + style.SPACE)
        metrics = option.fontMetrics  # pyright: ignore[reportAttributeAccessIssue]
        room = rect.width() - metrics.horizontalAdvance(when) - style.DOUBLE
        top, bottom = Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignBottom
        painter.save()
        painter.setPen(strong if there else faint)
        painter.drawText(rect, int(top), metrics.elidedText(path.stem, Qt.TextElideMode.ElideRight, room))
        painter.setPen(faint if there or selected else style.colour("warning"))
        painter.drawText(rect, int(top | Qt.AlignmentFlag.AlignRight), when)
        painter.setPen(faint)
        folder = metrics.elidedText(str(path.parent), Qt.TextElideMode.ElideMiddle, rect.width())
        painter.drawText(rect, int(bottom), folder)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: QModelIndex | QPersistentModelIndex) -> QSize:
        lines = 2 * option.fontMetrics.height()  # pyright: ignore[reportAttributeAccessIssue]
        return QSize(0, lines + 2 * style.SPACE + style.HALF)
