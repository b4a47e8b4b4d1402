"""The Small CNN Zoo's three files become a run."""

import gzip

import numpy as np
import pytest

from zoo_pipeline.cli import main
from zoo_pipeline.zoo import Zoo

STEPS = (0, 1, 20)
LAYOUT = """,varname,shape,size,start_idx,end_idx
0,sequential/conv2d/bias:0,"(2,)",2,0,2
1,sequential/conv2d/kernel:0,"(3, 3, 1, 2)",18,2,20
"""


@pytest.fixture
def folder(tmp_path):
    """Three models, three checkpoints of each; the rows are shuffled."""
    here = tmp_path / "zoo"
    here.mkdir()
    rng = np.random.default_rng(0)
    order = rng.permutation(9)
    weights = rng.standard_normal((9, 20)).astype(np.float32)
    np.save(here / "weights.npy", weights[order])
    (here / "layout.csv").write_text(LAYOUT)
    lines = [
        ",config.activation,config.learning_rate,config.random_seed,config.w_init,modeldir,step,test_accuracy,train_loss"
    ]
    for at in order:
        model, step = divmod(int(at), 3)
        lines.append(f"{at},relu,{0.01 * (model + 1)},42,he_normal,/somewhere/{model}m,{STEPS[step]},0.{at},{at / 3}")
    with gzip.open(here / "metrics.csv.gz", "wt") as file:
        file.write("\n".join(lines) + "\n")
    return here, weights


def test_rows_become_models_with_hyperparameters_and_metrics(folder, tmp_path):
    here, weights = folder
    assert main(["import", str(here), "--out", str(tmp_path / "run"), "--executor", "inline"]) == 0
    found = Zoo(str(tmp_path / "run"))
    np.testing.assert_array_equal(found.weights(), weights)
    assert [tensor.name for tensor in found.layout.tensors] == ["sequential.conv2d.bias", "sequential.conv2d.kernel"]
    rows = found.checkpoints()
    assert rows["epoch"].to_pylist() == 3 * list(STEPS)
    assert rows["test_accuracy"].to_pylist() == pytest.approx([at / 10 for at in range(9)], abs=1e-7)
    models = found.models
    assert models["name"].to_pylist() == ["0m", "1m", "2m"]
    assert models["learning_rate"].to_pylist() == [0.01, 0.02, 0.03]
    assert models["seed"].to_pylist() == [42, 42, 42]
    assert models["initialisation"].to_pylist() == ["he_normal"] * 3


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("layout.csv", "a,b\n1,2\n", "expected the columns varname, start_idx, end_idx and shape"),
        ("layout.csv", 'varname,start_idx,end_idx,shape\nw,0,20,"(4, 4)"\n', "has shape (4, 4) and 20 columns"),
        ("layout.csv", 'varname,start_idx,end_idx,shape\nw,0,16,"(4, 4)"\n', "not of the 20 columns"),
        ("metrics.csv.gz", gzip.compress(b"modeldir,step\n/a,0\n", mtime=0), "has 1 rows, weights.npy 9"),
        ("metrics.csv.gz", b"no gzip", "Not a gzipped file"),
        ("weights.npy", b"no array", "is no Small CNN Zoo that can be read"),
    ],
)
def test_files_that_do_not_fit_are_told_in_one_line(file, content, told, folder, tmp_path, capsys):
    here, _ = folder
    (here / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    assert main(["import", str(here), "--out", str(tmp_path / "run"), "--executor", "inline"]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "run").exists()
