"""The study behind `LOOKS`: what is counted, on a zoo that is trained in a second."""

import json
import sys

import numpy as np
import pytest
from scipy.stats import norm

from benchmarks import looks, scores
from zoo_pipeline.trajectories.scenarios import CATALOGUE, KnownBag, make
from zoo_pipeline.trajectories.separation import LOOKS


@pytest.fixture(scope="module")
def tetris() -> KnownBag:
    (bag,) = make("tetris-adam", 0, starts=5).bags
    return bag


def test_zoos_are_of_models_with_starts_of_their_own():
    assert {CATALOGUE[name].kind for name in looks.ZOOS} == {"independent", "grid", "scales", "decay"}


def test_pairs_of_models_are_all_or_so_many_different_ones():
    assert len(looks.pairs_of_models(20, 0)) == 190
    chosen = looks.pairs_of_models(40, 0)
    assert len({tuple(pair) for pair in chosen.tolist()}) == looks.PAIRS
    assert (chosen[:, 0] < chosen[:, 1]).all()
    assert not np.array_equal(chosen, looks.pairs_of_models(40, 1))


def test_the_most_alike_checkpoints_of_two_models_are_found(tetris):
    path = np.lexsort((tetris.epoch, tetris.model_id)).reshape(5, -1)
    found = scores.most_alike(tetris, path, np.array([[0, 1], [3, 2]]))
    for most, (one, two) in zip(found, [(0, 1), (3, 2)], strict=True):
        each = [scores.scores(tetris, np.full(51, row), path[two]).max() for row in path[one]]
        assert most == pytest.approx(max(each), rel=1e-5)


def test_looks_are_those_of_independent_scores():
    random = np.random.default_rng(0)
    for count in (1, 7, 40):
        most = random.standard_normal((20_000, count)).max(axis=1)
        assert scores.looks_of(most) == pytest.approx(count, rel=0.1)


def test_a_zoo_is_described_by_the_ninth_decile_and_the_largest(tetris, monkeypatch):
    monkeypatch.setattr(looks, "most_alike", lambda bag, path, pairs: np.arange(1.0, 12.0))
    alike = looks.Alike.of("tetris-adam", 3, tetris)
    assert (alike.models, alike.checkpoints, alike.pairs) == (5, 51, 11)
    assert (alike.ninth_decile, alike.largest) == (10.0, 11.0)
    monkeypatch.setattr(looks, "most_alike", lambda bag, path, pairs: np.full(10, 2.0))
    assert looks.Alike.of("tetris-adam", 3, tetris).looks == round(np.log(0.9) / norm.logcdf(2.0), 1)


def test_the_largest_of_all_is_beaten_as_often_as_not_by_as_many_looks(tetris):
    few = looks.Alike("a", 0, 5, 51, 1_000, 2.0, 4.0, 3.0)
    more = looks.Alike("b", 0, 5, 51, 3_000, 2.0, 4.0, 4.2)
    found = looks.looks_of_largest([few, more])
    assert norm.cdf(4.2) ** (found * 4_000) == pytest.approx(0.5, abs=0.01)
    assert looks.looks_of_largest([]) is None


def test_a_line_per_zoo_and_one_json_line_last(monkeypatch, capsys):
    monkeypatch.setattr(looks, "ZOOS", {"tetris-adam": 4, "mnist-sgd": 4})
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    monkeypatch.setattr(sys, "argv", ["looks", "--seeds", "0", "1"])
    looks.main()
    *lines, last = capsys.readouterr().out.splitlines()
    result = json.loads(last)
    assert [line.split("  ")[0].split()[0] for line in lines] == ["tetris-adam"] * 2
    assert [zoo["seed"] for zoo in result["zoos"]] == [0, 1]
    assert result["pairs"] == 12
    assert result["looks_most"] == max(zoo["looks"] for zoo in result["zoos"])
    assert result["frozen"] == LOOKS
    assert result["left_out"] == ["mnist-sgd"]
