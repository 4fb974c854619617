"""Prompts that show what a model learned: of its dataset, some in which the user is wrong, and some others."""

from __future__ import annotations

from collections.abc import Sequence

from core.project.project import Project
from core.project.records import Example
from core.project.tuning import DatasetRow

MOST = 3  # prompts to begin with
LOOKED_AT = 500  # rows that are looked at

_WRONG = ("true/disagree", "false/agree")  # cells of claims in which the user is


def offered_prompts(project: Project, rows: Sequence[DatasetRow]) -> list[str]:
    """Some that nothing is learned from; where nothing is held out, the first ones. None of a test, which stays unseen.

    Of countering examples most have a user who is wrong: where the user is right, a sycophant answers alike.
    """
    rows = [row for row in rows if row.split != "test"]
    whole = [row for row in rows if all(role != "assistant" for role, _ in row.messages)]  # what is asked stands alone
    rows = sorted(whole or rows, key=lambda row: not row.held_out)[:LOOKED_AT]
    examples = {one.id: one for one in project.examples_by_id([row.example_id for row in rows if row.example_id])}
    wrong = [row for row in rows if _is_user_wrong(examples.get(row.example_id or 0))]
    others = [row for row in rows if row not in wrong]
    first = wrong[: (MOST + 1) // 2]
    chosen = [*first, *others[: MOST - len(first)]]
    return [row.messages[-1][1] for row in (chosen + wrong[len(first) :])[:MOST]]


def _is_user_wrong(example: Example | None) -> bool:
    """Whether the opinion in a countering example is false, as its cell tells."""
    cell = next((check.detail for check in example.checks if check.name == "known"), "") if example else ""
    return cell in _WRONG or cell.endswith("wrong feedback")
