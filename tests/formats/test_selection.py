import pytest

from zoo_pipeline.formats.selection import select
from zoo_pipeline.formats.state import Described, FileRefused, TensorEntry


def entries(*names: str, shape=(2,), kind="float32") -> Described:
    return Described(tuple(TensorEntry(name, shape, kind, name) for name in names))


def kept(*names: str, **options) -> list[str]:
    return [name for name, _ in select(entries(*names, **options)).shapes]


@pytest.mark.parametrize(
    "name",
    [
        *("bn.running_mean", "bn.running_var", "bn.num_batches_tracked", "embeddings.position_ids", "attn.mask"),
        *("rotary_emb.inv_freq", "attn.attn_mask", "attn.masked_bias", "fc.weight_mask", "mask_buffer", "masks"),
        *("conv.parametrizations.weight.0._u", "running_mean"),
    ],
)
def test_buffers_are_known_by_their_names(name):
    selection = select(entries("w", name))
    assert [kept for kept, _ in selection.shapes] == ["w"]
    assert selection.left_out == {name: "buffer"}


@pytest.mark.parametrize(
    "name", ["mask_token", "mask_embedding", "mask_head.weight", "unmasked.weight", "attn.bias", "fc.weight_u", "_u"]
)
def test_parameters_with_names_like_buffers_are_kept(name):
    assert kept("w", name) == ["w", name]


def test_vectors_of_spectral_norm_are_buffers_beside_the_weight_they_are_of():
    assert kept("fc.weight_orig", "fc.weight_u", "fc.weight_v", "gc.weight_u") == ["fc.weight_orig", "gc.weight_u"]


def test_a_bias_that_is_a_causal_mask_is_known_by_its_shape():
    mask = TensorEntry("h.0.attn.bias", (1, 1, 16, 16), "float32", 1)
    bias = TensorEntry("h.0.conv.bias", (1, 16, 1, 1), "float32", 2)
    selection = select(Described((mask, bias)))
    assert selection.shapes == (("h.0.conv.bias", (1, 16, 1, 1)),)
    assert selection.left_out == {"h.0.attn.bias": "buffer (a causal mask, by its shape)"}


def test_optimiser_state_and_moving_averages_are_left_out_wherever_they_are():
    selection = select(entries("w", "state.0.exp_avg", "a.momentum_buffer", "ema.w", "shadow.w", "schema.w"))
    assert selection.shapes == (("w", (2,)), ("schema.w", (2,)))
    assert selection.left_out == {
        "state.0.exp_avg": "optimiser state",
        "a.momentum_buffer": "optimiser state",
        "ema.w": "moving average",
        "shadow.w": "moving average",
    }


def test_moving_averages_are_parameters_where_there_is_nothing_else():
    assert kept("ema.w", "ema.bn.running_mean") == ["ema.w"]


def test_prefixes_of_wrappers_are_taken_off_where_all_have_them():
    assert kept("module._orig_mod.a", "module._orig_mod.b") == ["a", "b"]
    assert kept("module.a", "b") == ["module.a", "b"]
    selection = select(entries("module.a", "n_averaged", "module.bn.running_var"))
    assert selection.shapes == (("a", (2,)),)
    assert selection.left_out == {"n_averaged": "buffer", "bn.running_var": "buffer"}


@pytest.mark.parametrize("kind", ["complex64", "sparse", "quantised", "float8_e4m3fn", "meta", "float128"])
def test_a_parameter_of_a_kind_that_float32_cannot_hold_is_refused_and_a_buffer_left_out(kind):
    with pytest.raises(FileRefused, match=f"^{kind} tensor w$"):
        select(entries("w", kind=kind))
    both = Described((TensorEntry("w", (2,), "float32"), TensorEntry("running_mean", (2,), kind)))
    assert select(both).left_out == {"running_mean": "buffer"}


@pytest.mark.parametrize("kind", ["int64", "uint8", "bool", "object", "text", "datetime64[ns]"])
def test_a_file_without_floating_point_is_refused(kind):
    with pytest.raises(FileRefused, match=r"^no floating-point tensor$"):
        select(entries("w", kind=kind))


def test_empty_tensors_are_left_out_and_scalars_kept():
    scalar = TensorEntry("s", (), "float32", 1)
    selection = select(Described((TensorEntry("e", (0, 3), "float32", 2), scalar)))
    assert selection.shapes == (("s", ()),)
    assert selection.left_out == {"e": "empty"}
