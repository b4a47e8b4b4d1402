import subprocess
import sys

import numpy as np
import safetensors
import safetensors.torch
import torch

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.exporting.rows import Layouts, layouts_of, row_groups
from zoo_pipeline.exporting.selection import ChosenRows
from zoo_pipeline.exporting.states import encode_safetensors, encode_torch, state_of, states_of
from zoo_pipeline.models import Layout, build
from zoo_pipeline.runtime.exporting import contents_of
from zoo_pipeline.zoo import Zoo

SMALL = Layouts(Layout.of({"fc1.weight": (2, 3), "fc1.bias": (2,)}))


def test_a_state_dict_has_the_names_order_and_values_of_the_networks_own():
    architecture = Architecture("resnet-18", (1, 8, 8), 10)
    module = build(architecture, "relu")
    layouts = Layouts(Layout.of(architecture.tensors), Layout.of(architecture.buffers))
    expected = module.state_dict()
    for name, tensor in expected.items():
        if name.endswith("num_batches_tracked"):
            tensor.fill_(77)
    vectors = [
        layout.flatten(expected, torch.empty(layout.dimension)).numpy() for layout in (layouts.weights, layouts.buffers)
    ]
    state = state_of(layouts, *vectors, step=77)
    assert list(state) == list(expected)
    assert {name: tensor.dtype for name, tensor in state.items()} == {k: v.dtype for k, v in expected.items()}
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    build(architecture, "relu").load_state_dict(state)


def test_tensors_do_not_carry_the_whole_vector_into_the_file():
    state = state_of(SMALL, np.arange(8, dtype=np.float32))
    assert [tensor.untyped_storage().nbytes() for tensor in state.values()] == [24, 8]
    wide = Layouts(Layout.of({"a": (100_000,), "b": (100_000,)}))
    assert len(encode_torch(state_of(wide, np.ones(200_000, dtype=np.float32)))) < 4 * 200_000 + 5_000


def test_values_come_back_to_the_bit_even_where_they_are_no_numbers(tmp_path):
    bits = np.array([0x7FC00001, 0xFF800000, 0x80000000, 0x00000001, 0x3F800001, 1, 2, 3], dtype=np.uint32)
    state = state_of(SMALL, bits.view(np.float32))
    (tmp_path / "a.pt").write_bytes(encode_torch(state))
    (tmp_path / "a.safetensors").write_bytes(encode_safetensors(state, {"epoch": "1"}))
    for found in (
        torch.load(tmp_path / "a.pt", weights_only=True),
        safetensors.torch.load_file(tmp_path / "a.safetensors"),
    ):
        flat = np.concatenate([found[name].numpy().reshape(-1) for name in ("fc1.weight", "fc1.bias")])
        assert flat.view(np.uint32).tolist() == bits.tolist()
    assert list(torch.load(tmp_path / "a.pt", weights_only=True)) == ["fc1.weight", "fc1.bias"]


def test_safetensors_say_what_they_are(tmp_path):
    about = {"name": 'größe "x"', "spec_hash": "abc", "model_id": "7", "epoch": "25"}
    (tmp_path / "a.safetensors").write_bytes(encode_safetensors(state_of(SMALL, np.ones(8, dtype=np.float32)), about))
    with safetensors.safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {**about, "tensors": '["fc1.weight", "fc1.bias"]'}


def test_the_same_checkpoint_gives_the_same_bytes_in_every_process():
    program = (
        "import hashlib, numpy as np\n"
        "from zoo_pipeline.exporting.rows import Layouts\n"
        "from zoo_pipeline.exporting.states import encode_safetensors, encode_torch, state_of\n"
        "from zoo_pipeline.models import Layout\n"
        "state = state_of(Layouts(Layout.of({'w': (2,), 'b': (3,)})), np.arange(5, dtype=np.float32))\n"
        "data = encode_safetensors(state, {name: name for name in 'abcdefgh'})\n"
        "print(hashlib.sha256(data).hexdigest(), hashlib.sha256(encode_torch(state)).hexdigest())\n"
    )
    told = {subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout for _ in range(3)}
    assert len(told) == 1
    assert len(told.pop()) == 130


def test_buffers_go_with_the_rows_that_are_theirs_across_row_groups(buffered_run):
    zoo = Zoo(str(buffered_run))
    rows = [np.array([0, 2, 4, 5, 7]), np.array([6]), np.arange(8)]
    for shard, wanted in zip(contents_of(zoo), rows, strict=True):
        part = ChosenRows(shard, wanted, np.zeros(len(wanted), dtype=bool))
        layouts = layouts_of(zoo.files, part)
        tables = list(row_groups(zoo.files, part))
        assert [len(table) for table in tables] == [n for n in ((wanted < 5).sum(), (wanted >= 5).sum()) if n]
        found = [each for table in tables for each in states_of(layouts, table)]
        keys = list(zip(shard.model_id[wanted].tolist(), shard.epoch[wanted].tolist(), strict=True))
        assert [(model, epoch) for model, epoch, *_ in found] == keys
        for model, epoch, _, state in found:
            assert list(state)[:5] == [
                "fc1.weight", "fc1.bias", "fc1.running_mean", "fc1.running_var", "fc1.num_batches_tracked",
            ]  # fmt: skip
            assert state["fc1.running_var"].tolist() == [10.0 * model + epoch] * 3
            step = zoo.checkpoints([model], [epoch])["step"][0].as_py()
            assert (state["fc1.num_batches_tracked"].item(), step) == (step, 23 * epoch)
            assert np.array_equal(state["fc2.bias"].numpy(), zoo.weights([model], [epoch])[0, -10:])
