"""Trains the starter model: many tasks on each passage in one sequence, the loss on the replies only."""

from __future__ import annotations

import argparse
import math
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from generator import COPYING, ECHOING, READING, SHORT, Mix, Steps, Task, at, make_document
from model import Config, Starter
from tokenizer import END, PAD, SPACE, START, build, load
from tokenizers import Tokenizer
from torch import Tensor

PICKS = dict.fromkeys(("pick_factual", "pick_definition", "pick_why_how"), (0.3, 0.3))


WORTH = PICKS | {
    "cite": (1.0, 0.2),
    "claim_true": (1.0, 0.3),
    "claim_false": (0.5, 0.2),
    "not_in_text": (1.0, 0.1),
    "rationale": (0.3, 0.3),
    "go_on": (0.1, 0.1),
    "ask_unanswerable": (0.4, 0.3),
}


@dataclass(frozen=True)
class Phase:
    """A stretch of the training with its own mix of tasks, worths of tokens and learning rate."""

    mix: Mix
    steps: int
    horizon: int  # where the learning rate would reach nothing
    rows: Steps  # tokens of a row, by progress: they grow with the passages, for attention is dearer in longer ones
    worth: dict[str, tuple[float, float]]  # by task: of the reply's first two tokens, which decide, and of the rest
    peak: float = 1.0  # of the learning rates, as a share
    warmup: int = 60

    def scale(self, step: int) -> float:
        """Linear warm-up, then a straight line towards nothing."""
        return self.peak * min(1.0, (step + 1) / self.warmup) * (1 - step / self.horizon)


@dataclass(frozen=True)
class Plan:
    """The length and the pace of the training: first copying, then finding what to copy."""

    phases: tuple[Phase, ...] = (
        Phase(ECHOING, steps=400, horizon=800, rows=((1, 256),), worth={}),
        Phase(COPYING, steps=900, horizon=1800, rows=((1, 256),), worth={"cite": (0.5, 0.3)} | PICKS),
        Phase(SHORT, steps=2200, horizon=4900, rows=((0.2, 256), (1, 384)), worth=WORTH, peak=0.8),
        Phase(READING, steps=2700, horizon=2700, rows=((0.3, 384), (1, 448)), worth=WORTH, peak=0.44, warmup=20),
    )
    tokens: int = 6144
    processes: int = 2
    seed: int = 1
    muon_lr: float = 0.004
    adam_lr: float = 0.003


class Packer:
    """Writes documents into rows of tokens, with the tree they form."""

    def __init__(self, tokenizer: Tokenizer, row: int, worth: dict[str, tuple[float, float]]) -> None:
        self.tokenizer, self.row, self.worth = tokenizer, row, worth
        self.pad = tokenizer.token_to_id(PAD)
        self.clear()

    def clear(self) -> None:
        self.ids: list[int] = []
        self.doc: list[int] = []
        self.tail: list[int] = []
        self.position: list[int] = []
        self.weight: list[float] = []
        self.documents = 0

    def put(self, ids: list[int], tail: int, start: int, weights: list[float]) -> None:
        self.ids += ids
        self.doc += [self.documents] * len(ids)
        self.tail += [tail] * len(ids)
        self.position += range(start, start + len(ids))
        self.weight += weights

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def add(self, passage: str, tasks: list[Task]) -> bool:
        """As much of a document as still fits; whether any task did."""
        prefix = self.encode(f"{START}user\n{passage}")
        room = self.row - len(self.ids) - len(prefix)
        done = 0
        for task in tasks:
            head, reply = self.split(passage, task)
            if len(head) + len(reply) > room:
                continue
            if not done:
                self.put(prefix, 0, 0, [0.0] * len(prefix))
            done += 1
            first, rest = self.worth.get(task.name, (1.0, 1.0))
            # The weight stands at the token that predicts, one before the reply's own.
            weights = [0.0] * (len(head) - 1) + [first] * 2 + [rest] * (len(reply) - 2) + [0.0]
            self.put(head + reply, done, len(prefix), weights)
            room -= len(head) + len(reply)
        self.documents += bool(done)
        return bool(done)

    def split(self, passage: str, task: Task) -> tuple[list[int], list[int]]:
        """What follows the passage in the request, and the reply."""
        head = f"{task.prompt.removeprefix(passage)}{END}\n{START}assistant\n"
        return self.encode(head), self.encode(task.reply + END)

    def take(self) -> tuple[list[int], list[int], list[int], list[int], list[float]]:
        """The row, filled up, and a fresh start."""
        n = self.row - len(self.ids)
        self.put([self.pad] * n, -1, 0, [0.0] * n)
        row = (self.ids, self.doc, self.tail, self.position, self.weight)
        self.clear()
        return row


def make_batch(tokenizer: Tokenizer, plan: Plan, phase: Phase, step: int, rank: int) -> list[Tensor]:
    """One process's rows of a step: ids, document, tail, position and weight."""
    number, progress = plan.phases.index(phase), step / phase.horizon
    r = random.Random(f"{plan.seed + number}/{step}/{rank}")
    packer = Packer(tokenizer, int(at(phase.rows, progress)), phase.worth)
    rows = []
    while len(rows) < plan.tokens // plan.processes // packer.row:
        fits = packer.add(*make_document(r, phase.mix, progress))
        if not fits or packer.row - len(packer.ids) < 80:
            rows.append(packer.take())
    columns = [torch.tensor(c) for c in zip(*rows, strict=True)]
    return [*columns[:4], columns[4].float()]


def pair_embeddings(model: Starter, tokenizer: Tokenizer) -> None:
    """Starts a piece with a space before it near the same piece without, so that copying either is one skill."""
    vocab, table = tokenizer.get_vocab(), model.embed.weight.data
    for token, i in vocab.items():
        if token.startswith(SPACE) and token[1:] in vocab:
            table[i] = 0.8 * table[vocab[token[1:]]] + 0.6 * table[vocab[SPACE]]


class Optimizer:
    """Muon for the matrices of the layers, shared out between the processes, and AdamW for the rest."""

    def __init__(self, model: Starter, plan: Plan, rank: int) -> None:
        self.plan = plan
        matrices = [p for p in model.blocks.parameters() if p.dim() == 2]
        rest = [p for p in model.parameters() if all(p is not q for q in matrices)]
        self.all = [*matrices, *rest]
        self.shares = [matrices[i :: plan.processes] for i in range(plan.processes)]
        muon = torch.optim.Muon(self.shares[rank], lr=plan.muon_lr, weight_decay=0.02, adjust_lr_fn="match_rms_adamw")
        adam = torch.optim.AdamW(rest, lr=plan.adam_lr, betas=(0.9, 0.98), weight_decay=0.0)
        self.parts = [(muon, plan.muon_lr), (adam, plan.adam_lr)]

    def step(self, scale: float) -> None:
        """Averages the gradients over the processes and moves the weights."""
        flat = torch.cat([p.grad.flatten() for p in self.all if p.grad is not None])
        dist.all_reduce(flat)
        spread(flat / self.plan.processes, [p.grad for p in self.all if p.grad is not None])
        torch.nn.utils.clip_grad_norm_(self.all, 1.0)
        for part, lr in self.parts:
            for group in part.param_groups:
                group["lr"] = lr * scale
            part.step()
        for owner, share in enumerate(self.shares):
            moved = torch.cat([p.data.flatten() for p in share])
            dist.broadcast(moved, owner)
            spread(moved, [p.data for p in share])
        for p in self.all:
            p.grad = None


def spread(flat: Tensor, targets: list[Tensor]) -> None:
    """Copies a long vector back into the tensors that it was joined from."""
    for target, piece in zip(targets, flat.split([t.numel() for t in targets]), strict=True):
        target.copy_(piece.view_as(target))


def loss_of(model: Starter, trunk: torch.nn.Module, batch: list[Tensor]) -> Tensor:
    """Weighted mean loss on the replies."""
    ids, doc, tail, position, weight = batch
    with torch.autocast("cpu", torch.bfloat16):
        hidden = trunk(ids, doc, tail, position.float())
        wanted = reply_places(weight)
        logits = hidden.flatten(0, 1)[wanted] @ model.embed.weight.t()
    losses = F.cross_entropy(logits.float(), ids.roll(-1, 1).flatten()[wanted], reduction="none")
    return (losses * weight.flatten()[wanted]).sum() / weight.sum()


def reply_places(weight: Tensor, multiple: int = 256) -> Tensor:
    """Where replies are predicted, filled up with idle places: few different shapes keep the memory steady."""
    idle = weight.numel() - 1  # the last token of a batch predicts nothing
    places = weight.flatten().nonzero().flatten()
    return F.pad(places, (0, -len(places) % multiple), value=idle)


def save(path: Path, model: Starter, step: int) -> None:
    """A checkpoint that can be exported."""
    state = {"config": asdict(model.config), "model": model.state_dict(), "step": step}
    torch.save(state, path.with_suffix(".part"))
    path.with_suffix(".part").replace(path)


def work(rank: int, out: Path, plan: Plan, compiled: bool) -> None:
    """One process of the training; each has one core, so that a busy machine slows it little."""
    torch.set_num_threads(1)
    rendezvous = f"file://{(out / 'rendezvous').resolve()}"
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=plan.processes)
    torch.manual_seed(plan.seed)
    tokenizer = load(out / "tokenizer.json")
    model = Starter(Config(vocab=tokenizer.get_vocab_size()))
    pair_embeddings(model, tokenizer)
    trunk = torch.compile(model, dynamic=False) if compiled else model
    for number, phase in enumerate(plan.phases):
        done = out / f"phase{number}.pt"
        if done.exists():
            model.load_state_dict(torch.load(done, weights_only=True)["model"])
        else:
            run_phase(rank, out, plan, phase, tokenizer, model, trunk)
            if rank == 0:
                save(done, model, phase.steps)
        dist.barrier()
    dist.destroy_process_group()


def run_phase(
    rank: int, out: Path, plan: Plan, phase: Phase, tokenizer: Tokenizer, model: Starter, trunk: torch.nn.Module
) -> None:
    """One phase, from its first step to its last."""
    optimizer = Optimizer(model, plan, rank)
    last, total = time.monotonic(), 0.0
    for step in range(phase.steps):
        loss = loss_of(model, trunk, make_batch(tokenizer, plan, phase, step, rank))
        loss.backward()
        optimizer.step(phase.scale(step))
        total += loss.item()
        if math.isnan(total):
            raise SystemExit("the loss is not a number")
        if rank == 0 and (step + 1) % 50 == 0:
            now = time.monotonic()
            print(f"step {step + 1} loss {total / 50:.4f} {50 * plan.tokens / (now - last):.0f} tokens/s", flush=True)
            last, total = now, 0.0
            save(out / "checkpoint.pt", model, step + 1)


def train(out: Path, plan: Plan, compiled: bool = True) -> None:
    """The tokenizer and the whole training; leaves tokenizer.json and checkpoint.pt in a folder."""
    out.mkdir(parents=True, exist_ok=True)
    if not (out / "tokenizer.json").exists():
        build().save(str(out / "tokenizer.json"))
    (out / "rendezvous").unlink(missing_ok=True)
    torch.multiprocessing.spawn(work, (out, plan, compiled), nprocs=plan.processes)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/starter"))
    parser.add_argument("--eager", action="store_true", help="do without torch.compile (no C++ compiler needed)")
    args = parser.parse_args()
    train(args.out, Plan(), not args.eager)


if __name__ == "__main__":
    main()
