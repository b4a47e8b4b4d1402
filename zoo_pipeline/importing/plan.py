"""The plan of an import: which file becomes which row of which run. Pure; the same files give the same plan.

One run holds checkpoints of one layout. Its models are numbered in the order of their names, and its rows stand by
model, then by what orders a model's checkpoints.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zoo_pipeline.digests import digest
from zoo_pipeline.importing.names import Claim
from zoo_pipeline.importing.origins import natural
from zoo_pipeline.importing.stamps import printable
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.plan import FORMAT_VERSION, MAX_GROUPS, SCALAR_BYTES
from zoo_pipeline.ranges import shard_name
from zoo_pipeline.splits import splits

GROUP_BYTES = 64 << 20  # of weights, at most, but for a single row
GROUP_ROWS = 8_192
UNKNOWN = -1
MOST_EPOCHS, MOST_STEPS = 2**31 - 1, 2**63 - 1  # that their columns hold


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A checkpoint file that can be read.

    Attributes:
        origin: number of the origin that it lies in.
        name: below that.
        claim: what its name says.
    """

    origin: int
    name: str
    claim: Claim


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """A row to be.

    Attributes:
        file: which it is made of.
        model_id: of its model, as its name says.
        epoch: as its name says.
        step: as its name says.
        by_steps: whether names of its model count steps alone, so that these order it and no epochs that files say.
    """

    file: FoundFile
    model_id: int
    epoch: int
    step: int
    by_steps: bool = False


@dataclass(frozen=True)
class ImportedGroup:
    """The rows of one shard."""

    number: int
    rows: tuple[ImportedRow, ...]

    @property
    def shard(self) -> str:
        """Its name below the run."""
        return shard_name(self.number, 0, 0, whole=True)


@dataclass(frozen=True)
class ImportPlan:
    """A run to be made of files.

    Attributes:
        name: of the run.
        description: for people.
        layout: of all its checkpoints.
        models: names of the models, by their number.
        groups: the shards.
        origin: what identifies what is imported: places, and a hash of the names and stamps of the files.
    """

    name: str
    description: str
    layout: Layout
    models: tuple[str, ...]
    groups: tuple[ImportedGroup, ...]
    origin: dict[str, Any]

    @property
    def checkpoints(self) -> int:
        """Number of rows."""
        return sum(len(group.rows) for group in self.groups)

    def spec(self) -> dict[str, Any]:
        """What is imported, as plain JSON types: the hashed part of `spec.json`."""
        return {"format": FORMAT_VERSION, "import": {**self.origin, "layout": digest(self.layout.to_json())}}

    @cached_property
    def spec_hash(self) -> str:
        """The hash of `spec`."""
        return digest(self.spec())

    def figures(self) -> dict[str, Any]:
        """What `spec.json` says besides."""
        return {
            "models": len(self.models),
            "groups": len(self.groups),
            "checkpoints": self.checkpoints,
            "dimension": self.layout.dimension,
        }

    def key(self, model_id: int) -> str:
        """The model's key: the same for the same name of the same sources."""
        return digest({"import": self.origin["sources"], "model": self.models[model_id]})[:32]

    @cached_property
    def splits(self) -> list[str]:
        """Train, validation or test for every model, in the same shares as of a trained zoo.

        By the models' names alone: the same names make the same splits, wherever the files lie.
        """
        return splits([digest({"model": name}) for name in self.models])


def plan_import(
    name: str, description: str, layout: Layout, files: Iterable[FoundFile], origin: dict[str, Any]
) -> ImportPlan:
    """Number models and cut the rows into groups.

    A model without a name is unknown: its rows have the number −1, as have epochs and steps that no name says.
    """
    files = list(files)
    models = sorted({file.claim.model for file in files if file.claim.model is not None}, key=natural)
    number = {model: model_id for model_id, model in enumerate(models)}
    stepping = {file.claim.model for file in files if file.claim.step is not None and file.claim.epoch is None}
    stepping -= {file.claim.model for file in files if file.claim.epoch is not None}
    rows = [
        ImportedRow(
            file,
            UNKNOWN if file.claim.model is None else number[file.claim.model],
            known_number(file.claim.epoch, MOST_EPOCHS),
            known_number(file.claim.step, MOST_STEPS),
            file.claim.model in stepping,
        )
        for file in files
    ]
    rows.sort(key=lambda row: (row.model_id, row.epoch, row.step))  # of one claim: by the file's name
    groups = tuple(ImportedGroup(at, tuple(some)) for at, some in enumerate(_cut(rows, layout.dimension)))
    return ImportPlan(name, description, layout, tuple(map(printable, models)), groups, origin)


def known_number(said: int | None, most: int) -> int:
    """What is said, if its column holds it; else −1."""
    return UNKNOWN if said is None or said > most else said


def _cut(rows: Sequence[ImportedRow], dimension: int) -> Iterable[Sequence[ImportedRow]]:
    """Groups of whole models, where a model is not larger than a group."""
    row_bytes = 4 * dimension + SCALAR_BYTES
    most = max(1, min(GROUP_ROWS, GROUP_BYTES // row_bytes), -(-len(rows) // MAX_GROUPS))
    start = 0
    while start < len(rows):
        end = min(start + most, len(rows))
        if end < len(rows) and rows[end].model_id == rows[end - 1].model_id:
            back = end
            while back > start and rows[back - 1].model_id == rows[end].model_id:
                back -= 1
            end = back if back > start else end
        yield rows[start:end]
        start = end
