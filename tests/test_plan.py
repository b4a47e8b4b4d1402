from dataclasses import replace

import pytest
from hypothesis import given
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
        f"zoo.population.models={models}",
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


def test_model_keys_follow_from_what_is_trained_and_nothing_else():
    keys = [model.model_key for group in planned().groups for model in group.models]
    regrouped = planned("zoo.population.group_size=5", "resources.threads=2", "name=other")
    assert [model.model_key for group in regrouped.groups for model in group.models] == keys
    shifted = planned("zoo.population.first_seed=10")
    assert shifted.groups[0].models[0].model_key == planned().groups[0].models[10].model_key
    for change in ("zoo.training.learning_rate=0.5", "zoo.model.activation=relu", "zoo.training.epochs=24"):
        assert planned(change).groups[0].models[0].model_key not in keys
    other_data = planned(facts=replace(FACTS, content_sha256="0" * 64))
    assert other_data.groups[0].models[0].model_key not in keys


def test_the_hash_covers_the_scientific_part_only():
    spec_hash = planned().spec_hash
    assert planned("name=other", "description=x", "resources.num_cpus=2").spec_hash == spec_hash
    changes = [
        "zoo.training.epochs=24",
        "zoo.population.models=63",
        "zoo.population.group_size=8",
        "zoo.dataset=tetris",
    ]
    hashes = {planned(change).spec_hash for change in changes}
    assert len(hashes) == 4
    assert spec_hash not in hashes


def test_the_plan_of_a_recipe_is_pinned():
    """Model keys and hashes are part of the format: a change here breaks every run that exists."""
    made = planned()
    assert made.spec_hash == "e049115ac60198eb50c09f81361680b5226263a2d6c08d49dd72b22cedf7a2f5"
    assert made.groups[0].models[0].model_key == "67434633b9594a2e86f0308072aee9a6"


def test_without_a_content_hash_nothing_is_claimed():
    made = plan(load_config("mnist-a1", ["zoo.dataset=mnist"]), BUILT_IN["mnist"])
    assert made.spec_hash == ""
    assert made.summary()["spec_hash"] is None
    assert {(model.model_key, model.split) for model in made.groups[0].models} == {("", "")}
    assert made.checkpoints == 60 * 51


def test_large_groups_are_cut_to_the_shard_size():
    made = plan(
        load_config("mnist-a1", ["zoo.population.models=1000", "zoo.population.group_size=1000"]), BUILT_IN["mnist-10k"]
    )
    per_model = 51 * (4 * 7_960 + 32)
    assert len(made.groups[0].models) == SHARD_BYTES // per_model
    assert made.raw_bytes == 1000 * per_model


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["zoo.training.batch_size=1438"], "batch_size: got 1438, but digits has 1437 training images"),
        (["zoo.model={architecture: cnn-s}"], "cnn-s needs images of at least 20×20, got 8×8; use mlp"),
        (["zoo.model.hidden=[65536, 65536]"], "more than the 536,870,848 that one row of Parquet holds"),
        (["zoo.population={models: 200000, group_size: 1}"], "use groups of at least 2 models"),
    ],
)
def test_impossible_combinations_are_refused(overrides, message):
    with pytest.raises(ConfigError) as caught:
        planned(*overrides)
    assert message in str(caught.value)
