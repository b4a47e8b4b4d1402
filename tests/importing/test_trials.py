"""What lies beside the checkpoints of a trial."""

import json

import numpy as np
import pytest

from zoo_pipeline.importing.account import typed
from zoo_pipeline.importing.trials import read_trial


def notes(epochs=frozenset(), **files: str):
    """What is read of files of these contents; `_` in a name stands for the dot."""
    named = {name.replace("_", "."): text.encode() for name, text in files.items()}
    return read_trial(named.__getitem__, frozenset(named), epochs)


def lines(*said: dict) -> str:
    return "\n".join(map(json.dumps, said))


def test_hyperparameters_have_our_names_where_we_have_one():
    found = notes(params_json=json.dumps({"optim::lr": 0.1, "model::nlin": "tanh", "model::channels_in": 1, "x": None}))
    assert found.hyperparameters == {"learning_rate": 0.1, "activation": "tanh", "model::channels_in": 1, "x": None}


def test_a_line_belongs_to_the_checkpoint_that_it_names():
    text = lines(
        {"training_iteration": 1, "test_acc": 0.1, "checkpoint_dir_name": "checkpoint_000000"},
        {"training_iteration": 2, "test_acc": 0.2, "checkpoint_dir_name": None},
        {"training_iteration": 3, "test_acc": 0.3, "checkpoint_dir_name": "checkpoint_000001"},
    )
    assert notes({0, 1}, result_json=text).metrics == {0: {"test_accuracy": 0.1}, 1: {"test_accuracy": 0.3}}


@pytest.mark.parametrize(("epochs", "first"), [({0, 1, 2}, 0), ({1, 2, 3}, 1), ({5}, 1)])
def test_else_to_that_of_its_iteration_wherever_that_begins(epochs, first):
    text = lines(*({"training_iteration": at, "train_loss": 1 / at} for at in (1, 2, 3)))
    found = notes(epochs, result_json=text).metrics
    assert found == {at - 1 + first: {"train_loss": 1 / at} for at in (1, 2, 3)}


@pytest.mark.parametrize(
    ("said", "steps"),
    [(23, {1: 23}), (23.0, {1: 23}), (2.5, {}), (-1, {}), (True, {}), ("23", {}), (1e400, {}), (10**400, {1: 10**400})],
)
def test_steps_are_whole_numbers(said, steps):
    assert notes(result_json=lines({"training_iteration": 1, "step": said})).steps == steps
    assert notes(result_json=lines({"training_iteration": said, "train_loss": 1})).metrics.keys() == set(steps.values())


def test_hugging_faces_trainer_tells_by_step():
    history = [
        {"step": 10, "loss": 1.5, "epoch": 0.5},
        {"step": 20, "loss": 1.25, "epoch": 1.0},
        {"step": 20, "eval_loss": 2, "eval_accuracy": True, "eval_runtime": 3.0},
        {"step": "30", "loss": 1.0},
        "no line",
    ]
    state = {"log_history": history, "num_train_epochs": 3, "train_batch_size": 8, "best_metric": None}
    found = read_trial(lambda _: json.dumps(state).encode(), frozenset({"trainer_state.json"}))
    assert found.by_step == {10: {"train_loss": 1.5}, 20: {"train_loss": 1.25, "validation_loss": 2.0}}
    assert found.hyperparameters == {"epochs": 3, "batch_size": 8}
    assert (found.metrics, found.troubles) == ({}, ())


@pytest.mark.parametrize(
    ("text", "told"),
    [(b"{", "Expecting"), (b"\xff", "codec"), (b"[" * 100_000, "is no JSON"), (b"[]", "has no list log_history")],
)
def test_a_trainers_state_that_is_none_is_told(text, told):
    found = read_trial(lambda _: text, frozenset({"trainer_state.json"}))
    assert len(found.troubles) == 1
    assert found.troubles[0].startswith("trainer_state.json: ")
    assert told in found.troubles[0]
    assert "\n" not in found.troubles[0]


def test_lightning_logs_hyperparameters_and_metrics_by_epoch():
    found = notes(
        hparams_yaml="lr: 1e-3\nbatch_size: 32\nseed: 7\nlayers: [16, 8]\n",
        metrics_csv="epoch,lr-Adam,step,train_loss_epoch,train_loss_step,val/acc,val_loss\n"
        "0,0.1,4,,2.5,,\n0,,9,,2.25,,\n0,,9,,,0.5,1.5\n0,,9,2.375,,,\n1,,19,,,0.75,nan\n,,20,,,1.0,\n",
    )
    assert found.hyperparameters == {"learning_rate": 0.001, "batch_size": 32, "seed": 7, "layers": [16, 8]}
    first = {"train_loss": 2.375, "validation_accuracy": 0.5, "validation_loss": 1.5}
    assert found.metrics[0] == first
    assert found.metrics[1]["validation_accuracy"] == 0.75
    assert np.isnan(found.metrics[1]["validation_loss"])
    assert (found.metrics.keys(), found.troubles) == ({0, 1}, ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: !!python/object/apply:os.system [true]", "could not determine a constructor"),
        ("a: &x [1]\nb: [*x, *x]", "aliases"),
        ("- 1", "hparams.yaml: holds list, expected a mapping"),
        ("a: [" * 5_000, "not readable as YAML"),
    ],
)
def test_hyperparameters_that_are_no_plain_values_are_told(text, told):
    found = notes(hparams_yaml=text)
    assert found.hyperparameters == {}
    assert len(found.troubles) == 1
    assert found.troubles[0].startswith("hparams.yaml: ")
    assert told in found.troubles[0]


def test_a_hyperparameter_keeps_its_name_where_ours_is_taken():
    said = {"lr": 1, "learning_rate": 2, "optim::lr": 3, "wd": 4}
    assert notes(params_json=json.dumps(said)).hyperparameters == said
    assert notes(params_json=json.dumps({"lr": 1, "optim::lr": 3})).hyperparameters == {
        "learning_rate": 1,
        "optim::lr": 3,
    }


def test_what_was_cut_off_or_is_no_number_is_left_out_and_told():
    text = lines({"training_iteration": 1, "test_loss": float("nan")}, {"training_iteration": True, "test_loss": 1})
    found = notes(result_json=f'{text}\n{{"training_iteration": 2, "test_lo')
    assert list(found.metrics) == [1]
    assert found.metrics[1]["test_loss"] != found.metrics[1]["test_loss"]
    assert found.troubles == ("result.json: line 3 is no JSON",)
    assert notes(params_json="[1]").troubles == ("params.json: holds list, expected an object",)
    assert notes(params_json="[" * 100_000).troubles[0].startswith("params.json: ")


def test_a_table_serves_where_there_is_no_result():
    found = notes(progress_csv="training_iteration,train_acc,node\n1,0.5,a\n2,,b\n3,x,c\n")
    assert found.metrics == {1: {"train_accuracy": 0.5}, 2: {}, 3: {}}


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        ([1, None, 3], "int64", [1, None, 3]),
        ([1, 0.5], "double", [1.0, 0.5]),
        ([2**63, 1], "string", [str(2**63), "1"]),
        ([True, False], "bool", [True, False]),
        (["a", None], "string", ["a", None]),
        (["a", 1], "string", ['"a"', "1"]),
        ([[16, 8], None], "list<item: int64>", [[16, 8], None]),
        ([[16, "a"], None], "string", ['[16, "a"]', None]),
        ([None], "null", [None]),
    ],
)
def test_columns_have_the_type_of_their_values(values, kind, kept):
    column = typed(values)
    assert str(column.type) == kind
    assert column.to_pylist() == kept
