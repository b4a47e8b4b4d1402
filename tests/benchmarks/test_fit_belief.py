"""The fit of what tells a tree from a path: on families whose paths are planted."""

import numpy as np
import pytest

from benchmarks import belief_examples as examples
from benchmarks import fit_belief as study
from benchmarks import fit_forks
from benchmarks.belief_examples import Judged
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.branching.belief import WEIGHTS
from zoo_pipeline.trajectories.scenarios import KnownBag

D = 300
MEASURED = [name for name in WEIGHTS if name != "constant"]


@pytest.fixture(scope="module")
def bag():
    """A stranger of twelve rows; a model of thirty, and forks of fourteen and nine from its epochs 15 and 20."""
    rng = np.random.default_rng(0)

    def walk(start, count):
        return start + np.cumsum(rng.standard_normal((count, D)) / D**0.5, axis=0)

    parent = walk(np.zeros(D), 30)
    weights = np.concatenate([walk(np.ones(D), 12), parent, walk(parent[15], 14), walk(parent[20], 9)])
    epoch = np.concatenate([np.arange(12), np.arange(30), np.arange(1, 15), np.arange(1, 10)])
    history = {"family": [0, 1, 1, 1], "parent_model": [-1, -1, 1, 1], "parent_epoch": [-1, -1, 15, 20]}
    known = KnownBag(
        weights.astype(np.float32),
        Layout.of({"w": (D,)}),
        np.repeat([0, 1, 2, 3], [12, 30, 14, 9]),
        epoch,
        np.ones(65, bool),
        **{name: np.array(values) for name, values in history.items()},
    )
    return known.shuffled(rng)


def test_every_fork_with_its_parent_every_family_and_every_stretch_is_judged(bag, monkeypatch):
    asked = []
    monkeypatch.setattr(examples, "judged", lambda weights, paths, layout, source: asked.append((weights, paths)) or [])
    list(examples.judged_bag(bag, "planted"))
    # Alone: the whole, from row 10 and from row 20, of 12, 30, 14 and 9 rows.
    alone = [[length] for whole in (12, 30, 14, 9) for length in (whole, max(whole - 10, 0), max(whole - 20, 0))]
    assert [paths for _, paths in asked] == [*alone[:3], [30, 14], [30, 9], [30, 14, 9], *alone[3:]]
    first_fork = asked[3][0]
    own = bag.weights[bag.model_id == 1][np.argsort(bag.epoch[bag.model_id == 1])]
    np.testing.assert_array_equal(first_fork[:30], own)


def test_a_tree_is_exact_where_its_paths_are_the_true_ones(bag):
    found = [one for one in examples.judged_bag(bag, "planted") if one.paths == 2]
    assert len(found) == 2
    for one in found:
        assert one.measured.keys() == WEIGHTS.keys() - {"constant"}
    points = np.zeros((20, 2))
    points[:, 0] = np.arange(20)
    assert examples.judged(points, [20], None, "line") == [Judged("line", 1, False, {})]
    assert examples.judged(points[:4], [4], None, "short") == []
    assert examples.judged(np.repeat(points, 2, axis=0), [40], None, "twice") == []


@pytest.mark.long
def test_walks_are_of_all_kinds():
    found = examples.judged_walks(0)
    assert sorted({one.paths for one in found}) == [2, 3, 4]
    assert sum(one.exact for one in found) > len(found) / 4  # nothing says which of two arms is the branch


def planted(rng, count):
    """Measures whose true odds are known."""
    rows = rng.uniform(0, 1, (count, len(MEASURED)))
    odds = 8 * (rows[:, 0] - rows[:, 4])
    branches = rng.random(count) < 1 / (1 + np.exp(-odds))
    return [
        Judged("planted", 1 + int(one), bool(one), dict(zip(MEASURED, row.tolist(), strict=True)))
        for row, one in zip(rows, branches, strict=True)
    ]


def test_what_is_planted_is_found():
    found = study.fit([*planted(np.random.default_rng(0), 4000), Judged("never a tree", 1, False, {})])
    expected = dict.fromkeys(WEIGHTS, 0.0) | {"apart": 8.0, "strain_left": -8.0}
    assert found == {name: pytest.approx(value, abs=1.0) for name, value in expected.items()}


def test_scores_count_what_is_believed(monkeypatch):
    monkeypatch.setattr(study, "branching_odds", lambda measured, weights: weights["odds"] * measured["odds"])
    found = [
        Judged("a", 2, True, {"odds": 9.0}),
        Judged("a", 3, False, {"odds": 9.0}),
        Judged("a", 2, True, {"odds": -1.0}),
        Judged("a", 2, False, {}),
        Judged("b", 1, False, {"odds": 9.0}),
        Judged("b", 1, False, {}),
    ]
    assert study.score(found, {"odds": 0.5}) == {
        "a": {"branching": 4, "exact": 2, "believed": 2, "both": 1},
        "b": {"single": 2, "taken_apart": 1},
    }


def test_what_is_scored_was_fitted_to_nothing():
    fitted = {*study.FITTED, *study.FITTED_RANDOM, *fit_forks.FITTED, *fit_forks.RANDOM}
    scored = {*study.SCORED, *study.SCORED_RANDOM}
    assert not fitted & scored
    first = [range(seeds[0], seeds[0] + examples._MODELS) for seeds in (study.FITTED_RANDOM, study.SCORED_RANDOM)]
    assert not set(first[0]) & set(first[1])
    assert max(scored) in study.DEVELOPMENT_SEEDS
