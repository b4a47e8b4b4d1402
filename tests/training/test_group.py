import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch

from zoo_pipeline.architecture import Architecture
from zoo_pipeline.data import Dataset, load_dataset
from zoo_pipeline.hyperparameters import Hyperparameters
from zoo_pipeline.models import Layout, build
from zoo_pipeline.training import Engine, GroupTraining, Member, group
from zoo_pipeline.training import train_group as train_members
from zoo_pipeline.training.randomness import data_order, initialisation_generator, noisy_labels
from zoo_pipeline.training.stack import Stack

MLP = Architecture("mlp", (1, 8, 8), 10, hidden=(16,))
ADAM = Hyperparameters("adam", 1e-3, 64, 3)
SGD = Hyperparameters("sgd", 0.05, 100, 3, momentum=0.9, weight_decay=1e-3)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return load_dataset("digits")


@pytest.fixture(scope="module")
def images() -> Dataset:
    """A few random images, large enough for a CNN."""
    generator = np.random.default_rng(0)

    def draw(rows):
        return generator.normal(size=(rows, 1, 20, 20)).astype(np.float32), generator.integers(3, size=rows)

    return Dataset("noise", 3, *draw(50), *draw(20))


def train_group(architecture, hyperparameters, seeds, dataset, stack=None):
    """A group of models that differ by their seeds alone."""
    return train_members(
        architecture, [Member(seed, hyperparameters) for seed in seeds], dataset, engine=Engine(stack=stack)
    )


def trained_by_torch(architecture, hyperparameters, seed, dataset) -> tuple[np.ndarray, list[float]]:
    """One model in the plainest PyTorch: its weights after every epoch, and its final metrics."""
    from zoo_pipeline.models import initialise

    module = build(architecture, hyperparameters.activation)
    module.load_state_dict(initialise(architecture, hyperparameters.initialisation, initialisation_generator(seed)))
    if hyperparameters.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            module.parameters(),
            lr=hyperparameters.learning_rate,
            momentum=hyperparameters.momentum,
            weight_decay=hyperparameters.weight_decay,
        )
    else:
        optimizer = torch.optim.Adam(module.parameters(), lr=hyperparameters.learning_rate)
    inputs, labels = torch.tensor(dataset.train_images), torch.tensor(dataset.train_labels)
    flat = [torch.nn.utils.parameters_to_vector(module.parameters()).detach().clone()]
    for epoch in range(1, hyperparameters.epochs + 1):
        for batch in data_order(seed, epoch, len(inputs)).split(hyperparameters.batch_size):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(module(inputs[batch]), labels[batch]).backward()
            optimizer.step()
        flat.append(torch.nn.utils.parameters_to_vector(module.parameters()).detach().clone())
    metrics = []
    with torch.no_grad():
        for x, y in ((inputs, labels), (torch.tensor(dataset.test_images), torch.tensor(dataset.test_labels))):
            logits = module(x)
            metrics += [
                float(torch.nn.functional.cross_entropy(logits, y)),
                float((logits.argmax(1) == y).float().mean()),
            ]
    return torch.stack(flat).numpy(), metrics


@pytest.mark.parametrize("hyperparameters", [ADAM, SGD], ids=["adam", "sgd"])
def test_a_group_equals_its_models_trained_one_by_one_in_plain_torch(digits, hyperparameters):
    history = train_group(MLP, hyperparameters, [3, 4, 5], digits)
    for row, seed in enumerate([3, 4, 5]):
        weights, metrics = trained_by_torch(MLP, hyperparameters, seed, digits)
        assert np.abs(history.weights[row] - weights).max() < 1e-5
        ours = [
            history.metrics[name][row, -1] for name in ("train_loss", "train_accuracy", "test_loss", "test_accuracy")
        ]
        assert ours == pytest.approx(metrics, abs=1e-4)


@pytest.mark.parametrize("stack", [1, 2])
def test_convolutions_train_alike_stacked_or_not(images, stack):
    cnn = Architecture("cnn-s", (1, 20, 20), 3)
    short = Hyperparameters("sgd", 0.05, 16, 2, momentum=0.9, activation="relu", initialisation="kaiming_normal")
    history = train_group(cnn, short, [0, 1], images, stack=stack)
    for row in range(2):
        assert np.abs(history.weights[row] - trained_by_torch(cnn, short, row, images)[0]).max() < 3e-5


def test_grouping_changes_neither_initialisation_nor_data_order(digits):
    together = train_group(MLP, ADAM, [7, 8, 9, 10], digits)
    alone = train_group(MLP, ADAM, [9], digits)
    assert np.array_equal(together.weights[2, 0], alone.weights[0, 0])
    assert np.abs(together.weights[2] - alone.weights[0]).max() < 1e-5
    assert not np.array_equal(together.weights[1, 0], together.weights[2, 0])


def test_every_epoch_sees_every_row_once_in_an_order_of_its_own():
    orders = [data_order(seed, epoch, 100).tolist() for seed in (0, 1) for epoch in (1, 2)]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert data_order(0, 1, 100).tolist() == orders[0]


def test_training_twice_gives_the_same_bits(digits):
    first, second = (train_group(MLP, ADAM, [0, 1], digits) for _ in range(2))
    assert np.array_equal(first.weights, second.weights)
    assert all(np.array_equal(first.metrics[name], second.metrics[name]) for name in first.metrics)


def test_epoch_0_is_the_untrained_model_and_training_helps(digits):
    history = train_group(MLP, replace(ADAM, epochs=10, learning_rate=5e-3), [0], digits)
    assert history.metrics["test_accuracy"][0, 0] < 0.3
    assert history.metrics["test_accuracy"][0, -1] > 0.9
    assert history.metrics["train_loss"][0, 0] == pytest.approx(np.log(10), abs=0.3)
    assert history.steps.tolist() == [23 * epoch for epoch in range(11)]  # 1,437 rows in batches of 64
    weights = Layout.of(MLP.tensors).unflatten(history.weights[0, -1])
    assert weights["fc1.weight"].shape == (16, 64)


def test_a_diverging_model_is_flagged_and_leaves_the_others_alone(digits, monkeypatch):
    from zoo_pipeline.training import stack

    drawn = stack.initialise
    seeds = iter([0, 1, 2])

    def one_explodes(architecture, initialisation, generator):
        scale = 1e38 if next(seeds) == 1 else 0.1
        return {name: tensor * scale * 10 for name, tensor in drawn(architecture, initialisation, generator).items()}

    monkeypatch.setattr(stack, "initialise", one_explodes)
    history = train_group(MLP, ADAM, [0, 1, 2], digits)
    seeds = iter([0, 2])
    undisturbed = train_group(MLP, ADAM, [0, 2], digits)
    assert history.diverged.tolist() == [False, True, False]
    assert np.isnan(history.weights[1, -1]).any()
    assert np.isfinite(history.weights[1, 0]).all()
    assert np.abs(history.weights[[0, 2]] - undisturbed.weights).max() < 1e-5


MIXED = [
    Member(0, replace(ADAM, learning_rate=1e-3)),
    Member(1, replace(ADAM, learning_rate=1e-2, weight_decay=1e-2, initialisation="kaiming_normal")),
    Member(1, replace(ADAM, learning_rate=3e-3, label_noise=0.2, schedule="cosine")),
]


def test_models_that_differ_in_numbers_train_together_as_alone(digits):
    together = train_members(MLP, MIXED, digits)
    for row, member in enumerate(MIXED):
        alone = train_members(MLP, [member], digits)
        assert np.array_equal(together.weights[row, 0], alone.weights[0, 0])
        assert np.abs(together.weights[row] - alone.weights[0]).max() < 1e-5
        for name in together.metrics:
            assert np.abs(together.metrics[name][row] - alone.metrics[name][0]).max() < 1e-4
    finals = together.weights[:, -1]
    assert np.abs(finals[1] - finals[2]).max() > 0.1


def test_models_of_different_computations_are_not_trained_together(digits):
    with pytest.raises(ValueError, match="share one computation"):
        train_members(MLP, [Member(0, ADAM), Member(1, SGD)], digits)


@pytest.mark.parametrize("stack", [1, 2, None])
def test_models_start_from_weights_that_are_given_with_an_optimiser_that_remembers_nothing(digits, stack):
    parents = train_group(MLP, ADAM, [1, 2], digits).weights
    starts = np.stack([parents[0, 3], parents[1, 1], parents[0, 3]])
    members = [Member(seed, replace(ADAM, learning_rate=3e-3)) for seed in (5, 6, 7)]
    forks = train_members(MLP, members, digits, engine=Engine(stack=stack), starts=starts)
    assert np.array_equal(forks.weights[:, 0], starts)
    first = np.abs(forks.weights[:, 1] - starts).max(axis=1)
    assert (first > 1e-3).all()
    assert np.abs(forks.weights[0, 1] - forks.weights[2, 1]).max() > 1e-3  # another data order
    again = train_members(MLP, [members[0]], digits, starts=train_group(MLP, ADAM, [5], digits).weights[:, 0])
    own = train_members(MLP, [members[0]], digits)
    assert np.array_equal(again.weights, own.weights)


def test_starts_of_another_shape_are_refused(digits):
    with pytest.raises(ValueError, match=r"starts: have shape \(1, 1210\), expected \(2, 1210\)"):
        train_members(MLP, [Member(0, ADAM), Member(1, ADAM)], digits, starts=np.zeros((1, 1210), np.float32))


@pytest.mark.parametrize("stack", [1, 3])
def test_dropout_masks_do_not_depend_on_the_stack(digits, stack):
    dropped = [Member(seed, replace(ADAM, dropout=0.5)) for seed in range(3)]
    together = train_members(MLP, dropped, digits, engine=Engine(stack=stack))
    whole = train_members(MLP, dropped, digits)
    assert np.abs(together.weights - whole.weights).max() < 1e-5
    assert np.abs(whole.weights - train_group(MLP, ADAM, range(3), digits).weights).max() > 1e-2


def test_with_dropout_losses_are_those_of_torchs_dropout_in_distribution(digits):
    """Twenty models of each kind: our means lie within the spread of torch's."""
    short = replace(ADAM, dropout=0.5, learning_rate=1e-2, epochs=2)
    ours = train_group(MLP, short, range(20), digits).metrics["test_loss"][:, -1]
    theirs = []
    torch.manual_seed(0)
    images, labels = torch.tensor(digits.train_images), torch.tensor(digits.train_labels)
    for seed in range(20):
        module = build(MLP, "tanh", dropout=0.5)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
        for epoch in (1, 2):
            for batch in data_order(seed, epoch, len(images)).split(64):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(module(images[batch]), labels[batch]).backward()
                optimizer.step()
        with torch.no_grad():
            logits = module.eval()(torch.tensor(digits.test_images))
        theirs.append(torch.nn.functional.cross_entropy(logits, torch.tensor(digits.test_labels)).item())
    error = np.hypot(np.std(ours), np.std(theirs)) / np.sqrt(20)
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * error


def test_label_noise_replaces_its_share_of_the_labels_for_good():
    labels = torch.arange(1000) % 10
    noisy = noisy_labels(5, labels, 10, 0.3)
    assert (noisy != labels).sum() == 300
    assert noisy.min() >= 0
    assert noisy.max() <= 9
    assert torch.equal(noisy, noisy_labels(5, labels, 10, 0.3))
    assert not torch.equal(noisy, noisy_labels(6, labels, 10, 0.3))


def test_a_share_of_the_data_makes_shorter_epochs(digits):
    part = train_group(MLP, replace(ADAM, data_fraction=0.25), [0], digits)
    assert part.steps.tolist() == [0, 6, 12, 18]  # 359 rows in batches of 64
    quarter, half = digits.part(0.25), digits.part(0.5)
    rows = {row.tobytes() for row in half.train_images}
    assert all(row.tobytes() in rows for row in quarter.train_images)


# In stacks of two, one has momentum and the other has none.
SOME_MOVE = [Member(seed, replace(SGD, momentum=momentum)) for seed, momentum in enumerate((0.0, 0.0, 0.9))]


@pytest.mark.parametrize(
    "members",
    [[Member(7, ADAM), Member(8, ADAM), Member(9, ADAM)], MIXED, SOME_MOVE, SOME_MOVE[::-1]],
    ids=["seeds", "mixed", "first stack without momentum", "last model without momentum"],
)
def test_training_goes_on_from_a_saved_state_bit_by_bit(digits, members):
    straight = GroupTraining(MLP, members, digits, Engine(stack=2))
    for _ in range(3):
        straight.advance()
        if straight.epoch == 1:
            state = {name: array.copy() for name, array in straight.state().items()}
    resumed = GroupTraining(MLP, members, digits, Engine(stack=2))
    resumed.restore(1, state)
    resumed.advance()
    resumed.advance()
    first, second = straight.checkpoint(), resumed.checkpoint()
    steps = -(-1_437 // members[0].hyperparameters.batch_size)
    assert (first.epoch, first.step) == (second.epoch, second.step) == (3, 3 * steps)
    assert np.array_equal(first.weights, second.weights)
    assert all(np.array_equal(first.metrics[name], second.metrics[name]) for name in first.metrics)


@pytest.mark.parametrize("failing", ["advance", "metrics", "__init__"])
def test_where_memory_is_short_the_stack_is_halved_and_nothing_changes(digits, monkeypatch, failing):
    members = [Member(seed, ADAM) for seed in range(5)]
    expected = train_members(MLP, members, digits, engine=Engine(stack=2))
    real = getattr(Stack, failing)
    calls = []

    def short(self, *arguments):
        calls.append(self)
        models = len(arguments[1]) if failing == "__init__" else self.models
        if models > 2 and (failing == "__init__" or len(calls) > 1):
            if failing == "advance":
                real(self, *arguments)  # the weights have moved when memory runs out
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(self, *arguments)

    monkeypatch.setattr(Stack, failing, short)
    monkeypatch.setattr(group, "_may_run_out", lambda device: True)
    training = GroupTraining(MLP, members, digits, Engine(stack=5))
    checkpoints = [training.checkpoint()]
    for _ in range(3):
        training.advance()
        checkpoints.append(training.checkpoint())
    assert training.stack == 2  # 5, 3, 2
    weights = np.stack([checkpoint.weights for checkpoint in checkpoints], axis=1)
    assert np.abs(weights - expected.weights).max() < 1e-5


def test_memory_that_runs_out_at_a_later_stack_is_gone_on_from_too(digits, monkeypatch):
    real, built = Stack.__init__, []

    def short(self, *arguments):
        built.append(len(arguments[1]))
        if len(built) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        real(self, *arguments)

    monkeypatch.setattr(Stack, "__init__", short)
    training = GroupTraining(MLP, [Member(seed, ADAM) for seed in range(4)], digits, Engine(stack=2))
    assert training.stack == 1
    assert built == [2, 2, 1, 1, 1, 1]
    assert training.checkpoint().weights.shape == (4, 1_210)


def test_the_stacks_of_a_group_share_their_memory_for_intermediate_results(digits):
    members = [Member(seed, ADAM) for seed in range(8)]
    floats = {}
    for size in (8, 2):
        training = GroupTraining(MLP, members, digits, Engine(stack=size))
        training.advance()
        training.checkpoint()
        scratches = {id(stack._scratch): stack._scratch for stack in training._stacks}
        assert len(scratches) == 1
        floats[size] = sum(buffer.numel() for one in scratches.values() for buffer in one._buffers.values())
    assert floats[2] < floats[8]


def test_a_groups_memory_is_free_as_soon_as_nobody_holds_the_group(digits):
    training = GroupTraining(MLP, [Member(0, ADAM)], digits, Engine())
    training.advance()
    stack = weakref.ref(training._stacks[0])
    gc.disable()
    try:
        del training
        assert stack() is None, "a circle of references keeps it"
    finally:
        gc.enable()


def test_an_engine_that_captures_graphs_trains_without_a_gpu_all_the_same(digits):
    captured = train_members(MLP, [Member(0, ADAM)], digits, engine=Engine(stack=1, capture=True))
    plain = train_members(MLP, [Member(0, ADAM)], digits, engine=Engine(stack=1))
    assert np.array_equal(captured.weights, plain.weights)


def test_a_single_model_that_does_not_fit_is_an_error(digits, monkeypatch):
    def short(self, *arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Stack, "advance", short)
    with pytest.raises(torch.OutOfMemoryError):
        train_members(MLP, [Member(0, ADAM), Member(1, ADAM)], digits)
