"""The documents as rows of a list, and what is known of each of them in words."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractListModel,
    QDate,
    QLocale,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QPainter, QPalette
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem

from core.project.records import DocumentRow
from gui import style

Index = QModelIndex | QPersistentModelIndex


class DocumentList(QAbstractListModel):
    """The documents as rows of a list."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.documents: list[DocumentRow] = []

    def show(self, documents: list[DocumentRow]) -> None:
        """Replaces the rows."""
        self.beginResetModel()
        self.documents = documents
        self.endResetModel()

    def facts(self, document: DocumentRow) -> str:
        """State, pages, passages and warnings in words."""
        if document.state == "failed":
            return self.tr("Not read: {}").format(document.reason)
        parts = [
            self.tr("1 page") if document.pages == 1 else self.tr("{:,} pages").format(document.pages),
            self.tr("1 passage") if document.passages == 1 else self.tr("{:,} passages").format(document.passages),
        ]
        if not document.passages:
            parts[1] = self.tr("no text to ask about")
        if count := len(document.warnings):
            parts.append(self.tr("1 warning") if count == 1 else self.tr("{:,} warnings").format(count))
        return " · ".join(parts)

    def about(self, document: DocumentRow) -> str:
        """Where its file is, and what that says of itself."""
        names = {
            "Author": self.tr("Author"),
            "Subject": self.tr("Subject"),
            "Keywords": self.tr("Keywords"),
            "CreationDate": self.tr("Made on"),
            "ModDate": self.tr("Changed on"),
            "Creator": self.tr("Made with"),
            "Producer": self.tr("PDF made with"),
        }
        facts = [f"{self.tr('File')}: {document.path}"]
        for key, name in names.items():
            if value := document.metadata.get(key, ""):
                facts.append(f"{name}: {_date(value) if key.endswith('Date') else value}")
        return "\n".join(facts)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.documents)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> object:
        document = self.documents[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return document.title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{document.title}. {self.facts(document)}"
        return None


class DocumentDelegate(QStyledItemDelegate):
    """Draws a document in two lines: its title, and below it how it is."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        model = index.model()
        assert isinstance(model, DocumentList)
        document = model.documents[index.row()]
        self.initStyleOption(option, index)
        whole: QRect = option.rect
        failed = document.state == "failed"
        painter.save()
        self._draw_ground(painter, option, whole)
        area = whole.adjusted(style.SPACE + style.HALF, style.SPACE, -style.SPACE, -style.SPACE)
        if failed or document.warnings:
            icon = style.icon("error", "bad") if failed else style.icon("warning", "warning")
            icon.paint(painter, QRect(area.right() - 18, area.top(), 18, 18))
        height = option.fontMetrics.height()
        first = QRect(area.left(), area.top(), area.width() - style.WIDE, height)
        _draw_line(painter, first, document.title, option.palette.color(QPalette.ColorRole.Text))
        second = QRect(area.left(), first.bottom() + style.HALF, area.width(), height)
        _draw_line(painter, second, model.facts(document), style.colour("bad" if failed else "quiet"))
        painter.restore()

    def _draw_ground(self, painter: QPainter, option: QStyleOptionViewItem, whole: QRect) -> None:
        """A tint that leaves texts and icons their colours, with a bar at the left as a second sign."""
        accent = option.palette.color(QPalette.ColorRole.Highlight)
        if option.state & QStyle.StateFlag.State_Selected:
            tint = QColor(accent)
            tint.setAlpha(56 if option.state & QStyle.StateFlag.State_Active else 36)
            painter.fillRect(whole, tint)
            painter.fillRect(QRect(whole.left(), whole.top(), 3, whole.height()), accent)
        if option.state & QStyle.StateFlag.State_HasFocus:
            painter.setPen(accent)
            painter.drawRect(whole.adjusted(0, 0, -1, -1))

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(160, 2 * option.fontMetrics.height() + 2 * style.SPACE + style.HALF + 1)


def _date(value: str) -> str:
    """A date of a PDF (D:20161231184323+01'00') as people here write it; as it is when it is none."""
    date = QDate.fromString(value.removeprefix("D:")[:8], "yyyyMMdd")
    return QLocale().toString(date, QLocale.FormatType.LongFormat) if date.isValid() else value


def _draw_line(painter: QPainter, place: QRect, text: str, ink: QColor) -> None:
    painter.setPen(ink)
    elided = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, place.width())
    painter.drawText(place, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, elided)
