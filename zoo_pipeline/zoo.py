"""`Zoo`: open a run and read it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.config import ZooSpec
from zoo_pipeline.errors import StoreError
from zoo_pipeline.models import Layout, build
from zoo_pipeline.points import points
from zoo_pipeline.store.rundir import CHECKPOINTS, MODELS, RunDirectory
from zoo_pipeline.store.schema import SCALAR_NAMES, SCALARS
from zoo_pipeline.store.shards import open_shard, read_footer, read_layout, weight_rows

Ids = Sequence[int] | None


class Zoo:
    """A run, complete or not, for reading.

    Rows come in the order of the shards and, within them, of (model_id, epoch). An incomplete run is read as far as
    it goes, and says so in `complete`.

    Attributes:
        root: where the run is.
        files: the run's files.
        complete: whether the manifest is there.
        spec: the content of spec.json.
        layout: which slice of the weights is which tensor.
    """

    def __init__(self, root: str) -> None:
        run = RunDirectory(root)
        self.root = root
        self.files = run.files
        self.spec: dict[str, Any] = run.spec
        manifest = run.manifest
        self.complete = manifest is not None
        if manifest is not None:
            self._shards = [str(shard["shard"]) for shard in manifest["shards"]]
        else:
            names = self.files.names(CHECKPOINTS)
            self._shards = [f"{CHECKPOINTS}/{name}" for name in names if name.endswith(".parquet")]
        if not self._shards:
            raise StoreError(f"{root}: has no checkpoints yet; run zoo train")
        with open_shard(self.files, self._shards[0]) as shard:
            self.layout: Layout = self._layout_of(shard, self._shards[0])

    @property
    def key(self) -> str:
        """The run's key in analysis tables: the first digits of its spec_hash."""
        return str(self.spec["spec_hash"])[:12]

    @property
    def diverged(self) -> set[int]:
        """Ids of the models flagged in the shards as diverged."""
        return {model_id for name in self._shards for model_id in read_footer(self.files, name)["diverged"]}

    @property
    def models(self) -> pa.Table:
        """One row per model (models.parquet).

        Raises:
            StoreError: the run is incomplete.
        """
        if not self.complete:
            raise StoreError(f"{self.root}: incomplete, models.parquet comes last; run zoo train with --resume")
        with open_shard(self.files, MODELS) as file:
            return file.read(use_threads=False)

    def checkpoints(self, model_ids: Ids = None, epochs: Ids = None) -> pa.Table:
        """The scalar columns of all checkpoints, or of those of some models and epochs."""
        tables = [batch for batch, _ in self._batches(SCALAR_NAMES, model_ids, epochs)]
        return pa.concat_tables(tables or [pa.schema(SCALARS).empty_table()]).combine_chunks()

    def weights(self, model_ids: Ids = None, epochs: Ids = None) -> NDArray[np.float32]:
        """The weights float32[n, d] of the same rows, in the same order, as `checkpoints`."""
        rows = sum(len(batch) for batch, _ in self._batches(["model_id", "epoch"], model_ids, epochs))
        weights = np.empty((rows, self.layout.dimension), dtype=np.float32)
        start = 0
        for batch, keep in self._batches(["model_id", "epoch", "weights"], model_ids, epochs, filtered=False):
            end = start + int(keep.sum())
            np.compress(keep, weight_rows(batch["weights"]), axis=0, out=weights[start:end])
            start = end
        return weights

    def load_model(self, model_id: int, epoch: int) -> nn.Module:
        """The network of one checkpoint, ready to be called.

        Raises:
            StoreError: there is no such checkpoint, or the run's network is not one of ours.
        """
        weights = self.weights([model_id], [epoch])
        if len(weights) == 0:
            raise StoreError(f"{self.root}: has no checkpoint of model {model_id} after epoch {epoch}")
        architecture = self._architecture()
        module = build(architecture, self._activation(model_id))
        module.load_state_dict(self.layout.unflatten(torch.from_numpy(weights[0])))
        return module

    def _architecture(self) -> Architecture:
        missing = [key for key in ("spec", "image_shape", "classes") if key not in self.spec]
        if missing:
            raise StoreError(
                f"{self.root}: spec.json lacks {', '.join(missing)}, so what network this is; use weights() and layout"
            )
        spec = self.spec["spec"]
        return Architecture(
            name=spec["model"]["architecture"],
            input_shape=tuple(self.spec["image_shape"]),
            classes=self.spec["classes"],
            hidden=tuple(spec["model"]["hidden"]),
            bias=spec["model"]["bias"],
        )

    def _activation(self, model_id: int) -> str:
        """The nonlinearity of a model: from its row, or as long as there is none, from the specification."""
        if self.complete:
            models = self.models
            if "activation" not in models.column_names:
                raise StoreError(f"{self.root}: {MODELS} has no column activation; use weights() and layout")
            return str(models.filter(pc.equal(models["model_id"], model_id))["activation"][0].as_py())
        spec = {key: value for key, value in self.spec["spec"].items() if key in ZooSpec.model_fields}
        try:
            zoo = ZooSpec.model_validate_json(json.dumps(spec))
        except ValidationError:
            raise StoreError(
                f"{self.root}: incomplete, and the spec in spec.json is not one that this version makes, so the "
                f"activation of model {model_id} is unknown; use weights() and layout"
            ) from None
        return points(zoo)[model_id // zoo.population.seeds].activation

    def _layout_of(self, shard: pq.ParquetFile, name: str) -> Layout:
        try:
            return read_layout(shard)
        except StoreError as error:
            raise StoreError(f"{self.files.at(name)}: {error}") from None

    def _batches(
        self, columns: list[str], model_ids: Ids, epochs: Ids, filtered: bool = True
    ) -> Iterator[tuple[pa.Table, NDArray[np.bool_]]]:
        """Row group by row group: the columns, and which rows are wanted; row groups without any are not read."""
        for name in self._shards:
            with open_shard(self.files, name) as shard:
                if self._layout_of(shard, name) != self.layout:
                    raise StoreError(f"{self.files.at(name)}: has another layout than {self._shards[0]}")
                for index in range(shard.num_row_groups):
                    if not _may_hold(shard, index, model_ids):
                        continue
                    batch = shard.read_row_group(index, columns=columns, use_threads=False)
                    keep = np.ones(len(batch), dtype=bool)
                    for column, wanted in (("model_id", model_ids), ("epoch", epochs)):
                        if wanted is not None:
                            keep &= np.isin(batch[column].to_numpy(), list(wanted))
                    yield (batch.filter(pa.array(keep)) if filtered else batch), keep


def _may_hold(shard: pq.ParquetFile, index: int, model_ids: Ids) -> bool:
    """Whether a row group may have rows of these models, by its statistics."""
    if model_ids is None:
        return True
    statistics = shard.metadata.row_group(index).column(0).statistics
    if shard.schema_arrow.names[0] != "model_id" or statistics is None or not statistics.has_min_max:
        return True
    return any(statistics.min <= model_id <= statistics.max for model_id in model_ids)
