"""Every optimiser and schedule against torch's own, step by step."""

import pytest
import torch
from torch.optim import lr_scheduler

from zoo_pipeline.hyperparameters import OPTIMIZERS, SCHEDULES, Hyperparameters
from zoo_pipeline.training.optimizers import optimizer_for
from zoo_pipeline.training.parameters import Parameters

KINDS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}
SHAPES = {"weight": (3, 4), "bias": (5,)}
EPOCHS, STEPS = 5, 4


def members(optimizer, momentum) -> list[Hyperparameters]:
    """Models that differ in schedule, decay and rate, as one group may hold them."""
    return [
        Hyperparameters(
            optimizer,
            0.01 * (1 + rate),
            8,
            EPOCHS,
            momentum=momentum,
            weight_decay=decay,
            schedule=schedule,
            schedule_epochs=2,
            schedule_factor=0.3,
        )
        for rate, schedule in enumerate(SCHEDULES)
        for decay in (0.0, 0.1)
    ]


def torchs(member, parameters):
    momentum = {"momentum": member.momentum} if member.optimizer in ("sgd", "rmsprop") else {}
    optimizer = KINDS[member.optimizer](
        parameters, lr=member.learning_rate, weight_decay=member.weight_decay, **momentum
    )
    schedules = {
        "constant": lambda: lr_scheduler.ConstantLR(optimizer, factor=1.0),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, member.epochs),
        "step": lambda: lr_scheduler.StepLR(optimizer, member.schedule_epochs, member.schedule_factor),
        "onecycle": lambda: lr_scheduler.OneCycleLR(
            optimizer, member.learning_rate, epochs=member.epochs, steps_per_epoch=STEPS
        ),
    }
    return optimizer, schedules[member.schedule]()


@pytest.mark.parametrize(
    ("optimizer", "momentum"),
    [("sgd", 0.0), ("sgd", 0.9), ("adam", 0.0), ("adamw", 0.0), ("rmsprop", 0.0), ("rmsprop", 0.9)],
)
def test_every_step_is_torchs(optimizer, momentum):
    torch.manual_seed(0)
    models = members(optimizer, momentum)
    parameters = Parameters(SHAPES, len(models), "cpu")
    parameters.values.normal_()
    values, gradients = parameters.tensors(parameters.values), parameters.tensors(parameters.gradients)
    ours = optimizer_for(parameters, models)
    theirs = []
    for model, member in enumerate(models):
        own = [torch.nn.Parameter(values[name][model].clone()) for name in SHAPES]
        theirs.append((own, *torchs(member, own)))
    for epoch in range(1, EPOCHS + 1):
        coefficients = ours.coefficients(epoch, STEPS)
        for step in range(STEPS):
            parameters.gradients.normal_()
            for model, (own, stepper, schedule) in enumerate(theirs):
                for name, parameter in zip(SHAPES, own, strict=True):
                    parameter.grad = gradients[name][model].clone()
                stepper.step()
                if models[model].schedule == "onecycle":
                    schedule.step()
            ours.step(coefficients[step])
            for model, (own, _, _) in enumerate(theirs):
                for name, parameter in zip(SHAPES, own, strict=True):
                    difference = (values[name][model] - parameter.detach()).abs().max()
                    assert difference < 2e-6, (epoch, step, models[model])
        for model, (_, _, schedule) in enumerate(theirs):
            if models[model].schedule != "onecycle":
                schedule.step()


def test_every_optimizer_is_tested():
    assert set(OPTIMIZERS) == set(KINDS)


def test_sgd_without_momentum_keeps_no_memory():
    plain = Hyperparameters("sgd", 0.1, 8, 1)
    assert optimizer_for(Parameters(SHAPES, 1, "cpu"), [plain]).memory == {}
