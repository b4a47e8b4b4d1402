"""The report job: a run and one analysis of it in, report.html out."""

import numpy as np

from zoo_pipeline.errors import StoreError
from zoo_pipeline.report import ReportData, principal_components, render
from zoo_pipeline.store.analyses import read_analysis
from zoo_pipeline.store.filesystem import Files
from zoo_pipeline.store.rundir import REPORT
from zoo_pipeline.zoo import Zoo


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
            f"{zoo.root}: the analysis {name} is of {len(analysis.assignments):,} checkpoints, the run has "
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
    model, training = spec["model"], spec["training"]
    bias = "" if model["bias"] else ", no bias"
    hidden = "-".join(map(str, model["hidden"]))
    rates = [f"learning rate {training['learning_rate']:g}", f"batch {training['batch_size']}"]
    rates += [f"momentum {training['momentum']:g}"] if training["momentum"] else []
    rates += [f"weight decay {training['weight_decay']:g}"] if training["weight_decay"] else []
    return {
        "Dataset": spec["dataset"],
        "Network": f"{model['architecture']}{' ' + hidden if hidden else ''}, {model['activation']}{bias}",
        "Initialisation": model["initialisation"],
        "Training": f"{training['optimizer']}, {', '.join(rates)}",
        "Models": f"{zoo.spec['models']:,}",
        "Epochs": f"{training['epochs']:,}",
        "Parameters": f"{zoo.layout.dimension:,}",
        "Specification": zoo.key,
        "Versions": ", ".join(f"{library} {number}" for library, number in versions.items()),
    }
