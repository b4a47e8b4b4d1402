import numpy as np
import pytest

from zoo_pipeline.trajectories.branching.attachment import OF_A_BRANCH, OF_THE_REST, measure_attachment
from zoo_pipeline.trajectories.branching.continuation import GOES_ON, measure_continuation
from zoo_pipeline.trajectories.branching.judgement import Judgement

FROZEN = {"branch": OF_A_BRANCH, "rest": OF_THE_REST, "goes_on": GOES_ON}


def test_scores_are_those_of_a_network_with_a_straight_sum_beside_it():
    rng = np.random.default_rng(0)
    names = ("a", "b", "c")
    mean, scale, straight = rng.standard_normal((3, 3))
    hidden, bias, out = rng.standard_normal((4, 3)), rng.standard_normal(4), rng.standard_normal(4)
    measured = {name: rng.standard_normal((2, 5)) for name in reversed(names)}
    found = Judgement(names, mean, scale, hidden, bias, out, straight).scores(measured)
    assert found.shape == (2, 5)
    values = [(measured[name][1, 3] - mean[at]) / scale[at] for at, name in enumerate(names)]
    expected = sum(weight * value for weight, value in zip(straight, values, strict=True))
    for unit in range(4):
        expected += out[unit] * np.tanh(bias[unit] + sum(hidden[unit, at] * values[at] for at in range(3)))
    assert found[1, 3] == pytest.approx(expected)


@pytest.mark.parametrize("name", FROZEN)
def test_the_frozen_weights_fit_together(name):
    judgement = FROZEN[name]
    units, measures = judgement.hidden.shape
    assert judgement.bias.shape == judgement.out.shape == (units,)
    shapes = {values.shape for values in (judgement.mean, judgement.scale, judgement.straight)}
    assert shapes == {(measures,)} == {(len(judgement.names),)}
    assert (judgement.scale > 0).all()


def test_the_frozen_weights_are_of_what_is_measured():
    rows = np.random.default_rng(1).standard_normal((9, 20))
    assert set(OF_A_BRANCH.names) == set(OF_THE_REST.names) == set(measure_attachment(rows[:7], rows[7:8], rows[8:]))
    assert set(GOES_ON.names) == set(measure_continuation(rows[:4], rows[4:]))
