"""Names of files that a run's own files name: never leading out of the folder that they belong to."""

import os
from typing import Any

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.filesystem import Files


def lies_in(folder: str, name: Any) -> bool:
    """Whether a name is that of a file which lies directly in a folder of the run.

    >>> lies_in("checkpoints", "checkpoints/group-00042.parquet"), lies_in("checkpoints", "checkpoints/../spec.json")
    (True, False)
    """
    place, _, file = name.rpartition("/") if isinstance(name, str) else ("", "", "")
    return place == folder and file.strip(".") != "" and file.isprintable() and "\\" not in file


def check_no_way_out(files: Files, name: str) -> None:
    """Refuse a file that is a link out of the run: what it leads to is not the run's, and may be anybody's.

    Raises:
        StoreError: it is one.
    """
    if files.local:
        root, place = os.path.realpath(files.path), os.path.realpath(files.at(name))
        if not place.startswith(f"{root.rstrip('/')}/"):
            raise StoreError(f"{files.at(name)}: links to {place}, outside of the run; put the file itself there")
