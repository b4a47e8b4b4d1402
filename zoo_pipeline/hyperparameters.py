"""The numbers that say how a model is trained, as a plain value that training takes without pydantic."""

from dataclasses import dataclass

OPTIMIZERS = ("sgd", "adam")


@dataclass(frozen=True)
class Hyperparameters:
    """How one model is trained; the meaning of each is torch's.

    Attributes:
        optimizer: one of `OPTIMIZERS`.
        learning_rate: step size, constant over training.
        momentum: of SGD.
        weight_decay: L2 penalty, added to the gradient as torch's SGD and Adam do.
        batch_size: images per step; the last batch of an epoch may be smaller.
        epochs: passes over the training data.
    """

    optimizer: str
    learning_rate: float
    momentum: float
    weight_decay: float
    batch_size: int
    epochs: int
