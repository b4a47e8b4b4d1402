"""What is left of a run: its contents, and the files that it should not have."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from zoo_pipeline.store.integrity import verify
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.shards import contents_sha256


@dataclass(frozen=True)
class Left:
    """What is left of a run.

    Attributes:
        contents: hash of every table's values, by the name of its file.
        files: all files but temporary ones.
        temporaries: files whose names begin with a dot.
        complete: whether `zoo verify` finds it whole.
    """

    contents: dict[str, str]
    files: frozenset[str]
    temporaries: frozenset[str]
    complete: bool


def left_of(root: Path) -> Left:
    """Read all of a run."""
    names = {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}
    files = {name for name, path in names.items() if not path.name.startswith(".")}
    tables = [name for name in sorted(files) if name.endswith(".parquet")]
    found = verify(RunDirectory(str(root)))
    return Left(
        contents={name: contents_sha256(pq.read_table(root / name)) for name in tables},
        files=frozenset(files),
        temporaries=frozenset(names.keys() - files),
        complete=bool(found["complete"]) and not found["foreign"],
    )
