"""Chooses the next token from logits: llama.cpp's sampler chain, step by step, in numpy.

In numpy rather than natively because a constrained answer draws twice from one set of logits but may be told of
one token only, because an invalid number must not abort the process, and because it is faster on a large vocabulary.
"""

import math
from random import Random

import numpy as np
from numpy.typing import NDArray

from core.engine.requests import Sampling
from core.errors import UserError

PENALTY_WINDOW = 64  # tokens, as llama.cpp's default

Logits = NDArray[np.float32]
Ids = NDArray[np.int64]


def choose(logits: Logits, sampling: Sampling, random: Random, recent: list[int], among: Ids | None = None) -> int:
    """The next token, out of `among` (all when None); `recent` are the answer's tokens so far.

    Raises UserError when the logits are no numbers.
    """
    if sampling.temperature <= 0:
        token = int(logits.argmax() if among is None else among[logits[among].argmax()])
        refuse_invalid(float(logits[token]))
        return token
    if sampling.repeat_penalty != 1.0:
        logits = _penalised(logits, recent[-PENALTY_WINDOW:], sampling.repeat_penalty)
    values = logits if among is None else logits[among]
    refuse_invalid(float(values.max()))
    best = highest(values, sampling.top_k)
    kept = likely(values[best].astype(np.float64), sampling)
    weights = np.exp((kept - kept[0]) / sampling.temperature).cumsum()
    index = int(weights.searchsorted(random.random() * weights[-1], side="right"))
    chosen = int(best[min(index, len(kept) - 1)])
    return chosen if among is None else int(among[chosen])


def highest(values: Logits, count: int) -> Ids:
    """The indices of the `count` highest values, falling; of all when `count` is 0 or less."""
    if 0 < count < len(values):
        top = np.argpartition(values, -count)[-count:]
    else:
        top = np.arange(len(values))
    return top[np.argsort(-values[top], kind="stable")]


def likely(values: NDArray[np.float64], sampling: Sampling) -> NDArray[np.float64]:
    """The head of falling logits that top-p and then min-p leave."""
    odds = np.exp(values - values[0])
    count = len(values)
    if sampling.top_p < 1:
        total = odds.cumsum()
        count = int(total.searchsorted(sampling.top_p * total[-1])) + 1
    if sampling.min_p > 0:
        count = min(count, int((odds >= sampling.min_p).sum()))
    return values[: max(count, 1)]


def _penalised(logits: Logits, recent: list[int], penalty: float) -> Logits:
    tokens = np.unique(np.array(recent, np.int64))
    changed = logits.copy()
    seen = logits[tokens]
    changed[tokens] = np.where(seen > 0, seen / penalty, seen * penalty)
    return changed


def refuse_invalid(highest_logit: float) -> None:
    """Raises UserError when the highest of some logits is no number: then none is."""
    if not math.isfinite(highest_logit):
        raise UserError(
            "The model gives no valid numbers: its weights are damaged. Download it again or choose another model."
        )
