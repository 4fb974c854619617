"""The start page, the sample, the dialog about the app and the way in."""

import subprocess
import sys
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

import core
from core import paths
from core.errors import UserError
from core.project.project import Project
from gui.about import AboutDialog
from gui.sample import copy_sample, sample_documents
from gui.session import Session
from gui.start_page import StartPage
from tests.core.project.project_material import fill

HOSTILE = '<img src="x">&copy; <b>ışık.elenchus'


def shown(qtbot: QtBot, session: Session) -> StartPage:
    page = StartPage(session)
    qtbot.addWidget(page)
    page.resize(900, 700)
    page.show()
    return page


def button(page: StartPage, text: str) -> QPushButton:
    return next(b for b in page.findChildren(QPushButton) if text in b.text().replace("&", ""))


def make(session: Session, *paths: Path) -> None:
    for path in paths:
        session.create(path)
    session.close()


def test_the_three_ways_to_begin_by_key(qtbot: QtBot, session: Session) -> None:
    page = shown(qtbot, session)
    for text, signal in (
        ("New project", page.new_wanted),
        ("Open project", page.open_wanted),
        ("sample", page.sample_wanted),
    ):
        with qtbot.waitSignal(signal, timeout=500):
            qtbot.keyClick(button(page, text), Qt.Key.Key_Space)
        with qtbot.waitSignal(signal, timeout=500):
            qtbot.keyClick(button(page, text), Qt.Key.Key_Return)


def test_without_recent_projects_there_is_no_list(qtbot: QtBot, session: Session) -> None:
    page = shown(qtbot, session)
    assert not page.recent.isVisible()
    assert not button(page, "Forget").isVisible()


def test_recent_projects_are_opened_by_key(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    old, new = tmp_path / "old.elenchus", tmp_path / "new.elenchus"
    make(session, old, new)
    page = shown(qtbot, session)
    assert [page.recent.item(row).text() for row in range(page.recent.count())] == ["new", "old"]
    page.recent.setFocus()
    page.recent.setCurrentRow(0)
    qtbot.keyClick(page.recent, Qt.Key.Key_Down)
    with qtbot.waitSignal(page.path_chosen, timeout=500) as chosen:
        qtbot.keyClick(page.recent, Qt.Key.Key_Return)
    assert chosen.args == [old]
    with qtbot.waitSignal(page.path_chosen, timeout=500) as chosen:
        place = page.recent.visualItemRect(page.recent.item(0)).center()
        qtbot.mouseClick(page.recent.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert chosen.args == [new]


def test_missing_projects_say_so_and_can_be_forgotten(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.elenchus" for name in ("a", "b", "c")]
    make(session, *paths)
    paths[0].unlink()
    page = shown(qtbot, session)
    missing = page.recent.item(2)
    assert missing.data(Qt.ItemDataRole.AccessibleTextRole).endswith(", missing")
    assert not page.recent.item(0).data(Qt.ItemDataRole.AccessibleTextRole).endswith(", missing")
    page.recent.setCurrentItem(missing)
    with qtbot.assertNotEmitted(page.path_chosen):
        qtbot.keyClick(page.recent, Qt.Key.Key_Return)
    button(page, "Forget").click()
    assert session.recent() == [paths[2], paths[1]]
    assert page.recent.count() == 2
    assert not button(page, "Forget").isVisible()


def test_delete_takes_one_off_the_list_and_leaves_its_file(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.elenchus" for name in ("a", "b")]
    make(session, *paths)
    page = shown(qtbot, session)
    page.activateWindow()
    page.recent.setFocus()
    page.recent.setCurrentRow(0)
    qtbot.waitUntil(page.recent.hasFocus)
    qtbot.keyClick(page.recent, Qt.Key.Key_Delete)
    assert session.recent() == [paths[0]]
    assert paths[1].exists()
    assert page.recent.currentRow() == 0


def test_it_is_read_anew_when_shown(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    page = shown(qtbot, session)
    page.hide()
    make(session, tmp_path / "later.elenchus")
    page.show()
    assert page.recent.count() == 1


def test_markup_in_names_is_painted_as_text(qtbot: QtBot, session: Session, tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("such a file cannot be made here")
    make(session, tmp_path / HOSTILE)
    page = shown(qtbot, session)
    assert page.recent.item(0).text() == HOSTILE.removesuffix(".elenchus")
    assert page.recent.item(0).toolTip() == ""
    assert not page.grab().isNull()
    outside = [label for label in page.findChildren(QLabel) if "<" in label.text()]
    assert outside == []


# The sample


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "data_folder", lambda: tmp_path)
    return tmp_path


def test_the_sample_is_a_project_of_ones_own(data: Path) -> None:
    path = copy_sample()
    assert path == data / "sample" / "Sample.elenchus"
    with Project.open(path) as project:
        assert project.documents() == []
        assert not project.read_only
    assert copy_sample() == path  # nobody has worked in it
    assert [pdf.name for pdf in sample_documents()] == ["veyra.pdf"]


def test_a_sample_somebody_works_in_is_left_alone(data: Path) -> None:
    first = copy_sample()
    with Project.open(first) as project:
        second = copy_sample()
        assert second.name == "Sample 2.elenchus"
        fill(project, 2)
    assert copy_sample() == second
    first_bytes = first.read_bytes()
    second.write_bytes(b"no project any more")
    assert copy_sample().name == "Sample 3.elenchus"
    assert first.read_bytes() == first_bytes


def test_a_ready_made_sample_is_copied(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = tmp_path / "resources" / "samples"
    samples.mkdir(parents=True)
    with Project.create(samples / "ready.elenchus") as project:
        fill(project, 3)
    monkeypatch.setattr(paths, "resources", lambda: tmp_path / "resources")
    path = copy_sample()
    with Project.open(path) as project:
        assert project.counts()["draft"] == 3
        project.set_state([1], "accepted")
    assert copy_sample().name == "Sample 2.elenchus"


def test_where_no_sample_can_be_made_it_says_so(data: Path) -> None:
    (data / "sample").write_text("a file in the way")
    with pytest.raises(UserError):
        copy_sample()


# About


def test_about_says_versions_licences_and_folders(qtbot: QtBot, data: Path) -> None:
    dialog = AboutDialog(None)
    qtbot.addWidget(dialog)
    dialog.show()
    text = dialog.details.toPlainText()
    for fact in ("PySide6 6.", "LGPL", "llama.cpp", "MIT", "SQLite", "public domain", "peewee", "pypdf", "NumPy",
                 "Jinja", "Material Design Icons", "SCOWL", str(data / "backups"), str(data / "models"),
                 str(data / "window.ini")):  # fmt: skip
        assert fact in text, fact
    next(b for b in dialog.findChildren(QPushButton) if "Copy" in b.text()).click()
    assert core.__version__ in QGuiApplication.clipboard().text()
    assert text in QGuiApplication.clipboard().text()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.isHidden()


# The way in


def test_a_spawned_child_that_imports_the_entry_loads_no_qt() -> None:
    code = "import sys, gui.__main__; sys.exit(any(name.startswith('PySide6') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(core.__file__).parent.parent).returncode == 0


def test_the_version_is_told_without_a_window() -> None:
    command = [sys.executable, "-m", "gui", "--version"]
    done = subprocess.run(command, cwd=Path(core.__file__).parent.parent, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, f"Elenchus {core.__version__}")
