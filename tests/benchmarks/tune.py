"""Measures a step of tuning against the limit of the processor and against transformers with peft, in the same run.

python3 dev.py bench tune [--shape NAME…] [--dtype TYPE…] [--threads T] [--steps N] [--no-peer]

A step reads one text of 512 tokens, of which half are learned. The limit is the time of the bare matrix products of
such a step, forward and back, with dense weights. The peer trains the same adapter on the same weights, unpacked
(installs 1 GB into the cache folder); both run in processes of their own, and their losses have to agree.
Each line is: name, value, unit, and what it is compared with.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from core.engine import SPIN
from core.engine.devices import physical_cores
from core.paths import cache_folder

PEER = Path(__file__).with_name("_tune.py")
TOKENS, LEARNED = 512, 256
RANK, ALPHA, RATE = 16, 32.0, 1e-3
SHAPES = ("smollm2-135m", "qwen2.5-0.5b")
DTYPES = ("float32", "bfloat16")


def main() -> None:
    """Prints `name value unit`, a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", nargs="*", choices=SHAPES, default=SHAPES)
    parser.add_argument("--dtype", nargs="*", choices=DTYPES, default=DTYPES)
    parser.add_argument("--threads", type=int, default=physical_cores())
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    for shape in options.shape:
        for dtype in options.dtype:
            measure(shape, dtype, options)


def measure(shape: str, dtype: str, options: argparse.Namespace) -> None:
    """One shape in one type."""
    from tests.benchmarks.engine import model

    chance = Random(1)
    texts = [[chance.randrange(1_000) for _ in range(TOKENS + 1)] for _ in range(options.steps)]
    with tempfile.TemporaryDirectory() as folder:
        wanted = {
            "model": str(model(shape)),
            "dtype": dtype,
            "threads": options.threads,
            "texts": texts,
            "learned": TOKENS + 1 - LEARNED,
            "rank": RANK,
            "alpha": ALPHA,
            "rate": RATE,
            "adapter": str(Path(folder) / "beginning.safetensors"),
        }
        ours = in_a_process([sys.executable, "-m", "tests.benchmarks.tune", "ours"], wanted)
        peer = None if options.no_peer else in_a_process([str(peer_environment()), str(PEER)], wanted)
    print(f"{Path(wanted['model']).stem}, {dtype}, {options.threads} threads", flush=True)
    speed, limit = TOKENS / median(ours["seconds"][1:]), TOKENS / ours["products"]
    say("limit by matrix products", limit, "tokens/s", f"{ours['flops'] / ours['products'] / 1e9:.0f} GFLOPS")
    say("a step, ours", speed, "tokens/s", f"{100 * speed / limit:.0f} % of the limit")
    say("  estimated", ours["estimated_speed"], "tokens/s", f"{ours['estimated_speed'] / speed:.2f} of the measured")
    say("memory at most, ours", ours["memory"] / 1e6, "MB")
    ratio = f"{ours['estimated_memory'] / ours['memory']:.2f} of the measured"
    say("  estimated", ours["estimated_memory"] / 1e6, "MB", ratio)
    if peer is not None:
        theirs = TOKENS / median(peer["seconds"][1:])
        say("a step, transformers + peft", theirs, "tokens/s", f"ours is {speed / theirs:.2f} times as fast")
        ratio = f"ours takes {ours['memory'] / peer['memory']:.2f} of it"
        say("memory at most, transformers + peft", peer["memory"] / 1e6, "MB", ratio)
        apart = max(abs(a - b) for a, b in zip(ours["losses"], peer["losses"], strict=True))
        say("  losses apart by at most", apart, "nats", f"of {ours['losses'][0]:.3f} at first")


def say(name: str, value: float, unit: str, peer: str = "") -> None:
    print(f"{name:36} {value:9.4g} {unit:9} {peer}".rstrip(), flush=True)


def in_a_process(command: list[str], wanted: dict[str, Any]) -> dict[str, Any]:
    environment = dict([SPIN]) | os.environ
    done = subprocess.run(
        command, input=json.dumps(wanted), capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def ours() -> None:
    """Trains as stdin says, as the app does; prints the losses, the seconds of each step, and the memory."""
    import torch
    from safetensors.torch import save_file

    from core.tuning import estimate
    from core.tuning.batches import Order
    from core.tuning.decoder import Decoder
    from core.tuning.lora import Lora
    from core.tuning.records import Recipe
    from core.tuning.tokens import Text
    from core.tuning.trainer import Trainer
    from core.tuning.weights import Weights

    wanted = json.load(sys.stdin)
    torch.set_num_threads(wanted["threads"])
    device = torch.device("cpu")
    estimate.forget_peak(device)
    bare = estimate.peak(device)
    groups = [(Text(tuple(tokens), wanted["learned"]),) for tokens in wanted["texts"]]
    recipe = Recipe(rank=RANK, alpha=ALPHA, learning_rate=RATE, batch=1, epochs=1.0, warmup=0.0, context=TOKENS + 1)
    decoder = Decoder(Weights(Path(wanted["model"]), dtype=wanted["dtype"]))
    lora = Lora(decoder.weights.linears, RANK, ALPHA, generator=torch.Generator().manual_seed(0))
    save_file(lora.tensors(), wanted["adapter"])
    order, work = Order(len(groups), 1, 1.0, 0), estimate.Work.of(groups, (), recipe)
    took = estimate.estimate(decoder, lora, recipe, work, order, 0)
    decoder.weights.keep_dense(took.dense_layers)
    estimate.forget_peak(device)
    trainer = Trainer(decoder, lora, recipe, 10**9, took.recompute)  # a rate that does not fall
    losses, seconds = [], []
    for number, group in enumerate(groups, start=1):
        began = time.perf_counter()
        done = trainer.step(number, [group])
        seconds.append(time.perf_counter() - began)
        assert done is not None
        losses.append(done.loss)
    memory = estimate.peak(device) - bare
    shapes = [(TOKENS, *shape) for shape in decoder.weights.linears.values()]
    shapes.append((LEARNED, decoder.traits.vocabulary, decoder.traits.width))
    print(
        json.dumps(
            {
                "losses": losses,
                "seconds": seconds,
                "memory": memory,
                "estimated_memory": took.memory,
                "estimated_speed": took.tokens_per_second,
                "products": products(
                    [(TOKENS, *shape) for shape in shapes] + [(LEARNED, *head)], decoder.weights.dtype
                ),
                "flops": 4 * (TOKENS * sum(out * inner for out, inner in shapes) + LEARNED * head[0] * head[1]),
            }
        )
    )


def products(shapes: list[tuple[int, int, int]], dtype: Any) -> float:
    """Seconds of the products of a step, each forward and back, the best of several."""
    import torch

    best: dict[tuple[int, int, int], float] = {}
    for rows, out, inner in set(shapes):
        x, w = torch.randn(rows, inner, dtype=dtype), torch.randn(out, inner, dtype=dtype)
        g = torch.randn(rows, out, dtype=dtype)
        times = []
        for _ in range(7):
            began = time.perf_counter()
            x @ w.T
            g @ w
            times.append(time.perf_counter() - began)
        best[rows, out, inner] = min(times)
    return sum(best[shape] for shape in shapes)


def peer_environment() -> Path:
    """The Python of the peer's environment, made when missing."""
    folder = cache_folder() / "tune"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not (folder / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "torch==2.13.0"], check=True)  # alone: a build for the processor where there is one
        subprocess.run([*pip, "-r", str(PEER.with_name("tune-requirements.txt"))], check=True)
        (folder / "ready").touch()
    return python


if __name__ == "__main__":
    ours() if sys.argv[1:] == ["ours"] else main()
