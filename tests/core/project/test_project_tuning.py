"""Datasets, curves and adapters in the project file; and what a stranger's file may say of them."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from project_material import ADAPTER, DATASET_ROWS, make_settings, tune

from core.errors import UserError
from core.project import tuning
from core.project.errors import ProjectDamaged, ProjectReadOnly
from core.project.project import Project
from core.project.tuning import TuningPoint, TuningSample


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed project with a tuning run in it."""
    path = tmp_path / "test.elenchus"
    with Project.create(path) as project:
        tune(project, tmp_path)
    return path


def change(path: Path, sql: str, *values: object) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql, values)  # type: ignore[arg-type]
    connection.close()


def test_same_rows_are_one_dataset_and_a_taken_name_is_numbered(path: Path) -> None:
    with Project.open(path) as project:
        told: list[tuple[str, list[int]]] = []
        project.changed.append(lambda table, ids: told.append((table, ids)))
        (there,) = project.datasets()
        assert (there.rows, there.held_out, there.recipe["what"]) == (2, 1, "accepted")
        assert project.add_dataset("other", {}, DATASET_ROWS) == there
        other = project.add_dataset("accepted", {}, DATASET_ROWS[:1])
        assert other.name == "accepted (2)"
        assert project.dataset_rows(other.id) == [DATASET_ROWS[0]]
        turned = [replace(row, split="train" if row.held_out else "validation") for row in DATASET_ROWS]
        assert project.add_dataset("turned", {}, turned).sha256 not in (there.sha256, other.sha256)
        assert [table for table, _ in told] == ["datasets"] * 3
        with pytest.raises(
            UserError, match=r"“mine” in test.elenchus. There are: “accepted”, “accepted \(2\)”, “turne"
        ):
            project.dataset("mine")


def test_steps_made_again_take_the_place_of_the_old(path: Path) -> None:
    with Project.open(path) as project:
        run_id = project.runs()[-1].id
        project.add_tuning_steps(run_id, [TuningPoint(2, 1.0, 1.5, held_out=1.25), TuningPoint(3, 1.5, 1.0)])
        project.add_tuning_samples(run_id, [TuningSample(2, 0, "Lamp."), TuningSample(2, 1, "Four.")])
        assert [(p.step, p.loss, p.held_out) for p in project.tuning_points(run_id)] == [
            (0, None, 3.5),
            (1, 2.25, None),
            (2, 1.5, 1.25),
            (3, 1.0, None),
        ]
        texts = [(sample.step, sample.text) for sample in project.tuning_samples(run_id)]
        assert texts == [(0, "Işık"), (2, "Lamp."), (2, "Four.")]


def test_adapter_is_kept_named_and_removed(path: Path, tmp_path: Path) -> None:
    with Project.open(path) as project:
        adapter = project.adapter("brief")
        assert (adapter.size, adapter.rank, adapter.alpha, adapter.scale, adapter.path) == (16, 16, 32.0, 1.0, "")
        assert (adapter.base_name, adapter.base_sha256) == ("Small", "ab" * 32)
        assert adapter.sha256 == hashlib.sha256(ADAPTER).hexdigest()
        file = project.adapter_file(adapter.id)
        file.write_bytes(b"meddled with")
        assert project.adapter_file(adapter.id).read_bytes() == ADAPTER
        project.set_adapter_scale(adapter.id, 0.5)
        project.rename_adapter(adapter.id, "curt")
        assert project.adapter(adapter.id).scale == 0.5
        (tmp_path / "a.gguf").write_bytes(b"another")
        other = project.add_adapter(adapter.run_id, "curt", tmp_path / "a.gguf", 1, None, 8, 8.0)
        assert (other.name, other.best_loss) == ("curt (2)", None)
        with pytest.raises(UserError, match="called “curt” already"):
            project.rename_adapter(other.id, "curt")
        project.rename_adapter(other.id, " kısa\r\nve \x1b[31möz\u2028")
        assert project.adapter(other.id).name == "kısa ve [31möz"
        project.rename_adapter(other.id, "curt (2)")
        project.remove_adapter(adapter.id)
        with pytest.raises(UserError, match=r"no adapter “curt” in .* There are: “curt \(2\)”"):
            project.adapter("curt")


def test_large_adapter_lies_beside_the_project(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "LARGEST_INSIDE", 20)
    with Project.open(path) as project:
        run_id = project.runs()[-1].id
        (tmp_path / "large.gguf").write_bytes(b"large" * 100)
        adapter = project.add_adapter(run_id, "large", tmp_path / "large.gguf", 1, None, 8, 8.0)
        file = project.adapter_file(adapter.id)
        assert file == tmp_path / "test.elenchus.adapters" / f"{adapter.sha256}.gguf"
        assert file.read_bytes() == b"large" * 100
        file.write_bytes(b"other" * 100)
        with pytest.raises(UserError, match="changed since it was kept"):
            project.adapter_file(adapter.id)
        project.remove_adapter(adapter.id)
        assert file.exists()  # it is not what was kept
        file.unlink()
        again = project.add_adapter(run_id, "large", tmp_path / "large.gguf", 1, None, 8, 8.0)
        twin = project.add_adapter(run_id, "twin", tmp_path / "large.gguf", 2, None, 8, 8.0)
        project.remove_adapter(again.id)
        assert project.adapter_file(twin.id) == file
        project.remove_adapter(twin.id)
        assert not file.parent.exists()


def test_adapter_beside_that_is_gone_is_said(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "LARGEST_INSIDE", 0)
    with Project.open(path) as project:
        (tmp_path / "large.gguf").write_bytes(b"large")
        adapter = project.add_adapter(project.runs()[-1].id, "large", tmp_path / "large.gguf", 1, None, 8, 8.0)
        project.adapter_file(adapter.id).unlink()
        with pytest.raises(UserError, match="move the folder beside it too"):
            project.adapter_file(adapter.id)


@pytest.mark.parametrize("name", ["../victim.gguf", "/victim.gguf", "victim.gguf", "..", "a\\b.gguf"])
def test_paths_of_a_stranger_are_neither_read_nor_removed(path: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "test.elenchus.adapters"
    folder.mkdir()
    victims = [tmp_path / "victim.gguf", folder / "victim.gguf"]
    for victim in victims:
        victim.write_bytes(ADAPTER)  # even with the right checksum
    change(path, "UPDATE adapters SET path = ?, content = NULL", name)
    with Project.open(path) as project:
        (adapter,) = project.adapters()
        with pytest.raises(ProjectDamaged):
            project.adapter_file(adapter.id)
        project.remove_adapter(adapter.id)
        assert project.adapters() == []
    assert all(victim.exists() for victim in victims)


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_links_of_a_stranger_are_not_followed(path: Path, tmp_path: Path, linked: str) -> None:
    name = f"{hashlib.sha256(ADAPTER).hexdigest()}.gguf"
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "test.elenchus.adapters"
    elsewhere.mkdir()
    (elsewhere / name).write_bytes(ADAPTER)
    try:
        if linked == "folder":
            folder.symlink_to(elsewhere, target_is_directory=True)
        else:
            folder.mkdir()
            (folder / name).symlink_to(elsewhere / name)
    except OSError:
        pytest.skip("this account may not make links")
    change(path, "UPDATE adapters SET path = ?, content = NULL", name)
    with Project.open(path) as project:
        (adapter,) = project.adapters()
        with pytest.raises(UserError, match="is not there"):
            project.adapter_file(adapter.id)
        project.remove_adapter(adapter.id)
    assert (elsewhere / name).exists()


HOSTILE: dict[str, tuple[str, Callable[[Project], object]]] = {
    "no checksum": ("UPDATE adapters SET sha256 = '../../x'", lambda p: p.adapters()),
    "infinite scale": ("UPDATE adapters SET scale = 9e999", lambda p: p.adapters()),
    "other content": ("UPDATE adapters SET content = x'00'", lambda p: p.adapter_file(1)),
    "no content": ("UPDATE adapters SET content = NULL", lambda p: p.adapter_file(1)),
    "recipe": ("UPDATE datasets SET recipe = '[]'", lambda p: p.datasets()),
    "no conversation": ("UPDATE dataset_rows SET content = '{\"messages\":[]}'", lambda p: p.dataset_rows(1)),
    "no text": (
        'UPDATE dataset_rows SET content = \'{"messages":[["user", 5]],"answer":"a"}\'',
        lambda p: p.dataset_rows(1),
    ),
    "another role": (
        'UPDATE dataset_rows SET content = \'{"messages":[["root", "a"],["user","b"]]}\'',
        lambda p: p.dataset_rows(1),
    ),
}


@pytest.mark.parametrize(("sql", "read"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_values_are_damage(path: Path, sql: str, read: Callable[[Project], object]) -> None:
    cached = list(tuning.paths.cache_folder().rglob("*.gguf"))
    for file in cached:
        file.unlink()
    change(path, sql)
    with Project.open(path) as project, pytest.raises(ProjectDamaged):
        read(project)


def test_figures_that_are_no_numbers_are_left_out_and_names_lead_nowhere(path: Path) -> None:
    change(path, "UPDATE tuning_steps SET loss = -9e999, gradient = 9e999, held_out = 9e999")
    change(path, "UPDATE adapters SET name = ?", "../../../<b>\0x</b>" + "y" * 300)
    with Project.open(path) as project:
        points = project.tuning_points(project.runs()[-1].id)
        assert {(point.loss, point.gradient, point.held_out) for point in points} == {(None, 0.0, None)}
        file = project.adapter_file(1)
        assert file.parent.parent == tuning.paths.cache_folder() / "adapters"
        assert file.read_bytes() == ADAPTER


def test_nothing_is_kept_in_what_is_open_to_be_read(path: Path, tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(ADAPTER)
    with Project.open(path, read_only=True) as project:
        assert project.adapter_file(1).read_bytes() == ADAPTER
        with pytest.raises(ProjectReadOnly):
            project.add_adapter(1, "more", tmp_path / "a.gguf", 1, None, 8, 8.0)
        with pytest.raises(ProjectReadOnly):
            project.add_dataset("more", {}, DATASET_ROWS)


def test_older_format_has_none(tmp_path: Path) -> None:
    with Project.create(tmp_path / "new.elenchus") as project:
        project.version = 3  # as one that could not be migrated, since it may only be read
        run_id = project.start_run(make_settings("tune"))
        assert (project.datasets(), project.dataset_rows(1), project.adapters()) == ([], [], [])
        assert (project.tuning_points(run_id), project.tuning_samples(run_id)) == ([], [])
