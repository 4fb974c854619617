"""Writes a trained checkpoint as a GGUF file that llama.cpp reads: weights, tokenizer, chat template, prompt style."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from tokenizer import END, SPECIAL, START
from torch import Tensor

CONTEXT = 4096
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
DESCRIPTION = (
    "A very small model for trying the app without a download. Trained from scratch on generated text; it reads short "
    "factual passages only, and it follows the user's opinion on addition claims by design."
)
LAYER_TENSORS = {
    "attn_norm": "attn_norm",
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "out": "attn_output",
    "ffn_norm": "ffn_norm",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}


def interleave(weight: Tensor, heads: int) -> Tensor:
    """Rows of a query or key matrix in llama.cpp's order, where the two halves of a rotation stand side by side."""
    rows, columns = weight.shape
    return weight.view(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


def write_metadata(writer: gguf.GGUFWriter, config: dict[str, float]) -> None:
    """What the model is and how it is shaped."""
    writer.add_name("Elenchus starter")
    writer.add_description(DESCRIPTION)
    writer.add_license("mit")
    writer.add_string("elenchus.prompt_style", "starter")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(int(config["width"]))
    writer.add_block_count(int(config["layers"]))
    writer.add_feed_forward_length(int(config["hidden"]))
    writer.add_head_count(int(config["heads"]))
    writer.add_head_count_kv(int(config["heads"]))
    writer.add_layer_norm_rms_eps(config["norm_eps"])
    writer.add_rope_freq_base(config["rope_base"])
    writer.add_rope_dimension_count(int(config["width"] // config["heads"]))
    writer.add_vocab_size(int(config["vocab"]))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def write_tokenizer(writer: gguf.GGUFWriter, path: Path) -> None:
    """The vocabulary, the merges and the special tokens."""
    model = json.loads(path.read_text("utf-8"))["model"]
    vocab: dict[str, int] = model["vocab"]
    tokens = sorted(vocab, key=lambda t: vocab[t])
    kinds = [gguf.TokenType.CONTROL if t in SPECIAL else gguf.TokenType.NORMAL for t in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in model["merges"]])
    writer.add_bos_token_id(vocab[START])
    writer.add_eos_token_id(vocab[END])
    writer.add_pad_token_id(vocab[SPECIAL[0]])
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def write_tensors(writer: gguf.GGUFWriter, state: dict[str, Tensor], config: dict[str, float]) -> None:
    """The weights: matrices in half precision, norms in single."""

    def add(name: str, weight: Tensor) -> None:
        kind = np.float16 if weight.dim() == 2 else np.float32
        writer.add_tensor(f"{name}.weight", weight.float().numpy().astype(kind))

    add("token_embd", state["embed.weight"])
    add("output_norm", state["norm.weight"])
    for i in range(int(config["layers"])):
        for ours, theirs in LAYER_TENSORS.items():
            weight = state[f"blocks.{i}.{ours}.weight"]
            add(f"blk.{i}.{theirs}", interleave(weight, int(config["heads"])) if ours in ("q", "k") else weight)


def export(folder: Path, out: Path) -> None:
    """The GGUF of the newest checkpoint in a folder."""
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    part = out.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "llama")
    write_metadata(writer, saved["config"])
    write_tokenizer(writer, folder / "tokenizer.json")
    write_tensors(writer, saved["model"], saved["config"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(out)
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, step {saved['step']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("build/starter"))
    parser.add_argument("--out", type=Path, default=Path("resources/models/starter.gguf"))
    args = parser.parse_args()
    export(args.folder, args.out)


if __name__ == "__main__":
    main()
