import numpy as np
import torch

from benchmarks.renumbered import EPOCHS, NETWORK, RenumberedBag, renumbered
from zoo_pipeline.models import build
from zoo_pipeline.models.layout import Layout

LAYOUT = Layout.of(NETWORK.tensors)


def outputs(weights, images):
    model = build(NETWORK)
    torch.nn.utils.vector_to_parameters(torch.from_numpy(weights), model.parameters())
    with torch.no_grad():
        return model.eval()(images)


def test_a_renumbered_network_is_another_point_and_the_same_function():
    generator = np.random.default_rng(0)
    weights = generator.normal(0, 0.2, LAYOUT.dimension).astype(np.float32)
    other = weights[renumbered(LAYOUT, generator)]
    images = torch.randn(5, *NETWORK.input_shape, generator=torch.Generator().manual_seed(0))
    assert np.abs(other - weights).mean() > 0.1
    torch.testing.assert_close(outputs(other, images), outputs(weights, images), rtol=1e-4, atol=1e-5)


def test_a_bag_holds_every_epoch_of_every_model_once_and_its_columns_move_alike():
    real = np.random.default_rng(1).standard_normal((3, EPOCHS, LAYOUT.dimension)).astype(np.float32)
    bag = RenumberedBag.of(real, 5 * EPOCHS)
    weights, model_id, epoch = bag.rows(slice(None))
    assert sorted(zip(model_id.tolist(), epoch.tolist(), strict=True)) == [
        (m, e) for m in range(5) for e in range(1, EPOCHS + 1)
    ]
    for model in range(5):
        path = weights[model_id == model][np.argsort(epoch[model_id == model])]
        np.testing.assert_array_equal(path, real[model % 3][:, bag.columns[model]])
    assert not np.array_equal(bag.columns[3], bag.columns[0])
