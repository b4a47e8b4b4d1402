"""The configuration of a zoo: what is trained (`zoo`, hashed) apart from how it is run (`resources`, not hashed)."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
DatasetName = Literal["digits", "tetris", "mnist", "mnist-10k"]


class Part(BaseModel):
    """Base of all parts: immutable, unknown keys refused, no silent conversions, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ModelConfig(Part):
    """The network that every model of the zoo is an instance of."""

    architecture: Literal["mlp", "cnn-s", "cnn-l"] = Field(description="network family")
    hidden: tuple[Annotated[int, Field(ge=1, le=65536)], ...] = Field(
        default=(), max_length=16, description="widths of the hidden layers of an mlp, such as [16]"
    )
    bias: bool = Field(default=True, description="whether layers have biases")
    activation: Literal["tanh", "relu", "sigmoid", "gelu", "silu", "leaky_relu"] = Field(
        default="tanh", description="nonlinearity after every layer but the last"
    )
    initialisation: Literal[
        "default", "uniform", "normal", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal"
    ] = Field(default="default", description="how weights start; default is torch's own, the others set biases to 0.01")

    @model_validator(mode="after")
    def _hidden_is_for_mlps(self) -> Self:
        if self.hidden and self.architecture != "mlp":
            raise ValueError(f"hidden widths are for mlp, but architecture is {self.architecture}; remove hidden")
        return self


class TrainingConfig(Part):
    """How every model of the zoo is trained."""

    optimizer: Literal["sgd", "adam", "adamw", "rmsprop"] = Field(description="torch's optimiser of that name")
    learning_rate: float = Field(gt=0, le=1e3, description="step size, constant over training")
    momentum: float = Field(default=0.0, ge=0, lt=1, description="of sgd")
    weight_decay: float = Field(default=0.0, ge=0, le=1e3, description="L2 penalty")
    batch_size: int = Field(ge=1, description="images per step; the last batch of an epoch may be smaller")
    epochs: int = Field(ge=1, le=100_000, description="passes over the training data; a checkpoint after each")
    save_initial: bool = Field(default=True, description="whether epoch 0, the initialisation, is saved")

    @model_validator(mode="after")
    def _momentum_is_for_sgd(self) -> Self:
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"momentum is for sgd, but optimizer is {self.optimizer}; remove momentum")
        return self


class PopulationConfig(Part):
    """Which models there are, and how many one task trains together."""

    models: int = Field(ge=1, le=10_000_000, description="number of models, one seed each")
    first_seed: int = Field(default=0, ge=0, le=2**62, description="seed of model 0; model i has first_seed + i")
    group_size: int = Field(default=32, ge=1, description="models per group, at most; fewer if a shard grows too large")


class ZooSpec(Part):
    """The scientific part: what is trained. Its hash is the run's `spec_hash`."""

    dataset: DatasetName = Field(description="what the models learn")
    model: ModelConfig = Field(description="the network")
    training: TrainingConfig = Field(description="the optimisation")
    population: PopulationConfig = Field(description="the models")


class Resources(Part):
    """What one training task may use; never part of the hash."""

    num_cpus: float = Field(default=1, ge=0.01, le=4096, description="CPUs that Ray reserves per task")
    num_gpus: float = Field(default=0, ge=0, le=64, description="GPUs that Ray reserves per task; fractions share one")
    threads: int = Field(default=1, ge=1, le=1024, description="torch threads per task, fixed for a run at its start")


class ZooConfig(Part):
    """One zoo: a recipe in YAML."""

    name: Name = Field(description="the zoo's name, for people")
    description: str = Field(default="", max_length=2000, description="what it is for, one sentence")
    zoo: ZooSpec = Field(description="what is trained")
    resources: Resources = Field(default=Resources(), description="how it is run")

    def scientific(self) -> dict[str, Any]:
        """The part that is hashed, as plain JSON types with every default written out."""
        return self.zoo.model_dump(mode="json")
