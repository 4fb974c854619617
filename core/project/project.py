"""The one door to a project file: every read and write of the application goes through a `Project`.

Each method is one transaction and returns plain records. What was written is announced, after its commit, to the
functions in `changed`.
"""

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import peewee

from core.documents.records import Document, Heading, Page, Passage
from core.errors import UserError
from core.project import curation, history, packing, probes, queries, rows, tuning
from core.project.backup import Backups
from core.project.errors import ProjectReadOnly, Unreadable, plain_errors
from core.project.names import one_line
from core.project.opening import OpenFile, create_file, newest_version, open_file
from core.project.probes import Answered, Item, Response, Suite
from core.project.records import (
    ALL_KINDS,
    STATES,
    WITHOUT_EVIDENCE,
    WITHOUT_PASSAGE,
    Check,
    Discard,
    DocumentRow,
    Example,
    ExampleDraft,
    ExampleFilter,
    Fact,
    PassageMark,
    PassageRow,
    Pick,
    PickRow,
    Rationale,
    Review,
    Run,
    RunSettings,
    ScoreRow,
    Step,
    takes_turns,
)
from core.project.schema import (
    AdapterTable,
    CheckTable,
    DatasetTable,
    DiscardTable,
    DocumentTable,
    EmbeddingTable,
    ExampleTable,
    PageTable,
    PassageTable,
    PickTable,
    ProjectDatabase,
    RationaleTable,
    RunTable,
    SuiteTable,
)
from core.project.tuning import AdapterRow, Dataset, DatasetRow, TuningPoint, TuningSample
from core.storable import storable

CHUNK = 500  # rows read or written at a time where there may be many

_LABELS = {
    "draft": "Return {} to draft",
    "accepted": "Accept {}",
    "rejected": "Reject {}",
    "quarantined": "Quarantine {}",
}


class Project:
    """An open project. Use `Project.open` or `Project.create`, and close it or use it as a context manager.

    Every method may raise a UserError: ProjectReadOnly, ProjectDamaged, DiskFull, or a sentence of its own. It may be
    called from any thread, one at a time; the functions in `changed` are called in the thread of the caller.
    """

    def __init__(self, path: Path, file: OpenFile) -> None:
        self.path = path
        self.id = file.project_id
        self.version = file.version
        self.read_only = file.read_only
        self.notice = file.notice
        self.changed: list[Callable[[str, list[int]], None]] = []
        self._file = file
        self._newer = self._newer_lacks if file.version > newest_version() else None
        self._lock = threading.RLock()
        self._database = ProjectDatabase(file.connection)
        self._aside: ProjectDatabase | None = None  # see _read_aside
        self._aside_lock = threading.Lock()
        self._backups = Backups(file.connection, path, file.project_id, self._lock)

    @classmethod
    def create(cls, path: Path | str) -> "Project":
        """Makes an empty project and opens it. Raises UserError when the file exists or cannot be written."""
        create_file(Path(path))
        return cls.open(path)

    @classmethod
    def open(cls, path: Path | str, read_only: bool = False) -> "Project":
        """Opens a project and marks runs that a killed session left as interrupted.

        Raises ProjectLocked when another instance has it open (which does not keep it from being read), ProjectDamaged
        when the file is not whole, or another UserError. See `notice` for why it may be read-only unasked.
        """
        path = Path(path).resolve()
        project = cls(path, open_file(path, read_only))
        try:
            if not project.read_only:
                project._mark_interrupted()
        except BaseException:
            project.close()
            raise
        return project

    def close(self) -> None:
        """Finishes a backup that is being made and frees the file; may be called twice."""
        self._backups.wait()
        with self._aside_lock, self._lock:
            if self._aside is not None:
                self._aside.close()
            self._file.close()

    def __enter__(self) -> "Project":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def backup_problem(self) -> str:
        """Why the last backup failed, as a sentence; empty when it did not."""
        return self._backups.problem

    def maybe_backup(self) -> None:
        """Begins a backup in the background when the last one is some minutes old; each write calls it."""
        self._backups.maybe()

    # Documents

    def add_document(self, document: Document, passages: Sequence[Passage], size: int, overlap: int) -> DocumentRow:
        """Keeps a document that was read, with its pages and passages, in place of a failed attempt to read it.

        Raises UserError when the project has it already. Words keep their places to 1/100 point.
        """
        return self._add(document, passages, size, overlap, None)

    def replace_document(self, document_id: int, document: Document, passages: Sequence[Passage]) -> DocumentRow:
        """Keeps what was read anew in place of a document, under its id and cut by its sizes, in one transaction.

        Raises UserError when examples come from it.
        """
        old = self.document(document_id)
        return self._add(document, passages, old.passage_size, old.overlap, document_id)

    def _add(
        self, document: Document, passages: Sequence[Passage], size: int, overlap: int, replaced: int | None
    ) -> DocumentRow:
        pages = [rows.page_values(page) for page in document.pages]  # takes long: not while holding the lock
        values = {
            "sha256": document.sha256,
            "path": document.path,
            "title": document.title,
            "state": "ready",
            "reason": "",
            "page_count": len(pages),
            "passage_count": len(passages),
            "warnings": packing.pack(list(document.warnings)),
            "metadata": packing.pack(document.metadata),
            "outline": packing.pack_outline(document.outline),
            "passage_size": size,
            "overlap": overlap,
        }
        with self._write() as touched:
            if replaced is not None:
                self.refuse_change(replaced, "read again")
                self._delete(DocumentTable, DocumentTable.id == replaced)
                values["id"] = replaced
            id = self._insert_document(values)
            self._insert_many(PageTable, [{"document_id": id, **page} for page in pages])
            self._insert_many(PassageTable, rows.passage_values(id, passages))
            touched.append(("documents", [id]))
            return self._document(id)

    def add_failed_document(self, path: Path | str, reason: str, sha256: str | None = None) -> DocumentRow:
        """Keeps that a document could not be read, and why, in place of an earlier failure of the same file.

        Raises UserError when the project has the document already.
        """
        values = {
            "sha256": sha256 or "",
            "path": str(path),
            "title": Path(path).name,
            "state": "failed",
            "reason": reason,
        }
        empty = {"warnings": "[]", "metadata": "{}", "outline": "[]"}
        numbers = {"page_count": 0, "passage_count": 0, "passage_size": 0, "overlap": 0}
        with self._write() as touched:
            id = self._insert_document({**values, **empty, **numbers})
            touched.append(("documents", [id]))
            return self._document(id)

    def documents(self) -> list[DocumentRow]:
        """All documents, in the order in which they were added."""
        with self._read():
            return rows.documents(self._database, DocumentTable.select().order_by(DocumentTable.id))

    def document(self, document_id: int) -> DocumentRow:
        """One document. Raises UserError when it is not there."""
        with self._read():
            return self._document(document_id)

    def document_outline(self, document_id: int) -> tuple[Heading, ...]:
        """The outline of a document; empty when it has none."""
        with self._read():
            query = DocumentTable.select(DocumentTable.outline).where(DocumentTable.id == document_id)
            return packing.unpack_outline(self._one(query, f"document {document_id}")[0])

    def page(self, document_id: int, number: int) -> Page:
        """One page with its words. Raises UserError when it is not there."""
        columns = (PageTable.label, PageTable.width, PageTable.height, PageTable.text)
        packed = (PageTable.words, PageTable.furniture, PageTable.warnings)
        with self._read():
            query = PageTable.select(*columns, *packed).where(
                PageTable.document_id == document_id, PageTable.number == number
            )
            row = self._one(query, f"page {number} of document {document_id}")
            label, width, height, text, words, furniture, warnings = row
            return Page(
                number,
                label,
                width,
                height,
                text,
                packing.unpack_words(words),
                packing.unpack_furniture(furniture),
                packing.unpack_strings(warnings),
            )

    def page_labels(self, document_id: int) -> list[str]:
        """The labels of all pages in order, such as “xii” or “12”."""
        query = PageTable.select(PageTable.label).where(PageTable.document_id == document_id)
        with self._read():
            return [label for (label,) in query.order_by(PageTable.number).tuples().execute(self._database)]

    def page_text(self, document_id: int, number: int) -> str:
        """The text of one page, without its words: fast. Raises UserError when it is not there."""
        with self._read():
            return self._page_text(document_id, number)

    def passages(self, document_id: int | None = None) -> list[PassageRow]:
        """The passages of one document or of all, in reading order."""
        query = PassageTable.select().order_by(PassageTable.document_id, PassageTable.ordinal)
        with self._read():
            return rows.passages(
                self._database, query if document_id is None else query.where(PassageTable.document_id == document_id)
            )

    def passage_keys(self) -> list[tuple[int, int]]:
        """(passage, document) ids of all passages in reading order, without their texts: fast."""
        query = PassageTable.select(PassageTable.id, PassageTable.document_id)
        with self._read():
            ordered = query.order_by(PassageTable.document_id, PassageTable.ordinal)
            return list(ordered.tuples().execute(self._database))

    def passage(self, passage_id: int) -> PassageRow:
        """One passage. Raises UserError when it is not there."""
        with self._read():
            return self._passage(passage_id)

    def remove_document(self, document_id: int) -> None:
        """Removes a document without examples, which nothing is lost by: reading the file again brings it back.

        Raises UserError when examples come from it, because they would lose their evidence and the user's work on them.
        """
        with self._write() as touched:
            self.refuse_change(document_id, "removed")
            self._delete(DocumentTable, DocumentTable.id == document_id)
            touched.append(("documents", [document_id]))

    def recut(self, document_id: int, passages: Sequence[Passage], size: int, overlap: int) -> DocumentRow:
        """Replaces the passages of a document. Raises UserError when examples come from the old ones."""
        with self._write() as touched:
            self.refuse_change(document_id, "cut anew")
            self._delete(PassageTable, PassageTable.document_id == document_id)
            self._insert_many(PassageTable, rows.passage_values(document_id, passages))
            values = {"passage_size": size, "overlap": overlap, "passage_count": len(passages)}
            DocumentTable.update(values).where(DocumentTable.id == document_id).execute(self._database)
            touched.append(("documents", [document_id]))
            return self._document(document_id)

    def refuse_change(self, document_id: int, what: str) -> None:
        """Raises UserError when examples come from a document, which would lose their evidence, or a run goes on.

        `what` says what is refused: “removed”. Every change asks this itself; ask before much work.
        """
        with self._read():
            document = self._document(document_id)
            count = queries.count_examples(self._database, ExampleFilter(document_id=document_id))
            asks = RunTable.kind.in_(("ask", "ask_again"))
            running = RunTable.select(RunTable.id).where(RunTable.state == "running", asks).limit(1).tuples()
            asking = list(running.execute(self._database))
        if count:
            raise UserError(
                f"“{document.title}” cannot be {what} because {history.questions(count)} of this project come from it "
                "and their evidence lies in it. Read the file in a new project instead."
            )
        if asking:
            raise UserError(
                f"“{document.title}” cannot be {what} while questions are being asked. "
                "Wait until the run has ended, or cancel it."
            )

    # Runs

    def start_run(self, settings: RunSettings, items: Sequence[Item] = ()) -> int:
        """Begins a run, with what it asks if it is one of probes, and returns its id."""
        packed = {"prompts": packing.pack(settings.prompts), "settings": packing.pack(settings.settings)}
        values = vars(settings) | packed | {"state": "running", "started_at": _now(), "reason": "", "usage": "{}"}
        with self._write() as touched:
            id = RunTable.insert(**values).execute(self._database)
            probes.add_items(self._database, id, items)
            touched.append(("runs", [id]))
            return id

    def add_settings(self, run_id: int, **found: Any) -> None:
        """Sets what a run knows only at its end in its settings."""
        settings = self.run(run_id).request.settings | found
        self._update_run(run_id, settings=packing.pack(settings))

    def finish_run(self, run_id: int, state: str, usage: dict[str, Any], reason: str = "") -> None:
        """Ends a run as finished, cancelled, failed or interrupted."""
        self._update_run(run_id, state=state, usage=packing.pack(usage), reason=reason, ended_at=_now())

    def resume_run(self, run_id: int) -> None:
        """Lets a run that did not finish go on. Raises UserError when it is not there."""
        self._update_run(run_id, state="running", reason="", ended_at=None)

    def runs(self) -> list[Run]:
        """All runs, oldest first."""
        with self._read():
            return rows.runs(self._database, RunTable.select().order_by(RunTable.id))

    def run(self, run_id: int) -> Run:
        """One run. Raises UserError when it is not there."""
        with self._read():
            for run in rows.runs(self._database, RunTable.select().where(RunTable.id == run_id)):
                return run
            raise UserError(f"There is no run {run_id} in {self.path.name}.")

    def last_unfinished_run(self, kind: str) -> Run | None:
        """The newest run of this kind that was interrupted, cancelled or failed."""
        unfinished = RunTable.state.in_(("interrupted", "cancelled", "failed"))
        with self._read():
            query = RunTable.select().where(RunTable.kind == kind, unfinished)
            return next(iter(rows.runs(self._database, query.order_by(RunTable.id.desc()).limit(1))), None)

    # Probes

    def add_responses(self, run_id: int, ordinal: int, responses: Sequence[Response]) -> None:
        """Keeps what was answered to one item of a run, all of it at once."""
        with self._write() as touched:
            probes.add_responses(self._database, run_id, ordinal, responses)
            touched.append(("responses", [run_id]))

    def answered(self, run_id: int) -> list[Answered]:
        """Every item of a probe run in order, with what was answered so far."""
        with self._read():
            return probes.answered(self._database, run_id)

    def done_items(self, run_id: int) -> set[int]:
        """The places of the items of a probe run that were answered."""
        with self._read():
            return probes.done_items(self._database, run_id)

    def probed_stems(self) -> set[str]:
        """The stems of all that was ever probed with in this project."""
        with self._read():
            return probes.probed_stems(self._database)

    def check_details(self, name: str) -> set[str]:
        """The details of all checks of one name, whatever example they belong to."""
        query = CheckTable.select(CheckTable.detail).where(CheckTable.name == name).distinct()
        with self._read():
            return {detail for (detail,) in query.tuples().execute(self._database)}

    def add_suite(self, suite: Suite) -> int:
        """Keeps questions that were imported and returns their id. Raises UserError when the name is taken."""
        with self._write() as touched:
            if probes.suites(self._database, suite.name):
                raise UserError(f"There is a suite called “{suite.name}” already. Choose another name.")
            id = SuiteTable.insert(**probes.suite_values(suite), added_at=_now()).execute(self._database)
            touched.append(("suites", [id]))
            return id

    def suites(self) -> list[Suite]:
        """The imported suites by name."""
        with self._read():
            return probes.suites(self._database)

    def remove_suite(self, suite_id: int) -> None:
        """Forgets an imported suite; the runs that asked it keep their items."""
        with self._write() as touched:
            SuiteTable.delete().where(SuiteTable.id == suite_id).execute(self._database)
            touched.append(("suites", [suite_id]))

    # Tuning

    def add_dataset(self, name: str, recipe: dict[str, Any], rows: Sequence[DatasetRow]) -> Dataset:
        """Keeps rows to tune on; the same rows again give the dataset there is, and a name that is taken a number."""
        with self._write() as touched:
            id = tuning.add_dataset(self._database, name, recipe, rows, _now())
            touched.append(("datasets", [id]))
            return tuning.datasets(self._database, DatasetTable.id == id)[0]

    def datasets(self) -> list[Dataset]:
        """All datasets, oldest first."""
        with self._read():
            return tuning.datasets(self._database)

    def dataset(self, name: str) -> Dataset:
        """The dataset of this name. Raises UserError when there is none, and says which there are."""
        found = {dataset.name: dataset for dataset in self.datasets()}
        if name not in found:
            raise UserError(f"There is no dataset “{name}” in {self.path.name}. {_there_are(found)}")
        return found[name]

    def rename_dataset(self, dataset_id: int, name: str) -> None:
        """Gives a dataset another name, of one line. Raises UserError when it is taken, or empty."""
        name = one_line(name)
        if not name:
            raise UserError("A dataset needs a name. Give it one.")
        if any(dataset.name == name and dataset.id != dataset_id for dataset in self.datasets()):
            raise UserError(f"There is a dataset called “{name}” already. Choose another name.")
        with self._write() as touched:
            DatasetTable.update(name=name).where(DatasetTable.id == dataset_id).execute(self._database)
            touched.append(("datasets", [dataset_id]))

    def remove_dataset(self, dataset_id: int) -> None:
        """Removes a dataset. Raises UserError when a tuning run learned from it, which would not be known any more."""
        for run in self.runs():
            told = run.request.settings.get("dataset")
            if run.request.kind == "tune" and isinstance(told, dict) and told.get("id") == dataset_id:
                raise UserError(
                    f"Run {run.id} was tuned on this dataset, which says what its adapter has learned from. It stays."
                )
        with self._write() as touched:
            DatasetTable.delete().where(DatasetTable.id == dataset_id).execute(self._database)
            touched.append(("datasets", [dataset_id]))

    def dataset_rows(self, dataset_id: int) -> list[DatasetRow]:
        """The rows of a dataset, in order."""
        with self._read():
            return tuning.dataset_rows(self._database, dataset_id)

    def iter_dataset_rows(self, dataset_id: int) -> Iterator[DatasetRow]:
        """The rows of a dataset, in order: in constant memory, and with the project free in between."""
        place = 0
        while True:
            with self._read():
                page = tuning.dataset_page(self._database, dataset_id, place, CHUNK)
            if not page:
                return
            yield from page
            place += len(page)

    def add_tuning_steps(self, run_id: int, points: Sequence[TuningPoint]) -> None:
        """Keeps steps of a tuning run, in place of what was kept of the same steps."""
        with self._write() as touched:
            tuning.add_steps(self._database, run_id, points)
            touched.append(("tuning", [run_id]))

    def tuning_points(self, run_id: int) -> list[TuningPoint]:
        """The steps of a tuning run, in order."""
        with self._read():
            return tuning.points(self._database, run_id)

    def last_tuning_step(self, run_id: int) -> int:
        """How many steps a tuning run has made."""
        with self._read():
            return tuning.last_step(self._database, run_id)

    def add_tuning_samples(self, run_id: int, samples: Sequence[TuningSample]) -> None:
        """Keeps what a run's prompts were answered, in place of earlier answers after the same step."""
        with self._write() as touched:
            tuning.add_samples(self._database, run_id, samples)
            touched.append(("tuning", [run_id]))

    def tuning_samples(self, run_id: int) -> list[TuningSample]:
        """What a run's prompts were answered, by step."""
        with self._read():
            return tuning.samples(self._database, run_id)

    def add_adapter(
        self, run_id: int, name: str, file: Path, step: int, best_loss: float | None, rank: int, alpha: float
    ) -> AdapterRow:
        """Keeps a copy of an adapter: in the project file, or beside it when it is large.

        A name that is taken is numbered: what was trained for hours is not lost for that.
        """
        values = {"run_id": run_id, "created_at": _now(), "step": step, "best_loss": best_loss, "rank": rank}
        if self.read_only:  # before a file is put beside it
            raise ProjectReadOnly(f"Nothing was changed: {self.notice}")
        with plain_errors(self.path):
            values |= {"alpha": alpha, "scale": 1.0} | tuning.inside_or_beside(file, self.path)
        with self._write() as touched:
            id = tuning.insert_adapter(self._database, name, values)
            touched.append(("adapters", [id]))
            return tuning.adapters(self._database, AdapterTable.id == id)[0]

    def adapters(self) -> list[AdapterRow]:
        """All adapters, oldest first."""
        with self._read():
            return tuning.adapters(self._database)

    def adapter(self, id_or_name: int | str) -> AdapterRow:
        """One adapter, by its id or its name. Raises UserError when there is none, and says which there are."""
        found = self.adapters()
        for adapter in found:
            if id_or_name in (adapter.id, adapter.name):
                return adapter
        names = _there_are([adapter.name for adapter in found])
        raise UserError(f"There is no adapter “{id_or_name}” in {self.path.name}. {names}")

    def adapter_file(self, adapter_id: int) -> Path:
        """The adapter as a GGUF file with the checksum that was kept: a copy, or what lies beside the project.

        Raises UserError when what lies beside the project is missing or was changed.
        """
        adapter = self.adapter(adapter_id)
        with plain_errors(self.path, self._newer):
            return tuning.written_out(adapter, self.path, lambda: self._adapter_content(adapter_id))

    def rename_adapter(self, adapter_id: int, name: str) -> None:
        """Gives an adapter another name, of one line. Raises UserError when it is taken, or empty."""
        name = one_line(name)
        if not name:
            raise UserError("An adapter needs a name. Give it one.")
        if any(adapter.name == name and adapter.id != adapter_id for adapter in self.adapters()):
            raise UserError(f"There is an adapter called “{name}” already. Choose another name.")
        self._update_adapter(adapter_id, name=name)

    def set_adapter_scale(self, adapter_id: int, scale: float) -> None:
        """Sets how strongly an adapter is to be used: 1 as it was trained, 0 not at all."""
        if not math.isfinite(scale):
            raise ValueError(f"not a scale: {scale}")
        self._update_adapter(adapter_id, scale=scale)

    def remove_adapter(self, adapter_id: int) -> None:
        """Removes an adapter, with what lies beside the project of it; the run that made it keeps its curve."""
        adapter = self.adapter(adapter_id)
        with self._write() as touched:
            AdapterTable.delete().where(AdapterTable.id == adapter_id).execute(self._database)
            touched.append(("adapters", [adapter_id]))
        if not any(other.path == adapter.path for other in self.adapters()):
            tuning.forget_beside(adapter, self.path)

    # Vectors of texts

    def vectors(self, model_sha256: str, text_sha256s: Sequence[str]) -> dict[str, bytes]:
        """Those that are there, by the text's SHA-256, as they were added."""
        found: dict[str, bytes] = {}
        columns = EmbeddingTable.select(EmbeddingTable.text_sha256, EmbeddingTable.vector)
        for start in range(0, len(text_sha256s), CHUNK):
            wanted = EmbeddingTable.text_sha256.in_(text_sha256s[start : start + CHUNK])
            query = columns.where(EmbeddingTable.model_sha256 == model_sha256, wanted)
            with self._read():
                found.update(query.tuples().execute(self._database))
        return found

    def add_vectors(self, model_sha256: str, vectors: Mapping[str, bytes]) -> None:
        """Keeps vectors of texts, by the text's SHA-256: 16-bit floating-point numbers. The newer ones count."""
        values = [
            {"model_sha256": model_sha256, "text_sha256": text, "vector": vector} for text, vector in vectors.items()
        ]
        with self._write():
            for start in range(0, len(values), CHUNK):
                insert = EmbeddingTable.insert_many(values[start : start + CHUNK])
                insert.on_conflict_replace().execute(self._database)

    # Examples

    def add_example(self, run_id: int, draft: ExampleDraft) -> int:
        """Keeps an example and returns its id; one that is there already (run, passage, slot) is left as it is.

        Evidence, and what its steps cite, is compared with the page: when it is not there word for word, the example is
        quarantined. Only WITHOUT_PASSAGE may come from no passage, and have no evidence then.
        """
        return self.add_examples(run_id, [draft])[0]

    def add_examples(self, run_id: int, drafts: Sequence[ExampleDraft], state: str = "draft") -> list[int]:
        """Keeps examples in one transaction, each as `add_example` does, and returns their ids in order."""
        if state not in STATES:
            raise ValueError(f"unknown state: {state}")
        for draft in drafts:
            _refuse_impossible(draft)
        ids: list[int] = []
        new: list[int] = []
        with self._write() as touched:
            for draft in drafts:
                id = self._known_example(run_id, draft)
                if id is None:
                    passage = None if draft.passage_id is None else self._passage(draft.passage_id)
                    fault = self._evidence_fault(draft, passage) or self._citation_fault(draft, passage)
                    id = self._insert_example(run_id, draft, passage, fault, state)
                    new.append(id)
                ids.append(id)
            if new:
                history.index(self._database, new)
                touched.append(("examples", new))
        return ids

    def add_discard(self, run_id: int, discard: Discard) -> None:
        """Keeps that a passage's slot gave nothing, and why; once."""
        with self._write() as touched:
            DiscardTable.insert(run_id=run_id, **vars(discard)).on_conflict_ignore().execute(self._database)
            touched.append(("discards", [run_id]))

    def discards(self, run_id: int | None = None) -> list[Discard]:
        """What gave nothing, in one run or in all."""
        columns = (DiscardTable.passage_id, DiscardTable.slot, DiscardTable.kind, DiscardTable.reason)
        query = DiscardTable.select(*columns)
        if run_id is not None:
            query = query.where(DiscardTable.run_id == run_id)
        with self._read():
            return [Discard(*row) for row in query.tuples().execute(self._database)]

    def done_slots(self, run_id: int) -> set[tuple[int | None, int]]:
        """The (passage, slot) that gave an example or a discard in this run: what need not be done again."""
        with self._read():
            done: set[tuple[int | None, int]] = set()
            for table in (ExampleTable, DiscardTable):
                query = table.select(table.passage_id, table.slot).where(table.run_id == run_id)
                done.update(query.tuples().execute(self._database))
            return done

    def example(self, example_id: int) -> Example:
        """One example. Raises UserError when it is not there."""
        with self._read():
            for example in queries.load_examples(self._database, [example_id]):
                return example
            raise UserError(f"There is no question {example_id} in {self.path.name}.")

    def examples(
        self, filter: ExampleFilter | None = None, after: Example | None = None, limit: int = 200
    ) -> list[Example]:
        """A page of examples: at most `limit` of those that come behind `after` in the filter's order."""
        with self._read():
            return queries.example_page(self._database, filter or ExampleFilter(), after, limit)

    def iter_examples(self, filter: ExampleFilter | None = None) -> Iterator[Example]:
        """All examples that match, a page at a time: in constant memory, and with the project free in between."""
        page = self.examples(filter, limit=CHUNK)
        while page:
            yield from page
            page = self.examples(filter, after=page[-1], limit=CHUNK)

    def examples_by_id(self, ids: Sequence[int]) -> list[Example]:
        """The examples with these ids, some hundreds at most, in this order; what is not there is left out."""
        with self._read():
            return queries.load_examples(self._database, ids)

    def example_ids(self, filter: ExampleFilter | None = None, among: Sequence[int] | None = None) -> list[int]:
        """The ids of all examples that match, in order; with `among`, of those of these few that do."""
        filter = filter or ExampleFilter()
        if among is not None:
            with self._read():
                return queries.example_ids(self._database, filter, among=among)
        with self._read_aside() as database:
            return queries.example_ids(database, filter)

    def facts(self, among: Sequence[int] | None = None) -> dict[int, Fact]:
        """State, kind, document, rating and checks of all examples by id, in order; with `among`, of these few."""
        if among is not None:
            with self._read():
                return queries.facts(self._database, among)
        with self._read_aside() as database:
            return queries.facts(database)

    def ratings(self) -> dict[int, int]:
        """The stars that a person gave, by example; without those that have none."""
        with self._read():
            return dict(self._database.execute_sql("SELECT id, rating FROM examples WHERE rating BETWEEN 1 AND 5"))

    def passages_of(self, example_ids: Sequence[int]) -> dict[int, int]:
        """The passages that examples come from, by example; without those that come from none."""
        sql = (
            "SELECT id, passage_id FROM examples "
            "WHERE passage_id IS NOT NULL AND id IN (SELECT value FROM json_each(?))"
        )
        with self._read():
            return dict(self._database.execute_sql(sql, (packing.pack(list(example_ids)),)))

    def attempts(self, example_id: int) -> int:
        """How many attempts it took to make an example. Raises UserError when it is not there."""
        with self._read():
            query = ExampleTable.select(ExampleTable.attempts).where(ExampleTable.id == example_id)
            return self._one(query, f"question {example_id}")[0]

    def counts(self) -> dict[str, int]:
        """The number of examples in each state."""
        with self._read():
            found = self._database.execute_sql("SELECT state, count(*) FROM examples GROUP BY state")
            return dict.fromkeys(STATES, 0) | dict(found)

    def quarantine_reasons(self) -> dict[str, int]:
        """Why examples are quarantined, and how many for each reason; empty for those that the user put there."""
        with self._read():
            found = self._database.execute_sql(
                "SELECT reason, count(*) FROM examples WHERE state = 'quarantined' GROUP BY reason ORDER BY 2 DESC"
            )
            return dict(found)

    def count(self, filter: ExampleFilter | None = None) -> int:
        """The number of examples that match."""
        with self._read():
            return queries.count_examples(self._database, filter or ExampleFilter())

    def questions(self) -> Iterator[tuple[int, str]]:
        """The id and text of every question, in constant memory."""
        last = 0
        while True:
            with self._read():
                query = ExampleTable.select(ExampleTable.id, ExampleTable.question).where(ExampleTable.id > last)
                found = list(query.order_by(ExampleTable.id).limit(CHUNK).tuples().execute(self._database))
            if not found:
                return
            yield from found
            last = found[-1][0]

    # Rationales, scores, picks and marks of passages

    def add_rationale(
        self,
        run_id: int,
        example_id: int,
        slot: int,
        steps: Sequence[Step],
        instruction: str = "",
        adopt: bool = False,
    ) -> Rationale:
        """Keeps steps that a run drafted; what stands in this slot of the run already is left as it is.

        With `adopt` they become the example's where it has none: a draft, as its answer is, and no action of the
        user's to be undone. Raises UserError where cited words do not stand in the example's document.
        """
        with self._write() as touched:
            self._refuse_citations({example_id: steps})
            id = curation.add_rationale(self._database, run_id, example_id, slot, steps, instruction)
            touched.append(("rationales", [example_id]))
            if adopt and curation.adopt_rationale(self._database, id):
                history.index(self._database, [example_id])
                touched.append(("examples", [example_id]))
            return curation.rationales(self._database, RationaleTable.id == id)[0]

    def rationales(self, example_id: int) -> list[Rationale]:
        """All that was drafted for an example, oldest first."""
        with self._read():
            return curation.rationales(self._database, RationaleTable.example_id == example_id)

    def rationales_of_run(self, run_id: int) -> list[Rationale]:
        """All that a run drafted, oldest first."""
        with self._read():
            return curation.rationales(self._database, RationaleTable.run_id == run_id)

    def set_rationales(
        self, changes: Mapping[int, tuple[Sequence[Step], int]], label: str = "Edit the rationale of {}"
    ) -> int:
        """Gives examples steps, and says which draft they come from (0: none), as one action that can be undone.

        Returns how many were not so already. Raises UserError where cited words do not stand in the document.
        """
        at = _now()
        with self._write() as touched:
            self._refuse_citations({id: steps for id, (steps, _) in changes.items()})
            values = {
                id: {"rationale": storable(packing.pack_steps(steps)), "rationale_draft": draft, "edited_at": at}
                for id, (steps, draft) in changes.items()
            }
            return self._record_each(label, values, touched)

    def set_rejected(self, changes: Mapping[int, str], label: str = "Set the worse answer of {}") -> int:
        """Says which answers are worse than those of examples, as one action that can be undone."""
        with self._write() as touched:
            values = {id: {"rejected": storable(text)} for id, text in changes.items()}
            return self._record_each(label, values, touched)

    def set_checks(self, checks: Mapping[int, Sequence[Check]]) -> None:
        """Keeps results of checks of examples, in place of those of the same names."""
        with self._write() as touched:
            self._refuse_unknown(list(checks))
            rows = [_check_values(id, check) for id, some in checks.items() for check in some]
            for start in range(0, len(rows), CHUNK):
                CheckTable.insert_many(rows[start : start + CHUNK]).on_conflict_replace().execute(self._database)
            touched.append(("examples", list(checks)))

    def add_scores(self, run_id: int, scores: Sequence[ScoreRow]) -> None:
        """Keeps figures that a run found, in place of what it found of the same before."""
        with self._write() as touched:
            curation.add_scores(self._database, run_id, scores)
            touched.append(("scores", [run_id]))

    def scores(self, name: str, example_ids: Sequence[int] | None = None) -> dict[int, ScoreRow]:
        """A figure by example, as the newest run has it; of these examples, or of all."""
        with self._read():
            return curation.newest_scores(self._database, name, example_ids)

    def scores_of_run(self, run_id: int) -> list[ScoreRow]:
        """All figures that a run found, by example."""
        with self._read():
            return curation.scores_of_run(self._database, run_id)

    def scored(self, run_id: int) -> set[int]:
        """The examples of which a run has found anything."""
        with self._read():
            return curation.scored(self._database, run_id)

    def passage_marks(self) -> dict[int, PassageMark]:
        """The marked passages by their ids."""
        with self._read():
            return curation.passage_marks(self._database)

    def mark_passages(self, marks: Sequence[PassageMark]) -> None:
        """Marks passages, in place of the marks that they had."""
        with self._write() as touched:
            curation.mark_passages(self._database, marks)
            touched.append(("passages", [mark.passage_id for mark in marks]))

    def add_pick(self, name: str, recipe: Mapping[str, Any], rows: Sequence[PickRow]) -> Pick:
        """Keeps a selection of examples with its baseline; a name that is taken is numbered."""
        with self._write() as touched:
            self._refuse_unknown([row.example_id for row in rows])
            id = curation.add_pick(self._database, name, recipe, rows, _now())
            touched.append(("picks", [id]))
            return curation.picks(self._database, PickTable.id == id)[0]

    def picks(self) -> list[Pick]:
        """All picks, oldest first."""
        with self._read():
            return curation.picks(self._database)

    def pick(self, id_or_name: int | str) -> Pick:
        """One pick, by its id or its name. Raises UserError when there is none, and says which there are."""
        found = self.picks()
        for pick in found:
            if id_or_name in (pick.id, pick.name):
                return pick
        names = _there_are([pick.name for pick in found])
        raise UserError(f"There is no pick “{id_or_name}” in {self.path.name}. {names}")

    def pick_rows(self, pick_id: int) -> list[PickRow]:
        """The rows of a pick in its order, then those of its baseline."""
        with self._read():
            return curation.pick_rows(self._database, pick_id)

    def remove_pick(self, pick_id: int) -> None:
        """Forgets a pick; its examples stay."""
        with self._write() as touched:
            PickTable.delete().where(PickTable.id == pick_id).execute(self._database)
            touched.append(("picks", [pick_id]))

    # Reviews

    def set_state(self, ids: Sequence[int], state: str, reason: str = "") -> int:
        """Moves examples to a state, as one action that can be undone; returns how many were not in it already."""
        if state not in STATES:
            raise ValueError(f"unknown state: {state}")
        return len(self._act(_LABELS[state], ids, {"state": state, "reason": reason}))

    def set_states(self, states: Mapping[int, str], label: str) -> int:
        """Moves each example to a state of its own, as one action that can be undone; returns how many changed.

        `label` has a place ({}) for the number of questions.
        """
        if unknown := set(states.values()) - set(STATES):
            raise ValueError(f"unknown state: {unknown.pop()}")
        values = {id: {"state": state, "reason": ""} for id, state in states.items()}
        with self._write() as touched:
            return self._record_each(label, values, touched)

    def reject(self, reasons: Mapping[int, str]) -> int:
        """Rejects examples, each for a reason of its own, as one action that can be undone; returns how many."""
        with self._write() as touched:
            values = {id: {"state": "rejected", "reason": storable(reason)} for id, reason in reasons.items()}
            return self._record_each(_LABELS["rejected"], values, touched)

    def rate(self, example_id: int, rating: int | None) -> None:
        """Gives an example 1 to 5 stars, or takes them away."""
        self.rate_all([example_id], rating)

    def rate_all(self, ids: Sequence[int], rating: int | None) -> None:
        """Gives examples 1 to 5 stars, or takes them away, as one action that can be undone."""
        if rating is not None and not 1 <= rating <= 5:
            raise ValueError(f"not a rating: {rating}")
        self._act("Rate {}", ids, {"rating": rating or 0})

    def edit_example(
        self,
        example_id: int,
        question: str | None = None,
        answer: str | None = None,
        choices: Sequence[str] | None = None,
    ) -> None:
        """Changes the texts that are given; the draft stays beside them."""
        packed = None if choices is None else packing.pack(list(choices))
        texts = {"question": question, "answer": answer, "choices": packed}
        values = {name: storable(text) for name, text in texts.items() if text is not None}
        if values:
            self._act("Edit {}", [example_id], values | {"edited_at": _now()})

    def undo(self) -> str | None:
        """Takes the last action back and returns its label; None when there is nothing to undo."""
        return self._step_history(history.undo)

    def redo(self) -> str | None:
        """Does again what was undone last and returns its label; None when there is nothing to redo."""
        return self._step_history(history.redo)

    def step_size(self, redo: bool = False) -> int:
        """How many examples the next undo, or redo, would change: whether it takes a moment."""
        which = "min(id) FROM actions WHERE undone = 1" if redo else "max(id) FROM actions WHERE undone = 0"
        with self._read():
            sql = f"SELECT count(DISTINCT example_id) FROM changes WHERE action_id = (SELECT {which})"
            return next(iter(self._database.execute_sql(sql)))[0]

    def reviews(self, example_id: int) -> list[Review]:
        """All that was changed in an example by hand, oldest first."""
        with self._read():
            return history.reviews(self._database, example_id)

    # Inside

    @contextmanager
    def _read(self) -> Iterator[None]:
        with self._lock, plain_errors(self.path, self._newer):
            yield

    @contextmanager
    def _read_aside(self) -> Iterator[ProjectDatabase]:
        """A connection of its own for what reads long, so that whoever reads or writes a little need not wait."""
        with self._aside_lock, plain_errors(self.path, self._newer):
            if self._aside is None:
                self._aside = ProjectDatabase(self._file.another())
            yield self._aside

    def _newer_lacks(self, _: str) -> UserError:
        """What to say when a newer format does not have what this version asks for."""
        return UserError(self.notice)

    @contextmanager
    def _write(self) -> Iterator[list[tuple[str, list[int]]]]:
        """A transaction; what the body puts into the list it gets is announced once it is committed."""
        if self.read_only:
            raise ProjectReadOnly(f"Nothing was changed: {self.notice}")
        touched: list[tuple[str, list[int]]] = []
        with self._lock, plain_errors(self.path), self._database.atomic("IMMEDIATE"):
            yield touched
        for table, ids in touched:
            for tell in tuple(self.changed):
                tell(table, ids)
        if touched:
            self.maybe_backup()

    def _one(self, query: Any, what: str) -> tuple[Any, ...]:
        for row in query.limit(1).tuples().execute(self._database):
            return row
        raise UserError(f"There is no {what} in {self.path.name}.")

    def _insert_many(self, table: Any, values: Sequence[dict[str, Any]]) -> None:
        for start in range(0, len(values), CHUNK):
            table.insert_many(values[start : start + CHUNK]).execute(self._database)

    def _delete(self, table: Any, condition: Any) -> None:
        """Deletes rows that were found to be referred to by nothing. Raises Unreadable when they are all the same."""
        try:
            table.delete().where(condition).execute(self._database)
        except peewee.IntegrityError as error:
            raise Unreadable("an index in it is out of order") from error

    def _insert_document(self, values: dict[str, Any]) -> int:
        """Inserts the document under the id of the failure that it replaces, if any."""
        same = (DocumentTable.sha256 == values["sha256"]) & (DocumentTable.sha256 != "")
        query = DocumentTable.select(DocumentTable.title).where(same, DocumentTable.state != "failed")
        for (title,) in query.tuples().execute(self._database):
            raise UserError(f"“{title}” is already in this project. Remove it first if you want to read it again.")
        replaced = (DocumentTable.state == "failed") & (same | (DocumentTable.path == values["path"]))
        query = DocumentTable.select(DocumentTable.id).where(replaced).order_by(DocumentTable.id)
        ids = [id for (id,) in query.tuples().execute(self._database)]
        DocumentTable.delete().where(replaced).execute(self._database)
        place = {"id": ids[0]} if ids else {}
        return DocumentTable.insert(**place | values, added_at=_now()).execute(self._database)

    def _document(self, document_id: int) -> DocumentRow:
        for document in rows.documents(self._database, DocumentTable.select().where(DocumentTable.id == document_id)):
            return document
        raise UserError(f"There is no document {document_id} in {self.path.name}.")

    def _page_text(self, document_id: int, number: int) -> str:
        query = PageTable.select(PageTable.text).where(PageTable.document_id == document_id, PageTable.number == number)
        return self._one(query, f"page {number} of document {document_id}")[0]

    def _passage(self, passage_id: int) -> PassageRow:
        for passage in rows.passages(self._database, PassageTable.select().where(PassageTable.id == passage_id)):
            return passage
        raise UserError(f"There is no passage {passage_id} in {self.path.name}.")

    def _update_run(self, run_id: int, **values: Any) -> None:
        with self._write() as touched:
            if not RunTable.update(**values).where(RunTable.id == run_id).execute(self._database):
                raise UserError(f"There is no run {run_id} in {self.path.name}.")
            touched.append(("runs", [run_id]))

    def _update_adapter(self, adapter_id: int, **values: Any) -> None:
        with self._write() as touched:
            if not AdapterTable.update(**values).where(AdapterTable.id == adapter_id).execute(self._database):
                raise UserError(f"There is no adapter {adapter_id} in {self.path.name}.")
            touched.append(("adapters", [adapter_id]))

    def _adapter_content(self, adapter_id: int) -> bytes | None:
        with self._read():
            query = AdapterTable.select(AdapterTable.content).where(AdapterTable.id == adapter_id)
            return self._one(query, f"adapter {adapter_id}")[0]

    def _mark_interrupted(self) -> None:
        reason = "Elenchus was closed, or its computer stopped, before the run had finished."
        with self._lock, plain_errors(self.path):
            query = RunTable.update(state="interrupted", reason=reason).where(RunTable.state == "running")
            query.execute(self._database)

    def _evidence_fault(self, draft: ExampleDraft, passage: PassageRow | None) -> str:
        """Why the evidence cannot be trusted; empty when it stands on the page, inside the passage, word for word."""
        evidence = draft.evidence
        if evidence is None or passage is None:
            return "" if draft.kind in WITHOUT_EVIDENCE else "It has no evidence."
        inside = any(
            page == evidence.page and start <= evidence.start <= evidence.end <= end
            for page, start, end in passage.parts
        )
        if not inside:
            return "Its evidence lies outside the passage it was asked about."
        text = self._page_text(passage.document_id, evidence.page)
        if text[evidence.start : evidence.end] != storable(evidence.text):
            return f"Its evidence does not stand on page {evidence.page} word for word."
        return ""

    def _citation_fault(self, draft: ExampleDraft, passage: PassageRow | None) -> str:
        """Why what the steps of a draft cite cannot be trusted; empty when it stands in the document."""
        document_id = passage and passage.document_id
        return next((why for step in draft.rationale if (why := self._step_fault(document_id, step))), "")

    def _step_fault(self, document_id: int | None, step: Step) -> str:
        cited = step.cited
        if cited is None:
            return ""
        if document_id is None:
            return "A step cites a document, and it comes from none."
        text = self._page_text(document_id, cited.page)
        stands = 0 <= cited.start < cited.end and text[cited.start : cited.end] == storable(cited.text)
        return "" if stands else f"What a step cites does not stand on page {cited.page} word for word."

    def _refuse_citations(self, changes: Mapping[int, Sequence[Step]]) -> None:
        self._refuse_unknown(list(changes))
        for id, steps in changes.items():
            if not any(step.cited for step in steps):
                continue
            query = ExampleTable.select(ExampleTable.document_id).where(ExampleTable.id == id)
            document_id = self._one(query, f"question {id}")[0]
            for step in steps:
                if fault := self._step_fault(document_id, step):
                    raise UserError(f"The steps of question {id} were not kept. {fault} Cite its words again.")

    def _record_each(
        self, label: str, values: Mapping[int, dict[str, Any]], touched: list[tuple[str, list[int]]]
    ) -> int:
        self._refuse_unknown(list(values))
        changed = history.record_each(self._database, label, _now(), values)
        if changed:
            touched.append(("examples", changed))
        return len(changed)

    def _known_example(self, run_id: int, draft: ExampleDraft) -> int | None:
        sql = "SELECT id FROM examples WHERE run_id = ? AND passage_id IS ? AND slot = ?"
        found = self._database.execute_sql(sql, (run_id, draft.passage_id, draft.slot))
        return next((id for (id,) in found), None)

    def _insert_example(
        self, run_id: int, draft: ExampleDraft, passage: PassageRow | None, fault: str, state: str
    ) -> int:
        choices = packing.pack(list(draft.choices))
        values = {
            "run_id": run_id,
            "passage_id": draft.passage_id,
            "slot": draft.slot,
            "document_id": passage and passage.document_id,
            "state": "quarantined" if fault else state,
            "kind": draft.kind,
            "rating": draft.rating or 0,
            "attempts": draft.attempts,
            "created_at": _now(),
            "edited_at": "",
            "reason": fault,
            "context": packing.pack(draft.context),
            "question": draft.question,
            "answer": draft.answer,
            "choices": choices,
            "draft_question": draft.question,
            "draft_answer": draft.answer,
            "draft_choices": choices,
            "rationale": packing.pack_steps(draft.rationale),
            "rationale_draft": 0,
            "rejected": draft.rejected,
            "origin": packing.pack(draft.origin),
        }
        id = self._database.add("examples", values)
        if (evidence := draft.evidence) is not None:
            place = {"page": evidence.page, "start": evidence.start, "stop": evidence.end, "text": evidence.text}
            rectangles = packing.pack_rectangles(evidence.rectangles)
            self._database.add("evidence", {"example_id": id, "rectangles": rectangles, **place})
        for check in draft.checks:
            self._database.add("checks", _check_values(id, check))
        return id

    def _act(self, label: str, ids: Sequence[int], values: dict[str, Any]) -> list[int]:
        with self._write() as touched:
            self._refuse_unknown(ids)
            changed = history.record(self._database, label, _now(), ids, values)
            if changed:
                touched.append(("examples", changed))
            return changed

    def _refuse_unknown(self, ids: Sequence[int]) -> None:
        sql = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT id FROM examples)"
        for (id,) in self._database.execute_sql(sql, (packing.pack(list(ids)),)):
            raise UserError(f"There is no question {id} in {self.path.name}.")

    def _step_history(self, step: Callable[[ProjectDatabase], tuple[str, list[int]] | None]) -> str | None:
        with self._write() as touched:
            done = step(self._database)
            if done is None:
                return None
            touched.append(("examples", done[1]))
            return done[0]


def _refuse_impossible(draft: ExampleDraft) -> None:
    if draft.kind not in ALL_KINDS:
        raise ValueError(f"unknown kind of question: {draft.kind}")
    if draft.passage_id is None and (draft.kind not in WITHOUT_PASSAGE or draft.evidence is not None):
        raise ValueError(f"a {draft.kind} question, or one with evidence, comes from a passage")
    if not takes_turns(draft.context):
        raise ValueError("before a question, user and assistant speak in turn")


def _check_values(example_id: int, check: Check) -> dict[str, Any]:
    place = {"example_id": example_id, "name": check.name}
    return place | {"passed": int(check.passed), "score": check.score, "detail": check.detail}


def _there_are(names: Iterable[str]) -> str:
    listed = ", ".join(f"“{name}”" for name in names)
    return f"There are: {listed}." if listed else "There are none yet."


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
