"""Remote stores through fsspec: opened without retries and caches of their own, and written by conditional puts."""

import re
from typing import Any

import fsspec
from fsspec.registry import known_implementations

from zoo_pipeline.addresses import holds_secret
from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.faults import is_absent, is_taken, is_unknown, reason
from zoo_pipeline.store.options import storage_options

_PATTERN = re.compile(r"[*?\[]")
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "az": "adlfs",
}
# S3 takes up to 5 GiB in one request, which happens or does not. s3fs would send files from 100 MiB on in parts: then
# an answer that gets lost is told as an upload that does not exist, and a writer that is killed leaves parts behind.
_PART_BYTES = 5 << 29  # from twice as much on


def open_remote(root: str) -> tuple[Any, str]:
    """The filesystem of an address, and the path in it.

    Raises:
        StoreError: it is not one place, holds a secret, or its driver is missing or refuses it.
    """
    protocol = root.partition("://")[0]
    if holds_secret(re.sub(r"\s", "_", root)):  # a password may have spaces
        raise StoreError(
            f"{protocol}://…: holds a password or a signature, which would be shown wherever the place is named; give "
            f"it by the environment, a profile or --storage-option"
        )
    if "::" in root or _PATTERN.search(root):
        raise StoreError(f"{root}: chained addresses (::) and patterns (*, ?, [) are not places to read or write")
    options = {"use_listings_cache": False, **storage_options().values}
    if protocol in ("s3", "s3a"):  # botocore's own retries would multiply with ours
        config = options.get("config_kwargs")
        options["config_kwargs"] = {"retries": {"max_attempts": 0}, **(config if isinstance(config, dict) else {})}
    if protocol in ("file", "local"):
        options = {}
    try:
        filesystem, path = fsspec.core.url_to_fs(root, **options)
    except ImportError as error:
        package = _PACKAGES.get(protocol)
        what = (
            f"pip install {package}" if package else known_implementations.get(protocol, {}).get("err", reason(error))
        )
        raise StoreError(f"{root}: the driver of {protocol}:// is not installed; {what}") from None
    except Exception as error:  # whatever a driver's constructor raises
        raise StoreError(
            f"{root}: cannot be opened: {reason(error)}; check it, or install its fsspec driver"
        ) from error
    if hasattr(filesystem, "retries"):  # s3fs and gcsfs
        filesystem.retries = 1
    return filesystem, str(path).rstrip("/")


def create(filesystem: Any, path: str, data: bytes) -> bool:
    """Create a file whole. False: the name was taken, and its content is another and stays.

    Where the answer to a successful put gets lost, libraries below ask again by themselves (aiohttp does), and find the
    name taken by their own file. So a file of the same content counts as made by this call: it is that, or as good.

    Raises:
        Exception: whatever the driver raises.
    """
    try:
        _put(filesystem, path, data)
    except Exception as error:
        if not is_taken(error):
            raise
        return bool(filesystem.cat_file(path) == data)
    return True


def replace(filesystem: Any, path: str, data: bytes) -> None:
    """Write a file whole, in place of an older one.

    Raises:
        Exception: whatever the driver raises.
    """
    filesystem.pipe_file(path, data, **_in_one_request(filesystem))


def _put(filesystem: Any, path: str, data: bytes) -> None:
    try:
        filesystem.pipe_file(path, data, mode="create", **_in_one_request(filesystem))
    except Exception as error:
        if not is_unknown(error):
            raise
        # A server without conditional puts: whole, but of two attempts at the same moment the later stays.
        if filesystem.exists(path):
            raise FileExistsError(path) from None
        replace(filesystem, path, data)


def _in_one_request(filesystem: Any) -> dict[str, int]:
    return {"chunksize": _PART_BYTES} if "s3" in filesystem.protocol else {}


def remove_all(filesystem: Any, path: str) -> None:
    """Remove a file or folder, which an earlier attempt may have removed in part.

    Raises:
        FileNotFoundError: there is nothing.
        OSError: something is left; S3 tells of a failure in a list that s3fs does not read.
    """
    filesystem.rm(path, recursive=True)
    left = filesystem.find(path)
    if left:
        raise OSError(f"{left[0]} is still there")


def kind_of(filesystem: Any, path: str) -> str:
    """What is there: file, directory, or an empty text; fsspec's own `isfile` takes every error for nothing."""
    try:
        return str(filesystem.info(path)["type"])
    except FileNotFoundError as error:
        if not is_absent(error):
            raise
        return ""
