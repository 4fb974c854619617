"""Finds a worse answer to the same question, for preference pairs: one that was kept, edited, or rated lower."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from core.datasets.dividing import Candidate
from core.exchange.formats import prompt_and_answer
from core.project.project import Project
from core.project.records import GENERATED_KINDS, Example, ExampleFilter

APART = 2  # stars between two answers, of which one is the better then

_Asked = tuple[int | None, tuple[tuple[str, str], ...], str]


def paired(
    found: Iterable[Candidate], examples: Mapping[int, Example], rated: Mapping[int, str]
) -> tuple[list[Candidate], Counter[str]]:
    """Those that have a worse answer, and where these come from: "countering", "kept", "edits", "ratings" or "file".

    `rated` are worse answers by the example's id, as `worse_rated` finds them.
    """
    kept: list[Candidate] = []
    whence: Counter[str] = Counter()
    for one in found:
        example = examples.get(one.row.example_id or 0)
        if one.row.rejected:
            whence[_whence(example)] += 1
        elif example is not None and example.id in rated:
            one = replace(one, row=replace(one.row, rejected=rated[example.id]))
            whence["ratings"] += 1
        else:
            continue
        kept.append(one)
    return kept, whence


def worse_rated(project: Project) -> dict[int, str]:
    """For rated examples, another answer to the same question about the same passage, at least two stars below: the
    one with the fewest. Whether it was rejected does not count; what is quarantined does.
    """
    asked: dict[_Asked, list[tuple[int, int, str]]] = {}
    for example in project.iter_examples(ExampleFilter()):
        if example.rating and example.state != "quarantined":
            prompt, answer = prompt_and_answer(example)
            key = example.passage_id, example.context, " ".join(prompt.casefold().split())
            asked.setdefault(key, []).append((example.rating, example.id, answer))
    found: dict[int, str] = {}
    for answers in asked.values():
        least, _, worse = min(answers)
        found |= {id: worse for stars, id, answer in answers if stars - least >= APART and answer != worse}
    return found


def _whence(example: Example | None) -> str:
    if example is None:
        return "file"
    if not example.rejected:
        return "edits"
    return "countering" if example.kind in GENERATED_KINDS else "kept"
