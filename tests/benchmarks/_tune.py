"""The peer of `tune.py`, in an environment of its own: transformers and peft on the same weights, unpacked."""

import json
import sys
import time
from pathlib import Path

import gguf
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, Qwen2Config, Qwen2ForCausalLM

NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
LINEARS = [name.split(".")[1] for name in NAMES.values() if "_proj" in name]


def main() -> None:
    """Trains as stdin says; prints the losses, the seconds of each step, and the memory."""
    wanted = json.load(sys.stdin)
    torch.set_num_threads(wanted["threads"])
    bare = resident("VmRSS")
    reader = gguf.GGUFReader(wanted["model"])
    model = built(reader).to(getattr(torch, wanted["dtype"]))
    model.load_state_dict(unpacked(reader), strict=False)
    model.tie_weights()
    config = LoraConfig(r=wanted["rank"], lora_alpha=wanted["alpha"], target_modules=LINEARS, lora_dropout=0.0)
    model = get_peft_model(model, config)
    begin_alike(model, wanted["adapter"])
    model.train()
    parameters = [one for one in model.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=wanted["rate"], weight_decay=0.0)
    Path("/proc/self/clear_refs").write_text("5")
    losses, seconds = [], []
    for tokens in wanted["texts"]:
        began = time.perf_counter()
        ids = torch.tensor([tokens])
        labels = ids.clone()
        labels[:, : wanted["learned"]] = -100
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - began)
    print(json.dumps({"losses": losses, "seconds": seconds, "memory": resident("VmHWM") - bare}))


def built(reader: gguf.GGUFReader) -> torch.nn.Module:
    """A model of the shape that the file declares."""
    fields = {key.partition(".")[2]: field.contents() for key, field in reader.fields.items()}
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    architecture = reader.fields["general.architecture"].contents()
    options = {
        "vocab_size": int(tensors["token_embd.weight"].shape[1]),
        "hidden_size": fields["embedding_length"],
        "num_hidden_layers": fields["block_count"],
        "intermediate_size": fields["feed_forward_length"],
        "num_attention_heads": fields["attention.head_count"],
        "num_key_value_heads": fields["attention.head_count_kv"],
        "rms_norm_eps": fields["attention.layer_norm_rms_epsilon"],
        "rope_parameters": {"rope_type": "default", "rope_theta": fields.get("rope.freq_base", 10_000.0)},
        "tie_word_embeddings": "output.weight" not in tensors,
    }
    if architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**options))
    return Qwen2ForCausalLM(Qwen2Config(**options))


def unpacked(reader: gguf.GGUFReader) -> dict[str, torch.Tensor]:
    """All tensors as plain numbers, by Hugging Face's names and in its order of rows."""
    architecture = reader.fields["general.architecture"].contents()
    counts = (("attn_q", "head_count"), ("attn_k", "head_count_kv")) if architecture == "llama" else ()
    heads = {kind: reader.fields[f"{architecture}.attention.{count}"].contents() for kind, count in counts}
    found = {}
    for tensor in reader.tensors:
        values = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy())
        *block, kind, part = tensor.name.split(".")
        if kind in heads:
            values = values.view(heads[kind], -1, 2, values.shape[-1]).transpose(1, 2).reshape(values.shape)
        layer = f"model.layers.{block[1]}." if block else ""
        found[f"{layer}{NAMES[kind]}.{part}"] = values
    return found


def begin_alike(model: torch.nn.Module, adapter: str) -> None:
    """The same A as ours; B is zero in both."""
    beginning = load_file(adapter)
    modules = {theirs: ours for ours, theirs in NAMES.items()}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_A." in name:
                place = name.partition("layers.")[2].split(".")
                parameter.copy_(beginning[f"blk.{place[0]}.{modules['.'.join(place[1:3])]}.weight.lora_a"])


def resident(name: str) -> int:
    """Bytes of this process: VmRSS now, VmHWM at most."""
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) << 10


if __name__ == "__main__":
    main()
