"""Makes any text one that UTF-8 can hold."""

import re

_SURROGATES = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """The text with what UTF-8 cannot hold (lone surrogates, as broken PDFs give them) replaced one for one."""
    return _SURROGATES.sub("\ufffd", text)
