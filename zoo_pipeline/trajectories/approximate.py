"""Approximate recovery: of more checkpoints than can be compared each with each, read in shares, in bounded memory.

    every share ──sketch──▶ all sketches ──alike──▶ buckets of what may belong together
    some buckets at a time: every share ──rows──▶ buckets ──compared in full width──▶ edges, families, paths
    all edges ──threshold──▶ families ──▶ buckets whose families this changes are ordered again

Within a bucket everything is as in `recover`; that rows of different buckets are unrelated is read off their sketches.
Each step is a pure function of one share or one bucket, so that any `Crew` can do it. The result depends neither on
how rows are spread over shares nor on who does what, but for what a GPU rounds otherwise than a CPU.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.buckets import Buckets
from zoo_pipeline.trajectories.bucketwork import OrderedRows, WorkedBucket, order_bucket, work_bucket
from zoo_pipeline.trajectories.crew import Alone, Crew
from zoo_pipeline.trajectories.distances import DEFAULT_MEMORY_LIMIT_BYTES
from zoo_pipeline.trajectories.geometry import Geometry, bag_geometry
from zoo_pipeline.trajectories.merging import Separated, merged
from zoo_pipeline.trajectories.recovery import Recovery, recover
from zoo_pipeline.trajectories.sketch import Sketches, sketch
from zoo_pipeline.trajectories.waves import Read, Waves


def recover_in_shares(
    read: Read,
    shares: int,
    layout: Layout,
    *,
    memory_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES,
    crew: Crew | None = None,
    tell: Callable[[str, int], None] = lambda _, __: None,
) -> tuple[Recovery, Geometry]:
    """Recover trajectories, order, direction and geometry as `recover` and `bag_geometry` do.

    What differs: rows whose sketches are not alike (a cosine below about 0.4) are not compared; a row's nearest
    stranger is sought in its bucket; and the linkage joins buckets at height 1, where unrelated rows are.

    Args:
        read: the rows of one share, float32[m, d] at a time, the same ones each time it is called.
        shares: how many there are.
        layout: which columns are which tensor; with a hidden layer.
        memory_bytes: for weights, of all processes together. What is kept of every row comes on top of it: its sketch
            of 256 bytes and its results, some 500.
        crew: who does the work; None for this process.
        tell: told how many more rows are "sketched" or "compared".

    Returns:
        The recovery and the geometry, aligned with the rows in the order of the shares.

    Raises:
        ZooError: so many rows are alike that they cannot be compared each with each, or not within the memory.
    """
    crew = crew or Alone()
    seconds, started = {}, perf_counter()

    def lap(stage: str) -> None:
        nonlocal started
        seconds[stage], started = perf_counter() - started, perf_counter()

    parts: list[Sketches] = []
    for part in crew.map(partial(_sketched, read, layout), range(shares)):
        parts.append(part)
        tell("sketched", len(part.finite))
    counts = np.cumsum([0, *(len(part.finite) for part in parts)])
    sketches = Sketches.joined(parts)
    del parts
    lap("sketching")
    if not sketches.finite.any():
        nothing = np.full((counts[-1], 1), np.nan, np.float32)
        recovery = recover(nothing)
        return recovery, bag_geometry(nothing, recovery.trajectory, recovery.position)
    held_bytes = memory_bytes // 2  # as much again is for what workers read and work on
    buckets = Buckets.of(sketches, 4 * layout.dimension, held_bytes, crew)
    del sketches
    lap("candidates")
    slots = [buckets.slot[start:stop] for start, stop in pairwise(counts.tolist())]
    waves = Waves(read, slots, buckets, layout.dimension, held_bytes, crew, partial(tell, "compared"))
    others = (buckets.components.sum() - buckets.components).tolist()
    every = np.arange(len(others))
    worked: list[WorkedBucket] = waves.work(partial(_worked, layout), every, others)
    found = Separated.of(worked, buckets.bounds)
    ordered = [one.ordered for one in worked]
    changed = found.changed(worked)
    labels = [
        found.labels[start:stop]
        for start, stop in zip(buckets.bounds[changed], buckets.bounds[changed + 1], strict=True)
    ]
    for bucket, again in zip(changed.tolist(), waves.work(partial(_ordered, layout), changed, labels), strict=True):
        ordered[bucket] = again
    lap("trajectories")
    return merged(found, ordered, buckets.slot, seconds)


def _sketched(read: Read, layout: Layout, share: int, *, device: str) -> Sketches:
    return Sketches.joined([sketch(rows, layout, device) for rows in read(share)])


def _worked(layout: Layout, others: int, rows: NDArray[np.float32], device: str) -> WorkedBucket:
    return work_bucket(rows, others, layout, device)


def _ordered(
    layout: Layout,
    labels: NDArray[np.int32],
    rows: NDArray[np.float32],
    device: str,  # noqa: ARG001  (many small pieces of work, for a CPU)
) -> OrderedRows:
    return order_bucket(rows, labels, layout)
