import io

import numpy as np
import pytest
import torch
from checkpoint_files import old, rezipped, saved
from safetensors.numpy import save as save_safetensors

from zoo_pipeline.errors import StoreError
from zoo_pipeline.formats import read_shapes, read_state

TENSORS = {"fc.weight": torch.arange(6.0).view(2, 3), "fc.bias": torch.tensor([0.5, -1.0]), "n": torch.tensor(3)}
ARRAYS = {name: tensor.numpy() for name, tensor in TENSORS.items()}


def _numpy(save, *arrays, **named) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


FILES = {
    "torch": saved({"epoch": 3, "loss": 0.5, "state_dict": TENSORS}),
    "torch, packed": rezipped(saved(TENSORS)),
    "torch, old": old({"epoch": 3, "state_dict": TENSORS}),
    "safetensors": save_safetensors(ARRAYS, {"epoch": "3"}),
    "npz": _numpy(np.savez, **ARRAYS),
    "npz, packed": _numpy(np.savez_compressed, **ARRAYS),
    "npy": _numpy(np.save, ARRAYS["fc.weight"]),
}


def _is_refused(read, data: bytes) -> bool:
    try:
        read(data, "a")
    except StoreError as error:
        return len(str(error).splitlines()) == 1
    return False


every_file = pytest.mark.parametrize("data", FILES.values(), ids=FILES)


@every_file
def test_the_whole_file_is_read(data):
    tensors = read_state(data, "a").tensors
    weight = tensors["weights"] if list(tensors) == ["weights"] else tensors["fc.weight"]
    assert weight.tolist() == [[0, 1, 2], [3, 4, 5]]


@every_file
def test_a_file_that_is_cut_at_any_byte_is_refused(data):
    for end in range(len(data)):
        for read in (read_state, read_shapes):
            with pytest.raises(StoreError) as caught:
                read(data[:end], "a")
            assert len(str(caught.value).splitlines()) == 1


@every_file
def test_a_file_with_any_byte_changed_is_read_or_refused(data):
    rng = np.random.default_rng(0)
    refused = 0
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << int(rng.integers(8))
        for read in (read_state, read_shapes):
            refused += _is_refused(read, bytes(damaged))
    assert refused > 20


@pytest.mark.parametrize("kind", ["torch", "torch, packed", "npz", "npz, packed"])
def test_a_changed_value_is_noticed_where_there_are_checksums(kind):
    data = FILES[kind]
    before = {name: values.tolist() for name, values in read_state(data, "a").tensors.items()}
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]
        try:
            after = read_state(damaged, "a")
        except StoreError:
            continue
        values = [values.tolist() for values in after.tensors.values()]
        assert values == list(before.values())


@every_file
def test_bytes_at_random_are_read_or_refused(data):
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(2_000):
        damaged = np.frombuffer(data, np.uint8).copy()
        at = rng.integers(len(data), size=rng.integers(1, 9))
        damaged[at] = rng.integers(256, size=len(at))
        refused += _is_refused(read_state, damaged.tobytes())
    assert refused > 500


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated: the file is empty"),
        (b"P", "not a checkpoint: neither of torch, safetensors nor NumPy"),
        (b"PK\x03\x04", "truncated: the zip archive has no end"),
        (b"PK\x05\x06" + b"\0" * 18, "not a checkpoint: a zip archive without data.pkl or arrays"),
        (b"hello, world", "not a checkpoint: neither of torch, safetensors nor NumPy"),
        (b"\x80\x02}.", "not a checkpoint: a bare pickle; save it with torch.save"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02K\x07.", "not a checkpoint: a version of torch's format"),
        (b"version https://git-lfs.github.com/spec/v1\n", "not a checkpoint: a pointer of Git LFS"),
    ],
)
def test_what_is_no_checkpoint_is_said_to_be_none(data, message):
    with pytest.raises(StoreError) as caught:
        read_state(data, "a")
    assert str(caught.value).startswith(message)
