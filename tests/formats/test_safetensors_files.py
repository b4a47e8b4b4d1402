import json

import numpy as np
import pytest
import safetensors
import torch
from safetensors.torch import save

from zoo_pipeline.formats import FileRefused, read_shapes, read_state


def test_tensors_come_back_to_the_bit():
    tensors = {
        "w": torch.randn(3, 4),
        "h": torch.randn(5).half(),
        "b": torch.randn(2, 2).bfloat16(),
        "d": torch.randn(2).double(),
        "s": torch.tensor(2.5),
    }
    state = read_state(save({**tensors, "n": torch.arange(3)}, {"epoch": "12", "step": "x"}), "a.safetensors")
    assert set(state.tensors) == set(tensors)
    for name, tensor in tensors.items():
        assert state.tensors[name].tobytes() == tensor.float().numpy().tobytes()
        assert state.tensors[name].shape == tuple(tensor.shape)
    assert state.left_out == {"n": "int64, no floating point"}
    assert (state.epoch, state.step) == (12, None)


def test_files_of_one_header_keep_their_own_values():
    for number in range(3):
        assert read_state(save({"a": torch.full((2,), float(number))}), "").tensors["a"].tolist() == [number, number]


def written(header: object, data: bytes = bytes(8)) -> bytes:
    text = header if type(header) is bytes else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(begin=0, end=8, shape=(2,), dtype="F32") -> dict:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (written({"a": tensor(0, 8), "b": tensor(0, 8)}), "damaged: tensor b begins at byte 0, the one before it ends"),
        (written({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12)), "damaged: tensor b begins at byte 4"),
        (written({"a": tensor(4, 12)}, bytes(12)), "damaged: tensor a begins at byte 4"),
        (written({"a": tensor(0, 16, (4,))}), "damaged: tensor a of shape [4] has not the bytes it needs"),
        (written({"a": tensor(0, 8, (3,))}), "damaged: tensor a of shape [3] has not the bytes it needs"),
        (written({"a": tensor(8, 0)}), "damaged: tensor a of shape [2] has not the bytes it needs"),
        (written({"a": tensor(-8, 0)}), "damaged: tensor a of shape [2] has not the bytes it needs"),
        (written({"a": tensor(0, 8, (1 << 62, 1 << 62))}), "damaged: tensor a of shape"),
        (written({"a": tensor(0, 8, (-2,))}), "damaged: the header does not say where tensor a is"),
        (written({"a": {"dtype": "F32"}}), "damaged: the header does not say where tensor a is"),
        (written({"a": tensor()}, bytes(9)), "truncated: the tensors take 8 bytes, the file has 9 for them"),
        (written({"a": tensor()}, bytes(7)), "damaged: tensor a of shape [2] has not the bytes it needs"),
        (written(b'{"a":' + json.dumps(tensor()).encode() + b',"a":1}'), "damaged: the header has two tensors of one"),
        (written(b"{" * 50_000), "damaged: the header is no JSON"),
        (written(b'{"a":' + b"[" * 200_000), "damaged: the header is no JSON"),
        (written(b'{"\\ud800":' + json.dumps(tensor()).encode() + b"}"), "damaged: a tensor's name is no Unicode"),
        ((1 << 62).to_bytes(8, "little") + b"{}", "damaged: a header of 4,611,686,018,427,387,904 bytes"),
        ((1 << 20).to_bytes(8, "little") + b"{}", "truncated: a header of 1,048,576 bytes in a file of 10"),
        (written({}, b""), "no floating-point tensor"),
        (written({"__metadata__": {"a": "b"}}, b""), "no floating-point tensor"),
        (written({"a": tensor(dtype="C64", shape=(1,))}), "complex64 tensor a"),
        (written({"a": tensor(dtype="F8_E5M2", shape=(8,))}), "float8_e5m2 tensor a"),
        (written({"a": tensor(dtype="F4", shape=(16,))}), "F4 tensor a"),
    ],
)
def test_headers_that_are_wrong_are_refused(data, message):
    for read in (read_state, read_shapes):
        with pytest.raises(FileRefused) as caught:
            read(data, "a.safetensors")
        assert str(caught.value).startswith(message)
        assert len(str(caught.value).splitlines()) == 1
    if message.startswith(("damaged", "truncated")):
        with pytest.raises((safetensors.SafetensorError, UnicodeError)):
            safetensors.deserialize(data)


def test_a_tensor_at_an_odd_byte_is_copied():
    header = {"a": tensor(0, 1, (1,), "U8"), "b": tensor(1, 9)}
    values = read_state(written(header, b"\1" + np.array([1.5, 2.5], "<f4").tobytes()), "").tensors["b"]
    assert values.tolist() == [1.5, 2.5]
    assert values.flags.aligned
