"""A bucket that is gone for a while in the middle of a run, and large files that go up while requests fail."""

import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from benchmarks.chaos.proxy import FaultyProxy, serving
from benchmarks.chaos.servers import s3_server
from benchmarks.chaos.storage import BUCKET, RATE, RUN, call, contents, options, use_options
from zoo_pipeline.store import patience
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.options import StorageOptions, use_storage_options

GONE_AFTER = 40  # requests: while groups are published
LARGE_BYTES = 120 << 20  # about half of the largest shard, and more than s3fs would send in one piece by itself
LARGE_TIMEOUT_S = 8.0
_SEEN_EVERY_S = 0.01


def measure_outage(server: str, seconds: float) -> dict[str, Any]:
    """One run whose bucket is gone for so long; returns the figures of the JSON line."""
    try:
        with tempfile.TemporaryDirectory() as folder, s3_server(server) as upstream:
            local = str(Path(folder) / "run")
            code, _, told = call([*RUN, "--out", local])
            assert code == 0, told
            use_options(upstream)
            Files(f"s3://{BUCKET}").filesystem.mkdir(BUCKET)
            proxy, out = FaultyProxy(upstream), f"s3://{BUCKET}/run"
            with serving(proxy):
                gone = threading.Thread(target=_go, args=(proxy, seconds))
                gone.start()
                started = time.monotonic()
                code, groups, told = call([*RUN, "--out", out, *options(proxy.endpoint)])
                took_s = time.monotonic() - started
                gone.join()
            use_options(upstream)
            found, expected = contents(Files(out)), contents(Files(local))
    finally:
        use_storage_options(StorageOptions({}))
    return {
        "server": server,
        "gone_s": seconds,
        "took_s": round(took_s, 1),
        "runs": 1,
        "equal": int(found == expected),
        "stray_files": len(found.keys() ^ expected.keys()),
        "retrained_groups": max(0, groups - len([name for name in expected if name.startswith("checkpoints/")])),
        "unexplained": [told] if code else [],
    }


def measure_large_files(server: str, files: int, seed: int) -> dict[str, Any]:
    """Two writers race for each of so many large files while requests are disturbed; returns the JSON line's figures.

    A file is right if exactly one writer was told that it is its own, and its content is that writer's.
    """
    before, patience.FIRST_WAIT_S = patience.FIRST_WAIT_S, 0.02
    right, faults = 0, []
    try:
        with s3_server(server) as upstream:
            use_options(upstream)
            Files(f"s3://{BUCKET}").filesystem.mkdir(BUCKET)
            proxy = FaultyProxy(upstream, seed, RATE)
            proxy.left = 1_000_000
            with serving(proxy):
                for number in range(files):
                    use_options(proxy.endpoint, read_timeout_s=LARGE_TIMEOUT_S)
                    won, contents_of = _race(f"file-{number}")
                    use_options(upstream)
                    stored = Files(f"s3://{BUCKET}").read(f"file-{number}")
                    winners = [writer for writer, mine in won.items() if mine]
                    if len(winners) == 1 and stored == contents_of[winners[0]]:
                        right += 1
                    else:
                        faults.append(f"file {number}: won {won}, {len(stored)} bytes")
            unfinished = Files(f"s3://{BUCKET}").filesystem.call_s3("list_multipart_uploads", Bucket=BUCKET)
    finally:
        patience.FIRST_WAIT_S = before
        use_storage_options(StorageOptions({}))
    return {
        "server": server,
        "files": files,
        "bytes_each": LARGE_BYTES,
        "right": right,
        "unfinished_uploads": len(unfinished.get("Uploads", [])),
        "unexplained": faults,
        "errors_injected": dict(sorted(proxy.injected.items())),
        "errors": proxy.injected.total(),
    }


def _go(proxy: FaultyProxy, seconds: float) -> None:
    while len(proxy.requests) < GONE_AFTER:
        time.sleep(_SEEN_EVERY_S)
    proxy.gone = True
    time.sleep(seconds)
    proxy.gone = False


def _race(name: str) -> tuple[dict[int, bool], dict[int, bytes]]:
    """Two writers publish other contents under one name; who was told to have won, and what each wrote."""
    contents_of = {writer: os.urandom(1 << 20) * (LARGE_BYTES >> 20) for writer in range(2)}
    won: dict[int, bool] = {}

    def write(writer: int) -> None:
        won[writer] = Files(f"s3://{BUCKET}").publish(name, contents_of[writer])

    writers = [threading.Thread(target=write, args=(writer,)) for writer in contents_of]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    return won, contents_of
