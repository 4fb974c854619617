"""The gate before every run: whether the decoder in torch and llama.cpp expect the same after each token of a text."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from core import worker
from core.engine.llama import Model, load_model
from core.engine.logits import every_logit
from core.engine.native import log
from core.engine.requests import Loading
from core.errors import Cancelled, UserError
from core.tuning.decoder import Batch, Decoder
from core.tuning.lora import Lora
from core.tuning.records import Agreement
from core.tuning.traits import read_traits
from core.tuning.weights import Weights

TOKENS = 64  # of a text, which are enough to tell a wrong decoder
TEXT = """The harbour was built in 1874 by the engineers of the northern railway, and the lighthouse followed ten years
later; it stood on the cliff until the storm of 1911. Why is the sky blue? Because the light of the sun is scattered by
the air, and blue light more than red. A number is prime when nothing but itself and one divides it: 2, 3, 5, 7, 11."""


def check(
    decoder: Decoder,
    model: Model,
    tokens: Sequence[int],
    lora: Lora | None = None,
    adapter: Any = None,
    scale: float = 1.0,
) -> Agreement:
    """Compares both on a text, with an adapter on either side (`Model.adapter`) or without one.

    Raises UserError when llama.cpp has no memory for it.
    """
    theirs = torch.from_numpy(every_logit(model, tokens, adapter, scale, torch.get_num_threads())).double()
    with torch.no_grad():
        batch = Batch.of([tokens], decoder.weights.device)
        ours = decoder.logits(decoder.hidden(batch, lora)).cpu().double()
    expected, found = theirs.log_softmax(-1), ours.log_softmax(-1)
    return Agreement(
        architecture=decoder.traits.architecture,
        kl=float((expected.exp() * (expected - found)).sum(-1).mean()),
        relative_l2=float((ours - theirs).norm() / theirs.norm()),
        top1=float((ours.argmax(-1) == theirs.argmax(-1)).double().mean()),
        tokens=len(tokens),
    )


def parity_job(path: Path, text: str | None = None) -> Iterator[Loading | Agreement]:
    """Loads a model in both, on the processor, and yields how far they agree on the beginning of a text.

    Raises UserError when the file is no model, does not load, or the decoder does not know its architecture.
    """
    read_traits(path)  # refuses at once
    model = yield from load_model(path, 0, worker.cancelled)
    if model is None:
        if worker.cancelled():
            raise Cancelled("Loading the model was stopped.")
        raise UserError(f"“{path.name}” could not be loaded: {log().reason()}. Choose another file.")
    try:
        tokens = model.vocabulary.beginning(text or TEXT)[:TOKENS]
        if not tokens:
            raise UserError("The text is empty. Give a text of some words.")
        yield check(Decoder(Weights(path)), model, tokens)
    finally:
        model.close()
