"""What to make of characters: NFKC words, logical order of right-to-left lines, hyphens at line ends, garbage."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby

HYPHENS = "-\u2010\u2011\u00ad"
SOFT_HYPHEN = "\u00ad"
_DASHES = "\u2012\u2013\u2014"
_INVISIBLE = dict.fromkeys([*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x206A), 0xFEFF])
_ONE_HYPHEN = str.maketrans(dict.fromkeys("\u2010\u2011", "-"))
_SYMBOLS = str.maketrans("\uf0a7\uf0b7\uf0d8\uf0fc", "▪•➢✓")  # of Microsoft's fonts of symbols, which have no Unicode


def word_set(words: str) -> frozenset[str]:
    """The words of a text, for tables that read better as running text."""
    return frozenset(words.split())


# Written with a hyphen when they begin an English compound, although both halves are words.
_COMPOUND_BEGINNINGS = word_set(
    "cross five four full half high ill long low nine non seven eight self short six three two well"
)
# The second half of a broken word may look like a word; these never begin the second half of a compound.
_SUFFIXES = word_set(
    "able ably al ally ance ation ed ence ened ent er ered ers es est fold ful hood ible ing ings ion ions ish ism ist"
    " ity itude ive land lands less light lighted lights ling ly ment ments ness or ors ous sense ship sion some teen"
    " tion tions ty ward wards way ways"
)
# "Ein- und Ausgabe", "pre- and post-war": the hyphen stands for a part left out.
_CONJUNCTIONS = word_set("and or to und oder bzw bis et ou y o e ve veya ile")

_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")
_TAIL = re.compile(r"([^\W\d_]+)$")
_HEAD = re.compile(r"^([^\W\d_]+)")


def normalise(word: str) -> str:
    """The word in NFKC, without invisible characters, its hyphens all of one kind; never with a space inside.

    What NFKC would change the meaning of stays: 10², CO₂, 2½, and the wide punctuation of Chinese and Japanese.
    """
    if word.isascii():
        return word
    word = word.translate(_INVISIBLE).translate(_SYMBOLS)
    runs = ((stays, "".join(run)) for stays, run in groupby(word, _stays))
    return "".join(run if stays else _nfkc(run) for stays, run in runs).translate(_ONE_HYPHEN)


def _nfkc(word: str) -> str:
    folded = unicodedata.normalize("NFKC", word)
    if any(map(str.isspace, folded)):  # a spacing accent such as "¨" becomes a space and a combining mark
        parts = ((one, unicodedata.normalize("NFKC", one)) for one in word)
        folded = "".join(one if any(map(str.isspace, nfkc)) else nfkc for one, nfkc in parts)
        folded = "".join(folded.split())
    return folded


@cache
def _stays(character: str) -> bool:
    kind = unicodedata.decomposition(character).partition(" ")[0]
    return kind in ("<super>", "<sub>", "<fraction>") or (
        kind == "<wide>" and not (character.isalnum() or character.isspace())
    )


def is_rtl(character: str) -> bool:
    """Whether the character is a letter of a script written from right to left."""
    return character >= "\u0590" and unicodedata.bidirectional(character[0]) in ("R", "AL")


def is_unspaced(character: str) -> bool:
    """Whether the character belongs to a script that puts no spaces between words (Chinese, Japanese)."""
    return (
        "\u3000" <= character <= "\u30ff"
        or "\u3400" <= character <= "\u9fff"
        or "\uf900" <= character <= "\ufaff"
        or "\uff00" <= character <= "\uffef"
        or "\U00020000" <= character <= "\U0003ffff"
    )


def logical_order(visual: Sequence[str], rtl_line: bool) -> list[int]:
    """Indices of the visual characters (left to right as they stand on the page) in the order they are read.

    `rtl_line` says that the line as a whole runs from right to left. Runs of Latin letters and of digits keep their
    order, with what stands between them.
    """
    kinds = _resolved_kinds(visual, rtl_line)
    indices = list(range(len(visual)))
    if rtl_line:
        indices.reverse()
    order: list[int] = []
    run: list[int] = []
    against = "L" if rtl_line else "R"  # runs against the line's direction are turned round once more
    for index in indices:
        if kinds[index] == against:
            run.append(index)
            continue
        order.extend(reversed(run))
        run.clear()
        order.append(index)
    order.extend(reversed(run))
    return order


def _resolved_kinds(visual: Sequence[str], rtl_line: bool) -> list[str]:
    """L or R for each character; neutral ones go with their neighbours when these agree, else with the line."""
    base = "R" if rtl_line else "L"
    kinds: list[str] = []
    for character in visual:
        kind = unicodedata.bidirectional(character[0]) if character else "ON"
        kinds.append("R" if kind in ("R", "AL") else "L" if kind == "L" else "N" if kind in ("EN", "AN") else "?")
    resolved = list(kinds)
    start = 0
    while start < len(kinds):
        if kinds[start] != "?":
            start += 1
            continue
        end = start
        while end < len(kinds) and kinds[end] == "?":
            end += 1
        before = kinds[start - 1] if start else ""
        after = kinds[end] if end < len(kinds) else ""
        if rtl_line and before in ("L", "N") and after in ("R", "") and _is_mark(visual, start):
            resolved[start] = "L"  # "XSS:" or "1." drawn as one piece
            start += 1
            continue
        if before == "N" and after == "N" and end - start > 1:
            joined = base  # two numbers are two items; "1,234" is one
        else:
            sides = {"L" if side == "N" else side for side in (before, after)}
            joined = sides.pop() if len(sides) == 1 and "" not in sides else base
        resolved[start:end] = [joined] * (end - start)
        start = end
    return ["L" if kind == "N" else kind for kind in resolved]


def _is_mark(visual: Sequence[str], place: int) -> bool:
    """Whether a punctuation mark stands close to what is left of it, with a gap or nothing on its right."""
    return visual[place] in (".", ",", ":", ";", "!", "?") and not "".join(visual[place + 1 : place + 2])


def face_brackets(text: str) -> str:
    """The text of a right-to-left line with each bracket turned to open or close as its place in the text says.

    Whether a PDF names the shape or the meaning of a bracket differs from one to the next, so neither is believed.
    """
    pairs = {"(": ")", "[": "]", "{": "}"}
    opening = {closer: opener for opener, closer in pairs.items()}
    out = list(text)
    open_ones: list[str] = []
    for place, character in enumerate(text):
        opener = character if character in pairs else opening.get(character)
        if opener is None:
            continue
        before = text[place - 1] if place else " "
        after = text[place + 1] if place + 1 < len(text) else " "
        if before.isspace() != after.isspace():
            opens = before.isspace()
        else:
            opens = opener not in open_ones
        if opens:
            open_ones.append(opener)
        elif opener in open_ones:
            open_ones.remove(opener)
        out[place] = opener if opens else pairs[opener]
    return "".join(out)


def count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word, in lower case, stands in the texts, compounds with their hyphen and part by part too."""
    counts: Counter[str] = Counter()
    for text in texts:
        for word in _WORD.findall(text.lower()):
            counts[word] += 1
            if "-" in word:
                counts.update(word.split("-"))
    return counts


def join_lines(left: str, right: str, vocabulary: Counter[str]) -> tuple[int, str]:
    """How line `left` is joined to line `right` below it: characters to drop from its end, and what to put between.

    The document's own vocabulary decides whether a hyphen breaks a word or belongs to it.
    """
    if not left or not right:
        return 0, ""
    last = left[-1]
    if last in HYPHENS and len(left) > 1 and not left[-2].isspace():
        return _join_hyphen(left[:-1], right, last, vocabulary)
    if last in _DASHES + "/" and len(left) > 1 and not left[-2].isspace():
        return 0, ""
    if is_unspaced(last) or is_unspaced(right[0]):
        both = is_unspaced(last) and is_unspaced(right[0])
        return 0, "" if both or not (last.isalnum() and right[0].isalnum()) else " "
    return 0, " "


def _join_hyphen(left: str, right: str, hyphen: str, vocabulary: Counter[str]) -> tuple[int, str]:
    tail, head = _TAIL.search(left), _HEAD.match(right)
    drop = 1 if hyphen == SOFT_HYPHEN else 0
    if tail is None or head is None:
        return drop, ""
    first, second = tail[1], head[1]
    if second.lower() in _CONJUNCTIONS and right[len(second) :].startswith((" ", ".")):
        return drop, " "
    if hyphen == SOFT_HYPHEN:
        return 1, ""
    before = left[: -len(first)][-1:]
    if before and (before in HYPHENS or before in "/.:@_" or before.isdigit()):
        return 0, ""  # "state-of-the-|art", an address, "3D-|"
    return (1, "") if is_broken(first, second, vocabulary) else (0, "")


def is_broken(first: str, second: str, vocabulary: Counter[str]) -> bool:
    """Whether the hyphen between the two halves at a line end was put there by the line break alone."""
    if len(first) == 1 or (second[0].isupper() and not first.isupper()):
        return False
    one, two = first.lower(), second.lower()
    joined, compound = vocabulary[one + two], vocabulary[f"{one}-{two}"]
    if joined or compound:
        return joined >= compound
    if two in _SUFFIXES:
        return True
    if one in _COMPOUND_BEGINNINGS and len(two) > 2:
        return False
    # Both halves stand alone elsewhere, and often: "three-tier". A half that is no word was broken off.
    both = min(vocabulary[one], vocabulary[two])
    return not (both >= 2 and len(one) > 2 and len(two) > 3)


_VOWELS = frozenset("aeiouyıøæœαεηιουωаеёиоуыэюяіїє")
_STOP_WORDS = word_set(
    "the of and to in is that for it as with be on are this der die und das ist nicht von mit ein zu den le la"
    " les de et des un une est que en dans du el los y se del las por con il di che per non si o da do não uma os"
    " bir ve bu için ile olarak het een van dat na w nie i je jest a"
)


def is_garbage(text: str, unmapped: float) -> bool:
    """Whether the text layer is no language: fonts without a map to Unicode give such text.

    `unmapped` is the share of its characters that are control characters, private, or that the PDF maps to nothing.
    """
    letters = [one for one in unicodedata.normalize("NFD", text.lower()) if one.isalpha()]
    if len(letters) < 20:
        return unmapped > 0.5 and len(text.split()) > 3
    cased = [one for one in letters if one < "\u0530"]
    if len(cased) < 0.5 * len(letters):
        return unmapped > 0.5 or _mixes_scripts(text)
    vowels = sum(one in _VOWELS for one in cased) / len(cased)
    words = _WORD.findall(text.lower())
    stop_words = sum(word in _STOP_WORDS for word in words) / max(1, len(words))
    if unmapped > 0.3:
        return vowels < 0.28 or stop_words < 0.03
    few_stop_words = len(words) >= 20 and stop_words < 0.02
    return len(cased) >= 100 and (vowels < (0.27 if few_stop_words else 0.2) or _mixes_scripts(text))


def _mixes_scripts(text: str) -> bool:
    """Whether a good part of the words has letters of several alphabets inside: no language does that."""
    words = [word for word in _WORD.findall(text) if len(word) > 3]
    mixed = sum(
        len({_script(one) for one in word if one.isalpha()}) > 1
        for word in words
        if not word.isascii() and not any(map(is_unspaced, word))
    )
    return len(words) > 10 and mixed > 0.3 * len(words)


def _script(letter: str) -> str:
    return unicodedata.name(letter, "?").split(" ")[0]
