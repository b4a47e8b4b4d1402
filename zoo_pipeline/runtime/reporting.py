"""The report job: checkpoints and one analysis of them in, a page out."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from zoo_pipeline.axes import AXES
from zoo_pipeline.counts import plural
from zoo_pipeline.errors import StoreError
from zoo_pipeline.report import ReportData, principal_components, render
from zoo_pipeline.report.paths import MOST_POINTS, MOST_TRAJECTORIES, evenly
from zoo_pipeline.runtime.threads import torch_threads
from zoo_pipeline.store.analyses import Analysis, read_analysis
from zoo_pipeline.store.bag import Bag
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import REPORT, is_imported
from zoo_pipeline.trajectories.modes import EXACT_UP_TO
from zoo_pipeline.zoo import Zoo

_WHERE_SET = ("momentum", "weight_decay", "dropout", "label_noise")  # shown where they are not 0
_NOT_AS_WRITTEN = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, pa.ArrowException)
_MOST_PLACES = 4  # that are named


def write_report(root: str, name: str) -> str:
    """Write report.html, in place of an older one, and return its path.

    Raises:
        StoreError: there is no such analysis, or the run cannot be read or written.
    """
    zoo, files = Zoo(root), Files(root)
    try:
        page = render(report_data(zoo, name))
    except _NOT_AS_WRITTEN as error:  # what anybody may have written is looked at nowhere but here
        raise StoreError(
            f"{root}: the analysis {name} or spec.json is not as docs/format.md says "
            f"({type(error).__name__}: {error}); run zoo analyze again with --overwrite"
        ) from None
    files.replace(REPORT, page.encode(errors="backslashreplace"))
    return files.at(REPORT)


def report_in_job(root: str, name: str, *, threads: int) -> str:
    """`write_report`, as executors call it."""
    with torch_threads(threads):
        return write_report(root, name)


def report_data(zoo: Zoo, name: str) -> ReportData:
    """Everything the page shows of one analysis of a run."""
    analysis, bag = read_analysis(zoo.files, name), zoo.bag()
    if len(analysis.assignments) != len(bag):
        raise StoreError(
            f"{zoo.root}: the analysis {name} is of {plural(len(analysis.assignments), 'checkpoint')}, the run has "
            f"{len(bag):,} by now; run zoo analyze again with --overwrite"
        )
    return _data(bag, analysis, _facts(zoo))


def bag_page(bag: Bag, analysis: Analysis) -> str:
    """The page about an analysis of checkpoints from anywhere."""
    return render(_data(bag, analysis, _bag_facts(bag)))


def _data(bag: Bag, analysis: Analysis, facts: dict[str, str]) -> ReportData:
    embedding, explained = _embedding(bag, analysis)
    columns = [analysis.linkage[column].to_numpy() for column in ("left", "right", "height", "size")]
    return ReportData(
        name=bag.name,
        facts=facts,
        summary=analysis.summary,
        checkpoints=bag.metrics,
        assignments=analysis.assignments,
        trajectories=analysis.trajectories,
        geometry=analysis.geometry,
        linkage=np.stack(columns, axis=1).astype(np.float64).reshape(-1, 4),
        embedding=embedding,
        explained_variance=(explained[0], explained[1], explained[2]),
        claims=analysis.claims,
    )


def _embedding(bag: Bag, analysis: Analysis) -> tuple[NDArray[np.float32], tuple[float, ...]]:
    """Principal components float32[n, 3]; of large bags those of the rows that are drawn, and NaN for all others."""
    if len(bag) <= EXACT_UP_TO:
        return principal_components(bag.weights, 3)
    trajectory, position = (analysis.assignments[name].to_numpy() for name in ("trajectory", "position"))
    chosen = np.flatnonzero(np.isin(trajectory, evenly(np.unique(trajectory[trajectory >= 0]), MOST_TRAJECTORIES)))
    chosen = chosen[np.lexsort((position[chosen], trajectory[chosen]))]
    paths = np.split(chosen, np.flatnonzero(np.diff(trajectory[chosen])) + 1)
    drawn = np.sort(np.concatenate([evenly(path, MOST_POINTS) for path in paths]))
    embedding = np.full((len(bag), 3), np.nan, np.float32)
    embedding[drawn], explained = principal_components(bag.some_weights(drawn), 3)
    return embedding, explained


def _bag_facts(bag: Bag) -> dict[str, str]:
    """Where checkpoints come from, in a few words each."""
    plain = bag.keys["file"].is_valid()
    files = pc.unique(bag.keys["file"].cast("string").filter(plain)).to_pylist()
    runs = pc.unique(bag.keys["run"].cast("string").filter(pc.invert(plain))).to_pylist()
    return {
        **{heading: _listed_few(found) for heading, found in (("Runs", runs), ("Files", files)) if found},
        "Parameters": f"{bag.dimension:,}",
        "Layout": plural(len(bag.layout.tensors), "tensor") if bag.layout else "unknown",
    }


def _listed_few(names: list[str]) -> str:
    more = len(names) - _MOST_PLACES
    return ", ".join(names[:_MOST_PLACES]) + (f" and {more:,} more" if more > 0 else "")


def _facts(zoo: Zoo) -> dict[str, str]:
    """What the zoo is, in a few words each; little where somebody else wrote the run and did not say."""
    if not {"spec", "models", "versions"} <= zoo.spec.keys():
        return {"Parameters": f"{zoo.layout.dimension:,}", "Specification": zoo.key}
    spec, versions = zoo.spec["spec"], zoo.spec["versions"]
    if is_imported(zoo.spec):
        return {
            "Imported from": _listed_few([str(source) for source in spec["import"]["sources"]]),
            "Files": f"{zoo.spec['checkpoints']:,}",
            "Models, by their names": f"{zoo.spec['models']:,}",
            "Parameters": f"{zoo.layout.dimension:,}",
            "Specification": zoo.key,
        }
    model, training, population = spec["model"], spec["training"], spec["population"]
    bias = "" if model["bias"] else ", no bias"
    hidden = "-".join(map(str, model["hidden"]))
    side = f", images of side {model['image_side']}" if model["image_side"] else ""
    rates = [f"learning rate {training['learning_rate']:g}", f"batch {training['batch_size']}"]
    rates += [training["schedule"]] if training["schedule"] != "constant" else []
    rates += [f"{_spoken(name)} {training[name]:g}" for name in _WHERE_SET if training[name]]
    rates += [f"{training['data_fraction']:g} of the data"] if training["data_fraction"] < 1 else []
    return {
        "Dataset": spec["dataset"],
        "Network": f"{model['architecture']}{' ' + hidden if hidden else ''}, {model['activation']}{bias}{side}",
        "Initialisation": model["initialisation"],
        "Training": f"{training['optimizer']}, {', '.join(rates)}",
        **_varied(population),
        "Models": f"{zoo.spec['models']:,}",
        "Epochs": f"{training['epochs']:,}",
        "Parameters": f"{zoo.layout.dimension:,}",
        "Specification": zoo.key,
        "Versions": ", ".join(f"{library} {number}" for library, number in versions.items()),
    }


def _varied(population: dict[str, Any]) -> dict[str, str]:
    """What models differ in besides their seeds, where there is anything; it takes the place of the values above."""
    if population["grid"] is not None:
        return {"Grid": "; ".join(f"{_spoken(axis)} {_listed(values)}" for axis, values in population["grid"].items())}
    if population["random"] is not None:
        axes = ", ".join(_spoken(axis) for axis in population["random"]["axes"])
        return {"Drawn at random": f"{axes} at {plural(population['random']['points'], 'point')}"}
    if population["list"] is not None:
        axes = ", ".join(dict.fromkeys(_spoken(axis) for axis in AXES for point in population["list"] if axis in point))
        return {"Listed": f"{axes} at {plural(len(population['list']), 'point')}"}
    return {}


def _spoken(axis: str) -> str:
    return axis.replace("_", " ")


def _listed(values: list[Any]) -> str:
    return ", ".join(value if isinstance(value, str) else f"{value:g}" for value in values)
