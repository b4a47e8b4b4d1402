"""A bag of any size from few real trajectories: their hidden units change places, in all epochs alike.

A network with renumbered units is another point of weight space and computes the same function, so that one trajectory
yields as many distinct, real ones as are wanted.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import load_dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.schema import ELEMENT, LAYOUT_KEY, LEAF, ROW_GROUP_ROWS
from zoo_pipeline.training import Engine, GroupTraining, Member
from zoo_pipeline.trajectories.exchange import HiddenUnits

REAL, EPOCHS = 200, 50  # trajectories that are trained, and checkpoints of each, the initialisation left out
SHARD_ROWS = 10_000
NETWORK = Architecture("cnn-s", (1, 28, 28), 10)  # d = 2,464
_HOW = Hyperparameters("adam", 1e-3, 32, EPOCHS, data_fraction=0.1)
_RATES = (5e-4, 1e-3, 2e-3, 3e-3)


@dataclass(frozen=True)
class RenumberedBag:
    """Checkpoints in a shuffled order, made when they are asked for.

    Attributes:
        real: float32[REAL, EPOCHS, d], the trained ones.
        columns: uint16[models, d], which weight of the real model each weight of a model is.
        order: int64[n], the shuffle: row i is checkpoint order[i] % EPOCHS of model order[i] // EPOCHS.
    """

    real: NDArray[np.float32]
    columns: NDArray[np.uint16]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, real: NDArray[np.float32], checkpoints: int, seed: int = 0) -> "RenumberedBag":
        """Renumber models until there are so many checkpoints; the last model may lack its last ones."""
        generator = np.random.default_rng(seed)
        models = -(-checkpoints // EPOCHS)
        layout = Layout.of(NETWORK.tensors)
        columns = np.stack([renumbered(layout, generator) for _ in range(models)]).astype(np.uint16)
        columns[: len(real)] = np.arange(layout.dimension)  # the real ones are among them
        return cls(real, columns, generator.permutation(checkpoints))

    def rows(self, which: slice) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
        """Some rows: weights float32[m, d], model_id int32[m], epoch int32[m], which counts from 1."""
        model, epoch = np.divmod(self.order[which], EPOCHS)
        weights = np.take_along_axis(self.real[model % len(self.real), epoch], self.columns[model].astype(np.int64), 1)
        return weights, model.astype(np.int32), (epoch + 1).astype(np.int32)

    def shards(self) -> Iterator[pa.Table]:
        """All rows, shard by shard, as docs/format.md has them."""
        layout = Layout.of(NETWORK.tensors)
        fields = [pa.field("model_id", pa.int32()), pa.field("epoch", pa.int32())]
        vectors = pa.list_(ELEMENT, layout.dimension)
        schema = pa.schema([*fields, pa.field("weights", vectors)], metadata={LAYOUT_KEY: layout.to_json().encode()})
        for start in range(0, len(self.order), SHARD_ROWS):
            weights, model_id, epoch = self.rows(slice(start, start + SHARD_ROWS))
            flat = pa.FixedSizeListArray.from_arrays(pa.array(weights.reshape(-1)), type=vectors)
            yield pa.table([pa.array(model_id), pa.array(epoch), flat], schema=schema)

    def write(self, folder: Path) -> None:
        """Write the shards; one at a time is in memory."""
        folder.mkdir(parents=True, exist_ok=True)
        for number, table in enumerate(self.shards()):
            pq.write_table(
                table,
                folder / f"rows-{number:05d}.parquet",
                compression="zstd",
                compression_level=1,
                row_group_size=ROW_GROUP_ROWS,
                use_dictionary=["model_id", "epoch"],
                write_statistics=False,
                column_encoding={f"weights.{LEAF}": "BYTE_STREAM_SPLIT"},
                write_page_checksum=True,
            )


def train_real(network: Architecture = NETWORK, device: str = "cpu") -> NDArray[np.float32]:
    """Train the real trajectories, small networks on the digits at 28 × 28 pixels: float32[REAL, EPOCHS, d]."""
    engine = Engine(stack=1) if device == "cpu" else Engine(capture=True)
    data = load_dataset("digits").resized(28)
    paths = []
    for number, rate in enumerate(_RATES):
        how = Hyperparameters(**{**vars(_HOW), "learning_rate": rate})
        seeds = range(number * REAL // len(_RATES), (number + 1) * REAL // len(_RATES))
        training = GroupTraining(network, [Member(seed, how) for seed in seeds], data, engine, device)
        path = []
        for _ in range(EPOCHS):
            training.advance()
            path.append(training.weights())
        paths.append(np.stack(path, axis=1))
    return np.concatenate(paths)


def renumbered(layout: Layout, generator: np.random.Generator) -> NDArray[np.int64]:
    """Where each weight comes from when the hidden units of every layer change places: int64[d]."""
    units = HiddenUnits.of(layout)
    places = [generator.permutation(size) for size in units.sizes]
    columns = np.arange(layout.dimension)
    for use in units.uses:
        numbers = columns[use.columns].reshape(use.shape)
        outer = np.arange(use.shape[0]) if use.outer is None else places[use.outer]
        inner = np.arange(use.shape[1]) if use.inner is None else places[use.inner]
        columns[use.columns] = numbers[outer][:, inner].reshape(-1)
    return columns
