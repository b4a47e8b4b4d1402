"""Scenarios are what they say: real training, known truth, equal for equal seeds."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo_pipeline.data import load_dataset
from zoo_pipeline.errors import DataError, ZooError
from zoo_pipeline.models import Layout
from zoo_pipeline.training import Member, train_group
from zoo_pipeline.trajectories.scenarios import (
    BENCHMARK_SEEDS,
    CATALOGUE,
    DEVELOPMENT_SEEDS,
    KnownBag,
    kinds,
    make,
    names,
    problems,
)
from zoo_pipeline.trajectories.scenarios.branching import SHARED_GRID, common_start, shared_seeds
from zoo_pipeline.trajectories.scenarios.independent import PUBLISHED_GRID, grid, restarts
from zoo_pipeline.trajectories.scenarios.known import Fork, known_bag
from zoo_pipeline.trajectories.scenarios.missing import missing, nearer_than_strangers
from zoo_pipeline.trajectories.scenarios.problems import ADAM, DIGITS, SGD
from zoo_pipeline.trajectories.scenarios.seeding import Seeding

SHORT = replace(ADAM, epochs=3)

# Rows, models and d with two starts. Not here: those that need files, and three that train many models per start.
SHAPES = {
    "digits-sgd": (102, 2, 1210),
    "digits-adam": (102, 2, 1210),
    "deep-adam": (102, 2, 1374),
    "tetris-adam": (102, 2, 100),
    "grid-shared-seeds": (16 * 26, 16, 1210),
    "forks-sgd": (2 * 21 + 6 * 20, 8, 1210),
    "forks-adam": (2 * 21 + 6 * 20, 8, 1210),
    "forks-other-seed": (2 * 21 + 4 * 20, 6, 1210),
    "fine-tunes": (2 * 21 + 6 * 20, 8, 1210),
    "forks-of-forks": (2 * 21 + 4 * 20, 6, 1210),
    "no-initialisation": (100, 2, 1210),
    "no-first-ten": (82, 2, 1210),
    "every-2nd": (52, 2, 1210),
    "every-5th": (22, 2, 1210),
    "every-10th": (12, 2, 1210),
    "random-half": (51, 2, 1210),
    "some-single": (52, 2, 1210),
    "plateau-sgd": (24, 2, 1210),
    "plateau-adam": (24, 2, 1210),
    "plateau-deep": (24, 2, 1374),
    "plateau-decay": (24, 2, 1210),
    "float16": (102, 2, 1210),
    "bfloat16": (102, 2, 1210),
    "duplicates": (112, 2, 1210),
    "noise": (102, 2, 1210),
    "pruned": (104, 2, 1210),
    "scales-sgd": (510, 10, 1210),
    "scales-adam": (510, 10, 1210),
    "mild-scales-sgd": (408, 8, 1210),
    "mild-scales-adam": (408, 8, 1210),
    "decay-sgd": (102, 2, 1210),
    "decay-adam": (102, 2, 1210),
    "decay-adamw": (102, 2, 1210),
    "warm-restarts": (82, 2, 1210),
    "strangers": (2, 2, 1210),
}


def row(bag: KnownBag, model: int, epoch: int) -> np.ndarray:
    (found,) = bag.weights[(bag.model_id == model) & (bag.epoch == epoch)]
    return found


def path(bag: KnownBag, model: int) -> np.ndarray:
    rows = np.flatnonzero(bag.model_id == model)
    return bag.weights[rows[np.argsort(bag.epoch[rows])]]


def in_order(bag: KnownBag) -> KnownBag:
    return bag.rows(np.lexsort((bag.epoch, bag.model_id)))


@pytest.fixture(scope="module")
def whole() -> KnownBag:
    """The undamaged zoo of the damaged ones, in order."""
    return in_order(make("digits-adam", 5, starts=3).bags[0])


@pytest.mark.parametrize("name", SHAPES)
def test_scenarios_have_their_shapes_and_only_finite_weights(name):
    (bag,) = make(name, 0, starts=2).bags
    assert (len(bag.weights), bag.models, bag.weights.shape[1]) == SHAPES[name]
    assert bag.layout.dimension == bag.weights.shape[1]
    assert bag.weights.dtype == np.float32
    assert np.isfinite(bag.weights).all()
    assert set(bag.model_id) == set(range(bag.models))
    assert len(bag.weights) < 5 or not np.array_equal(bag.model_id, np.sort(bag.model_id))  # shuffled


def test_every_scenario_is_either_tested_for_its_shape_or_known_to_be_dear():
    dear = {"grid", "common-start-sgd", "common-start-adam", "mixed-bag"}
    assert set(names()) == SHAPES.keys() | dear | {name for name in names() if CATALOGUE[name].needs_files}
    assert len(kinds()) == 11
    assert {name for kind in kinds() for name in names(kind)} == set(names())
    assert names("mixed") == ["mixed-bag"]


def test_the_mixed_bag_holds_three_layouts():
    bags = make("mixed-bag", 0, starts=1).bags
    assert [bag.weights.shape for bag in bags] == [(51, 1210), (51, 1374), (51, 100)]


def test_equal_seeds_give_equal_bits_and_others_share_no_checkpoint():
    (first,) = make("forks-sgd", 3, starts=1).bags
    problems._own_starts.cache_clear()
    (second,) = make("forks-sgd", 3, starts=1).bags
    (other,) = make("forks-sgd", 4, starts=1).bags
    assert first.weights.tobytes() == second.weights.tobytes()
    assert all(np.array_equal(getattr(first, of), getattr(second, of)) for of in ("model_id", "epoch", "parent_epoch"))
    assert not {one.tobytes() for one in first.weights} & {one.tobytes() for one in other.weights}


def test_development_and_benchmark_have_no_seed_in_common():
    assert not set(DEVELOPMENT_SEEDS) & set(BENCHMARK_SEEDS)
    last, first = (Seeding(seeds) for seeds in (DEVELOPMENT_SEEDS[-1], BENCHMARK_SEEDS[0]))
    assert last.network_seeds(100_000)[-1] < first.network_seeds(1)[0]
    with pytest.raises(ValueError, match="need 100,001 networks"):
        first.network_seeds(1, first=100_000)


def test_networks_learn():
    bag = in_order(make("digits-sgd", 1, starts=2).bags[0])
    digits = load_dataset("digits")
    images = torch.tensor(digits.test_images).flatten(1)

    def accuracy(weights):
        tensors = bag.layout.unflatten(torch.tensor(weights))
        hidden = torch.tanh(images @ tensors["fc1.weight"].T + tensors["fc1.bias"])
        guess = (hidden @ tensors["fc2.weight"].T + tensors["fc2.bias"]).argmax(1)
        return float((guess.numpy() == digits.test_labels).mean())

    assert accuracy(bag.weights[0]) < 0.3
    assert accuracy(bag.weights[50]) > 0.93


@pytest.mark.parametrize("name", ["forks-sgd", "forks-of-forks", "fine-tunes"])
def test_forks_start_at_their_parents_weights(name):
    (bag,) = make(name, 2, starts=2).bags
    children = np.flatnonzero(bag.parent_model >= 0)
    assert len(children) == bag.models - 2
    assert np.array_equal(bag.family[children], bag.family[bag.parent_model[children]])
    assert set(bag.family) == {0, 1}
    assert (bag.epoch[np.isin(bag.model_id, children)] > 0).all()
    seeds = Seeding(2, 2).network_seeds(100)  # parents first, then children, in order
    how = {
        "forks-sgd": [replace(SGD, epochs=20, learning_rate=rate) for rate in (0.05, 0.015, 0.15)],
        "forks-of-forks": [replace(SGD, epochs=20)],
        "fine-tunes": [
            replace(SGD, epochs=20, label_noise=0.2),
            replace(SGD, epochs=20, data_fraction=0.5),
            replace(SGD, epochs=20, data_fraction=0.5, learning_rate=0.015),
        ],
    }[name]
    for number, child in enumerate(children):
        start = row(bag, bag.parent_model[child], bag.parent_epoch[child])
        member = Member(seeds[child], how[number % len(how)])
        again = train_group(DIGITS.architecture, [member], load_dataset("digits"), starts=start[None]).weights[0]
        assert np.abs(again[1:3] - path(bag, child)[:2]).max() < 1e-4
        assert np.abs(again[1] - start).max() > 1e-3


def test_fork_points_lie_within_their_parents():
    (bag,) = make("forks-of-forks", 6, starts=4).bags
    children = np.flatnonzero(bag.parent_model >= 0)
    assert bag.parent_epoch[children].min() >= 3
    assert bag.parent_epoch[children].max() <= 17
    assert len(set(bag.parent_epoch[children])) > 2
    assert Counter(bag.parent_model[children].tolist()) == dict.fromkeys(range(8), 1)


def test_models_of_a_common_start_share_epoch_0_alone():
    (bag,) = common_start(DIGITS, SHORT, 4, Seeding(7))
    starts = bag.weights[bag.epoch == 0]
    assert (starts == starts[0]).all()
    assert len(np.unique(bag.weights[bag.epoch > 0], axis=0)) == 12
    assert np.array_equal(bag.identifiable, bag.epoch > 0)
    assert set(bag.family) == {0}
    assert (bag.parent_model == -1).all()


def test_shared_seeds_share_initialisations_within_a_seed():
    points = [replace(point, epochs=2) for point in SHARED_GRID[:3]]
    (bag,) = shared_seeds(DIGITS, points, 2, Seeding(8))
    assert bag.family.tolist() == [0, 0, 0, 3, 3, 3]
    starts = np.stack([row(bag, model, 0) for model in range(6)])
    assert (starts[:3] == starts[0]).all()
    assert (starts[3:] == starts[3]).all()
    assert not np.array_equal(starts[0], starts[3])
    assert len(np.unique(bag.weights[bag.epoch > 0], axis=0)) == 12


def test_models_of_a_grid_start_apart():
    assert len(set(PUBLISHED_GRID)) == 128
    points = [replace(point, epochs=1) for point in PUBLISHED_GRID[:: len(PUBLISHED_GRID) // 4]]
    (bag,) = grid(DIGITS, points, 2, Seeding(9))
    assert bag.models == 8
    assert bag.identifiable.all()
    assert len(np.unique(bag.weights, axis=0)) == 16
    assert bag.family.tolist() == list(range(8))


def test_warm_restarts_go_on_from_where_the_cycle_ended():
    cycle = replace(SGD, schedule="cosine", epochs=6)
    (bag,) = restarts(DIGITS, cycle, 3, 2, Seeding(10))
    for model in range(2):
        steps = np.linalg.norm(np.diff(path(bag, model), axis=0), axis=1)
        assert len(steps) == 18
        assert steps[5] < steps[6] > steps[11] < steps[12]  # the rate falls to nothing and starts again
        assert steps[:6].max() == steps.max()


@pytest.mark.parametrize(
    ("name", "epochs"),
    [
        ("no-initialisation", range(1, 51)),
        ("no-first-ten", range(10, 51)),
        ("every-5th", range(0, 51, 5)),
        ("every-10th", range(0, 51, 10)),
        ("plateau-sgd", range(39, 51)),
    ],
)
def test_what_is_missing_is_missing_of_every_model(name, epochs):
    (bag,) = make(name, 0, starts=2).bags
    for model in range(2):
        assert sorted(bag.epoch[bag.model_id == model]) == list(epochs)


def test_of_half_of_the_models_one_checkpoint_is_left():
    (bag,) = make("some-single", 1, starts=4).bags
    assert sorted(Counter(bag.model_id.tolist()).values()) == [1, 1, 51, 51]
    assert bag.identifiable.all()


def test_models_whose_checkpoints_are_nearer_to_strangers_are_not_identifiable():
    apart = np.eye(4, dtype=np.float32)
    layout = Layout.of({"fc1.weight": (2, 2)})
    steady = np.stack([apart[0], apart[0] + 0.1 * apart[1]])
    torn = np.stack([apart[2], apart[0] + 0.3 * apart[1]])
    bag = known_bag([steady, torn], layout, np.random.default_rng(0))
    assert np.array_equal(nearer_than_strangers(bag), bag.model_id == 0)
    (left,) = missing(lambda _: (bag,), lambda bag, _: bag.epoch == 0, Seeding(0))
    assert left.identifiable.all()  # one checkpoint each


@pytest.mark.parametrize(("name", "dtype"), [("float16", torch.float16), ("bfloat16", torch.bfloat16)])
def test_rounded_weights_are_those_that_the_type_holds(whole, name, dtype):
    rounded = in_order(make(name, 5, starts=3).bags[0]).weights
    assert np.array_equal(rounded, torch.tensor(whole.weights).to(dtype).float().numpy())
    assert not np.array_equal(rounded, whole.weights)


def test_duplicates_are_exact_and_a_tenth(whole):
    (bag,) = make("duplicates", 5, starts=3).bags
    times = Counter(zip(bag.model_id.tolist(), bag.epoch.tolist(), strict=True))
    assert Counter(times.values()) == {1: 138, 2: 15}
    assert {one.tobytes() for one in bag.weights} == {one.tobytes() for one in whole.weights}


def test_noise_is_a_hundredth_of_the_weights(whole):
    noise = in_order(make("noise", 5, starts=3).bags[0]).weights - whole.weights
    size = np.sqrt(np.square(noise).mean(1) / np.square(whole.weights).mean(1))
    assert size == pytest.approx(0.01, rel=0.1)
    assert np.unique(noise, axis=0).shape == noise.shape


def test_pruning_sets_the_smaller_half_of_the_last_weights_to_zero(whole):
    (bag,) = make("pruned", 5, starts=3).bags
    for model in range(3):
        last, pruned = row(whole, model, 50), row(bag, model, 51)
        kept = pruned != 0
        assert kept.sum() == 605
        assert np.array_equal(pruned[kept], last[kept])
        assert np.abs(last[kept]).min() >= np.abs(last[~kept]).max()
        assert np.array_equal(row(bag, model, 50), last)


def test_strangers_are_last_checkpoints():
    (bag,) = make("strangers", 11, starts=3).bags
    how = replace(ADAM, epochs=10)
    paths = problems.train_paths(DIGITS, [Member(seed, how) for seed in Seeding(11).network_seeds(3)], None)
    assert np.abs(in_order(bag).weights - paths[:, 10]).max() < 1e-5
    assert (bag.epoch == 10).all()


def test_a_bag_knows_forks_families_and_what_nothing_tells_apart():
    paths = [np.full((4, 3), model, np.float32) for model in range(4)]
    layout = Layout.of({"fc1.weight": (3,)})
    origins = [None, None, Fork(1, 2), Fork(2, 1)]
    bag = in_order(known_bag(paths, layout, np.random.default_rng(0), forks=origins))
    assert bag.model_id.tolist() == [0] * 4 + [1] * 4 + [2] * 3 + [3] * 3
    assert bag.epoch.tolist() == [0, 1, 2, 3] * 2 + [1, 2, 3] * 2
    assert bag.family.tolist() == [0, 1, 1, 1]
    assert (bag.parent_model.tolist(), bag.parent_epoch.tolist()) == ([-1, -1, 1, 2], [-1, -1, 2, 1])
    assert bag.identifiable.all()
    together = in_order(known_bag(paths, layout, np.random.default_rng(0), family=[0, 0, 2, 3]))
    assert together.identifiable.tolist() == [False, True, True, True] * 2 + [True] * 8


def test_scenarios_with_mnist_need_its_files(mnist_dir):
    (bag,) = make("forks-mnist", 0, starts=1, data_dir=mnist_dir).bags
    assert (len(bag.weights), bag.models, bag.weights.shape[1]) == (21 + 3 * 20, 4, 7960)
    (bag,) = make("cnn-adam", 0, starts=1, data_dir=mnist_dir).bags
    assert bag.weights.shape == (16, 2464)


def test_without_mnists_files_a_scenario_that_needs_them_says_so():
    with pytest.raises(DataError, match="set ZOO_DATA_DIR"):
        make("mnist-sgd", 0, starts=1)


def test_an_unknown_scenario_is_named_with_the_nearest():
    with pytest.raises(ZooError, match=r"forks-sdg: no such scenario \(did you mean forks-sgd\?\)"):
        make("forks-sdg", 0)


def test_trained_paths_cannot_be_changed_by_mistake():
    paths = problems.train_paths(DIGITS, [Member(0, SHORT)], None)
    with pytest.raises(ValueError, match="read-only"):
        paths[0, 0, 0] = 1
