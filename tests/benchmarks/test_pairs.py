"""One parent, one fork: the pairs are the zoo's own, and what the benchmark says of them is what was found."""

import json
import sys

import numpy as np
import pytest

from benchmarks import pairs as study
from benchmarks.recovered import Recovered
from zoo_pipeline.models import Layout
from zoo_pipeline.trajectories.scenarios import DEVELOPMENT_SEEDS, make
from zoo_pipeline.trajectories.scenarios.known import Fork, known_bag

LAYOUT = Layout.of({"fc1.weight": (8, 4)})


def bag_of(forks):
    """One family; model m has the rows 10 m, 10 m + 1, …, but a fork's first, in its first weight."""
    paths = [np.repeat(10.0 * m + np.arange(6)[:, None], 32, axis=1).astype(np.float32) for m in range(len(forks))]
    return known_bag(paths, LAYOUT, np.random.default_rng(0), forks=forks)


def test_a_pair_is_a_fork_and_its_parent_alone():
    found = list(study.pairs(bag_of([None, Fork(0, 3), Fork(0, 2), Fork(2, 4)])))
    assert [(pair.models, *pair.parent_epoch.tolist()) for pair in found] == [(2, -1, 3), (2, -1, 2), (2, -1, 4)]
    first = {one: [sorted(pair.weights[pair.model_id == one, 0].tolist()) for pair in found] for one in (0, 1)}
    assert first[0] == [[0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5], [21, 22, 23, 24, 25]]
    assert first[1] == [[11, 12, 13, 14, 15], [21, 22, 23, 24, 25], [31, 32, 33, 34, 35]]
    assert all((pair.weights[:, 0] % 10 == pair.epoch).all() for pair in found)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (("right", "right"), {"pairs": 2, "both_exact": 1.0, "and_fork_exact": 1.0}),
        (("right", "one path"), {"pairs": 2, "both_exact": 0.5, "and_fork_exact": 0.5}),
        (("another row", "one path"), {"pairs": 2, "both_exact": 0.5, "and_fork_exact": 0.0}),
    ],
)
def test_pairs_count_when_both_paths_are_exact(monkeypatch, told, expected):
    answers = iter(told)

    def answer(pair):
        told = next(answers)
        if told == "one path":
            return Recovered.without_links(np.zeros(len(pair.epoch), np.int64), pair.epoch)
        left = pair.parent_epoch[1] - (told == "another row")
        (row,) = np.flatnonzero((pair.model_id == 0) & (pair.epoch == left))
        found = Recovered.without_links(pair.model_id, pair.epoch)
        return Recovered(found.trajectory, found.position, found.decided, found.confidence, np.array([-1, row]))

    monkeypatch.setattr(study, "analyzed", lambda pair: pair)
    monkeypatch.setattr(study, "read", answer)
    assert study.measure(list(study.pairs(bag_of([None, Fork(0, 3), Fork(0, 2)])))) == expected


def test_the_command_finds_forks_of_trained_models_and_prints_one_json_line_last(monkeypatch, capsys):
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    monkeypatch.setattr(study, "draw", lambda name, seed, *given: make(name, seed, starts=2))
    asked = ["--scenario", "forks-adam", "forks-mnist", "--repeats", "1", "--development"]
    monkeypatch.setattr(sys, "argv", ["pairs", *asked])
    study.main()
    *_, line = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert result["seeds"] == [DEVELOPMENT_SEEDS[0], DEVELOPMENT_SEEDS[1]]
    assert result["left_out"] == ["forks-mnist"]
    assert result["scenarios"]["forks-adam"]["pairs"] == 6
    assert result["scenarios"]["forks-adam"]["both_exact"] > 0.8


@pytest.mark.parametrize("asked", ["0", "-1", "many"])
def test_no_draws_are_refused(asked, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["pairs", "--repeats", asked])
    with pytest.raises(SystemExit, match="2"):
        study.main()
    assert f"got {asked}, expected a whole number from 1 on" in capsys.readouterr().err
