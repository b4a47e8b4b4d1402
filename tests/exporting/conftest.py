import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.models import Layout
from zoo_pipeline.store.schema import LAYOUT_KEY, SHARD_KEY, buffers_schema

BESIDE = Layout.of({"fc1.running_mean": (3,), "fc1.running_var": (3,)})


@pytest.fixture(scope="session")
def buffered_run(small_run, tmp_path_factory) -> Path:
    """The small run with six buffers beside each checkpoint, which tell model and epoch; in small row groups."""
    run = tmp_path_factory.mktemp("buffered") / "run"
    shutil.copytree(small_run, run)
    (run / "buffers").mkdir()
    manifest = json.loads((run / "manifest.json").read_text())
    for line in manifest["shards"]:
        table = pq.read_table(run / line["shard"])
        told = 10 * table["model_id"].to_numpy() + table["epoch"].to_numpy()
        values = pa.array(np.repeat(told, 6).astype(np.float32))
        schema = buffers_schema(BESIDE)
        footer = {**json.loads(table.schema.metadata[SHARD_KEY])}
        vectors = pa.FixedSizeListArray.from_arrays(values, type=schema.field("buffers").type)
        beside = pa.table([table["model_id"], table["epoch"], vectors], schema=schema)
        name = f"buffers/{Path(line['shard']).stem}-00000000.parquet"
        pq.write_table(beside, run / name, row_group_size=3)
        line["buffers"] = footer["buffers"] = about(run / name, file=name)
        metadata = {LAYOUT_KEY: table.schema.metadata[LAYOUT_KEY], SHARD_KEY: json.dumps(footer)}
        pq.write_table(table.replace_schema_metadata(metadata), run / line["shard"], row_group_size=5)
        line |= about(run / line["shard"])
    (run / "manifest.json").write_text(json.dumps(manifest))
    return run


def about(path: Path, **more) -> dict:
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), **more}
