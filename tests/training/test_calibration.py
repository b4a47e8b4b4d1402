import pytest
import torch

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import load_dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.training import Engine, Member, calibrate, calibration

MLP = Architecture("mlp", (1, 8, 8), 10, hidden=(16,))
MEMBERS = [Member(seed, Hyperparameters("adam", 1e-3, 64, 3)) for seed in range(6)]


def test_the_fastest_of_the_ways_that_were_tried_is_chosen(monkeypatch):
    rates = {1: 5.0, 2: 9.0, 4: 20.0, 6: 11.0}
    rounds = iter([0.3, 0.0, 0.1] * 4)  # seconds that something else takes; the order of ways is the same in each

    def measured(*arguments):
        stack = arguments[-1].stack
        return calibration._Times(few=1.0, many=1.0 + 8 * stack / rates[stack] + next(rounds), steps=8)

    monkeypatch.setattr(calibration, "_measure", measured)
    engine, trials = calibrate(MLP, MEMBERS, load_dataset("digits"))
    assert engine == Engine(threads=1, stack=4)
    assert {trial.engine.stack: trial.model_steps_per_s for trial in trials} == pytest.approx(rates)


def test_real_work_is_timed_and_what_is_decided_is_kept():
    threads = torch.get_num_threads()
    engine, trials = calibrate(MLP, MEMBERS, load_dataset("digits"), threads=(1, 2), stack=3)
    assert engine.stack == 3
    assert [trial.engine.threads for trial in trials] == [1, 2]
    assert all(trial.model_steps_per_s > 0 for trial in trials)
    assert torch.get_num_threads() == threads


def test_a_way_that_fails_is_passed_over(monkeypatch):
    real = calibration.Stack

    def fails(architecture, members, *arguments):
        if len(members) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(architecture, members, *arguments)

    monkeypatch.setattr(calibration, "Stack", fails)
    engine, trials = calibrate(MLP, MEMBERS, load_dataset("digits"))
    assert engine.stack in (1, 2)
    assert {trial.engine.stack for trial in trials if trial.model_steps_per_s == 0} == {4, 6}


def test_few_trials_are_made_where_they_take_long(monkeypatch):
    monkeypatch.setattr(calibration, "BUDGET_S", 0.0)
    _, trials = calibrate(MLP, MEMBERS, load_dataset("digits"))
    assert len(trials) == 1


def test_where_every_way_fails_the_most_modest_is_chosen(monkeypatch):
    monkeypatch.setattr(calibration, "_measure", lambda *_: calibration._Times(float("inf"), float("inf"), 0))
    engine, trials = calibrate(MLP, MEMBERS, load_dataset("digits"))
    assert engine == Engine(threads=1, stack=1, capture=False)
    assert {trial.model_steps_per_s for trial in trials} == {0.0}


def test_a_failed_round_does_not_spoil_a_good_one():
    good, bad = calibration._Times(1.0, 5.0, 8), calibration._Times(float("inf"), float("inf"), 0)
    assert good.better(bad) == bad.better(good) == good


def test_a_disturbed_measurement_is_not_taken_for_infinite_speed():
    assert calibration._Times(few=2.0, many=2.0, steps=8).rate(Engine(stack=1)) == pytest.approx(8 / 0.4)
