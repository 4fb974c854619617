"""The sizes of a model's parts as its header tells them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import UserError
from core.models.dimensions import Dimensions
from core.models.files import read_model
from tests.data.gguf_shape import ShapeOfModel, lfm2, mamba, transformer, with_experts

Told = Callable[[ShapeOfModel], Dimensions]


@pytest.fixture
def dimensions(tmp_path: Path) -> Told:
    def read(shape: ShapeOfModel) -> Dimensions:
        return read_model(shape.write(tmp_path / "model.gguf")).dimensions

    return read


def test_layers_and_ends_are_weighed_apart(dimensions: Told) -> None:
    told = dimensions(transformer("llama", 64, 3, 4, 2, 128))
    layer = 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128) + 4 * (64 + 64)
    assert [each.weights for each in told.layers] == [layer] * 3
    assert (told.input_weights, told.output_weights, told.tied) == (2 * 512 * 64, 2 * 512 * 64 + 4 * 64, False)
    assert told.largest_weight == 2 * 64 * 128
    assert {(each.key_width, each.value_width, each.state, each.windowed) for each in told.layers} == {(32, 32, 0, 0)}


def test_a_model_may_end_with_its_inputs_weights(dimensions: Told) -> None:
    told = dimensions(transformer("llama", 64, 2, 4, 2, 128, tied=True))
    assert told.tied
    assert (told.input_weights, told.output_weights) == (2 * 512 * 64, 2 * 512 * 64 + 4 * 64)


def test_heads_may_be_wider_than_their_share(dimensions: Told) -> None:
    told = dimensions(transformer("llama", 64, 1, 4, 2, 128, head=128))
    assert (told.query_width, told.key_width, told.value_width) == (512, 256, 256)


def test_which_layers_see_a_window(dimensions: Told) -> None:
    shape = transformer("gemma3", 64, 8, 4, 2, 128)
    assert dimensions(shape).window == 0
    shape.metadata["attention.sliding_window"] = 1024
    told = dimensions(shape)
    assert told.window == 1024
    assert [layer.windowed for layer in told.layers] == [True] * 5 + [False] + [True] * 2
    shape.metadata["attention.sliding_window_pattern"] = [0, 1, 0, 1, 0, 1, 0, 1]
    assert [layer.windowed for layer in dimensions(shape).layers] == [False, True] * 4
    mistral = transformer("llama", 64, 2, 4, 2, 128)
    mistral.metadata["attention.sliding_window"] = 4096  # which llama.cpp does not use there
    assert dimensions(mistral).window == 0


def test_layers_may_share_the_cache_of_others(dimensions: Told) -> None:
    shape = transformer("gemma3n", 64, 5, 4, 2, 128)
    shape.metadata["attention.shared_kv_layers"] = 2
    assert [layer.key_width for layer in dimensions(shape).layers] == [32, 32, 32, 0, 0]


def test_a_latent_row_is_key_and_value(dimensions: Told) -> None:
    shape = transformer("deepseek2", 64, 1, 4, 1, 128)
    del shape.tensors["blk.0.attn_k.weight"], shape.tensors["blk.0.attn_v.weight"]
    shape.tensors["blk.0.attn_kv_a_mqa.weight"] = (576, 64)
    shape.metadata |= {"attention.key_length": 576, "attention.key_length_mla": 192, "attention.value_length": 512}
    (layer,) = dimensions(shape).layers
    assert (layer.key_width, layer.value_width) == (576, 0)


def test_experts_that_work_together_are_one_wide_layer(dimensions: Told) -> None:
    told = dimensions(with_experts(transformer("qwen3moe", 64, 1, 4, 2, 128), 16, 4, 32))
    assert (told.experts_used, told.feed_width) == (4, 128)


def test_recurrent_layers_keep_a_state(dimensions: Told) -> None:
    told = dimensions(mamba(64, 2))
    assert [layer.state for layer in told.layers] == [4 * (3 * 128 + 16 * 128)] * 2
    assert (told.key_width, told.recurrent, told.heads) == (0, True, 0)
    mixed = dimensions(lfm2(64, 4))
    assert [layer.state for layer in mixed.layers] == [0, 4 * 2 * 64, 4 * 2 * 64, 0]
    assert [layer.key_width for layer in mixed.layers] == [16, 0, 0, 16]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("block_count", 0),
        ("block_count", 513),
        ("block_count", 2**32 - 1),
        ("embedding_length", 0),
        ("context_length", 0),
    ],
)
def test_numbers_that_make_no_model_are_refused(key: str, value: int, dimensions: Told) -> None:
    shape = transformer("llama", 64, 2, 4, 2, 128)
    shape.metadata[key] = value
    with pytest.raises(UserError, match=r"cannot be used as a model: .+ Choose another file"):
        dimensions(shape)


def test_a_model_without_tensors_is_refused(dimensions: Told) -> None:
    shape = transformer("llama", 64, 2, 4, 2, 128)
    shape.tensors.clear()
    with pytest.raises(UserError, match="it holds no weights"):
        dimensions(shape)


@pytest.mark.parametrize(
    "key",
    [
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "feed_forward_length",
        "ssm.inner_size",
    ],
)
def test_other_numbers_may_be_anything_without_harm(key: str, dimensions: Told) -> None:
    for value in (0, 1, 2**32 - 1, [], [3], [-1, 1], [2**30] * 5000, 0.5):
        shape = transformer("llama", 64, 2, 4, 2, 128)
        shape.metadata[key] = value
        try:
            told = dimensions(shape)
        except UserError:
            continue
        assert len(told.layers) == 2
