"""The download dialog and what it begins: real files from a hub on loopback, stopped, resumed, refused."""

import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from core import paths
from core.engine import fit
from core.models import download
from core.models.recommended import recommended
from core.models.shelf import models_folder
from core.models.unfinished import unfinished
from gui import download_dialog
from gui.download_dialog import DownloadDialog, Loading, start_download
from gui.jobs import Jobs
from gui.panels.models import ModelsPanel
from gui.session import Session
from tests.core.models.hub_server import Hub, serving
from tests.data.gguf_tiny import write_tiny

SOURCE = "owner/name/tiny.gguf"


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setattr(paths, "data_folder", lambda: folder)
    monkeypatch.setattr(download, "WAITS", (0,))
    monkeypatch.setenv("no_proxy", "*")
    return folder


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(Hub({SOURCE: write_tiny(tmp_path / "tiny.gguf").read_bytes()})) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def dialog(qtbot: QtBot, session: Session) -> DownloadDialog:
    dialog = DownloadDialog(session, None)
    qtbot.addWidget(dialog)
    dialog.show()
    return dialog


def lines(dialog: DownloadDialog) -> list[str]:
    return [dialog.list.item(row).text() for row in range(dialog.list.count())]


def stopped(qtbot: QtBot, session: Session, jobs: Jobs, hub: Hub) -> Loading:
    """A download that was cancelled after half of the file."""
    hub.pause = threading.Event()
    loading = start_download(session, jobs, SOURCE)
    qtbot.waitUntil(lambda: bool(jobs.active) and jobs.active[0].status.done > 0)
    with qtbot.waitSignal(session.offer_made) as offered:
        jobs.cancel_all()
    assert offered.args is not None
    assert "What has arrived is kept" in offered.args[0]
    hub.pause.set()
    hub.pause = None
    return loading


def test_the_list_says_what_fits_and_fills_the_field(
    qtbot: QtBot, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit.psutil, "virtual_memory", lambda: SimpleNamespace(total=4 << 30))
    dialog = DownloadDialog(session, None)
    qtbot.addWidget(dialog)
    known = {line.splitlines()[0]: line for line in lines(dialog)}
    assert "fits this computer" in known["Qwen2.5 1.5B Instruct"]
    assert "needs more memory" in known["Qwen3 8B"]
    assert not dialog.button.isEnabled()
    dialog.show()
    dialog.list.setFocus()
    qtbot.keyClick(dialog.list, Qt.Key.Key_Down)
    assert dialog.list.currentRow() == 1  # the heading is passed over
    assert dialog.wish[0] == recommended()[0].source
    assert dialog.button.isEnabled()
    assert "From huggingface.co" in dialog.sum.text()


def test_what_is_typed_is_judged_at_once(qtbot: QtBot, dialog: DownloadDialog) -> None:
    dialog.list.setCurrentRow(2)
    dialog.source.clear()
    qtbot.keyClicks(dialog.source, "owner/na")
    assert dialog.list.currentRow() == -1
    assert "owner/name/file.gguf" in dialog.sum.text()
    assert not dialog.button.isEnabled()
    dialog.source.setText("https://models.example/x.gguf")
    assert "From models.example" in dialog.sum.text()
    assert dialog.button.isEnabled()


def test_a_disk_without_room_is_told_before(dialog: DownloadDialog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_dialog, "room", lambda: 1000)
    dialog.list.setCurrentRow(3)
    assert "There is no room for it" in dialog.sum.text()
    assert not dialog.button.isEnabled()


def test_every_control_has_a_name(dialog: DownloadDialog) -> None:
    assert dialog.list.accessibleName()
    named = {label.text(): label.buddy() for label in dialog.findChildren(QLabel) if label.buddy()}
    assert named == {"&File": dialog.source, "SHA-&256": dialog.sha256}


def test_what_was_downloaded_is_selected(
    qtbot: QtBot, session: Session, jobs: Jobs, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = ModelsPanel(session, jobs)
    qtbot.addWidget(panel)
    panel.show()
    qtbot.waitUntil(lambda: panel.list.count() == 1)
    monkeypatch.setattr(DownloadDialog, "exec", lambda dialog: dialog.source.setText(SOURCE) or 1)
    with qtbot.waitSignal(session.notice_given) as said:
        panel.choose_download()
        assert [job.lane for job in jobs.active] == ["download"]
    assert said.args == ["“tiny-random” is with the other models now."]
    qtbot.waitUntil(lambda: panel.current is not None and panel.current.path == models_folder() / "tiny.gguf")
    panel.save_state()


def test_one_that_was_stopped_is_offered_and_goes_on(qtbot: QtBot, session: Session, jobs: Jobs, hub: Hub) -> None:
    stopped(qtbot, session, jobs, hub)
    dialog = DownloadDialog(session, None)
    qtbot.addWidget(dialog)
    dialog.show()
    assert lines(dialog)[:2] == ["Not finished", f"tiny.gguf\n{dialog._begun_words(unfinished()[0])}"]
    assert "are here already" in lines(dialog)[1]
    dialog.list.setCurrentRow(1)
    assert dialog.wish == (SOURCE, "")
    assert dialog.button.text() == "&Go on"
    assert dialog.discard.isVisible()
    with qtbot.waitSignal(start_download(session, jobs, *dialog.wish).arrived):
        pass
    assert "range" in hub.gets()[-1]
    assert unfinished() == []


def test_one_that_was_stopped_can_go_on_from_the_message(qtbot: QtBot, session: Session, jobs: Jobs, hub: Hub) -> None:
    loading = stopped(qtbot, session, jobs, hub)
    with qtbot.waitSignal(loading.arrived):
        loading.start()
        loading.start()  # twice is once
    assert len(hub.gets()) == 2


def test_one_that_was_stopped_can_be_thrown_away(qtbot: QtBot, session: Session, jobs: Jobs, hub: Hub) -> None:
    stopped(qtbot, session, jobs, hub)
    dialog = DownloadDialog(session, None)
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.list.setCurrentRow(1)
    dialog.discard.click()
    assert lines(dialog)[0] == "Well-known models"
    assert (unfinished(), dialog.wish[0]) == ([], "")
    assert not dialog.discard.isVisible()


def test_a_refusal_can_be_tried_again(qtbot: QtBot, session: Session, jobs: Jobs, hub: Hub) -> None:
    hub.statuses = [(403, {})]
    with qtbot.waitSignal(jobs.job_failed) as failed:
        loading = start_download(session, jobs, SOURCE)
    assert failed.args is not None
    (job,) = failed.args
    assert "HF_TOKEN" in str(job.error)
    with qtbot.waitSignal(loading.arrived):
        job.retry()


def test_what_goes_on_is_not_offered(qtbot: QtBot, session: Session, jobs: Jobs, hub: Hub) -> None:
    hub.pause = threading.Event()
    loading = start_download(session, jobs, SOURCE)
    qtbot.waitUntil(lambda: bool(unfinished()))
    dialog = DownloadDialog(session, None)
    qtbot.addWidget(dialog)
    assert lines(dialog)[0] == "Well-known models"
    assert loading.active
    jobs.close()  # as when the window closes: it does not wait for the server
    assert unfinished()[0].done < len(hub.files[SOURCE])
