"""Writes a project's examples as a training set, after checking once more that their evidence is verbatim."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from io import StringIO
from itertools import chain, islice
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.exchange import card, files, formats, trainers
from core.exchange.formats import Line
from core.project.project import Project
from core.project.records import WITHOUT_EVIDENCE, Evidence, Example, ExampleFilter
from core.project.tuning import SPLITS, Dataset, DatasetRow

_REPORT_EVERY = 500  # rows between two reports of progress


@dataclass
class Exported:
    """What an export wrote so far. `quarantined` are examples whose evidence no longer stands in the document."""

    path: Path
    card: Path
    rows: int = 0
    quarantined: int = 0
    total: int = 0
    lacking: int = 0  # left out of pairs, for want of a worse answer
    kinds: Counter[str] = field(default_factory=Counter)
    documents: Counter[int] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    runs: set[int] = field(default_factory=set)
    edited: int = 0  # by hand
    run: int | None = None  # only this one was asked for, with what it mixes in
    mixed: int = 0  # of the rows: those that it mixes in
    dataset: Dataset | None = None  # only its rows were asked for
    pick: str = ""  # only what this pick chose
    shape: str = ""  # what a row looks like, where the format leaves it open
    configs: tuple[Path, ...] = ()  # written beside it, for other tools

    @property
    def together(self) -> str:
        """The sides of a dataset that lie in one file, such as “23 train, 3 test”; empty where there are not several.

        A folder has a file for each.
        """
        if self.card.parent == self.path or len(self.splits) < 2:
            return ""
        return ", ".join(f"{self.splits[side]:,} {side}" for side in SPLITS if self.splits[side])


def export(
    project: Project,
    out: Path,
    format: str,
    state: str = "accepted",
    plain: bool = False,
    run: int | None = None,
    dataset: str | None = None,
    pick: int | str | None = None,
    split: str | None = None,
    shape: str = "messages",
    guard: bool = True,
    configs: Sequence[str] = (),
) -> Generator[Exported, None, None]:
    """Streams rows to a file, one JSON object a line, CSV or Parquet, or to a folder; with a dataset card.

    The rows are the examples of a state; with `run` those of one run, and what it mixes in: see `mixture`; with `pick`
    what it chose; with `dataset` its rows, or those of one `split`. `shape` is what the rows of Parquet and of a folder
    look like; `guard` makes the formulas of a CSV file harmless; `configs` are the tools for which a configuration is
    written beside the export; `plain` leaves out the key "elenchus" with its provenance.

    Yields the counts as they grow and once at the end. Nothing is at `out` until all of it is. An example whose
    evidence, or what its steps cite, fails is left out, counted and, unless the project is read-only, quarantined.
    Raises UserError when there is nothing to export, no such run, dataset or pick, or the file cannot be written.
    """
    shape = _shape(format, shape)
    if configs:
        trainers.check_tools(tuple(configs), shape)
    folder = format == "folder"
    done = Exported(out, out / "README.md" if folder else out.parent / f"{out.name}.card.md", run=run, shape=shape)
    _refuse_to_overwrite(project, done, folder)
    lines = _Lines(project, done, state, run, dataset, pick, split, plain)
    failed: list[int] = []
    with files.whole(out, folder) as partial:
        with _writer(partial, format, shape, plain, guard) as write:
            for line, sound in lines:
                if not sound:
                    assert line.example is not None
                    failed.append(line.example.id)
                    done.quarantined += 1
                elif shape in formats.PAIRS and not line.row.rejected:
                    done.lacking += 1
                else:
                    write(line)
                    _count(done, line)
                if (done.rows + done.lacking + done.quarantined) % _REPORT_EVERY == 0:
                    yield done
        _refuse_nothing(done)
        if failed and not project.read_only:
            reason = "At export, the evidence was not found at its place in the document."
            project.set_state(failed, "quarantined", reason)
        if folder:
            (partial / "README.md").write_text(card.dataset_card(project, done, format, state), encoding="utf-8")
    if not folder:
        with files.whole(done.card) as partial:
            partial.write_text(card.dataset_card(project, done, format, state), encoding="utf-8")
    if configs:
        done.configs = tuple(_write_configs(done, tuple(configs), shape, folder))
    yield done


def mixture(project: Project, run: int | None) -> list[int]:
    """The ids of the ordinary examples that a run mixes with its own, less those rejected, quarantined or gone.

    A run lists them in its settings, under "mixed"; others mix in nothing. Raises UserError when there is no such run.
    """
    listed = project.run(run).request.settings.get("mixed") if run is not None else None
    if not isinstance(listed, list):  # the settings may be a stranger's
        return []
    ids = [id for id in listed if type(id) is int and 0 < id < 2**63]
    return _usable(project, ids)


def preview(
    project: Project,
    format: str,
    state: str = "accepted",
    plain: bool = False,
    limit: int = 3,
    run: int | None = None,
    dataset: str | None = None,
    pick: int | str | None = None,
    split: str | None = None,
    shape: str = "messages",
    guard: bool = True,
) -> str:
    """The beginning of what `export` would write: at most `limit` rows, and the head of a CSV file.

    Rows of Parquet are shown as JSON. Raises UserError when there is no such run, dataset or pick.
    """
    shape, file = _shape(format, shape), StringIO(newline="")
    write = files.text_writer(file, shape, plain, guard)
    lines = _Lines(project, Exported(Path(), Path()), state, run, dataset, pick, split, plain, strict=False)
    sound = (line for line, sound in lines if sound and (shape not in formats.PAIRS or line.row.rejected))
    for line in islice(sound, limit):
        write(line)
    return file.getvalue()


def _shape(format: str, shape: str) -> str:
    """What a row looks like: the format says so itself, but for those of Parquet."""
    if format not in formats.FORMATS:
        raise UserError(f"There is no format called “{format}”. The formats are: {', '.join(formats.FORMATS)}.")
    if format not in formats.TABLES or format == "csv":
        return format
    if shape not in formats.SHAPES:
        raise UserError(f"Rows cannot have the shape “{shape}”. The shapes are: {', '.join(formats.SHAPES)}.")
    return shape


def _writer(partial: Path, format: str, shape: str, plain: bool, guard: bool) -> Any:
    if format == "folder":
        return files.data_folder(partial, shape, plain)
    if format == "parquet":
        return files.parquet_file(partial, shape, plain)
    return files.text_file(partial, shape, plain, guard)


def _write_configs(done: Exported, tools: tuple[str, ...], shape: str, folder: bool) -> list[Path]:
    sides = [side for side in SPLITS if done.splits[side]] if folder else ["train"]
    parts = {side: done.path / files.part_of(side) if folder else done.path for side in sides}
    try:
        return trainers.write_configs(tools, done.path, done.path.stem, shape, parts)
    except OSError as error:
        raise UserError(
            f"The rows are in {done.path}, but its configurations could not be written: {error.strerror or error}."
        ) from error


def _refuse_to_overwrite(project: Project, done: Exported, folder: bool) -> None:
    """Slips of the pen that would cost a project, a document, a model or a folder."""
    if folder:
        if done.path.exists() and not _is_export(done.path):
            raise UserError(f"{done.path} is there already, and is no export. Name a folder that is not there yet.")
        return
    if not done.path.name or done.path.is_dir():
        raise UserError(f"{done.path} is a folder. Name the file to write, such as {done.path / 'questions.jsonl'}.")
    for path in (done.path, done.card):
        with suppress(OSError), open(path, "rb") as file:
            if path.resolve() == project.path or file.read(5) in (b"SQLit", b"%PDF-", b"GGUF\x03"):
                raise UserError(f"{path} is not an export, and would be lost. Choose another name for the export.")


def _is_export(folder: Path) -> bool:
    """Whether a folder is empty, or holds just what an export wrote."""
    try:
        there = {path.name for path in folder.iterdir()}
        if not there:
            return True
        parts = {path.name for path in (folder / "data").iterdir()}
        head = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    ours = {"README.md", "data"} >= there and {part.name for part in map(files.part_of, SPLITS)} >= parts
    return ours and "elenchus_format: folder" in head


def _refuse_nothing(done: Exported) -> None:
    if not done.rows and done.lacking:
        raise UserError(
            f"None of the {done.lacking:,} rows has a worse answer beside its own, so there are no pairs to export. "
            "Edit or rate answers, or choose another format."
        )


class _Lines:
    """The rows that were asked for, each with whether what it rests on still stands; `done` is told what they are of.

    Raises UserError where there is no such run, dataset or pick, or, unless `strict` is false, nothing of it.
    """

    def __init__(
        self, project: Project, done: Exported, state: str, run: int | None, dataset: str | None,
        pick: int | str | None, split: str | None, plain: bool, strict: bool = True,
    ) -> None:  # fmt: skip
        self._project, self._plain = project, plain
        self._page_text = lru_cache(64)(project.page_text)
        if split is not None and (dataset is None or split not in SPLITS):
            raise UserError(f"A split is a part of a dataset: {', '.join(SPLITS)}. Name the dataset too.")
        if sum(one is not None for one in (run, dataset, pick)) > 1:
            raise UserError("An export is of a run, a dataset or a pick: name one of them.")
        if dataset is not None:
            done.dataset = found = project.dataset(dataset)
            counts = {"train": found.rows - found.held_out - found.test, "validation": found.held_out}
            done.total = found.rows if split is None else (counts | {"test": found.test})[split]
            what = f"“{dataset}” has no rows of {split}" if split else f"“{dataset}” has no rows"
            self._found: Iterable[Line] = self._of_dataset(found, split)
        elif pick is not None:
            ids = picked(project, pick)
            done.pick, done.total, what = (
                str(project.pick(_number(pick)).name),
                len(ids),
                "Nothing that was picked is left",
            )
            self._found = self._of_examples(_by_id(project, ids))
        else:
            wanted, mixed = ExampleFilter(state=state, run_id=run), mixture(project, run)
            made = project.count(wanted)
            done.total = made + len(mixed) if made else 0
            what = f"{'No example' if run is None else f'No example of run {run}'} is {state}"
            self._found = self._of_examples(chain(project.iter_examples(wanted), _by_id(project, mixed)))
        if strict and not done.total:
            raise UserError(f"{what}, so there is nothing to export. Accept some, or choose others.")

    def __iter__(self) -> Iterator[tuple[Line, bool]]:
        return ((line, line.example is None or self._stands(line.example)) for line in self._found)

    def _of_examples(self, examples: Iterable[Example]) -> Iterator[Line]:
        for example in examples:
            yield Line(formats.row_of(example), example, None if self._plain else self._provenance(example))

    def _of_dataset(self, dataset: Dataset, split: str | None) -> Iterator[Line]:
        rows = (row for row in self._project.iter_dataset_rows(dataset.id) if split in (None, row.split))
        while some := list(islice(rows, _REPORT_EVERY)):
            ids = [row.example_id for row in some if row.example_id is not None]
            examples = {example.id: example for example in self._project.examples_by_id(ids)}
            yield from (self._line(row, examples.get(row.example_id or 0), dataset) for row in some)

    def _line(self, row: DatasetRow, example: Example | None, dataset: Dataset) -> Line:
        """A row of a dataset, which stays as it is whatever becomes of its example."""
        said: dict[str, Any] = {"dataset": dataset.name, "split": row.split}
        if example is None:
            return Line(row, None, None if self._plain else said, row.split)
        now = formats.row_of(example)
        if (now.messages, now.answer, now.rationale) != (row.messages, row.answer, row.rationale):
            return Line(row, None, None if self._plain else {"id": example.id, "changed": True} | said, row.split)
        return Line(row, example, None if self._plain else self._provenance(example) | said, row.split)

    def _provenance(self, example: Example) -> dict[str, Any]:
        said = formats.provenance(example)
        if example.evidence is not None or example.passage_id is None or formats.is_own(example.origin):
            return said
        page, start, end = self._project.passage(example.passage_id).parts[0]
        return said | {
            "passage": {"document_sha256": example.document_sha256, "page": page, "start": start, "end": end}
        }

    def _stands(self, example: Example) -> bool:
        """Whether its evidence, and what its steps cite, stands word for word where it says."""
        cited = [step.cited for step in example.rationale if step.cited is not None]
        found = [*cited, *([example.evidence] if example.evidence else [])]
        if example.evidence is None and example.kind not in WITHOUT_EVIDENCE:
            return False
        if not found:
            return True
        document = example.document_id
        return document is not None and all(self._is_there(document, one) for one in found)

    def _is_there(self, document: int, found: Evidence) -> bool:
        return bool(found.text) and self._page_text(document, found.page)[found.start : found.end] == found.text


def picked(project: Project, pick: int | str, baseline: bool = False) -> list[int]:
    """The ids of what a pick chose, or of the random selection beside it, less what was rejected or quarantined since.

    Raises UserError when there is no such pick.
    """
    rows = project.pick_rows(project.pick(_number(pick)).id)
    ids = [row.example_id for row in rows if row.baseline == baseline]
    return _usable(project, ids)


def _number(pick: int | str) -> int | str:
    return int(pick) if isinstance(pick, str) and pick.isdecimal() else pick


def _usable(project: Project, ids: Sequence[int]) -> list[int]:
    """Those of these ids that are there, and neither rejected nor quarantined."""
    kept: set[int] = set()
    for some in _chunks(ids):
        for state in ("draft", "accepted"):
            kept.update(project.example_ids(ExampleFilter(state=state), among=some))
    return [id for id in ids if id in kept]


def _by_id(project: Project, ids: Sequence[int]) -> Iterator[Example]:
    for some in _chunks(ids):
        yield from project.examples_by_id(some)


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _REPORT_EVERY] for start in range(0, len(ids), _REPORT_EVERY))


def _count(done: Exported, line: Line) -> None:
    done.rows += 1
    done.splits[line.row.split] += 1
    example = line.example
    if example is None:
        done.kinds["of a file" if line.row.example_id is None else card.ALONE] += 1
        return
    done.kinds[formats.kind_of(example)] += 1
    if example.document_id is not None:
        done.documents[example.document_id] += 1
    done.runs.add(example.run_id)
    done.mixed += done.run not in (None, example.run_id)
    done.edited += bool(example.overwritten)
