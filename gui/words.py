"""What the project's own words are called in the window: states, kinds, checks, times and sizes."""

from __future__ import annotations

import html
from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, QDateTime, QLocale, Qt

from core.engine.devices import Device
from core.engine.fit import Fit
from core.project.records import STATES, Check, Run

LONGEST_TOOLTIP = 3000  # characters

# State → its sign and its colour: the shape alone says it too.
_SIGNS = {"draft": ("○", "quiet"), "accepted": ("✓", "good"), "rejected": ("✕", "bad"), "quarantined": ("!", "warning")}


def tooltip(text: str) -> str:
    """Text from outside as a tooltip: wrapped, and nothing in it is markup."""
    shown = text if len(text) <= LONGEST_TOOLTIP else text[:LONGEST_TOOLTIP] + "…"
    return f"<p>{html.escape(shown).replace(chr(10), '<br>')}</p>" if text else ""


def state_name(state: str) -> str:
    """The name of a state for the user."""
    names = (
        QCoreApplication.translate("Words", "Draft"),
        QCoreApplication.translate("Words", "Accepted"),
        QCoreApplication.translate("Words", "Rejected"),
        QCoreApplication.translate("Words", "Quarantined"),
    )
    known: dict[str, str] = dict(zip(STATES, names, strict=True))
    return known.get(state, state)


def state_sign(state: str) -> tuple[str, str]:
    """The sign of a state and its colour; of one that only a newer version knows too."""
    return _SIGNS.get(state, ("?", "quiet"))


def kind_name(kind: str) -> str:
    """The name of a kind of question for the user."""
    names = {
        "factual": QCoreApplication.translate("Words", "Factual"),
        "definition": QCoreApplication.translate("Words", "Definition"),
        "why_how": QCoreApplication.translate("Words", "Why or how"),
        "comparison": QCoreApplication.translate("Words", "Comparison"),
        "multiple_choice": QCoreApplication.translate("Words", "Multiple choice"),
        "true_false": QCoreApplication.translate("Words", "True or false"),
        "unanswerable": QCoreApplication.translate("Words", "Unanswerable"),
        "countering": QCoreApplication.translate("Words", "Countering"),
        "neutral": QCoreApplication.translate("Words", "Neutral control"),
        "imported": QCoreApplication.translate("Words", "Imported"),
    }
    return names.get(kind, kind)


def run_words(kind: str) -> str:
    """What a run made besides questions of its own passages; empty for a usual one."""
    names = {
        "ask_again": QCoreApplication.translate("Words", "asked again"),
        "counter": QCoreApplication.translate("Words", "countering set"),
        "control": QCoreApplication.translate("Words", "neutral control"),
        "import": QCoreApplication.translate("Words", "import"),
    }
    return names.get(kind, "")


def file_of(run: Run) -> str:
    """The file that a run imported; empty for any other run."""
    return str(run.request.settings.get("file", "")) if run.request.kind == "import" else ""


def check_name(name: str) -> str:
    """The name of a check for the user."""
    names = {
        "verbatim": QCoreApplication.translate("Words", "Word for word"),
        "round_trip": QCoreApplication.translate("Words", "Round trip"),
        "leak": QCoreApplication.translate("Words", "Answer not given away"),
        "standalone": QCoreApplication.translate("Words", "Stands alone"),
        "length": QCoreApplication.translate("Words", "Length"),
        "near_duplicate": QCoreApplication.translate("Words", "Not a duplicate"),
        "repetition": QCoreApplication.translate("Words", "No repetition"),
        "language": QCoreApplication.translate("Words", "Language"),
        "profanity": QCoreApplication.translate("Words", "No profanity"),
        "personal_data": QCoreApplication.translate("Words", "No personal data"),
        "voice": QCoreApplication.translate("Words", "Voice of an assistant"),
        "known": QCoreApplication.translate("Words", "Known without opinion"),
        "fresh": QCoreApplication.translate("Words", "In no probe"),
        "leads": QCoreApplication.translate("Words", "Steps lead to the answer"),
        "citations": QCoreApplication.translate("Words", "Citations stand on the page"),
        "last_step": QCoreApplication.translate("Words", "Answer in the last step"),
    }
    return names.get(name, name.replace("_", " "))


def fault_name(name: str) -> str:
    """What a check that failed says of a question."""
    names = {
        "verbatim": QCoreApplication.translate("Words", "Not word for word"),
        "leak": QCoreApplication.translate("Words", "Answer given away"),
        "standalone": QCoreApplication.translate("Words", "Needs the text"),
        "near_duplicate": QCoreApplication.translate("Words", "Duplicate"),
        "repetition": QCoreApplication.translate("Words", "Repeats itself"),
        "language": QCoreApplication.translate("Words", "Another language"),
        "profanity": QCoreApplication.translate("Words", "Profanity"),
        "personal_data": QCoreApplication.translate("Words", "Personal data"),
        "leads": QCoreApplication.translate("Words", "Steps lead elsewhere"),
        "citations": QCoreApplication.translate("Words", "Citation not on the page"),
        "last_step": QCoreApplication.translate("Words", "Answer not in the last step alone"),
    }
    return names.get(name, check_name(name))


def check_words(check: Check) -> str:
    """A check in words, with its score; a failed one with its reason."""
    words = f"✓ {check_name(check.name)}" if check.passed else f"✕ {fault_name(check.name)}"
    if check.score is not None and check.name == "round_trip":
        words += f" {check.score:.2f}"
    if check.passed:
        return words
    reason = check.detail
    if check.name == "verbatim" and not reason:
        reason = QCoreApplication.translate("Words", "The evidence does not stand on the page.")
    return f"{words}: {reason}" if reason else words


def failed_first(checks: Sequence[Check]) -> list[Check]:
    """The checks, those that failed first."""
    return sorted(checks, key=lambda check: check.passed)


def local_time(stamp: str) -> str:
    """A time of the project file as the user's clock and habits say it."""
    moment = QDateTime.fromString(stamp, Qt.DateFormat.ISODateWithMs)
    return QLocale().toString(moment.toLocalTime(), QLocale.FormatType.ShortFormat) if moment.isValid() else stamp


def starter_words() -> str:
    """What is said of the starter model wherever it can be chosen."""
    return QCoreApplication.translate(
        "Words", "For trying the app: it is very small and knows only texts like the sample's."
    )


def size_words(size: int) -> str:
    """A number of bytes as people say it."""
    return QLocale().formattedDataSize(size, 1, QLocale.DataSizeFormat.DataSizeTraditionalFormat)


def device_words(device: Device) -> str:
    """What a device is, and its memory; not what is free of it, which changes."""
    memory = QCoreApplication.translate("Words", "{} of memory").format(size_words(device.memory_total))
    if device.kind == "cpu":
        cores = (
            QCoreApplication.translate("Words", "1 core")
            if device.cores == 1
            else QCoreApplication.translate("Words", "{} cores").format(device.cores)
        )
        return f"{device.description}, {cores}, {memory}"
    return f"{device.description} ({device.backend}), {memory}"


def fit_words(fit: Fit) -> str:
    """Where a model runs on this computer, or what it lacks."""
    if fit.missing:
        return QCoreApplication.translate("Words", "{} more than is free: close other programs").format(
            size_words(fit.missing)
        )
    if not fit.gpu_layers:
        return QCoreApplication.translate("Words", "fits: on the processor")
    if fit.gpu_layers == fit.layers:
        return QCoreApplication.translate("Words", "fits: all on the {}").format(fit.device)
    return QCoreApplication.translate("Words", "{} of {} layers fit on the {}").format(
        QLocale().toString(fit.gpu_layers), QLocale().toString(fit.layers), fit.device
    )


def parameter_words(count: int) -> str:
    """A number of parameters as people say it: 7.2 B, 494 M, 812 K."""
    for unit, size in (("B", 1_000_000_000), ("M", 1_000_000), ("K", 1_000)):
        if count >= size:
            return f"{QLocale().toString(count / size, 'f', 1 if count < 100 * size else 0)} {unit}"
    return QLocale().toString(count)
