import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo_pipeline.data import BUILT_IN
from zoo_pipeline.errors import ConfigError
from zoo_pipeline.plan import plan
from zoo_pipeline.ranges import SHARD_BYTES
from zoo_pipeline.recipes import load_config

FACTS = BUILT_IN["digits"]


def planned(*overrides, facts=FACTS):
    return plan(load_config("digits-demo", overrides), facts)


@given(
    models=st.integers(1, 300),
    group_size=st.integers(1, 400),
    epochs=st.integers(1, 60),
    first_seed=st.integers(0, 2**62),
)
def test_groups_partition_the_models(models, group_size, epochs, first_seed):
    made = planned(
        f"zoo.population.seeds={models}",
        f"zoo.population.group_size={group_size}",
        f"zoo.population.first_seed={first_seed}",
        f"zoo.training.epochs={epochs}",
    )
    everyone = [model for group in made.groups for model in group.models]
    assert [model.model_id for model in everyone] == list(range(models))
    assert [model.seed for model in everyone] == list(range(first_seed, first_seed + models))
    assert len({model.model_key for model in everyone}) == models
    assert len({part.shard for group in made.groups for part in group.ranges}) == len(made.groups)
    assert all(group.rows == len(group.models) * (epochs + 1) for group in made.groups)
    assert made.checkpoints == models * (epochs + 1)
    assert all(1 <= len(group.models) <= group_size for group in made.groups)
    assert all(group.raw_bytes <= SHARD_BYTES or len(group.models) == 1 for group in made.groups)
    splits = [model.split for model in everyone]
    assert abs(splits.count("train") - 0.70 * models) <= 0.5
    assert abs(splits.count("validation") - 0.15 * models) <= 1
    assert set(splits) <= {"train", "validation", "test"}


NAMES = {"activation": ["tanh", "relu", "gelu"], "optimizer": ["sgd", "adam", "rmsprop"]}


@settings(max_examples=30)
@given(
    activations=st.integers(1, 3),
    optimizers=st.integers(1, 3),
    rates=st.lists(st.floats(1e-5, 1.0), min_size=1, max_size=4, unique=True),
    dropouts=st.lists(st.sampled_from([0.0, 0.1, 0.5]), min_size=1, max_size=3, unique=True),
    fractions=st.lists(st.sampled_from([0.1, 0.5, 1.0]), min_size=1, max_size=3, unique=True),
    seeds=st.integers(1, 4),
    group_size=st.integers(1, 9),
)
def test_groups_are_pure_and_as_large_as_they_may_be(
    activations, optimizers, rates, dropouts, fractions, seeds, group_size
):
    grid = {
        "activation": NAMES["activation"][:activations],
        "optimizer": NAMES["optimizer"][:optimizers],
        "learning_rate": rates,
        "dropout": dropouts,
        "data_fraction": fractions,
    }
    made = planned(
        f"zoo.population={json.dumps({'seeds': seeds, 'group_size': group_size, 'grid': grid})}",
        "zoo.training.epochs=1",
    )
    everyone = sorted((model for group in made.groups for model in group.models), key=lambda model: model.model_id)
    assert [model.model_id for model in everyone] == list(range(made.models))
    assert made.models == activations * optimizers * len(rates) * len(dropouts) * len(fractions) * seeds
    together: dict = {}
    for group in made.groups:
        ids = [model.model_id for model in group.models]
        assert ids == sorted(ids)
        (computation,) = {model.hyperparameters.computation for model in group.models}
        together.setdefault(computation, []).append(len(group.models))
    for sizes in together.values():
        assert set(sizes[:-1]) <= {group_size}
        assert 1 <= sizes[-1] <= group_size
    silenced = 2 if len(dropouts) > 1 and 0.0 in dropouts else 1
    assert len(together) == activations * optimizers * silenced * len(fractions)


def test_models_that_differ_in_numbers_alone_share_a_group():
    population = {
        "seeds": 2,
        "grid": {"learning_rate": [1e-2, 1e-3], "weight_decay": [0, 0.1], "initialisation": ["normal", "uniform"]},
    }
    made = planned(f"zoo.population={json.dumps(population)}")
    assert [len(group.models) for group in made.groups] == [16]
    shard = made.summary()["shards"][0]
    assert (shard["models"], shard["model_ids"]) == (16, [0, 15])
    mixed = planned(f"zoo.population={json.dumps({'seeds': 2, 'grid': {'dropout': [0.5, 0], 'label_noise': [0, 1]}})}")
    assert [[model.model_id for model in group.models] for group in mixed.groups] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    alternating = [{"activation": name, "dropout": part} for part in (0.1, 0.2) for name in ("tanh", "relu")]
    mixed = planned(f"zoo.population={json.dumps({'seeds': 1, 'list': alternating})}")
    assert [[model.model_id for model in group.models] for group in mixed.groups] == [[0, 2], [1, 3]]
    assert mixed.summary()["shards"][1]["model_ids"] == [1, 3]


def test_the_plan_sees_images_as_they_are_resized():
    made = planned("zoo.model={architecture: cnn-s, image_side: 28}")
    assert made.architecture.input_shape == (1, 28, 28)
    assert made.architecture.dimension == 2_464


def test_without_epoch_0_a_model_has_a_checkpoint_less():
    assert planned("zoo.training.save_initial=false").checkpoints == 64 * 25


def test_model_keys_follow_from_what_is_trained_and_nothing_else():
    keys = [model.model_key for group in planned().groups for model in group.models]
    regrouped = planned("zoo.population.group_size=5", "resources.threads=2", "name=other")
    assert [model.model_key for group in regrouped.groups for model in group.models] == keys
    shifted = planned("zoo.population.first_seed=10")
    assert shifted.groups[0].models[0].model_key == planned().groups[0].models[10].model_key
    for change in (
        "zoo.training.learning_rate=0.5",
        "zoo.model.activation=relu",
        "zoo.training.epochs=24",
        "zoo.training.label_noise=0.1",
        "zoo.model.image_side=8",
        "zoo.population={seeds: 1, grid: {dropout: [0.1]}}",
    ):
        assert planned(change).groups[0].models[0].model_key not in keys
    point = planned("zoo.population={seeds: 5, list: [{dropout: 0.1}, {learning_rate: 0.001}]}")
    assert [model.model_key for model in point.groups[1].models] == keys[:5]
    other_data = planned(facts=replace(FACTS, content_sha256="0" * 64))
    assert other_data.groups[0].models[0].model_key not in keys


def test_the_hash_covers_the_scientific_part_only():
    spec_hash = planned().spec_hash
    assert planned("name=other", "description=x", "resources.num_cpus=2").spec_hash == spec_hash
    changes = [
        "zoo.training.epochs=24",
        "zoo.population.seeds=63",
        "zoo.population.group_size=8",
        "zoo.population.seeding=random",
        "zoo.model.image_side=16",
    ]
    hashes = {planned(change).spec_hash for change in changes}
    hashes |= {planned(facts=replace(FACTS, **change)).spec_hash for change in ({"name": "x"}, {"content_sha256": "0"})}
    assert len(hashes) == 7
    assert spec_hash not in hashes


def test_the_plan_of_a_recipe_is_pinned():
    """Model keys and hashes are part of the format: a change here breaks every run that exists."""
    made = planned()
    assert made.spec_hash == "b59cf8478cd635ef2a3c1f02dbb0d5f97c85c31d494cda670fb6466b4edc8d43"
    assert made.groups[0].models[0].model_key == "9180c1fdfc5aa21f9b67ee05349cbf27"


def test_without_a_content_hash_nothing_is_claimed():
    made = plan(load_config("mnist-a1", ["zoo.dataset=mnist"]), BUILT_IN["mnist"])
    assert made.spec_hash == ""
    assert made.summary()["spec_hash"] is None
    assert {(model.model_key, model.split) for model in made.groups[0].models} == {("", "")}
    assert made.checkpoints == 60 * 51


def test_large_groups_are_cut_to_the_shard_size():
    made = plan(
        load_config("mnist-a1", ["zoo.population.seeds=1000", "zoo.population.group_size=1000"]), BUILT_IN["mnist-10k"]
    )
    per_model = 51 * (4 * 7_960 + 32)
    assert len(made.groups[0].models) == SHARD_BYTES // per_model
    assert made.raw_bytes == 1000 * per_model


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["zoo.training.batch_size=1438"], "batch_size: got 1438, but digits has 1,437 training images"),
        (["zoo.model={architecture: cnn-s}"], "cnn-s needs images of at least 20×20, got 8×8; use mlp"),
        (["zoo.model.hidden=[65536, 65536]"], "more than the 536,870,848 that one row of Parquet holds"),
        (["zoo.population={seeds: 200000, group_size: 1}"], "use groups of at least 2 models"),
        (["zoo.population={seeds: 10000000, group_size: 1}"], "make 10000000 groups, more than 100000; use groups of"),
        (["zoo.model={architecture: resnet-18}", "zoo.training.batch_size=4"], "makes a batch of 1 of digits's 1,437"),
        (["zoo.training.data_fraction=0.01"], "has 14 training images in the data_fraction 0.01; use at most 14"),
        (["zoo.training.data_fraction=0.0005"], "has 1 training image in the data_fraction 0.0005; use at most 1"),
        (["zoo.population={seeds: 1, grid: {batch_size: [64, 2000]}}"], "batch_size: got 2000, but digits has 1,437"),
        (["zoo.population={seeds: 1, grid: {dropout: [0, 0.5, 0]}}"], "points 0 and 2 are equal (dropout 0.0)"),
    ],
)
def test_impossible_combinations_are_refused(overrides, message):
    with pytest.raises(ConfigError) as caught:
        planned(*overrides)
    assert message in str(caught.value)


def test_more_shards_than_can_be_listed_are_refused_at_once():
    huge = ("zoo.model={architecture: resnet-18, image_side: 32}", "zoo.training.epochs=1000")
    with pytest.raises(ConfigError, match=r"groups in \d+ epoch ranges each make \d+ shards, more than 2000000"):
        planned(*huge, "zoo.population={seeds: 500000}")
