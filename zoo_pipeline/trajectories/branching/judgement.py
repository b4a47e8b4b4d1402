"""Judgement: candidates weighed by several measures at once, with frozen weights."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from zoo_pipeline.trajectories.branching.drift import Floats


@dataclass(frozen=True)
class Judgement:
    """What a candidate's measures say for it: a network of one hidden layer, and a straight sum beside it.

    A softmax over the candidates makes probabilities of their scores.

    Attributes:
        names: of n measures.
        mean, scale: float64[n], subtracted from the measures, and what they are then divided by.
        hidden, bias: float64[h, n] and float64[h], of hidden units with tanh.
        out: float64[h], their weights in the score.
        straight: float64[n], the measures' own.
    """

    names: tuple[str, ...]
    mean: Floats
    scale: Floats
    hidden: Floats
    bias: Floats
    out: Floats
    straight: Floats

    def scores(self, measured: Mapping[str, ArrayLike]) -> Floats:
        """Score candidates, float64 of the shape of the measures."""
        values = (np.stack([np.asarray(measured[name]) for name in self.names], axis=-1) - self.mean) / self.scale
        scores: Floats = np.tanh(values @ self.hidden.T + self.bias) @ self.out + values @ self.straight
        return scores

    @classmethod
    def fitted(cls, name: str) -> Self:
        """Read the frozen weights of `python -m benchmarks.fit_forks`, by their name in `judgements.json`."""
        content = json.loads(files(__package__).joinpath("judgements.json").read_text(encoding="utf-8"))[name]
        arrays = {key: np.array(value) for key, value in content.items() if key != "names"}
        return cls(names=tuple(content["names"]), **arrays)
