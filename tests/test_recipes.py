from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from zoo_pipeline.architecture import ARCHITECTURES
from zoo_pipeline.config import ModelConfig, TrainingConfig
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.hyperparameters import ACTIVATIONS, INITIALISATIONS, OPTIMIZERS, SCHEDULES
from zoo_pipeline.recipes import load_config, recipe_names


def test_every_recipe_is_valid_and_named_like_its_file():
    assert {"digits-demo", "tetris-seeds", "mnist-a1", "mnist-a2"} <= set(recipe_names())
    for name in recipe_names():
        assert load_config(name).name == name


def test_set_changes_one_value_and_reads_numbers_as_yaml_1_2_does():
    config = load_config("digits-demo", ["zoo.training.learning_rate=1e-2", "zoo.model.hidden=[8, 4]"])
    assert config.zoo.training.learning_rate == 0.01
    assert config.zoo.model.hidden == (8, 4)
    assert config.zoo.training.epochs == 25


def test_a_configuration_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        load_config("digits-demo").zoo.training.epochs = 3


def test_all_mistakes_are_reported_at_once_each_on_its_line():
    overrides = [
        "zoo.trainng.epochs=3",
        "zoo.training.optimizer=adma",
        "zoo.population.seeds=0",
        "zoo.training.epochs=x",
    ]
    with pytest.raises(ConfigError) as caught:
        load_config("digits-demo", overrides)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    text = "\n".join(lines)
    assert "zoo.trainng: unknown key (did you mean training?); expected one of dataset, model, training" in text
    assert 'zoo.training.optimizer: got "adma" (did you mean adam?)' in text
    assert "zoo.population.seeds: got 0; input should be greater than or equal to 1" in text
    assert 'zoo.training.epochs: got "x"; input should be a valid integer' in text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("zoo.training.epochs=0", "zoo.training.epochs: got 0"),
        ("zoo.training.epochs=true", "zoo.training.epochs: got true; input should be a valid integer"),
        ("zoo.training.epochs=1.5", "zoo.training.epochs: got 1.5"),
        ("zoo.training.learning_rate=.nan", "learning_rate: got NaN; input should be a finite number"),
        ("zoo.training.learning_rate=-1", "learning_rate: got -1"),
        ("zoo.training.momentum=0.9", "training.momentum is for sgd and rmsprop, but optimizer is adam; remove it"),
        ("zoo.model.architecture=cnn-s", "hidden widths are for mlp, but architecture is cnn-s"),
        ("zoo.model.activation=tahn", "(did you mean tanh?)"),
        ("zoo=7", "zoo: got 7; input should be an object"),
        ("name=../x", 'name: got "../x"'),
        ("zoo.training", "expected a.b=value"),
        ("name.x=1", "name is a value, not a mapping"),
    ],
)
def test_a_bad_value_gets_one_line(override, message):
    with pytest.raises(ConfigError) as caught:
        load_config("digits-demo", [override])
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "expected a mapping with the keys name and zoo, got list"),
        ("name: [", "not readable as YAML"),
        ("name: a\nname: b", "repeats the key name"),
        ("a: &a [1]\nb: *a", "aliases"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("name: 2026-11-22", "neither number, text, list nor mapping"),
        ("", "expected a mapping"),
    ],
)
def test_a_bad_file_gets_one_line(tmp_path, text, message):
    path = tmp_path / "zoo.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_the_allowed_words_of_the_configuration_are_those_of_the_code():
    def allowed(part, field):
        return get_args(part.model_fields[field].annotation)

    assert allowed(ModelConfig, "architecture") == ARCHITECTURES
    assert set(allowed(ModelConfig, "activation")) == set(ACTIVATIONS)
    assert set(allowed(ModelConfig, "initialisation")) == set(INITIALISATIONS)
    assert allowed(TrainingConfig, "optimizer") == OPTIMIZERS
    assert set(allowed(TrainingConfig, "schedule")) == set(SCHEDULES)


def test_missing_keys_and_unknown_recipes_are_named():
    with pytest.raises(ConfigError, match=r"digit-demo: no such recipe \(did you mean digits-demo\?\)"):
        load_config("digit-demo")
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: no such file"):
        load_config("nowhere.yaml")


def test_a_file_of_ones_own_is_read(tmp_path):
    tree = yaml.safe_load(yaml.safe_dump(load_config("tetris-seeds").model_dump(mode="json")))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tree))
    assert load_config(str(path)) == load_config("tetris-seeds")
    del tree["zoo"]["training"]["epochs"]
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError, match=r"zoo\.training\.epochs: missing"):
        load_config(str(path))
