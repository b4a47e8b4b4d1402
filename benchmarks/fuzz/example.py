"""A small sound run to be damaged: four digits MLPs in two groups, with buffers, an analysis and a training state."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.schema import SHARD_KEY, buffers_schema, encode_checkpoints
from zoo_pipeline.store.states import Origin, StateName, TrainingState, publish_state
from zoo_pipeline.workflow import Options, run
from zoo_pipeline.zoo import Zoo

SETS = (
    "zoo.training.epochs=3",
    "zoo.population.seeds=4",
    "zoo.population.group_size=2",
    "zoo.model.hidden=[2]",
    "resources={stack: 2, threads: 1}",
)
_BUFFERS = Layout.of({"bn.running_mean": (3,)})


@dataclass(frozen=True)
class Example:
    """A complete run, and what reading it gives.

    Attributes:
        place: the run directory; never changed.
    """

    place: Path

    @cached_property
    def weights(self) -> bytes:
        """All weights."""
        return Zoo(str(self.place)).weights().tobytes()

    @cached_property
    def buffers(self) -> bytes:
        """All buffers."""
        return Zoo(str(self.place)).buffers().tobytes()

    @cached_property
    def checkpoints(self) -> pa.Table:
        """The columns beside the weights."""
        return Zoo(str(self.place)).checkpoints()

    @cached_property
    def models(self) -> pa.Table:
        """The content of models.parquet."""
        return Zoo(str(self.place)).models

    @cached_property
    def layout(self) -> Any:
        """The layout as JSON."""
        return json.loads(Zoo(str(self.place)).layout.to_json())

    @cached_property
    def names(self) -> list[str]:
        """All files."""
        return sorted(str(path.relative_to(self.place)) for path in self.place.rglob("*") if path.is_file())

    @cached_property
    def state(self) -> StateName:
        """The training state that lies in it."""
        (name,) = (self.place / "states").iterdir()
        _, group, _, epoch, sha12 = name.stem.split("-")
        return StateName(int(group), int(epoch), sha12)

    def read(self, name: str) -> bytes:
        """The bytes of a file."""
        return (self.place / name).read_bytes()

    def document(self, name: str) -> Any:
        """The content of a JSON file."""
        return json.loads(self.read(name))

    def copied(self, place: Path) -> Path:
        """A copy to be damaged."""
        shutil.copytree(self.place, place)
        return place


def make_example(place: Path) -> Example:
    """Train and analyse the run, and give it what its networks do not have by themselves."""
    run(Options("digits-demo", str(place), SETS, executor="inline"))
    (place / "report.html").unlink()  # larger than all the rest, and made anew by whoever needs it
    directory = RunDirectory(str(place))
    manifest = json.loads((place / "manifest.json").read_text())
    for line in manifest["shards"]:
        line |= _with_buffers(place, line["shard"])
    (place / "manifest.json").write_text(json.dumps(manifest, indent=1))
    origin = Origin(1, str(directory.spec["spec_hash"]), {"threads": 1, "stack": 2, "capture": False}, 0, "")
    arrays: dict[str, Any] = {"fc1.weight": np.arange(12, dtype=np.float32).reshape(2, 6), "steps": np.arange(2)}
    publish_state(directory.files, TrainingState(origin, 2, arrays, {"train_loss": np.zeros((2, 2))}))
    return Example(place)


def _with_buffers(place: Path, shard: str) -> dict[str, Any]:
    """Write buffers beside a shard, and name them in its footer; returns its new line of the manifest."""
    table = pq.read_table(place / shard)
    vectors = np.random.default_rng(0).normal(size=(len(table), _BUFFERS.dimension)).astype(np.float32)
    schema = buffers_schema(_BUFFERS)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), type=schema.field("buffers").type)
    data = encode_checkpoints(pa.table([table["model_id"], table["epoch"], column], schema=schema))
    name = f"buffers/{Path(shard).stem}-{hashlib.sha256(data).hexdigest()[:8]}.parquet"
    buffers = {"file": name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    Files(str(place)).publish(name, data)
    footer = json.loads(table.schema.metadata[SHARD_KEY]) | {"buffers": buffers}
    return rewritten(place / shard, SHARD_KEY, footer) | {"buffers": buffers}


def rewritten(path: Path, key: bytes, told: Any) -> dict[str, Any]:
    """Write a shard anew with right checksums, its metadata telling something else; returns its bytes and sha256."""
    table = pq.read_table(path)
    metadata = {**table.schema.metadata, key: json.dumps(told).encode()}
    data = encode_checkpoints(table.replace_schema_metadata(metadata))
    path.write_bytes(data)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
