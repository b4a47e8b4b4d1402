"""What tests of S3 share: a bucket behind a proxy, on each of the servers."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from benchmarks.chaos.proxy import FaultyProxy, serving
from benchmarks.chaos.servers import PYTHON_VARIABLE, ministack_python, s3_server
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.options import StorageOptions, use_storage_options

KEY, SECRET = "AKIATESTTESTTEST", "a-secret-that-nobody-may-see"
OPTIONS = [f"key={KEY}", f"secret={SECRET}", 'config_kwargs={"read_timeout": 2}']


@dataclass
class Bucket:
    """A bucket with nothing in it."""

    proxy: FaultyProxy
    root: str
    words: list[str]

    def files(self) -> Files:
        use_storage_options(StorageOptions.parse(self.words))
        return Files(self.root)


@contextmanager
def server(name: str) -> Iterator[str]:
    pytest.importorskip("s3fs")
    if name == "ministack" and ministack_python() is None:
        pytest.skip(f"no ministack: {PYTHON_VARIABLE} names no Python that has it, and there is no .venv-ministack")
    with s3_server(name) as endpoint:
        yield endpoint


@contextmanager
def new_bucket(endpoint: str) -> Iterator[Bucket]:
    import s3fs

    name = f"b{uuid.uuid4().hex[:12]}"
    s3fs.S3FileSystem(endpoint_url=endpoint, key=KEY, secret=SECRET, skip_instance_cache=True).mkdir(name)
    with serving(FaultyProxy(endpoint)) as proxy:
        try:
            yield Bucket(proxy, f"s3://{name}/run", [*OPTIONS, f"endpoint_url={proxy.endpoint}"])
        finally:
            use_storage_options(StorageOptions({}))
