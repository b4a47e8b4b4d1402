import gzip
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from zoo_pipeline.data.idx import read_idx
from zoo_pipeline.errors import DataError


def idx(values: np.ndarray) -> bytes:
    return bytes((0, 0, 8, values.ndim)) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()


@given(values=arrays(np.uint8, st.tuples(*[st.integers(0, 5)] * 3)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_what_is_written_is_read(tmp_path, suffix, values):
    path = tmp_path / f"images{suffix}"
    path.write_bytes(gzip.compress(idx(values), mtime=0) if suffix else idx(values))
    assert np.array_equal(read_idx(path, 3), values)


LABELS = idx(np.arange(10, dtype=np.uint8))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty", b"", "starts with nothing"),
        ("short", LABELS[:6], "starts with 00000801"),
        ("truncated", LABELS[:-1], "declares 10 bytes of values, holds only 9"),
        ("long", LABELS + b"x", "declares 10 bytes of values, holds more"),
        ("floats", bytes((0, 0, 13, 1)) + LABELS[4:], "starts with 00000d01"),
        ("images", idx(np.zeros((2, 2, 2), np.uint8)), "starts with 00000803"),
        ("huge", bytes((0, 0, 8, 1)) + b"\xff\xff\xff\xff", "declares 4294967295 values"),
        ("plain.gz", LABELS, "cannot be read"),
        ("cut.gz", gzip.compress(LABELS, mtime=0)[:-9], "cannot be read"),
        ("flipped.gz", gzip.compress(LABELS, mtime=0)[:-6] + b"\0\0" + gzip.compress(LABELS)[-4:], "cannot be read"),
    ],
)
def test_damaged_files_are_refused_with_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path, 1)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
