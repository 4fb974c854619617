"""The shapes that training tools read: one row in, one plain JSON object or CSV row out."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.language import ask_whether
from core.project.records import (
    ALL_KINDS,
    FRESH,
    GENERATED_KINDS,
    IMPORTED,
    Example,
    ExampleDraft,
    Step,
    rationale_text,
)
from core.project.tuning import DatasetRow

LETTERS = "ABCDEFGH"
KEY = "elenchus"  # of what a line says of where it comes from; training tools ignore it
LABEL, RATIONALE = "[label] ", "[rationale] "  # before the question, by the task (arXiv 2305.02301)
LABEL_WEIGHT = RATIONALE_WEIGHT = 0.5  # of the two tasks, as the paper's code has them

CSV_PLACE = ("id", "state")
CSV_TEXTS = ("kind", "context", "question", "choices", "answer", "rationale", "rejected", "rating", "split")
CSV_ORIGIN = (
    "evidence", "document", "document_sha256", "page", "start", "end",
    "run", "model_sha256", "prompt_version", "seed", KEY,
)  # fmt: skip
GUARDED = "guarded"  # the column that says that formulas of a CSV file were made harmless
# A Chinese or Japanese spreadsheet takes the wide signs for formulas too.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")

_Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """What is written of one row: its texts, the example that they are of, if it is still the same, and what stands
    under KEY; None where that is left out. `split` is its side of a dataset, if it is of one.
    """

    row: DatasetRow
    example: Example | None = None
    said: dict[str, Any] | None = None
    split: str = ""


def kind_of(example: Example | ExampleDraft) -> str:
    """Its kind; of one that was imported without its passage, that which it had where it comes from."""
    kind = example.origin.get("kind")
    return kind if example.kind == IMPORTED and isinstance(kind, str) and kind in ALL_KINDS else example.kind


def prompt_and_answer(example: Example | ExampleDraft) -> tuple[str, str]:
    """What a person would ask and be told: choices are listed, and a claim is asked about.

    A question that was generated lists its choices itself.
    """
    if kind_of(example) == "true_false":
        return f"{ask_whether(example.question, example.answer)} {example.question}", example.answer
    if example.choices and kind_of(example) not in GENERATED_KINDS:
        listed = [f"{letter}) {text}" for letter, text in zip(LETTERS, example.choices, strict=False)]
        return "\n".join([example.question, *listed]), _lettered(example)
    return example.question, example.answer


def _lettered(example: Example | ExampleDraft) -> str:
    if example.answer not in example.choices[: len(LETTERS)]:
        return example.answer
    return f"{LETTERS[example.choices.index(example.answer)]}) {example.answer}"


def row_of(example: Example, split: str = "train") -> DatasetRow:
    """An example as it is trained on."""
    prompt, answer = prompt_and_answer(example)
    messages = (*example.context, ("user", prompt))
    steps = rationale_text(example.rationale)
    return DatasetRow(messages, answer, rejected_answer(example), steps, split=split, example_id=example.id)


def rejected_answer(example: Example) -> str:
    """The answer that is worse: the one kept for that, or the model's, where a person thought of a better one.

    Empty where it says the same: who edits an answer may make it what was worse.
    """
    worse = example.rejected
    same_question = (example.draft_question, example.draft_choices) == (example.question, example.choices)
    if not worse and same_question and example.draft_answer != example.answer:
        worse = example.draft_answer
    if worse.split() in ([], example.answer.split()):
        return ""
    return prompt_and_answer(replace(example, answer=worse))[1]


def _conversation(row: DatasetRow) -> _Turns:
    """The (role, text) of the whole conversation, its answer last."""
    return (*row.messages, ("assistant", row.answer))


def as_messages(turns: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    """(role, text) as OpenAI's chat messages."""
    return [{"role": role, "content": text} for role, text in turns]


def as_one_prompt(turns: Sequence[tuple[str, str]]) -> str:
    """One text that stands for all that was said; where there is more than a question, it says who speaks."""
    if len(turns) == 1:
        return turns[0][1]
    return "\n\n".join(f"{role.title()}: {text}" for role, text in turns)


def alpaca(row: DatasetRow) -> dict[str, Any]:
    """Stanford Alpaca: instruction, input, output; with LLaMA-Factory's system, and what was said before as history."""
    system = row.messages[0][1] if row.messages[0][0] == "system" else ""
    *before, prompt = (text for role, text in row.messages if role != "system")
    line: dict[str, Any] = {"instruction": prompt, "input": "", "output": row.answer}
    if system:
        line["system"] = system
    if before:
        line["history"] = [list(pair) for pair in zip(before[::2], before[1::2], strict=True)]
    return line


def sharegpt(row: DatasetRow) -> dict[str, Any]:
    """ShareGPT: conversations of human and gpt."""
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    return {"conversations": [{"from": names[role], "value": text} for role, text in _conversation(row)]}


def messages(row: DatasetRow) -> dict[str, Any]:
    """OpenAI chat messages."""
    return {"messages": as_messages(_conversation(row))}


def completion(row: DatasetRow) -> dict[str, Any]:
    """Prompt and completion."""
    return {"prompt": as_one_prompt(row.messages), "completion": row.answer}


def two_task(row: DatasetRow) -> dict[str, Any]:
    """Distilling step-by-step: input, label and rationale, and the two tasks that are learned from them by weight.

    A row without a rationale is of the first task alone.
    """
    tasks = [{"prefix": LABEL, "target": "label", "weight": LABEL_WEIGHT}]
    if row.rationale:
        tasks.append({"prefix": RATIONALE, "target": "rationale", "weight": RATIONALE_WEIGHT})
    told = {"input": as_one_prompt(row.messages), "label": row.answer, "rationale": row.rationale}
    return {**told, "tasks": tasks}


def dpo(row: DatasetRow) -> dict[str, Any]:
    """A preference pair in TRL's standard form."""
    return {"prompt": as_one_prompt(row.messages), "chosen": row.answer, "rejected": row.rejected}


def dpo_messages(row: DatasetRow) -> dict[str, Any]:
    """A preference pair in TRL's conversational form, to which the model's own chat template is applied."""
    chosen, rejected = (as_messages([("assistant", text)]) for text in (row.answer, row.rejected))
    return {"prompt": as_messages(row.messages), "chosen": chosen, "rejected": rejected}


SHAPES: dict[str, Callable[[DatasetRow], dict[str, Any]]] = {
    "alpaca": alpaca,
    "sharegpt": sharegpt,
    "messages": messages,
    "completion": completion,
    "two-task": two_task,
    "dpo": dpo,
    "dpo-messages": dpo_messages,
}
PAIRS = ("dpo", "dpo-messages")  # shapes of rows that have a worse answer
TABLES = ("csv", "parquet", "folder")  # formats that are no JSON lines; those of Parquet hold rows of a shape
FORMATS = (*SHAPES, *TABLES)


def provenance(example: Example) -> dict[str, Any]:
    """Where an example comes from, and what its line does not say of it: what an import needs to bring it back.

    An example that was imported keeps saying what its line said.
    """
    own = {
        "id": example.id,
        "kind": kind_of(example),
        "edited": bool(example.overwritten),
        "rating": example.rating,
        "evidence": evidence(example),
        "run": run(example),
    }
    beside = _beside(example)
    if not is_own(example.origin):
        return own | beside | ({"origin": example.origin} if example.origin else {})
    before = {key: value for key, value in example.origin.items() if key not in _BESIDE or key in beside}
    if _said(before.get("rationale")) == _said(beside.get("rationale")):
        beside.pop("rationale", None)  # what it cites may lie in a document that is not here
    edited = own["edited"] or bool(before.get("edited"))
    return before | {"kind": own["kind"], "edited": edited, "rating": example.rating} | beside


def is_own(origin: object) -> bool:
    """Whether an object that stood under KEY was written by `provenance`."""
    return isinstance(origin, dict) and isinstance(origin.get("run"), dict) and isinstance(origin.get("kind"), str)


_BESIDE = ("question", "answer", "choices", "context", "rationale", "rejected", "stem")


def _beside(example: Example) -> dict[str, Any]:
    """What a line may not tell of its example, where there is any of it."""
    prompt, answer = prompt_and_answer(example)
    found: dict[str, Any] = {}
    if prompt != example.question or example.context:  # some formats make one prompt of both
        found["question"] = example.question
    if answer != example.answer:
        found["answer"] = example.answer
    if example.choices:
        found["choices"] = list(example.choices)
    if example.context:
        found["context"] = as_messages(example.context)
    if example.rationale:
        found["rationale"] = [step_as_json(step) for step in example.rationale]
    if example.rejected:
        found["rejected"] = example.rejected
    if stem := next((check.detail for check in example.checks if check.name == FRESH), ""):
        found["stem"] = stem
    return found


def _said(steps: object) -> list[Any]:
    """The texts of steps and whether they were accepted, whatever they cite."""
    return [(one.get("text"), one.get("accepted")) for one in steps] if isinstance(steps, list) else []


def step_as_json(step: Step) -> dict[str, Any]:
    """A step of a rationale, with the place in the example's document that it cites."""
    cited = step.cited and {
        "text": step.cited.text, "page": step.cited.page, "start": step.cited.start, "end": step.cited.end,
    }  # fmt: skip
    return {"text": step.text, "cited": cited, "accepted": step.accepted}


def evidence(example: Example) -> dict[str, Any] | None:
    """The evidence with its place: page counts from 1, start and end are characters of the page's text."""
    found = example.evidence
    if found is None:
        return None
    return {
        "text": found.text,
        "document": re.split(r"[/\\]", example.document_path)[-1],  # the folders are nobody's business
        "document_sha256": example.document_sha256,
        "page": found.page,
        "start": found.start,
        "end": found.end,
        "rectangles": [[round(v, 2) for v in (r.x0, r.y0, r.x1, r.y1)] for r in found.rectangles],
    }


def run(example: Example) -> dict[str, Any]:
    """The run that made the example."""
    return {
        "id": example.run_id,
        "model_sha256": example.model_sha256,
        "prompt_version": example.prompt_version,
        "seed": example.seed,
    }


def as_json(example: Example) -> dict[str, Any]:
    """An example in full, as `elenchus show --json` prints it."""
    return {
        "id": example.id,
        "state": example.state,
        "kind": example.kind,
        "context": as_messages(example.context),
        "question": example.question,
        "answer": example.answer,
        "choices": list(example.choices),
        "rationale": [step_as_json(step) for step in example.rationale],
        "rejected": example.rejected,
        "draft": {
            "question": example.draft_question,
            "answer": example.draft_answer,
            "choices": list(example.draft_choices),
        },
        "evidence": evidence(example),
        "checks": {c.name: {"passed": c.passed, "score": c.score, "detail": c.detail} for c in example.checks},
        "rating": example.rating,
        "reason": example.reason,
        "run": run(example),
    }


def csv_columns(plain: bool, guard: bool) -> tuple[str, ...]:
    """The head of a CSV file."""
    columns = CSV_TEXTS if plain else (*CSV_PLACE, *CSV_TEXTS, *CSV_ORIGIN)
    return (*columns, GUARDED) if guard else columns


def csv_row(line: Line, guard: bool = True) -> list[str]:
    """The values of `csv_columns`: lists as JSON, and what is not there as an empty cell.

    With `guard`, a cell that a spreadsheet would run as a formula is given a leading apostrophe.
    """
    texts = _csv_texts(line)
    values = texts if line.said is None else (*_csv_place(line), *texts, *_csv_origin(line.said))
    cells = ["" if value is None else str(value) for value in values]
    return [*map(harmless, cells), "yes"] if guard else cells


def _csv_texts(line: Line) -> tuple[Any, ...]:
    row, example = line.row, line.example
    split = line.split or (line.said or {}).get("split")
    if example is None:
        steps = [text for text in row.rationale.split("\n") if text]
        context, question = row.messages[:-1], row.messages[-1][1]
        return "", _list(as_messages(context)), question, "", row.answer, _list(steps), row.rejected, None, split
    steps = [step.text for step in example.rationale]
    return (
        kind_of(example), _list(as_messages(example.context)), example.question, _list(example.choices),
        example.answer, _list(steps), row.rejected, example.rating, split,
    )  # fmt: skip


def _csv_place(line: Line) -> tuple[Any, ...]:
    return (line.said or {}).get("id"), line.example.state if line.example else ""


def _csv_origin(said: dict[str, Any]) -> tuple[Any, ...]:
    found, made = (one if isinstance(one, dict) else {} for one in (said.get("evidence"), said.get("run")))
    places = (found.get(name) for name in ("text", "document", "document_sha256", "page", "start", "end"))
    runs = (made.get(name) for name in ("id", "model_sha256", "prompt_version", "seed"))
    return (*places, *runs, json.dumps(said, ensure_ascii=False))


def _list(values: Sequence[Any]) -> str:
    return json.dumps(values, ensure_ascii=False) if values else ""


def harmless(cell: str) -> str:
    """A cell that no spreadsheet runs: `harmed` gives it back as it was."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def harmed(cell: str) -> str:
    """A cell as it was before `harmless`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
