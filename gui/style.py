"""One spacing scale, one family of icons and the few colours that carry meaning, in light and dark."""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import Any

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPalette, QPixmap
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QLayout
from shiboken6 import isValid

HALF, SPACE, DOUBLE, WIDE = 4, 8, 16, 24  # pixels between things that belong together … that do not
ICON = QSize(18, 18)
SIDES = (16, 18, 20, 24, 32, 40, 48, 96)  # pixels of an icon: as large as it is wanted, at one and at two a point

# Name → glyph of Material Design Icons (Apache 2.0), drawn by qtawesome.
_GLYPHS = {
    "documents": "mdi6.file-document-multiple-outline",
    "questions": "mdi6.comment-question-outline",
    "models": "mdi6.cube-outline",
    "open": "mdi6.folder-open-outline",
    "new": "mdi6.plus",
    "download": "mdi6.download-outline",
    "add": "mdi6.file-plus-outline",
    "export": "mdi6.export-variant",
    "import": "mdi6.import",
    "dataset": "mdi6.database-outline",
    "freeze": "mdi6.snowflake",
    "accept": "mdi6.check",
    "accept_all": "mdi6.check-all",
    "accepted": "mdi6.check-circle",
    "not_accepted": "mdi6.circle-outline",
    "split": "mdi6.call-split",
    "join": "mdi6.call-merge",
    "up": "mdi6.arrow-up",
    "down": "mdi6.arrow-down",
    "repair": "mdi6.auto-fix",
    "cite": "mdi6.format-quote-open-outline",
    "reject": "mdi6.close",
    "edit": "mdi6.pencil-outline",
    "undo": "mdi6.undo",
    "redo": "mdi6.redo",
    "again": "mdi6.refresh",
    "remove": "mdi6.trash-can-outline",
    "run": "mdi6.play-outline",
    "stop": "mdi6.stop",
    "search": "mdi6.magnify",
    "zoom_in": "mdi6.magnify-plus-outline",
    "zoom_out": "mdi6.magnify-minus-outline",
    "hand": "mdi6.hand-back-right-outline",
    "fit": "mdi6.arrow-expand-horizontal",
    "next": "mdi6.chevron-right",
    "previous": "mdi6.chevron-left",
    "star": "mdi6.star",
    "star_empty": "mdi6.star-outline",
    "info": "mdi6.information-outline",
    "warning": "mdi6.alert-outline",
    "error": "mdi6.alert-circle-outline",
    "offline": "mdi6.wifi-off",
    "copy": "mdi6.content-copy",
    "close": "mdi6.close",
    "sample": "mdi6.flask-outline",
    "recent": "mdi6.history",
    "missing": "mdi6.file-question-outline",
    "command": "mdi6.apple-keyboard-command",
    "unload": "mdi6.eject-outline",
    "keys": "mdi6.keyboard-outline",
    "outline": "mdi6.format-list-bulleted",
    "sycophancy": "mdi6.scale-balance",
    "rationales": "mdi6.format-list-numbered",
    "curate": "mdi6.filter-outline",
    "compare": "mdi6.compare-horizontal",
    "tuning": "mdi6.tune-variant",
    "merge": "mdi6.source-merge",
}

# Meaning → (colour on a light ground, colour on a dark ground); each has a contrast of 4.5 or more there.
_COLOURS = {
    "good": ("#1a7f37", "#57c978"),
    "bad": ("#b42318", "#ff8a80"),
    "warning": ("#8a5a00", "#f0b429"),
    "quiet": ("#5f6672", "#a3abb8"),
    "line": ("#b9bec6", "#5a5f66"),  # around things; not to be read, so of less contrast
    "accent": ("#2f5fd0", "#8db0ff"),
}


_icons: weakref.WeakKeyDictionary[Any, tuple[str, str | None]] = weakref.WeakKeyDictionary()


def is_dark() -> bool:
    """Whether the window is drawn light on dark."""
    palette = QGuiApplication.palette()
    return palette.color(QPalette.ColorRole.Window).lightness() < 128


def colour(meaning: str) -> QColor:
    """The colour of a meaning on the ground of today."""
    return QColor(_COLOURS[meaning][is_dark()])


def colour_on_paper(meaning: str) -> QColor:
    """The same on white."""
    return QColor(_COLOURS[meaning][0])


def icon(name: str, meaning: str | None = None) -> QIcon:
    """An icon in the colour of the text, or of a meaning."""
    palette = QGuiApplication.palette()
    role = QPalette.ColorRole.WindowText
    ink = colour(meaning) if meaning else palette.color(role)
    faint = palette.color(QPalette.ColorGroup.Disabled, role)
    return _drawn(name, ink.rgba(), faint.rgba(), palette.color(QPalette.ColorRole.HighlightedText).rgba())


@lru_cache(maxsize=256)
def _drawn(name: str, ink: int, faint: int, chosen: int) -> QIcon:
    """Pictures of the glyph, and not qtawesome's own icons: those are painted by Python, even while it shuts down."""
    made = QIcon()
    for mode, rgba in ((QIcon.Mode.Normal, ink), (QIcon.Mode.Disabled, faint), (QIcon.Mode.Selected, chosen)):
        for side in SIDES:
            made.addPixmap(_glyph(name, side, QColor.fromRgba(rgba)), mode)
    return made


def _glyph(name: str, side: int, ink: QColor) -> QPixmap:
    import qtawesome

    picture = QPixmap(side, side)
    picture.fill(Qt.GlobalColor.transparent)
    font = qtawesome.font("mdi6", side)
    font.setPixelSize(round(side * 0.9))
    painter = QPainter(picture)
    painter.setFont(font)
    painter.setPen(ink)
    painter.drawText(picture.rect(), Qt.AlignmentFlag.AlignCenter, qtawesome.charmap(_GLYPHS[name]))
    painter.end()
    return picture


def set_icon(target: Any, name: str, meaning: str | None = None) -> None:
    """Gives an action or a button an icon that `redraw` draws in the colours of the day."""
    _icons[target] = (name, meaning)
    target.setIcon(icon(name, meaning))


def redraw() -> None:
    """After the palette has changed: draws all icons anew, in the colours that it has now."""
    quieten()
    for target, (name, meaning) in list(_icons.items()):
        if isValid(target):
            target.setIcon(icon(name, meaning))


def set_scheme(scheme: Qt.ColorScheme) -> None:
    """Draws all windows light, dark, or as the system is (Unknown)."""
    QGuiApplication.styleHints().setColorScheme(scheme)
    QApplication.setPalette(QPalette())
    own = scheme == Qt.ColorScheme.Dark and not is_dark()  # a desktop without a say in it: plain X11
    if own:
        QApplication.setPalette(_dark())
    quieten()
    if own:
        boxes = QPalette(QGuiApplication.palette())
        boxes.setColor(QPalette.ColorRole.Base, QColor("#4a4e54"))  # else an empty box is a hole in the window
        for kind in ("QCheckBox", "QRadioButton"):
            QApplication.setPalette(boxes, kind)  # pyright: ignore[reportArgumentType]


def quieten() -> None:
    """Gives texts of lesser weight a grey that can still be read: the styles' own has too little contrast."""
    role, palette = QPalette.ColorRole.PlaceholderText, QGuiApplication.palette()
    if palette.color(role) != colour("quiet"):
        if palette.resolveMask() == 0:
            palette = QPalette()  # nothing else is set in it: the rest goes on to follow the system
        palette.setColor(role, colour("quiet"))
        QApplication.setPalette(palette)


def _dark() -> QPalette:
    """Light text on dark grounds, in every role that styles draw with."""
    roles = QPalette.ColorRole
    window, base, text, faint = QColor("#2b2d30"), QColor("#1f2022"), QColor("#e6e6e6"), QColor("#7d828a")
    palette = QPalette(QColor("#3a3d41"), window)
    for role, value in (
        (roles.WindowText, text),
        (roles.Base, base),
        (roles.AlternateBase, QColor("#26282b")),
        (roles.Text, text),
        (roles.ButtonText, text),
        (roles.BrightText, QColor("white")),
        (roles.ToolTipBase, window),
        (roles.ToolTipText, text),
        (roles.Highlight, QColor("#2f6db5")),
        (roles.HighlightedText, QColor("white")),
        (roles.Link, QColor("#8db0ff")),
    ):
        palette.setColor(role, value)
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, faint)
    return palette


def button_box(*standard: QDialogButtonBox.StandardButton) -> QDialogButtonBox:
    """The buttons along the foot of a dialog, none with the pictures that Qt gives them where a desktop has none."""
    box = QDialogButtonBox()
    for wanted in standard:
        box.addButton(wanted).setIcon(QIcon())
    return box


def spaced(layout: QLayout, margin: int = 0, spacing: int = SPACE) -> None:
    """Sets a layout's margins and the space between its items, all from the one scale."""
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(spacing)


def clear(layout: QLayout) -> None:
    """Takes all widgets out of a layout and ends them."""
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()
