"""What a model file is and whether it can generate text, told from its header before anything is loaded."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from core.errors import UserError
from core.models.dimensions import Dimensions, read_dimensions
from core.models.gguf_header import FLOAT32, INT32, STRING, UINT32, Array, Header, Tensor, Value, read_header

LONGEST_CONTEXT = 1 << 24  # tokens; a file that declares 2³¹−1 would make others allocate gigabytes
LONGEST_NAME = 200  # characters
MOST_LAYERS = 512  # llama.cpp's own limit
DEFAULT_PROMPT_STYLE = "chat"

_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$", re.IGNORECASE)

# llama.cpp's llama_ftype, the number that `general.file_type` holds.
FILE_TYPES = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4",
    39: "NVFP4",
    40: "Q1_0",
}


@dataclass(frozen=True)
class ModelFile:
    """A model that can be loaded, as its header describes it; `path` is the first of its files."""

    path: Path
    name: str
    architecture: str
    quantisation: str
    context_length: int  # tokens it was trained for
    chat_template: str | None
    prompt_style: str
    parameters: int
    size: int  # bytes, all files together
    vocabulary_size: int
    block_count: int
    embedding_length: int
    is_embedding: bool  # made for vectors, not for text
    licence: str  # and who made it: as the file says, else empty
    author: str
    parts: tuple[Path, ...]
    dimensions: Dimensions


def read_model(path: Path) -> ModelFile:
    """Describes a GGUF model.

    Raises UserError, in whole sentences, for what is not a complete language model: damaged and cut files,
    adapters, vision projectors, vocabularies, a model of which a part is missing.
    """
    parts = _parts(path)
    headers = [read_header(part) for part in parts]
    first = headers[0]
    facts = _Facts(parts[0], first)
    facts.check_kind(len(parts))
    tensors = [tensor for header in headers for tensor in header.tensors]
    if not tensors:
        facts.refuse("it holds no weights")
    embedding = facts.number("embedding_length")
    blocks = facts.number("block_count")
    if blocks > MOST_LAYERS:
        facts.refuse(f"it declares {blocks:,} layers")
    vocabulary = facts.vocabulary_size()
    return ModelFile(
        path=parts[0],
        name=facts.line("general.name") or parts[0].stem,
        architecture=facts.architecture,
        quantisation=_quantisation(first.metadata.get("general.file_type"), tensors),
        context_length=min(facts.number("context_length"), LONGEST_CONTEXT),
        chat_template=facts.text("tokenizer.chat_template") or None,
        prompt_style=facts.text("elenchus.prompt_style") or DEFAULT_PROMPT_STYLE,
        parameters=sum(tensor.elements for tensor in tensors),
        size=sum(header.file_size for header in headers),
        vocabulary_size=vocabulary,
        block_count=blocks,
        embedding_length=embedding,
        is_embedding=facts.is_embedding(),
        licence=facts.line("general.license.name") or facts.line("general.license"),
        author=facts.line("general.author") or facts.line("general.organization"),
        parts=tuple(parts),
        dimensions=read_dimensions(facts.architecture, first.metadata, tensors, blocks, embedding, vocabulary),
    )


def part_names(name: str) -> list[str]:
    """The names of all files of the model that a file of this name belongs to, in order."""
    match = _PART.fullmatch(name)
    if match is None:
        return [name]
    count = int(match["count"])
    names = [f"{match['stem']}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1)]
    return names if 0 < int(match["number"]) <= count else []


def _parts(path: Path) -> list[Path]:
    """All files of the model that `path` belongs to, in order."""
    names = part_names(path.name)
    if names == [path.name]:
        return [path]
    missing = [name for name in names if not (path.parent / name).is_file()]
    if missing or not names:
        shown = ", ".join(missing[:3]) + ("…" if len(missing) > 3 else "")
        raise UserError(
            f"“{path.name}” is one of several parts of a model, and a part is missing ({shown or 'its number'}). "
            "Put all parts into one folder and choose the first."
        )
    return [path.parent / name for name in names]


class _Facts:
    """Reads single facts out of a header; refuses a file in which they make no sense."""

    def __init__(self, path: Path, header: Header) -> None:
        self._name = path.name
        self._metadata = header.metadata
        self.architecture = self.text("general.architecture")

    def refuse(self, why: str) -> NoReturn:
        raise UserError(f"“{self._name}” cannot be used as a model: {why}. Choose another file.")

    def check_kind(self, parts: int) -> None:
        kind = self.text("general.type")
        if kind == "adapter":
            self.refuse("it is an adapter, made to be added to a model")
        if kind == "mmproj" or self.architecture == "clip":
            self.refuse("it is the part of a model that reads pictures (mmproj)")
        if not (self.architecture and self.architecture.isprintable()):
            self.refuse("it does not say which architecture it has")
        if kind not in ("", "model"):
            self.refuse(f"it is of the kind “{kind[:40]}”")
        if self._metadata.get("split.count", parts) not in (0, parts):
            self.refuse("it is one part of a model in several files, and its name does not say which")
        if self._metadata.get("split.no", 0) != 0:
            self.refuse("it is not the first part of its model")

    def text(self, key: str) -> str:
        value = self._metadata.get(key, "")
        return value if isinstance(value, str) else ""

    def line(self, key: str) -> str:
        """A text that is shown in a list: one short line, whatever stands in the file."""
        text = "".join(character if character.isprintable() else " " for character in self.text(key))
        return " ".join(text.split())[:LONGEST_NAME]

    def number(self, key: str) -> int:
        """A positive whole number of the architecture's own, which every model has."""
        value = self._metadata.get(f"{self.architecture}.{key}")
        if not isinstance(value, int) or not 0 < value < 1 << 32:
            self.refuse(f"its “{key}” is missing or makes no sense")
        return value

    def vocabulary_size(self) -> int:
        """Tokens. llama.cpp reads as many scores and types without a look at how many there are."""
        tokens = self._metadata.get("tokenizer.ggml.tokens")
        if not isinstance(tokens, Array) or tokens.type != STRING or not tokens.count:
            self.refuse("it has no vocabulary")
        for key, types in (("scores", (FLOAT32,)), ("token_type", (INT32, UINT32))):
            array = self._metadata.get(f"tokenizer.ggml.{key}")
            if array is None:
                continue
            if not isinstance(array, Array) or array.type not in types or array.count != tokens.count:
                self.refuse(f"its vocabulary's “{key}” do not fit its tokens")
        return tokens.count

    def is_embedding(self) -> bool:
        causal: Value = self._metadata.get(f"{self.architecture}.attention.causal", True)
        return causal is False or bool(self._metadata.get(f"{self.architecture}.pooling_type", 0))


def _quantisation(file_type: Value | None, tensors: list[Tensor]) -> str:
    if isinstance(file_type, int) and file_type in FILE_TYPES:
        return FILE_TYPES[file_type]
    sizes: Counter[str] = Counter()
    for tensor in tensors:
        sizes[tensor.type] += tensor.size
    return sizes.most_common(1)[0][0]
