"""Made-up zoos with the tables of a real analysis: random walks that slow down as they go."""

import numpy as np
import pyarrow as pa
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist

from zoo_pipeline.report import ReportData, principal_components


def fake_zoo(
    models: int = 64,
    checkpoints: int = 26,
    dimension: int = 200,
    *,
    diverged: int = 0,
    undecided: int = 0,
    swapped: int = 0,
    seed: int = 0,
    name: str = "digits-demo",
) -> ReportData:
    """Every model is one trajectory; the first `swapped` of them have two checkpoints exchanged."""
    rng = np.random.default_rng(seed)
    model_id = np.repeat(np.arange(models), checkpoints).astype(np.int32)
    epoch = np.tile(np.arange(checkpoints), models).astype(np.int32)
    weights = _walks(rng, models, checkpoints, dimension)
    analysed = model_id < models - diverged
    weights[~analysed & (epoch > checkpoints // 2)] = np.nan
    position = epoch.copy()
    if checkpoints > 4:
        rows = model_id < swapped
        position[rows & (epoch == 3)], position[rows & (epoch == 4)] = 4, 3
    leaf = np.where(analysed, np.cumsum(analysed) - 1, -1).astype(np.int32)
    assignments = pa.table(
        {
            "run": ["0f3a"] * len(epoch),
            "model_id": model_id,
            "epoch": epoch,
            "trajectory": np.where(analysed, model_id, -1).astype(np.int32),
            "position": pa.array(position, mask=~analysed),
            "progress": pa.array(position / max(1, checkpoints - 1), mask=~analysed),
            "confidence": pa.array(np.ones(len(epoch)), mask=~analysed),
            "leaf": leaf,
        }
    )
    paths = weights.reshape(models, checkpoints, dimension)
    kept = models - diverged
    embedding, share = principal_components(np.where(analysed[:, None], weights, np.nan).astype(np.float32))
    enough = analysed.sum() > 1
    return ReportData(
        name=name,
        facts={
            "Dataset": "digits, 1,797 images 8×8",
            "Architecture": "MLP 64-16-10, tanh",
            "Optimiser": "Adam, learning rate 0.003, batch 64",
            "Models": str(models),
            "Epochs": str(checkpoints - 1),
            "Parameters": f"{dimension:,}",
            "Specification": "9c1f04be72a1",
            "Versions": "torch 2.9.0, ray 2.60.0, zoo_pipeline 0.1.0",
        },
        summary=_summary(kept, diverged, checkpoints, dimension, swapped, undecided),
        checkpoints=_metrics(rng, model_id, epoch, analysed, checkpoints),
        assignments=assignments,
        trajectories=_trajectories(paths[:kept], undecided, swapped),
        geometry=_geometry(assignments, paths, analysed),
        linkage=linkage(pdist(weights[analysed], "cosine"), "single") if enough else np.empty((0, 4)),
        embedding=embedding,
        explained_variance=(share[0], share[1], share[2]),
    )


def _walks(rng, models, checkpoints, dimension):
    start = rng.normal(0, 0.1, (models, 1, dimension))
    drift = rng.normal(0, 0.06, (models, 1, dimension)) + rng.normal(0, 0.05, (1, 1, dimension))
    time = np.arange(checkpoints) / 8
    progress = (1 - np.exp(-time))[None, :, None]
    bend = np.sin(time)[None, :, None] * rng.normal(0, 0.04, (models, 1, dimension))
    noise = np.cumsum(rng.normal(0, 0.004, (models, checkpoints, dimension)), axis=1)
    return (start + drift * progress * 2 + bend + noise).reshape(-1, dimension).astype(np.float32)


def _metrics(rng, model_id, epoch, analysed, checkpoints):
    speed = rng.uniform(3, 5, model_id.max() + 1)[model_id]
    columns = {"model_id": model_id, "epoch": epoch, "step": (epoch * 25).astype(np.int64)}
    for part, lift in (("train", 0.0), ("test", 0.05)):
        loss = 2.3 * np.exp(-epoch / speed) + 0.03 + lift * (1 - np.exp(-epoch / 4)) + rng.uniform(0, 0.02, len(epoch))
        accuracy = 1 - 0.9 * np.exp(-epoch / speed * 1.3) - lift * 0.5 * (1 - np.exp(-epoch))
        late = ~analysed & (epoch > checkpoints // 2)
        columns[f"{part}_loss"] = np.where(late, np.nan, loss).astype(np.float32)
        columns[f"{part}_accuracy"] = np.where(late, 0.1, accuracy).astype(np.float32)
    return pa.table(columns)


def _geometry(assignments, paths, analysed):
    models, checkpoints, _ = paths.shape
    steps = np.diff(paths.astype(np.float64), axis=1)
    length = np.full((models, checkpoints), np.nan)
    angle, curvature = length.copy(), length.copy()
    length[:, 1:] = np.linalg.norm(steps, axis=2)
    if checkpoints > 2:
        a, b = length[:, 1:-1], length[:, 2:]
        cosine = (steps[:, :-1] * steps[:, 1:]).sum(axis=2) / (a * b)
        angle[:, 1:-1] = np.arccos(np.clip(cosine, -1, 1))
        curvature[:, 1:-1] = 2 * np.sin(angle[:, 1:-1]) / np.linalg.norm(steps[:, :-1] + steps[:, 1:], axis=2)
    displacement = np.linalg.norm(paths - paths[:, :1], axis=2)
    columns = {name: assignments[name] for name in ("run", "model_id", "epoch", "trajectory", "position")}
    for name, values in (
        ("step_length", length),
        ("turning_angle", angle),
        ("curvature", curvature),
        ("arc_length", np.nancumsum(length, axis=1)),
        ("displacement", displacement),
    ):
        flat = values.astype(np.float64).ravel()
        columns[name] = pa.array(flat, mask=~analysed | np.isnan(flat))
    return pa.table(columns)


def _trajectories(paths, undecided, swapped):
    count, checkpoints, _ = paths.shape
    steps = np.linalg.norm(np.diff(paths.astype(np.float64), axis=1), axis=2)
    arc, displacement = steps.sum(axis=1), np.linalg.norm(paths[:, -1] - paths[:, 0], axis=1).astype(np.float64)
    open_end = np.arange(count) >= count - undecided
    exchanged = np.arange(count) < swapped
    pairs = max(1, checkpoints * (checkpoints - 1) / 2)
    return pa.table(
        {
            "trajectory": np.arange(count, dtype=np.int32),
            "length": np.full(count, checkpoints, dtype=np.int32),
            "direction": np.where(open_end, "undecided", "forward").tolist(),
            "direction_confidence": np.where(open_end, 0.1, 0.99),
            "arc_length": arc,
            "displacement": displacement,
            "straightness": displacement / np.maximum(arc, 1e-30),
            "smoothness": np.linspace(0.7, 0.9, count),
            "model_id": np.arange(count, dtype=np.int32),
            "purity": np.ones(count),
            "exact": np.ones(count, dtype=bool),
            "kendall_tau": np.where(exchanged, 1 - 2 / pairs, 1.0),
            "order_exact": ~exchanged,
            "direction_correct": pa.array(np.ones(count, dtype=bool), mask=open_end),
        }
    )


def _summary(kept, diverged, checkpoints, dimension, swapped, undecided):
    pairs = checkpoints * (checkpoints - 1) / 2
    worst = 1 - 2 / pairs if swapped else 1.0
    return {
        "checkpoints": kept * checkpoints,
        "dimension": dimension,
        "trajectories_true": kept,
        "trajectories_found": kept,
        "ari": 1.0,
        "ami": 1.0,
        "exact_trajectories": 1.0,
        "margin": 3.217,
        "kendall_tau_mean": 1 - (1 - worst) * swapped / kept,
        "kendall_tau_min": worst,
        "order_exact": 1 - swapped / kept,
        "direction_accuracy": 1 - undecided / kept,
        "direction_undecided": undecided / kept,
        "seconds": {"read": 0.21, "separation": 1.93, "ordering": 0.44, "direction": 0.071, "geometry": 0.18},
        "left_out": {"models": diverged, "checkpoints": diverged * checkpoints},
        "cut": {"rule": "largest gap in the heights of the tree", "height": 0.31},
    }
