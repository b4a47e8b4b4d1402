import pytest
import torch

from zoo_pipeline.training.layers import Dropout, Scratch
from zoo_pipeline.training.layers.dropout import step_keys
from zoo_pipeline.training.randomness import dropout_key


def layer(probabilities, keys, number=0) -> Dropout:
    made = Dropout(number, torch.tensor(probabilities), Scratch("cpu"))
    made.key.copy_(torch.tensor(keys, dtype=torch.int32))
    return made


def test_units_are_kept_with_the_models_own_probability_and_scaled_up():
    dropped = layer([0.0, 0.3, 0.5], [dropout_key(seed, 1) for seed in range(3)]).forward(torch.ones(3, 200, 500))
    for model, probability in enumerate([0.0, 0.3, 0.5]):
        values = dropped[model]
        assert values[values != 0].unique().tolist() == [pytest.approx(1 / (1 - probability))]
        share = (values == 0).float().mean().item()
        assert abs(share - probability) < 5 * (probability * (1 - probability) / values.numel()) ** 0.5 + 1e-9


def test_masks_of_models_steps_layers_and_neighbouring_units_are_unrelated():
    keys = step_keys(torch.tensor([dropout_key(0, 1), dropout_key(1, 1)], dtype=torch.int32), 2)
    masks = [
        layer([0.5, 0.5], keys[step].tolist(), number).forward(torch.ones(2, 20_000))
        for step in (0, 1)
        for number in (0, 1)
    ]
    rows = torch.cat(masks).sub(1)  # −1 or 1
    correlation = rows @ rows.T / rows.shape[1]
    assert (correlation - torch.eye(len(rows))).abs().max() < 0.05
    assert (rows[:, 1:] * rows[:, :-1]).mean(1).abs().max() < 0.05


def test_a_models_mask_does_not_depend_on_the_models_beside_it():
    keys = [dropout_key(seed, 4) for seed in (5, 6, 7)]
    together = layer([0.5, 0.2, 0.5], keys).forward(torch.ones(3, 64))
    alone = layer([0.2], keys[1:2]).forward(torch.ones(1, 64))
    assert torch.equal(together[1], alone[0])


def test_the_gradient_passes_where_the_value_did():
    made = layer([0.5], [dropout_key(0, 1)])
    passed = made.forward(torch.ones(1, 50)).clone()
    assert torch.equal(made.backward(torch.ones(1, 50)), passed)
    assert torch.equal(made.infer(passed), passed)
