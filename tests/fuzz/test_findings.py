"""What fuzzing found, one by one."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.fuzz.datasets import NO_FILES, lying_npz, put
from benchmarks.fuzz.example import rewritten
from benchmarks.fuzz.verdicts import DOCUMENTED, asked, commanded
from zoo_pipeline.data import load_dataset
from zoo_pipeline.data.idx import read_idx
from zoo_pipeline.errors import ConfigError, DataError, StoreError
from zoo_pipeline.recipes import load_configs
from zoo_pipeline.sources import layout_file
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.integrity import verify
from zoo_pipeline.store.plain import plain_rows
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.schema import SHARD_KEY
from zoo_pipeline.zoo import Zoo

SHARD = "checkpoints/group-00001.parquet"


@pytest.fixture
def run(example, tmp_path):
    """A copy that can be damaged."""
    return example.copied(tmp_path / "run")


def changed(run, name, change):
    """Write a JSON file anew, changed."""
    content = json.loads((run / name).read_text())
    change(content)
    (run / name).write_text(json.dumps(content))


def test_what_a_terminal_would_obey_is_written_as_an_escape_sequence():
    assert str(ConfigError("x\x1b[2J\r\ny\u202e")) == r"x\x1b[2J\r\ny\u202e"
    assert str(ConfigError("one\n", "two — ü")) == "one\\n\ntwo — ü"


def test_a_line_that_is_far_too_long_keeps_its_ends():
    told = str(ConfigError(f"first{'x' * 10_000}last"))
    assert (told[:5], told[-4:], len(told) < 2_100) == ("first", "last", True)


@pytest.mark.parametrize("instead", ["fifo", "device", "loop"])
@pytest.mark.parametrize("name", ["x.npz", "x.parquet", "cat/0.png", "x-ubyte", "x-ubyte.gz", "layout.json", "r.yaml"])
def test_what_is_no_file_is_refused_and_never_waited_for(name, instead, tmp_path):
    put(tmp_path / name, b"", instead)
    reads = {"x-ubyte": lambda path: read_idx(path, 1), "x-ubyte.gz": lambda path: read_idx(path, 1)}
    reads |= {"layout.json": layout_file, "r.yaml": lambda path: load_configs(str(path))}
    place = tmp_path if name == "cat/0.png" else tmp_path / name
    assert asked(lambda: reads.get(name, lambda path: load_dataset(str(path)))(place)).verdict == DOCUMENTED


@pytest.mark.parametrize("instead", NO_FILES)
def test_a_shard_that_is_no_file_is_told(instead, run):
    put(run / SHARD, b"", instead)
    found = verify(RunDirectory(str(run)))
    assert found["complete"] is False
    assert SHARD in {*found["missing"], *found["damaged"]}


@pytest.mark.parametrize(("name", "code"), [("spec.json", 2), ("manifest.json", 1), ("models.parquet", 1)])
def test_a_pipe_in_the_place_of_a_file_of_the_run_is_told(name, code, run):
    put(run / name, b"", "fifo")
    assert commanded("verify", str(run)).code == code


def test_links_out_of_the_run_are_not_followed(run, example):
    (run / SHARD).unlink()
    (run / SHARD).symlink_to(example.place / SHARD)
    assert "outside of the run" in verify(RunDirectory(str(run)))["damaged"][SHARD]
    with pytest.raises(StoreError, match=r"group-00001.parquet: links to .*, outside of the run"):
        Zoo(str(run)).weights()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "checkpoints/../x", "checkpoints/..", "x", "", 7])
def test_names_in_a_manifest_cannot_leave_the_run(name, run):
    changed(run, "manifest.json", lambda manifest: manifest["shards"][1].update(shard=name))
    with pytest.raises(StoreError, match=r"manifest.json: lists no shards as docs/format.md says"):
        Zoo(str(run))
    assert "lists no shards as" in verify(RunDirectory(str(run)))["damaged"]["manifest.json"]


@pytest.mark.parametrize("name", ["../x.parquet", "/etc/passwd", "buffers/../../x", "checkpoints/x", "buffers/", None])
def test_names_in_a_footer_cannot_leave_the_run(name, run):
    footer = json.loads(pq.read_metadata(run / SHARD).metadata[SHARD_KEY])
    rewritten(run / SHARD, SHARD_KEY, footer | {"buffers": footer["buffers"] | {"file": name}})
    (run / "manifest.json").unlink()
    assert "expected a file in buffers/" in verify(RunDirectory(str(run)))["damaged"][SHARD]
    with pytest.raises(StoreError, match="expected a file in buffers/"):
        Zoo(str(run)).buffers()


@pytest.mark.parametrize("at", [200, 2_000, -900])
def test_a_flipped_bit_in_the_table_of_models_is_found(at, run):
    damaged = bytearray((run / "models.parquet").read_bytes())
    damaged[at] ^= 1
    (run / "models.parquet").write_bytes(damaged)
    found = verify(RunDirectory(str(run)))
    assert (found["complete"], [*found["damaged"]]) == (False, ["models.parquet"])


@pytest.mark.parametrize("name", [SHARD, "buffers"])
def test_bytes_that_are_missing_at_the_start_never_shift_what_is_read(name, run):
    path = next((run / "buffers").glob("group-00001*")) if name == "buffers" else run / name
    path.write_bytes(path.read_bytes()[2:])
    with pytest.raises(StoreError, match=r"has [\d,]+ bytes, expected|damaged or not Parquet"):
        Zoo(str(run)).buffers() if name == "buffers" else Zoo(str(run)).weights()


@pytest.mark.parametrize(
    "change",
    [
        {"image_shape": [{}, 8, 8]},
        {"image_shape": [1, 8]},
        {"image_shape": None},
        {"classes": 10**15},
        {"classes": 11},
        {"classes": -1},
    ],
)
def test_a_specification_that_describes_no_network_is_told(change, run):
    changed(run, "spec.json", lambda spec: spec.update(change))
    with pytest.raises(StoreError, match=r"use weights\(\) and layout"):
        Zoo(str(run)).load_model(0, 1)


@pytest.mark.parametrize("change", [{"ari": "x"}, {"seconds": [1]}])
def test_a_summary_that_is_not_as_written_is_told(change, run):
    changed(run, "analysis/default/summary.json", lambda summary: summary.update(change))
    done = commanded("report", str(run))
    assert done.code == 2
    assert "is not as docs/format.md says" in done.err


def test_the_report_escapes_what_it_shows(run):
    script = "<script>alert(1)</script>"
    changed(run, "spec.json", lambda spec: spec.update(name=script, versions={script: script}))
    assert commanded("report", str(run)).code == 0
    page = (run / "report.html").read_text()
    assert script not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize("header", ["[" * 2_000, "__import__('os')", "", "{'descr': '|u1', 'shape': (8,"])
def test_a_header_that_is_no_literal_is_told(header, tmp_path):
    (tmp_path / "x.npz").write_bytes(lying_npz(header))
    with pytest.raises(DataError, match=r"x.npz: cannot be read as .npz"):
        load_dataset(str(tmp_path / "x.npz"))


@pytest.mark.parametrize(
    "described",
    [
        "'<U99999999', 'fortran_order': False, 'shape': (8, 5)",
        "'|u1', 'fortran_order': False, 'shape': (-8, 5)",
    ],
)
def test_an_array_that_declares_more_than_it_has_is_refused_before_it_is_allocated(described, tmp_path):
    (tmp_path / "x.npz").write_bytes(lying_npz(f"{{'descr': {described}, }}"))
    with pytest.raises(DataError, match=r"train_images declares shape .*, but has 65,\d+ bytes"):
        load_dataset(str(tmp_path / "x.npz"))


@pytest.mark.parametrize("shape", [[-5, -5], [2**62, 4], [0, 0]])
def test_shapes_of_images_that_cannot_be_are_refused(shape, tmp_path):
    rows = {"image": [np.arange(25).tolist()] * 4, "label": [0, 1] * 2, "shape": [shape] * 4}
    pq.write_table(pa.table(rows), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="column shape holds"):
        load_dataset(str(tmp_path / "x.parquet"))


def test_an_image_that_is_a_link_to_itself_is_told(tmp_path):
    put(tmp_path / "cat/0.png", b"", "loop")
    with pytest.raises(DataError, match=r"0\.png: cannot be decoded: .*Too many levels of symbolic links"):
        load_dataset(str(tmp_path))


def test_the_home_of_nobody_is_told():
    with pytest.raises(DataError, match="write the whole path"):
        load_dataset("~nobody-of-that-name/x.npz")


@pytest.mark.parametrize("number", [hex(16**5_000), "1" * 5_000, "1" * 2_000])
def test_a_number_of_thousands_of_digits_is_told(number, tmp_path):
    (tmp_path / "r.yaml").write_text(f"name: {number}")
    with pytest.raises(ConfigError, match=r"r.yaml: not readable as YAML"):
        load_configs(str(tmp_path / "r.yaml"))


def test_an_empty_idx_file_of_enormous_images_is_told(tmp_path):
    (tmp_path / "x-ubyte").write_bytes(bytes([0, 0, 8, 3, 0, 0, 0, 0]) + b"\xff" * 8)
    with pytest.raises(DataError, match=r"declares 18446744065119617025 values, more than"):
        read_idx(tmp_path / "x-ubyte", 3)


def test_thousands_of_keys_are_read_at_once_and_repeated_ones_are_named(tmp_path):
    (tmp_path / "r.yaml").write_text("{" + ",".join(f"k{number}: 1" for number in range(8_000)) + ", k7: 2}")
    with pytest.raises(ConfigError, match=r"repeats the key k7"):
        load_configs(str(tmp_path / "r.yaml"))
    (tmp_path / "r.yaml").write_bytes(b"#" * (1 << 17) + b"#")
    with pytest.raises(ConfigError, match=r"larger than 131072 bytes"):
        load_configs(str(tmp_path / "r.yaml"))


def test_a_file_of_the_run_in_the_place_of_another_is_never_read_as_that(run):
    first = run / "checkpoints/group-00000.parquet"
    assert first.stat().st_size != (run / SHARD).stat().st_size
    (run / SHARD).write_bytes(first.read_bytes())
    (run / "models.parquet").write_bytes(first.read_bytes())
    zoo = Zoo(str(run))
    for read in (zoo.weights, zoo.buffers, lambda: zoo.diverged, lambda: zoo.models, lambda: zoo.bag().weights):
        with pytest.raises(StoreError, match=r"parquet: has [\d,]+ bytes, expected [\d,]+;"):
            read()


def test_a_name_of_a_column_that_is_no_text_is_told(run, tmp_path):
    place = run / "analysis/default/geometry.parquet"
    place.write_bytes(place.read_bytes().replace(b"step_length", b"st\xec_length"))
    pq.write_table(pa.table({"image": [[0.0] * 4] * 4, "label": [0, 1] * 2}), tmp_path / "x.parquet")
    (tmp_path / "x.parquet").write_bytes((tmp_path / "x.parquet").read_bytes().replace(b"label", b"l\xecbel"))
    with pytest.raises(StoreError, match=r"geometry.parquet: damaged or not Parquet"):
        plain_rows(Files(str(run)), "analysis/default/geometry.parquet")
    with pytest.raises(DataError, match=r"x.parquet: cannot be read"):
        load_dataset(str(tmp_path / "x.parquet"))


@pytest.mark.parametrize("name", ["assignments", "trajectories"])
def test_a_number_of_a_trajectory_that_cannot_be_is_told_and_takes_no_memory(name, run):
    place = run / f"analysis/default/{name}.parquet"
    table = pq.read_table(place)
    column = table.schema.get_field_index("trajectory")
    numbers = pa.array([2**31 - 1] * len(table), table.schema.field(column).type)
    pq.write_table(table.set_column(column, table.schema.field(column), numbers), place)
    done = commanded("report", str(run))
    assert done.code == 2
    assert f"{name} has a trajectory 2147483647, but there are only 16 checkpoints" in done.err


@pytest.mark.parametrize("at", [60, 2_000, -900])
def test_a_table_of_models_that_is_not_the_manifests_is_not_read(at, run):
    damaged = bytearray((run / "models.parquet").read_bytes())
    damaged[at] ^= 1
    (run / "models.parquet").write_bytes(damaged)
    with pytest.raises(StoreError, match=r"models.parquet.*damaged"):
        _ = Zoo(str(run)).models
