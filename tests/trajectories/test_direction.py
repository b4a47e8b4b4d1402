import numpy as np
import pytest

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import load_dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.training import Engine, Member, train_group
from zoo_pipeline.trajectories.direction import (
    DECIDED_FROM,
    WITH_LAYOUT,
    WITHOUT_LAYOUT,
    decide_direction,
    decide_directions,
    direction_log_odds,
)
from zoo_pipeline.trajectories.direction_cues import measure_cues

NETWORK = Architecture("mlp", (1, 8, 8), 10, hidden=(12,))  # one that nothing was fitted to
LAYOUT = Layout.of(NETWORK.tensors)
EPOCHS, SEEDS = 24, 6
HOW = {
    "sgd": Hyperparameters("sgd", 0.03, 64, EPOCHS),
    "momentum": Hyperparameters("sgd", 0.01, 64, EPOCHS, momentum=0.9, activation="relu"),
    "adam": Hyperparameters("adam", 2e-3, 64, EPOCHS),
    "decay": Hyperparameters("adamw", 5e-3, 64, EPOCHS, weight_decay=0.3, activation="relu"),
}


@pytest.fixture(scope="module", params=HOW)
def trained_paths(request):
    """Freshly trained paths, float32[seeds, epochs + 1, d]."""
    members = [Member(77_000 + seed, HOW[request.param]) for seed in range(SEEDS)]
    return train_group(NETWORK, members, load_dataset("digits"), engine=Engine()).weights


@pytest.fixture(scope="module")
def path():
    """A walk of 20 shrinking steps, float32[21, d]."""
    steps = np.random.default_rng(3).standard_normal((21, LAYOUT.dimension)) * 0.85 ** np.arange(21)[:, None]
    return np.cumsum(steps, axis=0).astype(np.float32)


@pytest.mark.parametrize("layout", [None, LAYOUT], ids=["without layout", "with layout"])
@pytest.mark.parametrize("part", [slice(None), slice(None, None, 2), slice(None, None, 5), slice(10, None)], ids=str)
def test_new_networks_are_known_from_their_paths(trained_paths, part, layout):
    found = decide_directions(trained_paths[:, part], layout)
    assert all(direction.forward for direction in found if direction.decided)
    assert np.mean([direction.decided for direction in found]) >= (0.5 if part.start else 0.8)


def test_whole_paths_of_new_networks_leave_no_doubt(trained_paths):
    found = decide_directions(trained_paths, LAYOUT)
    assert [(direction.forward, direction.decided) for direction in found] == [(True, True)] * SEEDS


@pytest.mark.parametrize("layout", [None, LAYOUT], ids=["without layout", "with layout"])
def test_the_reversed_path_gets_the_opposite_verdict_bit_for_bit(trained_paths, layout):
    for one in trained_paths:
        there, back = decide_direction(one, layout), decide_direction(one[::-1], layout)
        assert (there.forward, there.confidence, there.decided) == (not back.forward, back.confidence, back.decided)


def test_the_scale_of_the_weights_does_not_matter(path):
    assert decide_direction(path, LAYOUT) == decide_direction(4096 * path, LAYOUT)


def test_many_paths_are_judged_like_each_alone(path):
    paths = np.stack([path, path[::-1], path + 1])
    for together, one in zip(decide_directions(paths, LAYOUT), paths, strict=True):
        alone = decide_direction(one, LAYOUT)
        assert (together.forward, together.decided) == (alone.forward, alone.decided)
        assert together.confidence == pytest.approx(alone.confidence)


@pytest.mark.parametrize(("layout", "table"), [(None, WITHOUT_LAYOUT), (LAYOUT, WITH_LAYOUT)], ids=["without", "with"])
def test_the_log_odds_are_the_weighted_sum_of_all_cues(path, layout, table):
    cues = measure_cues(path[None], layout)
    assert set(table) == set(cues.values)
    expected = sum(
        (weight + smooth_weight * cues.smoothness[0]) * np.tanh(cues.values[name][0] / scale)
        for name, (scale, weight, smooth_weight) in table.items()
    )
    assert direction_log_odds(path[None], layout) == pytest.approx([expected])
    found = decide_direction(path, layout)
    assert found.forward == (expected > 0)
    assert found.confidence == pytest.approx(1 / (1 + np.exp(-abs(expected))))
    assert found.decided == (found.confidence >= DECIDED_FROM)


@pytest.mark.parametrize("layout", [None, LAYOUT], ids=["without layout", "with layout"])
def test_shuffled_paths_are_hardly_ever_decided(trained_paths, layout):
    rng = np.random.default_rng(5)
    shuffled = [one[rng.permutation(len(one))] for one in trained_paths for _ in range(10)]
    assert np.mean([decide_direction(one, layout).decided for one in shuffled]) <= 0.1


@pytest.mark.parametrize("layout", [None, LAYOUT], ids=["without layout", "with layout"])
@pytest.mark.parametrize("checkpoints", [1, 2])
def test_too_few_checkpoints_are_undecided(path, checkpoints, layout):
    found = decide_direction(path[:checkpoints], layout)
    assert (found.forward, found.decided, found.confidence) == (True, False, 0.5)


@pytest.mark.parametrize("layout", [None, LAYOUT], ids=["without layout", "with layout"])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_path_that_stands_still_is_undecided(value, layout):
    found = decide_direction(np.full((5, LAYOUT.dimension), value, np.float32), layout)
    assert (found.decided, found.confidence) == (False, 0.5)
