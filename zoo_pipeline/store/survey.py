"""What of a run is done, missing or damaged."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

from zoo_pipeline.counts import plural
from zoo_pipeline.errors import StoreError, UnreachableError
from zoo_pipeline.plan import FORMAT_VERSION
from zoo_pipeline.ranges import group_of, shard_name
from zoo_pipeline.store.analyses import analysis_exists
from zoo_pipeline.store.failures import failures
from zoo_pipeline.store.pulse import pulse
from zoo_pipeline.store.rundir import ANALYSIS, CHECKPOINTS, MANIFEST, MODELS, PARTS, REPORT, STATES, RunDirectory
from zoo_pipeline.store.shards import read_footer

_THREADS = 8
OF_ALL = {MANIFEST, MODELS}  # files that are of no group


def survey(run: RunDirectory) -> dict[str, Any]:
    """Look at every shard's footer; the values themselves are not read.

    Raises:
        StoreError: not a run directory.
    """
    spec = run.spec
    manifest, fault = sound_manifest(run, spec)
    listed = {str(line["shard"]): line for line in manifest["shards"]} if manifest is not None else {}
    expected = list(listed) if manifest is not None else _expected(spec)
    present = {f"{CHECKPOINTS}/{name}" for name in run.files.names(CHECKPOINTS)}
    found = [name for name in expected if name in present]
    with ThreadPoolExecutor(_THREADS) as pool:
        looked = pool.map(lambda name: _look(run, name, str(spec["spec_hash"]), listed.get(name)), found)
        footers, sizes, faults = zip(*looked, strict=True) if found else ((), (), ())
    damaged = {name: fault for name, fault in zip(found, faults, strict=True) if fault}
    damaged |= _broken({name: footer for name, footer in zip(found, footers, strict=True) if name not in damaged})
    done = len(found) - len(damaged)
    damaged |= {MANIFEST: fault} if fault else {}
    return {
        "run": run.root,
        "name": spec["name"],
        "spec_hash": spec["spec_hash"],
        "complete": manifest is not None and len(found) == len(expected) and not damaged and run.files.exists(MODELS),
        "manifest": manifest is not None or bool(fault),
        "shards": len(expected),
        "done": done,
        "groups": group_counts(len(set(map(group_of, expected))), damaged, set(expected) - present),
        "bytes": sum(sizes),
        "failed": failures(run),
        "progress": pulse(run),
        "missing": [name for name in expected if name not in present]
        + ([MODELS] if manifest is not None and not run.files.exists(MODELS) else []),
        "damaged": damaged,
        "foreign": sorted(present - set(expected)) + [name for name in run.files.names() if _is_foreign(name)],
        "states": len(run.files.names(STATES)),
        "analyses": [name for name in run.files.names(ANALYSIS) if analysis_exists(run.files, name)],
        "damaged_analyses": {},
        "report": run.files.exists(REPORT),
    }


def group_counts(groups: int, damaged: Iterable[str], missing: Iterable[str]) -> dict[str, int]:
    """How many groups there are, how many have all their shards and sound ones, and of how many a shard is damaged.

    Args:
        groups: how many there are.
        damaged: names of shards.
        missing: names of shards.
    """
    harmed, lacking = ({group_of(name) for name in {*names} - OF_ALL} for names in (damaged, missing))
    return {"all": groups, "done": groups - len(harmed | lacking), "damaged": len(harmed)}


def sound_manifest(run: RunDirectory, spec: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The manifest, None where there is none that is sound; and what is wrong with it, or an empty string."""
    try:
        manifest = run.manifest
    except UnreachableError:
        raise
    except StoreError as error:
        return None, str(error)
    if manifest is None:
        return None, ""
    rows = sum(line["rows"] for line in manifest["shards"])
    expected = {"format_version": FORMAT_VERSION, "spec_hash": spec["spec_hash"], "checkpoints": rows}
    for key, value in expected.items():
        if manifest.get(key, value) != value:
            return None, f"{run.files.at(MANIFEST)}: says {key} {manifest[key]!r:.80}, expected {value!r}"
    return manifest, ""


def _is_foreign(name: str) -> bool:
    """Whether something at the top of a run is none of its files, nor hidden."""
    return name not in PARTS and not name.startswith(".")


def _expected(spec: dict[str, Any]) -> list[str]:
    """The shards that a run without a manifest will have, by its spec.json; none where that does not say."""
    groups, ranges = spec.get("groups"), spec.get("ranges", [[0, 0]])
    if not isinstance(groups, int) or not isinstance(ranges, list):
        return []
    try:
        return [
            shard_name(group, int(first), int(last), whole=len(ranges) == 1)
            for group in range(groups)
            for first, last in ranges
        ]
    except (TypeError, ValueError):
        return []


def _look(run: RunDirectory, name: str, spec_hash: str, line: dict[str, Any] | None) -> tuple[dict[str, Any], int, str]:
    """A shard's footer, its bytes, and what is wrong with the shard or an empty string."""
    try:
        footer, size = read_footer(run.files, name), run.files.size(name)
        return footer, size, _fault(run, footer, size, spec_hash, line)
    except UnreachableError:
        raise
    except StoreError as error:
        return {}, 0, str(error)


def _fault(run: RunDirectory, footer: dict[str, Any], size: int, spec_hash: str, line: dict[str, Any] | None) -> str:
    buffers, rows = footer["buffers"], plural(footer["file_rows"], "row")
    if line is not None and (line["bytes"], line["rows"]) != (size, footer["file_rows"]):
        return f"has {size} bytes and {rows}, the manifest says {line['bytes']} and {line['rows']}"
    if footer.get("spec_hash") != spec_hash:
        return f"belongs to another configuration (spec_hash {footer.get('spec_hash')})"
    if footer.get("rows") != footer["file_rows"]:
        return f"holds {rows}, its footer says {footer.get('rows')}"
    if buffers and not run.files.exists(buffers["file"]):
        return f"its {buffers['file']} is missing"
    if buffers and (found := run.files.size(buffers["file"])) != buffers["bytes"]:
        return f"its {buffers['file']} has {found} bytes, the footer says {buffers['bytes']}"
    return ""


def _broken(footers: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Shards, in the order of their epochs, that do not go on from the state that the one before them ends in."""
    broken = {}
    for (earlier, before), (later, after) in pairwise(footers.items()):
        follows = before.get("group") == after.get("group") and before.get("range") and after.get("range")
        if not follows or after["range"][0] != before["range"][1] + 1:
            continue
        if after.get("starts_from") != before.get("ends_in"):
            broken[later] = f"does not go on from the state that {earlier} ends in"
    return broken
