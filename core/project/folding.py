"""Folding of text for search, so that a word is found however it is written: ışık finds IŞIK and isik alike."""

import re
import unicodedata

# All four i of Turkish fold to one: English knows two of them, and capital letters do not say which was meant.
_DOTLESS = str.maketrans({"ı": "i", "İ": "i", "I": "i"})
# Only the combining marks of Latin, Greek and Cyrillic: in Thai, Hindi or Japanese a mark makes another letter.
_MARKS = re.compile("[\u0300-\u036f]")


def fold(text: str) -> str:
    """The text as search compares it: NFKC, no case, no diacritics, single spaces."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).translate(_DOTLESS).casefold()
        text = _MARKS.sub("", unicodedata.normalize("NFD", text))
        # Once more: folding of case and of marks may have brought a dotless i out, and split letters belong together.
        text = unicodedata.normalize("NFC", text).translate(_DOTLESS)
    return " ".join(text.lower().split())
