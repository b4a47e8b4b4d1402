import json

import pytest
import torch
from checkpoint_files import saved
from safetensors.torch import save

from zoo_pipeline.formats import FileRefused, read_sharded

FILES = {
    "model-1.safetensors": save({"module.b": torch.full((2,), 2.0), "module.n": torch.tensor(1)}),
    "model-2.bin": saved({"module.a": torch.full((1, 3), 1.0), "module.more": torch.ones(1)}),
}
PLACES = {"module.a": "model-2.bin", "module.b": "model-1.safetensors", "module.n": "model-1.safetensors"}


def index(places: object) -> bytes:
    return json.dumps({"metadata": {}, "weight_map": places}).encode()


def test_tensors_come_in_the_order_of_the_index_and_each_file_is_opened_once():
    opened = []

    def open_one(name):
        opened.append(name)
        return FILES[name]

    state = read_sharded(index(PLACES), open_one, "model.safetensors.index.json")
    assert {name: values.tolist() for name, values in state.tensors.items()} == {"a": [[1, 1, 1]], "b": [2, 2]}
    assert list(state.tensors) == ["a", "b"]
    assert state.left_out == {"n": "int64, no floating point", "more": "not in the index, but in model-2.bin"}
    assert opened == ["model-2.bin", "model-1.safetensors"]


@pytest.mark.parametrize("file", ["../a", "/etc/passwd", "a/b", "a\\b", "..", ".hidden", "", 3, None, ["a"]])
def test_an_index_that_leads_elsewhere_is_refused_and_nothing_opened(file):
    with pytest.raises(FileRefused, match="refused: the index leads to"):
        read_sharded(index({"a": file}), pytest.fail, "")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"weight_map": []}', b'{"weight_map": {}}', b"[" * 200_000])
def test_an_index_that_is_none_is_refused(content):
    with pytest.raises(FileRefused, match="not a checkpoint: the index"):
        read_sharded(content, pytest.fail, "")


def test_what_is_wrong_with_a_file_is_said_with_its_name():
    with pytest.raises(FileRefused, match=r"truncated: tensor module\.x is not in model-2\.bin"):
        read_sharded(index({**PLACES, "module.x": "model-2.bin"}), FILES.get, "")
    with pytest.raises(FileRefused, match=r"truncated: the file is empty \(in model-2\.bin\)"):
        read_sharded(index(PLACES), lambda name: b"", "")
