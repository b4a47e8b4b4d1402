"""A file's seal is of all its bytes: no change of one of them is missed, and files of others need none."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.store import seal
from zoo_pipeline.store.schema import encode_table
from zoo_pipeline.store.seal import hashed, is_intact, sealed

TABLE = pa.table({"model_id": pa.array(range(7), pa.int32()), "name": [f"crc32 {number}" for number in range(7)]})


def test_every_flipped_bit_breaks_the_seal():
    data, unreadable = bytearray(encode_table(TABLE)), []
    assert is_intact(bytes(data))
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        if is_intact(bytes(data)):  # the footer's length has changed, and what is there is none
            with pytest.raises((pa.ArrowInvalid, OSError)):
                pq.ParquetFile(io.BytesIO(data))
            unreadable.append(len(data) - bit // 8)
        data[bit // 8] ^= 1 << bit % 8
    assert {*unreadable} <= {5, 6, 7, 8}


def test_missing_and_added_bytes_break_the_seal():
    data = encode_table(TABLE)
    for length in range(0, len(data), 7):
        assert not is_intact(data[:length])
    assert not is_intact(b"x" + data)
    assert not is_intact(data[:100] + b"x" + data[100:])
    assert not is_intact(b"")


def test_nobody_takes_a_seal_over():
    data = encode_table(TABLE)
    with pq.ParquetFile(io.BytesIO(data)) as file:
        again = file.read()
    assert again.equals(TABLE)
    assert again.schema.metadata is None
    assert encode_table(again) == data
    other = io.BytesIO()
    pq.write_table(again.slice(1), other)  # as somebody might who knows nothing of seals
    assert b"zoo.seal" not in other.getvalue()
    assert is_intact(other.getvalue())


def test_texts_like_a_seal_are_none():
    text = "zoo.seal"
    table = pa.table({"file": [text] * 3, text: [text] * 3}).replace_schema_metadata({text: text})
    data = encode_table(table)
    assert is_intact(data)
    changed = bytearray(data)
    changed[len(data) // 3] ^= 1
    assert not is_intact(bytes(changed))
    others = io.BytesIO()
    pq.write_table(table, others)
    assert is_intact(others.getvalue())
    assert is_intact(sealed(others))
    assert is_intact(others.getvalue()), "in place"


def test_a_file_is_hashed_in_parts_wherever_they_end(monkeypatch):
    data = encode_table(TABLE)
    whole = hashed(io.BytesIO(data))
    assert whole[1]
    place = data.rindex(seal.MARK)
    for size in (1, 3, place, place + 1, place + 8, place + 11, place + 12, len(data)):
        monkeypatch.setattr(seal, "_READ_AT_ONCE", size)
        assert hashed(io.BytesIO(data)) == whole
