"""`ZooDataset` and `ZooStream`: what they deliver is what `Zoo` reads, each row once, and mistakes are told."""

import json
import pickle
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from zoo_pipeline import Zoo, ZooDataset, ZooStream
from zoo_pipeline.errors import ConfigError, StoreError, ZooError
from zoo_pipeline.learning import dataset as dataset_module
from zoo_pipeline.store.filesystem import Files

IDS = ("model_id", "epoch")
ALL = sorted((model, epoch) for model in range(6) for epoch in range(4))


@pytest.fixture(scope="module")
def fine_run(small_run, tmp_path_factory):
    """The small run with row groups of three rows: nine of them in three files."""
    run = tmp_path_factory.mktemp("fine") / "run"
    shutil.copytree(small_run, run)
    manifest = json.loads((run / "manifest.json").read_text())
    for line in manifest["shards"]:
        table = pq.read_table(run / line["shard"])
        pq.write_table(table, run / line["shard"], row_group_size=3, write_page_checksum=True)
        line |= {"bytes": (run / line["shard"]).stat().st_size, "sha256": Files(str(run)).sha256(line["shard"])}
    (run / "manifest.json").write_text(json.dumps(manifest))
    return str(run)


def ids_of(samples) -> list[tuple[int, int]]:
    """Model and epoch of all rows of single samples or batches, in the order in which they came."""
    rows = []
    for _, properties in samples:
        columns = [properties[name].reshape(-1).tolist() for name in IDS]
        rows += list(zip(*columns, strict=True))
    return rows


def same_as_zoo(samples, root) -> bool:
    """Whether each sample's weights and test accuracy are to the bit those of its checkpoint."""
    zoo = Zoo(root)
    table = zoo.checkpoints()
    rows = {pair: at for at, pair in enumerate(zip(*(table[name].to_pylist() for name in IDS), strict=True))}
    weights, accuracy = zoo.weights(), table["test_accuracy"].to_numpy()
    for found, properties in samples:
        at = rows[int(properties["model_id"]), int(properties["epoch"])]
        if found.numpy().tobytes() != weights[at].tobytes() or properties["test_accuracy"].item() != accuracy[at]:
            return False
    return True


@pytest.fixture(params=["held", "cached"])
def dataset(request, fine_run, tmp_path) -> ZooDataset:
    cache = tmp_path / "weights.cache" if request.param == "cached" else None
    return ZooDataset(fine_run, (*IDS, "test_accuracy"), cache=cache)


def test_rows_are_the_zoos_to_the_bit(dataset, fine_run):
    assert ids_of(dataset[at] for at in range(len(dataset))) == ALL
    assert same_as_zoo((dataset[at] for at in range(24)), fine_run)
    assert same_as_zoo(ZooStream(fine_run, (*IDS, "test_accuracy"), shuffle_rows=5), fine_run)
    weights, properties = dataset[0]
    assert (weights.dtype, tuple(weights.shape)) == (torch.float32, (1_210,))
    assert properties["test_accuracy"].dtype == torch.float32


def test_many_rows_are_one_batch_in_the_order_asked_for(dataset):
    every = torch.from_numpy(Zoo(dataset._choice.root).weights())
    for rows in ([23, 0, 7, 7], np.array([23, 0, 7, 7]), torch.tensor([-1, 0, 7, -17])):
        weights, properties = dataset[rows]
        assert torch.equal(weights, every[[23, 0, 7, 7]])
        assert properties["model_id"].tolist() == [5, 0, 1, 1]
        assert properties["epoch"].tolist() == [3, 0, 3, 3]
    assert torch.equal(dataset[20:][0], every[20:])
    assert torch.equal(dataset[-1][0], every[23])
    for outside in (24, -25, [0, 24]):
        with pytest.raises(IndexError, match="of 24 rows"):
            dataset[outside]


def test_a_loader_fetches_a_batch_by_one_gather(dataset, monkeypatch):
    gathers = []
    real = ZooDataset._batch
    monkeypatch.setattr(ZooDataset, "_batch", lambda self, index: gathers.append(len(index)) or real(self, index))
    batches = list(DataLoader(dataset, batch_size=8, shuffle=True, generator=torch.Generator().manual_seed(0)))
    assert gathers == [8, 8, 8]
    assert [tuple(weights.shape) for weights, _ in batches] == [(8, 1_210)] * 3
    assert sorted(ids_of(batches)) == ALL
    sampler = BatchSampler(RandomSampler(dataset), 10, drop_last=False)
    whole = list(DataLoader(dataset, sampler=sampler, batch_size=None))
    assert gathers[3:] == [10, 10, 4]
    assert sorted(ids_of(whole)) == ALL


def test_columns_are_of_checkpoints_and_of_their_models(small_run):
    names = (
        "epoch",
        "train_loss",
        "final_train_loss",
        "learning_rate",
        "activation",
        "hidden",
        "parent_model_id",
        "bias",
    )
    dataset = ZooDataset(str(small_run), names)
    zoo = Zoo(str(small_run))
    properties = dataset[9][1]
    assert list(properties) == list(names)
    row = zoo.checkpoints([2], [1]).to_pylist()[0]
    assert (properties["epoch"], properties["train_loss"]) == (1, row["train_loss"])
    assert properties["final_train_loss"].item() == zoo.models["train_loss"][2].as_py() != row["train_loss"]
    assert (properties["learning_rate"].dtype, properties["learning_rate"].item()) == (torch.float64, 1e-3)
    assert (properties["activation"], properties["hidden"]) == ("tanh", [16])
    assert np.isnan(properties["parent_model_id"].item())
    assert properties["bias"].item() is True
    assert dataset[[9, 0]][1]["activation"] == ["tanh", "tanh"]


def test_epochs_are_those_asked_for(small_run):
    assert ids_of(ZooDataset(str(small_run), IDS, epochs=[1, 3])) == [(m, e) for m, e in ALL if e in (1, 3)]
    assert ids_of(ZooDataset(str(small_run), IDS, epochs="last")) == [(model, 3) for model in range(6)]
    assert ids_of(ZooDataset(str(small_run), IDS, epochs=2)) == [(model, 2) for model in range(6)]
    assert ids_of(ZooDataset(str(small_run), IDS, epochs={3, 1})) == ids_of(
        ZooDataset(str(small_run), IDS, epochs=iter([1, 3]))
    )
    for wrong, told in (
        (1.5, "got 1.5;"),
        ([1.7], r"got \[1.7\];"),
        (["last"], "got"),
        ([10**30], r"after epoch 1000.*nearest: 3"),
    ):
        with pytest.raises(ConfigError, match=told):
            ZooDataset(str(small_run), IDS, epochs=wrong)
    assert ids_of(ZooDataset(str(small_run), IDS, epochs=np.array(2))) == [(model, 2) for model in range(6)]
    with pytest.raises(ConfigError, match=r"got \[True\];"):
        ZooDataset(str(small_run), IDS, epochs=True)
    assert ZooDataset(str(small_run), "epoch", epochs=2)[:][1]["epoch"].tolist() == [2] * 6
    assert ids_of(ZooStream(str(small_run), IDS, epochs="last")) == [(model, 3) for model in range(6)]


def test_splits_share_no_model_and_have_all_of_them(small_run):
    split = dict(zip(*(Zoo(str(small_run)).models[name].to_pylist() for name in ("model_id", "split")), strict=True))
    models = {}
    for name in ("train", "validation", "test"):
        rows = ids_of(ZooDataset(str(small_run), IDS, split=name))
        models[name] = {model for model, _ in rows}
        assert models[name] == {model for model, its in split.items() if its == name}
        assert rows == [pair for pair in ALL if pair[0] in models[name]]
    assert sum(map(len, models.values())) == len(set.union(*models.values())) == 6


def test_fractions_of_ones_own_are_by_model_and_by_seed(small_run):
    def models(split, seed):
        chosen = ZooDataset(
            str(small_run), (*IDS, "split"), split=split, split_by={"fit": 0.5, "check": 1 / 3}, split_seed=seed
        )
        assert set(chosen.properties["split"]) == {split}
        return {model for model, _ in ids_of(chosen)}

    assert [(len(models("fit", seed)), len(models("check", seed))) for seed in range(4)] == [(3, 2)] * 4
    assert all(models("fit", seed).isdisjoint(models("check", seed)) for seed in range(4))
    assert models("fit", 1) == models("fit", 1)
    assert len({frozenset(models("fit", seed)) for seed in range(8)}) > 1


def test_models_that_diverged_are_left_out_unless_asked_for(small_run, monkeypatch):
    monkeypatch.setattr(Zoo, "diverged", {0, 4})
    kept = [pair for pair in ALL if pair[0] not in (0, 4)]
    assert ids_of(ZooDataset(str(small_run), IDS)) == ids_of(ZooStream(str(small_run), IDS)) == kept
    assert ids_of(ZooDataset(str(small_run), IDS, diverged=True)) == ALL


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("kind", ["held", "cached", "stream"])
@pytest.mark.filterwarnings("ignore:This DataLoader will create 3 worker processes:UserWarning")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_workers_deliver_every_row_once(fine_run, kind, start, tmp_path):
    columns = (*IDS, "test_accuracy")
    if kind == "stream":
        data = ZooStream(fine_run, columns, shuffle_rows=6)
    else:
        data = ZooDataset(fine_run, columns, cache=tmp_path / "cache" if kind == "cached" else None)
    for workers in (0, 1, 2, 3) if start == "fork" else (2,):
        loader = DataLoader(data, batch_size=5, num_workers=workers, multiprocessing_context=start if workers else None)
        batches = list(loader)
        assert sorted(ids_of(batches)) == ALL
        rows = [({name: values[at] for name, values in p.items()}, w[at]) for w, p in batches for at in range(len(w))]
        assert same_as_zoo(((weights, properties) for properties, weights in rows), fine_run)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_ranks_and_their_workers_deliver_every_row_once(fine_run):
    parts = []
    for rank in range(2):
        stream = ZooStream(fine_run, IDS, shuffle_rows=4, batch_size=2, rank=rank, ranks=2)
        parts.append(ids_of(DataLoader(stream, batch_size=None, num_workers=2)))
    assert all(parts)
    assert sorted(parts[0] + parts[1]) == ALL


def test_ranks_are_those_of_torch_distributed(fine_run, tmp_path):
    stream = ZooStream(fine_run, IDS)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        assert ids_of(stream) == ALL
        assert stream._place() == (0, 1)
        assert pickle.loads(pickle.dumps(stream))._rank == (0, 1)  # for workers, which have no process group
    finally:
        torch.distributed.destroy_process_group()


def test_shuffling_is_decided_by_seed_and_epoch(fine_run):
    def order(seed, epoch):
        stream = ZooStream(fine_run, IDS, shuffle_rows=8, seed=seed)
        stream.set_epoch(epoch)
        return ids_of(stream)

    assert order(0, 0) == order(0, 0)
    assert sorted(order(0, 0)) == sorted(order(0, 1)) == ALL
    assert len({tuple(order(*each)) for each in ((0, 0), (0, 1), (1, 0), (1, 1))}) == 4
    assert ALL not in (order(0, 0), order(0, 1))
    assert ids_of(ZooStream(fine_run, IDS)) == ALL


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_workers_that_persist_see_the_epoch_change(fine_run):
    stream = ZooStream(fine_run, IDS, shuffle_rows=24)
    loader = DataLoader(stream, batch_size=None, num_workers=1, persistent_workers=True)
    first = ids_of(loader)
    again = ids_of(loader)
    stream.set_epoch(1)
    assert first == again != ids_of(loader)


def test_batches_of_a_stream_have_their_size_whatever_the_row_groups(fine_run):
    sizes = [len(weights) for weights, _ in ZooStream(fine_run, IDS, batch_size=7)]
    assert sizes == [7, 7, 7, 3]
    batches = list(ZooStream(fine_run, (*IDS, "activation"), batch_size=7, shuffle_rows=5))
    assert [len(properties["activation"]) for _, properties in batches] == [7, 7, 7, 3]
    assert sorted(ids_of(batches)) == ALL


def test_row_groups_without_a_chosen_row_are_not_read(fine_run, monkeypatch):
    from zoo_pipeline.store.reading import CheckpointFiles

    read = Counter()
    real = CheckpointFiles.read_vectors

    def counted(self, groups):
        groups = list(groups)
        read.update((group.file, group.number) for group in groups)
        return real(self, groups)

    monkeypatch.setattr(CheckpointFiles, "read_vectors", counted)
    assert len(list(ZooStream(fine_run, IDS, epochs=[0]))) == 6
    assert sorted(read) == [
        (f"checkpoints/group-{group:05d}.parquet", number) for group in range(3) for number in (0, 1)
    ]
    assert set(read.values()) == {1}


def test_a_run_that_was_replaced_meanwhile_is_noticed(fine_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(fine_run, run)
    stream = ZooStream(str(run), IDS)
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps({**spec, "spec": None, "spec_hash": "another"}))
    with pytest.raises(StoreError, match="was replaced by another run since it was opened"):
        next(iter(stream))
    (run / "spec.json").write_text(json.dumps(spec))
    manifest = json.loads((run / "manifest.json").read_text())
    path = run / manifest["shards"][0]["shard"]
    pq.write_table(pq.read_table(path), path, row_group_size=4, write_page_checksum=True)
    manifest["shards"][0]["bytes"] = path.stat().st_size
    (run / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StoreError, match="was replaced while it was read"):
        next(iter(stream))


def test_a_dataset_can_be_sent_to_other_processes(dataset, fine_run):
    dataset[0]  # a mapped file is mapped anew there
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[:][0], dataset[:][0])
    stream = pickle.loads(pickle.dumps(ZooStream(fine_run, IDS, shuffle_rows=4)))
    assert sorted(ids_of(stream)) == ALL


def test_a_cache_is_written_once_and_read_again(fine_run, tmp_path, monkeypatch):
    path = tmp_path / "weights.cache"
    made = ZooDataset(fine_run, IDS, epochs=[2], cache=path)
    assert path.stat().st_size == 4_096 + 24 * 4 * (1_210 + 1)
    assert [each.name for each in tmp_path.iterdir()] == ["weights.cache"]
    monkeypatch.setattr("zoo_pipeline.store.weights_cache._parts", None)  # it is not made again
    again = ZooDataset(fine_run, IDS, split="train", cache=path)  # other rows of the same run
    assert torch.equal(again[:][0], ZooDataset(fine_run, IDS, split="train")[:][0])
    assert torch.equal(made[:][0], torch.from_numpy(Zoo(fine_run).weights(epochs=[2])))


@pytest.mark.parametrize("place", [4_096, 4_096 + 5 * 4 * 1_210 + 17, 4_096 + 24 * 4 * 1_210 - 1])
def test_a_flipped_bit_in_a_cache_is_noticed_where_it_is_read(fine_run, tmp_path, place):
    path = tmp_path / "weights.cache"
    ZooDataset(fine_run, IDS, cache=path)
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    dataset = ZooDataset(fine_run, IDS, cache=path)
    row = (place - 4_096) // (4 * 1_210)
    with pytest.raises(StoreError, match=rf"weights\.cache: row {row} is damaged .* remove it, and it is made again"):
        dataset[row]
    others = [other for other in range(24) if other != row]
    assert torch.equal(dataset[others][0], ZooDataset(fine_run, IDS)[others][0])


def test_a_cache_of_something_else_is_refused(fine_run, small_run, tmp_path):
    path = tmp_path / "weights.cache"
    ZooDataset(fine_run, IDS, cache=path)
    with pytest.raises(StoreError, match="is a cache of something else \\(shards"):
        ZooDataset(str(small_run), IDS, cache=path)  # the same spec, but other files
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StoreError, match=r"has 120,351 bytes, expected 120,352; it is damaged"):
        ZooDataset(fine_run, IDS, cache=path)
    path.write_bytes(b"my notes")
    with pytest.raises(StoreError, match="is no cache of weights, or damaged"):
        ZooDataset(fine_run, IDS, cache=path)
    assert path.read_bytes() == b"my notes"
    with pytest.raises(StoreError, match="has to lie on a local disk"):
        ZooDataset(fine_run, IDS, cache="s3://bucket/cache")
    with pytest.raises(StoreError, match="cannot be written"):
        ZooDataset(fine_run, IDS, cache="/proc/weights.cache")


def test_a_damaged_shard_leaves_no_cache(fine_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(fine_run, run)
    shard = run / "checkpoints/group-00002.parquet"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    with pytest.raises(StoreError, match=r"group-00002\.parquet: damaged"):
        ZooDataset(str(run), IDS, cache=tmp_path / "cache" / "weights")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"columns": ["test_acuracy"]},
            r"has no column test_acuracy \(did you mean test_accuracy\?\); expected some of",
        ),
        (
            {"columns": ["weights"]},
            r"has no column weights \(did you mean weight_decay\?\); expected some of model_id, epoch",
        ),
        ({"epochs": [1, 25]}, r"has no checkpoint after epoch 25 \(nearest: 3\); expected epochs from 0 to 3"),
        ({"epochs": "lst"}, r"epochs: got 'lst' \(did you mean last\?\)"),
        ({"split": "tran"}, r"has no split tran \(did you mean train\?\); expected test, train, validation"),
        ({"split": "train", "split_by": {"fit": 0.5}}, "has no split train; expected fit"),
        ({"split_by": {"a": 0.8, "b": 0.4}}, "expected positive fractions with a sum of at most 1"),
        ({"split_by": {"a": 0.01}, "split": "a"}, "no checkpoint is left by these epochs and this split"),
    ],
)
@pytest.mark.parametrize("kind", [ZooDataset, ZooStream])
def test_mistakes_are_told_in_one_line(small_run, kind, asked, told):
    with pytest.raises(ConfigError, match=told) as error:
        kind(str(small_run), **asked)
    assert "\n" not in str(error.value)


def test_impossible_ranks_and_sizes_are_told(small_run):
    for asked in ({"rank": 0}, {"rank": 2, "ranks": 2}, {"batch_size": 0}, {"shuffle_rows": -1}, {"seed": -1}):
        with pytest.raises(ConfigError, match="expected"):
            ZooStream(str(small_run), **asked)


def test_an_incomplete_run_has_rows_but_no_splits(small_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(small_run, run)
    for name in ("manifest.json", "models.parquet"):
        (run / name).unlink()
    root = str(run)
    assert ids_of(ZooDataset(root, IDS)) == ALL
    assert len(ZooDataset(root, IDS, split="a", split_by={"a": 0.5})) == 12
    for asked, told in (
        ({"split": "train"}, "incomplete, so its models are in no split yet"),
        ({"columns": ["learning_rate"]}, "the run is incomplete, and columns of models come last"),
        ({"cache": tmp_path / "cache"}, "incomplete, so its weights may change"),
    ):
        with pytest.raises(ZooError, match=told):
            ZooDataset(root, **asked)


def test_more_weights_than_memory_are_refused(small_run, monkeypatch, tmp_path):
    monkeypatch.setattr(dataset_module, "_free_bytes", lambda: 100_000)
    with pytest.raises(
        ConfigError, match=r"weights of 24 checkpoints take 113\.4 KiB, but 97\.7 KiB of memory are free"
    ):
        ZooDataset(str(small_run))
    assert len(ZooDataset(str(small_run), cache=tmp_path / "cache")) == 24
    assert len(ZooDataset(str(small_run), epochs="last")) == 6


@pytest.fixture(scope="module")
def endpoint():
    from tests.store.buckets import server

    with server("moto") as address:
        yield address


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # aiohttp's sessions end with the process
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_a_bucket_is_read_by_workers_too(bucket, fine_run, start, tmp_path):
    files = bucket.files()
    for path in Path(fine_run).rglob("*"):
        if path.is_file():
            files.publish(str(path.relative_to(fine_run)), path.read_bytes())
    stream = ZooStream(bucket.root, IDS, shuffle_rows=5)  # a spawned worker is told the storage options
    loader = DataLoader(stream, batch_size=5, num_workers=2, multiprocessing_context=start)
    assert sorted(ids_of(loader)) == ALL
    cached = ZooDataset(bucket.root, IDS, cache=tmp_path / "cache")
    assert torch.equal(cached[:][0], torch.from_numpy(Zoo(fine_run).weights()))
    assert b"a-secret" not in pickle.dumps(stream)
