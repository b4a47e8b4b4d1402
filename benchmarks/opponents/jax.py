"""JAX on a CPU: `vmap` over models, one compiled epoch, batches gathered inside it, buffers given back.

Tried on two Xeon cores and kept: for MLPs, the stack of models that a short timing finds; for CNNs, channels last,
training by products with unfolded patches (14 ms per step of 64 against 25 to 33 by `conv_general_dilated`, whose
gradient is slow inside a loop), evaluation by `conv_general_dilated` (0.25 s per 2,000 images against 0.8), pooling by
reshaping, and one model at a time where four at once are slower.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from math import prod, sqrt
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from benchmarks.trained import Trained
from benchmarks.works import Work, sample
from zoo_pipeline.architecture import CNNS, POOL, Architecture
from zoo_pipeline.data import Dataset

STACKS = {"mlp": (16, 64, 256, 1_024), "cnn-s": (1, 4)}  # models per call, to choose from
EVALUATED_IMAGES = {"mlp": 1 << 20, "cnn-s": 2_000}  # in one forward pass
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # torch's defaults

Parameters = dict[str, Array]  # float32[models, …], by torch's names but channels last
Epoch = Callable[..., tuple[Any, Array, Array]]


class JaxTrainer:
    """Compiled epochs of stacks of models, as many at a time as is fastest on this machine."""

    def __init__(self, work: Work, dataset: Dataset, models: int) -> None:
        self._work = work
        self._train_epoch: Epoch = jax.jit(partial(_epoch, work, True), donate_argnums=0)
        self._evaluate_only: Epoch = jax.jit(partial(_epoch, work, False))
        self._data = _arrays(sample(dataset))
        stacks = {min(stack, models) for stack in STACKS[work.architecture.name]}
        self._stack = min(sorted(stacks), key=self._model_s)
        self._data = _arrays(dataset)

    @property
    def choice(self) -> str:
        """The stack that was fastest."""
        return f"{self._stack} models per call"

    def warm_up(self, seeds: Sequence[int]) -> None:
        """Compile for every size of stack that these seeds need."""
        for size in {len(stack) for stack in _stacks(seeds, self._stack)}:
            self.train(seeds[:size], 1)

    def train(self, seeds: Sequence[int], epochs: int) -> Trained:
        """Train one model per seed, a stack at a time."""
        trained = Trained.empty(len(seeds), epochs, self._work.architecture.dimension)
        row = 0
        for stack in _stacks(seeds, self._stack):
            self._train_stack(stack, epochs, trained, slice(row, row + len(stack)))
            row += len(stack)
        return trained

    def _train_stack(self, seeds: Sequence[int], epochs: int, trained: Trained, rows: slice) -> None:
        generators = [np.random.default_rng(seed) for seed in seeds]
        state = _start(self._work, generators)
        _, weights, metrics = self._evaluate_only(state, None, *self._data)
        for epoch in range(epochs + 1):
            if epoch:
                orders = np.stack([generator.permutation(len(self._data[0])) for generator in generators])
                state, weights, metrics = self._train_epoch(state, orders.astype(np.int32), *self._data)
            trained.weights[rows, epoch] = weights
            (
                trained.train_loss[rows, epoch],
                trained.train_accuracy[rows, epoch],
                trained.test_loss[rows, epoch],
                trained.test_accuracy[rows, epoch],
            ) = np.asarray(metrics)

    def _model_s(self, stack: int) -> float:
        """Seconds of one model's epoch in a stack of this size."""
        self._stack = stack
        self.train(range(stack), 1)
        started = time.perf_counter()
        self.train(range(stack), 2)
        return (time.perf_counter() - started) / stack


def _epoch(
    work: Work, training: bool, state: Any, orders: Array, images: Array, labels: Array, *test: Array
) -> tuple[Any, Array, Array]:
    """Train for one epoch, unless told not to, and evaluate.

    Args:
        work: what is trained.
        training: whether to train.
        state: parameters, moments of the optimiser, steps taken.
        orders: in which order each model sees the images, int32[models, n].
        images: float32[n, height, width, channels].
        labels: int32[n].
        test: images and labels of the test set.

    Returns:
        The new state, the flat weights float32[models, d], and loss and accuracy of training and test images,
        float32[4, models].
    """
    gradient = jax.vmap(jax.grad(partial(_loss, work.architecture)))

    def step(state: Any, batch: Array) -> tuple[Any, None]:
        return _update(work, state, gradient(state[0], images[batch], labels[batch])), None

    if training:
        models, rows = orders.shape
        size = work.hyperparameters.batch_size
        whole = rows // size * size
        batches = orders[:, :whole].reshape(models, -1, size).swapaxes(0, 1)
        state, _ = lax.scan(step, state, batches)
        if whole < rows:
            state, _ = step(state, orders[:, whole:])
    parameters = state[0]
    weights = jnp.concatenate([tensor.reshape(len(tensor), -1) for tensor in parameters.values()], axis=1)
    evaluate = jax.vmap(partial(_evaluate, work.architecture), in_axes=(0, None, None))
    metrics = jnp.stack([*evaluate(parameters, images, labels), *evaluate(parameters, *test)])
    return state, weights, metrics


def _update(work: Work, state: Any, gradients: Parameters) -> Any:
    """One step of torch's SGD with momentum, or of its Adam."""
    parameters, moments, steps = state
    steps = steps + 1
    rate, momentum = work.hyperparameters.learning_rate, work.hyperparameters.momentum
    if work.hyperparameters.optimizer == "sgd":
        moments = jax.tree.map(lambda moment, slope: momentum * moment + slope, moments, gradients)
        return jax.tree.map(lambda tensor, moment: tensor - rate * moment, parameters, moments), moments, steps
    first = jax.tree.map(lambda moment, slope: _BETA1 * moment + (1 - _BETA1) * slope, moments[0], gradients)
    second = jax.tree.map(lambda moment, slope: _BETA2 * moment + (1 - _BETA2) * slope**2, moments[1], gradients)
    size = rate / (1 - _BETA1**steps)
    root = jnp.sqrt(1 - _BETA2**steps)
    parameters = jax.tree.map(
        lambda tensor, one, two: tensor - size * one / (jnp.sqrt(two) / root + _EPSILON), parameters, first, second
    )
    return parameters, (first, second), steps


def _loss(architecture: Architecture, parameters: Parameters, images: Array, labels: Array) -> Array:
    logits = _logits(architecture, parameters, images, _unfolded)
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1).mean()


def _evaluate(architecture: Architecture, parameters: Parameters, images: Array, labels: Array) -> tuple[Array, Array]:
    """Mean loss and accuracy of one model."""
    loss = correct = jnp.float32(0)
    chunk = EVALUATED_IMAGES[architecture.name]
    for start in range(0, len(images), chunk):
        expected = labels[start : start + chunk]
        logits = _logits(architecture, parameters, images[start : start + chunk], _convolved)
        loss -= jnp.take_along_axis(jax.nn.log_softmax(logits), expected[:, None], axis=1).sum()
        correct += (logits.argmax(axis=1) == expected).sum()
    return loss / len(images), correct / len(images)


def _logits(
    architecture: Architecture, parameters: Parameters, images: Array, convolve: Callable[[Array, Array], Array]
) -> Array:
    """Logits [n, classes] of one model for images [n, height, width, channels]."""
    values = images
    for number, convolution in enumerate(CNNS[architecture.name].convolutions if architecture.name in CNNS else (), 1):
        values = convolve(values, parameters[f"conv{number}.weight"]) + parameters[f"conv{number}.bias"]
        values = jnp.tanh(_pooled(values) if convolution.pool else values)
    values = values.reshape(len(values), -1)
    layers = len(architecture.linear_widths) - 1
    for number in range(1, layers + 1):
        values = values @ parameters[f"fc{number}.weight"]
        if architecture.bias:
            values = values + parameters[f"fc{number}.bias"]
        if number < layers:
            values = jnp.tanh(values)
    return values


def _convolved(images: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(images, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _unfolded(images: Array, kernel: Array) -> Array:
    """The same sums as a product with the patches under the kernel."""
    side = kernel.shape[0]
    height, width = images.shape[1] - side + 1, images.shape[2] - side + 1
    patches = [images[:, top : top + height, left : left + width] for top in range(side) for left in range(side)]
    return jnp.concatenate(patches, axis=-1) @ kernel.reshape(-1, kernel.shape[-1])


def _pooled(images: Array) -> Array:
    rows, height, width, channels = images.shape
    tiles = images[:, : height // POOL * POOL, : width // POOL * POOL]
    return tiles.reshape(rows, height // POOL, POOL, width // POOL, POOL, channels).max(axis=(2, 4))


def _start(work: Work, generators: list[np.random.Generator]) -> Any:
    """Torch's own initialisation of linear and convolutional layers: U(±1/√inputs), weights and biases alike."""
    shapes: dict[str, tuple[int, ...]] = {}
    convolutions = CNNS[work.architecture.name].convolutions if work.architecture.name in CNNS else ()
    channels = work.architecture.input_shape[0]
    for number, convolution in enumerate(convolutions, 1):
        shapes[f"conv{number}"] = (convolution.kernel, convolution.kernel, channels, convolution.channels)
        channels = convolution.channels
    for number, widths in enumerate(pairwise(work.architecture.linear_widths), 1):
        shapes[f"fc{number}"] = widths
    parameters = {}
    for name, shape in shapes.items():
        bound = 1 / sqrt(prod(shape[:-1]))
        parameters[f"{name}.weight"] = _drawn(generators, bound, shape)
        if work.architecture.bias:
            parameters[f"{name}.bias"] = _drawn(generators, bound, shape[-1:])
    zeros = partial(jax.tree.map, jnp.zeros_like, parameters)
    moments = zeros() if work.hyperparameters.optimizer == "sgd" else (zeros(), zeros())
    return parameters, moments, jnp.float32(0)


def _drawn(generators: list[np.random.Generator], bound: float, shape: tuple[int, ...]) -> Array:
    return jnp.asarray(
        np.stack([generator.uniform(-bound, bound, shape) for generator in generators]), dtype=jnp.float32
    )


def _arrays(dataset: Dataset) -> tuple[Array, ...]:
    """Training images and labels, then test images and labels; channels last."""

    def images(array: NDArray[np.float32]) -> Array:
        return jnp.asarray(array.transpose(0, 2, 3, 1))

    def labels(array: NDArray[np.int64]) -> Array:
        return jnp.asarray(array.astype(np.int32))

    return (
        images(dataset.train_images),
        labels(dataset.train_labels),
        images(dataset.test_images),
        labels(dataset.test_labels),
    )


def _stacks(seeds: Sequence[int], size: int) -> list[Sequence[int]]:
    return [seeds[start : start + size] for start in range(0, len(seeds), size)]
