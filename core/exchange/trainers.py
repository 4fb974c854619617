"""Writes how to train on an export with LLaMA-Factory or Axolotl, by the keys that these document.

Keys are those of LLaMA-Factory 0.9's data/README.md and examples/train_lora, and of Axolotl 0.9 to 0.16's
docs/config-reference, docs/rlhf and docs/dataset-formats.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.exchange.formats import PAIRS

TOOLS = ("llama-factory", "axolotl")
MODEL = "MODEL"  # stands where the model's name on the hub, or its folder, is to be filled in
_INFO = "dataset_info.json"
_TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
_FACTORY: dict[str, dict[str, Any]] = {
    "alpaca": {
        "columns": {
            "prompt": "instruction",
            "query": "input",
            "response": "output",
            "system": "system",
            "history": "history",
        }
    },
    "sharegpt": {"formatting": "sharegpt", "columns": {"messages": "conversations"}},
    "messages": {
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": _TAGS | {"system_tag": "system"},
    },
    "completion": {"columns": {"prompt": "prompt", "response": "completion"}},
    "dpo": {"ranking": True, "columns": {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"}},
}
_CHAT = {"role": "role", "content": "content"}
_ROLES = {"user": ["user"], "assistant": ["assistant"], "system": ["system"]}
_PAIR = {
    "type": "chat_template.default",
    "field_messages": "prompt",
    "field_chosen": "chosen",
    "field_rejected": "rejected",
    "message_property_mappings": _CHAT,
    "roles": _ROLES,
}
_AXOLOTL: dict[str, dict[str, Any]] = {
    "alpaca": {"type": "alpaca"},
    "sharegpt": {
        "type": "chat_template",
        "field_messages": "conversations",
        "message_property_mappings": {"role": "from", "content": "value"},
        "roles": {"user": ["human"], "assistant": ["gpt"], "system": ["system"]},
    },
    "messages": {"type": "chat_template", "field_messages": "messages", "message_property_mappings": _CHAT},
    "completion": {
        "type": {
            "field_instruction": "prompt",
            "field_output": "completion",
            "format": "{instruction}",
            "no_input_format": "{instruction}",
        }
    },
    "dpo": _PAIR,
    "dpo-messages": _PAIR,
}


def check_tools(tools: tuple[str, ...], shape: str) -> None:
    """Raises UserError where a tool is not known, or cannot read rows of a shape as they are meant."""
    for tool in tools:
        if tool not in TOOLS:
            raise UserError(f"There is no configuration for “{tool}”. There is one for: {', '.join(TOOLS)}.")
        known = _FACTORY if tool == "llama-factory" else _AXOLOTL
        if shape not in known:
            raise UserError(
                f"{tool} cannot be told how to read “{shape}”. Export one of these for it: {', '.join(known)}."
            )


def write_configs(tools: tuple[str, ...], out: Path, name: str, shape: str, parts: Mapping[str, Path]) -> list[Path]:
    """Writes the files beside an export and returns them. `parts`: a file of rows to train on, and to look at.

    Raises UserError where a dataset_info.json is there that cannot be added to, and OSError.
    """
    written: list[Path] = []
    for tool in tools:
        if tool == "llama-factory":
            written.append(_add_to_info(out.parent / _INFO, _entries(out.parent, name, shape, parts)))
            text = _yaml(_factory(out.parent, name, shape, "validation" in parts))
        else:
            text = _yaml(_axolotl(out.parent, name, shape, parts))
        path = out.parent / f"{name}.{tool}.yaml"
        note = f"# Put in place of {MODEL} the model's name on the hub, or the folder that it lies in.\n"
        path.write_text(note + text, encoding="utf-8")
        written.append(path)
    return written


def _entries(folder: Path, name: str, shape: str, parts: Mapping[str, Path]) -> dict[str, Any]:
    names = {"train": name, "validation": f"{name}_validation"}
    return {names[side]: {"file_name": _within(folder, path), **_FACTORY[shape]} for side, path in parts.items()}


def _add_to_info(path: Path, entries: dict[str, Any]) -> Path:
    there: Any = {}
    if path.exists():
        try:
            there = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            there = None
    if not isinstance(there, dict):
        raise UserError(f"{path} is there already, and is not as LLaMA-Factory has it. Export into another folder.")
    path.write_text(json.dumps(there | entries, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return path


def _factory(folder: Path, name: str, shape: str, looks: bool) -> dict[str, Any]:
    pairs = shape in PAIRS
    return {
        "model_name_or_path": MODEL,
        "stage": "dpo" if pairs else "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.0,
        "lora_target": "all",
        **({"pref_beta": 0.1, "pref_loss": "sigmoid"} if pairs else {}),
        "dataset_dir": str(folder.resolve()),
        "dataset": name,
        **({"eval_dataset": f"{name}_validation", "eval_strategy": "steps", "eval_steps": 50} if looks else {}),
        "template": "default",
        "cutoff_len": 1024,
        "output_dir": f"{name}-lora",
        "logging_steps": 10,
        "save_steps": 500,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "learning_rate": 5e-6 if pairs else 2e-4,
        "num_train_epochs": 3.0,
        "lr_scheduler_type": "cosine",
        "warmup_ratio": 0.06,
        "bf16": True,
    }


def _axolotl(folder: Path, name: str, shape: str, parts: Mapping[str, Path]) -> dict[str, Any]:
    pairs = shape in PAIRS
    sides = {side: [_axolotl_data(folder, shape, path)] for side, path in parts.items()}
    return {
        "base_model": MODEL,
        **({"rl": "dpo", "rl_beta": 0.1} if pairs else {}),
        "datasets": sides["train"],
        **({"test_datasets": sides["validation"]} if "validation" in sides else {"val_set_size": 0.0}),
        "output_dir": f"./{name}-lora",
        "adapter": "lora",
        "lora_r": 16,
        "lora_alpha": 32,
        "lora_dropout": 0.0,
        "lora_target_linear": True,
        "sequence_len": 1024,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 8,
        "num_epochs": 3,
        "learning_rate": 5e-6 if pairs else 2e-4,
        "lr_scheduler": "cosine",
        "warmup_ratio": 0.06,
        "optimizer": "adamw_torch",
        "bf16": "auto",
    }


def _axolotl_data(folder: Path, shape: str, path: Path) -> dict[str, Any]:
    kind = "parquet" if path.suffix == ".parquet" else "json"
    return {"path": _within(folder, path), "ds_type": kind, "split": "train", **_AXOLOTL[shape]}


def _within(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def _yaml(values: Mapping[str, Any], indent: str = "") -> str:
    """Plain values as YAML: its scalars and lists of scalars are those of JSON."""
    lines: list[str] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:\n", _yaml(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            items = (_yaml(one, indent + "    ") for one in value)
            lines += [f"{indent}{key}:\n", *(f"{indent}  - {item.lstrip()}" for item in items)]
        else:
            lines.append(f"{indent}{key}: {_scalar(value)}\n")
    return "".join(lines)


def _scalar(value: Any) -> str:
    if isinstance(value, float):  # YAML 1.1 takes 5e-06 for a text, for want of a point
        return f"{value:.10f}".rstrip("0").ljust(3, "0")
    return json.dumps(value, ensure_ascii=False)
