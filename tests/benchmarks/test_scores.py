"""The study of scores: what is counted and drawn, on a zoo that is trained in a second."""

import json
import sys

import numpy as np
import pytest
import torch

from benchmarks import scores as study
from zoo_pipeline.trajectories.exchange import exchange_scores, split_weights
from zoo_pipeline.trajectories.scenarios import KnownBag, make


@pytest.fixture(scope="module")
def tetris() -> KnownBag:
    (bag,) = make("tetris-adam", 0, starts=4).bags
    return bag


def test_scores_are_those_of_the_recovery_however_they_are_blocked(tetris, monkeypatch):
    first, second = np.random.default_rng(0).integers(0, len(tetris.epoch), (2, 50))
    split = split_weights(tetris.weights, tetris.layout)
    one, two = split.take(torch.from_numpy(first)), split.take(torch.from_numpy(second))
    expected = exchange_scores(*one.cosines(two)).numpy()
    monkeypatch.setattr(study, "_BLOCK", 7)
    np.testing.assert_allclose(study.scores(tetris, first, second), expected, rtol=1e-5)


def test_independent_scores_look_as_often_as_there_are_pairs(tetris, monkeypatch):
    rng = np.random.default_rng(0)
    monkeypatch.setattr(study, "COMPARED", 2_000)
    monkeypatch.setattr(study, "scores", lambda bag, first, second: rng.standard_normal(len(first)))
    path = np.arange(12).reshape(3, 4)
    assert study.independent_looks(tetris, path, rng) == pytest.approx(16, rel=0.2)
    monkeypatch.setattr(study, "scores", lambda bag, first, second: np.full(len(first), rng.standard_normal()))
    assert study.independent_looks(tetris, path, rng) == pytest.approx(1, rel=0.2)


def test_consecutive_epochs_and_strangers_lie_apart(tetris):
    zoo = study.Zoo.of(tetris, 0)
    assert len(zoo.apart) == study.FARTHEST
    assert [len(values) for values in zoo.apart[:2]] == [4 * 50, 4 * 49]
    assert zoo.apart[0].min() > zoo.strangers.max()
    assert abs(zoo.strangers.mean()) < 0.6
    assert 0.6 < zoo.strangers.std() < 1.4
    assert zoo.described()["consecutive_least"] == round(float(zoo.apart[0].min()), 1)


def test_the_pictures_are_drawn_and_one_json_line_is_printed_last(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(study, "ZOOS", {"tetris-adam": 3, "mnist-sgd": 3})
    monkeypatch.delenv("ZOO_DATA_DIR", raising=False)
    monkeypatch.setattr(sys, "argv", ["scores", "--out", str(tmp_path)])
    study.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["left_out"] == ["mnist-sgd"]
    assert result["zoos"]["tetris-adam"]["models"] == 3
    assert result["families"] == {"digits-sgd": 8, "common-start-sgd": 1}
    names = ("families", "orders", "scores", "threshold")
    assert {path.name for path in tmp_path.iterdir()} == {f"recovery-{name}.svg" for name in names}
