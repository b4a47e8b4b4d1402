import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import noise, png, write_hub_parquet

from zoo_pipeline.data.parquet import read_parquet
from zoo_pipeline.errors import DataError

GREY = noise(10, 4, 4)
COLOUR = noise(10, 4, 5, 3)
LABELS = [0, 1] * 5
SPLIT = ["train"] * 7 + ["test"] * 3


def written(path, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=4)
    return path


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.struct([("bytes", pa.binary())])])
def test_encoded_images_are_read_bare_or_as_the_hub_has_them(tmp_path, kind):
    contents = [png(one) for one in COLOUR]
    images = pa.array([{"bytes": one} for one in contents] if pa.types.is_struct(kind) else contents, kind)
    train, test = read_parquet(written(tmp_path / "x.parquet", image=images, label=LABELS, split=SPLIT))
    assert np.array_equal(train.images, COLOUR[:7].transpose(0, 3, 1, 2))
    assert np.array_equal(test.images, COLOUR[7:].transpose(0, 3, 1, 2))
    assert train.labels.tolist() == LABELS[:7]
    assert test.labels.tolist() == LABELS[7:]


def lists(values: np.ndarray, *kinds) -> pa.Array:
    """Nested lists of an array; a number as kind is a fixed size, None a list of any length."""
    kind = pa.from_numpy_dtype(values.dtype)
    for size in reversed(kinds):
        kind = pa.list_(kind, size) if size else pa.list_(kind)
    return pa.array(values.tolist(), kind)


@pytest.mark.parametrize(
    ("images", "more", "expected"),
    [
        (lists(GREY.reshape(10, 16), None), {}, GREY[:, None]),
        (lists(GREY.reshape(10, 16), 16), {}, GREY[:, None]),
        (lists(GREY.reshape(10, 16).astype(np.int64), None), {}, GREY[:, None]),
        (lists(GREY, None, None), {}, GREY[:, None]),
        (lists(GREY, 4, 4), {}, GREY[:, None]),
        (lists(COLOUR, None, None, None), {}, COLOUR.transpose(0, 3, 1, 2)),
        (lists(COLOUR.reshape(10, 60), 60), {"shape": [[4, 5, 3]] * 10}, COLOUR.transpose(0, 3, 1, 2)),
        (lists(COLOUR.reshape(10, 60), 60), {"shape": [[3, 4, 5]] * 10}, COLOUR.reshape(10, 3, 4, 5)),
        (lists(GREY.reshape(10, 16), 16), {"shape": [[2, 8]] * 10}, GREY.reshape(10, 1, 2, 8)),
        (lists(GREY.reshape(10, 16) / np.float32(255), 16), {}, GREY[:, None] / np.float32(255)),
    ],
)
def test_images_of_numbers_are_read_in_every_shape(tmp_path, images, more, expected):
    train, test = read_parquet(written(tmp_path / "x.parquet", image=images, label=LABELS, split=SPLIT, **more))
    found = np.concatenate([train.images, test.images])
    assert found.dtype == (np.float32 if expected.dtype == np.float32 else np.uint8)
    assert np.array_equal(found, expected)


def test_a_folder_holds_each_split_in_files_of_its_name(tmp_path):
    write_hub_parquet(tmp_path / "train-00001-of-00002.parquet", GREY[4:7], ["b", "a", "b"])
    write_hub_parquet(tmp_path / "train-00000-of-00002.parquet", GREY[:4], ["a", "b", "a", "b"])
    write_hub_parquet(tmp_path / "test-00000-of-00001.parquet", GREY[7:], ["a", "b", "a"])
    write_hub_parquet(tmp_path / "validation-00000-of-00001.parquet", GREY[:1], ["c"])
    train, test = read_parquet(tmp_path)
    assert np.array_equal(train.images[:, 0], GREY[:7])
    assert np.array_equal(test.images[:, 0], GREY[7:])
    assert train.labels.tolist() == ["a", "b", "a", "b", "b", "a", "b"]


def test_rows_of_other_splits_are_left_out(tmp_path):
    splits = ["train", "validation"] * 4 + ["test"] * 2
    train, test = read_parquet(written(tmp_path / "x.parquet", image=lists(GREY, 4, 4), label=LABELS, split=splits))
    assert np.array_equal(train.images[:, 0], GREY[:8:2])
    assert np.array_equal(test.images[:, 0], GREY[8:])


def test_one_file_without_splits_is_split_by_content(tmp_path):
    train, test = read_parquet(written(tmp_path / "x.parquet", image=lists(GREY, 4, 4), label=list(range(10))))
    assert (len(train.labels), len(test.labels)) == (8, 2)
    assert np.array_equal(test.images[:, 0], GREY[test.labels])


def with_null(column: pa.Array) -> pa.Array:
    return pa.array([*column.to_pylist()[:-1], None], column.type)


HUB_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
ENCODED = pa.array([{"bytes": png(one), "path": None} for one in GREY], HUB_IMAGE)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"img": ENCODED, "label": LABELS}, "has no column image, but img, label; rename one"),
        ({"image": ENCODED, "y": LABELS}, "has no column label, but image, y; rename one"),
        ({"image": with_null(ENCODED), "label": LABELS}, "column image has 1 nulls; embed or remove these images"),
        (
            {"image": pa.array([{"bytes": None, "path": "a.png"}] * 2, HUB_IMAGE), "label": [0, 1]},
            "column image has 2 nulls; embed or remove these images",
        ),
        (
            {"image": pa.array([{"path": "a.png"}] * 2), "label": [0, 1]},
            "column image is struct<path: string>, expected a field bytes; embed the images",
        ),
        ({"image": ENCODED, "label": with_null(pa.array(LABELS))}, "column label has 1 nulls; remove these rows"),
        ({"image": ENCODED, "label": [0.5] * 10}, "column label is double, expected integers or texts; convert it"),
        ({"image": with_null(lists(GREY, 4, 4)), "label": LABELS}, "column image: has 1 nulls; remove these images"),
        (
            {"image": [[1, 2, 3, None]] * 2, "label": [0, 1]},
            "column image: has 2 nulls; remove these images",
        ),
        ({"image": [[1] * 4, [1] * 9], "label": [0, 1]}, "column image: has lists of 4 and of 9 values; expected one"),
        ({"image": [[1] * 12] * 2, "label": [0, 1]}, "images are lists of 12 values, which is no square; add a column"),
        (
            {"image": [[1] * 12] * 2, "label": [0, 1], "shape": [[2, 5]] * 2},
            "column shape holds [(2, 5)], but lists of 12 values; correct it",
        ),
        (
            {"image": [[1] * 12] * 2, "label": [0, 1], "shape": [[3, 4], [2, 6]]},
            "column shape holds [(2, 6), (3, 4)], but lists of 12 values; correct it",
        ),
        ({"image": [1, 2], "label": [0, 1]}, "column image: holds int64, expected encoded images"),
        ({"image": ["a.png", "b.png"], "label": [0, 1]}, "column image: holds string, expected encoded images"),
        ({"image": [["a"], ["b"]], "label": [0, 1]}, "column image: holds lists of string, expected encoded images"),
        ({"image": ENCODED[:0], "label": pa.array([], pa.int64())}, "has no rows; expected images"),
        ({"image": pa.array([png(GREY[0])[:50]] * 2), "label": [0, 1]}, "row 0: cannot be decoded"),
        (
            {"image": ENCODED, "label": LABELS, "split": ["Train"] * 10},
            "column split holds Train; expected train and test; rename them",
        ),
    ],
)
def test_tables_that_are_no_dataset_are_refused_with_one_line(tmp_path, columns, message):
    path = written(tmp_path / "x.parquet", **columns)
    with pytest.raises(DataError) as caught:
        read_parquet(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert len(str(caught.value).splitlines()) == 1


def test_damaged_files_are_refused(tmp_path):
    path = written(tmp_path / "x.parquet", image=lists(GREY, 4, 4), label=LABELS)
    whole = path.read_bytes()
    for content in (b"", b"PAR1", whole[:-20], whole[:200]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"x\.parquet: cannot be read: ") as caught:
            read_parquet(path)
        assert len(str(caught.value).splitlines()) == 1


def test_files_of_a_folder_hold_images_of_one_size(tmp_path):
    for row, length in enumerate((4, 9)):
        written(tmp_path / f"train-{row}.parquet", image=[[1] * length] * 2, label=[0, 1])
    with pytest.raises(DataError, match=r"column image: images have shapes \(4,\) and \(9,\); expected one; resize"):
        read_parquet(tmp_path)


def test_a_folder_without_one_of_the_splits_is_refused(tmp_path):
    write_hub_parquet(tmp_path / "train.parquet", GREY, LABELS)
    with pytest.raises(DataError, match=r"has no test\*\.parquet; put the test split's files there"):
        read_parquet(tmp_path)


def test_more_than_fits_in_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = written(tmp_path / "x.parquet", image=lists(GREY, 4, 4), label=LABELS)
    monkeypatch.setattr("zoo_pipeline.data.parquet.MOST_BYTES", 100)
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_: pytest.fail("the file was read"))
    with pytest.raises(DataError, match="declares more than 100 bytes"):
        read_parquet(path)
