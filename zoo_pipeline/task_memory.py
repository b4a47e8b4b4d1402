"""How much memory a training task needs, worked out from the plan alone.

An estimate, meant to be rather too large than too small: `benchmarks.task_memory` holds it against real tasks.
"""

from math import prod
from typing import Any

from zoo_pipeline.architecture import RESNETS
from zoo_pipeline.computation import forward_operations, step_floats
from zoo_pipeline.plan import Group, Plan, train_rows

_FLOAT, _INTEGER = 4, 8  # bytes
_DATA_COPIES = _ORDER_COPIES = _LABEL_COPIES = _SHARD_COPIES = 3
_PROCESS_BYTES = 480 << 20  # a worker with ray, torch, pyarrow and scikit-learn loaded
_GPU_PROCESS_BYTES = 3 << 30  # and CUDA's context and libraries; of the machine's memory, not the GPU's
# Of numbers per weight: values and gradients, and what the optimiser keeps, its scratch included.
_OPTIMIZER_FLOATS = {"sgd": 1, "rmsprop": 3, "adam": 3, "adamw": 3}
_LARGEST_STACK = 256  # models at once that are tried on a CPU
_LIKELY_STACK = 32  # that is tried first, whatever time it takes
_TRIED_STEPS = 30  # that a way of computing is tried for
_TRIED_OPERATIONS = 60e9  # of one core in the time that there is for trying: more than any CNN was seen to make
_LEAST_IMAGES = 16  # that are evaluated at once
_EVALUATED_NUMBERS = 1 << 21  # of all models at once, in all intermediate results


def task_bytes(plan: Plan) -> int:
    """Bytes of the machine's memory that a training task of the plan needs, at most.

    The largest sum of any group; of one with n models of d weights and b buffers, of which s are trained at once:

    - the process with its libraries: 480 MiB (on a GPU 3 GiB more)
    - the data: 3 × 4 bytes × numbers in all images: the dataset, its copy in the order of the first layer, and the
      copy that this is made from
    - the training state: 4 bytes × n × (d × (2 + the optimiser's numbers per weight) + b)
    - the same once more: a copy while it is saved
    - a step: 4 bytes × s × images of a batch × intermediate numbers of an image, and those of the evaluation
    - the order of the images: 3 × 8 bytes × s × training images
    - the labels, where models have noise of their own in them: 3 × 8 bytes × n × training images
    - the shard: 3 × the raw bytes of the largest epoch range: the rows, their encoded bytes, and Parquet's work on them

    Images of a batch are at least 16. s is `resources.stack`, or what may be tried when the engine is chosen.
    The step of a task on a GPU lies in the GPU's memory, and does not count.
    """
    return max(_group_bytes(plan, group) for group in {_size_of(group): group for group in plan.groups}.values())


def reading_bytes(plan: Plan) -> int:
    """Bytes that whoever reads the dataset needs, at most: as of `task_bytes`, but before images are resized."""
    return max(_data_bytes(plan, plan.facts.image_shape), _data_bytes(plan, plan.architecture.input_shape))


def _data_bytes(plan: Plan, shape: tuple[int, ...]) -> int:
    return _DATA_COPIES * _FLOAT * prod(shape) * (plan.facts.train_rows + plan.facts.test_rows)


def _size_of(group: Group) -> tuple[Any, ...]:
    """What the memory of a group depends on, besides what all groups share."""
    every = [model.hyperparameters for model in group.models]
    first, noisy = every[0], any(one.label_noise for one in every)
    shard = max(part.raw_bytes for part in group.ranges)
    return len(every), first.optimizer, first.batch_size, first.data_fraction, noisy, shard


def _group_bytes(plan: Plan, group: Group) -> int:
    on_gpu = plan.config.resources.num_gpus > 0
    return (
        _PROCESS_BYTES
        + (_GPU_PROCESS_BYTES if on_gpu else _step_bytes(plan, group))
        + _data_bytes(plan, plan.architecture.input_shape)
        + 2 * _state_bytes(plan, group)
        + _order_bytes(plan, group)
        + _SHARD_COPIES * max(part.raw_bytes for part in group.ranges)
    )


def _state_bytes(plan: Plan, group: Group) -> int:
    every = [model.hyperparameters for model in group.models]
    kept = _OPTIMIZER_FLOATS[every[0].optimizer]
    buffers = sum(prod(shape) for shape in plan.architecture.buffers.values())
    return _FLOAT * len(every) * (plan.architecture.dimension * (2 + kept) + buffers)


def _step_bytes(plan: Plan, group: Group) -> int:
    batch = group.models[0].hyperparameters.batch_size
    # ResNets are trained one after another, however many are stacked.
    active = 1 if plan.architecture.name in RESNETS else _stack(plan, len(group.models), batch)
    images = max(batch, _LEAST_IMAGES) + _LEAST_IMAGES
    return _FLOAT * (active * images * step_floats(plan.architecture) + _EVALUATED_NUMBERS)


def _order_bytes(plan: Plan, group: Group) -> int:
    """Of the orders of the images and of labels with noise."""
    every = [model.hyperparameters for model in group.models]
    rows = train_rows(plan.facts, every[0].data_fraction)
    orders = _ORDER_COPIES * _stack(plan, len(every), every[0].batch_size)
    labels = _LABEL_COPIES * len(every) if any(one.label_noise for one in every) else 0
    return _INTEGER * (orders + labels) * rows


def _stack(plan: Plan, models: int, batch_size: int) -> int:
    """How many models are trained at once, at most."""
    resources = plan.config.resources
    if resources.stack is not None:
        return min(resources.stack, models)
    if plan.architecture.name in RESNETS:
        return 1
    if resources.num_gpus:
        return models
    tried = _TRIED_OPERATIONS * max(1, resources.num_cpus) / _TRIED_STEPS
    fitting = int(tried / (3 * batch_size * forward_operations(plan.architecture)))
    return min(models, max(_LIKELY_STACK, min(fitting, _LARGEST_STACK)))
