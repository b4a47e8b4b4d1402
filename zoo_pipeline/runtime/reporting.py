"""The report job: a run and one analysis of it in, report.html out."""

from typing import Any

import numpy as np

from zoo_pipeline.axes import AXES
from zoo_pipeline.counts import plural
from zoo_pipeline.errors import StoreError
from zoo_pipeline.report import ReportData, principal_components, render
from zoo_pipeline.store.analyses import read_analysis
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import REPORT
from zoo_pipeline.zoo import Zoo

_WHERE_SET = ("momentum", "weight_decay", "dropout", "label_noise")  # shown where they are not 0


def write_report(root: str, name: str) -> str:
    """Write report.html, in place of an older one, and return its path.

    Raises:
        StoreError: there is no such analysis, or the run cannot be read or written.
    """
    zoo, files = Zoo(root), Files(root)
    files.replace(REPORT, render(report_data(zoo, name)).encode())
    return files.at(REPORT)


def report_data(zoo: Zoo, name: str) -> ReportData:
    """Everything the page shows of one analysis."""
    analysis = read_analysis(zoo.files, name)
    weights = zoo.weights()
    if len(analysis.assignments) != len(weights):
        raise StoreError(
            f"{zoo.root}: the analysis {name} is of {plural(len(analysis.assignments), 'checkpoint')}, the run has "
            f"{len(weights):,} by now; run zoo analyze again with --overwrite"
        )
    weights[analysis.assignments["trajectory"].to_numpy() < 0] = np.nan
    embedding, explained = principal_components(weights, 3)
    columns = [analysis.linkage[column].to_numpy() for column in ("left", "right", "height", "size")]
    return ReportData(
        name=zoo.spec["name"],
        facts=_facts(zoo),
        summary=analysis.summary,
        checkpoints=zoo.checkpoints(),
        assignments=analysis.assignments,
        trajectories=analysis.trajectories,
        geometry=analysis.geometry,
        linkage=np.stack(columns, axis=1).astype(np.float64).reshape(-1, 4),
        embedding=embedding,
        explained_variance=(explained[0], explained[1], explained[2]),
    )


def _facts(zoo: Zoo) -> dict[str, str]:
    """What the zoo is, in a few words each; little where somebody else wrote the run and did not say."""
    if not {"spec", "models", "versions"} <= zoo.spec.keys():
        return {"Parameters": f"{zoo.layout.dimension:,}", "Specification": zoo.key}
    spec, versions = zoo.spec["spec"], zoo.spec["versions"]
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
