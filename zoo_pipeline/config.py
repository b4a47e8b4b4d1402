"""The configuration of a zoo: what is trained (`zoo`, hashed) apart from how it is run (`resources`, not hashed)."""

from math import prod
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from zoo_pipeline.architecture import RESNETS
from zoo_pipeline.axes import (
    Activation,
    BatchSize,
    DataFraction,
    Dropout,
    Grid,
    Initialisation,
    LabelNoise,
    LearningRate,
    Momentum,
    Optimizer,
    Part,
    Point,
    RandomPoints,
    Schedule,
    WeightDecay,
)
from zoo_pipeline.counts import plural

MOST_MODELS = 10_000_000
WITH_MOMENTUM = ("sgd", "rmsprop")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class ModelConfig(Part):
    """The network that every model of the zoo is an instance of."""

    architecture: Literal["mlp", "cnn-s", "cnn-l", "resnet-18"] = Field(description="network family")
    hidden: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(
        default=(), max_length=16, description="widths of the hidden layers of an mlp, such as [16]"
    )
    bias: bool = Field(default=True, description="whether layers have biases")
    image_side: int | None = Field(
        default=None, ge=1, le=4096, description="side of the square that images are resized to; null: as they are"
    )
    activation: Activation = "tanh"
    initialisation: Initialisation = "default"

    @model_validator(mode="after")
    def _layers_fit_the_architecture(self) -> Self:
        if self.hidden and self.architecture != "mlp":
            raise ValueError(f"hidden widths are for mlp, but architecture is {self.architecture}; remove hidden")
        if not self.bias and self.architecture in RESNETS:
            raise ValueError(f"bias cannot be left out of {self.architecture}; remove bias")
        return self


class TrainingConfig(Part):
    """How every model of the zoo is trained, as far as no axis of the population says otherwise."""

    optimizer: Optimizer
    learning_rate: LearningRate
    momentum: Momentum = 0.0
    weight_decay: WeightDecay = 0.0
    batch_size: BatchSize
    epochs: int = Field(ge=1, le=100_000, description="passes over the training data; a checkpoint after each")
    schedule: Schedule = "constant"
    schedule_epochs: int | None = Field(default=None, ge=1, description="epochs between two drops of schedule step")
    schedule_factor: float | None = Field(
        default=None, gt=0, le=1, description="what each drop of schedule step multiplies by; null: 0.1"
    )
    dropout: Dropout = 0.0
    label_noise: LabelNoise = 0.0
    data_fraction: DataFraction = 1.0
    save_initial: bool = Field(default=True, description="whether epoch 0 is saved")


class PopulationConfig(Part):
    """Which models there are: hyperparameter points times seeds; and how many one task trains together."""

    seeds: int = Field(ge=1, le=MOST_MODELS, description="models per hyperparameter point, one seed each")
    first_seed: int = Field(default=0, ge=0, le=2**62, description="lowest of the fixed seeds, or root of the random")
    seeding: Literal["fixed", "random"] = Field(
        default="fixed", description="fixed: every point has the seeds from first_seed on; random: every model its own"
    )
    group_size: int = Field(default=32, ge=1, description="models per group, at most; fewer if a shard grows too large")
    grid: Grid | None = Field(default=None, description="points: all combinations of the values given")
    random: RandomPoints | None = Field(default=None, description="points: drawn at random")
    list: tuple[Point, ...] | None = Field(default=None, min_length=1, description="points: one by one")

    @model_validator(mode="after")
    def _one_kind_of_points(self) -> Self:
        kinds = [kind for kind in ("grid", "random", "list") if getattr(self, kind) is not None]
        if len(kinds) > 1:
            raise ValueError(f"has {' and '.join(kinds)}, but points are given in one way only; remove all but one")
        if self.models > MOST_MODELS:
            raise ValueError(
                f"{plural(self.points, 'point')} of {plural(self.seeds, 'seed')} make {self.models:,} models, more "
                f"than {MOST_MODELS:,}; use fewer points or seeds"
            )
        return self

    @property
    def points(self) -> int:
        """Number of hyperparameter points; 1 where no axis varies."""
        if self.grid is not None:
            return prod(len(values) for values in self.grid.given.values())
        if self.random is not None:
            return self.random.points
        return len(self.list) if self.list is not None else 1

    @property
    def models(self) -> int:
        """Number of models."""
        return self.points * self.seeds

    def possible(self, axis: str, base: Any) -> set[Any]:
        """The names that models may have along an axis of names; `base` where the zoo's own applies."""
        if self.grid is not None:
            return set(self.grid.given.get(axis, (base,)))
        if self.random is not None:
            draw = self.random.axes.given.get(axis)
            return {base} if draw is None else set(draw.choice)
        return {point.given.get(axis, base) for point in self.list or ()} or {base}

    def varies(self, axis: str) -> bool:
        """Whether an axis is among the points'."""
        if self.random is not None:
            return axis in self.random.axes.given
        return any(axis in part.given for part in (self.grid, *(self.list or ())) if part is not None)


class ZooSpec(Part):
    """The scientific part: what is trained. Its hash is the run's `spec_hash`."""

    dataset: str = Field(
        min_length=1,
        max_length=4096,
        description="what the models learn: a dataset's name, or the path or URI of one's own",
    )
    model: ModelConfig = Field(description="the network")
    training: TrainingConfig = Field(description="the optimisation")
    population: PopulationConfig = Field(description="the models")

    @model_validator(mode="after")
    def _momentum_is_used(self) -> Self:
        optimizers = self.population.possible("optimizer", self.training.optimizer)
        given = self.training.momentum > 0 or self.population.varies("momentum")
        if given and not optimizers & set(WITH_MOMENTUM):
            where = "training.momentum" if self.training.momentum > 0 else "population: the axis momentum"
            raise ValueError(
                f"{where} is for {' and '.join(WITH_MOMENTUM)}, but optimizer is {' or '.join(sorted(optimizers))}; "
                f"remove it"
            )
        schedules = self.population.possible("schedule", self.training.schedule)
        if self.population.varies("momentum") and schedules == {"onecycle"}:
            raise ValueError(
                "population: the axis momentum makes no difference, for schedule onecycle moves momentum by itself; "
                "remove it"
            )
        return self

    @model_validator(mode="after")
    def _dropout_is_used(self) -> Self:
        if self.model.architecture in RESNETS and (self.training.dropout > 0 or self.population.varies("dropout")):
            raise ValueError(f"dropout is for mlp and the CNNs, {self.model.architecture} has none; remove dropout")
        return self

    @model_validator(mode="after")
    def _steps_are_said_where_needed(self) -> Self:
        steps = "step" in self.population.possible("schedule", self.training.schedule)
        if steps and self.training.schedule_epochs is None:
            raise ValueError("training.schedule_epochs: missing, but schedule step drops every so many epochs; add it")
        for field in ("schedule_epochs", "schedule_factor"):
            if not steps and getattr(self.training, field) is not None:
                raise ValueError(f"training.{field} is for schedule step, which no model has; remove {field}")
        return self


class Resources(Part):
    """What one training task may use, and how it computes; never part of the hash, fixed for a run at its start."""

    num_cpus: float = Field(default=1, ge=0.01, le=4096, description="CPUs that Ray reserves per task")
    num_gpus: float = Field(default=0, ge=0, le=64, description="GPUs that Ray reserves per task; fractions share one")
    threads: int | None = Field(default=None, ge=1, le=1024, description="torch threads per task; null: measured")
    stack: int | None = Field(default=None, ge=1, description="models trained at once within a task; null: measured")
    capture: bool | None = Field(default=None, description="whether a GPU replays CUDA graphs; null: measured")


class ZooConfig(Part):
    """One zoo: a recipe in YAML."""

    name: Name = Field(description="the zoo's name, for people")
    description: str = Field(default="", max_length=2000, description="what it is for, one sentence")
    zoo: ZooSpec = Field(description="what is trained")
    resources: Resources = Field(default=Resources(), description="how it is run")

    def scientific(self) -> dict[str, Any]:
        """The part that is hashed, as plain JSON types with every default written out."""
        return self.zoo.model_dump(mode="json")
