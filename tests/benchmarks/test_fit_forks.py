"""The fit of what tells where branches left their parents: on forks whose answer is planted."""

import numpy as np
import pytest
from scipy.optimize import minimize

from benchmarks import fit_forks as study
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.branching.attachment import measure_attachment
from zoo_pipeline.trajectories.branching.continuation import measure_continuation
from zoo_pipeline.trajectories.branching.tree import Tree
from zoo_pipeline.trajectories.scenarios import KnownBag

D = 40


@pytest.fixture(scope="module")
def bag():
    """A stranger of three rows; a model of seven, a fork of four from its epoch 3, and one of three from its 2."""
    rng = np.random.default_rng(0)

    def walk(start, count):
        return start + np.cumsum(np.eye(1, D) + 0.1 * rng.standard_normal((count, D)), axis=0)

    stranger, parent = walk(rng.standard_normal(D), 3), walk(rng.standard_normal(D), 7)
    fork = walk(parent[3], 4)
    weights = np.concatenate([stranger, parent, fork, walk(fork[1], 3)]).astype(np.float32)
    model_id = np.repeat([0, 1, 2, 3], [3, 7, 4, 3])
    epoch = np.concatenate([np.arange(3), np.arange(7), np.arange(1, 5), np.arange(1, 4)])
    none = np.ones(17, bool)
    history = {"family": [0, 1, 1, 1], "parent_model": [-1, -1, 1, 2], "parent_epoch": [-1, -1, 3, 2]}
    known = KnownBag(
        weights, Layout.of({"w": (D,)}), model_id, epoch, none, **{k: np.array(v) for k, v in history.items()}
    )
    return known.shuffled(rng)


def family(bag):
    models = np.array([1, 2, 3])
    return models, np.flatnonzero(bag.model_id > 0)


def named(bag, rows, numbers):
    """Model and epoch of rows given by their numbers in the family."""
    return [(int(bag.model_id[rows[number]]), int(bag.epoch[rows[number]])) for number in numbers]


def test_the_true_tree_names_rows_by_their_place_in_the_family(bag):
    models, rows = family(bag)
    tree = study.true_tree(bag, models, rows)
    assert [named(bag, rows, path) for path in tree.paths] == [
        [(1, epoch) for epoch in range(7)],
        [(2, epoch) for epoch in range(1, 5)],
        [(3, epoch) for epoch in range(1, 4)],
    ]
    assert tree.parent_path == [-1, 0, 1]
    assert tree.parent_row[0] == -1
    assert named(bag, rows, tree.parent_row[1:]) == [(1, 3), (2, 2)]


def test_a_fork_is_measured_at_all_rows_that_do_not_come_after_it():
    rng = np.random.default_rng(1)
    coordinates = rng.standard_normal((14, 9))
    tree = Tree([list(range(7)), list(range(7, 11)), list(range(11, 14))], [-1, 0, 1], [-1, 3, 8])
    fork = study.fork_at(coordinates, tree, 1, exchanged=False)
    expected = measure_attachment(coordinates[:7], coordinates[[7]], coordinates[[8]])
    assert fork.features.keys() == expected.keys()
    for name, values in expected.items():  # the parent's only: the third path left the branch
        np.testing.assert_allclose(fork.features[name], values[0])
    assert (fork.left, fork.exchanged) == (3, False)
    own = measure_continuation(coordinates[:4], coordinates[4:7])
    branch = measure_continuation(coordinates[:4], coordinates[7:9])
    assert fork.goes_on == pytest.approx({name: own[name] - branch[name] for name in own})


def test_a_row_on_another_path_is_measured_on_its_line_from_the_root():
    coordinates = np.random.default_rng(2).standard_normal((14, 9))
    tree = Tree([list(range(7)), list(range(7, 11)), list(range(11, 14))], [-1, 0, 1], [-1, 3, 8])
    fork = study.fork_at(coordinates, tree, 2, exchanged=False)
    line = coordinates[[0, 1, 2, 3, 7, 8, 9, 10]]
    on_branch = measure_attachment(line, coordinates[[11]], coordinates[[12]])
    on_parent = measure_attachment(coordinates[:7], coordinates[[11]], coordinates[[12]])
    for name, values in fork.features.items():
        np.testing.assert_allclose(values, np.concatenate([on_parent[name][0], on_branch[name][0, 4:]]))
    assert fork.left == 8


def test_every_fork_comes_as_it_is_and_exchanged(bag):
    found = study.forks(bag)
    assert [fork.exchanged for fork in found] == [False, True] * 2
    for plain, exchanged in zip(found[::2], found[1::2], strict=True):
        for name, value in plain.goes_on.items():
            assert exchanged.goes_on[name] == pytest.approx(-value)
    # Without the branch and what left it: 7 rows. With the parent's rest for the branch: 4 + 4 + 3.
    assert [len(fork.features["way"]) for fork in found] == [7, 11, 11, 12]


def planted_forks(weights, signs, count=400):
    """Forks whose rows are drawn by a softmax of planted weights, and whose runs go on by planted log-odds."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(count):
        rows = int(rng.integers(5, 12))
        features = {name: rng.standard_normal(rows) * scale for name, scale in zip("abc", (1, 10, 1), strict=True)}
        score = sum(weights[name] * values for name, values in features.items())
        left = int((score + rng.gumbel(size=rows)).argmax())
        goes_on = rng.standard_normal(len(signs))
        if rng.random() > 1 / (1 + np.exp(-(goes_on @ list(signs.values())))):
            goes_on = -goes_on
        found.append(study.Fork(features, left, False, dict(zip(signs, goes_on.tolist(), strict=True))))
    return found


def test_planted_weights_are_found():
    """Within three standard errors of 400 forks, and what the ridge takes."""
    weights, signs = {"a": 2.0, "b": -0.1, "c": 0.0}, {"x": 2.0, "y": -1.0}
    found = planted_forks(weights, signs)
    rows = study.fit_rows(found)
    assert rows == pytest.approx(weights, abs=0.5)
    assert rows["b"] == pytest.approx(-0.1, abs=0.05)
    assert study.fit_goes_on(found) == pytest.approx(signs, abs=0.5)


def test_rows_are_fitted_by_penalised_likelihood():
    """The same optimum as another search finds, the penalty on features of unit variance."""
    found = planted_forks({"a": 1.0, "b": 0.2, "c": -0.5}, {"x": 1.0}, count=40)
    tables = [np.stack(list(fork.features.values()), axis=1) for fork in found]
    scale = np.concatenate(tables).std(axis=0)

    def loss(weights):
        scores = [table @ weights for table in tables]
        chosen = [values[fork.left] for values, fork in zip(scores, found, strict=True)]
        likelihood = np.mean(np.array(chosen) - [np.logaddexp.reduce(values) for values in scores])
        return study.RIDGE * np.square(weights * scale).sum() - likelihood

    expected = minimize(loss, np.zeros(3), method="BFGS").x
    np.testing.assert_allclose(list(study.fit_rows(found).values()), expected, rtol=2e-3)


def test_scores_are_fractions_of_forks_that_are_right():
    def fork(way, other, left, exchanged, goes_on):
        return study.Fork({"way": np.array(way), "other": np.array(other)}, left, exchanged, {"x": goes_on})

    found = [
        fork([1.0, 2, 3], [0.0, 0, 9], 0, False, 1.0),
        fork([3.0, 2, 1], [0.0, 9, 0], 1, False, -2.0),
        fork([3.0, 2, 4], [0.0, 9, 0], 1, False, 5.0),
        fork([3.0, 2, 1], [5.0, 0, 0], 0, True, -5.0),
    ]
    tables, unseen = ({"other": 1.0}, {"other": 1.0}, {"x": 1.0}), ({"other": -1.0}, {"way": -1.0}, {"x": -1.0})
    result = study.score(found, tables, unseen)
    thirds = {"nearest": 2, "branch": 2, "branch_unseen": 1, "goes_on": 2, "goes_on_unseen": 1}
    assert result == pytest.approx({"forks": 3, "rest": 1, "rest_unseen": 0} | {k: v / 3 for k, v in thirds.items()})
