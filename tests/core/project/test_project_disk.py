"""A full disk and a power loss: the file is whole, what was promised is in it, and trying again works."""

import random
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from project_material import fill, make_document, make_draft, make_passages
from project_vfs import FullDisk, RecordingDisk, Remains, default_vfs

from core.errors import UserError
from core.project import backup, opening
from core.project.errors import DiskFull
from core.project.project import Project


@pytest.fixture
def disk() -> Iterator[FullDisk]:
    disk = FullDisk("full")
    with default_vfs(disk, "full"):
        yield disk
        disk.room = 1 << 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "full.elenchus"
    with Project.create(path) as project:
        fill(project)
    return path


def is_whole(path: Path) -> bool:
    with Project.open(path) as project:
        return project._file.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_full_while_writing(disk: FullDisk, path: Path) -> None:
    refused, kept, slots = [], 4, count(100)
    with Project.open(path) as project:
        for room in range(0, 60_000, 1500):
            disk.room = room
            try:
                for _ in range(20):
                    project.add_example(1, make_draft(next(slots)))
                    kept += 1
                project.add_document(make_document(str(room), 30), make_passages(30), 1200, 200)
            except DiskFull as error:
                refused.append(str(error))
            assert project.count() == kept
        assert len(refused) > 20
        assert all("Nothing saved before is lost" in sentence for sentence in refused)
        disk.room = 1 << 40
        project.add_example(1, make_draft(next(slots)))
        assert project.count() == kept + 1
    assert is_whole(path)


def test_full_while_making_a_project(disk: FullDisk, tmp_path: Path) -> None:
    path = tmp_path / "new.elenchus"
    for room in range(0, 100_000, 20_000):
        disk.room = room
        with pytest.raises(DiskFull):
            Project.create(path)
        assert list(tmp_path.glob("new*")) == []
    disk.room = 1 << 40
    Project.create(path).close()


def test_full_while_backing_up(disk: FullDisk, path: Path) -> None:
    with Project.open(path) as project:
        project._backups.wait()
        arguments = (project._file.connection, project.path, project.id)
        good = backup.back_up(*arguments)
        for room in range(0, path.stat().st_size, 10_000):
            disk.room = room
            with pytest.raises(Exception, match="full"):
                backup.back_up(*arguments)
            assert backup.newest_backup(path) == good
            assert list(good.parent.glob("*.partial")) == []
        disk.room = 60_000  # enough for the change, not for a copy of the whole
        project._backups._last = 0.0  # as if the last one were old
        project.rate(1, 3)
        project._backups.wait()
        assert "failed" in project.backup_problem  # and the work went on
        assert project.example(1).rating == 3
        disk.room = 1 << 40
        newest = backup.back_up(*arguments)
    shutil.copyfile(newest, path)
    assert is_whole(path)


def test_full_while_migrating(disk: FullDisk, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(opening.MIGRATIONS, folder)
    number = opening.newest_version() + 1
    (folder / f"{number:04}_copy.sql").write_text(
        "CREATE TABLE copies (id INTEGER PRIMARY KEY, text TEXT NOT NULL, more BLOB NOT NULL) STRICT;\n"
        "INSERT INTO copies SELECT id, question, zeroblob(30000) FROM examples;\n"
    )
    monkeypatch.setattr(opening, "MIGRATIONS", folder)
    size = path.stat().st_size
    for room in (0, size // 2, size + 20_000, size + 60_000, size + 100_000):
        disk.room = room
        with pytest.raises(DiskFull, match="Free some room"):
            Project.open(path)
        assert opening._read_version(path) == number - 1
    disk.room = 1 << 40
    with Project.open(path) as project:
        assert project.version == number
        assert project.count() == 4
    assert is_whole(path)


def record_work(tmp_path: Path) -> tuple[Path, bytes, RecordingDisk]:
    """Works on a project and returns where it was, how it was before, and what the disk saw."""
    path = tmp_path / "power.elenchus"
    with Project.create(path) as project:
        fill(project, 2)
    before, disk = path.read_bytes(), RecordingDisk("recording")
    with default_vfs(disk, "recording"), Project.open(path) as project:
        project._backups._last = float("inf")  # no backups: their files are not the project's
        for slot in range(100, 108):
            disk.acknowledge(f"slot {project.add_example(1, make_draft(slot)) and slot}")
        project.set_state([1, 2], "accepted")
        disk.acknowledge("accepted")
        project.add_document(make_document("two", 40), make_passages(40), 1200, 200)
        disk.acknowledge("document")
        project.undo()
        disk.acknowledge("undone")
    return path, before, disk


def holds(project: Project, promised: list[str]) -> bool:
    """Whether the file is whole and has all that was promised; what was under way may be there or not."""
    slots = {f"slot {slot}" for _, slot in project.done_slots(1)}
    states = {project.example(id).state for id in (1, 2)}
    if "undone" in promised:
        expected = states == {"draft"}
    elif "accepted" in promised and "document" not in promised:
        expected = states == {"accepted"}
    else:
        expected = len(states) == 1  # both or neither
    return (
        expected
        and {promise for promise in promised if promise.startswith("slot")} <= slots
        and len(project.passages(2)) == (40 if len(project.documents()) == 2 else 0)
        and ("document" not in promised or len(project.documents()) == 2)
        and project._file.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    )


def lose_power(tmp_path: Path, states: int) -> int:
    """Replays the work up to so many points, and opens what a power loss there leaves; returns how many there were."""
    path, before, disk = record_work(tmp_path)
    chance, remains, promised, tried = random.Random(3), Remains({str(path): before}), [], 0
    ways = ((None, 1.0), (chance, 0.0), (chance, 0.5), (chance, 0.9))
    points = set(range(len(disk.events)))
    if states < len(points) * len(ways):
        points = set(chance.sample(sorted(points), states // len(ways) + 1))
    for number, event in enumerate(disk.events):
        if number in points:
            for way in ways:
                folder = tmp_path / f"state {tried}"
                folder.mkdir()
                remains.written(folder, *way)
                with Project.open(folder / path.name) as project:
                    assert holds(project, promised), f"event {number} of {len(disk.events)}, {way}"
                shutil.rmtree(folder)
                tried += 1
        remains.play(event)
        if event.what == "ack":
            promised.append(event.path)
    return tried


def test_power_loss(tmp_path: Path) -> None:
    assert lose_power(tmp_path, 100) >= 100


@pytest.mark.slow
def test_power_loss_at_every_point(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tried = lose_power(tmp_path, 1_000_000)
    assert tried >= 500
    with capsys.disabled():
        print(f"\npower lost in {tried} states, 0 corrupt, 0 lost")


def test_a_disk_error_is_a_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(opening, "_check_companions", broken)
    with pytest.raises(UserError, match="Input/output error"):
        Project.open(path)
