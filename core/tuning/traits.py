"""What a model's architecture asks of the decoder, read from its header; what the decoder does not know is refused.

The truth is what llama.cpp does (src/models/*.cpp and llama_model_base::load_hparams, of the version that is pinned).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from core.errors import UserError
from core.models.files import read_model
from core.models.gguf_header import Array, Tensor, Value, read_header

TYPES = {"F32", "F16", "BF16"} | {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "IQ4_NL", "IQ4_XS"}
TYPES |= {"Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"}  # of tensors that can be unpacked

MATRICES = ("attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
_NORMS = ("attn_norm", "ffn_norm", "attn_q_norm", "attn_k_norm", "post_attention_norm", "post_ffw_norm")
_IN_A_LAYER = frozenset([f"{name}.weight" for name in (*MATRICES, *_NORMS)] + [f"{name}.bias" for name in MATRICES])
_OUTSIDE = frozenset(
    f"{name}.weight"
    for name in ("token_embd", "output", "output_norm", "rope_freqs", "rope_factors_long", "rope_factors_short")
)
_LAYER = re.compile(r"blk\.(?P<layer>\d+)\.(?P<rest>.+)")
SHORT = "rope_factors_short.weight"
YARN_FAST, YARN_SLOW = 32.0, 1.0  # llama.cpp reads no others for these architectures


@dataclass(frozen=True)
class _Kind:
    """What the name of an architecture says."""

    rotation: str = "halves"  # or adjacent: which two numbers of a head turn together
    activation: str = "silu"  # or gelu, in its tanh form
    scales_embedding: bool = False
    rope_skips: int = 0  # of so many layers, the last does not rotate
    rope_factors: bool = False  # whether a tensor may divide the angles
    window_pattern: int = 0  # of so many layers, all but the last see a window
    window: int = 0  # tokens, where the file does not say
    local_base: float = 0.0  # of the rotation of layers with a window; 0: the same as of the others
    attention_cap: float = 0.0
    output_cap: float = 0.0
    wide_layers: int = 0  # a model of so many layers scales attention by its width and not by its heads'


_KINDS = {
    "llama": _Kind(rotation="adjacent", rope_factors=True),
    "qwen2": _Kind(),
    "qwen3": _Kind(),
    "gemma2": _Kind(
        activation="gelu",
        scales_embedding=True,
        window_pattern=2,
        window=4_096,
        attention_cap=50.0,
        output_cap=30.0,
        wide_layers=46,
    ),
    "gemma3": _Kind(activation="gelu", scales_embedding=True, window_pattern=6, local_base=10_000.0, wide_layers=62),
    "phi3": _Kind(rope_factors=True),  # llama.cpp ignores the window that these files declare
    "smollm3": _Kind(rotation="adjacent", rope_skips=4),
}


@dataclass(frozen=True)
class Rope:
    """How a layer rotates. `base` 0: it does not."""

    base: float
    scale: float  # of positions: 0.5 where two stand for one
    magnitude: float = 1.0  # multiplies what was rotated


@dataclass(frozen=True)
class Traits:
    """All that the decoder needs to know besides the weights."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int  # numbers of a query and of a key
    value_size: int
    feed: int
    vocabulary: int
    epsilon: float  # of the norms
    rotation: str  # "adjacent" or "halves"
    rotated: int  # numbers of a head that are rotated, the first
    ropes: tuple[Rope, ...]  # one a layer
    rope_factors: str  # the tensor that divides the angles; empty: none
    context: int  # tokens of the longest text that may be read with these factors
    yarn_context: int  # tokens before the context was stretched by YaRN (arXiv 2309.00071); 0: it was not
    windows: tuple[int, ...]  # one a layer: the last tokens that it sees; 0: all
    attention_scale: float
    attention_cap: float  # 0: none
    output_cap: float  # 0: none
    embedding_scale: float
    activation: str  # "silu" or "gelu"
    tied: bool  # ends with its input's weights


def read_traits(path: Path) -> Traits:
    """The traits of a model; `path` is its file, or the first of them.

    Raises UserError when the file is no model, or the decoder does not know its architecture or a type of its tensors.
    """
    model = read_model(path)
    header = read_header(model.parts[0])
    tensors = {tensor.name: tensor for part in model.parts for tensor in read_header(part).tensors}
    reader = _Reader(model.name, model.architecture, header.metadata, tensors, model.block_count)
    reader.check()
    return reader.traits(model.embedding_length, model.vocabulary_size)


@dataclass(frozen=True)
class _Reader:
    """Reads single facts; refuses what the decoder does not know."""

    name: str
    architecture: str
    metadata: Mapping[str, Value]
    tensors: Mapping[str, Tensor]
    layers: int

    def refuse(self, why: str) -> NoReturn:
        known = ", ".join(sorted(_KINDS))
        raise UserError(f"“{self.name}” cannot be trained here: {why}. Choose a dense model of one of these: {known}.")

    def check(self) -> None:
        """Refuses what is not a dense decoder of a known architecture, in a known type."""
        if self.number("expert_count", 0) or any("_exps." in name for name in self.tensors):
            self.refuse(f"it is a mixture of experts ({self.architecture})")
        if any(name.partition(".ssm_")[1] or ".shortconv." in name for name in self.tensors):
            self.refuse(f"its architecture “{self.architecture}” is recurrent, or in part")
        if self.architecture not in _KINDS:
            self.refuse(f"its architecture “{self.architecture}” is not known")
        for name, tensor in self.tensors.items():
            match = _LAYER.fullmatch(name)
            if name not in _OUTSIDE and not (match and match["rest"] in _IN_A_LAYER):
                self.refuse(f"its tensor “{name}” is not known in the architecture “{self.architecture}”")
            if tensor.type not in TYPES:
                self.refuse(f"its tensor “{name}” has the type {tensor.type}, which cannot be unpacked")
        scaling = self.metadata.get(f"{self.architecture}.rope.scaling.type", "linear")
        if scaling not in ("none", "linear", "yarn", "longrope"):
            self.refuse(f"its positions are scaled in a way that is not known: “{scaling}”")

    def number(self, key: str, default: float) -> float:
        """A number of the architecture's own, the same for all layers."""
        value = self.metadata.get(f"{self.architecture}.{key}", default)
        if isinstance(value, Array):
            if not value.values or len(set(value.values)) != 1:
                self.refuse(f"its layers differ in “{key}”")
            value = value.values[0]
        if isinstance(value, (bool, str)) or not math.isfinite(value) or value < 0:
            self.refuse(f"its “{key}” makes no sense")
        return value

    def whole(self, key: str, default: int) -> int:
        return int(self.number(key, default))

    def traits(self, width: int, vocabulary: int) -> Traits:
        kind = _KINDS[self.architecture]
        heads = self.whole("attention.head_count", 0)
        if not heads or width % heads:
            self.refuse("its number of heads is missing or makes no sense")
        head = self.whole("attention.key_length", width // heads)
        windows = self.windows(kind)
        context = self.whole("context_length", 0)
        unstretched = self.whole("rope.scaling.original_context_length", context)
        factors = self.factors(kind)
        return Traits(
            architecture=self.architecture,
            layers=self.layers,
            width=width,
            heads=heads,
            kv_heads=self.whole("attention.head_count_kv", heads),
            head_size=head,
            value_size=self.whole("attention.value_length", width // heads),
            feed=self.whole("feed_forward_length", 0),
            vocabulary=vocabulary,
            epsilon=self.number("attention.layer_norm_rms_epsilon", 0.0),
            rotation=kind.rotation,
            rotated=self.whole("rope.dimension_count", head),
            ropes=tuple(self.rope(kind, layer, windows[layer] > 0) for layer in range(self.layers)),
            rope_factors=factors,
            context=min(context, unstretched) if factors == SHORT else context,
            yarn_context=unstretched if self.yarn() else 0,
            windows=windows,
            attention_scale=(width // heads if self.layers == kind.wide_layers else head) ** -0.5,
            attention_cap=self.number("attn_logit_softcapping", kind.attention_cap) if kind.attention_cap else 0.0,
            output_cap=self.number("final_logit_softcapping", kind.output_cap) if kind.scales_embedding else 0.0,
            embedding_scale=math.sqrt(width) if kind.scales_embedding else 1.0,
            activation=kind.activation,
            tied="output.weight" not in self.tensors or self.architecture == "gemma2",
        )

    def windows(self, kind: _Kind) -> tuple[int, ...]:
        window = self.whole("attention.sliding_window", kind.window)
        if not (kind.window_pattern and window):
            return (0,) * self.layers
        pattern = self.metadata.get(f"{self.architecture}.attention.sliding_window_pattern", kind.window_pattern)
        if isinstance(pattern, Array):
            flags = [bool(flag) for flag in pattern.values or ()][: self.layers]
            flags += [False] * (self.layers - len(flags))
        elif isinstance(pattern, int) and pattern >= 0:
            flags = [not pattern or layer % pattern < pattern - 1 for layer in range(self.layers)]
        else:
            self.refuse("its pattern of layers with a window makes no sense")
        return tuple(window if flag else 0 for flag in flags)

    def rope(self, kind: _Kind, layer: int, windowed: bool) -> Rope:
        if kind.rope_skips and (layer + 1) % kind.rope_skips == 0:
            return Rope(0.0, 1.0)
        base = self.number("rope.freq_base", 10_000.0)
        scale = self.rope_scale()
        if windowed:
            base = self.number("rope.freq_base_swa", kind.local_base or base)
            scale = 1.0 if kind.local_base else scale
        magnitude = self.number("rope.scaling.attn_factor", 1.0)
        return Rope(base, scale, magnitude * (1 - 0.1 * math.log(scale)) if self.yarn() else magnitude)

    def rope_scale(self) -> float:
        factor = self.number("rope.scaling.factor", self.number("rope.scale_linear", 0.0))
        unscaled = self.metadata.get(f"{self.architecture}.rope.scaling.type") == "none"
        return 1.0 if unscaled or not factor else 1 / factor

    def yarn(self) -> bool:
        return self.metadata.get(f"{self.architecture}.rope.scaling.type") == "yarn"

    def factors(self, kind: _Kind) -> str:
        """The tensor of factors: of those for short and long texts the former, for what is trained on is short."""
        names = ("rope_freqs.weight", SHORT) if kind.rope_factors else ()
        return next((name for name in names if name in self.tensors), "")
