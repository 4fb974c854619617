"""Trains the starter model's byte-level BPE, in which a space before a word does not change its pieces."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from generator import documents_text
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

START, END, PAD = "<|im_start|>", "<|im_end|>", "<|pad|>"
SPECIAL = [PAD, START, END]
SPACE = "Ġ"  # how byte-level BPE writes a space
PIECES = 1856


def new_tokenizer(vocab: dict[str, int], merges: list[tuple[str, str]]) -> Tokenizer:
    """A tokenizer that splits as llama.cpp's `smollm` does: single digits, then GPT-2's words."""
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in SPECIAL])
    return tokenizer


def learn_merges(texts: Iterator[str]) -> list[tuple[str, str]]:
    """The merges inside words, learned with the spaces taken away."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=256 + PIECES, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    return [tuple(m) for m in json.loads(tokenizer.to_str())["model"]["merges"]]


def build(seed: int = 7, passages: int = 6_000) -> Tokenizer:
    """The tokenizer, trained on generated text; the merges with a space come last, so that they change no piece."""
    r = random.Random(seed)
    merges = learn_merges(documents_text(r, passages))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [a + b for a, b in merges]
    leads = [c for c in alphabet if c.isascii()] + pieces
    tokens = [*SPECIAL, *alphabet, *pieces, *(SPACE + t for t in leads)]
    vocab = {t: i for i, t in enumerate(dict.fromkeys(tokens))}
    return new_tokenizer(vocab, [*merges, *((SPACE, t) for t in leads)])


def load(path: Path) -> Tokenizer:
    """A saved tokenizer."""
    return Tokenizer.from_file(str(path))
