"""The benchmark's scores: known answers of hand-made bags, and agreement with the product's own summary."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks import recovery
from benchmarks.opponents.clustering import OPPONENTS, cluster
from benchmarks.recovered import Recovered, Truth, directions, figures, joined
from zoo_pipeline.models import Layout
from zoo_pipeline.trajectories.scenarios import BENCHMARK_SEEDS, KnownBag, make
from zoo_pipeline.trajectories.scenarios.known import Fork, known_bag

LAYOUT = Layout.of({"fc1.weight": (8, 4)})


def walks(models: int, length: int = 6, forks=None, family=None) -> KnownBag:
    """Far apart, with steps that shrink; one family starts at one point."""
    rng = np.random.default_rng(1)
    steps = 0.5 ** np.arange(length)[:, None] * rng.standard_normal((models, length, 32))
    steps[:, 0] *= 20
    if family is not None:
        steps[:, 0] = steps[np.array(family), 0]
    return known_bag(list(np.cumsum(steps, axis=1).astype(np.float32)), LAYOUT, rng, forks=forks, family=family)


def truth_as_answer(bag: KnownBag) -> Recovered:
    position = (
        bag.epoch - np.array([bag.epoch[bag.model_id == model].min() for model in range(bag.models)])[bag.model_id]
    )
    parent = [
        np.flatnonzero((bag.model_id == model) & (bag.epoch == epoch))
        for model, epoch in zip(bag.parent_model, bag.parent_epoch, strict=True)
    ]
    return replace(
        Recovered.without_links(bag.model_id, position),
        parent_row=np.array([rows[0] if len(rows) else -1 for rows in parent]),
    )


def scored(bag: KnownBag, answer: Recovered) -> dict[str, float | None]:
    return figures(Truth.of([bag]), answer)


def test_the_truth_scores_full_marks():
    bag = walks(4, forks=[None, None, Fork(0, 2), Fork(2, 3)])
    perfect = scored(bag, truth_as_answer(bag))
    assert perfect.pop("direction_undecided") == 0
    assert perfect.pop("false_joins") is None
    assert perfect.pop("root_found") is None
    assert len(perfect) == 9
    assert set(perfect.values()) == {1}


def test_a_reversed_order_costs_the_direction_alone():
    bag = walks(2)
    right = truth_as_answer(bag)
    backward = scored(bag, replace(right, position=np.where(bag.model_id == 0, 5 - right.position, right.position)))
    assert (backward["ari"], backward["kendall_tau_min"], backward["direction_accuracy"]) == (1, 1, 0.5)
    abstaining = scored(bag, replace(right, decided=np.array([False, True])))
    assert (abstaining["direction_accuracy"], abstaining["direction_undecided"]) == (0.5, 0.5)
    assert abstaining["direction_right_of_decided"] == 1


def test_tau_is_scipys_and_counts_what_lies_outside_the_largest_fragment_as_misplaced():
    bag = walks(1, length=9)
    position = np.random.default_rng(2).permutation(9)
    mixed = scored(bag, Recovered.without_links(bag.model_id, position))
    assert mixed["kendall_tau_min"] == pytest.approx(abs(kendalltau(bag.epoch, position).statistic))
    late = bag.epoch >= 6
    split = scored(bag, Recovered.without_links(late.astype(np.int64), np.where(late, bag.epoch - 6, bag.epoch)))
    assert split["kendall_tau_min"] == pytest.approx(6 * 5 / (9 * 8))
    assert split["exact_trajectories"] == 0


def test_rows_that_nothing_tells_apart_are_not_scored():
    bag = walks(3, family=[0, 0, 0])
    answer = truth_as_answer(bag)
    scrambled = replace(answer, trajectory=np.where(bag.epoch == 0, 0, answer.trajectory))
    result = scored(bag, scrambled)
    assert (result["ari"], result["exact_trajectories"], result["kendall_tau_min"]) == (1, 1, 1)
    assert result["root_found"] == pytest.approx(1 / 3)  # that of the trajectory that holds the starts
    start = int(np.flatnonzero(bag.epoch == 0)[0])
    assert scored(bag, replace(scrambled, parent_row=np.array([-1, start, start])))["root_found"] == 1


def test_copies_of_a_checkpoint_can_lie_in_any_order():
    bag = walks(1, length=4)
    twice = bag.rows(np.array([0, 1, 2, 3, 1, 2]))
    position = np.array([sorted(twice.epoch).index(epoch) for epoch in twice.epoch])
    position[4:] += 1
    assert scored(twice, Recovered.without_links(twice.model_id, position))["kendall_tau_min"] == 1


@pytest.mark.parametrize(("said", "exact", "within_one"), [(2, 1, 1), (3, 0, 1), (4, 0, 0)])
def test_a_fork_is_scored_by_how_many_epochs_it_is_off(said, exact, within_one):
    bag = walks(2, forks=[None, Fork(0, 2)])
    parent = int(np.flatnonzero((bag.model_id == 0) & (bag.epoch == said))[0])
    result = scored(bag, replace(truth_as_answer(bag), parent_row=np.array([-1, parent])))
    assert (result["parent_right"], result["fork_exact"], result["fork_within_one"]) == (1, exact, within_one)
    assert result["edge_f1"] == pytest.approx((9 + exact) / 10)


def test_a_fork_without_a_parent_or_with_another_is_wrong():
    bag = walks(3, forks=[None, None, Fork(0, 2)])
    stranger = int(np.flatnonzero((bag.model_id == 1) & (bag.epoch == 2))[0])
    for row in (-1, stranger):
        result = scored(bag, replace(truth_as_answer(bag), parent_row=np.array([-1, -1, row])))
        assert (result["parent_right"], result["fork_within_one"]) == (0, 0)


def test_joined_strangers_are_counted():
    bag = walks(6, length=1)
    assert scored(bag, Recovered.without_links(np.arange(6), np.zeros(6, np.int64)))["false_joins"] == 0
    joined_up = Recovered.without_links(np.array([0, 0, 0, 1, 2, 2]), np.array([0, 1, 2, 0, 0, 1]))
    assert scored(bag, joined_up)["false_joins"] == 3


def test_several_bags_are_scored_as_one():
    first, second = walks(2), walks(3, forks=[None, None, Fork(1, 3)])
    answers = [truth_as_answer(bag) for bag in (first, second)]
    result = figures(Truth.of([first, second]), joined(answers))
    assert (result["ari"], result["exact_trajectories"], result["fork_exact"], result["edge_f1"]) == (1, 1, 1, 1)


def test_clustering_recovers_what_is_far_apart_and_orders_shrinking_steps():
    bag = walks(5, length=9)
    for name, answer in cluster(bag.weights, 5).items():
        result = scored(bag, answer)
        assert (name, result["ari"], result["direction_accuracy"]) == (name, 1, 1)
        assert result["kendall_tau_min"] > 0.9  # the two that are nearest each other join at one height


def test_checkpoints_that_hdbscan_calls_noise_are_alone():
    spread = np.eye(32, dtype=np.float32) * np.arange(1, 33)[:, None]
    assert len(np.unique(cluster(spread, 32)["hdbscan"].trajectory)) == 32


@pytest.mark.parametrize("name", ["digits-sgd", "forks-adam", "duplicates"])
def test_our_figures_are_those_of_the_products_summary(name):
    (bag,) = make(name, 20, starts=3).bags
    analysis = recovery.analyzed(bag)
    ours = scored(bag, recovery.read(analysis))
    for figure in ("ari", "exact_trajectories", "kendall_tau_min", "direction_accuracy", "direction_undecided"):
        assert ours[figure] == pytest.approx(analysis.summary[figure], abs=1e-9), figure


def test_without_a_layout_the_product_has_no_threshold():
    (bag,) = make("digits-sgd", 20, starts=3).bags
    assert recovery.analyzed(bag, with_layout=False).summary["cut"]["threshold"] is None
    assert recovery.analyzed(bag).summary["cut"]["threshold"] > 0


def test_links_are_read_from_the_table_of_trajectories():
    import pyarrow as pa

    table = pa.table({"parent_trajectory": [None, 0], "parent_position": [None, 2]})
    trajectory, position = np.array([0, 1, 0, 0]), np.array([1, 0, 2, 0])
    assert recovery._parent_rows(table, trajectory, position).tolist() == [-1, 2]


def test_the_calibration_curve_counts_what_is_right_by_confidence():
    curve = recovery.calibration([(0.55, False, True), (0.58, False, False), (1.0, True, True)])
    assert curve == [
        {"trajectories": 2, "confidence": 0.565, "right": 0.5},
        {"trajectories": 1, "confidence": 1.0, "right": 1.0},
    ]


def test_the_benchmark_prints_a_table_and_one_json_line_last(monkeypatch, capsys):
    monkeypatch.setattr(recovery, "draw", lambda name, seed, *given: make(name, seed, starts=6))
    monkeypatch.setattr(sys, "argv", ["recovery", "--scenario", "tetris-adam", "strangers", "--repeats", "2"])
    recovery.main()
    *table, line = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert result["seeds"] == [BENCHMARK_SEEDS[0], BENCHMARK_SEEDS[0] + 2]
    assert list(result["scenarios"]) == ["tetris-adam", "strangers"]
    tetris = result["scenarios"]["tetris-adam"]
    assert (tetris["checkpoints"], tetris["models"], tetris["dimensions"]) == (306, 6, [100])
    assert list(tetris["opponents"]) == list(OPPONENTS)
    assert tetris["ours"]["ari"] == {"mean": 1.0, "worst": 1.0}
    assert any(row.startswith("ours ") and "1.0000 (1.0000)" in row for row in table)


def test_worst_is_the_largest_of_what_should_be_small():
    rows = [{"ari": 0.5, "false_joins": 1.0, "edge_f1": None}, {"ari": 1.0, "false_joins": 4.0, "edge_f1": None}]
    assert recovery.summarised(rows) == {
        "ari": {"mean": 0.75, "worst": 0.5},
        "false_joins": {"mean": 2.5, "worst": 4.0},
        "edge_f1": None,
    }


def test_directions_are_listed_with_their_confidence():
    bag = walks(2)
    answer = replace(truth_as_answer(bag), confidence=np.array([0.7, 0.9]))
    assert list(directions(Truth.of([bag]), answer)) == [(0.7, True, True), (0.9, True, True)]
