"""Compares two datasets, row by row: what came, what went, what was changed and what is on another side now."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.project.project import Project
from core.project.tuning import Dataset, DatasetRow


@dataclass(frozen=True)
class Change:
    """A row before and after; None where it was not there."""

    before: DatasetRow | None
    after: DatasetRow | None


@dataclass(frozen=True)
class Difference:
    """What makes one dataset another. `moved` rows have the same texts, on another side; `recipe` is what was chosen
    differently: its keys, before and after.
    """

    before: Dataset
    after: Dataset
    added: tuple[Change, ...]
    removed: tuple[Change, ...]
    changed: tuple[Change, ...]
    moved: tuple[Change, ...]
    unchanged: int
    recipe: dict[str, tuple[Any, Any]]


def compare(project: Project, before: str, after: str) -> Difference:
    """What makes the dataset `after` another than `before`: rows are the same by their texts, else by their example,
    else by what is asked. Raises UserError when there is no such dataset.
    """
    old, new = project.dataset(before), project.dataset(after)
    left, right = project.dataset_rows(old.id), project.dataset_rows(new.id)
    found: list[Change] = []
    for key in (_texts, _example, _asked):
        pairs, left, right = _matched(left, right, key)
        found += pairs
    same = [one for one in found if _texts(one.before) == _texts(one.after)]
    moved = [one for one in same if one.before and one.after and one.before.split != one.after.split]
    return Difference(
        before=old,
        after=new,
        added=tuple(Change(None, row) for row in right),
        removed=tuple(Change(row, None) for row in left),
        changed=tuple(one for one in found if _texts(one.before) != _texts(one.after)),
        moved=tuple(moved),
        unchanged=len(same) - len(moved),
        recipe=dict(_choices(old.recipe, new.recipe)),
    )


def _matched(
    left: Sequence[DatasetRow], right: Sequence[DatasetRow], key: Any
) -> tuple[list[Change], list[DatasetRow], list[DatasetRow]]:
    """Rows of both sides with one key, and those of either side that have no other."""
    there: dict[Any, list[DatasetRow]] = defaultdict(list)
    for row in reversed(left):
        there[key(row)].append(row)
    pairs: list[Change] = []
    new: list[DatasetRow] = []
    for row in right:
        if key(row) is not None and there[key(row)]:
            pairs.append(Change(there[key(row)].pop(), row))
        else:
            new.append(row)
    taken = {id(one.before) for one in pairs}
    return pairs, [row for row in left if id(row) not in taken], new


def _texts(row: DatasetRow | None) -> Any:
    return row and (row.messages, row.answer, row.rejected, row.rationale)


def _example(row: DatasetRow) -> Any:
    return row.example_id


def _asked(row: DatasetRow) -> Any:
    return row.messages


def _choices(before: dict[str, Any], after: dict[str, Any]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for key in {**before, **after}:
        if before.get(key) != after.get(key):
            yield key, (before.get(key), after.get(key))
