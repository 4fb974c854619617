"""The models panel: what is found, what is said of it, which one the next run takes, and what is in memory."""

import hashlib
import re
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import QSettings, Qt
from PySide6.QtWidgets import QApplication, QLabel, QPushButton
from pytestqt.qtbot import QtBot

from core import paths
from core.engine.devices import Device
from core.engine.requests import Loaded
from core.models import checksum
from core.models.shelf import Shelved, models_folder, shelf
from gui import model_details, model_finder, model_hasher
from gui.jobs import Job, Jobs
from gui.panels.models import ModelsPanel
from gui.session import Session
from tests.data.gguf_tiny import write_tiny

LOADED = Loaded("Tiny <b>", "CPU", 0, 2, 16_384, 16, "chat", "The context was shortened.")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setattr(paths, "data_folder", lambda: folder)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("models") / "tiny.gguf")


@pytest.fixture
def panel(qtbot: QtBot, session: Session, jobs: Jobs) -> Iterator[ModelsPanel]:
    panel = ModelsPanel(session, jobs)
    qtbot.addWidget(panel)
    panel.resize(1000, 700)
    yield panel
    panel.save_state()


def show(qtbot: QtBot, panel: ModelsPanel, count: int = 1) -> None:
    panel.show()
    qtbot.waitUntil(lambda: panel.list.count() == count)
    qtbot.waitUntil(lambda: panel.current is not None and str(panel.current.path) in words(panel))


def titles(panel: ModelsPanel) -> list[str]:
    return [panel.list.item(row).text().splitlines()[0] for row in range(panel.list.count())]


def words(panel: ModelsPanel) -> str:
    return "\n".join(label.text() for label in panel.findChildren(QLabel) if label.isVisible())


def button(panel: ModelsPanel, text: str) -> QPushButton:
    return next(b for b in panel.findChildren(QPushButton) if text in b.text().replace("&", ""))


def test_the_starter_is_there_and_says_what_it_is_for(qtbot: QtBot, panel: ModelsPanel) -> None:
    show(qtbot, panel)
    text = words(panel)
    for fact in ("For trying the app", "add a GGUF file of your own", "The next run takes this model", "llama",
                 "tokens", "starter", "Factual", "True or false", str(paths.starter_model())):  # fmt: skip
        assert fact in text, fact
    assert "Multiple choice" not in text
    assert not button(panel, "Use for the next run").isVisible()


def test_nothing_is_read_before_it_is_shown(qtbot: QtBot, panel: ModelsPanel) -> None:
    qtbot.wait(50)
    assert panel.list.count() == 0


def test_files_of_the_folder_and_added_ones_are_listed_once(
    qtbot: QtBot, panel: ModelsPanel, session: Session, tiny: Path, tmp_path: Path
) -> None:
    inside = models_folder() / "inside.gguf"
    shutil.copy(tiny, inside)
    show(qtbot, panel, 2)
    added = tmp_path / "elsewhere, here.gguf"
    shutil.copy(tiny, added)
    panel.add_files([added, inside])
    panel.add_files([added])
    qtbot.waitUntil(lambda: panel.list.count() == 3)
    assert titles(panel) == ["Elenchus starter", "tiny-random", "tiny-random"]
    assert panel.current is not None
    assert panel.current.path == added  # what was added is what is shown
    again = Session(QSettings(session.settings.fileName(), QSettings.Format.IniFormat))
    assert again.chosen_models() == [added, inside]
    assert "add a GGUF file of your own" not in words(panel)


def test_unreadable_files_say_why(qtbot: QtBot, panel: ModelsPanel, tmp_path: Path) -> None:
    broken = models_folder() / "<b>broken<i>.gguf"
    broken.write_bytes(b"nothing like it")
    show(qtbot, panel, 2)
    gone = tmp_path / "gone.gguf"
    panel.add_files([gone])
    qtbot.waitUntil(lambda: panel.list.count() == 3)
    assert "gone.gguf" in words(panel)
    panel.list.setCurrentRow(1)
    assert "<b>broken<i>.gguf" in titles(panel)
    assert "damaged or not a model" in words(panel)
    assert not panel._use.isEnabled()
    outside = [label for label in panel.findChildren(QLabel) if "<b>" in label.text()]
    assert outside
    assert all(label.textFormat() == Qt.TextFormat.PlainText for label in outside)


def test_the_next_run_takes_what_was_chosen_by_key(
    qtbot: QtBot, panel: ModelsPanel, session: Session, tiny: Path
) -> None:
    path = models_folder() / "tiny.gguf"
    shutil.copy(tiny, path)
    show(qtbot, panel, 2)
    assert panel.next_model() == paths.starter_model()
    panel.activateWindow()
    panel.list.setFocus()
    qtbot.waitUntil(panel.list.hasFocus)
    qtbot.keyClick(panel.list, Qt.Key.Key_Down)
    assert button(panel, "Use for the next run").isVisible()
    qtbot.keyClick(panel.list, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert session.settings.value("model") == str(path)
    assert "next run" in panel.list.item(1).text()
    assert "next run" not in panel.list.item(0).text()
    assert panel.list.currentRow() == 1


def test_taking_a_chosen_one_off_the_list_leaves_the_file(
    qtbot: QtBot, panel: ModelsPanel, session: Session, tiny: Path, tmp_path: Path
) -> None:
    added = tmp_path / "added.gguf"
    shutil.copy(tiny, added)
    panel.add_files([added])
    show(qtbot, panel, 2)
    qtbot.waitUntil(lambda: panel.current is not None and panel.current.path == added)
    panel.use_current()
    button(panel, "Take off the list").click()
    qtbot.waitUntil(lambda: panel.list.count() == 1)
    assert added.exists()
    assert panel.session.chosen_models() == []
    assert panel.next_model() == paths.starter_model()
    assert not button(panel, "Take off the list").isVisible()


def test_an_unknown_prompt_style_is_said(qtbot: QtBot, panel: ModelsPanel) -> None:
    write_tiny(models_folder() / "odd.gguf", metadata={"elenchus.prompt_style": "martian"})
    show(qtbot, panel, 2)
    panel.list.setCurrentRow(1)
    qtbot.waitUntil(lambda: "prompt style “martian”" in words(panel))
    assert not panel._use.isEnabled()


def test_what_is_in_memory_is_shown_and_unloaded(qtbot: QtBot, panel: ModelsPanel, jobs: Jobs) -> None:
    show(qtbot, panel)
    assert "No model is in memory" in words(panel)
    assert not button(panel, "Unload").isVisible()
    panel.show_loaded(LOADED)
    for fact in ("Tiny <b>", "CPU", "16", "The context was shortened."):
        assert fact in words(panel)
    killed: list[str] = []

    def work(job: Job) -> None:
        assert job.worker is not None
        killed.append("before")

    jobs.start("model", "Asking", work)
    button(panel, "Unload").click()
    assert not button(panel, "Unload").isVisible()
    qtbot.waitUntil(lambda: "No model is in memory" in words(panel))
    assert killed == ["before"]  # it waited for the run


def test_a_cancelled_unload_leaves_it_shown(qtbot: QtBot, panel: ModelsPanel, jobs: Jobs) -> None:
    show(qtbot, panel)
    panel.show_loaded(LOADED)
    panel.unload()
    jobs.active[0].cancel()
    qtbot.waitUntil(lambda: not jobs.active)
    assert "Tiny <b>" in words(panel)
    assert button(panel, "Unload").isVisible()


def test_every_control_is_reachable_and_named(qtbot: QtBot, panel: ModelsPanel) -> None:
    show(qtbot, panel)
    panel.show_loaded(LOADED)
    panel.activateWindow()
    seen: set[str] = set()
    for _ in range(12):
        qtbot.keyClick(QApplication.focusWidget() or panel, Qt.Key.Key_Tab)
        if (focus := QApplication.focusWidget()) is not None:
            seen.add(focus.accessibleName() or getattr(focus, "text", str)().replace("&", ""))
    assert {"Models", "Add a GGUF file…", "Open folder", "Unload"} <= seen
    assert "" not in seen


def test_models_of_other_programs_stand_under_their_names(
    qtbot: QtBot, panel: ModelsPanel, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").mkdir()
    shutil.copy(tiny, tmp_path / "cache" / "theirs.gguf")
    monkeypatch.setenv("LLAMA_CACHE", str(tmp_path / "cache"))
    show(qtbot, panel, 3)
    assert titles(panel) == ["Elenchus starter", "llama.cpp", "tiny-random"]
    panel.activateWindow()
    panel.list.setFocus()
    qtbot.waitUntil(panel.list.hasFocus)
    qtbot.keyClick(panel.list, Qt.Key.Key_Down)
    assert panel.list.currentRow() == 2  # the heading is passed over
    qtbot.waitUntil(lambda: "Found with" in words(panel))
    assert "llama.cpp" in words(panel)


def test_the_list_fills_while_the_search_goes_on(
    qtbot: QtBot, panel: ModelsPanel, session: Session, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = models_folder() / "mine.gguf"
    shutil.copy(tiny, mine)
    session.settings.setValue("model", str(mine))
    panel._wanted = mine
    more = threading.Event()

    def slow(chosen: object) -> Iterator[Shelved]:
        found = iter(shelf())
        yield next(found)
        more.wait(30)
        yield from found

    monkeypatch.setattr(model_finder, "shelf", slow)
    panel.show()
    qtbot.waitUntil(lambda: titles(panel) == ["Elenchus starter"])
    more.set()
    qtbot.waitUntil(lambda: len(titles(panel)) == 2)
    qtbot.waitUntil(lambda: panel.current is not None and panel.current.path == mine)


def test_the_checksum_is_computed_once_and_shown(
    qtbot: QtBot, panel: ModelsPanel, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = models_folder() / "mine.gguf"
    mine.write_bytes(tiny.read_bytes() + bytes(1))
    digest = hashlib.sha256(mine.read_bytes()).hexdigest()
    show(qtbot, panel, 2)
    qtbot.waitUntil(lambda: hashlib.sha256(paths.starter_model().read_bytes()).hexdigest() in words(panel))
    panel.list.setCurrentRow(1)
    qtbot.waitUntil(lambda: digest in words(panel))
    monkeypatch.setattr(model_hasher, "hashing", None)
    panel.list.setCurrentRow(0)
    panel.list.setCurrentRow(1)
    qtbot.waitUntil(lambda: digest in words(panel))


def test_a_long_checksum_says_how_far_it_is_and_stops_for_another_model(
    qtbot: QtBot, panel: ModelsPanel, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(tiny, models_folder() / "mine.gguf")
    show(qtbot, panel, 2)
    ended = threading.Event()

    def endless(path: Path) -> Iterator[float]:
        try:
            while True:
                yield 0.25
                time.sleep(0.001)
        finally:
            ended.set()

    monkeypatch.setattr(model_hasher, "hashing", endless)
    monkeypatch.setattr(checksum, "known", lambda _: "")
    monkeypatch.setattr(model_details, "SOON", 0)
    panel.list.setCurrentRow(1)
    qtbot.waitUntil(lambda: "is being computed: 25 %" in words(panel))
    panel.list.setCurrentRow(0)
    assert ended.wait(10)
    panel.save_state()  # as when the window closes
    assert not any(hasher.alive for hasher in panel.details._hashers)


def test_the_shelf_lists_parts_and_duplicates_once(tiny: Path, tmp_path: Path) -> None:
    inside = models_folder() / "tiny.gguf"
    shutil.copy(tiny, inside)
    other = tmp_path / "other.gguf"
    found = list(shelf([inside, other, other, paths.starter_model()]))
    assert [(item.path, item.model is not None, item.chosen) for item in found] == [
        (paths.starter_model(), True, False),
        (inside, True, False),
        (other, False, True),
    ]
    assert "other.gguf" in found[2].problem


CARD = Device("Vulkan0", "Great <b>Card", "Vulkan", "gpu", 8 << 30, 6 << 30)
PROCESSOR = Device("CPU", "Some processor", "CPU", "cpu", 16 << 30, 12 << 30, 8)


def test_the_computer_is_described_and_the_memory_reckoned_with_it(qtbot: QtBot, panel: ModelsPanel) -> None:
    show(qtbot, panel)
    qtbot.waitUntil(lambda: "This computer: " in words(panel), timeout=20_000)
    assert "cores" in words(panel) or "1 core" in words(panel)
    panel._show_devices([PROCESSOR])
    qtbot.waitUntil(lambda: "fits: on the processor" in words(panel))
    text = words(panel)
    assert "This computer: Some processor, 8 cores, 16.0 GB of memory" in text
    assert "no graphics card that this build" in text
    panel._show_devices([CARD, PROCESSOR])
    qtbot.waitUntil(lambda: "fits: all on the Great <b>Card" in words(panel))
    text = words(panel)
    assert "Great <b>Card (Vulkan), 8.0 GB of memory" in text
    assert re.search(r"weights \d+\.\d.MB, cache \d", text)


def test_a_model_too_large_for_the_computer_says_what_is_lacking(qtbot: QtBot, panel: ModelsPanel) -> None:
    show(qtbot, panel)
    panel._show_devices([replace(PROCESSOR, memory_free=1 << 29)])
    qtbot.waitUntil(lambda: "more than is free: close other programs" in words(panel))
