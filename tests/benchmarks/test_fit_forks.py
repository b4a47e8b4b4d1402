"""The fit of what tells where branches left their parents: on forks whose answer is planted."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import fit_forks as study
from benchmarks.fork_examples import Fork, fork_at, forks, torn, true_tree
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.branching.attachment import measure_attachment
from zoo_pipeline.trajectories.branching.continuation import measure_continuation
from zoo_pipeline.trajectories.branching.judgement import Judgement
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
    tree = true_tree(bag, models, rows)
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
    fork = fork_at(coordinates, tree, 1, "branch")
    expected = measure_attachment(coordinates[:7], coordinates[[7]], coordinates[[8]])
    assert fork.features.keys() == expected.keys()
    for name, values in expected.items():  # the parent's only: the third path left the branch
        np.testing.assert_allclose(fork.features[name], values[0])
    assert (fork.left, fork.kind) == (3, "branch")
    own = measure_continuation(coordinates[:4], coordinates[4:7])
    branch = measure_continuation(coordinates[:4], coordinates[7:9])
    assert {name: values.tolist() for name, values in fork.goes_on.items()} == {
        name: pytest.approx([own[name], branch[name]]) for name in own
    }


def test_a_row_on_another_path_is_measured_on_its_line_from_the_root():
    coordinates = np.random.default_rng(2).standard_normal((14, 9))
    tree = Tree([list(range(7)), list(range(7, 11)), list(range(11, 14))], [-1, 0, 1], [-1, 3, 8])
    fork = fork_at(coordinates, tree, 2, "branch")
    line = coordinates[[0, 1, 2, 3, 7, 8, 9, 10]]
    on_branch = measure_attachment(line, coordinates[[11]], coordinates[[12]])
    on_parent = measure_attachment(coordinates[:7], coordinates[[11]], coordinates[[12]])
    for name, values in fork.features.items():
        np.testing.assert_allclose(values, np.concatenate([on_parent[name][0], on_branch[name][0, 4:]]))
    assert fork.left == 8


def test_every_fork_comes_as_it_is_and_exchanged_and_every_model_torn_once(bag):
    found = forks(bag, 0)
    assert [fork.kind for fork in found] == ["branch", "rest"] * 2 + ["torn"] * 2  # the last model has three rows
    for plain, exchanged in zip(found[:4:2], found[1:4:2], strict=True):
        for name, values in plain.goes_on.items():
            np.testing.assert_allclose(exchanged.goes_on[name], values[::-1])
    # Without the branch and what left it: 7 rows. With the parent's rest for the branch: 4 + 4 + 3.
    assert [len(fork.features["way"]) for fork in found[:4]] == [7, 11, 11, 12]


def test_a_torn_path_goes_on_from_the_row_before_the_tear():
    tree = Tree([list(range(7)), list(range(7, 11)), list(range(11, 14))], [-1, 0, 1], [-1, 3, 8])
    other = torn(tree, 0, 3)
    assert other.paths == [[0, 1, 2], [7, 8, 9, 10], [11, 12, 13], [3, 4, 5, 6]]
    assert (other.parent_path, other.parent_row) == ([-1, 3, 1, 0], [-1, 3, 8, 2])
    assert tree.paths[0] == list(range(7))
    coordinates = np.random.default_rng(4).standard_normal((14, 9))
    fork = fork_at(coordinates, other, 3, "torn")
    assert fork.left == 2
    assert len(fork.features["last"]) == 3  # all but the torn part and what left it
    assert fork.features["last"].tolist() == [0, 0, 1]


def planted_score(features):
    """Straight in one measure, folded in another, blind to the third."""
    return 2 * features["a"] - 5 * np.abs(features["b"] / 10 - 1)


def planted_choices(count=400, seed=3):
    """Choices drawn by a softmax of what is planted."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        rows = int(rng.integers(2, 12))
        measured = {name: rng.standard_normal(rows) * scale for name, scale in zip("abc", (1, 10, 1), strict=True)}
        found.append((measured, int((planted_score(measured) + rng.gumbel(size=rows)).argmax())))
    return found


def log_likelihood(choices, score):
    scores = [score(measured) for measured, _ in choices]
    right = [values[place] for values, (_, place) in zip(scores, choices, strict=True)]
    return np.mean(np.array(right) - [np.logaddexp.reduce(values) for values in scores])


def test_what_is_planted_is_found():
    """On other choices the fit is nearly as likely as what is planted; one that is straight in all is not."""
    others = planted_choices(1000, seed=4)
    judgement = study.fit_choice(planted_choices(), hidden=6)
    assert judgement.names == ("a", "b", "c")
    planted = log_likelihood(others, planted_score)
    assert log_likelihood(others, judgement.scores) > planted - 0.1
    assert log_likelihood(others, lambda measured: 2 * measured["a"] + 0.1 * measured["b"]) < planted - 0.5


def test_the_fit_is_where_no_single_weight_could_be_better():
    """The penalised likelihood, computed anew, grows whichever weight is moved."""
    found = planted_choices(40)
    judgement = study.fit_choice(found, hidden=2)

    def loss(one):
        weights = [one.hidden, one.bias, one.out, one.straight]
        return study.RIDGE * sum(np.square(values).sum() for values in weights) - log_likelihood(found, one.scores)

    least = loss(judgement)
    for name in ("hidden", "bias", "out", "straight"):
        values = getattr(judgement, name)
        for place in np.ndindex(values.shape):
            for way in (-0.02, 0.02):
                moved = values.copy()
                moved[place] += way
                assert loss(replace(judgement, **{name: moved})) > least - 1e-4


def test_each_kind_is_fitted_to_its_own(monkeypatch):
    forks = [
        Fork(kind, {"a": np.zeros(3)}, left, {"x": np.array([left, 0.0])})
        for left, kind in enumerate(("branch", "rest", "torn"))
    ]
    monkeypatch.setattr(study, "fit_choice", lambda found: [(sorted(measured), right) for measured, right in found])
    assert study.fit(forks) == ([(["a"], 0), (["a"], 2)], [(["a"], 1)], [(["x"], 0)])


def test_what_is_written_is_what_is_read(tmp_path, monkeypatch):
    judgement = study.fit_choice(planted_choices(40), hidden=2)
    (tmp_path / "judgements.json").write_text(json.dumps({"branch": study.content(judgement)}))
    monkeypatch.setattr("zoo_pipeline.trajectories.branching.judgement.files", lambda package: tmp_path)
    found = Judgement.fitted("branch")
    assert found.names == judgement.names
    for name in ("mean", "scale", "hidden", "bias", "out", "straight"):
        np.testing.assert_allclose(getattr(found, name), getattr(judgement, name), rtol=1e-4)


def judged_by(name, sign):
    one = np.array([float(sign)])
    return Judgement((name,), np.zeros(1), np.ones(1), np.zeros((1, 1)), np.zeros(1), np.zeros(1), one)


def test_scores_are_fractions_of_forks_that_are_right():
    def fork(way, other, left, kind, goes_on):
        return Fork(kind, {"way": np.array(way), "other": np.array(other)}, left, {"x": np.array([goes_on, 0.0])})

    found = [
        fork([1.0, 2, 3], [0.0, 0, 9], 0, "branch", 1.0),
        fork([3.0, 2, 1], [0.0, 9, 0], 1, "branch", -2.0),
        fork([3.0, 2, 4], [0.0, 9, 0], 1, "branch", 5.0),
        fork([3.0, 2, 1], [5.0, 0, 0], 0, "rest", -5.0),
        fork([3.0, 2, 1], [0.0, 0, 5], 0, "torn", 0.0),
    ]
    result = study.score(found, (judged_by("other", 1), judged_by("way", -1), judged_by("x", 1)))
    thirds = {"nearest": 2, "branch": 2, "goes_on": 2}
    assert result == pytest.approx({"forks": 3, "rest": 0, "torn": 0} | {k: v / 3 for k, v in thirds.items()})
