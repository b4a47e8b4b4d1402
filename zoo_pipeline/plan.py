"""The plan: everything a run will contain, worked out from the configuration and the dataset's facts alone.

Pure: no ray, no torch, no I/O. The same configuration and facts give the same plan on any machine, whatever has been
trained already, so that a resumed run and a retried task mean the same files.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.config import ZooConfig
from zoo_pipeline.dataset_facts import DatasetFacts
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.ranges import ROW_ELEMENTS, EpochRange, cut, most_models, shard_name

FORMAT_VERSION = 1
SCALAR_BYTES = 32  # of a checkpoint row beside its weights: two int32, one int64, four float32
MAX_GROUPS = 100_000  # five digits in a shard's name
SPLITS = (("train", 0.70), ("validation", 0.15), ("test", 0.15))


@dataclass(frozen=True)
class PlannedModel:
    """One training run of the zoo; key and split are empty as long as the dataset's content hash is unknown."""

    model_id: int
    model_key: str
    seed: int
    split: str


@dataclass(frozen=True)
class Group:
    """The models that one task trains together, and the shards they end up in, in the order of their epochs."""

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
    hyperparameters: Hyperparameters
    spec_hash: str
    groups: tuple[Group, ...]

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

    def spec(self) -> dict[str, Any]:
        """What is trained, as plain JSON types: the hashed part of `spec.json`."""
        return scientific_spec(self.config, self.facts)

    def summary(self) -> dict[str, Any]:
        """The figures that `zoo plan` prints."""
        return {
            "name": self.config.name,
            "spec_hash": self.spec_hash or None,
            "dataset": asdict(self.facts),
            "dimension": self.architecture.dimension,
            "models": self.models,
            "checkpoints": self.checkpoints,
            "groups": len(self.groups),
            "files": len(self.groups) * len(self.ranges),
            "raw_bytes": self.raw_bytes,
            "shards": [
                {
                    "shard": part.shard,
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
    architecture = Architecture(
        name=choices.architecture,
        input_shape=facts.image_shape,
        classes=facts.classes,
        hidden=choices.hidden,
        bias=choices.bias,
    )
    if training.batch_size > facts.train_rows:
        raise ConfigError(
            f"zoo.training.batch_size: got {training.batch_size}, but {facts.name} has {facts.train_rows} "
            f"training images; use at most {facts.train_rows}"
        )
    if architecture.dimension > ROW_ELEMENTS:
        raise ConfigError(
            f"zoo.model: the network has {architecture.dimension:,} weights, more than the {ROW_ELEMENTS:,} "
            f"that one row of Parquet holds; use a smaller network"
        )
    first = 0 if training.save_initial else 1
    epochs = training.epochs + 1 - first
    row_bytes = 4 * architecture.dimension + SCALAR_BYTES
    group_size = min(config.zoo.population.group_size, config.zoo.population.models, most_models(epochs, row_bytes))
    # Groups that happen to be smaller are cut like the full ones, so that one list names the shards of all.
    ranges = cut(first, training.epochs, group_size, row_bytes)
    spec = scientific_spec(config, facts)
    count = config.zoo.population.models
    if -(-count // group_size) > MAX_GROUPS:
        raise ConfigError(
            f"zoo.population.group_size: {count} models make {-(-count // group_size)} groups, more than {MAX_GROUPS}; "
            f"use groups of at least {-(-count // MAX_GROUPS)} models"
        )
    models = _models(config, facts, spec)
    batches = [models[start : start + group_size] for start in range(0, count, group_size)]
    return Plan(
        config=config,
        facts=facts,
        architecture=architecture,
        hyperparameters=Hyperparameters(
            **training.model_dump(exclude={"save_initial"}),
            activation=choices.activation,
            initialisation=choices.initialisation,
        ),
        spec_hash=digest(spec) if facts.content_sha256 else "",
        groups=tuple(
            Group(number, batch, _shards(number, len(batch), ranges, row_bytes)) for number, batch in enumerate(batches)
        ),
    )


def scientific_spec(config: ZooConfig, facts: DatasetFacts) -> dict[str, Any]:
    """What is hashed: the scientific part of the configuration and the dataset's content."""
    return {"format": FORMAT_VERSION, **config.scientific(), "dataset_sha256": facts.content_sha256}


def digest(value: Any) -> str:
    """sha256 (hex) of plain JSON types in canonical form."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


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


def _models(config: ZooConfig, facts: DatasetFacts, spec: dict[str, Any]) -> tuple[PlannedModel, ...]:
    population = config.zoo.population
    seeds = range(population.first_seed, population.first_seed + population.models)
    if facts.content_sha256 is None:
        return tuple(PlannedModel(model_id, "", seed, "") for model_id, seed in enumerate(seeds))
    # What is saved of a model does not change the model.
    training = {key: value for key, value in spec["training"].items() if key != "save_initial"}
    shared = {"dataset_sha256": spec["dataset_sha256"], "model": spec["model"], "training": training}
    keys = [digest({**shared, "seed": seed})[:32] for seed in seeds]
    return tuple(
        PlannedModel(model_id, key, seed, split)
        for model_id, (key, seed, split) in enumerate(zip(keys, seeds, _splits(keys), strict=True))
    )


def _splits(keys: Sequence[str]) -> list[str]:
    """Train, validation or test for every model: exact shares, in the order of a hash of the models' keys."""
    order = sorted(range(len(keys)), key=lambda index: digest(["split", keys[index]]))
    splits = [""] * len(keys)
    start, share = 0, 0.0
    for name, part in SPLITS:
        share += part
        end = round(share * len(keys))
        for index in order[start:end]:
            splits[index] = name
        start = end
    return splits
