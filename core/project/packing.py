"""Records to column values and back; a value that does not have its shape raises Unreadable, never anything else."""

import functools
import json
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from core.documents.records import Furniture, Heading, Rectangle, Word
from core.project.errors import Unreadable
from core.project.records import Evidence, Step, takes_turns
from core.storable import storable

T = TypeVar("T")

POINT = 100  # words are kept to 1/100 of a point: finer than any eye, and it compresses well
MAX_WORDS = 4 * 1024 * 1024  # bytes of one page's words unpacked: a stranger's file may hold a zip bomb


def pack(value: Any) -> str:
    """Plain JSON of strings, numbers, lists and dicts."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def pack_words(words: Sequence[Word]) -> bytes:
    """Columns of start, length, x0, y0, x1, y1 as 32-bit integers, compressed."""
    columns = [[word.start for word in words], [word.end - word.start for word in words]]
    for side in ("x0", "y0", "x1", "y1"):
        columns.append([round(getattr(word.rectangle, side) * POINT) for word in words])
    return zlib.compress(b"".join(struct.pack(f"<{len(words)}i", *column) for column in columns))


def pack_rectangles(rectangles: Sequence[Rectangle]) -> str:
    """A list of [x0, y0, x1, y1]."""
    return pack([[box.x0, box.y0, box.x1, box.y1] for box in rectangles])


def pack_furniture(furniture: Sequence[Furniture]) -> str:
    """A list of [kind, text, [x0, y0, x1, y1]]."""
    boxes = [item.rectangle for item in furniture]
    return pack([[f.kind, f.text, [b.x0, b.y0, b.x1, b.y1]] for f, b in zip(furniture, boxes, strict=True)])


def pack_outline(outline: Sequence[Heading]) -> str:
    """A list of [title, level, page, top]."""
    return pack([[entry.title, entry.level, entry.page, entry.top] for entry in outline])


def pack_steps(steps: Sequence[Step]) -> str:
    """A list of [text, accepted, [page, start, end, text] or null]."""
    cited = ([s.cited.page, s.cited.start, s.cited.end, s.cited.text] if s.cited else None for s in steps)
    return pack([[step.text, int(step.accepted), place] for step, place in zip(steps, cited, strict=True)])


def unpacking(function: Callable[[Any], T]) -> Callable[[Any], T]:
    """Makes a function that reads a stored value raise Unreadable for one of another shape, and nothing else."""

    @functools.wraps(function)
    def checked(value: Any) -> T:
        try:
            return function(value)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error, zlib.error) as error:
            raise Unreadable(f"a stored value cannot be read: {type(error).__name__}") from error

    return checked


@unpacking
def unpack_words(value: Any) -> tuple[Word, ...]:
    """The words of a page."""
    inflate = zlib.decompressobj()
    data = inflate.decompress(value, MAX_WORDS)
    if not inflate.eof or len(data) % 24:
        raise ValueError("cut short")
    count = len(data) // 24
    numbers = struct.unpack(f"<{6 * count}i", data)
    starts, lengths, *sides = (numbers[column * count : (column + 1) * count] for column in range(6))
    boxes = zip(*([number / POINT for number in side] for side in sides), strict=True)
    return tuple(
        Word(start, start + length, Rectangle(*box)) for start, length, box in zip(starts, lengths, boxes, strict=True)
    )


@unpacking
def unpack_strings(value: Any) -> tuple[str, ...]:
    """A list of strings."""
    return tuple(_string(item) for item in _list(json.loads(value)))


@unpacking
def unpack_string_map(value: Any) -> dict[str, str]:
    """A dict of strings by name."""
    return {name: _string(item) for name, item in _dict(json.loads(value)).items()}


@unpacking
def unpack_map(value: Any) -> dict[str, Any]:
    """A dict of plain JSON by name."""
    return _dict(json.loads(value))


@unpacking
def unpack_list(value: Any) -> list[Any]:
    """A list of plain JSON."""
    return _list(json.loads(value))


@unpacking
def unpack_numbers(value: Any) -> tuple[float, ...]:
    """A list of numbers."""
    return tuple(_number(item) for item in _list(json.loads(value)))


@unpacking
def unpack_context(value: Any) -> tuple[tuple[str, str], ...]:
    """The (role, text) of what was said before a question."""
    context = tuple((_string(role), _string(text)) for role, text in _list(json.loads(value)))
    if not takes_turns(context):
        raise ValueError("not said in turn")
    return context


@unpacking
def unpack_steps(value: Any) -> tuple[Step, ...]:
    """The steps of a rationale."""
    return tuple(
        Step(_string(text), _cited(cited) if cited is not None else None, bool(accepted))
        for text, accepted, cited in _list(json.loads(value))
    )


def _cited(value: Any) -> Evidence:
    page, start, end, text = _list(value)
    return Evidence(_integer(page), _integer(start), _integer(end), _string(text))


@unpacking
def unpack_parts(value: Any) -> tuple[tuple[int, int, int], ...]:
    """The (page, start, end) of a passage's parts."""
    return tuple((_integer(page), _integer(start), _integer(end)) for page, start, end in _list(json.loads(value)))


@unpacking
def unpack_rectangles(value: Any) -> tuple[Rectangle, ...]:
    """The rectangles of evidence."""
    return tuple(_rectangle(sides) for sides in _list(json.loads(value)))


@unpacking
def unpack_furniture(value: Any) -> tuple[Furniture, ...]:
    """What was taken out of a page's text."""
    entries = _list(json.loads(value))
    return tuple(Furniture(_string(kind), _string(text), _rectangle(box)) for kind, text, box in entries)


@unpacking
def unpack_outline(value: Any) -> tuple[Heading, ...]:
    """The outline of a document."""
    return tuple(
        Heading(_string(title), _integer(level), _integer(page), None if top is None else _number(top))
        for title, level, page, top in _list(json.loads(value))
    )


def _rectangle(sides: Any) -> Rectangle:
    x0, y0, x1, y1 = (_number(side) for side in _list(sides))
    return Rectangle(x0, y0, x1, y1)


def _list(value: Any) -> list[Any]:
    return _of(list, value)


def _dict(value: Any) -> dict[str, Any]:
    return _of(dict, value)


def _string(value: Any) -> str:
    return storable(_of(str, value))


def _integer(value: Any) -> int:
    return _of(int, value)


def _number(value: Any) -> float:
    return value if isinstance(value, float) else _of(int, value)


def _of(kind: type[T], value: Any) -> T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError(f"{type(value).__name__} instead of {kind.__name__}")
    return value
