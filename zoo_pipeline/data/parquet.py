"""Images and labels in Parquet: encoded images, as the Hugging Face hub stores them, or plain numbers."""

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.data.encoded import EncodedImage, common_shape, decoded
from zoo_pipeline.data.regular import check_regular
from zoo_pipeline.data.rows import MOST_BYTES, Rows, check_size, pixels
from zoo_pipeline.errors import DataError

# pyarrow has no types of its own: tables and columns are Any here.


def read_parquet(path: Path) -> tuple[Rows, Rows]:
    """Read the columns image and label of one file, or of a folder's train*.parquet and test*.parquet.

    An optional column split says which rows are for "train" and "test"; others are left out. One file without it is
    split by `Rows.split`.

    Returns:
        The rows for training and for testing.

    Raises:
        DataError: a file that is missing, damaged, too large or without these columns, nulls, or no images.
    """
    if path.is_dir():
        train, test = (table_rows(path, read_table(path, part_files(path, part))) for part in ("train", "test"))
        return train, test
    table = read_table(path, [path])
    rows = table_rows(path, table)
    if "split" not in table.column_names:
        return rows.split()
    splits = np.array(_labels(path, "split", table["split"]))
    if not {"train", "test"} <= set(splits.tolist()):
        found = ", ".join(map(str, np.unique(splits)[:5]))
        raise DataError(f"{path}: column split holds {found}; expected train and test; rename them")
    return rows[splits == "train"], rows[splits == "test"]


def part_files(folder: Path, part: str) -> list[Path]:
    """The Parquet files of one split, by name.

    Raises:
        DataError: there is none.
    """
    files = sorted(folder.glob(f"{part}*.parquet"))
    if not files:
        raise DataError(f"{folder}: has no {part}*.parquet; put the {part} split's files there")
    return files


def read_table(where: Path, files: Sequence[Path]) -> Any:
    """Read Parquet files as one table.

    Raises:
        DataError: a file that is damaged, too large, or of other columns than the first.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    size = 0
    try:
        for file in files:
            check_regular(file)
            with pq.ParquetFile(file) as opened:
                groups = (opened.metadata.row_group(number) for number in range(opened.num_row_groups))
                size += sum(group.total_byte_size for group in groups)
                if size > MOST_BYTES:
                    raise DataError(f"{where}: declares more than {MOST_BYTES:,} bytes; use fewer or smaller images")
                tables.append(opened.read(use_threads=False))
        return pa.concat_tables(tables)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:  # the second: of names of columns
        raise DataError(f"{where}: cannot be read: {' '.join(str(error).split())}; write the files anew") from error


def table_rows(
    where: Path,
    table: Any,
    image_column: str = "image",
    label_column: str = "label",
    shape: tuple[int, int, int] | None = None,
) -> Rows:
    """Images and labels of a table.

    Args:
        where: the file or folder, for errors.
        table: an Arrow table. Its images are encoded (binary, or struct with a field bytes) or numbers (nested lists;
            flat lists with a column shape, or whose length is a square).
        image_column: name of the images' column.
        label_column: name of the labels' column.
        shape: channels, height and width that encoded images shall have; None takes them from the images.

    Raises:
        DataError: a column missing, nulls, no rows, or images that cannot be read or differ in size.
    """
    import pyarrow as pa

    for name in (image_column, label_column):
        if name not in table.column_names:
            raise DataError(f"{where}: has no column {name}, but {', '.join(table.column_names) or 'none'}; rename one")
    if not len(table):
        raise DataError(f"{where}: has no rows; expected images")
    column, labels = table[image_column], np.array(_labels(where, label_column, table[label_column]))
    if pa.types.is_struct(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        encoded = list(_encoded(where, image_column, column))
        return Rows(decoded(encoded, shape or common_shape(encoded)), labels)
    values = _numbers(f"{where}: column {image_column}", column)
    if values.ndim == 2:
        values = values.reshape(len(values), *_flat_shape(where, table, values.shape[1]))
    return Rows(pixels(f"{where}: column {image_column}", values), labels)


def _labels(where: Path, name: str, column: Any) -> list[Any]:
    """A column's integers or texts."""
    import pyarrow as pa

    if column.null_count:
        raise DataError(f"{where}: column {name} has {column.null_count} nulls; remove these rows")
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise DataError(f"{where}: column {name} is {column.type}, expected integers or texts; convert it")
    values: list[Any] = column.to_pylist()
    return values


def _encoded(where: Path, name: str, column: Any) -> Iterator[EncodedImage]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_struct(column.type):
        if "bytes" not in {field.name for field in column.type}:
            raise DataError(f"{where}: column {name} is {column.type}, expected a field bytes; embed the images")
        column = pc.struct_field(column, "bytes")
    if column.null_count:
        raise DataError(f"{where}: column {name} has {column.null_count} nulls; embed or remove these images")
    for row, value in enumerate(column):
        yield EncodedImage(f"{where}: row {row}", value.as_py)


def _numbers(where: str, column: Any) -> NDArray[Any]:
    """Nested lists of equal lengths as one array."""
    arrays = [_array(where, chunk) for chunk in column.chunks if len(chunk)]
    shapes = sorted({array.shape[1:] for array in arrays})
    if len(shapes) > 1:
        raise DataError(f"{where}: images have shapes {shapes[0]} and {shapes[1]}; expected one; resize them")
    return np.concatenate(arrays)


def _array(where: str, array: Any) -> NDArray[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    shape = [len(array)]
    while True:
        if array.null_count:
            raise DataError(f"{where}: has {array.null_count} nulls; remove these images")
        kind = array.type
        if not (pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
            break
        lengths = pc.unique(pc.list_value_length(array)).to_pylist()
        if len(lengths) > 1:
            raise DataError(f"{where}: has lists of {lengths[0]} and of {lengths[1]} values; expected one; resize them")
        shape.append(lengths[0])
        array = array.flatten()
    if len(shape) == 1 or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise DataError(
            f"{where}: holds {'lists of ' if len(shape) > 1 else ''}{kind}, expected encoded images (binary, or struct "
            f"with a field bytes) or lists of numbers; convert it"
        )
    check_size(where, shape)
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False).reshape(shape)
    return values


def _flat_shape(where: Path, table: Any, length: int) -> tuple[int, ...]:
    """The shape of images stored as flat lists."""
    if "shape" in table.column_names:
        shapes = sorted(set(map(tuple, _numbers(f"{where}: column shape", table["shape"]).tolist())))
        if len(shapes) > 1 or min(shapes[0]) < 1 or prod(shapes[0]) != length:
            raise DataError(f"{where}: column shape holds {shapes[:2]}, but lists of {length} values; correct it")
        return shapes[0]
    side = round(length**0.5)
    if side * side != length:
        raise DataError(
            f"{where}: images are lists of {length} values, which is no square; add a column shape, such as [28, 28]"
        )
    return side, side
