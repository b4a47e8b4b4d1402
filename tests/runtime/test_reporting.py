import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from zoo_pipeline.cli import main
from zoo_pipeline.data import load_dataset
from zoo_pipeline.plan import plan
from zoo_pipeline.recipes import load_config
from zoo_pipeline.runtime.reporting import report_data
from zoo_pipeline.store.rundir import spec_document
from zoo_pipeline.trajectories.scenarios import make
from zoo_pipeline.zoo import Zoo


def facts(run, *overrides) -> dict[str, str]:
    """What the report of a run says of its configuration, had it been trained with these overrides."""
    zoo = Zoo(str(run))
    zoo.spec = spec_document(plan(load_config("digits-demo", overrides), load_dataset("digits").facts))
    return report_data(zoo, "default").facts


def test_a_plain_zoo_is_said_in_a_few_words(small_run):
    said = facts(small_run)
    assert said["Network"] == "mlp 16, tanh"
    assert said["Training"] == "adam, learning rate 0.001, batch 64"
    assert said["Models"] == "64"
    assert list(said)[3:5] == ["Training", "Models"]


def test_what_is_not_usual_is_said(small_run):
    changes = ("schedule=cosine", "label_noise=0.2", "weight_decay=0.01", "data_fraction=0.5")
    said = facts(small_run, *(f"zoo.training.{change}" for change in changes), "zoo.model.image_side=16")
    assert said["Training"] == (
        "adam, learning rate 0.001, batch 64, cosine, weight decay 0.01, label noise 0.2, 0.5 of the data"
    )
    assert said["Network"] == "mlp 16, tanh, images of side 16"


@pytest.mark.parametrize(
    ("points", "heading", "text"),
    [
        (
            {"grid": {"learning_rate": [1e-3, 1], "optimizer": ["sgd", "adam"]}},
            "Grid",
            "optimizer sgd, adam; learning rate 0.001, 1",
        ),
        (
            {"random": {"points": 5, "axes": {"learning_rate": {"uniform": [0.1, 1]}, "dropout": {"choice": [0.1]}}}},
            "Drawn at random",
            "learning rate, dropout at 5 points",
        ),
        ({"list": [{"dropout": 0.1}, {"batch_size": 8}]}, "Listed", "batch size, dropout at 2 points"),
    ],
)
def test_what_models_differ_in_is_said(small_run, points, heading, text):
    said = facts(small_run, f"zoo.population={json.dumps({'seeds': 1, **points})}")
    assert said[heading] == text


def test_the_page_of_a_bag_whose_networks_were_forked_shows_the_family(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (bag,) = make("forks-adam", 0, starts=1).bags
    table = pa.table({"weights": list(bag.weights)}).replace_schema_metadata({"zoo.layout": bag.layout.to_json()})
    pq.write_table(table, "x.parquet")
    assert main(["analyze", "x.parquet", "--out", "out", "--executor", "inline"]) == 0
    folder = tmp_path / "out/analysis/default/d-1210"
    found = pq.read_table(folder / "trajectories.parquet").num_rows
    page = (folder / "report.html").read_text()
    assert found > 1
    assert f"1 of 1 family holds more than one trajectory, {found} in all" in page
    assert '"family-tree":' in page
