"""The cut under its null: networks without a common history, whose hidden units are drawn alike, at the frozen cut."""

import numpy as np
import pytest
import torch
from scipy.stats import norm, poisson

from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.exchange import exchange_scores, split_weights
from zoo_pipeline.trajectories.recovery import recover
from zoo_pipeline.trajectories.separation import FALSE_JOINS, threshold

LAYOUT = Layout.of({"fc1.weight": (16, 30), "fc1.bias": (16,), "fc2.weight": (10, 16), "fc2.bias": (10,)})
NETWORKS = 12


def unrelated(seed, *, checkpoints=1):
    """Networks of which each hidden unit is drawn by itself, from what all have in common: float32[n, d].

    All share a mean, a spread for every input and every output, heavy tails, and output biases, as networks do that
    learn one task. Each walks so many small steps from its start.
    """
    rng = np.random.default_rng(seed)
    state = {
        "fc1.weight": rng.standard_normal(30) * 2 + rng.gamma(1, 1, 30) * rng.standard_t(4, (NETWORKS, 16, 30)),
        "fc1.bias": rng.standard_normal((NETWORKS, 16)) + 3,
        "fc2.weight": rng.gamma(1, 1, (10, 1)) * rng.standard_normal((NETWORKS, 10, 16)) + rng.standard_normal((10, 1)),
        "fc2.bias": np.broadcast_to(5 * rng.standard_normal(10), (NETWORKS, 10)),
    }
    starts = np.concatenate([state[name].reshape(NETWORKS, -1) for name in state], axis=1)
    steps = 0.2 * rng.standard_normal((NETWORKS, checkpoints, LAYOUT.dimension))
    steps[:, 0] = 0
    return (starts[:, None] + np.cumsum(steps, axis=1)).reshape(-1, LAYOUT.dimension).astype(np.float32)


def outcome(seed, checkpoints):
    """How many joins of two networks a bag has that should have none, and whether every walk came out whole."""
    family = recover(unrelated(seed, checkpoints=checkpoints), LAYOUT).family.reshape(NETWORKS, checkpoints)
    joined = sum(len(np.unique(np.nonzero(family == number)[0])) - 1 for number in np.unique(family))
    return joined, bool((family == family[:, :1]).all())


@pytest.mark.parametrize(("checkpoints", "bags"), [(1, 100), (6, 50), (20, 30)])
def test_bags_of_unrelated_networks_have_no_more_false_joins_than_promised(checkpoints, bags):
    joined, whole = zip(*(outcome(seed, checkpoints) for seed in range(bags)), strict=True)
    assert sum(joined) <= poisson.isf(0.01, FALSE_JOINS * bags)
    assert all(whole)  # at the same cut, what belongs together was found


def test_pairs_of_unrelated_networks_pass_the_cut_no_oftener_than_normal_numbers():
    one, two = (torch.from_numpy(side) for side in np.triu_indices(NETWORKS, 1))
    passed = pairs = 0
    for seed in range(300):
        split = split_weights(unrelated(seed), LAYOUT)
        scores = exchange_scores(*split.take(one).cosines(split.take(two)))
        passed += int((scores > threshold(2)).sum())
        pairs += len(scores)
    assert pairs == 19_800
    assert passed <= poisson.isf(1e-3, norm.sf(threshold(2)) * pairs)  # 18, where 8 are expected


def test_a_cut_that_is_too_low_is_noticed(monkeypatch):
    monkeypatch.setattr("zoo_pipeline.trajectories.separation.threshold", lambda families: 2.0)
    assert sum(outcome(seed, 1)[0] for seed in range(10)) > poisson.isf(0.01, FALSE_JOINS * 10)
