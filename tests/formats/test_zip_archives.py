import io
import struct
import zipfile

import numpy as np
import pytest
import torch
from checkpoint_files import rezipped, saved

from zoo_pipeline.formats import FileRefused, archive, read_shapes, read_state

DATA = saved({"a": torch.arange(6.0), "b": torch.arange(3.0)})


def refused(data: bytes) -> str:
    with pytest.raises(FileRefused) as caught:
        read_state(data, "a.pt")
    return str(caught.value)


def zipped(records: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as to:
        for name, content in records.items():
            to.writestr(name, content)
    return file.getvalue()


def test_archives_of_other_programs_are_read():
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert read_state(rezipped(DATA, method), "a.pt").tensors["a"].tolist() == [0, 1, 2, 3, 4, 5]
    assert refused(rezipped(DATA, zipfile.ZIP_BZIP2)).startswith("zip method: record archive/")


def test_an_archive_with_a_comment_is_read():
    file = io.BytesIO(rezipped(DATA))
    with zipfile.ZipFile(file, "a") as to:
        to.comment = b"PK\x05\x06 is no end here"
    assert read_state(file.getvalue(), "a.pt").tensors["b"].tolist() == [0, 1, 2]


def test_64_bit_sizes_are_read():
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(DATA)) as before, zipfile.ZipFile(file, "w") as after:
        for name in before.namelist():
            with after.open(name, "w", force_zip64=True) as to:
                to.write(before.read(name))
    assert read_shapes(file.getvalue(), "a.pt") == (("a", (6,)), ("b", (3,)))


def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused(monkeypatch):
    zeros = zipped({"a.npy": b"\x93NUMPY" + bytes(4_000_000)}, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(archive, "UNSUSPECTED_BYTES", 1_000_000)
    assert refused(zeros) == f"zip bomb: {len(zeros):,} bytes would become 4,000,006"


def test_a_record_that_unpacks_to_more_than_it_says_is_refused():
    data = zipped({"x/data.pkl": bytes(300_000)}, zipfile.ZIP_DEFLATED)
    assert data.count(size := struct.pack("<I", 300_000)) == 2
    assert refused(data.replace(size, struct.pack("<I", 300))).startswith("zip bomb: record data.pkl unpacks to other")


def test_records_that_overlap_are_refused():
    data = zipped({f"{number}.npy": bytes(1_000) for number in range(3)})
    central = data.index(b"PK\x01\x02")
    entry = data[central : data.index(b"PK\x01\x02", central + 1)]
    many = 9 * entry
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 9, 9, len(many), central, 0)
    assert refused(data[:central] + many + end) == "zip bomb: the records of the archive overlap"


def test_two_records_of_one_name_are_refused():
    data = zipped({"x/data.pkl": b"1", "x/data.pk_": b"2"}).replace(b"data.pk_", b"data.pkl")
    assert refused(data) == "damaged: the zip archive has two records of one name"


def test_archives_of_very_many_records_are_refused(monkeypatch):
    monkeypatch.setattr(archive, "MOST_RECORDS", 7)
    data = zipped({f"{number}.npy": b"" for number in range(8)})
    assert refused(data) == "too large: a zip archive of 8 records, expected at most 7"


def test_an_encrypted_record_is_refused():
    data = bytearray(zipped({"x/data.pkl": b"1"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert refused(bytes(data)) == "zip method: record x/data.pkl is encrypted"


def test_a_missing_storage_is_named():
    assert refused(rezipped(DATA, data_1=b"")) == "truncated: the archive has no record data/1"
    assert refused(rezipped(DATA, data_1=b"\0" * 8)).startswith("truncated: record data/1 is smaller than its 3")


def test_a_known_directory_is_not_taken_for_another():
    """Of two archives of one length, the records lie elsewhere in the second."""
    first = zipped({"a.npy": _npy([1.0, 2.0]), "b.npy": _npy([3.0])})
    second = zipped({"b.npy": _npy([4.0]), "a.npy": _npy([5.0, 6.0])})
    assert len(first) == len(second)
    for _ in range(2):
        assert {n: v.tolist() for n, v in read_state(first, "").tensors.items()} == {"a": [1.0, 2.0], "b": [3.0]}
        assert {n: v.tolist() for n, v in read_state(second, "").tensors.items()} == {"b": [4.0], "a": [5.0, 6.0]}


def test_a_moved_local_header_is_noticed_in_a_known_directory():
    assert read_shapes(DATA, "") == (("a", (6,)), ("b", (3,)))
    data = bytearray(DATA)
    at = DATA.index(b"archive/data/0") - 2  # the length of the extra field before the record
    data[at] = (data[at] + 1) % 256
    assert refused(bytes(data)).startswith(("damaged: ", "truncated: "))


def _npy(values: list[float]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(values, np.float32))
    return file.getvalue()
