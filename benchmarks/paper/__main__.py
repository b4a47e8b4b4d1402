"""The study of Schürholt & Borth (arXiv 2006.10424) on the 10,000 MNIST test images, with every claim measured.

python -m benchmarks.paper [--seeds-a1 200] [--seeds-a2 20] [--epochs-a1 50] [--epochs-a2 50] [--out DIR] [--umap]

Trains A1, an MLP, and A2, a CNN, as the recipes paper-a1 and paper-a2 have them, in DIR/a1 and DIR/a2, or goes on with
what lies there; measures separation and ordering against width, heights, dendrograms and geometry, for the paper's rule
and for ours; and draws DIR/figures. The images are read from `$ZOO_DATA_DIR/mnist/`. The seeds and epochs above took
two cores 42 minutes. docs/results/paper.md has the results.
"""

import argparse
import importlib.util
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.draws import files_of_mnist
from benchmarks.machine import hardware
from benchmarks.paper.geometry import Course
from benchmarks.paper.heights import Dendrogram
from benchmarks.paper.pictures import draw_courses, draw_plane, draw_teeth, draw_widths
from benchmarks.paper.widths import by_width
from benchmarks.paper.zoos import Population
from benchmarks.recovered import Truth, figures
from benchmarks.recovery import analyzed, read
from zoo_pipeline.trajectories.scenarios import KnownBag

METRICS = ("euclidean", "cosine")


def main() -> None:
    """Train, measure, draw, and print one JSON line last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds-a1", type=int, default=200, help="models of A1; the paper has 250")
    parser.add_argument("--seeds-a2", type=int, default=20, help="models of A2; the paper has 250")
    parser.add_argument("--epochs-a1", type=int, default=50)
    parser.add_argument("--epochs-a2", type=int, default=50)
    parser.add_argument("--out", type=Path, default=Path("runs/paper"), help="runs and figures; can be gone on with")
    parser.add_argument("--executor", choices=["ray", "inline"], default="ray")
    parser.add_argument("--umap", action="store_true", help="picture by UMAP (pip install 'zoo_pipeline[umap]')")
    asked = parser.parse_args()
    if asked.umap and importlib.util.find_spec("umap") is None:
        parser.error("--umap: umap-learn is not installed; pip install 'zoo_pipeline[umap]'")
    data_dir = files_of_mnist()
    populations = {
        "A1": Population("paper-a1", asked.seeds_a1, asked.epochs_a1, groups=8),
        "A2": Population("paper-a2", asked.seeds_a2, asked.epochs_a2, groups=2),
    }
    bags, seconds = {}, {}
    for name, population in populations.items():
        started = time.perf_counter()
        bags[name] = population.trained(asked.out / name.lower(), data_dir, asked.executor)
        seconds[name] = round(time.perf_counter() - started, 1)
    pictures = asked.out / "figures"
    pictures.mkdir(exist_ok=True)
    draw_plane(pictures / "paper-plane.svg", bags, "umap" if asked.umap else "pca")
    results = measure(bags, pictures)
    for name, result in results.items():
        result["seconds"] = {"training": seconds[name], **result["seconds"]}
    print(
        json.dumps(
            {
                **results,
                "machine": hardware("cpu") | {"threads": torch.get_num_threads()},
                "versions": {name: version(name) for name in ("numpy", "scipy", "scikit-learn", "torch")},
            }
        )
    )


def measure(bags: dict[str, KnownBag], pictures: Path) -> dict[str, dict[str, Any]]:
    """All figures of every population, which are also drawn."""
    results: dict[str, dict[str, Any]] = {}
    trees: dict[str, list[Dendrogram]] = {}
    courses: dict[str, Course] = {}
    for name, bag in bags.items():
        started = time.perf_counter()
        truth = Truth.of([bag])
        blind = figures(truth, read(analyzed(bag)))
        analysed = time.perf_counter()
        trees[name] = [Dendrogram.of(bag, metric) for metric in METRICS]
        courses[name] = Course.of(bag)
        results[name] = {
            "models": bag.models,
            "checkpoints": len(bag.epoch),
            "dimension": bag.weights.shape[1],
            "recovery": {figure: value for figure, value in blind.items() if value is not None},
            "heights": {tree.metric: tree.described(bag) for tree in trees[name]},
            "geometry": courses[name].described(),
            "widths": list(by_width(bag)),
            "seconds": {"recovery": round(analysed - started, 1), "study": round(time.perf_counter() - analysed, 1)},
        }
    draw_widths(pictures / "paper-widths.svg", {name: result["widths"] for name, result in results.items()})
    draw_teeth(pictures / "paper-teeth.svg", trees, {name: bag.model_id for name, bag in bags.items()})
    draw_courses(pictures / "paper-courses.svg", courses)
    return results


if __name__ == "__main__":
    main()
