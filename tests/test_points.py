import hashlib
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_pipeline.axes import AXES, Grid, Point, RandomAxes
from zoo_pipeline.config import TrainingConfig
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.points import points, seeds
from zoo_pipeline.recipes import load_config

BASE = Hyperparameters("adam", 1e-3, 64, 25)


def zoo(*overrides, **population):
    population = {"seeds": 1, **population}
    return load_config("digits-demo", [f"zoo.population={json.dumps(population)}", *overrides]).zoo


def test_a_zoo_without_axes_has_one_point_and_consecutive_seeds():
    plain = zoo(seeds=4, first_seed=7)
    assert points(plain) == (BASE,)
    assert list(seeds(plain.population)) == [7, 8, 9, 10]


def test_a_grid_is_every_combination_in_an_order_of_its_own():
    rates = [1e-3, 1e-4]
    found = points(zoo(grid={"activation": ["tanh", "relu"], "learning_rate": rates}))
    assert [(point.learning_rate, point.activation) for point in found] == [
        (1e-3, "tanh"), (1e-3, "relu"), (1e-4, "tanh"), (1e-4, "relu"),
    ]  # fmt: skip
    assert points(zoo(grid={"learning_rate": rates, "activation": ["tanh", "relu"]})) == found


def test_a_list_changes_what_it_names():
    first, second = points(zoo(list=[{"dropout": 0.5, "optimizer": "adamw"}, {"batch_size": 8}]))
    assert first == Hyperparameters("adamw", 1e-3, 64, 25, dropout=0.5)
    assert second == Hyperparameters("adam", 1e-3, 8, 25)


def test_momentum_counts_for_the_optimisers_that_have_it():
    found = points(zoo("zoo.training.momentum=0.9", grid={"optimizer": ["adam", "sgd", "adamw", "rmsprop"]}))
    assert [(point.optimizer, point.momentum) for point in found] == [
        ("adam", 0.0), ("sgd", 0.9), ("adamw", 0.0), ("rmsprop", 0.9),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=r"points 0 and 1 are equal \(optimizer adam, momentum 0\.0\)"):
        points(zoo(grid={"optimizer": ["adam", "sgd"], "momentum": [0, 0.9]}))


def test_the_numbers_of_a_step_schedule_are_its_own():
    found = points(zoo("zoo.training.schedule_epochs=5", grid={"schedule": ["constant", "step"]}))
    assert [(point.schedule, point.schedule_epochs, point.schedule_factor) for point in found] == [
        ("constant", 0, 0.0), ("step", 5, 0.1),
    ]  # fmt: skip
    step = ["zoo.training.schedule=step", "zoo.training.schedule_epochs=2", "zoo.training.schedule_factor=0.5"]
    (only,) = points(zoo(*step))
    assert (only.schedule_epochs, only.schedule_factor) == (2, 0.5)


def test_fixed_seeds_are_shared_by_the_points_and_random_ones_are_not():
    grid = {"dropout": [0, 0.1, 0.2]}
    assert list(seeds(zoo(seeds=2, first_seed=1, grid=grid).population)) == [1, 2] * 3
    drawn = list(seeds(zoo(seeds=2, first_seed=1, seeding="random", grid=grid).population))
    # The first 62 bits of sha256 of "1 seed 0" and so on: part of what a configuration means.
    assert drawn[:2] == [3091674772222599945, 3301571265152586032]
    assert len(set(drawn)) == 6
    assert all(0 <= seed < 2**62 for seed in drawn)
    assert drawn == list(seeds(zoo(seeds=3, first_seed=1, seeding="random", grid={"dropout": [0, 0.1]}).population))


def test_draws_are_pinned():
    """They are part of what a configuration means: a change here gives other models to the same recipe."""
    axes = {
        "learning_rate": {"log_uniform": [1e-4, 1e-1]},
        "weight_decay": {"uniform": [0, 0.1]},
        "batch_size": {"integer": [8, 64]},
        "activation": {"choice": ["tanh", "relu", "gelu"]},
    }
    found = points(zoo(random={"points": 2, "axes": axes}))
    assert [(point.learning_rate, point.weight_decay, point.batch_size, point.activation) for point in found] == [
        (0.0100754691251, 0.0580079590577, 11, "tanh"),
        (0.0722394169745, 0.0979607717277, 64, "gelu"),
    ]


def test_a_draw_that_was_there_is_drawn_again():
    axes = {"activation": {"choice": ["tanh", "relu"]}, "batch_size": {"integer": [1, 50]}}
    found = points(zoo(random={"points": 100, "axes": axes}))
    assert len(set(found)) == 100, "all there are"
    few = points(zoo(random={"points": 9, "axes": axes}))
    assert few == found[:9], "a point does not depend on how many follow it"
    # sha256 of "0 0 optimizer", "0 1 optimizer" and, as that gives adam again, "0 1 optimizer 1": what a draw means.
    words = ["0 0 optimizer", "0 1 optimizer", "0 1 optimizer 1", "0 1 optimizer 2"]
    names = [["adam", "sgd"][hashlib.sha256(word.encode()).digest()[0] >> 7] for word in words]
    drawn = points(zoo(random={"points": 2, "axes": {"optimizer": {"choice": ["adam", "sgd"]}}}))
    assert [point.optimizer for point in drawn] == [names[0], next(name for name in names[1:] if name != names[0])]
    assert names[0] == names[1]


def test_momentum_that_does_not_count_makes_no_new_draw():
    axes = {"optimizer": {"choice": ["adam", "adamw", "sgd"]}, "momentum": {"choice": [0.5, 0.9]}}
    found = points(zoo(random={"points": 4, "axes": axes}))
    assert {(point.optimizer, point.momentum) for point in found} == {
        ("adam", 0.0), ("adamw", 0.0), ("sgd", 0.5), ("sgd", 0.9),
    }  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        points(zoo(random={"points": 5, "axes": axes}))
    assert str(caught.value) == (
        "zoo.population.random: 4 different points found, 5 wanted, and 1,500 more draws gave no other; draw fewer "
        "points, or along axes with more values (momentum counts for sgd and rmsprop alone)"
    )


@settings(max_examples=30)
@given(first_seed=st.integers(0, 2**62), lowest=st.integers(1, 50), width=st.integers(1, 50))
def test_draws_stay_in_their_range_and_do_not_depend_on_other_axes(first_seed, lowest, width):
    drawn = {
        "learning_rate": {"log_uniform": [1e-5, 1e-2]},
        "dropout": {"uniform": [0.1, 0.7]},
        "batch_size": {"integer": [lowest, lowest + width]},
        "initialisation": {"choice": ["normal", "uniform"]},
    }
    found = points(zoo(first_seed=first_seed, random={"points": 20, "axes": drawn}))
    assert all(1e-5 <= point.learning_rate <= 1e-2 for point in found)
    assert all(0.1 <= point.dropout <= 0.7 for point in found)
    assert all(lowest <= point.batch_size <= lowest + width for point in found)
    assert {point.initialisation for point in found} <= {"normal", "uniform"}
    alone = points(zoo(first_seed=first_seed, random={"points": 20, "axes": {"dropout": drawn["dropout"]}}))
    assert [point.dropout for point in alone] == [point.dropout for point in found]


def test_draws_are_spread_as_they_are_asked_for():
    axes = {
        "learning_rate": {"log_uniform": [1e-4, 1e-2]},
        "dropout": {"uniform": [0, 0.5]},
        "batch_size": {"integer": [1, 4]},
        "optimizer": {"choice": ["sgd", "adam"]},
    }
    found = points(zoo(random={"points": 4_000, "axes": axes}))
    logarithms = [math.log10(point.learning_rate) for point in found]
    assert sum(logarithms) / 4_000 == pytest.approx(-3, abs=0.04)  # four standard errors
    assert sum(point.dropout for point in found) / 4_000 == pytest.approx(0.25, abs=0.01)
    for size in (1, 2, 3, 4):
        assert [point.batch_size for point in found].count(size) == pytest.approx(1_000, abs=110)
    assert [point.optimizer for point in found].count("sgd") == pytest.approx(2_000, abs=127)


def test_the_three_ways_know_the_same_axes():
    assert tuple(Point.model_fields) == tuple(Grid.model_fields) == tuple(RandomAxes.model_fields) == AXES
    of_training = {*TrainingConfig.model_fields} - {"epochs", "save_initial", "schedule_epochs", "schedule_factor"}
    assert {*AXES} == of_training | {"activation", "initialisation"}


@pytest.mark.parametrize(
    ("population", "line"),
    [
        ({"grid": {"learning_rate": [1e-3, -1]}}, "zoo.population.grid.learning_rate.1: got -1; input should be gre"),
        ({"grid": {"activation": ["tahn"]}}, 'zoo.population.grid.activation.0: got "tahn" (did you mean tanh?)'),
        ({"grid": {"dropout": []}}, "zoo.population.grid.dropout: got []"),
        ({"grid": {"learnin_rate": [1]}}, "grid.learnin_rate: unknown key (did you mean learning_rate?); expected one"),
        ({"grid": {}}, "zoo.population.grid: names no axis; give one of optimizer"),
        ({"grid": {"architecture": ["mlp", "cnn-s"]}}, "give zoo.model a list of models: a run each"),
        ({"grid": {"dataset": ["mnist"]}}, "give zoo.dataset a list of names: a run each"),
        ({"list": [{"seed": 3}]}, "zoo.population.list.0.seed: seed is no axis; set zoo.population.seeds"),
        ({"list": [{"epochs": 3}]}, "zoo.population.list.0.epochs: epochs is no axis"),
        ({"list": [{"dropout": 0.1}, {"dropout": 1}]}, "zoo.population.list.1.dropout: got 1; input should be less"),
        ({"list": [{"momentm": 0.1}]}, "zoo.population.list.0.momentm: unknown key (did you mean momentum?)"),
        ({"list": [{}]}, "zoo.population.list.0: names no axis"),
        ({"list": []}, "zoo.population.list: got []"),
        ({"grid": {"dropout": [0.1]}, "list": [{"dropout": 0.2}]}, "has grid and list, but points are given in one"),
        ({"random": {"points": 2, "axes": {"dropout": {"uniform": [0, 1]}}}}, "dropout.uniform.1: got 1; input should"),
        ({"random": {"points": 2, "axes": {"dropout": {"uniform": [0.2, 0.1]}}}}, "dropout: uniform goes from 0.2 to"),
        ({"random": {"points": 2, "axes": {"dropout": {}}}}, "is drawn in 0 ways, expected one of choice, log_uniform"),
        ({"random": {"points": 2, "axes": {"dropout": {"log_uniform": [0, 0.5]}}}}, "start above 0"),
        ({"random": {"points": 2, "axes": {"activation": {"uniform": [0, 1]}}}}, "unknown key; expected one of choice"),
        ({"random": {"points": 2, "axes": {"batch_size": {"integer": [1.5, 3]}}}}, "batch_size.integer.0: got 1.5"),
        ({"random": {"points": 0, "axes": {"dropout": {"choice": [0]}}}}, "zoo.population.random.points: got 0"),
        ({"seeds": 9_000_000, "grid": {"dropout": [0, 0.1]}}, "make 18,000,000 models, more than 10,000,000"),
        (
            {"grid": {"optimizer": ["sgd"], "schedule": ["onecycle"], "momentum": [0, 0.9]}},
            "population: the axis momentum makes no difference, for schedule onecycle moves momentum by itself",
        ),
        ({"grid": {"momentum": [0, 0.9]}}, "population: the axis momentum is for sgd and rmsprop, but optimizer is ad"),
        ({"grid": {"schedule": ["step", "cosine"]}}, "training.schedule_epochs: missing, but schedule step drops"),
    ],
)
def test_a_bad_axis_gets_one_line(population, line):
    with pytest.raises(ConfigError) as caught:
        zoo(**population)
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_numbers_of_a_step_schedule_are_refused_where_no_model_has_one():
    for setting in ("schedule_epochs=3", "schedule_factor=0.5"):
        with pytest.raises(ConfigError, match=r"is for schedule step, which no model has; remove schedule_"):
            load_config("digits-demo", [f"zoo.training.{setting}"])
