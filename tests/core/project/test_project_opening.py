"""Files that are newer, held, write-protected, cut short, foreign or damaged: a sentence, and not one byte changed."""

import hashlib
import os
import random
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from project_material import (
    ADAPTER,
    DATASET_ROWS,
    SENTENCES,
    curate,
    fill,
    make_document,
    make_draft,
    make_fixture,
    make_generated,
    make_item,
    make_passages,
    make_steps,
    make_suite,
    probe,
    tune,
)

from core.errors import UserError
from core.project import backup
from core.project.errors import ProjectDamaged, ProjectLocked, ProjectReadOnly
from core.project.opening import newest_version, restore_file
from core.project.project import Project
from core.project.records import SORTS, Discard, ExampleFilter, PassageMark

FIXTURES = Path(__file__).parents[2] / "data" / "projects"
Child = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed project with something of everything in it."""
    folder = tmp_path / "projects"
    folder.mkdir()
    make_fixture(folder / "test.elenchus")
    return folder / "test.elenchus"


def contents(folder: Path) -> dict[str, str]:
    """Every file of the folder and its bytes' hash."""
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.is_file()}


def read_everything(project: Project) -> None:
    """Calls every method that reads."""
    for document in project.documents():
        project.document(document.id)
        project.document_outline(document.id)
        for number in range(1, document.pages + 1):
            project.page(document.id, number)
    for passage in project.passages():
        project.passage(passage.id)
    for run in project.runs():
        project.run(run.id)
        project.done_slots(run.id)
        project.answered(run.id)
        project.done_items(run.id)
        project.tuning_points(run.id)
        project.tuning_samples(run.id)
        project.rationales_of_run(run.id)
        project.scores_of_run(run.id)
        project.scored(run.id)
    for dataset in project.datasets():
        project.dataset_rows(dataset.id)
    for adapter in project.adapters():
        project.adapter_file(adapter.id)
    for pick in project.picks():
        project.pick_rows(pick.id)
    project.passage_marks()
    project.scores("rubric")
    project.probed_stems()
    project.suites()
    project.discards()
    project.vectors("ab" * 32, ["cd" * 32])
    project.last_unfinished_run("ask")
    for sort in SORTS:
        list(project.iter_examples(ExampleFilter(sort=sort)))
    for id, _ in list(project.questions())[:2]:
        project.example(id)
        project.reviews(id)
        project.rationales(id)
    project.count(ExampleFilter(rationale=True, rationale_run=1, pick_id=1))
    project.count(ExampleFilter(text="ada", state="draft", failed_check="leak"))
    project.counts()


def write_everything(project: Project) -> None:
    """Calls every method that writes."""
    run_id = fill_again(project)
    project.set_state(project.example_ids(), "rejected", "all")
    for id in project.example_ids()[:2]:
        project.rate(id, 2)
        project.edit_example(id, question="Which?", answer="That.", choices=["this", "that"])
    for step in [project.undo] * 6 + [project.redo] * 6:
        step()
    project.finish_run(run_id, "finished", {})
    project.add_vectors("ef" * 32, {"cd" * 32: bytes(8)})


def fill_again(project: Project) -> int:
    document = project.add_document(make_document("again"), make_passages(), 1200, 200)
    document = project.recut(document.id, make_passages(), 900, 100)
    project.remove_document(document.id)
    run_id = project.start_run(project.runs()[0].request)
    passage = project.passages()[0].id
    project.add_example(run_id, make_draft(1, passage))
    project.add_example(run_id, make_generated(1))
    project.add_discard(run_id, Discard(passage, 2, "factual", "no"))
    probe(project)
    project.remove_suite(project.add_suite(make_suite("again")))
    curate(project)
    project.remove_pick(project.picks()[-1].id)
    project.rename_dataset(project.add_dataset("again", {}, []).id, "twice")
    project.remove_dataset(project.dataset("twice").id)
    tune(project, project.path.parent)
    for adapter in project.adapters():
        project.set_adapter_scale(adapter.id, 0.5)
        project.rename_adapter(adapter.id, f"again {adapter.id}")
        project.remove_adapter(adapter.id)
    project.resume_run(run_id)
    return run_id


@pytest.mark.parametrize("fixture", sorted(FIXTURES.glob("*.elenchus")), ids=lambda path: path.stem)
def test_every_released_format_opens(fixture: Path, tmp_path: Path) -> None:
    path = tmp_path / fixture.name
    shutil.copyfile(fixture, path)
    generated = int(fixture.stem.removeprefix("format-")) >= 3  # then there are examples without a passage, and probes
    before = contents(tmp_path)
    with Project.open(path, read_only=True) as project:
        read_everything(project)
        assert project.counts() == {"draft": 3 + generated, "accepted": 2, "rejected": 1, "quarantined": 1}
    assert contents(tmp_path) == before
    with Project.open(path) as project:
        assert project.version == newest_version()
        assert [document.title for document in project.documents()] == ["The one", "broken.pdf"]
        assert project.page(1, 1).words[1].rectangle.y1 == 92.12
        assert project.example(1).question == "Where was Ada Korel born, in which city?"
        assert project.example(1).draft_question == "Question 0: where was Ada Korel born?"
        evidence = project.example(2).evidence
        assert evidence is not None
        assert evidence.text == SENTENCES[1]
        assert project.example(7).reason == "Its evidence does not stand on page 1 word for word."
        if generated:
            example = project.example(8)
            assert (example.passage_id, example.document_id, example.context) == (None, None, make_generated(0).context)
            first, second = project.answered(next(run.id for run in project.runs() if run.request.kind == "probe"))
            assert (first.item, second.item) == (make_item("one"), make_item("two"))
            assert first.responses["baseline", 0].scores == (-0.5, -1.25)
            assert not second.responses
            assert replace(project.suites()[0], id=0) == make_suite()
        if int(fixture.stem.removeprefix("format-")) >= 4:
            run, dataset = project.runs()[-1], project.dataset("accepted")
            assert (run.request.kind, run.request.settings["dataset"]["sha256"]) == ("tune", dataset.sha256)
            assert project.dataset_rows(dataset.id) == list(DATASET_ROWS)
            assert [point.held_out for point in project.tuning_points(run.id)] == [3.5, None, 2.0]
            assert [sample.text for sample in project.tuning_samples(run.id)] == ["Işık", "Light."]
            assert project.adapter_file(project.adapter("brief").id).read_bytes() == ADAPTER
        if int(fixture.stem.removeprefix("format-")) >= 5:
            made, brief = project.rationales(1)
            assert (made.steps, project.example(1).rationale_draft) == (make_steps(), made.id)
            assert (brief.instruction, project.example(2).rationale) == ("Be brief.", make_steps(1))
            assert {id: score.value for id, score in project.scores("rubric").items()} == {1: 4.25, 2: 1.5}
            assert [row.example_id for row in project.pick_rows(project.pick("best").id)] == [1, 2]
            assert project.passage_marks() == {1: PassageMark(1, 1, 0.75, True)}
        assert project.redo() == "Edit 1 question"
        assert project.example(2).answer == "undone"
        write_everything(project)


def table(path: Path, name: str) -> list[tuple]:
    """The rows as they lie in the file; those of `examples` without the columns that newer formats added."""
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    newer = {"context", "rationale", "rationale_draft", "rejected", "origin"}
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})") if row[1] not in newer]
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY 1, 2").fetchall()
    connection.close()
    return rows


def test_examples_move_whole_from_format_2_to_3(tmp_path: Path) -> None:
    path = tmp_path / "old.elenchus"
    shutil.copyfile(FIXTURES / "format-2.elenchus", path)
    connection = apsw.Connection(str(path))
    connection.execute("UPDATE sqlite_sequence SET seq = 40 WHERE name = 'examples'")  # as if the last had been deleted
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    connection.close()
    kept = [name for name in names if name != "sqlite_sequence"]
    before = {name: table(path, name) for name in kept}
    assert all(before[name] for name in ("examples", "evidence", "checks", "actions", "changes", "folded"))
    with Project.open(path) as project:
        assert project.version >= 3
        assert [example.context for example in project.iter_examples()] == [()] * 7
        connection = project._file.connection
        assert connection.pragma("foreign_keys") == 1
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        lists = {name: connection.execute(f"PRAGMA foreign_key_list({name})").fetchall() for name in kept}
        referring = {name for name, keys in lists.items() if any(key[2] == "examples" for key in keys)}
        assert referring >= {"evidence", "checks", "changes", "folded"}  # and none to the table it was made from
    after = {name: table(path, name) for name in kept}
    changed = {name for name in kept if after[name] != before[name]}
    assert changed == {"runs"}  # one is found interrupted
    with Project.open(path) as project:
        assert project.add_example(1, make_draft(50)) == 41  # no id is given twice
        project.undo()
        assert project.reviews(1)


def test_there_is_a_fixture_of_the_newest_format() -> None:
    assert (FIXTURES / f"format-{newest_version()}.elenchus").exists()


def test_newer_file_is_read_only_and_unchanged(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("ALTER TABLE examples ADD COLUMN topic TEXT; CREATE TABLE tags (name TEXT)")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    before = contents(path.parent)
    with Project.open(path) as project:
        assert project.read_only
        assert project.version == 99
        assert "newer version" in project.notice
        read_everything(project)
        with pytest.raises(ProjectReadOnly, match="Nothing was changed"):
            project.rate(1, 3)
    assert contents(path.parent) == before


def test_newer_file_without_a_known_column_says_so(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("ALTER TABLE examples DROP COLUMN attempts; PRAGMA user_version = 99")
    connection.close()
    with Project.open(path) as project, pytest.raises(UserError, match="newer version"):
        project.example(1)


def test_second_instance_is_told_and_may_read(child: Child, tmp_path: Path) -> None:
    path = tmp_path / "held.elenchus"
    with Project.create(path) as project:
        fill(project)
    holder = child("hold", path)
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "open False\n"
    before = contents(tmp_path)
    with pytest.raises(ProjectLocked, match="another window"):
        Project.open(path)
    with Project.open(path, read_only=True) as project:
        assert project.read_only
        assert project.count() == 4
        assert contents(tmp_path) == before
        holder.stdin.write("50\n")
        holder.stdin.flush()
        assert holder.stdout.readline()  # the writer is not held up
        assert project.count() == 5  # and the reader sees what it did
        assert len(list(project.iter_examples())) == 5
    holder.stdin.close()
    assert holder.wait() == 0
    with Project.open(path) as project:
        assert not project.read_only
    assert [file.name for file in tmp_path.glob("held*")] == ["held.elenchus"]


def test_opened_twice_in_one_process(path: Path) -> None:
    newest = backup.newest_backup(path)
    assert newest is not None
    with Project.open(path):
        with pytest.raises(ProjectLocked):
            Project.open(path)
        with pytest.raises(ProjectLocked):
            restore_file(newest, path)


def test_two_projects_at_once(tmp_path: Path) -> None:
    with Project.create(tmp_path / "a.elenchus") as one, Project.create(tmp_path / "b.elenchus") as two:
        fill(one, 3)
        fill(two, 1)
        assert (one.count(), two.count()) == (3, 1)


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that any user of the system may enter."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        yield folder


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
@pytest.mark.parametrize("protected", ["file", "folder"])
def test_write_protected(child: Child, path: Path, public_folder: Path, protected: str) -> None:
    folder = public_folder / "inner"
    folder.mkdir()
    copy = folder / "test.elenchus"
    shutil.copyfile(path, copy)
    if protected == "file":
        folder.chmod(0o777)
        copy.chmod(0o444)
    else:
        copy.chmod(0o666)
        folder.chmod(0o555)
    before = contents(folder)
    output = child("describe", copy).communicate()[0]
    folder.chmod(stat.S_IRWXU)
    assert output.startswith("True 4 ")
    assert "for reading only because" in output
    assert contents(folder) == before


def make_hot(path: Path, folder: Path) -> Path:
    """A copy of the project as a crash in the middle of a commit leaves it: half written, with its journal."""
    folder.mkdir()
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA cache_size = 1; PRAGMA cache_spill = 1; BEGIN")
    connection.execute("UPDATE examples SET question = 'half written', draft_answer = zeroblob(5000) || 'x'")
    connection.execute("UPDATE pages SET text = 'half written'")
    shutil.copyfile(path, folder / path.name)
    shutil.copyfile(f"{path}-journal", folder / f"{path.name}-journal")
    connection.execute("ROLLBACK")
    connection.close()
    return folder / path.name


def test_cut_short_file_is_read_without_touching_it(path: Path, tmp_path: Path) -> None:
    hot = make_hot(path, tmp_path / "hot")
    assert b"half written" in hot.read_bytes()
    before = contents(hot.parent)
    with Project.open(hot, read_only=True) as project:
        assert project.example(2).question == "Question 1: where was Ada Korel born?"
        assert project.page(1, 1).text.startswith("Ada")
    assert contents(hot.parent) == before
    with Project.open(hot) as project:
        assert project.example(2).question == "Question 1: where was Ada Korel born?"
    assert [file.name for file in hot.parent.iterdir()] == [hot.name]


def test_journal_that_names_another_file_is_refused(path: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    name = str(victim).encode()
    tail = struct.pack(">I", 2) + name + struct.pack(">II", len(name), sum(name)) + bytes.fromhex("d9d505f920a163d7")
    hot = make_hot(path, tmp_path / "hot")
    with open(f"{hot}-journal", "ab") as journal:
        journal.write(tail)
    with pytest.raises(ProjectDamaged, match="journal"):
        Project.open(hot)
    assert victim.exists()


FOREIGN = {
    "trigger": "CREATE TRIGGER t AFTER INSERT ON examples BEGIN UPDATE examples SET answer = 'x'; END",
    "view": "CREATE VIEW v AS SELECT * FROM examples",
    "table": "CREATE TABLE t (a)",
    "index": "CREATE INDEX i ON examples (answer)",
    "virtual table": "CREATE VIRTUAL TABLE f USING fts5(a)",
    "other column": "ALTER TABLE examples ADD COLUMN extra TEXT",
    "missing index": "DROP INDEX examples_by_state",
    "statistics": "ANALYZE",
}


@pytest.mark.parametrize("sql", FOREIGN.values(), ids=FOREIGN.keys())
def test_foreign_schema_is_refused(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()
    before = contents(path.parent)
    for read_only in (True, False):
        with pytest.raises(ProjectDamaged, match="not as Elenchus makes it"):
            Project.open(path, read_only)
    assert contents(path.parent) == before


@pytest.mark.parametrize("sql", [FOREIGN["trigger"], FOREIGN["view"], FOREIGN["virtual table"]])
def test_foreign_schema_is_refused_in_a_newer_file(path: Path, sql: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(f"{sql}; PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ProjectDamaged, match="not as Elenchus makes it"):
        Project.open(path)


@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7\n" * 200, b"SQLite format 3\0" + b"\0" * 600], ids=["empty", "pdf", "zeros"]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.elenchus"
    path.write_bytes(content)
    with pytest.raises(ProjectDamaged, match="no backup of it was found"):
        Project.open(path)
    assert path.read_bytes() == content


def test_other_databases_are_refused(tmp_path: Path, path: Path) -> None:
    other = tmp_path / "other.elenchus"
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE examples (id)")
    connection.close()
    with pytest.raises(ProjectDamaged, match="another program"):
        Project.open(other)
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    before = contents(path.parent)
    for read_only in (True, False):
        with pytest.raises(ProjectDamaged, match="journal format"):
            Project.open(path, read_only)
    assert contents(path.parent) == before


def test_missing_folder_and_existing_files(tmp_path: Path, path: Path) -> None:
    with pytest.raises(UserError, match="There is no project file"):
        Project.open(tmp_path / "nowhere.elenchus")
    with pytest.raises(UserError, match="There is no project file"):
        Project.open(tmp_path)
    with pytest.raises(UserError, match="exists already"):
        Project.create(path)
    (tmp_path / "new.elenchus-journal").write_bytes(b"of another project")
    with pytest.raises(UserError, match="earlier project"):
        Project.create(tmp_path / "new.elenchus")


def test_damaged_file_points_to_its_backup(path: Path) -> None:
    newest = backup.newest_backup(path)
    assert newest is not None
    good = path.read_bytes()
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(ProjectDamaged, match=newest.name):
        Project.open(path)
    kept = restore_file(newest, path)
    assert kept is not None
    assert kept.read_bytes() == good[: len(good) // 2]
    with Project.open(path) as project:
        read_everything(project)


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The file with some of its bytes changed, in one of the ways in which files go bad."""
    page, pages = 4096, len(data) // 4096
    changed = bytearray(data)
    way = chance.randrange(8)
    if way == 0:  # single bits, anywhere
        for _ in range(chance.choice((1, 1, 2, 8, 64))):
            changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif way == 1:  # bytes of the header
        for _ in range(chance.randint(1, 3)):
            changed[chance.randrange(100)] = chance.randrange(256)
    elif way == 2:  # the schema and the heads of pages
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(pages) * page + chance.randrange(12)] = chance.randrange(256)
    elif way == 3:  # cut short
        del changed[chance.randrange(len(data)) :]
    elif way == 4:  # a page of zeros, or of noise
        start = chance.randrange(pages) * page
        changed[start : start + page] = chance.choice((bytes(page), chance.randbytes(page)))
    elif way == 5:  # two pages exchanged
        one, two = chance.randrange(pages) * page, chance.randrange(pages) * page
        changed[one : one + page], changed[two : two + page] = data[two : two + page], data[one : one + page]
    elif way == 6:  # text that is no longer UTF-8, and JSON that is no longer JSON
        for _ in range(chance.randint(1, 20)):
            position = chance.randrange(len(data))
            if chr(data[position]).isalnum() or data[position] in b'[]{}",:':
                changed[position] = chance.choice((0xFF, 0x80, 0, ord("["), ord('"'), ord("9")))
    else:  # a run of noise
        start, length = chance.randrange(len(data)), chance.randint(1, 200)
        changed[start : start + length] = chance.randbytes(length)
    return bytes(changed)


def try_file(path: Path, data: bytes) -> bool:
    """Opens the bytes as a project, reads and writes all; only a UserError may come; returns whether none did."""
    path.write_bytes(data)
    try:
        with Project.open(path, read_only=True) as project:
            read_everything(project)
    except UserError:
        pass
    assert path.read_bytes() == data
    try:
        project = Project.open(path)
    except UserError:
        assert path.read_bytes() == data
        return False
    with project:
        try:
            if not project.read_only:
                project._file.connection.pragma("synchronous", "OFF")  # what reaches the disk is tested elsewhere
                write_everything(project)
        except UserError:
            return False
    return True


def run_mutations(path: Path, folder: Path, times: int, seed: int) -> int:
    data, chance, refused = path.read_bytes(), random.Random(seed), 0
    for number in range(times):
        changed = mutated(data, chance)
        try:
            refused += not try_file(folder / "mutated.elenchus", changed)
        except Exception as error:
            (folder / f"mutant {number}.elenchus").write_bytes(changed)
            raise AssertionError(f"mutation {number}: {error!r}") from error
    assert [file.name for file in folder.glob("mutated*")] == ["mutated.elenchus"]
    return refused


def test_mutated_files(path: Path, tmp_path: Path) -> None:
    times = 1000 if os.environ.get("CI") else 100
    assert times / 4 < run_mutations(path, tmp_path, times, seed=4) < times


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_10000_mutated_files(path: Path, tmp_path: Path, seed: int) -> None:
    run_mutations(path, tmp_path, 1000, 100 + seed)
