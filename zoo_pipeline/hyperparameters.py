"""The numbers and names that say how a model is trained, as a plain value that training takes without pydantic."""

from dataclasses import dataclass

OPTIMIZERS = ("sgd", "adam", "adamw", "rmsprop")
SCHEDULES = ("constant", "cosine", "step", "onecycle")
ACTIVATIONS = ("tanh", "relu", "sigmoid", "gelu", "silu", "leaky_relu")
INITIALISATIONS = (
    "default",
    "uniform",
    "normal",
    "kaiming_uniform",
    "kaiming_normal",
    "xavier_uniform",
    "xavier_normal",
)


@dataclass(frozen=True)
class Hyperparameters:
    """How one model is trained; the meaning of each is torch's.

    Attributes:
        optimizer: one of `OPTIMIZERS`.
        learning_rate: step size; the largest of its schedule.
        batch_size: images per step; the last batch of an epoch may be smaller.
        epochs: passes over the training data.
        momentum: of sgd and rmsprop; 0 for the others, and under "onecycle", which moves it from 0.95 to 0.85 and back.
        weight_decay: L2 penalty added to the gradient; of adamw decoupled from it.
        activation: one of `ACTIVATIONS`, behind every layer but the last.
        initialisation: one of `INITIALISATIONS`; "default" is torch's own.
        dropout: probability that a hidden unit is silenced in a training step.
        label_noise: fraction of the training labels that are replaced by other classes, for good.
        data_fraction: fraction of the training images that are used.
        schedule: one of `SCHEDULES`: constant; cosine to 0 over training (by epoch); a factor every so many epochs;
            or torch's OneCycleLR (by optimiser step).
        schedule_epochs: epochs between two drops of "step".
        schedule_factor: what each drop of "step" multiplies by.
    """

    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    momentum: float = 0.0
    weight_decay: float = 0.0
    activation: str = "tanh"
    initialisation: str = "default"
    dropout: float = 0.0
    label_noise: float = 0.0
    data_fraction: float = 1.0
    schedule: str = "constant"
    schedule_epochs: int = 0
    schedule_factor: float = 0.0

    @property
    def computation(self) -> tuple[str, str, int, int, bool, float]:
        """What must be equal for models to be trained together; everything else may differ within a group."""
        return (self.optimizer, self.activation, self.batch_size, self.epochs, self.dropout > 0, self.data_fraction)
