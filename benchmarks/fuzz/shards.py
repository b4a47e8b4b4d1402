"""Target: shards, buffers, models.parquet, tables of analyses and training states whose bytes are damaged.

The oracle: a complete run of which a byte differs is never called whole by `verify`, unless every table reads as it
did; and whoever reads values gets the true ones or an error. Without the manifest `verify` finds by the seals what
differs; who reads nothing but values is held to the pages, whose checksums find it, and not to what says where these
lie.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import strategies as st

from benchmarks.fuzz.damage import changed, damaged
from benchmarks.fuzz.datasets import NO_FILES, put
from benchmarks.fuzz.example import Example, rewritten
from benchmarks.fuzz.verdicts import ACCEPTED, DAMAGE, DOCUMENTED, Finding, asked, commanded
from zoo_pipeline.sources import find_source, read_bags
from zoo_pipeline.store.analyses import read_analysis
from zoo_pipeline.store.bag import gather
from zoo_pipeline.store.integrity import verify
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.schema import LAYOUT_KEY, SHARD_KEY
from zoo_pipeline.store.states import read_state
from zoo_pipeline.store.survey import survey
from zoo_pipeline.zoo import Zoo

_ANALYSED_EVERY = 40  # of the cases: an analysis takes as long as all the rest


@dataclass(frozen=True)
class Harm:
    """What is done to one file of a run.

    Attributes:
        name: of the file.
        data: its bytes instead; None where a footer is changed.
        instead: what lies under its name instead, one of `NO_FILES`, or where a link leads.
        footer: what a shard's footer says instead, with all checksums right.
        layout: whether that is the layout.
        manifest: whether the run still has its manifest.
        number: of the case, for what is done to some only.
        sealed: whether the bytes are those of a sealed file, some of them changed.
    """

    name: str
    data: bytes | None
    instead: str | None
    footer: Any
    layout: bool
    manifest: bool
    number: int
    sealed: bool = False


@st.composite
def harms(draw: st.DrawFn, example: Example) -> Harm:
    """Damage to one of the run's binary files."""
    names = [name for name in example.names if not name.endswith(".json")]
    shards = [name for name in names if name.startswith("checkpoints/")]
    name = draw(st.one_of(st.sampled_from(shards), st.sampled_from(names)))
    whole = example.read(name)
    manifest, number = draw(st.integers(0, 2)) > 0, draw(st.integers(0, 1_000))
    kind = draw(st.sampled_from(["bytes"] * 7 + ["page", "page", "foreign", "instead", "footer", "footer"]))
    if kind == "footer" and name in shards:
        layout = draw(st.booleans())
        footer = draw(changed(_footer(example, name, LAYOUT_KEY if layout else SHARD_KEY)))
        return Harm(name, None, None, footer, layout, manifest, number)
    if kind == "instead":
        return Harm(name, None, draw(st.sampled_from(NO_FILES)), None, False, manifest, number)
    if kind == "foreign":
        return Harm(name, example.read(draw(st.sampled_from(example.names))), None, None, False, manifest, number)
    if kind == "page" and name in shards:
        at = draw(st.sampled_from(_page_bytes(example, name)))
        data = whole[:at] + bytes([whole[at] ^ 1 << draw(st.integers(0, 7))]) + whole[at + 1 :]
    else:
        data = draw(damaged(whole))
    return Harm(name, data, None, None, False, manifest, number, sealed=name.endswith(".parquet"))


def check_harm(case: Harm, example: Example, place: Path) -> str:
    """Verify, survey and read the run, and go on from its state."""
    run = example.copied(place / "run")
    if case.data is not None:
        (run / case.name).write_bytes(case.data)
    elif case.instead is not None:
        put(run / case.name, b"", case.instead)
    else:
        rewritten(run / case.name, LAYOUT_KEY if case.layout else SHARD_KEY, case.footer)
    if not case.manifest:
        (run / "manifest.json").unlink()
    file = run / case.name
    harmless = file.is_file() and file.read_bytes() == example.read(case.name)  # a footer may be told what it says
    surveyed, verified = asked(lambda: survey(RunDirectory(str(run)))), asked(lambda: verify(RunDirectory(str(run))))
    read = read_all(run)
    whole = verified.error is None and (
        verified.value["complete"] or not (case.manifest or verified.value["damaged"] or verified.value["missing"])
    )
    of_the_run = case.name.startswith(("checkpoints/", "buffers/", "models"))
    held = case.manifest or (case.sealed and not case.name.startswith("models"))
    if held and of_the_run and not harmless and whole:
        raise Finding(DAMAGE, f"{case.name}: verify finds nothing")
    in_pages = case.data is not None and case.name.startswith("checkpoints/") and _only_pages(example, case)
    _check_values(example, read, strict=whole or in_pages or case.manifest)
    if case.name.startswith("states/"):
        state = asked(lambda: read_state(RunDirectory(str(run)).files, example.state))
        if state.error is None and not harmless:
            raise Finding(DAMAGE, f"{case.name}: a damaged state was read")
    if case.name.startswith("analysis/") and case.sealed and not harmless:
        analysis = asked(lambda: read_analysis(RunDirectory(str(run)).files, "default"))
        if analysis.error is None:
            raise Finding(DAMAGE, f"{case.name}: a damaged table was read")
    _check_bag(case, run, place)
    if case.name.startswith("analysis/") and case.number % 4 == 0:
        commanded("report", str(run))
    errors = [answer for answer in (surveyed, verified, *read.values()) if answer.error is not None]
    return DOCUMENTED if errors or not whole else ACCEPTED


def read_all(run: Path) -> dict[str, Any]:
    """Everything that can be read of a run, by what `Example` calls it."""
    return {
        "weights": asked(lambda: Zoo(str(run)).weights().tobytes()),
        "buffers": asked(lambda: Zoo(str(run)).buffers().tobytes()),
        "checkpoints": asked(lambda: Zoo(str(run)).checkpoints()),
        "models": asked(lambda: Zoo(str(run)).models),
        "bag": asked(lambda: Zoo(str(run)).bag().weights.shape),
        "model": asked(lambda: Zoo(str(run)).load_model(3, 2)),
    }


def _check_values(example: Example, read: dict[str, Any], *, strict: bool) -> None:
    """What was read is what is true, or an error."""
    for what in ("weights", "buffers", "checkpoints", "models"):
        answer = read[what]
        if strict and answer.error is None and answer.value != getattr(example, what):
            raise Finding(DAMAGE, f"other {what} than were written")


def _check_bag(case: Harm, run: Path, place: Path) -> None:
    """The damaged shards as a bag of plain files."""
    folder = str(run / Path(case.name).parent)
    asked(lambda: gather(list(read_bags([find_source(folder, folder)]))))
    if case.number % _ANALYSED_EVERY == 0:
        commanded("analyze", folder, "--out", str(place / "out"), "--executor", "inline")


def _footer(example: Example, name: str, key: bytes) -> Any:
    return json.loads(pq.read_metadata(example.place / name).metadata[key])


@cache
def _extent(path: Path) -> list[tuple[int, int]]:
    """Where the column chunks of a shard's weights begin and end."""
    metadata = pq.read_metadata(path)
    group = metadata.row_group(0)
    weights = group.column(group.num_columns - 1)
    return [(weights.data_page_offset, weights.data_page_offset + weights.total_compressed_size)]


def _page_bytes(example: Example, name: str) -> range:
    """Bytes of the weights' page, behind its header."""
    ((start, end),) = _extent(example.place / name)
    return range(start + _HEADER_BYTES, end)


_HEADER_BYTES = 64  # more than the header of a page has here


def _only_pages(example: Example, case: Harm) -> bool:
    """Whether all that differs lies in the weights' page."""
    whole, data = example.read(case.name), case.data or b""
    pages = _page_bytes(example, case.name)
    return len(whole) == len(data) and all(at in pages for at in range(len(whole)) if whole[at] != data[at])
