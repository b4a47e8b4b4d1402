"""Exchange: how alike two networks are, beside copies of one whose hidden units have changed places.

A network whose hidden units are renumbered computes the same function, and training does not care for the numbers. So
two networks that never shared a weight are as alike as one of them and a renumbered copy of the other, whatever task,
data and common component both were trained towards; networks of one history keep the numbers of their units, and are
far more alike (exchangeable copies: arXiv 2502.12292).

What no renumbering moves is taken out of the weights; of the rest, the inner product of two networks has mean 0 over
all renumberings of one. Its variance has a closed form: a matrix between two hidden layers splits into a doubly
centred part, row means and column means, which independent renumberings of both layers move independently.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import factorial, prod, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zoo_pipeline.models.layout import Layout, TensorSlice
from zoo_pipeline.trajectories.magnitudes import in_range

_LEAST_RENUMBERINGS = 24  # fewer are no null to hold a network against
_CACHED_ROWS = 64


@dataclass(frozen=True)
class _Use:
    """One tensor as hidden layers see it.

    Attributes:
        columns: of the flat vector.
        shape: outputs, inputs, and what belongs to each pair of them.
        outer: number of the hidden layer of its outputs; None where they are the network's own.
        inner: number of the hidden layer of its inputs; None where they are the network's own.
    """

    columns: slice
    shape: tuple[int, int, int]
    outer: int | None
    inner: int | None


@dataclass(frozen=True)
class HiddenUnits:
    """The hidden layers of a network, as its tensors' shapes tell them.

    The outputs of every weight but the last are a hidden layer. Where the next weight has as many inputs, or a
    multiple (a flattened image), they are the same units. Vectors as long belong to the weight before them.

    Attributes:
        sizes: units of each hidden layer.
        uses: the tensors that a renumbering moves.
    """

    sizes: tuple[int, ...]
    uses: tuple[_Use, ...]

    @property
    def tell(self) -> bool:
        """Whether a network has enough renumbered copies to compare others with."""
        return prod(factorial(min(size, 4)) for size in self.sizes) >= _LEAST_RENUMBERINGS

    @classmethod
    def of(cls, layout: Layout) -> "HiddenUnits":
        """Read them off a layout.

        >>> HiddenUnits.of(Layout.of({"fc1.weight": (5, 16), "fc2.weight": (4, 5)})).sizes
        (5,)
        """
        weights = [tensor for tensor in layout.tensors if len(tensor.shape) >= 2]
        sizes: list[int] = []
        uses: list[_Use] = []
        inner: int | None = None
        for number, weight in enumerate(weights):
            outputs, inputs = weight.shape[:2]
            if inner is not None and inputs % sizes[inner]:
                inner = None
            units = inputs if inner is None else sizes[inner]
            last = number == len(weights) - 1
            outer = None if last else len(sizes)
            if outer is not None or inner is not None:
                uses.append(_Use(weight.slice, (outputs, units, weight.size // (outputs * units)), outer, inner))
            if outer is not None:
                sizes.append(outputs)
                vectors = _between(layout.tensors, weight, weights[number + 1])
                uses += [_Use(vector.slice, (outputs, 1, 1), outer, None) for vector in vectors]
            inner = outer
        return cls(tuple(sizes), tuple(uses))

    def split(self, weights: Tensor) -> "Split":
        """Split weights float[n, d] into what the renumbering of each hidden layer moves, and of each two."""
        features, pairs = [0] * len(self.sizes), []
        for use in self.uses:
            outputs, inputs, rest = use.shape
            if use.outer is not None:
                features[use.outer] += inputs * rest if use.inner is None else rest
            if use.inner is not None:
                features[use.inner] += outputs * rest if use.outer is None else rest
            if use.outer is not None and use.inner is not None:
                pairs.append(use.shape)
        layers = tuple(zip(self.sizes, features, strict=True))
        width = sum(size * wide for size, wide in layers) + sum(prod(shape) for shape in pairs)
        split = Split(weights.new_empty(len(weights), width), layers, tuple(pairs), weights.new_empty(len(weights)))
        single, double = split.single, iter(split.double)
        filled = [0] * len(self.sizes)

        def place(layer: int | None) -> Tensor:
            """The next columns of what is to be known of a hidden layer, float[n, units, …]."""
            assert layer is not None
            start = filled[layer]
            filled[layer] += wide
            return single[layer][:, :, start : start + wide]

        for use in self.uses:
            outputs, inputs, rest = use.shape
            values = weights[:, use.columns].reshape(len(weights), *use.shape)
            if use.inner is None:
                wide, flat = inputs * rest, values.flatten(2)
                torch.sub(flat, flat.mean(1, keepdim=True), out=place(use.outer))
            elif use.outer is None:
                wide = outputs * rest
                centred = (values - values.mean(2, keepdim=True)).transpose(1, 2)
                place(use.inner).copy_(centred.flatten(2))
            else:
                wide = rest
                rows, columns = values.mean(2, keepdim=True), values.mean(1, keepdim=True)
                mean = rows.mean(1, keepdim=True)
                place(use.outer).copy_((rows - mean).flatten(2) * sqrt(inputs))
                place(use.inner).copy_((columns - mean).transpose(1, 2).flatten(2) * sqrt(outputs))
                torch.sub(values, rows, out=next(double)).sub_(columns).add_(mean)
        split.squares.copy_(_products(split.rows, split.rows))
        return split


@dataclass(frozen=True)
class Split:
    """n networks without what no renumbering moves; their inner products are those of the rest.

    Attributes:
        rows: all of it, float[n, features].
        layers: units and features of each hidden layer.
        pairs: outputs, inputs and rest of each weight between two hidden layers.
        squares: float[n], squared lengths of the rows.
    """

    rows: Tensor
    layers: tuple[tuple[int, int], ...]
    pairs: tuple[tuple[int, int, int], ...]
    squares: Tensor

    @property
    def single(self) -> list[Tensor]:
        """Of each hidden layer, float[n, units, features], centred over the units; views."""
        parts = self._parts[: len(self.layers)]
        return [part.view(len(part), *shape) for part, shape in zip(parts, self.layers, strict=True)]

    @property
    def double(self) -> list[Tensor]:
        """Of each weight between two hidden layers, float[n, outputs, inputs, rest], centred over both; views."""
        parts = self._parts[len(self.layers) :]
        return [part.view(len(part), *shape) for part, shape in zip(parts, self.pairs, strict=True)]

    @property
    def _parts(self) -> tuple[Tensor, ...]:
        return torch.split(self.rows, [prod(shape) for shape in (*self.layers, *self.pairs)], 1)

    def take(self, rows: Tensor | slice) -> "Split":
        """Some of the networks, by their numbers."""
        return Split(self.rows[rows], self.layers, self.pairs, self.squares[rows])

    def cosines(self, other: "Split") -> tuple[Tensor, Tensor]:
        """Cosine of each row with the other's row, and its variance over all renumberings of one: float[n] each.

        A network of which nothing is left has cosine 0 and variance 1 with all.
        """
        squared = self.squares * other.squares
        some = squared > 0
        cosine = torch.where(some, _products(self.rows, other.rows) / squared.sqrt(), 0.0).clamp(-1, 1)
        return cosine, torch.where(some, _variance(self, other) / squared, 1.0)


def split_weights(weights: NDArray[np.float32], layout: Layout | None, device: str = "cpu") -> Split | None:
    """Weights float32[n, d] as their hidden layers see them; None without a layout or with hardly any hidden units.

    Rows of another magnitude than networks have are scaled; no cosine depends on that. The split is on the device.
    """
    units = None if layout is None else HiddenUnits.of(layout)
    if units is None or not units.tell:
        return None
    return units.split(torch.from_numpy(in_range(weights)).to(device))


def exchange_scores(cosine: Tensor, variance: Tensor) -> Tensor:
    """Turn cosines into scores that are standard normal for unrelated networks.

    For small cosines this is cosine / standard deviation; towards 1 it grows without limit, as the tail of a cosine
    between directions in as many dimensions as give this variance does: √(−m·ln(1 − cos²)), m = 1 / variance (the
    signed root of the likelihood ratio).

    Args:
        cosine: float[n].
        variance: float[n].

    Returns:
        float[n]; infinite for equal networks.
    """
    return torch.sign(cosine) * torch.sqrt(-torch.log1p(-cosine.square()) / variance)


def _products(one: Tensor, two: Tensor) -> Tensor:
    """Inner products of rows, float[n]; a few rows at a time, so that their products stay in the cache."""
    products = one.new_empty(len(one))
    for start in range(0, len(one), _CACHED_ROWS):
        some = slice(start, start + _CACHED_ROWS)
        torch.sum(one[some] * two[some], 1, out=products[some])
    return products


def _variance(one: Split, two: Split) -> Tensor:
    """Of the inner products, over independent renumberings of all hidden layers of one side."""
    terms = [torch.zeros_like(one.squares)]
    for left, right in zip(one.single, two.single, strict=True):
        terms.append(torch.bmm(left, right.mT).square().sum((1, 2)) / max(left.shape[1] - 1, 1))
    for left, right in zip(one.double, two.double, strict=True):
        freedom = max((left.shape[1] - 1) * (left.shape[2] - 1), 1)
        flat, other = left.flatten(1, 2), right.flatten(1, 2)
        terms.append((torch.bmm(flat.mT, flat) * torch.bmm(other.mT, other)).sum((1, 2)) / freedom)
    return torch.stack(terms).sum(0)


def _between(tensors: Sequence[TensorSlice], before: TensorSlice, behind: TensorSlice) -> list[TensorSlice]:
    """The vectors between two weights that have an entry per output of the first."""
    inside = [tensor for tensor in tensors if before.offset < tensor.offset < behind.offset]
    return [tensor for tensor in inside if tensor.shape == before.shape[:1]]
