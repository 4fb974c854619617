"""What the checks of a rationale found, in words."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLocale

from gui.rationale_findings import Finding


def verdict_words(found: Finding) -> str:
    """Where the steps lead the model, and where the question leads it alone; empty where nobody looked."""
    tr = QCoreApplication.translate
    if found.leads is None or found.alone is None:
        return ""
    words = {
        (True, False): tr("Rationales", "With these steps the model answers right; without them it does not"),
        (True, True): tr("Rationales", "The model answers right with these steps, and without them too"),
        (False, False): tr("Rationales", "The model answers wrong with these steps, and without them too"),
        (False, True): tr("Rationales", "With these steps the model answers wrong; without them it answers right"),
    }[found.leads, found.alone]
    if found.gain is None:
        return f"{words}."
    return f"{words} ({gain_words(found.gain)}; {_without_last(found.before)})."


def gain_words(gain: float) -> str:
    """What the steps add to the answer's log-probability."""
    number = gain_number(gain)
    if gain < 0:
        return QCoreApplication.translate("Rationales", "loss {} nats a token").format(number.lstrip("−"))
    return QCoreApplication.translate("Rationales", "gain {} nats a token").format(number)


def gain_number(gain: float) -> str:
    """The same as a short number."""
    shown = QLocale().toString(abs(gain), "f", 2 if abs(gain) < 10 else 1)
    return f"−{shown}" if gain < 0 and any(digit in "123456789" for digit in shown) else shown


def leads_sign(leads: bool | None) -> tuple[str, str]:
    """Whether the steps lead to the answer as a sign, and its colour; the shape alone says it too."""
    return {None: ("–", "quiet"), True: ("✓", "good"), False: ("!", "bad")}[leads]


def _without_last(before: float | None) -> str:
    """That a gain is no wonder where the answer is told, and what it is before."""
    tr = QCoreApplication.translate
    if before is None:
        return tr("Rationales", "the last step is there to tell the answer")
    return tr("Rationales", "{} without the last step, which is there to tell the answer").format(gain_number(before))
