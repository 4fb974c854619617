"""Packing many tasks on one passage changes nothing: each sees what it would see alone."""

import random

import generator
import pytest

torch = pytest.importorskip("torch")
tokenizers = pytest.importorskip("tokenizers", reason="it is only needed to train the starter model")


def test_a_task_in_the_tree_has_the_logits_it_has_alone() -> None:
    from model import Config, Starter
    from tokenizer import new_tokenizer
    from train import Packer

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    tokenizer = new_tokenizer({c: i for i, c in enumerate(alphabet)}, [])
    torch.manual_seed(0)
    model = Starter(Config(vocab=tokenizer.get_vocab_size(), width=64, layers=2, heads=2, hidden=96)).eval()
    r = random.Random(1)
    text, tasks = "", []
    while not text:
        text, tasks = generator.make_document(r, generator.READING, 0.0)
    packed, row = Packer(tokenizer, 2048, {}), []
    packed.add(text, tasks[:4])
    row = packed.take()
    ids, doc, tail, position = (torch.tensor([c]) for c in row[:4])
    together = model(ids, doc, tail, position.float())[0]
    for n, task in enumerate(tasks[:4], 1):
        flat = tokenizer.encode(
            f"<|im_start|>user\n{task.prompt}<|im_end|>\n<|im_start|>assistant\n{task.reply}<|im_end|>"
        ).ids
        places = [i for i in range(ids.shape[1]) if row[1][i] == 0 and row[2][i] in (0, n)]
        assert [row[0][i] for i in places] == flat
        one = torch.tensor([flat])
        zeros = torch.zeros_like(one)
        alone = model(one, zeros, zeros, torch.arange(len(flat))[None].float())[0]
        torch.testing.assert_close(together[places], alone, rtol=1e-4, atol=1e-4)
