"""Fit the weights of the direction cues, and score them on configurations they were not fitted to.

ZOO_DATA_DIR=… python -m benchmarks.fit_direction [--seed N]

Trains zoos over optimisers, learning rates, decays, schedules and initialisations, takes parts of every path, and fits
a logistic regression without intercept on them and on their mirror images. Prints the two tables that stand in
`trajectories/direction.py`, how often they are right on each part, and one JSON line last.
"""

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.direction_zoos import OPTIMIZERS, SHUFFLED, Trajectory, train_zoos, windows
from zoo_pipeline.models.layout import Layout
from zoo_pipeline.trajectories.direction import DECIDED_FROM, LEAST_ORDER, CueWeight
from zoo_pipeline.trajectories.direction_cues import measure_cues

Array = NDArray[np.float64]

STRENGTH = 1.0  # the regression's C; 0.3 to 10 made no difference on validation zoos
LEAST_MOVED = 1e-5  # of the initial norm; a model that did not train has no direction
TRAINED_FROM = 0.5  # test accuracy
BINS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class Samples:
    """n parts of paths, all in forward order.

    Attributes:
        cues: float64[n] by name.
        smoothness: float64[n].
        order: float64[n].
        facts: str[n] each: kind (of zoo), part (of the path), split, optimizer, trained, decay.
    """

    cues: dict[str, Array]
    smoothness: Array
    order: Array
    facts: dict[str, NDArray[np.str_]]

    def where(self, chosen: NDArray[np.bool_]) -> "Samples":
        """Some of them."""
        return Samples(
            {name: values[chosen] for name, values in self.cues.items()},
            self.smoothness[chosen],
            self.order[chosen],
            {name: values[chosen] for name, values in self.facts.items()},
        )

    @property
    def ordered(self) -> "Samples":
        """All but the shuffled ones."""
        return self.where(self.facts["part"] != SHUFFLED)

    @property
    def weights(self) -> Array:
        """Every kind of zoo counts the same, and within it every part; 1 on average."""
        combined = np.char.add(self.facts["kind"], self.facts["part"])
        _, number, count = np.unique(combined, return_inverse=True, return_counts=True)
        return np.asarray(len(number) / (len(count) * count[number]))


def main() -> None:
    """Fit, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0, help="of the zoos")
    seed = parser.parse_args().seed
    started = time.perf_counter()
    measured: dict[bool, list[Samples]] = {True: [], False: []}
    rng = np.random.default_rng(seed)
    models = 0
    for group in train_zoos(seed):
        moving = [one for one in group if _moved(one) > LEAST_MOVED]
        models += len(moving)
        kept = windows(len(group[0].weights), rng)
        for with_layout, into in measured.items():
            into.append(measure(moving, kept, with_layout=with_layout))
        print(f"{group[0].kind}: {models} models after {time.perf_counter() - started:.0f} s", flush=True)

    result: dict[str, Any] = {"seed": seed, "models": models, "decided_from": DECIDED_FROM}
    for with_layout, parts in measured.items():
        samples = joined(parts)
        split = {name: samples.where(samples.facts["split"] == name) for name in ("train", "validation", "test")}
        table = fit(split["train"].ordered, split["validation"].ordered)
        name = "WITH_LAYOUT" if with_layout else "WITHOUT_LAYOUT"
        print(f"\n{name} = {{")
        for cue, weight in table.items():
            print(f'    "{cue}": CueWeight({", ".join(f"{number:.4g}" for number in weight)}),')
        print("}")
        result[name.lower()] = {"table": table}
        for held_out in ("validation", "test"):
            result[name.lower()][held_out] = scored(split[held_out], table)
            show(f"{name}, {held_out}", result[name.lower()][held_out])
    result["seconds"] = round(time.perf_counter() - started)
    result["versions"] = {name: version(name) for name in ("numpy", "scikit-learn", "torch")}
    result["machine"] = platform.machine()
    print(json.dumps(result))


def _moved(one: Trajectory) -> float:
    first, last = one.weights[[0, -1]].astype(np.float64)  # float32 overflows where a model all but diverged
    return float(np.linalg.norm(last - first) / np.linalg.norm(first))


def measure(group: Sequence[Trajectory], kept: dict[str, NDArray[np.intp]], *, with_layout: bool) -> Samples:
    """Measure the cues of every part of a group's paths."""
    weights = np.stack([one.weights for one in group])
    layout: Layout | None = group[0].layout if with_layout else None
    parts = []
    for part, rows in kept.items():
        found = measure_cues(weights[:, rows], layout)
        facts = {
            "kind": [one.kind for one in group],
            "part": [part] * len(group),
            "split": [one.split for one in group],
            "optimizer": [one.hyperparameters.optimizer for one in group],
            "decay": [str(one.hyperparameters.weight_decay > 0) for one in group],
            "trained": [str(one.test_accuracy >= TRAINED_FROM) for one in group],
        }
        parts.append(
            Samples(
                dict(found.values), found.smoothness, found.order, {name: np.array(of) for name, of in facts.items()}
            )
        )
    return joined(parts)


def joined(parts: Sequence[Samples]) -> Samples:
    """All samples one behind the other."""
    return Samples(
        {name: np.concatenate([part.cues[name] for part in parts]) for name in parts[0].cues},
        np.concatenate([part.smoothness for part in parts]),
        np.concatenate([part.order for part in parts]),
        {name: np.concatenate([part.facts[name] for part in parts]) for name in parts[0].facts},
    )


def fit(train: Samples, validation: Samples) -> dict[str, CueWeight]:
    """Fit the table on one split, and its temperature on the other.

    A cue saturates at about twice its median size, so that none outweighs the others without limit.
    """
    scales = {name: float(f"{2 * np.median(np.abs(values)):.3g}") for name, values in train.cues.items()}
    found = _regress(_features(train, scales), train.weights)
    (temperature,) = _regress(_features(validation, scales) @ found[:, None], validation.weights)
    plain, smooth = (found * temperature).reshape(2, -1)
    return {
        name: CueWeight(scale, float(f"{weight:.4g}"), float(f"{smooth_weight:.4g}"))
        for (name, scale), weight, smooth_weight in zip(scales.items(), plain, smooth, strict=True)
    }


def _features(samples: Samples, scales: dict[str, float]) -> Array:
    cues = np.stack([np.tanh(samples.cues[name] / scale) for name, scale in scales.items()], axis=1)
    return np.hstack([cues, cues * samples.smoothness[:, None]])


def _regress(features: Array, weights: Array) -> Array:
    """A logistic regression on the features and their mirror images, so that p(reversed) = 1 − p."""
    regression = LogisticRegression(C=STRENGTH, fit_intercept=False, max_iter=10_000)
    forward = np.repeat([True, False], len(features))
    regression.fit(np.vstack([features, -features]), forward, sample_weight=np.tile(weights / 2, 2))
    return np.asarray(regression.coef_[0])


def scored(samples: Samples, table: dict[str, CueWeight]) -> dict[str, Any]:
    """How often the table is right, by groups of samples, and whether its confidence means what it says."""
    probability = 1 / (1 + np.exp(-_log_odds(samples, table)))
    return {
        "groups": {name: _score(probability[chosen]) for name, chosen in _groups(samples.facts).items()},
        "calibration": calibration(probability[samples.facts["part"] != SHUFFLED]),
    }


def _groups(facts: dict[str, NDArray[np.str_]]) -> dict[str, NDArray[np.bool_]]:
    trained = facts["trained"] == "True"
    ordered = facts["part"] != SHUFFLED
    groups = {"all in order": ordered, "all in order, trained": ordered & trained}
    for part in dict.fromkeys(facts["part"].tolist()):
        groups[part] = facts["part"] == part
    for part in ("whole", "last 12", "last 6"):
        groups[f"{part}, trained"] = groups[part] & trained
    for optimizer, (decay, name) in product(OPTIMIZERS, (("False", "no decay"), ("True", "decay"))):
        these = (facts["optimizer"] == optimizer) & (facts["decay"] == decay)
        groups[f"last 12, {optimizer}, {name}"] = groups["last 12"] & these
    return groups


def show(name: str, scores: dict[str, Any]) -> None:
    """Print the scores of one split."""
    print(f"\n{name:28}{'samples':>8}{'right':>8}{'decided':>9}{'right of these':>16}")
    for group, of in scores["groups"].items():
        print(f"{group:28}{of['samples']:8}{of['right']:8.3f}{of['decided']:9.3f}{of['right_of_decided']:16.4f}")
    for row in scores["calibration"]:
        said = f"confidence {row['from']:.2f} to {row['to']:.2f}: said {row['said']:.3f}"
        print(f"{said}, right {row['right']:.3f} of {row['samples']}")


def _log_odds(samples: Samples, table: dict[str, CueWeight]) -> Array:
    weights = np.array(list(table.values())).T
    features = _features(samples, {name: weight.scale for name, weight in table.items()})
    return np.where(samples.order < LEAST_ORDER, 0.0, features @ weights[1:].ravel())


def _score(probability: Array) -> dict[str, float]:
    decided = np.maximum(probability, 1 - probability) >= DECIDED_FROM
    right = probability > 0.5
    return {
        "samples": len(probability),
        "right": round(float(right.mean()), 4),
        "decided": round(float(decided.mean()), 4),
        "right_of_decided": round(float(right[decided].mean()), 5),
    }


def calibration(probability: Array) -> list[dict[str, float]]:
    """What was said and what was so, by confidence."""
    confidence = np.maximum(probability, 1 - probability)
    right = probability > 0.5
    rows = []
    for low, high in pairwise(BINS):
        these = (confidence >= low) & ((confidence < high) | (high == BINS[-1]))
        if these.any():
            said, so = float(confidence[these].mean()), float(right[these].mean())
            rows.append(
                {"from": low, "to": high, "samples": int(these.sum()), "said": round(said, 4), "right": round(so, 4)}
            )
    return rows


if __name__ == "__main__":
    main()
