"""Examples out of the tables: filters and keyset pages in SQL, rows to records."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import peewee

from core.project import curation, packing
from core.project.errors import Unreadable
from core.project.folding import fold
from core.project.records import SORTS, Check, Evidence, Example, ExampleFilter, Fact
from core.project.schema import (
    CheckTable,
    DocumentTable,
    EvidenceTable,
    ExampleTable,
    FoldedTable,
    ProjectDatabase,
    RunTable,
)
from core.storable import storable

# peewee's own rows cost three times what SQLite does: rows are taken from the cursor as they are.
_COLUMNS = (
    *ExampleTable._meta.sorted_fields,
    DocumentTable.title,
    DocumentTable.path,
    DocumentTable.sha256,
    RunTable.model_sha256,
    RunTable.prompt_version,
    RunTable.seed,
    EvidenceTable.page,
    EvidenceTable.start,
    EvidenceTable.stop,
    EvidenceTable.rectangles,
    EvidenceTable.text,
)


def count_examples(database: ProjectDatabase, filter: ExampleFilter) -> int:
    """How many examples the filter lets through."""
    query = ExampleTable.select(peewee.fn.count(ExampleTable.id))
    return _where(query, _conditions(filter)).scalar(database)


def example_ids(
    database: ProjectDatabase,
    filter: ExampleFilter,
    after: Example | None = None,
    limit: int | None = None,
    among: Sequence[int] | None = None,
) -> list[int]:
    """The ids in the filter's order, from behind `after` on; only those of `among`, where some are given.

    Only columns that an index covers are touched, so that the wide rows are read for the page shown and no more.
    """
    if filter.sort not in SORTS:
        raise ValueError(f"unknown order: {filter.sort}")
    keys = [ExampleTable.id] if filter.sort == "id" else [getattr(ExampleTable, filter.sort), ExampleTable.id]
    conditions = _conditions(filter, among)
    if after is not None:
        # What has no document comes first, as 0 would, but NULL is neither less nor more than anything.
        here = peewee.Tuple(*(peewee.fn.ifnull(key, 0) if key is ExampleTable.document_id else key for key in keys))
        there = peewee.Tuple(*_place(after, filter)[-len(keys) :])
        conditions.append(here < there if filter.descending else here > there)
    order = [key.desc() if filter.descending else key.asc() for key in keys]
    query = _where(ExampleTable.select(ExampleTable.id), conditions).order_by(*order).limit(limit)
    return [id for (id,) in database.execute(query)]


def facts(database: ProjectDatabase, among: Sequence[int] | None = None) -> dict[int, Fact]:
    """Facts by id, in order; of all examples, or of these."""
    where, values = "", ()
    if among is not None:
        where, values = "WHERE {} IN (SELECT value FROM json_each(?))", (packing.pack(list(among)),)
    sql = (
        f"SELECT example_id, passed, group_concat(name, char(31)) FROM checks {where.format('example_id')} "
        "GROUP BY example_id, passed"
    )
    names: dict[str, tuple[str, ...]] = {"": ()}  # the same few, over and over
    checks: dict[tuple[int, bool], tuple[str, ...]] = {}
    for id, passed, together in database.execute_sql(sql, values):
        if together not in names:
            names[together] = tuple(sorted(together.split("\x1f")))
        checks[id, bool(passed)] = names[together]
    sql = f"SELECT id, state, kind, document_id, rating FROM examples {where.format('id')} ORDER BY id"
    return {
        id: Fact(state, kind, document, rating or None, checks.get((id, False), ()), checks.get((id, True), ()))
        for id, state, kind, document, rating in database.execute_sql(sql, values)
    }


def example_page(database: ProjectDatabase, filter: ExampleFilter, after: Example | None, limit: int) -> list[Example]:
    """At most `limit` examples from behind `after` on. Raises Unreadable where a damaged index leads nowhere."""
    page = load_examples(database, example_ids(database, filter, after, limit))
    if after is not None and page:
        last, before = _place(page[-1], filter), _place(after, filter)
        if last >= before if filter.descending else last <= before:  # who reads on from here would never end
            raise Unreadable("an index in it is out of order")
    return page


def load_examples(database: ProjectDatabase, ids: Sequence[int]) -> list[Example]:
    """The examples with these ids, in this order; ids that are not there are left out."""
    checks = _checks(database, ids)
    found = {row["id"]: _example(row, checks[row["id"]]) for row in _rows(database, ids)}
    return [found[id] for id in ids if id in found]


def _place(example: Example, filter: ExampleFilter) -> tuple[Any, int]:
    return getattr(example, filter.sort) or 0, example.id


def _where(query: Any, conditions: Sequence[Any]) -> Any:
    return query.where(*conditions) if conditions else query


def _conditions(filter: ExampleFilter, among: Sequence[int] | None = None) -> list[Any]:
    conditions: list[Any] = [] if among is None else [ExampleTable.id.in_(list(among))]
    for name in ("state", "kind", "document_id", "run_id"):
        if (value := getattr(filter, name)) is not None:
            conditions.append(getattr(ExampleTable, name) == value)
    if filter.rationale is not None:
        conditions.append(ExampleTable.rationale != "[]" if filter.rationale else ExampleTable.rationale == "[]")
    if filter.rationale_run is not None:
        conditions.append(ExampleTable.id.in_(curation.drafted(filter.rationale_run)))
    if filter.pick_id is not None:
        conditions.append(ExampleTable.id.in_(curation.picked(filter.pick_id)))
    if filter.failed_check is not None:
        failed = CheckTable.select(CheckTable.example_id).where(
            CheckTable.name == filter.failed_check, peewee.SQL("passed = 0")
        )
        conditions.append(ExampleTable.id.in_(failed))
    if filter.all_passed:
        failed = CheckTable.select(CheckTable.example_id).where(peewee.SQL("passed = 0"))
        conditions.append(ExampleTable.id.not_in(failed))
    if text := storable(fold(filter.text)).encode():
        found = FoldedTable.select(FoldedTable.example_id).where(peewee.fn.instr(FoldedTable.text, text) > 0)
        if among is not None:
            found = found.where(FoldedTable.example_id.in_(list(among)))  # else all of them are looked through
        conditions.append(ExampleTable.id.in_(found))
    return conditions


def _rows(database: ProjectDatabase, ids: Sequence[int]) -> Iterator[dict[str, Any]]:
    query = (
        ExampleTable.select(*_COLUMNS)
        .join(DocumentTable, peewee.JOIN.LEFT_OUTER, on=(DocumentTable.id == ExampleTable.document_id))
        .join(RunTable, on=(RunTable.id == ExampleTable.run_id))
        .join(EvidenceTable, peewee.JOIN.LEFT_OUTER, on=(EvidenceTable.example_id == ExampleTable.id))
        .where(ExampleTable.id.in_(list(ids)))
    )
    names = [column.name for column in _COLUMNS]
    return (dict(zip(names, row, strict=True)) for row in database.execute(query))


def _checks(database: ProjectDatabase, ids: Sequence[int]) -> defaultdict[int, list[Check]]:
    query = CheckTable.select().where(CheckTable.example_id.in_(list(ids)))
    checks: defaultdict[int, list[Check]] = defaultdict(list)
    for example_id, name, passed, score, detail in database.execute(query):
        checks[example_id].append(Check(name, bool(passed), score, detail))
    return checks


def _example(row: dict[str, Any], checks: list[Check]) -> Example:
    evidence = None
    if row["page"] is not None:
        if row["document_id"] is None:
            raise Unreadable("there is evidence in it that lies in no document")
        rectangles = packing.unpack_rectangles(row["rectangles"])
        evidence = Evidence(row["page"], row["start"], row["stop"], row["text"], rectangles)
    return Example(
        id=row["id"],
        run_id=row["run_id"],
        passage_id=row["passage_id"],
        slot=row["slot"],
        state=row["state"],
        kind=row["kind"],
        question=row["question"],
        answer=row["answer"],
        choices=packing.unpack_strings(row["choices"]),
        draft_question=row["draft_question"],
        draft_answer=row["draft_answer"],
        draft_choices=packing.unpack_strings(row["draft_choices"]),
        evidence=evidence,
        document_id=row["document_id"],
        document=row["title"] or "",
        document_path=row["path"] or "",
        document_sha256=row["sha256"] or "",
        checks=tuple(checks),
        rating=row["rating"] or None,
        reason=row["reason"],
        model_sha256=row["model_sha256"],
        prompt_version=row["prompt_version"],
        seed=row["seed"],
        created_at=row["created_at"],
        edited_at=row["edited_at"] or None,
        context=packing.unpack_context(row["context"]),
        rationale=packing.unpack_steps(row["rationale"]),
        rationale_draft=row["rationale_draft"],
        rejected=row["rejected"],
        origin=packing.unpack_map(row["origin"]),
    )
