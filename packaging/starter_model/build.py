"""Makes resources/models/starter.gguf from nothing: tokenizer, training, export."""

from __future__ import annotations

import argparse
from pathlib import Path

from export import export
from train import Plan, train

ROOT = Path(__file__).parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "starter", help="for what is made on the way")
    parser.add_argument("--out", type=Path, default=ROOT / "resources" / "models" / "starter.gguf")
    parser.add_argument("--eager", action="store_true", help="do without torch.compile (no C++ compiler needed)")
    args = parser.parse_args()
    train(args.folder, Plan(), compiled=not args.eager)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    export(args.folder, args.out)


if __name__ == "__main__":
    main()
