"""What this is: version, licence, what it is built with, and where it keeps things."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

import core
from core import paths
from core.errors import UserError
from core.models.shelf import models_folder
from core.project import backup
from gui import style
from gui.labels import quiet, strong

# What it is → the package that brings it, and its licence.
_BUILT_WITH = {
    "Qt and PySide6": ("PySide6-Essentials", "LGPL 3.0"),
    "llama.cpp and llama-cpp-python": ("llama-cpp-python", "MIT"),
    "SQLite and apsw": ("apsw", "public domain; any OSI licence"),
    "peewee": ("peewee", "MIT"),
    "PDFium and pypdfium2": ("pypdfium2", "BSD 3-Clause, Apache 2.0"),
    "pypdf": ("pypdf", "BSD 3-Clause"),
    "cryptography": ("cryptography", "Apache 2.0 or BSD 3-Clause"),
    "NumPy": ("numpy", "BSD 3-Clause"),
    "Jinja": ("jinja2", "BSD 3-Clause"),
    "certifi": ("certifi", "MPL 2.0"),
    "py3langid": ("py3langid", "BSD 3-Clause"),
    "platformdirs": ("platformdirs", "MIT"),
    "psutil": ("psutil", "BSD 3-Clause"),
    "QtAwesome and QtPy": ("qtawesome", "MIT"),
}


class AboutDialog(QDialog):
    """Plain text that can be copied into a report."""

    def __init__(self, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(self.tr("About Elenchus"))
        self.details = QPlainTextEdit(self._details())
        self.details.setReadOnly(True)
        self.details.setTabChangesFocus(True)
        self.details.setAccessibleName(self.tr("Versions, licences and folders"))
        buttons = style.button_box(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        self._copy = buttons.addButton(self.tr("&Copy"), QDialogButtonBox.ButtonRole.ActionRole)
        style.set_icon(self._copy, "copy")
        self._copy.clicked.connect(self.copy)
        column = QVBoxLayout(self)
        style.spaced(column, style.DOUBLE)
        column.addWidget(strong("Elenchus", 1.8))
        column.addWidget(quiet(self._summary()))
        column.addSpacing(style.SPACE)
        column.addWidget(self.details, 1)
        column.addWidget(buttons)
        close = buttons.button(QDialogButtonBox.StandardButton.Close)
        assert isinstance(close, QPushButton)
        close.setDefault(True)
        close.setFocus()
        self.resize(620, 560)

    def copy(self) -> None:
        """Puts everything that is shown on the clipboard."""
        QGuiApplication.clipboard().setText(f"Elenchus\n{self._summary()}\n\n{self.details.toPlainText()}")
        self._copy.setText(self.tr("Copied"))

    def _summary(self) -> str:
        return self.tr(
            "Version {}. Turns documents into a small, excellent training set on a model that runs on this computer. "
            "Nothing of yours leaves it. Free software under the MIT licence."
        ).format(core.__version__)

    def _details(self) -> str:
        lines = [self.tr("Built with")]
        lines += [f"  {name} {_version(package)} · {licence}" for name, (package, licence) in _BUILT_WITH.items()]
        lines += [
            self.tr("  Icons: Material Design Icons · Apache 2.0"),
            self.tr("  Starter model: made for Elenchus · MIT"),
            self.tr("  Its words: from SCOWL, © Kevin Atkinson and others · free for any purpose with this notice"),
            "",
            self.tr("Kept on this computer"),
        ]
        try:
            lines += [
                self.tr("  Backups of projects: {}").format(backup.folder()),
                self.tr("  Models: {}").format(models_folder()),
                self.tr("  Settings of the window: {}").format(paths.data_folder() / "window.ini"),
                self.tr("  What can be made again: {}").format(paths.cache_folder()),
            ]
        except (UserError, OSError) as error:
            lines.append(f"  {error}")
        return "\n".join(lines)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # in a frozen app that left its metadata out
        return ""
