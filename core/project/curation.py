"""Rationales, scores, marks of passages and picks, between the tables of the project file and plain records."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from core.project import packing
from core.project.names import free_name
from core.project.records import PassageMark, Pick, PickRow, Rationale, ScoreRow, Step
from core.project.schema import (
    ExampleTable,
    PassageMarkTable,
    PickRowTable,
    PickTable,
    ProjectDatabase,
    RationaleTable,
    ScoreTable,
)

CHUNK = 500


def add_rationale(
    database: ProjectDatabase, run_id: int, example_id: int, slot: int, steps: Sequence[Step], instruction: str
) -> int:
    """Keeps drafted steps and returns their id; that of those which stand in this slot already, if there are any."""
    table = RationaleTable
    same = (table.run_id == run_id) & (table.example_id == example_id) & (table.slot == slot)
    for (id,) in table.select(table.id).where(same).tuples().execute(database):
        return id
    values = {"slot": slot, "instruction": instruction, "steps": packing.pack_steps(steps)}
    return table.insert(run_id=run_id, example_id=example_id, **values).execute(database)


def adopt_rationale(database: ProjectDatabase, id: int) -> bool:
    """Gives drafted steps to their example; False where it has some already."""
    (draft,) = RationaleTable.select().where(RationaleTable.id == id).dicts().execute(database)
    lacking = (ExampleTable.id == draft["example_id"]) & (ExampleTable.rationale == packing.pack_steps(()))
    changed = ExampleTable.update(rationale=draft["steps"], rationale_draft=id).where(lacking).execute(database)
    return bool(changed)


def rationales(database: ProjectDatabase, condition: Any) -> list[Rationale]:
    """The drafted rationales that meet a condition, oldest first."""
    query = RationaleTable.select().where(condition).order_by(RationaleTable.id)
    return [
        Rationale(
            row["id"],
            row["run_id"],
            row["example_id"],
            row["slot"],
            row["instruction"],
            packing.unpack_steps(row["steps"]),
        )
        for row in query.dicts().execute(database)
    ]


def add_scores(database: ProjectDatabase, run_id: int, scores: Sequence[ScoreRow]) -> None:
    """Keeps what a run found, in place of what it found of the same before. Raises ValueError for what is no number."""
    if bad := next((score for score in scores if not math.isfinite(score.value)), None):
        raise ValueError(f"not a score: {bad}")
    for start in range(0, len(scores), CHUNK):
        values = [{"run_id": run_id, **vars(score)} for score in scores[start : start + CHUNK]]
        ScoreTable.insert_many(values).on_conflict_replace().execute(database)


def newest_scores(database: ProjectDatabase, name: str, ids: Sequence[int] | None) -> dict[int, ScoreRow]:
    """A figure by example, as the newest run has it; of these examples, or of all."""
    # SQLite takes the other columns from the row of the maximum: https://sqlite.org/lang_select.html#bareagg
    sql = "SELECT example_id, value, detail, max(run_id) FROM scores WHERE name = ?"
    arguments: list[Any] = [name]
    if ids is not None:
        sql += " AND example_id IN (SELECT value FROM json_each(?))"
        arguments.append(packing.pack(list(ids)))
    found = database.execute_sql(f"{sql} GROUP BY example_id", tuple(arguments))
    return {id: ScoreRow(id, name, value, detail) for id, value, detail, _ in found if math.isfinite(value)}


def scores_of_run(database: ProjectDatabase, run_id: int) -> list[ScoreRow]:
    """All that a run found, by example and name."""
    table = ScoreTable
    query = table.select(table.example_id, table.name, table.value, table.detail).where(table.run_id == run_id)
    rows = query.order_by(table.example_id, table.name).tuples().execute(database)
    return [ScoreRow(*row) for row in rows if math.isfinite(row[2])]


def scored(database: ProjectDatabase, run_id: int) -> set[int]:
    """The examples of which a run has found anything."""
    query = ScoreTable.select(ScoreTable.example_id).where(ScoreTable.run_id == run_id).distinct()
    return {id for (id,) in query.tuples().execute(database)}


def passage_marks(database: ProjectDatabase) -> dict[int, PassageMark]:
    """The marked passages by their ids."""
    table = PassageMarkTable
    query = table.select(table.passage_id, table.label, table.value, table.set_aside).order_by(table.passage_id)
    return {
        id: PassageMark(id, label, value if value is not None and math.isfinite(value) else None, bool(aside))
        for id, label, value, aside in query.tuples().execute(database)
    }


def mark_passages(database: ProjectDatabase, marks: Sequence[PassageMark]) -> None:
    """Keeps marks in place of those that the same passages had; of passages that are gone, none."""
    sql = "SELECT id FROM passages WHERE id IN (SELECT value FROM json_each(?))"
    there = {id for (id,) in database.execute_sql(sql, (packing.pack([mark.passage_id for mark in marks]),))}
    rows = [vars(mark) | {"set_aside": int(mark.set_aside)} for mark in marks if mark.passage_id in there]
    for start in range(0, len(rows), CHUNK):
        values = rows[start : start + CHUNK]
        PassageMarkTable.insert_many(values).on_conflict_replace().execute(database)


def add_pick(database: ProjectDatabase, name: str, recipe: Mapping[str, Any], rows: Sequence[PickRow], now: str) -> int:
    """Keeps a selection and returns its id; a name that is taken gets a number."""
    id = PickTable.insert(
        name=free_name(database, PickTable, name, "pick"),
        created_at=now,
        recipe=packing.pack(recipe),
        size=sum(not row.baseline for row in rows),
    ).execute(database)
    values = [
        {"pick_id": id, "baseline": int(row.baseline), "ordinal": n, "example_id": row.example_id, "reason": row.reason}
        for n, row in enumerate(rows)
    ]
    for start in range(0, len(values), CHUNK):
        PickRowTable.insert_many(values[start : start + CHUNK]).execute(database)
    return id


def picks(database: ProjectDatabase, condition: Any = None) -> list[Pick]:
    """The picks that meet a condition, oldest first; all without one."""
    query = PickTable.select().order_by(PickTable.id)
    query = query if condition is None else query.where(condition)
    return [
        Pick(row["id"], row["name"], row["created_at"], packing.unpack_map(row["recipe"]), row["size"])
        for row in query.dicts().execute(database)
    ]


def pick_rows(database: ProjectDatabase, pick_id: int) -> list[PickRow]:
    """The rows of a pick in its order, then those of its baseline."""
    table = PickRowTable
    query = table.select(table.example_id, table.baseline, table.reason).where(table.pick_id == pick_id)
    found = query.order_by(table.baseline, table.ordinal).tuples().execute(database)
    return [PickRow(id, bool(baseline), reason) for id, baseline, reason in found]


def picked(pick_id: int) -> Any:
    """A query for the ids of the examples that a pick chose."""
    return PickRowTable.select(PickRowTable.example_id).where(
        PickRowTable.pick_id == pick_id, PickRowTable.baseline == 0
    )


def drafted(run_id: int) -> Any:
    """A query for the ids of the examples for which a run drafted steps."""
    return RationaleTable.select(RationaleTable.example_id).where(RationaleTable.run_id == run_id)
