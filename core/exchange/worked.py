"""Parts a worked solution, as GSM8K writes it, into its steps and its answer (Cobbe and others, arXiv 2110.14168)."""

import re
from collections.abc import Sequence

_SUM = re.compile(r"<<[^<>\n]*>>")  # “<<48/2=24>>”: what a calculator is asked, beside its result in the text
_ANSWER = re.compile(r"(?:^|\n)[ \t]*####[ \t]*(.*)\s*\Z", re.DOTALL)  # “#### 72”


def worked(text: str) -> tuple[tuple[str, ...], str] | None:
    """The steps, one a line, without the calculator's marks, and the answer; None where none is marked with “####”."""
    found = _ANSWER.search(text)
    if found is None or not found[1].strip():
        return None
    lines = _SUM.sub("", text[: found.start()]).split("\n")
    return tuple(line.strip() for line in lines if line.strip()), found[1].strip()


def is_worked(texts: Sequence[str]) -> bool:
    """Whether most texts of a column are worked solutions."""
    return sum(worked(text) is not None for text in texts) * 2 > len(texts) > 0
