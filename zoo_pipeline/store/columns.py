"""What the columns of a run's tables mean, in docs/format.md's words: for whoever reads them elsewhere."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column: its unit, empty where it has none, and its meaning."""

    unit: str
    meaning: str


CHECKPOINT_COLUMNS = {
    "model_id": Column("", "number of the model within the run, from 0"),
    "epoch": Column("epochs", "passes over the training data so far; 0 is the initialisation"),
    "step": Column("steps", "optimiser steps taken so far"),
    "train_loss": Column(
        "nats",
        "mean cross-entropy after this epoch over all training images that the model sees, with the labels that it "
        "sees (`data_fraction`, `label_noise`)",
    ),
    "train_accuracy": Column("fraction, 0 to 1", "of the same images classified as these labels say"),
    "test_loss": Column("nats", "mean cross-entropy over all test images"),
    "test_accuracy": Column("fraction, 0 to 1", "of test images classified correctly"),
    "weights": Column("", "all trainable parameters in the order of the layout"),
}
MODEL_COLUMNS = {
    "model_id": Column("", "as in the shards"),
    "model_key": Column("", "32 hexadecimal digits; the same model has the same key in every run"),
    "group": Column("", "the group that it was trained in"),
    "seed": Column("", "decides initialisation, data order, dropout and wrong labels"),
    "split": Column(
        "",
        "`train`, `validation` or `test`: 70, 15 and 15 % of the models, for learning *about* them; by a hash of the "
        "keys",
    ),
    "dataset": Column("", "name of the dataset"),
    "architecture": Column("", "`mlp`, `cnn-s`, `cnn-l` or `resnet-18`"),
    "hidden": Column("", "widths of an MLP's hidden layers"),
    "bias": Column("", "whether layers have biases"),
    "image_side": Column("pixels", "side of the square that images were resized to; null: as they are"),
    "activation": Column("", "the nonlinearity"),
    "initialisation": Column("", "how weights start"),
    "optimizer": Column("", "`sgd`, `adam`, `adamw` or `rmsprop`"),
    "learning_rate": Column("", "step size; the largest of its schedule"),
    "momentum": Column(
        "", "of sgd and rmsprop; 0 for the others, and under `onecycle`, which moves it from 0.95 to 0.85 and back"
    ),
    "weight_decay": Column("", "L2 penalty; of adamw decoupled from the gradient"),
    "batch_size": Column("images", "per optimiser step"),
    "epochs": Column("epochs", "trained"),
    "schedule": Column("", "`constant`, `cosine`, `step` or `onecycle`"),
    "schedule_epochs": Column("epochs", "between two drops of `step`; 0 for the others"),
    "schedule_factor": Column("", "what each drop of `step` multiplies by; 0 for the others"),
    "dropout": Column("", "probability that a hidden unit is silenced in a step"),
    "label_noise": Column("fraction", "of the training labels made wrong"),
    "data_fraction": Column("fraction", "of the training images used"),
    "parent_run": Column("", "the run whose model this one continues; null so far"),
    "parent_model_id": Column("", "that model; null so far"),
    "parent_epoch": Column("epochs", "the checkpoint it continues from; null so far"),
    "status": Column("", "`ok` or `diverged`"),
}
# Of imported runs, where nobody here measured or numbered anything; other columns are as their source has them.
IMPORTED_COLUMNS = {
    "model_id": Column("", "number of the model within the run, from 0, in the order of the names"),
    "epoch": Column("epochs", "as the names or files say; -1 where they do not"),
    "step": Column("steps", "optimiser steps, as the names or files say; -1 where they do not"),
    "weights": CHECKPOINT_COLUMNS["weights"],
    "model_key": Column("", "32 hexadecimal digits, of the sources and the name"),
    "group": Column("", "the shard that it begins in"),
    "name": Column("", "what the names of the files call the model"),
    "split": Column(
        "",
        "`train`, `validation` or `test`, for learning *about* models: as in the run that was exported, else by a hash "
        "of the names",
    ),
    "status": Column("", "`diverged` where a weight is not finite, else `ok`"),
}
BUFFERS = Column("", "all buffers, such as BatchNorm's running statistics, in the order of their layout")
