"""The sizes of a model's parts, layer by layer, which decide how much memory it takes; told from its header."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.models.gguf_header import Array, Tensor, Value

FLOAT_BYTES = 4

# Models of which some layers see only a window, and whose files need not say which: of so many layers one sees all,
# the last, or the first (llama.cpp's src/models/*.cpp, load_swa_pattern).
_ONE_IN = {
    "afmoe": 4,
    "cohere2": 4,
    "cohere2moe": -4,
    "exaone-moe": 4,
    "gemma2": 2,
    "gemma3": 6,
    "gemma3n": 5,
    "gpt-oss": 2,
    "olmo2": 4,
    "plamo3": 8,
    "smallthinker": -4,
}
# What lies on the side of the input, which llama.cpp never puts on a GPU.
_INPUT = ("token_embd.", "position_embd.", "token_types.", "per_layer_token_embd.")


@dataclass(frozen=True)
class Layer:
    """One layer: the bytes of its weights, and what it remembers."""

    weights: int
    key_width: int  # numbers a token in the KV cache; 0 where the layer has none
    value_width: int
    state: int  # bytes a sequence, of a recurrent layer
    windowed: bool  # attends to the last `window` tokens only


@dataclass(frozen=True)
class Dimensions:
    """All that an estimate of a model's memory needs. Widths are numbers a token."""

    layers: tuple[Layer, ...]
    input_weights: int  # bytes
    output_weights: int  # bytes; of a model that ends with its input's weights, those
    tied: bool  # ends with its input's weights, of which a GPU then holds a copy
    largest_weight: int  # bytes of the largest tensor of a layer
    width: int
    heads: int
    query_width: int
    feed_width: int  # of all experts that work on one token together
    experts_used: int  # 0 of a model without experts
    scan_width: int  # of recurrent layers
    vocabulary: int
    window: int  # tokens; 0 where every layer sees everything

    @property
    def key_width(self) -> int:
        return max(layer.key_width for layer in self.layers)

    @property
    def value_width(self) -> int:
        return max(layer.value_width for layer in self.layers)

    @property
    def recurrent(self) -> bool:
        return any(layer.state for layer in self.layers)


def read_dimensions(
    architecture: str,
    metadata: Mapping[str, Value],
    tensors: Sequence[Tensor],
    blocks: int,
    width: int,
    vocabulary: int,
) -> Dimensions:
    """The dimensions of a model of `blocks` layers; a number that is missing counts as what llama.cpp takes then."""

    def numbers(key: str, default: int) -> list[int]:
        """One number a layer."""
        value = metadata.get(f"{architecture}.{key}", default)
        found = list(value.values or ()) if isinstance(value, Array) else [value] * blocks
        whole = [int(number) if isinstance(number, int) and 0 <= number < 1 << 32 else default for number in found]
        return (whole + [default] * blocks)[:blocks]

    def number(key: str, default: int = 0) -> int:
        return max(numbers(key, default))

    sizes, largest = _sizes(tensors, blocks)
    heads = numbers("attention.head_count", 1)
    head = width // max(1, *heads)
    key, value = number("attention.key_length", head), number("attention.value_length", head)
    kv_heads = numbers("attention.head_count_kv", max(heads))
    latent = number("attention.key_length_mla") > 0  # one compressed row serves as key and value
    caching = blocks - number("attention.shared_kv_layers")
    state, windowed = _state_bytes(number, width), _windowed(architecture, metadata, blocks)
    elements = {tensor.name: tensor.elements for tensor in tensors}
    layers = []
    for index in range(blocks):
        names = [name for name in sizes[index] if name.startswith(("attn_k.", "attn_qkv.", "attn_kv_a_mqa."))]
        remembers = bool(names) and index < caching
        row = elements.get(f"blk.{index}.attn_k.weight", 0) // width or kv_heads[index] * key
        value_row = elements.get(f"blk.{index}.attn_v.weight", 0) // width or (row * value // key if key else row)
        layers.append(
            Layer(
                weights=sum(sizes[index].values()),
                key_width=row if remembers else 0,
                value_width=value_row if remembers and not latent else 0,
                state=state if any(name.startswith(("ssm_", "shortconv.", "time_mix")) for name in sizes[index]) else 0,
                windowed=windowed[index],
            )
        )
    rest = {tensor.name: tensor.size for tensor in tensors if not tensor.name.startswith("blk.")}
    tied = "output.weight" not in rest
    used = number("expert_used_count")
    return Dimensions(
        layers=tuple(layers),
        input_weights=sum(size for name, size in rest.items() if name.startswith(_INPUT)),
        output_weights=sum(size for name, size in rest.items() if not name.startswith(_INPUT))
        + (rest.get("token_embd.weight", 0) if tied else 0),
        tied=tied,
        largest_weight=largest,
        width=width,
        heads=max(heads),
        query_width=max(heads) * (number("attention.key_length_mla") or key),
        feed_width=used * number("expert_feed_forward_length", number("feed_forward_length"))
        or number("feed_forward_length", 4 * width),
        experts_used=used,
        scan_width=number("ssm.inner_size"),
        vocabulary=vocabulary,
        window=number("attention.sliding_window") if any(windowed) else 0,
    )


def _sizes(tensors: Sequence[Tensor], blocks: int) -> tuple[list[dict[str, int]], int]:
    """The tensors of each layer by their names within it, and the size of the largest."""
    sizes: list[dict[str, int]] = [{} for _ in range(blocks)]
    for tensor in tensors:
        prefix, _, rest = tensor.name.partition(".")
        index, _, name = rest.partition(".")
        if prefix == "blk" and index.isascii() and index.isdigit() and int(index) < blocks:
            sizes[int(index)][name] = tensor.size
    return sizes, max((size for layer in sizes for size in layer.values()), default=0)


def _windowed(architecture: str, metadata: Mapping[str, Value], blocks: int) -> list[bool]:
    """Which layers see only a window."""
    if not metadata.get(f"{architecture}.attention.sliding_window"):
        return [False] * blocks
    pattern = metadata.get(f"{architecture}.attention.sliding_window_pattern")
    if isinstance(pattern, Array):
        return [bool(flag) for flag in pattern.values or ()][:blocks] + [False] * (blocks - pattern.count)
    one_in = _ONE_IN.get(architecture, 0)
    if one_in and isinstance(pattern, int) and pattern:
        one_in = pattern if one_in > 0 else -pattern
    if not one_in:
        return [False] * blocks
    return [index % abs(one_in) != (one_in - 1 if one_in > 0 else 0) for index in range(blocks)]


def _state_bytes(number: Callable[[str], int], width: int) -> int:
    """What a recurrent layer keeps of a sequence (llama.cpp's llama_hparams::n_embd_r and n_embd_s)."""
    if size := number("wkv.head_size"):
        return FLOAT_BYTES * width * (number("token_shift_count") + size)
    if cached := number("shortconv.l_cache"):
        return FLOAT_BYTES * width * (cached - 1)
    inner, states = number("ssm.inner_size"), number("ssm.state_size")
    convolution = max(0, number("ssm.conv_kernel") - 1) * (inner + 2 * number("ssm.group_count") * states)
    return FLOAT_BYTES * (convolution + states * inner)
