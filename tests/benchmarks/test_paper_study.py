"""The paper's study on bags whose answers are known by hand."""

import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from benchmarks.opponents.clustering import by_shrinking_steps
from benchmarks.paper import __main__ as study
from benchmarks.paper.geometry import Course
from benchmarks.paper.heights import Dendrogram
from benchmarks.paper.widths import by_width, halvings, measured, principal_coordinates
from benchmarks.paper.zoos import Population
from zoo_pipeline.models import Layout
from zoo_pipeline.trajectories.scenarios import KnownBag, make
from zoo_pipeline.trajectories.scenarios.known import known_bag


def straight(step_lengths, models=2, apart=100.0) -> KnownBag:
    """Models that walk along one axis, so far apart along another."""
    places = np.concatenate([[0.0], np.cumsum(step_lengths)])
    paths = np.zeros((models, len(places), 12), np.float32)
    paths[:, :, 0] = 1 + places
    paths[:, :, 1] = apart * np.arange(1, models + 1)[:, None]
    return known_bag(list(paths), Layout.of({"fc1.weight": (3, 4)}), np.random.default_rng(0))


@pytest.fixture(scope="module")
def tetris() -> KnownBag:
    (bag,) = make("tetris-adam", 0, starts=4).bags
    return bag


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_all_principal_coordinates_keep_distances_and_the_first_hold_most(shape):
    weights = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    coordinates = principal_coordinates(weights)
    assert coordinates.shape == (shape[0], min(shape))
    np.testing.assert_allclose(pdist(coordinates), pdist(weights), rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm(coordinates, axis=0), np.linalg.svd(weights, compute_uv=False), rtol=1e-4)


def test_widths_are_halved_down_to_three():
    assert halvings(7_960) == [7960, 3980, 1990, 995, 497, 248, 124, 62, 31, 15, 7, 3]
    assert halvings(2_464)[-3:] == [9, 4, 3]


def test_the_papers_rule_errs_where_steps_do_not_shrink():
    shrinking, growing = straight([8, 4, 2, 1]), straight([8, 1, 2, 4])
    for bag in (shrinking, growing):
        found = measured(bag.weights, bag)
        assert found["ours"]["kendall_tau_min"] == found["ours"]["neighbours_kept"] == 1
        assert found["paper"]["ari_number_given"] == 1
    assert found["paper"]["kendall_tau_mean"] < 0.7
    position = by_shrinking_steps(shrinking.weights, shrinking.model_id)
    assert set(position[shrinking.epoch == 0]) == {0}
    assert set(position[shrinking.epoch == 1]) == {1}


def test_every_width_is_measured_and_a_wide_one_loses_nothing(tetris):
    rows = list(by_width(tetris))
    assert [(row["reduction"], row["width"]) for row in rows[:3]] == [("none", 100), ("svd", 50), ("random", 50)]
    assert rows[-1]["width"] == 3
    assert rows[0]["ours"]["ari"] == 1
    assert rows[0]["ours"]["kendall_tau_min"] == 1
    assert rows[0]["ours"]["trajectories_found"] == 4
    wide = rows[1]["ours"]
    assert (wide["ari_number_given"], wide["kendall_tau_min"]) == (1, 1)
    assert rows[-1]["ours"]["ari_number_given"] <= wide["ari_number_given"]


def test_heights_of_straight_walks():
    bag = straight([8, 4, 2, 1, 1, 1, 1, 1], models=3)
    tree = Dendrogram.of(bag, "euclidean")
    assert sorted(tree.heights.round(3).tolist()) == [1] * 15 + [2] * 3 + [4] * 3 + [8] * 3 + [100] * 2
    assert tree.steps.round(3).tolist() == [[8, 4, 2, 1, 1, 1, 1, 1]] * 3
    found = tree.described(bag)
    assert found["between_least"] == found["between_median"] == 100
    assert found["between_to_longest_step"] == 12.5
    assert (found["first_step_median"], found["late_step_median"], found["longest_step"]) == (8, 1, 8)
    assert 0.5 < found["neighbouring_leaves_consecutive"] <= 1


def test_the_cosine_tree_compares_what_the_recovery_compares(tetris):
    tree = Dendrogram.of(tetris, "cosine")
    model = tetris.model_id[tree.leaves]
    assert np.count_nonzero(np.diff(model)) == 3  # every trajectory is one tooth
    assert tree.between.min() > tree.steps.max()


def test_the_course_of_straight_walks():
    course = Course.of(straight([4, 2, 1, 1]))
    np.testing.assert_allclose(course.step_length[:, 1:], [[4, 2, 1, 1]] * 3, rtol=1e-6)
    np.testing.assert_allclose(course.curvature[:, 1:-1], 0, atol=1e-6)
    assert course.smoothness == pytest.approx(1)
    assert course.straightness == pytest.approx(1)
    described = course.described()
    assert described["epochs"] == [1, 2, 3]
    assert described["step_length"] == [4, 2, 1]


def test_the_study_draws_its_figures_and_prints_one_json_line(monkeypatch, capsys, tmp_path, tetris):
    def given(population: Population, place: Path, data_dir, executor) -> KnownBag:
        place.mkdir(parents=True)
        assert (population.models, population.epochs, executor) == (3, 2, "inline")
        return tetris

    monkeypatch.setattr(Population, "trained", given)
    seeds = ["--seeds-a1", "3", "--seeds-a2", "3", "--epochs-a1", "2", "--epochs-a2", "2"]
    monkeypatch.setattr(sys, "argv", ["paper", *seeds, "--out", str(tmp_path), "--executor", "inline"])
    study.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["A1"]["recovery"]["ari"] == result["A2"]["widths"][0]["ours"]["ari"] == 1
    assert (result["A1"]["checkpoints"], result["A1"]["dimension"]) == (204, 100)
    pictures = {path.name: path.read_text() for path in (tmp_path / "figures").iterdir()}
    assert set(pictures) == {f"paper-{name}.svg" for name in ("courses", "plane", "teeth", "widths")}
    assert all("A1: " in picture and "A2: " in picture for picture in pictures.values())


def test_umap_without_the_library_is_refused_before_anything_is_trained(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(study.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "argv", ["paper", "--umap", "--out", str(tmp_path / "new")])
    with pytest.raises(SystemExit, match="2"):
        study.main()
    assert "zoo_pipeline[umap]" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_population_is_trained_and_gone_on_with(tmp_path, mnist_dir):
    population = Population("paper-a1", models=3, epochs=1, groups=2)
    bag = population.trained(tmp_path / "a1", mnist_dir, "inline")
    again = population.trained(tmp_path / "a1", mnist_dir, "inline")
    assert bag.weights.shape == (6, 7_960)
    assert sorted(zip(bag.model_id.tolist(), bag.epoch.tolist(), strict=True)) == list(product(range(3), range(2)))
    np.testing.assert_array_equal(bag.weights, again.weights)
