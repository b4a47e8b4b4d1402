import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rows import RangeRows
from zoo_pipeline.store.states import (
    Origin,
    TrainingState,
    keep_latest,
    latest_state,
    publish_state,
    read_state,
    state_names,
)

ORIGIN = Origin(group=42, spec_hash="abc", engine={"threads": 1, "stack": None}, range_first=10, start_state="5" * 64)


def state(epoch=12, origin=ORIGIN, value=0.0) -> TrainingState:
    return TrainingState(origin, epoch, {"fc1.weight": np.full((2, 3), value, np.float32)}, {"steps": np.arange(3)})


@pytest.fixture(params=["local", "memory"])
def files(request, tmp_path) -> Files:
    return Files(str(tmp_path) if request.param == "local" else f"memory://{tmp_path}")


def test_a_state_is_named_by_group_epoch_and_content(files):
    sha256 = publish_state(files, state())
    assert files.names("states") == [f"group-00042-epoch-00012-{sha256[:12]}.state"]
    assert publish_state(files, state()) == sha256, "the same content is the same file"
    assert publish_state(files, state(value=1.0)) != sha256
    assert len(state_names(files, 42)) == 2
    assert state_names(files, 41) == []


kinds = st.sampled_from(["<f4", "<f8", "<i8", "|u1", "|b1"])
shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@given(st.dictionaries(st.text(max_size=8), kinds.flatmap(lambda kind: arrays.arrays(kind, shapes)), max_size=3))
def test_every_bit_comes_back(tmp_path_factory, content):
    files = Files(str(tmp_path_factory.mktemp("states")))
    publish_state(files, TrainingState(ORIGIN, 12, content, {}))
    back = read_state(files, state_names(files, 42)[0])
    assert (back.origin, back.epoch, back.rows) == (ORIGIN, 12, {})
    assert back.arrays.keys() == content.keys()
    for name, array in content.items():
        assert (back.arrays[name].dtype, back.arrays[name].shape) == (array.dtype, array.shape)
        assert back.arrays[name].tobytes() == array.tobytes()


def test_nan_keeps_its_payload(files):
    odd = np.array([0x7FC00001, 0xFF800001, 0x80000000, 0x7F800000], dtype=np.uint32).view(np.float32)
    publish_state(files, TrainingState(ORIGIN, 12, {"odd": odd}, {}))
    back = read_state(files, state_names(files, 42)[0]).arrays["odd"]
    assert math.isnan(back[0])
    assert back.view(np.uint32).tolist() == [0x7FC00001, 0xFF800001, 0x80000000, 0x7F800000]


def test_slices_are_written_as_they_read(files):
    whole = np.arange(60, dtype=np.float32).reshape(3, 5, 4)
    publish_state(files, TrainingState(ORIGIN, 12, {}, {"some": whole[:, :2], "few": whole[::2, 1:3, ::2]}))
    rows = read_state(files, state_names(files, 42)[0]).rows
    assert np.array_equal(rows["some"], whole[:, :2])
    assert np.array_equal(rows["few"], whole[::2, 1:3, ::2])


def test_damage_anywhere_is_noticed(tmp_path):
    files = Files(str(tmp_path))
    publish_state(files, state())
    name = state_names(files, 42)[0]
    path = tmp_path / name.path
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 4]) + good[place + 1 :])
        with pytest.raises(StoreError, match=r"\.state: damaged"):
            read_state(files, name)
    path.write_bytes(good[:-1])
    with pytest.raises(StoreError, match="damaged"):
        read_state(files, name)
    path.write_bytes(good)
    assert read_state(files, name).epoch == 12
    with pytest.raises(StoreError, match="damaged"):
        read_state(files, name, "0" * 64)


@pytest.mark.parametrize(
    ("header", "tail"),
    [
        (b"[]", b""),
        (b"{", b""),
        (b"[" * 100_000, b""),
        (b'{"state": [["a", "|O", [1]]], "rows": []}', b"12345678"),
        (b'{"state": [["a", "<f4", [9]]], "rows": []}', b"1234"),
        (b'{"state": [["a", "<f4", [-1]]], "rows": []}', b"12345678"),
        (b'{"state": [], "rows": []}', b"more"),
        (b'{"state": [], "rows": []}', b""),
    ],
)
def test_what_is_no_state_is_named(tmp_path, header, tail):
    import hashlib

    data = b"zoo state 1\n" + len(header).to_bytes(8, "little") + header + tail
    name = f"states/group-00042-epoch-00012-{hashlib.sha256(data).hexdigest()[:12]}.state"
    files = Files(str(tmp_path))
    files.publish(name, data)
    with pytest.raises(StoreError, match=r"\.state: is no training state"):
        read_state(files, state_names(files, 42)[0])


def test_the_latest_usable_state_of_a_range_is_found_and_useless_ones_are_removed(files):
    for epoch in (9, 11, 12, 15):
        publish_state(files, state(epoch))
    publish_state(files, state(13, Origin(**{**ORIGIN.__dict__, "start_state": "6" * 64})))
    publish_state(files, state(14, Origin(**{**ORIGIN.__dict__, "engine": {"threads": 2, "stack": None}})))
    files.publish("states/group-00042-epoch-00014-000000000000.state", b"half of it")
    damaged = []
    found = latest_state(files, ORIGIN, 15, damaged.append)
    assert found is not None
    assert len(damaged) == 1, "the others are of another origin"
    assert "epoch-00014-000000000000.state: damaged" in damaged[0]
    assert found.epoch == 12
    assert [name.epoch for name in state_names(files, 42)] == [15, 12, 11, 9]  # 15 ends the range, 9 is before it
    assert latest_state(files, Origin(**{**ORIGIN.__dict__, "group": 7}), last=15) is None


def test_a_state_that_cannot_be_read_just_now_is_not_removed(files, monkeypatch):
    publish_state(files, state())

    def unreachable(name):
        raise StoreError(f"{name}: cannot be read: connection reset")

    with monkeypatch.context() as patch:
        patch.setattr(files, "read", unreachable)
        with pytest.raises(StoreError, match="connection reset"):
            latest_state(files, ORIGIN, last=19)
    assert latest_state(files, ORIGIN, last=19) is not None


def test_two_states_of_a_range_are_kept(files):
    for epoch in (9, 10, 11, 12, 13, 15):
        publish_state(files, state(epoch))
    keep_latest(files, ORIGIN, last=15)
    assert [name.epoch for name in state_names(files, 42)] == [15, 13, 12, 9]


def test_other_files_are_no_states(files):
    publish_state(files, state())
    for name in ("notes.txt", "group-00042-epoch-00012-xyz.state", ".group-00042-epoch-00012-000000000000.state.tmp"):
        files.publish(f"states/{name}", json.dumps({}).encode())
    assert len(state_names(files, 42)) == 1


def test_rows_are_filled_epoch_by_epoch_and_taken_over():
    random = np.random.default_rng(0)

    def epoch(rows: RangeRows, step: int) -> None:
        metrics = {name: random.random(2, dtype=np.float32) for name in rows.metrics}
        rows.add(step, random.random((2, 3), dtype=np.float32), metrics, random.random((2, 1), dtype=np.float32))

    rows, taken = (RangeRows(models=2, first=4, epochs=3, dimension=3, buffers=1) for _ in range(2))
    epoch(rows, 40)
    epoch(rows, 50)
    taken.resume(rows.so_far())
    assert taken.filled == 2
    assert all(np.array_equal(values, rows.so_far()[name]) for name, values in taken.so_far().items())
    assert taken.so_far()["steps"].tolist() == [40, 50]
    assert not taken.diverged.any()
    taken.add(60, np.full((2, 3), [[1], [np.inf]], np.float32), {name: np.ones(2, np.float32) for name in rows.metrics})
    assert taken.diverged.tolist() == [False, True]
    late = {**dict.fromkeys(rows.metrics, np.ones(2, np.float32)), "test_loss": np.array([np.nan, 1], np.float32)}
    rows.add(60, np.ones((2, 3), np.float32), late)
    assert rows.diverged.tolist() == [True, False]
