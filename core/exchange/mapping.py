"""Says which column of a file is what of an example, and reads a row by that."""

import json
from collections.abc import Mapping as Columns
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import UserError
from core.exchange import formats
from core.exchange.worked import is_worked, worked
from core.project.tuning import ROLES
from core.tables import Row, Table, cell_text, cell_verbatim

# What a column can be, and what that means.
FIELDS = {
    "question": "what is asked: a text, or chat messages",
    "input": "more of the question, which follows it",
    "answer": "what is answered: a text, or a chat message",
    "conversation": "chat messages, the last of which is the answer",
    "system": "what the system says first",
    "history": "pairs of what was asked and answered before",
    "context": "chat messages that stand before the question",
    "worked": "steps and an answer, marked with ####, as in GSM8K",
    "rationale": "the steps to the answer, one a line",
    "rejected": "a worse answer",
    "choices": "what can be chosen from",
    "kind": "the kind of question",
    "rating": "1 to 5 stars",
}
_ASKED = ("question", "conversation")
_ANSWERED = ("answer", "worked", "conversation")
_DEEPEST = 16  # objects in each other, in what a row says of its origin
_SAYS = {"human": "user", "gpt": "assistant"}  # ShareGPT's roles

_Messages = tuple[tuple[str, str], ...]

# Each shape is known by its columns; the first that fits counts.
_SHAPES: tuple[tuple[tuple[str, ...], dict[str, str]], ...] = (
    (("messages",), {"conversation": "messages"}),
    (("conversations",), {"conversation": "conversations", "system": "system"}),
    (("prompt", "chosen", "rejected"), {"question": "prompt", "answer": "chosen", "rejected": "rejected"}),
    (("chosen", "rejected"), {"conversation": "chosen", "rejected": "rejected"}),
    (("prompt", "completion"), {"question": "prompt", "answer": "completion"}),
    (
        ("instruction", "output"),
        {"question": "instruction", "input": "input", "answer": "output", "system": "system", "history": "history"},
    ),
    (("input", "label"), {"question": "input", "answer": "label", "rationale": "rationale"}),
)
_USUAL = {
    "question": ("question", "prompt", "instruction", "query", "problem", "input", "claim", "text"),
    "answer": ("answer", "response", "output", "completion", "solution", "label", "target"),
    "context": ("context",),
    "system": ("system", "system_prompt"),
    "rationale": ("rationale", "reasoning", "explanation", "steps"),
    "rejected": ("rejected",),
    "choices": ("choices", "options"),
    "kind": ("kind",),
    "rating": ("rating", "stars"),
}


class Unusable(Exception):
    """Why a row cannot be used, as the end of a sentence about it."""


@dataclass(frozen=True)
class Mapping:
    """Which column each of FIELDS is read from."""

    fields: dict[str, str]

    def to_text(self) -> str:
        """As the command line takes it: question=q,answer=a. A name with a comma or quote stands in quotes."""
        return ",".join(f"{name}={_quoted(column)}" for name, column in self.fields.items())

    @classmethod
    def from_text(cls, text: str) -> "Mapping":
        """What `to_text` wrote. Raises UserError."""
        found: dict[str, str] = {}
        rest = text.strip()
        while rest:
            name, equals, rest = rest.partition("=")
            column, rest = _unquoted(rest)
            if not equals or not column or name.strip() not in FIELDS:
                raise UserError(
                    f"“{text}” does not say which column is what. Write it like question=q,answer=a; "
                    f"a column can be: {', '.join(FIELDS)}."
                )
            found[name.strip()] = column
        return cls(found)

    def check(self, table: Table, answered: bool = True) -> None:
        """Raises UserError where a column is not there, or none is for the question or, if `answered`, the answer."""
        for name, column in self.fields.items():
            if name not in FIELDS:
                raise UserError(f"A column cannot be the “{name}” of an example. It can be: {', '.join(FIELDS)}.")
            if column not in table.columns:
                raise UserError(f"{table.path.name} has no column “{column}”. {_there(table)}")
        for needed, what in ((_ASKED, "what is asked"), (_ANSWERED, "what is answered"))[: 1 + answered]:
            if not any(name in self.fields for name in needed):
                raise UserError(
                    f"It is not said which column of {table.path.name} is {what}: name one for {' or '.join(needed)}. "
                    f"{_there(table)}"
                )


@dataclass(frozen=True)
class Read:
    """What a row says."""

    messages: _Messages  # what stands before the answer, the user's last
    answer: str
    rejected: str = ""
    steps: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    kind: str = ""
    rating: int | None = None
    origin: dict[str, Any] = field(default_factory=dict)  # what stood under formats.KEY


def guess(table: Table, answered: bool = True) -> Mapping | None:
    """What the columns of a file seem to be; None when that cannot be told. Unless `answered`, questions are enough."""
    for needed, fields in _SHAPES:
        if set(needed) <= set(table.columns):
            return Mapping({name: column for name, column in fields.items() if column in table.columns})
    by_name = {column.casefold(): column for column in table.columns}
    found = {name: by_name[known] for name, names in _USUAL.items() if (known := _first(names, by_name))}
    if "answer" in found and is_worked([cell_text(row.cells.get(found["answer"])) for row in table.rows]):
        found["worked"] = found.pop("answer")
    if "question" in found and (not answered or any(name in found for name in _ANSWERED)):
        return Mapping(found)
    return None


def guessed(table: Table, answered: bool = True) -> Mapping:
    """As `guess`. Raises UserError when it cannot be told."""
    found = guess(table, answered)
    if found is None:
        known = "; ".join(", ".join(sorted(needed)) for needed, _ in _SHAPES)
        told, lacking = ("question, answer", " and which the answer") if answered else ("question", "")
        raise UserError(
            f"{table.path.name} is not of a known shape: its columns are {_there(table, short=True)}. "
            f"Known are: {known}; {told}. Say which column is the question{lacking}."
        )
    return found


def read(row: Row, mapping: Mapping, answered: bool = True) -> Read:
    """What a row says; unless `answered`, it may say no more than what is asked. Raises Unusable."""
    if row.fault:
        raise Unusable(row.fault)
    cells = _Cells(row, mapping)
    pairs = "chosen" in mapping.fields.values() and "rejected" in mapping.fields
    needed = {
        *(_NEEDED if answered else ("conversation",)),
        *(("rejected",) if pairs and answered else ()),
        *(() if isinstance(cells["answer"], list) else ("question",)),
    }
    if lacking := [column for name, column in mapping.fields.items() if name in needed and column not in row.cells]:
        raise Unusable(f"it lacks {' and '.join(f'“{column}”' for column in sorted(lacking))}")
    origin = _origin(row)
    messages, answer = _asked_and_answered(cells, "conversation" in mapping.fields)
    rejected = _answer(cells["rejected"])
    steps = tuple(_list_of_texts(cells["rationale"]) or _lines(cell_verbatim(cells["rationale"])))
    if "worked" in mapping.fields:
        found = worked(cell_text(cells["worked"]))
        if found is None and answered:
            raise Unusable("its worked solution marks no answer with ####")
        steps, answer = found or (steps, answer)
    made = Read(
        (*_said_before(cells), *messages), answer, rejected, steps, tuple(_list_of_texts(cells["choices"])),
        cell_text(cells["kind"]), _stars(cells["rating"]), origin,
    )  # fmt: skip
    if answered:
        _check(made, pairs)
    elif not any(text.strip() for role, text in made.messages if role != "system"):
        raise Unusable("its question is empty")
    return made


_NEEDED = ("answer", "conversation", "worked")


class _Cells:
    """The cells of a row by the fields of a mapping; what was guarded against spreadsheets is as it was before."""

    def __init__(self, row: Row, mapping: Mapping) -> None:
        self._row, self._columns = row.cells, mapping.fields
        self._guarded = row.cells.get(formats.GUARDED) == "yes"

    def __getitem__(self, name: str) -> Any:
        cell = self._row.get(self._columns.get(name, ""), None) if name in self._columns else None
        return formats.harmed(cell) if self._guarded and isinstance(cell, str) else cell


def _origin(row: Row) -> dict[str, Any]:
    """The object under formats.KEY, whether it stands there as one or written out as a text."""
    found: Any = row.entry.get(formats.KEY)
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            return {}
    if not isinstance(found, dict) or _depth(found) > _DEEPEST:
        return {}
    try:
        json.dumps(found, allow_nan=False)
    except (ValueError, TypeError):  # Parquet has dates too
        return {}  # it could not be written again as others read it
    return found


def _depth(value: Any) -> int:
    """How deep objects and lists lie in each other; no further than is looked at."""
    depth, layer = 0, [value]
    while layer and depth <= _DEEPEST:
        inner = [list(one.values()) if isinstance(one, dict) else one for one in layer if isinstance(one, dict | list)]
        depth, layer = depth + bool(inner), [each for one in inner for each in one]
    return depth


def _asked_and_answered(cells: _Cells, talks: bool) -> tuple[_Messages, str]:
    if talks:
        return _answered(_turns(cells["conversation"]))
    asked, answer = cells["question"], cells["answer"]
    if isinstance(asked, list) and asked:
        messages = _turns(asked)
    elif not asked and isinstance(answer, list):  # of pairs, the conversation may stand in both answers
        messages = _answered(_turns(answer))[0]
    else:
        more = cell_verbatim(cells["input"])
        messages = (("user", "\n\n".join(filter(None, (cell_verbatim(asked), more)))),)
    return messages, _answer(answer)


def _said_before(cells: _Cells) -> _Messages:
    system = cell_verbatim(cells["system"])
    turns: list[tuple[str, str]] = [("system", system)] if system else []
    history = _parsed(cells["history"]) or []
    if not isinstance(history, list) or any(not isinstance(pair, list) or len(pair) != 2 for pair in history):
        raise Unusable("its history is not a list of pairs")
    for pair in history:
        turns += [("user", cell_verbatim(pair[0])), ("assistant", cell_verbatim(pair[1]))]
    return (*turns, *(_turns(context) if (context := _parsed(cells["context"])) else ()))


def _turns(cell: Any) -> _Messages:
    """The (role, text) of a list of objects, as OpenAI and ShareGPT write them."""
    cell = _parsed(cell)
    if not isinstance(cell, list):
        raise Unusable("its conversation is not a list")
    turns: list[tuple[str, str]] = []
    for entry in cell:
        role, text = ("from", "value") if isinstance(entry, dict) and "from" in entry else ("role", "content")
        if not isinstance(entry, dict) or not isinstance(entry.get(text), str):
            raise Unusable(f"its conversation has an entry without “{role}” and “{text}”")
        said = cell_text(entry.get(role))
        turns.append((_SAYS.get(said, said), cell_verbatim(entry[text])))
    return tuple(turns)


def _parsed(cell: Any) -> Any:
    """A list that a CSV file has as a text of JSON; any other cell as it is."""
    if isinstance(cell, str) and cell[:1] == "[":
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            pass
    return cell


def _answer(cell: Any) -> str:
    """An answer: a text, or messages of which it is the last."""
    return _answered(_turns(cell))[1] if isinstance(cell, list) else cell_verbatim(cell)


def _answered(turns: _Messages) -> tuple[_Messages, str]:
    """A conversation parted before its last answer."""
    if not turns or turns[-1][0] != "assistant":
        raise Unusable("its conversation does not end with an answer of the assistant")
    return turns[:-1], turns[-1][1]


def _list_of_texts(cell: Any) -> list[str]:
    """The texts of a list, or of the “text” of its objects."""
    found = _parsed(cell)
    if not isinstance(found, list):
        return []
    return [cell_verbatim(one.get("text") if isinstance(one, dict) else one) for one in found]


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _stars(cell: Any) -> int | None:
    text = cell_text(cell)
    return int(text) if text in ("1", "2", "3", "4", "5") else None


def _check(made: Read, pairs: bool) -> None:
    for role, _ in made.messages:
        if role not in ROLES:
            raise Unusable(f"its role “{role[:40]}” is none of {', '.join(ROLES)}")
    spoken = [role for role, _ in made.messages if role != "system"]
    if any(role == "system" for role, _ in made.messages[1:]):
        raise Unusable("its system speaks in the middle")
    if not spoken or spoken != ["user", "assistant"] * (len(spoken) // 2) + ["user"]:
        raise Unusable("user and assistant do not speak in turn, the user first and the assistant last")
    if formats.is_own(made.origin):
        return  # what was exported may lack a text
    if not made.messages[-1][1].strip():
        raise Unusable("a text of its user is empty")
    if not made.answer.strip():
        raise Unusable("its answer is empty")
    if pairs and not made.rejected.strip():
        raise Unusable("its rejected answer is empty")
    if made.rejected and made.rejected == made.answer:
        raise Unusable("its two answers are the same")


def _there(table: Table, short: bool = False) -> str:
    listed = ", ".join(f"“{column}”" for column in table.columns[: 12 if short else 30]) or "none"
    return listed if short else f"Its columns are: {listed}. Say which of them to take."


def _first(names: Sequence[str], there: Columns[str, str]) -> str:
    return next((name for name in names if name in there), "")


def _quoted(column: str) -> str:
    return json.dumps(column, ensure_ascii=False) if set(column) & set('",= ') else column


def _unquoted(text: str) -> tuple[str, str]:
    """The first column of what is left of a mapping, and the rest behind its comma."""
    if text.startswith('"'):
        try:
            column, end = json.JSONDecoder().raw_decode(text)
        except ValueError:
            return "", ""
        return (column, text[end + 1 :]) if text[end : end + 1] in ("", ",") else ("", "")
    column, _, rest = text.partition(",")
    return column.strip(), rest
