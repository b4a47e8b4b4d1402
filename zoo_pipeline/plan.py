"""The plan: everything a run will contain, worked out from the configuration and the dataset's facts alone.

Pure: no ray, no torch, no I/O. The same configuration and facts give the same plan on any machine, whatever has been
trained already, so that a resumed run and a retried task mean the same files.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.config import ZooConfig
from zoo_pipeline.counts import plural
from zoo_pipeline.dataset_facts import DatasetFacts
from zoo_pipeline.digests import digest
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.points import points, seeds
from zoo_pipeline.ranges import ROW_ELEMENTS, EpochRange, cut, most_models, shard_name
from zoo_pipeline.splits import splits

FORMAT_VERSION = 1
SCALAR_BYTES = 32  # of a checkpoint row beside its weights: two int32, one int64, four float32
MAX_GROUPS = 100_000  # five digits in a shard's name
MAX_SHARDS = 2_000_000  # all are listed in the manifest, and looked at when a run is gone on with


@dataclass(frozen=True)
class PlannedModel:
    """One training run of the zoo; key and split are empty as long as the dataset's content hash is unknown."""

    model_id: int
    model_key: str
    seed: int
    split: str
    hyperparameters: Hyperparameters


@dataclass(frozen=True)
class Group:
    """The models that one task trains together, and the shards they end up in, in the order of their epochs.

    The models share `Hyperparameters.computation`, and their ids ascend, but need not follow each other without gaps.
    """

    number: int
    models: tuple[PlannedModel, ...]
    ranges: tuple[EpochRange, ...]

    @property
    def epochs(self) -> int:
        """Passes over the training data."""
        return self.ranges[-1].last

    @property
    def rows(self) -> int:
        """Checkpoints of all models."""
        return sum(part.rows for part in self.ranges)

    @property
    def raw_bytes(self) -> int:
        """Bytes of all rows before compression."""
        return sum(part.raw_bytes for part in self.ranges)


@dataclass(frozen=True)
class Plan:
    """All groups of a run and what they share."""

    config: ZooConfig
    facts: DatasetFacts
    architecture: Architecture
    spec_hash: str
    groups: tuple[Group, ...]

    @property
    def epochs(self) -> int:
        """Passes of every model over the training data."""
        return self.config.zoo.training.epochs

    @property
    def ranges(self) -> list[list[int]]:
        """First and last epoch of every shard of a group; all groups are cut alike."""
        return [[part.first, part.last] for part in self.groups[0].ranges]

    @property
    def models(self) -> int:
        """Number of models."""
        return sum(len(group.models) for group in self.groups)

    @property
    def checkpoints(self) -> int:
        """Number of rows over all shards."""
        return sum(group.rows for group in self.groups)

    @property
    def raw_bytes(self) -> int:
        """Bytes of all rows before compression."""
        return sum(group.raw_bytes for group in self.groups)

    @property
    def name(self) -> str:
        """The zoo's name."""
        return self.config.name

    @property
    def description(self) -> str:
        """One sentence, for people."""
        return self.config.description

    def figures(self) -> dict[str, Any]:
        """What `spec.json` says besides, for readers who do not plan."""
        return {
            "models": self.models,
            "groups": len(self.groups),
            "ranges": self.ranges,
            "checkpoints": self.checkpoints,
            "dimension": self.architecture.dimension,
            "image_shape": list(self.architecture.input_shape),
            "classes": self.facts.classes,
        }

    def spec(self) -> dict[str, Any]:
        """What is trained, as plain JSON types: the hashed part of `spec.json`."""
        return scientific_spec(self.config, self.facts)

    def summary(self) -> dict[str, Any]:
        """The figures that `zoo plan` prints."""
        return {
            "name": self.config.name,
            "spec_hash": self.spec_hash or None,
            "dataset": asdict(self.facts),
            "architecture": self.architecture.name,
            "dimension": self.architecture.dimension,
            "points": self.config.zoo.population.points,
            "models": self.models,
            "checkpoints": self.checkpoints,
            "groups": len(self.groups),
            "files": len(self.groups) * len(self.ranges),
            "raw_bytes": self.raw_bytes,
            "shards": [
                {
                    "shard": part.shard,
                    "models": len(group.models),
                    "model_ids": [group.models[0].model_id, group.models[-1].model_id],
                    "epochs": [part.first, part.last],
                    "rows": part.rows,
                    "raw_bytes": part.raw_bytes,
                }
                for group in self.groups
                for part in group.ranges
            ],
        }


def plan(config: ZooConfig, facts: DatasetFacts) -> Plan:
    """Work out groups, model ids and keys, seeds, shard names, rows and bytes.

    Raises:
        ConfigError: the configuration and the dataset do not fit together, or a run would be too large to hold.
    """
    choices, training = config.zoo.model, config.zoo.training
    side = choices.image_side
    architecture = Architecture(
        name=choices.architecture,
        input_shape=facts.resized(side).image_shape if side else facts.image_shape,
        classes=facts.classes,
        hidden=choices.hidden,
        bias=choices.bias,
    )
    if architecture.dimension > ROW_ELEMENTS:
        raise ConfigError(
            f"zoo.model: the network has {architecture.dimension:,} weights, more than the {ROW_ELEMENTS:,} "
            f"that one row of Parquet holds; use a smaller network"
        )
    first = 0 if training.save_initial else 1
    row_bytes = 4 * architecture.dimension + SCALAR_BYTES
    population = config.zoo.population
    most = most_models(training.epochs + 1 - first, row_bytes)
    group_size = min(population.group_size, population.models, most)
    # Groups that happen to be smaller are cut like the full ones, so that one list names the shards of all.
    ranges = cut(first, training.epochs, group_size, row_bytes)
    _check_groups(population.models, -(-population.models // group_size), len(ranges))  # before it takes long
    batches = list(_batches(_models(config, facts, architecture), group_size))
    _check_groups(population.models, len(batches), len(ranges))
    return Plan(
        config=config,
        facts=facts,
        architecture=architecture,
        spec_hash=digest(scientific_spec(config, facts)) if facts.content_sha256 else "",
        groups=tuple(
            Group(number, batch, _shards(number, len(batch), ranges, row_bytes)) for number, batch in enumerate(batches)
        ),
    )


def scientific_spec(config: ZooConfig, facts: DatasetFacts) -> dict[str, Any]:
    """What is hashed: the scientific part of the configuration, and the dataset by its name and content."""
    return {
        "format": FORMAT_VERSION,
        **config.scientific(),
        "dataset": facts.name,
        "dataset_sha256": facts.content_sha256,
    }


def train_rows(facts: DatasetFacts, fraction: float) -> int:
    """Training images that a `data_fraction` leaves."""
    return max(1, round(fraction * facts.train_rows))


def _check_groups(models: int, groups: int, ranges: int) -> None:
    if groups > MAX_GROUPS:
        raise ConfigError(
            f"zoo.population.group_size: {models} models make {groups} groups, more than {MAX_GROUPS}; "
            f"use groups of at least {-(-models // MAX_GROUPS)} models"
        )
    if groups * ranges > MAX_SHARDS:
        raise ConfigError(
            f"zoo: {groups} groups in {ranges} epoch ranges each make {groups * ranges} shards, more than "
            f"{MAX_SHARDS}; use fewer models or epochs, or make several runs of it"
        )


def _shards(group: int, models: int, ranges: Sequence[tuple[int, int]], row_bytes: int) -> tuple[EpochRange, ...]:
    return tuple(
        EpochRange(
            first=first,
            last=last,
            shard=shard_name(group, first, last, whole=len(ranges) == 1),
            rows=models * (last - first + 1),
            raw_bytes=models * (last - first + 1) * row_bytes,
        )
        for first, last in ranges
    )


def _batches(models: Sequence[PlannedModel], group_size: int) -> Iterator[tuple[PlannedModel, ...]]:
    """Models that can be trained together: one computation after another, each in the order of the models."""
    together: dict[Hashable, list[PlannedModel]] = {}
    for model in models:
        together.setdefault(model.hyperparameters.computation, []).append(model)
    for alike in together.values():
        for start in range(0, len(alike), group_size):
            yield tuple(alike[start : start + group_size])


def _models(config: ZooConfig, facts: DatasetFacts, architecture: Architecture) -> list[PlannedModel]:
    """All models in the order of their ids: point by point, seed by seed."""
    found = points(config.zoo)
    for point in found:
        _check_batch_size(point, facts, architecture)
    each = [
        (seed, found[model_id // config.zoo.population.seeds])
        for model_id, seed in enumerate(seeds(config.zoo.population))
    ]
    if facts.content_sha256 is None:
        return [PlannedModel(model_id, "", seed, "", point) for model_id, (seed, point) in enumerate(each)]
    shared = {
        "dataset_sha256": facts.content_sha256,
        "architecture": asdict(architecture),
        "image_side": config.zoo.model.image_side,
    }
    described = {point: asdict(point) for point in found}
    keys = [digest({**shared, "hyperparameters": described[point], "seed": seed})[:32] for seed, point in each]
    return [
        PlannedModel(model_id, key, seed, split, point)
        for model_id, (key, split, (seed, point)) in enumerate(zip(keys, splits(keys), each, strict=True))
    ]


def _check_batch_size(point: Hyperparameters, facts: DatasetFacts, architecture: Architecture) -> None:
    rows = train_rows(facts, point.data_fraction)
    images = plural(rows, "training image")
    if point.batch_size > rows:
        part = "" if point.data_fraction == 1 else f" in the data_fraction {point.data_fraction:g}"
        raise ConfigError(
            f"zoo.training.batch_size: got {point.batch_size}, but {facts.name} has {images}{part}; use at most {rows}"
        )
    last = rows % point.batch_size or point.batch_size
    if last == 1 and architecture.ends_in_single_pixels:
        raise ConfigError(
            f"zoo.training.batch_size: got {point.batch_size}, which makes a batch of 1 of {facts.name}'s {images}; "
            f"where {architecture.name} ends in one pixel per image, its BatchNorm needs 2; "
            f"use another batch size, or larger images by zoo.model.image_side"
        )
