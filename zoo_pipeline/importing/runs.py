"""The runs of an import: one for each layout that its files have, and where they go."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from zoo_pipeline.counts import plural
from zoo_pipeline.digests import digest
from zoo_pipeline.errors import ConfigError, StoreError
from zoo_pipeline.importing.file_origin import FileOrigin
from zoo_pipeline.importing.group import shown
from zoo_pipeline.importing.history import History
from zoo_pipeline.importing.hub_folder import HubFolder
from zoo_pipeline.importing.names import Claim, Pattern, claims
from zoo_pipeline.importing.plan import FoundFile, ImportPlan, plan_import
from zoo_pipeline.importing.reading import Shapes
from zoo_pipeline.importing.stamps import printable
from zoo_pipeline.importing.survey import Listing
from zoo_pipeline.importing.trainer_state import TRAINER
from zoo_pipeline.importing.trials import TrialPlace
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.ranges import ROW_ELEMENTS
from zoo_pipeline.store.bag import part_name
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import IMPORT

MOST_RUNS = 1_000


def plan_runs(
    origins: Sequence[FileOrigin],
    listing: Listing,
    pattern: Pattern | None,
    by_shapes: dict[Shapes, list[tuple[int, str]]],
) -> list[ImportPlan]:
    """A run for each layout, the largest first.

    Args:
        origins: where the files lie.
        listing: all of them.
        pattern: of names; None for the usual rules.
        by_shapes: the files that can be read, by the tensors that they have.

    Raises:
        ConfigError: the pattern fits no file.
        StoreError: there would be very many, or one with rows that are too large.
    """
    if len(by_shapes) > MOST_RUNS:
        raise StoreError(
            f"files of {len(by_shapes):,} different layouts; expected at most {MOST_RUNS:,}: import fewer at once"
        )
    said = dict(zip(listing.files, _claims(origins, listing.files, pattern), strict=True))
    stamps = dict(zip(listing.files, listing.stamps, strict=True))
    plans = []
    for shapes, files in sorted(by_shapes.items(), key=lambda item: (-len(item[1]), item[0])):
        layout = Layout.of(dict(shapes))
        if layout.dimension > ROW_ELEMENTS:
            raise StoreError(
                f"{place_of(origins, files[0])}: has {layout.dimension:,} weights, more than the {ROW_ELEMENTS:,} that "
                f"a row of Parquet holds; leave such files out"
            )
        origin = {
            "sources": [origin.given for origin in origins],
            "pattern": pattern.text if pattern else None,
            "files": len(files),
            "names": digest([[*file, *stamps[file]] for file in files]),
        }
        found = (FoundFile(number, name, said[number, name]) for number, name in files)
        name = origins[0].given.rstrip("/").rpartition("/")[2] or "import"
        sources = ", ".join(origin.given for origin in origins)
        plans.append(plan_import(name, f"imported from {sources}"[:500], layout, found, origin))
    return plans


def _claims(origins: Sequence[FileOrigin], files: Sequence[tuple[int, str]], pattern: Pattern | None) -> list[Claim]:
    """What the names say; where there are several origins, a model's name begins with the origin's."""
    paths = [name if len(origins) == 1 else shown(origins[number], name) for number, name in files]
    found = claims(paths) if pattern is None else _of_pattern(paths, pattern)
    for at, (number, name) in enumerate(files):
        origin, model = origins[number], found[at].model
        if isinstance(origin, History):  # knows better
            found[at] = origin.claim(name)
        elif isinstance(origin, HubFolder) and origin.knows_no_moment(name):
            found[at] = Claim(model)
        elif model == ".":  # files that lie in the origin itself
            found[at] = replace(found[at], model=origin.given.rstrip("/").rpartition("/")[2] or model)
    return found


def _of_pattern(paths: Sequence[str], pattern: Pattern) -> list[Claim]:
    found = [pattern.claim(path) for path in paths]
    if not any(found):
        raise ConfigError(
            f"--pattern {pattern.text}: fits none of {plural(len(paths), 'file')}, such as {printable(paths[0])}; "
            f"it is held against the end of a path, from the beginning of a folder's or the file's name on"
        )
    return [claim or Claim() for claim in found]


def places_of(out: str, plans: Sequence[ImportPlan]) -> list[str]:
    """Where the runs go: one run to the place itself, several into folders below it.

    Raises:
        StoreError: there are to be several, and something else lies there.
    """
    if len(plans) == 1:
        return [out]
    lengths = Counter(plan.layout.dimension for plan in plans)
    names = [part_name(plan.layout.dimension, plan.layout, alone=lengths[plan.layout.dimension] == 1) for plan in plans]
    foreign = [name for name in Files(out).names() if name not in (*names, IMPORT) and not name.startswith(".")]
    if foreign:
        raise StoreError(
            f"{out}: holds {', '.join(foreign[:3])}, and the files are of {plural(len(plans), 'layout')}, which make a "
            f"run each below it; name a new or empty directory"
        )
    return [f"{out.rstrip('/')}/{name}" for name in names]


def trials_of(listing: Listing, plan: ImportPlan) -> list[dict[int, TrialPlace]]:
    """For each group, where the hyperparameters and metrics of its models lie: beside the checkpoints, or above.

    The Trainer of Hugging Face tells beside each checkpoint of all steps up to it, so its last one tells everything.
    """
    epochs: dict[int, set[int]] = {}
    for group in plan.groups:
        for row in group.rows:
            epochs.setdefault(row.model_id, set()).update([row.epoch] if row.epoch >= 0 else [])
    trainers = any(TRAINER in present for present in listing.beside.values())
    found: list[dict[int, TrialPlace]] = []
    for group in plan.groups:
        places: dict[int, TrialPlace] = {}
        for row in group.rows:
            if row.model_id < 0 or (row.model_id in places and not trainers):
                continue
            folder = row.file.name.rpartition("/")[0] or "."
            near = {
                place: listing.beside.get((row.file.origin, place), frozenset())
                for place in (folder, folder.rpartition("/")[0] or ".")
            }
            known = places.get(row.model_id) or TrialPlace(row.file.origin, frozenset(epochs[row.model_id]))
            if trainer := next((place for place, present in near.items() if TRAINER in present), ""):
                known = replace(known, trainer=trainer)
            logs = next((place for place, present in near.items() if present - {TRAINER}), "")
            if logs and not known.present:
                known = replace(known, folder=logs, present=near[logs] - {TRAINER})
            if known.present or known.trainer:
                places[row.model_id] = known
        found.append(places)
    return found


def place_of(origins: Sequence[FileOrigin], file: tuple[int, str]) -> str:
    """What a file is called, in messages."""
    return shown(origins[file[0]], file[1])


def why_nothing(origins: Sequence[FileOrigin], listing: Listing, refused: Sequence[tuple[str, str]]) -> str:
    """Why nothing can be imported."""
    sources = ", ".join(origin.given for origin in origins)
    if not listing.files:
        others = ", ".join(f"{count:,} {kind}" for kind, count in list(listing.passed_over.items())[:5]) or "nothing"
        told = "; zoo analyze reads Parquet as it is" if ".parquet" in listing.passed_over else ""
        return (
            f"{sources}: no file of a checkpoint's kind there (but {others}); docs/import.md says what they are{told}"
        )
    file, why = refused[0]
    return f"{sources}: none of {plural(len(listing.files), 'file')} can be imported; {file}: {why}"
