"""What the user did to examples, as actions that can be undone and redone, also after a restart.

An action is a group of changes of single values. Undone actions stay until a new one takes their place.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.project import packing
from core.project.folding import fold
from core.project.records import STEP_CHECKS, Review, rationale_text
from core.project.schema import ActionTable, ChangeTable, ProjectDatabase
from core.storable import storable

FIELDS = (
    "state", "reason", "rating", "question", "answer", "choices", "rationale", "rationale_draft", "rejected",
    "edited_at",
)  # fmt: skip
SEARCHED = ("question", "answer", "choices", "rationale")
ALONG = ("edited_at", "rationale_draft")  # what comes with a change and is none by itself


def record(database: ProjectDatabase, label: str, at: str, ids: Sequence[int], values: dict[str, Any]) -> list[int]:
    """Gives each of the examples these values, as one action; returns the ids of those that were not so already.

    `label` has a place ({}) for the number of questions; `values` are as the columns hold them. The time of an edit
    alone is no change.
    """
    changed = _differing(database, ids, {name: value for name, value in values.items() if name != "edited_at"})
    if not changed:
        return []
    action = _new_action(database, label, at, len(changed))
    for name, value in values.items():
        assert name in FIELDS
        database.execute_sql(
            "INSERT INTO changes (action_id, example_id, field, before, after) "
            f"SELECT ?, id, ?, {name}, ? FROM examples "
            f"WHERE id IN (SELECT value FROM json_each(?)) AND {name} <> ?",
            (action, name, str(value), json.dumps(changed), value),
        )
    _apply(database, action, "after")
    return changed


def record_each(database: ProjectDatabase, label: str, at: str, changes: Mapping[int, dict[str, Any]]) -> list[int]:
    """As `record`, with values of its own for each example.

    Which draft steps come from is kept even where it stays: a run may give steps of its own before this is redone.
    """
    before = _values(database, changes)
    differing = {
        id: {name: value for name, value in values.items() if name in ALONG or before[id][name] != value}
        for id, values in changes.items()
    }
    differing = {id: values for id, values in differing.items() if values.keys() - set(ALONG)}
    if not differing:
        return []
    action = _new_action(database, label, at, len(differing))
    rows = [
        {"action_id": action, "example_id": id, "field": name, "before": str(before[id][name]), "after": str(value)}
        for id, values in differing.items()
        for name, value in values.items()
    ]
    for start in range(0, len(rows), 500):
        ChangeTable.insert_many(rows[start : start + 500]).execute(database)
    _apply(database, action, "after")
    return sorted(differing)


def undo(database: ProjectDatabase) -> tuple[str, list[int]] | None:
    """Takes the last action back; returns its label and the examples it changed, or None when there is none."""
    return _step(database, ActionTable.undone == 0, ActionTable.id.desc(), "before")


def redo(database: ProjectDatabase) -> tuple[str, list[int]] | None:
    """Does again what was undone last; returns its label and the examples it changed, or None when there is none."""
    return _step(database, ActionTable.undone == 1, ActionTable.id.asc(), "after")


def reviews(database: ProjectDatabase, example_id: int) -> list[Review]:
    """All that the user changed in one example, oldest first."""
    query = (
        ChangeTable.select(
            ActionTable.at,
            ActionTable.label,
            ChangeTable.field,
            ChangeTable.before,
            ChangeTable.after,
            ActionTable.undone,
        )
        .join(ActionTable, on=(ActionTable.id == ChangeTable.action_id))
        .where(ChangeTable.example_id == example_id, ChangeTable.field.not_in(ALONG))
        .order_by(ActionTable.id, ChangeTable.field)
        .tuples()
    )
    return [
        Review(at, label, field, _readable(field, before), _readable(field, after), bool(undone))
        for at, label, field, before, after, undone in query.execute(database)
    ]


def _readable(field: str, value: str) -> str:
    """Steps as text, so that a review of theirs that changed no word has the same before and after."""
    return rationale_text(packing.unpack_steps(value)) if field == "rationale" else value


def index(database: ProjectDatabase, ids: Sequence[int]) -> None:
    """Brings the folded text of these examples, which the search looks through, up to date."""
    sql = (
        "SELECT id, context, question, answer, choices, rationale FROM examples "
        "WHERE id IN (SELECT value FROM json_each(?))"
    )
    for start in range(0, len(ids), 500):
        some = list(database.execute_sql(sql, (json.dumps(list(ids[start : start + 500])),)))
        for id, context, question, answer, choices, rationale in some:
            said = (text for _, text in packing.unpack_context(context))
            steps = (step.text for step in packing.unpack_steps(rationale))
            texts = (*said, question, answer, *packing.unpack_strings(choices), *steps)
            text = storable(fold("\n".join(texts))).encode()
            database.add("folded", {"example_id": id, "text": text}, "REPLACE")


def questions(count: int) -> str:
    """The number of questions in words for the user."""
    return "1 question" if count == 1 else f"{count:,} questions"


def _new_action(database: ProjectDatabase, label: str, at: str, count: int) -> int:
    ActionTable.delete().where(ActionTable.undone == 1).execute(database)
    return ActionTable.insert(at=at, label=label.format(questions(count)), undone=0).execute(database)


def _values(database: ProjectDatabase, changes: Mapping[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What the examples that are to be changed are like now, in the columns that are to be changed."""
    names = sorted({name for values in changes.values() for name in values})
    assert set(names) <= set(FIELDS)
    columns = "".join(f", {name}" for name in names)
    sql = f"SELECT id{columns} FROM examples WHERE id IN (SELECT value FROM json_each(?))"
    found = database.execute_sql(sql, (json.dumps(list(changes)),))
    return {id: dict(zip(names, values, strict=True)) for id, *values in found}


def _differing(database: ProjectDatabase, ids: Sequence[int], values: dict[str, Any]) -> list[int]:
    different = " OR ".join(f"{name} <> ?" for name in values)
    sql = f"SELECT id FROM examples WHERE id IN (SELECT value FROM json_each(?)) AND ({different})"
    return [id for (id,) in database.execute_sql(sql, (json.dumps(list(ids)), *values.values()))]


def _step(database: ProjectDatabase, which: Any, order: Any, side: str) -> tuple[str, list[int]] | None:
    query = ActionTable.select(ActionTable.id, ActionTable.label).where(which).order_by(order).limit(1).tuples()
    found = list(query.execute(database))
    if not found:
        return None
    action, label = found[0]
    changed = _apply(database, action, side)
    ActionTable.update(undone=int(side == "before")).where(ActionTable.id == action).execute(database)
    return label, changed


def _apply(database: ProjectDatabase, action: int, side: str) -> list[int]:
    """Gives the examples the values before or after the action; returns their ids."""
    query = ChangeTable.select(ChangeTable.example_id, ChangeTable.field).where(ChangeTable.action_id == action)
    fields: dict[str, list[int]] = {}
    for example_id, field in query.tuples().execute(database):
        fields.setdefault(field, []).append(example_id)
    for field in FIELDS:
        if field in fields:
            database.execute_sql(
                f"UPDATE examples SET {field} = changes.{side} FROM changes "
                "WHERE changes.action_id = ? AND changes.field = ? AND changes.example_id = examples.id",
                (action, field),
            )
    worded = sorted({id for field in SEARCHED for id in fields.get(field, ())})
    index(database, worded)
    _forget_checks(database, worded)
    return sorted({id for ids in fields.values() for id in ids})


def _forget_checks(database: ProjectDatabase, ids: Sequence[int]) -> None:
    """What was found of steps, their question and their answer is of other words now: nobody is to be told of it."""
    names = json.dumps(STEP_CHECKS)
    listed = "IN (SELECT value FROM json_each(?))"
    sql = f"DELETE FROM checks WHERE name {listed} AND example_id {listed}"
    database.execute_sql(sql, (names, json.dumps(ids)))
