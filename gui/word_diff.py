"""Which words of a text are not those of another, and how they are marked in a field."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from PySide6.QtGui import QColor, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QTextEdit

from gui import style

KEEP = QTextCursor.MoveMode.KeepAnchor
ALIKE = 0.3  # share of the words: with less in common all would be marked, which says nothing


def changed(before: str, after: str) -> list[tuple[int, int]]:
    """Where words stand in `after` that are not in `before`, or elsewhere; nothing where little is alike."""
    old, new = before.split(), [(match.group(), match.span()) for match in re.finditer(r"\S+", after)]
    matcher = SequenceMatcher(None, old, [word for word, _ in new], autojunk=False)
    if matcher.ratio() < ALIKE:
        return []
    return [
        (new[first][1][0], new[last - 1][1][1])
        for what, _, _, first, last in matcher.get_opcodes()
        if what in ("replace", "insert")
    ]


def changed_lines(before: Sequence[str], after: Sequence[str]) -> list[list[tuple[int, int]]]:
    """The same for each of several lines, a line that was split or moved being compared with all of those before."""
    spans, found, offset = changed("\n".join(before), "\n".join(after)), [], 0
    for line in after:
        end = offset + len(line)
        found.append([(max(a, offset) - offset, min(b, end) - offset) for a, b in spans if a < end and b > offset])
        offset = end + 1
    return found


def mark_words(field: QPlainTextEdit, spans: Sequence[tuple[int, int]]) -> None:
    """Underlines pieces of the text of a field, each from one character to before another, and no others."""
    ground = QColor(style.colour("accent"))
    ground.setAlpha(60)
    drawn, text = [], field.toPlainText()
    for start, end in spans:
        mark = QTextEdit.ExtraSelection()
        mark.cursor = QTextCursor(field.document())  # pyright: ignore[reportAttributeAccessIssue]
        mark.cursor.setPosition(units(text, start))  # pyright: ignore[reportAttributeAccessIssue]
        mark.cursor.setPosition(units(text, end), KEEP)  # pyright: ignore[reportAttributeAccessIssue]
        mark.format.setBackground(ground)  # pyright: ignore[reportAttributeAccessIssue]
        mark.format.setFontUnderline(True)  # pyright: ignore[reportAttributeAccessIssue]
        drawn.append(mark)
    field.setExtraSelections(drawn)


def units(text: str, place: int) -> int:
    """A place in a text as Qt counts: a letter beyond the first 65,536 is two."""
    return len(text[:place].encode("utf-16-le", "surrogatepass")) // 2
