"""Groups whose checkpoints lie in several shards, and that survive whatever ends or doubles their tasks."""

import gc
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from zoo_pipeline import ranges, zoo
from zoo_pipeline.architecture import Architecture
from zoo_pipeline.config import Resources
from zoo_pipeline.data import load_dataset
from zoo_pipeline.errors import StoreError, UnreachableError
from zoo_pipeline.plan import plan
from zoo_pipeline.recipes import load_config
from zoo_pipeline.runtime import group_task
from zoo_pipeline.runtime.group_task import GroupTask, train_and_publish
from zoo_pipeline.runtime.inline import InlineExecutor
from zoo_pipeline.runtime.training import train_zoo
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.states import read_state, state_names
from zoo_pipeline.store.survey import survey
from zoo_pipeline.training import GroupTraining, Member
from zoo_pipeline.zoo import Zoo

ROW_BYTES = 4 * 1_210 + 32
SIZES = ("zoo.training.epochs=7", "zoo.population={seeds: 2, group_size: 2}", "resources={stack: 2, threads: 1}")
SHARDS = [f"checkpoints/group-00000-epochs-{epochs}.parquet" for epochs in ("0000-0002", "0003-0005", "0006-0007")]
DIGITS = load_dataset("digits")
ENGINE = {"threads": 1, "stack": 2, "capture": False}


class Killed(BaseException):
    """The worker's process ends here."""


@pytest.fixture(autouse=True)
def _three_epochs_of_two_models_per_shard(monkeypatch):
    monkeypatch.setattr(ranges, "SHARD_BYTES", 6 * ROW_BYTES)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> np.ndarray:
    """The same models in one shard: float32[2, 8, 1210]."""
    root = tmp_path_factory.mktemp("undisturbed") / "run"
    made = plan(load_config("digits-demo", SIZES), DIGITS.facts)
    assert len(made.groups[0].ranges) == 1
    run = RunDirectory(str(root))
    run.claim(made)
    train_zoo(made, DIGITS, run, InlineExecutor(Resources()))
    return weights(root)


def weights(root: Path, models: int = 2) -> np.ndarray:
    """float32[models, epochs, d], whatever the shards."""
    read = Zoo(str(root))
    ids = read.checkpoints()
    order = np.lexsort((ids["epoch"].to_numpy(), ids["model_id"].to_numpy()))
    return read.weights()[order].reshape(models, -1, read.layout.dimension)


def claimed(root: Path, *overrides):
    made = plan(load_config("digits-demo", [*SIZES, *overrides]), DIGITS.facts)
    run = RunDirectory(str(root))
    run.claim(made, resume=True)
    return made, run


def train(root: Path, *overrides):
    made, run = claimed(root, *overrides)
    report = train_zoo(made, DIGITS, run, InlineExecutor(Resources()))
    assert report.failures == ()
    return report


def footers(root: Path) -> list[dict]:
    return [json.loads(pq.read_schema(root / shard).metadata[b"zoo"]) for shard in SHARDS]


def test_a_long_group_is_published_range_by_range_and_its_states_go(tmp_path, undisturbed):
    train(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoints", "engine.json", "manifest.json", "models.parquet", "spec.json",
    ]  # fmt: skip
    assert np.array_equal(weights(tmp_path), undisturbed)
    lines = json.loads((tmp_path / "manifest.json").read_text())["shards"]
    assert [(line["shard"], line["range"], line["rows"]) for line in lines] == [
        (SHARDS[0], [0, 2], 6), (SHARDS[1], [3, 5], 6), (SHARDS[2], [6, 7], 4),
    ]  # fmt: skip
    chain = [(footer["starts_from"], footer["ends_in"]) for footer in footers(tmp_path)]
    assert chain[0][0] == chain[2][1] == ""
    assert (chain[0][1], chain[1][1]) == (chain[1][0], chain[2][0])
    assert all(len(state) == 64 for state in chain[1])
    models = Zoo(str(tmp_path)).models
    assert (
        models["test_accuracy"].to_pylist() == Zoo(str(tmp_path)).checkpoints(epochs=[7])["test_accuracy"].to_pylist()
    )


@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(6))
def test_a_worker_killed_at_any_file_is_gone_on_from(tmp_path, monkeypatch, undisturbed, nth, late):
    """In their order: the state at the end of range 0, its shard, the state of 1, its shard, the shard of 2, models."""
    _, run = claimed(tmp_path)
    run.engine(lambda: ENGINE)
    real, names = Files.publish, []

    def killing(files, name, *parts):
        if name.startswith(("states/", "checkpoints/", "manifest")):
            names.append(name)
            if len(names) == nth + 1:
                if late:
                    real(files, name, *parts)
                raise Killed
        return real(files, name, *parts)

    monkeypatch.setattr(Files, "publish", killing)
    with pytest.raises(Killed):
        train(tmp_path)
    folders = ["states", "checkpoints", "states", "checkpoints", "checkpoints", "manifest.json"]
    assert [name.partition("/")[0] for name in names] == folders[: nth + 1]
    monkeypatch.setattr(Files, "publish", real)
    report = train(tmp_path)
    shards = sum(name.startswith("checkpoints") for name in names) - (not late and names[-1].startswith("checkpoints"))
    assert [work.epochs for work in report.groups] == [[7], [5], [2], []][shards], "no range is trained twice"
    assert np.array_equal(weights(tmp_path), undisturbed)
    assert Zoo(str(tmp_path)).complete
    assert not (tmp_path / "states").exists()


def test_an_interrupted_run_tells_and_reads_what_is_there(tmp_path, monkeypatch, undisturbed):
    monkeypatch.setattr(group_task, "GroupTraining", dying(at=7))
    with pytest.raises(Killed):
        train(tmp_path)
    found = survey(RunDirectory(str(tmp_path)))
    assert (found["shards"], found["done"], found["missing"]) == (3, 2, SHARDS[2:])
    assert (found["complete"], found["damaged"], found["foreign"], found["states"]) == (False, {}, [], 1)
    assert np.array_equal(weights(tmp_path), undisturbed[:, :6])
    read = Zoo(str(tmp_path))
    assert read.checkpoints([1], [2, 3])["epoch"].to_pylist() == [2, 3]
    assert read.checkpoints()["epoch"].to_pylist() == [0, 1, 2] * 2 + [3, 4, 5] * 2
    assert np.array_equal(read.weights([1], [4])[0], undisturbed[1, 4])


def test_ranges_are_read_in_the_order_of_their_numbers(tmp_path):
    """Epochs have at least four digits, so that names alone do not sort."""
    train(tmp_path)
    (tmp_path / "manifest.json").unlink()
    (tmp_path / SHARDS[2]).rename(tmp_path / "checkpoints/group-00000-epochs-10000-10001.parquet")
    (tmp_path / SHARDS[1]).rename(tmp_path / "checkpoints/group-00000-epochs-9998-9999.parquet")
    assert Zoo(str(tmp_path)).checkpoints([0])["epoch"].to_pylist() == [0, 1, 2, 3, 4, 5, 6, 7]


def test_only_row_groups_with_the_wanted_epochs_are_read(tmp_path, monkeypatch):
    train(tmp_path)
    real, looked = pq.ParquetFile.read_row_group, []

    def counting(self, *arguments, **options):
        looked.append(options["columns"])
        return real(self, *arguments, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counting)
    assert Zoo(str(tmp_path)).weights(epochs=[4]).shape == (2, 1_210)
    assert sum("weights" in columns for columns in looked) == 1


def perturbed(at: int):
    """Training whose bits are others from epoch `at` on, as of another GPU."""

    class Perturbed(GroupTraining):
        def advance(self) -> None:
            super().advance()
            if self.epoch == at:
                state = self.state()
                self.restore(self.epoch, state | {"weights": state["weights"] + np.float32(1e-3)})

    return Perturbed


@pytest.fixture
def rival(tmp_path, monkeypatch):
    """Another attempt with other bits from epoch 1 on, stopped before its last shard, and its whole trajectory."""
    real, published = Files.publish, group_task.publish_range
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    monkeypatch.setattr(group_task, "GroupTraining", perturbed(at=1))
    train(whole)

    def stopping(run, group, origin, *others):
        if origin.range_first == 6:
            raise Killed
        return published(run, group, origin, *others)

    monkeypatch.setattr(group_task, "publish_range", stopping)
    monkeypatch.setattr(group_task, "sweep", lambda *_: None)  # what it removes later is there at its time
    with pytest.raises(Killed):
        train(stopped)
    monkeypatch.undo()
    monkeypatch.setattr(ranges, "SHARD_BYTES", 6 * ROW_BYTES)
    assert Files.publish is real
    return weights(whole), stopped


def copy(source: Path, target: Path, *patterns: str) -> None:
    for pattern in patterns:
        for path in source.glob(pattern):
            (target / path.relative_to(source)).parent.mkdir(exist_ok=True)
            (target / path.relative_to(source)).write_bytes(path.read_bytes())


@pytest.mark.parametrize("ahead", [1, 2], ids=["one range", "two ranges"])
def test_who_loses_a_shard_goes_on_from_the_winners_state(tmp_path, monkeypatch, undisturbed, rival, ahead):
    expected, stopped = rival
    assert not np.array_equal(expected, undisturbed)
    root = tmp_path / "run"
    real = group_task.publish_range

    def too_late(run, group, origin, *others):
        if origin.range_first == 0:
            copy(stopped, root, SHARDS[0], "states/*-00002-*")
            if ahead == 2:  # and the winner has removed the state in between
                copy(stopped, root, SHARDS[1], "states/*-00005-*")
                next((root / "states").glob(f"*-{footers(stopped)[0]['ends_in'][:12]}.state")).unlink()
        return real(run, group, origin, *others)

    def footers(of: Path) -> list[dict]:
        return [json.loads(pq.read_schema(of / shard).metadata[b"zoo"]) for shard in SHARDS[:2]]

    monkeypatch.setattr(group_task, "publish_range", too_late)
    assert train(root).diverged_models == 0
    assert np.array_equal(weights(root), expected), "one trajectory, and that of the winner"
    assert not (root / "states").exists()


def test_ranges_of_two_attempts_are_never_taken_for_one_trajectory(tmp_path, rival):
    root = tmp_path / "run"
    train(root)
    (root / "manifest.json").unlink()
    (root / SHARDS[1]).unlink()
    copy(rival[1], root, SHARDS[1])
    with pytest.raises(StoreError, match=r"epochs-0003-0005\.parquet: starts from state .* move all shards of group 0"):
        train(root)
    found = survey(RunDirectory(str(root)))
    assert found["damaged"][SHARDS[1]] == f"does not go on from the state that {SHARDS[0]} ends in"
    assert SHARDS[2] in found["damaged"]
    assert (found["done"], found["shards"], found["complete"]) == (1, 3, False)


def test_without_the_state_that_a_range_starts_from_one_is_told_what_to_do(tmp_path):
    train(tmp_path)
    for name in ("manifest.json", SHARDS[1], SHARDS[2]):
        (tmp_path / name).unlink()
    assert survey(RunDirectory(str(tmp_path)))["missing"] == SHARDS[1:]
    with pytest.raises(StoreError) as caught:
        train(tmp_path)
    assert "-epoch-00002-" in str(caught.value)
    assert str(caught.value).endswith("move all shards of group 0 away and run zoo train again with --resume")
    assert len(str(caught.value).splitlines()) == 1


def test_a_store_that_does_not_answer_for_a_state_is_no_reason_to_move_shards_away(tmp_path, monkeypatch):
    train(tmp_path)
    for name in ("manifest.json", SHARDS[1], SHARDS[2]):
        (tmp_path / name).unlink()

    def silent(*_):
        raise UnreachableError("the store does not answer")

    monkeypatch.setattr(group_task, "read_state", silent)
    with pytest.raises(UnreachableError, match=r"^the store does not answer"):
        train(tmp_path)


def dying(at: int):
    """Training that is killed as it reaches an epoch, and counts what it has done."""

    class Dying(GroupTraining):
        advanced: ClassVar[list[int]] = []

        def advance(self) -> None:
            if self.epoch + 1 == at:
                raise Killed
            super().advance()
            self.advanced.append(self.epoch)

    return Dying


@pytest.fixture
def whole_in_one_shard(monkeypatch):
    monkeypatch.setattr(ranges, "SHARD_BYTES", 1 << 28)
    monkeypatch.setattr(group_task, "STATE_EVERY_EPOCHS", 2)


@pytest.mark.parametrize("damaged", [0, 1, 2])
def test_a_group_killed_within_a_range_goes_on_from_its_latest_good_state(
    tmp_path, monkeypatch, undisturbed, whole_in_one_shard, damaged, capsys
):
    monkeypatch.setattr(group_task, "GroupTraining", dying(at=7))
    with pytest.raises(Killed):
        train(tmp_path)
    files = Files(str(tmp_path))
    assert [name.epoch for name in state_names(files, 0)] == [6, 4], "the last two are kept"
    assert len(read_state(files, state_names(files, 0)[0]).rows["steps"]) == 7
    assert survey(RunDirectory(str(tmp_path)))["states"] == 2
    cut = [tmp_path / name.path for name in state_names(files, 0)[:damaged]]
    for path in cut:
        path.write_bytes(path.read_bytes()[:-1])
    capsys.readouterr()
    going_on = dying(at=99)
    monkeypatch.setattr(group_task, "GroupTraining", going_on)
    train(tmp_path)
    told = [line for line in capsys.readouterr().err.splitlines() if "damaged" in line]
    assert len(told) == damaged
    for path, line in zip(cut, told, strict=True):
        assert line.startswith(f"training: group 0: {path}: damaged (its sha256 is ")
        assert line.endswith("); removed, training goes on from what there is before it")
    assert going_on.advanced == list(range([7, 5, 1][damaged], 8))
    assert np.array_equal(weights(tmp_path), undisturbed)
    assert not (tmp_path / "states").exists()


def test_a_range_that_was_begun_is_gone_on_with_from_its_own_state(tmp_path, monkeypatch, undisturbed):
    monkeypatch.setattr(group_task, "STATE_EVERY_EPOCHS", 1)
    monkeypatch.setattr(group_task, "GroupTraining", dying(at=5))
    with pytest.raises(Killed):
        train(tmp_path)
    assert [name.epoch for name in state_names(Files(str(tmp_path)), 0)] == [4, 3, 2], "2 is the end of range 0"
    going_on = dying(at=99)
    monkeypatch.setattr(group_task, "GroupTraining", going_on)
    train(tmp_path)
    assert going_on.advanced == [5, 6, 7]
    assert np.array_equal(weights(tmp_path), undisturbed)


def test_a_state_under_another_engine_is_not_gone_on_from(tmp_path, monkeypatch, whole_in_one_shard):
    monkeypatch.setattr(group_task, "GroupTraining", dying(at=7))
    with pytest.raises(Killed):
        train(tmp_path)
    (tmp_path / "engine.json").write_text('{"threads": 1, "stack": 1, "capture": false}')
    going_on = dying(at=99)
    monkeypatch.setattr(group_task, "GroupTraining", going_on)
    train(tmp_path)
    assert going_on.advanced == list(range(1, 8))


def test_states_are_saved_by_the_clock(tmp_path, monkeypatch):
    now = [0.0]

    class Slow(GroupTraining):
        def advance(self) -> None:
            super().advance()
            now[0] += 50  # s, so that 120 s are over after three epochs

    saved, real = [], group_task.publish_state

    def publish_state(files, state):
        saved.append(state.epoch)
        return real(files, state)

    monkeypatch.setattr(ranges, "SHARD_BYTES", 1 << 28)
    monkeypatch.setattr(group_task, "GroupTraining", Slow)
    monkeypatch.setattr(group_task, "publish_state", publish_state)
    made, run = claimed(tmp_path)
    told = []
    result = train_and_publish(_task(made, run), DIGITS, told.append, device="cpu", clock=lambda: now[0])
    assert saved == [3, 6]
    assert [news.epoch for news in told if not news.event] == [1, 2, 3, 4, 5, 6, 7]
    assert [(news.event, news.epoch) for news in told if news.event] == [
        ("group begun", 0),
        ("state saved", 3),
        ("state saved", 6),
        ("shard published", 7),
    ]
    assert (result.wall_s, result.epochs, result.diverged) == (350.0, 7, 0)


def _task(made, run) -> GroupTask:
    group = made.groups[0]
    return GroupTask(
        root=run.root,
        group=group,
        architecture=made.architecture,
        members=tuple(Member(model.seed, model.hyperparameters) for model in group.models),
        spec_hash=made.spec_hash,
        dataset_sha256=DIGITS.content_sha256,
        engine=run.engine(lambda: ENGINE),
    )


def test_a_task_holds_its_training_and_two_shards(tmp_path, monkeypatch):
    """Python's and NumPy's memory: the range, its encoded bytes, and copies of the state; torch's is not counted."""
    monkeypatch.setattr(group_task, "STATE_EVERY_EPOCHS", 1)
    sizes = ("zoo.model.hidden=[2000]", "zoo.population={seeds: 1, group_size: 1}", "zoo.training.epochs=23")
    row = 4 * 150_010 + 32
    monkeypatch.setattr(ranges, "SHARD_BYTES", 6 * row)
    made, run = claimed(tmp_path, *sizes)
    assert [part.epochs for part in made.groups[0].ranges] == [6] * 4
    task = _task(made, run)
    gc.collect()
    tracemalloc.start()
    try:
        train_and_publish(task, DIGITS, print, device="cpu")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    state = 3 * row  # of Adam
    assert peak < 2 * 6 * row + 2 * state + row + (1 << 20)
    assert peak > 6 * row, "NumPy tells what it allocates"
    assert 24 * row > 2 * 6 * row + 2 * state + row + (1 << 20), "the whole group would not fit"


def test_the_initialisation_is_left_out_where_the_zoo_says_so(tmp_path, undisturbed):
    train(tmp_path, "zoo.training.save_initial=false")
    read = Zoo(str(tmp_path))
    assert read.checkpoints([1])["epoch"].to_pylist() == [1, 2, 3, 4, 5, 6, 7]
    assert [part["range"] for part in json.loads((tmp_path / "manifest.json").read_text())["shards"]] == [
        [1, 3], [4, 6], [7, 7],
    ]  # fmt: skip
    assert np.array_equal(weights(tmp_path), undisturbed[:, 1:])


class Normalised(Architecture):
    """An architecture with buffers, as BatchNorm has."""

    @property
    def buffers(self) -> dict[str, tuple[int, ...]]:
        return {"norm.running_mean": (3,), "norm.running_var": (3,)}


class WithBuffers(GroupTraining):
    """Training whose buffers tell model and epoch."""

    def checkpoint(self):
        made = super().checkpoint()
        models = np.arange(len(made.weights), dtype=np.float32)[:, None]
        return replace(made, buffers=np.tile(10 * models + self.epoch, (1, 6)))


@pytest.fixture
def normalised(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(group_task, "GroupTraining", WithBuffers)
    made, run = claimed(tmp_path)
    facts = {name: getattr(made.architecture, name) for name in made.architecture.__dataclass_fields__}
    train_zoo(replace(made, architecture=Normalised(**facts)), DIGITS, run, InlineExecutor(Resources()))
    return tmp_path


def test_buffers_lie_beside_the_weights_and_read_in_the_same_order(normalised):
    read = Zoo(str(normalised))
    ids = read.checkpoints()
    expected = 10 * ids["model_id"].to_numpy() + ids["epoch"].to_numpy()
    assert np.array_equal(read.buffers(), np.tile(expected[:, None], (1, 6)))
    assert read.buffers([1], [4, 7])[:, 0].tolist() == [14, 17]
    assert read.buffer_layout.tensors[1].name == "norm.running_var"
    lines = json.loads((normalised / "manifest.json").read_text())["shards"]
    for line, shard in zip(lines, SHARDS, strict=True):
        named = json.loads(pq.read_schema(normalised / shard).metadata[b"zoo"])["buffers"]
        assert line["buffers"] == named
        stem = Path(shard).stem
        assert named["file"] == f"buffers/{stem}-{named['sha256'][:8]}.parquet"
        beside = pq.read_schema(normalised / named["file"])
        assert json.loads(beside.metadata[b"zoo"])["range"] == line["range"]
        assert str(beside.field("buffers").type) == "fixed_size_list<element: float not null>[6]"
    assert survey(RunDirectory(str(normalised)))["complete"]
    assert len(list((normalised / "buffers").iterdir())) == 3


def test_lost_or_cut_buffers_are_told(normalised):
    name = json.loads((normalised / "manifest.json").read_text())["shards"][1]["buffers"]["file"]
    path = normalised / name
    path.write_bytes(path.read_bytes()[:-1])
    assert "the footer says" in survey(RunDirectory(str(normalised)))["damaged"][SHARDS[1]]
    path.unlink()
    assert survey(RunDirectory(str(normalised)))["damaged"] == {SHARDS[1]: f"its {name} is missing"}
    with pytest.raises(StoreError, match=r"buffers/.*missing; move all shards of group 0 away"):
        train(normalised)


def test_buffers_of_a_lost_race_are_removed(normalised):
    named = sorted(path.name for path in (normalised / "buffers").iterdir())
    lost = "group-00000-epochs-0003-0005-00000000.parquet"
    other = "group-00001-epochs-0003-0005-00000000.parquet"
    for name in (lost, other):
        (normalised / "buffers" / name).write_bytes(b"of another attempt")
    (normalised / "manifest.json").unlink()
    (normalised / SHARDS[2]).unlink()
    with pytest.raises(StoreError, match="cannot be trained without it"):
        train(normalised)
    assert sorted(path.name for path in (normalised / "buffers").iterdir()) == sorted([*named, other])


def test_a_rebuilt_network_has_its_buffers(normalised, monkeypatch):
    def build(architecture, *_):
        layers = {"fc1": torch.nn.Linear(64, 16), "fc2": torch.nn.Linear(16, 10), "norm": torch.nn.BatchNorm1d(3)}
        return torch.nn.ModuleDict(layers | {"norm": torch.nn.BatchNorm1d(3, affine=False)})

    monkeypatch.setattr(zoo, "build", build)
    network = Zoo(str(normalised)).load_model(1, 5)
    assert not network.training
    assert network["norm"].running_var.tolist() == [15.0] * 3
    step = Zoo(str(normalised)).checkpoints([1], [5])["step"][0].as_py()
    assert (step, network["norm"].num_batches_tracked.item()) == (115, 115)


def test_a_state_dict_has_the_buffers_whatever_network_they_are_of(normalised):
    tensors = Zoo(str(normalised)).load_state_dict(1, 5)
    assert tensors["norm.running_mean"].tolist() == [15.0] * 3
    assert tensors["norm.running_var"].tolist() == [15.0] * 3
    assert tensors["norm.num_batches_tracked"].item() == 115
    assert torch.nn.BatchNorm1d(3, affine=False).load_state_dict(
        {name.removeprefix("norm."): tensor for name, tensor in tensors.items() if name.startswith("norm.")}
    )


def test_networks_without_buffers_say_so(tmp_path):
    train(tmp_path)
    with pytest.raises(StoreError, match="has no buffers, as its networks have none"):
        Zoo(str(tmp_path)).buffers()
    assert not (tmp_path / "buffers").exists()


def test_a_model_that_diverged_in_an_earlier_range_stays_flagged(tmp_path, monkeypatch):
    class Recovering(GroupTraining):
        def checkpoint(self):
            made = super().checkpoint()
            if self.epoch == 1:
                made.weights[1, 0] = np.nan
            return made

    monkeypatch.setattr(group_task, "GroupTraining", Recovering)
    assert train(tmp_path).diverged_models == 1
    assert [footer["diverged"] for footer in footers(tmp_path)] == [[1], [], []]
    read = Zoo(str(tmp_path))
    assert read.diverged == {1}
    assert read.models["status"].to_pylist() == ["ok", "diverged"]
