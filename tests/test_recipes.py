from typing import get_args

import pytest
import yaml
from pydantic import ValidationError

from zoo_pipeline.architecture import ARCHITECTURES
from zoo_pipeline.config import ModelConfig, TrainingConfig
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.hyperparameters import ACTIVATIONS, INITIALISATIONS, OPTIMIZERS, SCHEDULES
from zoo_pipeline.planning import planned, published
from zoo_pipeline.recipes import load_config, load_configs, published_names, recipe_names


def test_every_recipe_is_valid_and_named_like_its_file():
    assert {"digits-demo", "tetris-seeds", "mnist-a1", "mnist-a2"} <= set(recipe_names())
    for name in recipe_names():
        assert load_config(name).name == name


def test_the_published_zoos_are_27_and_each_is_a_recipe_of_its_own():
    names = published_names()
    assert len(names) == 27
    for name in names:
        config = load_config(name, ["zoo.population.seeds=3"])
        assert (config.name, config.zoo.population.seeds) == (name, 3)
    assert load_config("mnist-cnn-s-hyp-random").zoo.population.seeding == "random"
    assert load_config("stl10-cnn-l-seed").zoo.model.image_side == 32


def test_the_published_zoos_sum_to_the_published_numbers():
    """Model Zoos (arXiv 2209.14764): 47,360 small models of 51 states, 3,000 ResNet-18s of 50, 60 and 60."""
    plans = published()
    assert sum(made.models for made in plans) == 50_360
    assert sum(made.checkpoints for made in plans) == 2_585_360
    sizes = {made.config.name: (made.architecture.dimension, made.models, made.checkpoints) for made in plans}
    assert sizes["mnist-cnn-s-seed"] == (2_464, 1_000, 51_000)
    assert sizes["fashion-mnist-cnn-s-hyp-fixed"] == (2_464, 2_560, 130_560)
    assert sizes["svhn-cnn-s-hyp-random"] == (2_864, 4_320, 220_320)
    assert sizes["usps-cnn-s-hyp-fixed"] == (2_464, 2_560, 130_560)
    assert sizes["cifar10-cnn-l-hyp-random"] == (10_853, 1_280, 65_280)
    assert sizes["stl10-cnn-l-seed"] == (10_853, 1_000, 51_000)
    assert sizes["tiny-imagenet-resnet-18-seed"] == (11_271_432, 1_000, 60_000)
    hyp = [made for made in plans if "-hyp-" in made.config.name]
    assert all(
        len({model.seed for group in made.groups for model in group.models}) in (10, made.models) for made in hyp
    )


def test_the_populations_of_the_papers_have_their_sizes():
    for name in ("paper-a1", "paper-a2"):
        (made,) = planned(name)
        assert (made.models, made.epochs) == (250, 50)
    assert planned("tetris-seed")[0].models == 1_000
    assert planned("tetris-hyp")[0].summary()["points"] == 72


def test_a_recipe_of_lists_makes_a_run_of_each(tmp_path):
    tree = load_config("digits-demo").model_dump(mode="json")
    tree["name"] = "{dataset}-{architecture}-{seeding}"
    tree["zoo"]["dataset"] = ["digits", "data/own.npz"]
    tree["zoo"]["model"] = [{"architecture": "mlp", "hidden": [4]}, {"architecture": "cnn-s", "image_side": 28}]
    tree["zoo"]["population"]["seeding"] = ["fixed", "random"]
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(tree))
    configs = load_configs(str(path), ["zoo.training.epochs=7"])
    assert [config.name for config in configs] == [
        f"{dataset}-{architecture}-{seeding}"
        for dataset in ("digits", "own")
        for architecture in ("mlp", "cnn-s")
        for seeding in ("fixed", "random")
    ]
    last = configs[-1].zoo
    assert (last.dataset, last.model.architecture, last.population.seeding) == ("data/own.npz", "cnn-s", "random")
    assert {config.zoo.training.epochs for config in configs} == {7}
    with pytest.raises(ConfigError, match=r"makes 8 runs, expected one; name one of digits-mlp-fixed, digits-mlp-ra"):
        load_config(str(path))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["zoo.dataset=[digits, tetris]"],
            "name: gives two of the 2 runs the name digits-demo; tell them apart by {da",
        ),
        (["name='{epochs}'"], "name: got {epochs}; in braces, expected {dataset}, {architecture}, {seeding}"),
        (["zoo.dataset=[]"], "zoo.dataset: got an empty list"),
        (["zoo.dataset=[digits, 7]", "name='{dataset}'"], "zoo.dataset: got 7; input should be a valid string"),
        (["zoo.model=[{architecture: mpl}]"], 'zoo.model.architecture: got "mpl" (did you mean mlp?)'),
        (["zoo.training.epochs=[1, 2]"], "zoo.training.epochs: got [1, 2]"),
        (["zoo.model=[{architecture: mlp}]", "zoo.model.bias=true"], "model is a value, not a mapping"),
        (["zoo.model={architecture: resnet-18, bias: false}"], "bias cannot be left out of resnet-18"),
        (["zoo.model={architecture: resnet-18}", "zoo.training.dropout=0.1"], "dropout is for mlp and the CNNs, resn"),
    ],
)
def test_a_bad_list_gets_one_line(overrides, message):
    with pytest.raises(ConfigError) as caught:
        load_configs("digits-demo", overrides)
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


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
