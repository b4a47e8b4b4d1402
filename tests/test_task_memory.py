"""The estimate of a task's memory: what it grows with, and that real tasks stay below it."""

from benchmarks.task_memory import measured_apart
from zoo_pipeline.data import BUILT_IN
from zoo_pipeline.planning import planned
from zoo_pipeline.task_memory import reading_bytes, task_bytes

MEBIBYTE = 1 << 20


def estimate(recipe: str, *overrides: str) -> int:
    (made,) = planned(recipe, overrides)
    return task_bytes(made)


def test_the_sum_is_that_of_its_parts():
    # 16 models of 1,210 weights by Adam, 1,797 images of 64 numbers, batches of 64, 26 epochs of 4 × 1,210 + 32 bytes.
    data = 3 * 4 * 64 * 1_797
    state = 4 * 16 * 1_210 * 5
    step = 4 * (16 * (64 + 16) * (64 + 3 * (64 + 16 + 10)) + 2**21)
    orders = 3 * 8 * 16 * 1_437
    shard = 3 * 16 * 26 * (4 * 1_210 + 32)
    assert estimate("digits-demo") == 480 * MEBIBYTE + data + 2 * state + step + orders + shard


def test_the_group_that_takes_the_most_counts_whatever_its_place():
    def grid(*values: str) -> int:
        population = f"seeds: 16, group_size: 16, grid: {{{', '.join(values)}}}"
        return estimate("digits-demo", f"zoo.population={{{population}}}")

    adam, wide = grid("optimizer: [adam]"), grid("optimizer: [adam]", "batch_size: [512]")
    assert adam > grid("optimizer: [sgd]")
    assert grid("optimizer: [sgd, adam]") == grid("optimizer: [adam, sgd]") == adam
    assert grid("optimizer: [sgd, adam]", "batch_size: [64, 512]") == wide > adam


def test_noisy_labels_are_every_models_own():
    plain, noisy = estimate("digits-demo"), estimate("digits-demo", "zoo.training.label_noise=0.1")
    assert noisy - plain == 3 * 8 * 16 * 1_437


def test_fewer_models_at_once_take_less():
    base = ("zoo.dataset=mnist-10k", "zoo.model={architecture: cnn-s}")
    one, all_of_them = (estimate("digits-demo", *base, f"resources.stack={stack}") for stack in (1, 16))
    assert one < all_of_them


def test_a_step_on_a_gpu_is_not_in_the_machines_memory():
    wide = ("zoo.model.hidden=[4096]", "resources.stack=16", "zoo.training.batch_size=1024")
    on_gpu = estimate("digits-demo", *wide, "resources.num_gpus=1")
    assert on_gpu < estimate("digits-demo", *wide) + (3 << 30)


def test_large_groups_are_bounded_by_a_shard():
    hundred = estimate("cifar10-resnet-18-seed", "zoo.population.group_size=100")
    assert hundred == estimate("cifar10-resnet-18-seed")  # the plan makes groups of at most six


def test_a_real_task_stays_below_the_estimate_and_above_half_of_it():
    assert 1 <= measured_apart("digits, 1,024 models with noisy labels")["ratio"] <= 2


def test_images_are_read_in_their_own_size_whatever_they_are_trained_in():
    facts = BUILT_IN["tiny-imagenet"]
    whole = 3 * 4 * 3 * 64 * 64 * (facts.train_rows + facts.test_rows)
    for side, expected in ((8, whole), (64, whole), (128, 4 * whole)):
        (made,) = planned("digits-demo", ["zoo.dataset=tiny-imagenet", f"zoo.model.image_side={side}"])
        assert reading_bytes(made) == expected
