"""The hyperparameters that the models of one zoo may differ in: their allowed values, and three ways to vary them."""

from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator


class Part(BaseModel):
    """Base of all parts: immutable, unknown keys refused, no silent conversions, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Optimizer = Annotated[Literal["sgd", "adam", "adamw", "rmsprop"], Field(description="torch's optimiser of that name")]
LearningRate = Annotated[float, Field(gt=0, le=1e3, description="step size; the largest of its schedule")]
WeightDecay = Annotated[float, Field(ge=0, le=1e3, description="L2 penalty; of adamw decoupled from the gradient")]
Momentum = Annotated[float, Field(ge=0, lt=1, description="of sgd and rmsprop; 0 for models of other optimisers")]
BatchSize = Annotated[int, Field(ge=1, description="images per step; the last batch of an epoch may be smaller")]
Schedule = Annotated[
    Literal["constant", "cosine", "step", "onecycle"], Field(description="how the learning rate changes over training")
]
Dropout = Annotated[float, Field(ge=0, lt=1, description="probability that a hidden unit is silenced in a step")]
LabelNoise = Annotated[float, Field(ge=0, le=1, description="fraction of the training labels that are made wrong")]
DataFraction = Annotated[float, Field(gt=0, le=1, description="fraction of the training images that are used")]
Activation = Annotated[
    Literal["tanh", "relu", "sigmoid", "gelu", "silu", "leaky_relu"],
    Field(description="nonlinearity after every layer but the last"),
]
Initialisation = Annotated[
    Literal["default", "uniform", "normal", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal"],
    Field(description="how weights start; default is torch's own, the others set biases to 0.01"),
]

T = TypeVar("T")
Values = Annotated[tuple[T, ...], Field(min_length=1)]
Range = tuple[T, T]

# What one may look for among the axes, and what to do instead.
NO_AXES = {
    **dict.fromkeys(
        ("architecture", "hidden", "bias", "image_side"),
        "is no axis, for all models of a run share one layout; give zoo.model a list of models: a run each",
    ),
    "dataset": "is no axis, for all models of a run share their data; give zoo.dataset a list of names: a run each",
    "epochs": "is no axis, for all models of a run are trained equally long; set zoo.training.epochs",
    **dict.fromkeys(
        ("seed", "seeds"), "is no axis; set zoo.population.seeds (models per point), first_seed and seeding"
    ),
}


class Sparse(Part):
    """A part of which only what is given is written down."""

    @model_serializer(mode="wrap")
    def _without_absent(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in handler(self).items() if value is not None}

    @property
    def given(self) -> dict[str, Any]:
        """What is given, in the order of the fields, whatever the order in the recipe."""
        values = ((name, getattr(self, name)) for name in type(self).model_fields)
        return {name: value for name, value in values if value is not None}


class Axes(Sparse):
    """Something about at least one axis."""

    @model_validator(mode="after")
    def _at_least_one(self) -> Self:
        if not self.given:
            raise ValueError(f"names no axis; give one of {', '.join(type(self).model_fields)}, or remove it")
        return self


class Point(Axes):
    """The hyperparameters of one point that differ from the zoo's."""

    optimizer: Optimizer | None = None
    learning_rate: LearningRate | None = None
    weight_decay: WeightDecay | None = None
    momentum: Momentum | None = None
    batch_size: BatchSize | None = None
    schedule: Schedule | None = None
    dropout: Dropout | None = None
    label_noise: LabelNoise | None = None
    data_fraction: DataFraction | None = None
    activation: Activation | None = None
    initialisation: Initialisation | None = None


class Grid(Axes):
    """Values along each axis; the points are all their combinations, the last of these axes changing fastest."""

    optimizer: Values[Optimizer] | None = None
    learning_rate: Values[LearningRate] | None = None
    weight_decay: Values[WeightDecay] | None = None
    momentum: Values[Momentum] | None = None
    batch_size: Values[BatchSize] | None = None
    schedule: Values[Schedule] | None = None
    dropout: Values[Dropout] | None = None
    label_noise: Values[LabelNoise] | None = None
    data_fraction: Values[DataFraction] | None = None
    activation: Values[Activation] | None = None
    initialisation: Values[Initialisation] | None = None


class Draw(Sparse, Generic[T]):
    """How the values of an axis are drawn; exactly one way."""

    choice: Values[T] | None = Field(default=None, description="one of these, all equally likely")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if len(self.given) != 1:
            ways = ", ".join(type(self).model_fields)
            raise ValueError(f"is drawn in {len(self.given)} ways, expected one of {ways}")
        ((way, values),) = self.given.items()
        if way != "choice" and values[0] >= values[1]:
            raise ValueError(f"{way} goes from {values[0]} to {values[1]}; give the lower end first")
        if way == "log_uniform" and values[0] <= 0:
            raise ValueError(f"log_uniform starts at {values[0]}, whose logarithm is not finite; start above 0")
        return self


class NumberDraw(Draw[T], Generic[T]):
    """A draw of a real number."""

    log_uniform: Range[T] | None = Field(default=None, description="between two numbers, its logarithm uniform")
    uniform: Range[T] | None = Field(default=None, description="between two numbers, uniform")


class IntegerDraw(Draw[T], Generic[T]):
    """A draw of a whole number."""

    integer: Range[T] | None = Field(default=None, description="from the first to the second, both included")


class RandomAxes(Axes):
    """How the values along each axis are drawn."""

    optimizer: Draw[Optimizer] | None = None
    learning_rate: NumberDraw[LearningRate] | None = None
    weight_decay: NumberDraw[WeightDecay] | None = None
    momentum: NumberDraw[Momentum] | None = None
    batch_size: IntegerDraw[BatchSize] | None = None
    schedule: Draw[Schedule] | None = None
    dropout: NumberDraw[Dropout] | None = None
    label_noise: NumberDraw[LabelNoise] | None = None
    data_fraction: NumberDraw[DataFraction] | None = None
    activation: Draw[Activation] | None = None
    initialisation: Draw[Initialisation] | None = None


class RandomPoints(Part):
    """Points whose hyperparameters are drawn at random, from the zoo's first seed."""

    points: int = Field(ge=1, le=10_000_000, description="number of points")
    axes: RandomAxes = Field(description="how each hyperparameter is drawn")


AXES = tuple(Point.model_fields)
