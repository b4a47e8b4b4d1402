"""What of a run is done, missing or damaged."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from zoo_pipeline.errors import StoreError
from zoo_pipeline.plan import shard_name
from zoo_pipeline.store.analyses import analysis_exists
from zoo_pipeline.store.rundir import ANALYSIS, CHECKPOINTS, MODELS, REPORT, RunDirectory
from zoo_pipeline.store.shards import read_footer

_THREADS = 8


def survey(run: RunDirectory) -> dict[str, Any]:
    """Look at every shard's footer; the values themselves are not read.

    Raises:
        StoreError: not a run directory.
    """
    spec, manifest = run.spec, run.manifest
    if manifest is not None:
        listed = {str(line["shard"]): line for line in manifest["shards"]}
        expected = list(listed)
    else:
        groups = spec.get("groups")
        listed = {}
        expected = [shard_name(number) for number in range(groups if isinstance(groups, int) else 0)]
    present = {f"{CHECKPOINTS}/{name}" for name in run.files.names(CHECKPOINTS)}
    found = [name for name in expected if name in present]
    with ThreadPoolExecutor(_THREADS) as pool:
        faults = list(pool.map(lambda name: _fault(run, name, str(spec["spec_hash"]), listed.get(name)), found))
    damaged = {name: fault for name, fault in zip(found, faults, strict=True) if fault}
    return {
        "run": run.root,
        "name": spec["name"],
        "spec_hash": spec["spec_hash"],
        "complete": manifest is not None and len(found) == len(expected) and not damaged and run.files.exists(MODELS),
        "manifest": manifest is not None,
        "groups": len(expected),
        "done": len(found) - len(damaged),
        "missing": [name for name in expected if name not in present]
        + ([MODELS] if manifest is not None and not run.files.exists(MODELS) else []),
        "damaged": damaged,
        "foreign": sorted(present - set(expected)),
        "analyses": [name for name in run.files.names(ANALYSIS) if analysis_exists(run.files, name)],
        "report": run.files.exists(REPORT),
    }


def _fault(run: RunDirectory, name: str, spec_hash: str, line: dict[str, Any] | None) -> str:
    """What is wrong with a shard, or an empty string."""
    try:
        footer, size = read_footer(run.files, name), run.files.size(name)
    except StoreError as error:
        return str(error)
    if line is not None and (line["bytes"], line["rows"]) != (size, footer["file_rows"]):
        return f"has {size} bytes and {footer['file_rows']} rows, the manifest says {line['bytes']} and {line['rows']}"
    if footer.get("spec_hash") != spec_hash:
        return f"belongs to another configuration (spec_hash {footer.get('spec_hash')})"
    if footer.get("rows") != footer["file_rows"]:
        return f"holds {footer['file_rows']} rows, its footer says {footer.get('rows')}"
    return ""
