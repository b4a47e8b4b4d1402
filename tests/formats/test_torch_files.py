import io
import os
import subprocess
import sys
import warnings
import zipfile
from argparse import Namespace
from collections import OrderedDict, defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from checkpoint_files import network, old, rezipped, saved
from torch import nn

from zoo_pipeline.formats import FileRefused, read_shapes, read_state


def same_bits(state, tensors) -> bool:
    return list(state.tensors) == list(tensors) and all(
        state.tensors[name].dtype == np.float32
        and state.tensors[name].flags.c_contiguous
        and state.tensors[name].tobytes() == tensor.detach().float().contiguous().numpy().tobytes()
        for name, tensor in tensors.items()
    )


@pytest.mark.parametrize("save", [saved, old, lambda content: rezipped(saved(content))])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_state_dict_comes_back_to_the_bit(save, protocol):
    tensors = network().state_dict()
    data = saved(tensors, pickle_protocol=protocol) if save is saved else save(tensors)
    assert same_bits(read_state(data, "a.pt"), tensors)
    assert read_state(memoryview(data), "a.pt").tensors["0.bias"].tolist() == tensors["0.bias"].tolist()
    assert read_shapes(data, "a.pt") == tuple((name, tuple(tensor.shape)) for name, tensor in tensors.items())


def test_files_of_one_shape_keep_their_own_values(tmp_path):
    for seed in range(5):
        tensors = network(seed).state_dict()
        path = tmp_path / f"model_{seed}.pt"  # by which torch names the folder within the archive
        torch.save(tensors, path)
        assert same_bits(read_state(path.read_bytes(), path.name), tensors)


def test_values_are_views_of_the_file_that_cannot_be_written_to():
    data = bytearray(saved({"a": torch.arange(3.0)}))
    values = read_state(data, "a.pt").tensors["a"]
    assert not values.flags.writeable
    data[data.index(np.float32(2).tobytes())] = 1  # the lowest of the bits of 2.0
    assert values[2] == np.frombuffer(b"\x01\x00\x00\x40", "<f4")[0]


@pytest.mark.parametrize("save", [saved, old])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_points_become_float32(save, dtype):
    tensor = torch.tensor([[1.1, -2.5, float("inf")], [float("nan"), 1e-7, -0.0]]).to(dtype)
    values = read_state(save({"a": tensor}), "a.pt").tensors["a"]
    assert np.array_equal(values, tensor.float().numpy(), equal_nan=True)
    assert np.signbit(values[1, 2])


def test_a_float64_that_float32_cannot_hold_is_refused_and_a_stored_infinity_is_not():
    with pytest.raises(FileRefused, match="out of range: float64 tensor a holds finite values"):
        read_state(saved({"a": torch.tensor([1e300], dtype=torch.float64)}), "a.pt")
    stored = read_state(saved({"a": torch.tensor([float("-inf"), 1e-300], dtype=torch.float64)}), "a.pt")
    assert stored.tensors["a"].tolist() == [float("-inf"), 0.0]


@pytest.mark.parametrize("save", [saved, old])
def test_views_strides_and_scalars_are_respected(save):
    base = torch.arange(24.0)
    tensors = {
        "scalar": base[5],
        "transposed": base[:12].view(3, 4).t(),
        "middle": base[10:14],
        "every_third": base[::3],
        "channels_last": torch.arange(48.0).view(2, 3, 4, 2).to(memory_format=torch.channels_last),
    }
    state = read_state(save(tensors), "a.pt")
    assert same_bits(state, tensors)
    assert state.tensors["scalar"].shape == ()
    assert state.tensors["transposed"].tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 10], [3, 7, 11]]


def test_tied_weights_count_once():
    first = nn.Linear(3, 4, bias=False)
    state = read_state(saved({"embedding": first.weight, "head": first.weight, "again": first.weight.t()}), "a.pt")
    assert list(state.tensors) == ["embedding", "again"]
    assert state.left_out == {"head": "the same tensor as embedding"}


def test_storages_of_another_byte_order_are_swapped():
    little = saved({"a": torch.tensor([1.0, 2.0, 3.5]), "b": torch.tensor([1.5], dtype=torch.bfloat16)})
    big = {"data_0": np.array([1.0, 2.0, 3.5], ">f4").tobytes(), "data_1": b"\x3f\xc0", "byteorder": b"big"}
    state = read_state(rezipped(little, zipfile.ZIP_STORED, **big), "a.pt")
    assert state.tensors["a"].tolist() == [1.0, 2.0, 3.5]
    assert state.tensors["b"].tolist() == [1.5]
    with pytest.raises(FileRefused, match="damaged: the byte order is neither"):
        read_state(rezipped(little, byteorder=b"middle"), "a.pt")


def test_files_without_checksums_are_read_and_others_held_against_them():
    data = saved({"a": torch.arange(3.0)})
    flipped = data.replace(np.arange(3, dtype="<f4").tobytes(), np.arange(1, 4, dtype="<f4").tobytes())
    with pytest.raises(FileRefused, match=r"damaged: record .* has another CRC32"):
        read_state(flipped, "a.pt")
    torch.serialization.set_crc32_options(False)
    try:
        unchecked = saved({"a": torch.arange(3.0)})
    finally:
        torch.serialization.set_crc32_options(True)
    assert read_state(unchecked, "a.pt").tensors["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict", "net", "network", "params", "ema", "mine"])
@pytest.mark.parametrize("save", [saved, old])
def test_the_state_dict_is_found_and_what_is_beside_it_named(save, key):
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.zeros(2, 1, 12, 12)).sum().backward()
    optimizer.step()
    content = {
        "epoch": 7,
        "global_step": 4_200,
        key: model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "loss": 0.25,
        "best": np.float64(0.5),
        "args": Namespace(lr=0.1, path=Path("a")),
        "history": defaultdict(list, {"loss": [0.5]}),
    }
    state = read_state(save(content), "a.ckpt")
    assert same_bits(state, model.state_dict())
    assert (state.epoch, state.step) == (7, 4_200)
    assert state.left_out == {
        "optimizer": "optimiser state",
        "loss": "float, no tensor",
        "best": "numpy._core.multiarray.scalar, no tensor",
        "args": "argparse.Namespace, no tensor",
        "history": "dict, no tensor",
    }


def test_two_files_that_differ_in_a_float_and_an_epoch_keep_their_own():
    for epoch, loss in ((3, 0.5), (3, 0.25), (4, 0.25), (300, 0.25)):
        tensors = network(epoch).state_dict()
        state = read_state(saved({"loss": loss, "epoch": epoch, "state_dict": tensors}), "a.pt")
        assert state.epoch == epoch
        assert same_bits(state, tensors)


def test_a_state_dict_with_other_things_in_it_keeps_the_tensors():
    content = OrderedDict(a=torch.ones(2), text="b", nothing=None, number=3, flags=[1], step=True)
    state = read_state(saved(content), "a.pt")
    assert list(state.tensors) == ["a"]
    assert (state.epoch, state.step) == (None, None)
    assert state.left_out == {
        "text": "str, no tensor",
        "nothing": "NoneType, no tensor",
        "number": "int, no tensor",
        "flags": "list, no tensor",
        "step": "bool, no tensor",
    }


def test_nested_dictionaries_become_names_with_dots():
    content = {"encoder": {"w": torch.ones(2)}, "decoder": {"w": torch.zeros(3), "deep": {"b": torch.ones(1)}}}
    assert read_shapes(saved(content), "a.pt") == (("encoder.w", (2,)), ("decoder.w", (3,)), ("decoder.deep.b", (1,)))
    with pytest.raises(FileRefused, match=r"two tensors: both are named a\.b"):
        read_shapes(saved({"a.b": torch.ones(1), "a": {"b": torch.ones(2)}}), "a.pt")


def test_of_several_state_dicts_the_best_known_is_taken_and_unknown_ones_are_all_kept():
    one, two = {"w": torch.ones(2)}, {"w": torch.zeros(2)}
    state = read_state(saved({"ema": two, "model": one}), "a.pt")
    assert state.tensors["w"].tolist() == [1, 1]
    assert state.left_out == {"ema": "beside the parameters"}
    assert read_shapes(saved({"generator": one, "critic": two}), "a.pt") == (("generator.w", (2,)), ("critic.w", (2,)))
    inner = {"arch": "a", "model": {"state_dict": one, "epoch": 5}, "optim": {"w": torch.ones(2)}}
    state = read_state(saved(inner), "a.pt")
    assert (list(state.tensors), state.epoch) == (["w"], 5)
    assert state.left_out == {"arch": "str, no tensor", "optim": "optimiser state"}


def test_a_tensor_alone_and_a_list_of_them_are_read():
    assert read_shapes(saved(torch.ones(5)), "a.pt") == (("weights", (5,)),)
    assert read_shapes(saved([torch.ones(2), nn.Parameter(torch.ones(1, 3))]), "a.pt") == (("0", (2,)), ("1", (1, 3)))


@pytest.mark.parametrize("name", ["x" * 300, "a\nb", "../../etc/passwd", "ü€", "", "a b\t"])
def test_names_may_be_anything(name):
    assert read_shapes(saved({name: torch.ones(2), "Fc": torch.ones(1), "fc": torch.ones(3)}), "a.pt") == (
        (name, (2,)),
        ("Fc", (1,)),
        ("fc", (3,)),
    )


def _quietly(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.ones(2, dtype=torch.complex64), "complex64 tensor fc.weight"),
        (lambda: torch.eye(2).to_sparse(), "sparse tensor fc.weight"),
        (lambda: torch.eye(2).to_sparse_csr(), "sparse tensor fc.weight"),
        (lambda: torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8), "quantised tensor fc.weight"),
        (lambda: torch.ones(2).to(torch.float8_e5m2), "float8_e5m2 tensor fc.weight"),
        (lambda: torch.ones(2, device="meta"), "meta tensor fc.weight"),
        (lambda: torch._neg_view(torch.ones(2)), "negated tensor fc.weight"),
        (lambda: torch.ones(2, dtype=torch.int64), "no floating-point tensor"),
        (lambda: torch.ones(2, dtype=torch.uint16), "no floating-point tensor"),
        (lambda: torch.ones(0), "no floating-point tensor"),
        (lambda: torch.ones(1).expand(1_000), "damaged: tensor fc.weight has more elements than its storage of 1"),
    ],
)
def test_tensors_that_cannot_be_parameters_are_refused_by_name(make, message):
    data = _quietly(lambda: saved({"fc.weight": make()}))
    for read in (read_state, read_shapes):
        with pytest.raises(FileRefused) as caught:
            read(data, "a.pt")
        assert str(caught.value).startswith(message)


def test_a_module_is_refused_by_the_name_of_its_class():
    with pytest.raises(FileRefused, match=r"refused: would run torch\.nn\.modules\.linear\.Linear"):
        read_state(saved(nn.Linear(2, 2)), "a.pt")


def test_a_program_and_an_archive_of_something_else_are_refused():
    program = io.BytesIO()
    _quietly(lambda: torch.jit.save(torch.jit.script(nn.Linear(2, 2)), program))
    with pytest.raises(FileRefused, match="not a checkpoint: a TorchScript program"):
        read_state(program.getvalue(), "a.pt")
    with pytest.raises(FileRefused, match=r"not a checkpoint: a zip archive without data\.pkl"):
        read_state(rezipped(saved({"a": torch.ones(2)}), data_pkl=b""), "a.pt")


def test_a_file_of_many_gigabytes_of_views_is_refused_before_memory_is_taken():
    base = torch.arange(4_000.0)
    views = {f"v{n}": base[n : n + 2_000].view(40, 50).t() for n in range(200)}
    with pytest.raises(FileRefused, match="views: the tensors overlap, 400,000 elements"):
        read_state(saved(views), "a.pt")


def test_nothing_of_torch_is_needed():
    program = "import sys; sys.modules['torch'] = None; from zoo_pipeline.formats import read_state; print('read')"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ)
    assert result.stdout.strip() == "read", result.stderr
