"""`Zoo`: open a run and read it."""

import json
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import nn

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.axes import Activation
from zoo_pipeline.config import ZooSpec
from zoo_pipeline.errors import StoreError
from zoo_pipeline.models import Layout, build
from zoo_pipeline.points import points
from zoo_pipeline.store.bag import Bag, named
from zoo_pipeline.store.moments import Last, alike, rows_meant
from zoo_pipeline.store.reading import CheckpointFiles
from zoo_pipeline.store.remedies import GO_ON
from zoo_pipeline.store.rundir import CHECKPOINTS, MODELS, RunDirectory, is_imported
from zoo_pipeline.store.schema import METRIC_NAMES, SCALAR_NAMES, buffers_schema, checkpoint_schema
from zoo_pipeline.store.shards import open_shard, read_footer
from zoo_pipeline.store.shares import FileShare, file_shares

Ids = Sequence[int] | None
Columns = Sequence[str] | str | None


class Zoo:
    """A run, complete or not, for reading.

    Rows come in the order of the shards (by group, then by epoch range) and, within them, of (model_id, epoch). An
    incomplete run is read as far as it goes, and says so in `complete`.

    Attributes:
        root: where the run is.
        files: the run's files.
        complete: whether the manifest is there.
        spec: the content of spec.json.
    """

    def __init__(self, root: str) -> None:
        run = RunDirectory(root)
        self.root = root
        self.files = run.files
        self.spec: dict[str, Any] = run.spec
        manifest = run.manifest
        self.complete = manifest is not None
        told = (manifest or {}).get("models")
        self._models: dict[str, Any] = told if isinstance(told, dict) else {}
        self._sizes: dict[str, int | None]
        if manifest is not None:
            self._sizes = {str(line["shard"]): line["bytes"] for line in manifest["shards"]}
        else:
            names = [name for name in self.files.names(CHECKPOINTS) if name.endswith(".parquet")]
            self._sizes = {f"{CHECKPOINTS}/{name}": None for name in sorted(names, key=_numbers)}
        self._shards = list(self._sizes)
        if not self._shards:
            raise StoreError(f"{root}: has no checkpoints yet; {GO_ON}")
        self._checkpoints = CheckpointFiles(self.files, self._sizes, checkpoint_schema)

    @property
    def shard_sizes(self) -> dict[str, int | None]:
        """The shards by their names, in order, and how many bytes each must have; None where no manifest says so."""
        return dict(self._sizes)

    @property
    def shards(self) -> CheckpointFiles:
        """The shards, to be read row group by row group."""
        return self._checkpoints

    @property
    def layout(self) -> Layout:
        """Which slice of the weights is which tensor."""
        return self._checkpoints.layout

    @property
    def buffer_layout(self) -> Layout:
        """Which slice of the buffers is which tensor.

        Raises:
            StoreError: the networks of this run have no buffers.
        """
        return self._buffers.layout

    @property
    def key(self) -> str:
        """The run's key in analysis tables: the first digits of its spec_hash."""
        return str(self.spec["spec_hash"])[:12]

    @property
    def diverged(self) -> set[int]:
        """Ids of the models flagged in the shards as diverged."""
        return {model_id for name in self._shards for model_id in self._footer(name)["diverged"]}

    @property
    def models(self) -> pa.Table:
        """One row per model (models.parquet).

        Raises:
            StoreError: the run is incomplete, or the file is not the one that the manifest lists.
        """
        if not self.complete:
            raise StoreError(f"{self.root}: incomplete, models.parquet comes last; {GO_ON}")
        size = self._models.get("bytes")
        with open_shard(self.files, MODELS, size=size if isinstance(size, int) else None) as file:
            table = file.read(use_threads=False)
        # The file is small, and what tells how its pages are to be read has no checksum of its own.
        if self._models.get("sha256") not in (None, self.files.sha256(MODELS)):
            raise StoreError(f"{self.root}: {MODELS} is damaged (its sha256 is not the manifest's); run zoo verify")
        return table

    @property
    def claimed_names(self) -> dict[int, str] | None:
        """Of an imported run, the models' names by their ids; None where models are what they are said to be."""
        if not is_imported(self.spec):
            return None
        models = self.models if self.complete else pa.table({})
        if "name" not in models.column_names:
            return {}
        return {
            model_id: str(name)
            for model_id, name in zip(*(models[column].to_pylist() for column in ("model_id", "name")), strict=True)
        }

    def checkpoints(self, model_ids: Ids = None, epochs: Ids = None, columns: Columns = None) -> pa.Table:
        """All scalar columns, or some, of all checkpoints, or of those of some models and epochs."""
        return self._checkpoints.rows(columns, _wanted(model_ids, epochs))

    def weights(self, model_ids: Ids = None, epochs: Ids = None) -> NDArray[np.float32]:
        """The weights float32[n, d] of the same rows, in the same order, as `checkpoints`."""
        return self._checkpoints.vectors(_wanted(model_ids, epochs))

    def buffers(self, model_ids: Ids = None, epochs: Ids = None) -> NDArray[np.float32]:
        """The buffers, such as BatchNorm's statistics, float32[n, b] of the same rows, in the same order.

        Raises:
            StoreError: the networks of this run have no buffers.
        """
        return self._buffers.vectors(_wanted(model_ids, epochs))

    def bag(self) -> Bag:
        """All checkpoints, to be analysed; the weights of models that are flagged as diverged are read as NaN."""
        checkpoints, diverged = self.checkpoints(columns=SCALAR_NAMES), frozenset(self.diverged)
        run = named(self.key, len(checkpoints))
        return Bag(
            shares=tuple(share for name in self._shards for share in self._shares(name, diverged)),
            dimension=self.layout.dimension,
            layout=self.layout,
            keys=pa.table({"run": run, **{name: checkpoints[name] for name in ("model_id", "epoch")}}),
            step=checkpoints["step"].to_numpy(),
            metrics=checkpoints.select(METRIC_NAMES),
            name=self.spec["name"],
            run=self.key,
            complete=self.complete,
            names={} if (names := self.claimed_names) is None else {self.key: names},
        )

    @property
    def rows(self) -> int:
        """How many checkpoints there are."""
        return sum(int(self._footer(name)["file_rows"]) for name in self._shards)

    def _shares(self, name: str, diverged: frozenset[int]) -> tuple[FileShare, ...]:
        with open_shard(self.files, name) as shard:
            return file_shares(shard, self.root, name, None, self.layout.dimension, diverged)

    def load_model(self, model_id: int, epoch: int | Last) -> nn.Module:
        """The network of one checkpoint, ready to be called; `epoch` may be "last".

        Raises:
            StoreError: there is no such checkpoint, or the run's network is not one of ours.
        """
        tensors = self.load_state_dict(model_id, epoch)
        architecture, activation = self._architecture(), self._activation(model_id)
        if activation not in get_args(get_args(Activation)[0]):
            raise StoreError(f"{self.root}: this version has no activation {activation}; use weights() and layout")
        module = build(architecture, activation)
        wanted = module.state_dict()
        unlike = [name for name, its in wanted.items() if name not in tensors or tensors[name].shape != its.shape]
        if unlike:
            raise StoreError(f"{self.root}: its buffers lack {unlike[0]} of this network; use weights() and layout")
        module.load_state_dict({name: tensors[name] for name in wanted})
        return module.eval()  # as it was when it was measured, whatever it normalises by

    def load_state_dict(
        self, model_id: int, epoch: int | Last | None = None, step: int | None = None
    ) -> dict[str, torch.Tensor]:
        """The tensors of one checkpoint by their names in the layout, for a network of any kind.

        Where the run has buffers they are there, too, and with BatchNorm's statistics its `num_batches_tracked`, which
        is the checkpoint's step. The parameters are views of one float32[d] of their own.

        Args:
            model_id: of the model.
            epoch: after which, or "last"; None: whichever the step is of.
            step: after how many optimiser steps: an imported run may know these alone.

        Raises:
            ConfigError: neither epoch nor step is named.
            StoreError: there is no such checkpoint, or there are several.
        """
        rows = self.checkpoints([model_id], None if epoch is None or epoch == "last" else [epoch], SCALAR_NAMES)
        row = rows_meant(self.root, rows, model_id, epoch, step)
        found = self._checkpoints.vectors({name: [value] for name, value in row.items()})
        if not alike(found):
            raise StoreError(
                f"{self.root}: has {len(found)} checkpoints of model {model_id} after epoch {row['epoch']} and step "
                f"{row['step']}, with different weights; read them by weights()"
            )
        tensors = self.layout.unflatten(torch.from_numpy(found[0]))
        if self._footer(self._shards[0])["buffers"] is not None:
            buffers = self.buffers([row["model_id"]], [row["epoch"]])[0]
            tensors |= self.buffer_layout.unflatten(torch.from_numpy(buffers))
            step = row["step"]
            normalised = [name.removesuffix("running_mean") for name in tensors if name.endswith("running_mean")]
            tensors |= {f"{name}num_batches_tracked": torch.tensor(step) for name in normalised}
        return tensors

    def _footer(self, name: str) -> dict[str, Any]:
        return read_footer(self.files, name, self._sizes[name])

    @cached_property
    def _buffers(self) -> CheckpointFiles:
        named = [self._footer(name)["buffers"] for name in self._shards]
        if None in named:
            raise StoreError(f"{self.root}: has no buffers, as its networks have none")
        return CheckpointFiles(self.files, {buffers["file"]: buffers["bytes"] for buffers in named}, buffers_schema)

    def _architecture(self) -> Architecture:
        missing = [key for key in ("spec", "image_shape", "classes") if key not in self.spec]
        if missing:
            raise StoreError(
                f"{self.root}: spec.json lacks {', '.join(missing)}, so what network this is; use weights() and layout"
            )
        try:
            model, (channels, height, width) = self.spec["spec"]["model"], map(int, self.spec["image_shape"])
            architecture = Architecture(
                name=model["architecture"],
                input_shape=(channels, height, width),
                classes=int(self.spec["classes"]),
                hidden=tuple(map(int, model["hidden"])),
                bias=bool(model["bias"]),
            )
            tensors = Layout.of(architecture.tensors)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise StoreError(
                f"{self.root}: spec.json does not say as docs/format.md does what network this is "
                f"({type(error).__name__}: {error}); use weights() and layout"
            ) from None
        if tensors != self.layout:  # before a network is built that may be of any size
            raise StoreError(
                f"{self.root}: spec.json and the shards are of different networks; use weights() and layout"
            )
        return architecture

    def _activation(self, model_id: int) -> str:
        """The nonlinearity of a model: from its row, or as long as there is none, from the specification."""
        if self.complete:
            models = self.models
            if "activation" not in models.column_names:
                raise StoreError(f"{self.root}: {MODELS} has no column activation; use weights() and layout")
            rows = models.filter(pc.equal(models["model_id"], model_id))
            if not len(rows):
                raise StoreError(f"{self.root}: {MODELS} does not list model {model_id}; run zoo verify")
            return str(rows["activation"][0].as_py())
        spec = {key: value for key, value in self.spec["spec"].items() if key in ZooSpec.model_fields}
        try:
            zoo = ZooSpec.model_validate_json(json.dumps(spec))
        except ValidationError:
            raise StoreError(
                f"{self.root}: incomplete, and the spec in spec.json is not one that this version makes, so the "
                f"activation of model {model_id} is unknown; use weights() and layout"
            ) from None
        return points(zoo)[model_id // zoo.population.seeds].activation


def open(root: str) -> Zoo:
    """Open a run, at a local path or any URI that fsspec knows; the same as `Zoo(root)`.

    Raises:
        StoreError: there is no run, none of this format version, or it has no checkpoints yet.
    """
    return Zoo(root)


def _wanted(model_ids: Ids, epochs: Ids) -> dict[str, Sequence[int]]:
    return {name: ids for name, ids in (("model_id", model_ids), ("epoch", epochs)) if ids is not None}


def _numbers(name: str) -> list[int]:
    """The numbers in a shard's name, by which shards are ordered: group, first epoch, last epoch."""
    return [int(number) for number in re.findall(r"\d+", name)]
