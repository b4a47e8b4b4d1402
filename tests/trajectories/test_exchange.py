"""Held against renumbering by brute force: every permutation where they can be listed, samples where not."""

from itertools import permutations

import numpy as np
import pytest
import torch

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.exchange import HiddenUnits, exchange_scores, split_weights

SMALL = Layout.of({"fc1.weight": (4, 6), "fc1.bias": (4,), "fc2.weight": (3, 4), "fc2.bias": (3,)})
DEEP = Layout.of(Architecture("mlp", (1, 2, 3), 3, hidden=(4, 5)).tensors)
CNN = Layout.of(Architecture("cnn-s", (1, 28, 28), 10).tensors)


def networks(layout, n=2, seed=0):
    """Weights whose units have a mean and a spread of their own, as trained ones have."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, layout.dimension)) + rng.standard_normal(layout.dimension)).astype(np.float32)


def renumbered(weights, layout, orders):
    """A copy of one network with hidden layer k in the order orders[k]: fc1 … or conv1 … fc2, one after another."""
    state = {name: tensor[0].copy() for name, tensor in layout.unflatten(weights[None]).items()}
    names = [name.removesuffix(".weight") for name in state if name.endswith(".weight")]
    for name, behind, order in zip(names, names[1:], orders, strict=False):
        state[f"{name}.weight"] = state[f"{name}.weight"][order]
        state[f"{name}.bias"] = state[f"{name}.bias"][order]
        following = state[f"{behind}.weight"]
        by_unit = following.reshape(len(following), len(order), -1)[:, order]
        state[f"{behind}.weight"] = by_unit.reshape(following.shape)
    return layout.flatten(state, np.empty(layout.dimension, np.float32))


def cosines(first, second, layout):
    one, two = split_weights(first, layout), split_weights(second, layout)
    cosine, variance = one.cosines(two)
    return cosine.numpy(), variance.numpy()


def test_the_hidden_layers_follow_from_the_shapes():
    assert HiddenUnits.of(SMALL).sizes == (4,)
    assert HiddenUnits.of(CNN).sizes == (8, 6, 4, 20)
    assert HiddenUnits.of(Layout.of({"weight": (3, 4), "bias": (3,)})).sizes == ()
    assert split_weights(networks(SMALL), None) is None
    assert split_weights(np.ones((2, 12), np.float32), Layout.of({"weight": (3, 4)})) is None


@pytest.mark.parametrize(("sizes", "tell"), [((3,), False), ((4,), True), ((2, 3), False), ((1, 5), True), ((), False)])
def test_hidden_units_tell_something_where_they_can_be_renumbered_often_enough(sizes, tell):
    """A network of three hidden units has six copies: the likest of them is no rare thing."""
    widths = (6, *sizes, 2)
    layout = Layout.of({f"fc{k}.weight": (widths[k + 1], widths[k]) for k in range(len(widths) - 1)})
    assert HiddenUnits.of(layout).tell == tell
    assert (split_weights(np.ones((2, layout.dimension), np.float32), layout) is not None) == tell


def test_mean_and_variance_are_those_over_all_renumberings():
    one, two = networks(SMALL)
    copies = np.stack([renumbered(two, SMALL, [list(order)]) for order in permutations(range(4))])
    cosine, variance = cosines(np.repeat(one[None], len(copies), 0), copies, SMALL)
    assert cosine.mean() == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(variance, np.mean(cosine**2), rtol=1e-4)


@pytest.mark.parametrize("layout", [DEEP, CNN], ids=["deep", "cnn"])
def test_the_variance_holds_for_several_hidden_layers(layout):
    one, two = networks(layout)
    rng = np.random.default_rng(1)
    sizes = HiddenUnits.of(layout).sizes
    copies = np.stack([renumbered(two, layout, [rng.permutation(size) for size in sizes]) for _ in range(4_000)])
    cosine, variance = cosines(np.repeat(one[None], len(copies), 0), copies, layout)
    np.testing.assert_allclose(variance, variance[0], rtol=1e-3)
    assert cosine.mean() == pytest.approx(0, abs=4 * float(variance[0] / len(copies)) ** 0.5)
    assert np.mean(cosine**2) == pytest.approx(float(variance[0]), rel=0.1)


def test_what_no_renumbering_moves_does_not_count():
    one, two = networks(SMALL)
    state = SMALL.unflatten(two[None].copy())
    state["fc1.weight"] += np.arange(6, dtype=np.float32)  # the same for all hidden units
    state["fc1.bias"] += 5
    state["fc2.bias"] += np.array([3, 4, 5], np.float32)
    moved = SMALL.flatten(state, np.empty((1, SMALL.dimension), np.float32))
    np.testing.assert_allclose(cosines(one[None], moved, SMALL), cosines(one[None], two[None], SMALL), rtol=1e-4)


def test_scores_are_deviations_for_small_cosines_and_unlimited_towards_one():
    cosine = torch.tensor([0.01, -0.01, 0.0, 0.9, 1.0])
    scores = exchange_scores(cosine, torch.full((5,), 0.01))
    assert scores[:3].tolist() == pytest.approx([0.1, -0.1, 0], abs=1e-5)
    assert float(scores[3]) == pytest.approx(np.sqrt(-100 * np.log(1 - 0.81)), rel=1e-5)
    assert scores[4] == np.inf


def test_a_network_without_anything_to_move_is_like_no_other():
    flat = np.ones((1, SMALL.dimension), np.float32)
    cosine, variance = cosines(flat, networks(SMALL)[:1], SMALL)
    assert (cosine[0], variance[0]) == (0, 1)


def test_unrelated_networks_score_as_standard_normal_numbers():
    weights = np.random.default_rng(0).standard_normal((60, DEEP.dimension)).astype(np.float32)
    one, two = np.triu_indices(60, 1)
    scores = exchange_scores(*map(torch.from_numpy, cosines(weights[one], weights[two], DEEP))).numpy()
    assert scores.std() == pytest.approx(1, abs=0.1)
    assert np.abs(scores).max() < 5
