"""Publishing a group range by range, and proving what of it is there.

Several attempts may train one group, and on a GPU they differ. So that no trajectory is spliced from two of them, the
state at the end of a range is published before its shard, and the shard names the state that it starts from and the
one that it ends in: whose shard is there decides from which state everybody goes on.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.errors import StoreError
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.plan import Group
from zoo_pipeline.ranges import EpochRange
from zoo_pipeline.stopwatch import Stopwatch
from zoo_pipeline.store.rows import RangeRows
from zoo_pipeline.store.rundir import BUFFERS, RunDirectory
from zoo_pipeline.store.schema import encode_checkpoints
from zoo_pipeline.store.shards import buffers_table, read_footer, sha256_of, shard_table
from zoo_pipeline.store.states import Origin, state_names

Footer = dict[str, Any]


@dataclass(frozen=True)
class ShardRecord:
    """One line of the manifest."""

    shard: str
    group: int
    range: list[int]
    rows: int
    bytes: int
    sha256: str
    buffers: dict[str, Any] | None


def published(run: RunDirectory, group: Group, spec_hash: str, known: Sequence[Footer] = ()) -> list[Footer]:
    """The footers of a group's shards that are there, from the first range on without a gap.

    Each is proved to be whole, of this run, and to go on from the state that the one before it ends in.

    Args:
        run: the run.
        group: the group.
        spec_hash: of the run.
        known: what an earlier call returned, which is not read again.

    Raises:
        StoreError: a file of a shard's name is there, but it is damaged, another run's, or of another attempt.
    """
    footers = list(known)
    for part in group.ranges[len(footers) :]:
        if not run.files.exists(part.shard):
            break
        footers.append(_proved(run, group, part, spec_hash, footers[-1]["ends_in"] if footers else ""))
    return footers


def publish_range(
    run: RunDirectory,
    group: Group,
    origin: Origin,
    ends_in: str,
    rows: RangeRows,
    architecture: Architecture,
    watch: Stopwatch | None = None,
) -> ShardRecord | None:
    """Publish the shard of a range and, before it, its buffers where the architecture has any.

    Args:
        run: the run.
        group: the group.
        origin: where the range starts.
        ends_in: sha256 of the state at the end of the range, which is there already; empty where training ends.
        rows: all checkpoints of the range.
        architecture: of the models.
        watch: times the stages "encode" and "publish".

    Returns:
        The line of the manifest; None where a file of that name is there, such as an earlier attempt's shard.

    Raises:
        StoreError: it cannot be written.
    """
    watch = watch or Stopwatch()
    part = next(part for part in group.ranges if part.first == origin.range_first)
    model_ids = np.array([model.model_id for model in group.models], dtype=np.int32)
    footer: Footer = {
        "group": group.number,
        "range": [part.first, part.last],
        "spec_hash": origin.spec_hash,
        "rows": part.rows,
        "diverged": model_ids[rows.diverged].tolist(),
        "starts_from": origin.start_state,
        "ends_in": ends_in,
    }
    buffers = None
    if architecture.buffers:
        with watch.timing("encode"):
            encoded = encode_checkpoints(buffers_table(model_ids, rows, Layout.of(architecture.buffers), footer))
        with watch.timing("publish"):
            buffers = _publish_buffers(run, part, encoded)
    footer["buffers"] = buffers
    with watch.timing("encode"):
        data = encode_checkpoints(shard_table(model_ids, rows, Layout.of(architecture.tensors), footer))
    with watch.timing("publish"):
        if not run.files.publish(part.shard, data):
            return None
    sha256 = hashlib.sha256(data).hexdigest()
    return ShardRecord(part.shard, group.number, footer["range"], part.rows, len(data), sha256, buffers)


def describe_range(run: RunDirectory, group: Group, part: EpochRange, footer: Footer) -> ShardRecord:
    """The manifest line of a shard that is there; reads all of it.

    Raises:
        StoreError: it is damaged.
    """
    size, sha256 = run.files.size(part.shard), sha256_of(run.files, part.shard)
    return ShardRecord(part.shard, group.number, footer["range"], part.rows, size, sha256, footer["buffers"])


def sweep(run: RunDirectory, group: Group, footers: Sequence[Footer]) -> None:
    """Remove what no attempt needs any more, whosever it is.

    That is: states up to the end of the last range that is there, but for the one that the next range starts from;
    and buffers that lost against those which the footers name.
    """
    over = len(footers) == len(group.ranges)
    last, needed = (footers[-1]["range"][1], footers[-1]["ends_in"]) if footers else (-1, "")
    for state in state_names(run.files, group.number):
        if over or (state.epoch <= last and not needed.startswith(state.sha12)):
            run.files.discard(state.path)
    named = {footer["buffers"]["file"] for footer in footers if footer["buffers"]}
    if named:
        stems = {name.rpartition("-")[0] for name in named}
        present = {f"{BUFFERS}/{name}" for name in run.files.names(BUFFERS)}
        for name in present - named:
            if name.rpartition("-")[0] in stems:
                run.files.discard(name)


def _publish_buffers(run: RunDirectory, part: EpochRange, data: bytes) -> dict[str, Any]:
    """Publish a range's buffers under a name of their content, and return what the shard's footer says of them."""
    sha256 = hashlib.sha256(data).hexdigest()
    stem = part.shard.rpartition("/")[2].removesuffix(".parquet")
    name = f"{BUFFERS}/{stem}-{sha256[:8]}.parquet"
    run.files.publish(name, data)
    return {"file": name, "bytes": len(data), "sha256": sha256}


def _proved(run: RunDirectory, group: Group, part: EpochRange, spec_hash: str, starts_from: str) -> Footer:
    footer = read_footer(run.files, part.shard)
    expected = {
        "group": group.number,
        "range": [part.first, part.last],
        "spec_hash": spec_hash,
        "rows": part.rows,
        "file_rows": part.rows,
    }
    found = {key: footer.get(key) for key in expected}
    if found != expected:
        raise StoreError(
            f"{run.files.at(part.shard)}: is not this run's shard (footer says {found}, expected {expected}); "
            f"move it away and run zoo train again with --resume"
        )
    if footer.get("starts_from") != starts_from or bool(footer.get("ends_in")) == (part == group.ranges[-1]):
        raise StoreError(
            f"{run.files.at(part.shard)}: starts from state {footer.get('starts_from')!r:.16}, but the range before it "
            f"ends in {starts_from!r:.16}; move all shards of group {group.number} away and run zoo train again with "
            f"--resume"
        )
    buffers = footer["buffers"]
    if buffers and not run.files.exists(buffers["file"]):
        raise StoreError(
            f"{run.files.at(buffers['file'])}: missing; move all shards of group {group.number} away and run "
            f"zoo train again with --resume"
        )
    return footer
