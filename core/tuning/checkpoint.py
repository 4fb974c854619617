"""Keeps all that a run needs to go on: a kill at any moment leaves the last checkpoint or the new one, whole."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from core.errors import UserError
from core.paths import finished_file

FACTS = "checkpoint.json"
TENSORS = ("checkpoint-0.safetensors", "checkpoint-1.safetensors")  # by turns: the facts say which is meant


@dataclass(frozen=True)
class Checkpoint:
    """A run after a step: its tensors, and the facts that JSON can hold."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes a checkpoint in the place of the last, which counts until the new one is on the disk.

    Raises UserError when it cannot be written, as on a full disk; then the last one still counts.
    """
    last = _facts(folder).get("file")
    name = TENSORS[last == TENSORS[0]]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with finished_file(folder / name) as partial:
            safetensors.torch.save_file({name: one.cpu() for name, one in checkpoint.tensors.items()}, partial)
            checksum = _sha256(partial)
        with finished_file(folder / FACTS) as partial:
            partial.write_text(json.dumps({**checkpoint.facts, "file": name, "sha256": checksum}), encoding="utf-8")
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"The state of the training could not be saved in {folder}: {_reason(error)}. What was saved before is "
            "still there: make room on the disk and go on."
        ) from error
    if last in TENSORS:
        with suppress(OSError):
            (folder / last).unlink(missing_ok=True)


def load(folder: Path) -> Checkpoint | None:
    """The last checkpoint, or None where there is none. Raises UserError when it is damaged."""
    if not (folder / FACTS).exists():
        return None
    facts = _facts(folder)
    path = folder / str(facts.get("file"))
    try:
        if path.name not in TENSORS or _sha256(path) != facts.get("sha256"):
            raise ValueError("its checksum does not match")
        tensors = safetensors.torch.load(path.read_bytes())
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            f"The state of the training in {folder} is damaged ({_reason(error)}), so it cannot go on. Begin it anew."
        ) from error
    return Checkpoint(tensors, facts)


def under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with one, by the rest of their names."""
    return {key.removeprefix(f"{name}."): tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}


def _facts(folder: Path) -> dict[str, Any]:
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).removeprefix("Error while serializing: ").rstrip(".")
