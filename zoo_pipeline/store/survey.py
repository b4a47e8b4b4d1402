"""What of a run is done, missing or damaged."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from zoo_pipeline.errors import StoreError
from zoo_pipeline.store.rundir import ANALYSIS, CHECKPOINTS, REPORT, RunDirectory
from zoo_pipeline.store.shards import read_footer

_THREADS = 8


def survey(run: RunDirectory) -> dict[str, Any]:
    """Look at every shard's footer; the values themselves are not read.

    Raises:
        StoreError: not a run directory.
    """
    spec, manifest = run.spec, run.manifest
    if manifest is not None:
        expected = [str(shard["shard"]) for shard in manifest["shards"]]
    else:
        expected = [f"{CHECKPOINTS}/group-{number:05d}.parquet" for number in range(int(spec.get("groups", 0)))]
    present = {f"{CHECKPOINTS}/{name}" for name in run.files.names(CHECKPOINTS)}
    found = [name for name in expected if name in present]
    with ThreadPoolExecutor(_THREADS) as pool:
        faults = list(pool.map(lambda name: _fault(run, name, str(spec["spec_hash"])), found))
    damaged = {name: fault for name, fault in zip(found, faults, strict=True) if fault}
    return {
        "run": run.root,
        "name": spec["name"],
        "spec_hash": spec["spec_hash"],
        "complete": manifest is not None and len(found) == len(expected) and not damaged,
        "manifest": manifest is not None,
        "groups": len(expected),
        "done": len(found) - len(damaged),
        "missing": [name for name in expected if name not in present],
        "damaged": damaged,
        "foreign": sorted(present - set(expected)),
        "analyses": run.files.names(ANALYSIS),
        "report": run.files.exists(REPORT),
    }


def _fault(run: RunDirectory, name: str, spec_hash: str) -> str:
    """What is wrong with a shard, or an empty string."""
    try:
        footer = read_footer(run.files, name)
    except StoreError as error:
        return str(error)
    if footer.get("spec_hash") != spec_hash:
        return f"belongs to another configuration (spec_hash {footer.get('spec_hash')})"
    if footer.get("rows") != footer["file_rows"]:
        return f"holds {footer['file_rows']} rows, its footer says {footer.get('rows')}"
    return ""
