"""Every logit of a text, as exactly as llama.cpp computes them: the yardstick for what else computes them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.engine.context import Context, Logits
from core.engine.llama import Model
from core.engine.native import log
from core.engine.shape import Shape, padded
from core.errors import UserError


def every_logit(
    model: Model, tokens: Sequence[int], adapter: Any = None, scale: float = 1.0, threads: int = 2
) -> Logits:
    """What the model expects after each of the tokens, (tokens, vocabulary), with an adapter of `Model.adapter` or not.

    The cache holds numbers of 32 bits where the model is on the processor, and there is no flash attention.
    Raises UserError when there is no memory for it, or the adapter does not fit.
    """
    count = len(tokens)
    shape = Shape(sequences=1, cells=padded(count), outputs=count, batch=count, exact=True, flash=False)
    context = Context.create(model, shape, threads)
    if context is None:
        raise UserError(f"There is no memory for the model's context: {log().reason()}. Close other programs.")
    try:
        if adapter is not None:
            context.use(adapter, scale)
        context.put_shared(0, np.asarray(tokens, np.int32), 0, (0,), np.ones(count, np.int8))
        context.decode(count)
        return context.logits(count).copy()
    finally:
        context.close()
