"""What names claim: by the usual rules, and by a pattern of one's own."""

import pytest

from zoo_pipeline.errors import ConfigError
from zoo_pipeline.importing.names import Claim, Pattern, claims


@pytest.mark.parametrize(
    ("path", "claim"),
    [
        ("zoo/trial_00003/checkpoint_000007/checkpoints", Claim("zoo/trial_00003", epoch=7)),
        ("checkpoint_000007/checkpoints", Claim(".", epoch=7)),
        ("bert/checkpoint-500/model.safetensors", Claim("bert", step=500)),
        ("runs/a/epoch=3-step=120.ckpt", Claim("runs/a", epoch=3, step=120)),
        ("runs/a/model_epoch_12.pt", Claim("runs/a", epoch=12)),
        ("runs/seed4-ep07.pth", Claim("runs/seed4", epoch=7)),
        ("lenet_step2000.pt", Claim("lenet", step=2000)),
        ("runs/b/ckpt-15.pt", Claim("runs/b", epoch=15)),
        ("runs/b/resnet18.pt", Claim("runs/b/resnet18")),  # one of a kind: the number may be anything
        ("runs/b/seed3_epoch5.pt", Claim("runs/b/seed3", epoch=5)),
        ("runs/b/best.pt", Claim("runs/b")),
        ("runs/b/resnet_best.pt", Claim("runs/b/resnet")),
        ("runs/b/model_best.pth", Claim("runs/b")),
        ("runs/b/best_epoch=7.ckpt", Claim("runs/b", epoch=7)),
        ("runs/b/bestiary.pt", Claim("runs/b/bestiary")),
        ("runs/a/epoch_3/model.pt", Claim("runs/a", epoch=3)),
        ("runs/a/step-500/encoder.pt", Claim("runs/a/encoder", step=500)),
        ("epoch3/model.pt", Claim(".", epoch=3)),
        ("m/epoch1/resnet18.pt", Claim("m/resnet18", epoch=1)),
        ("m/epoch1/decoder2_best.pt", Claim("m/decoder2", epoch=1)),
        ("m/E1/model.pt", Claim("m/E1")),
        ("m/it5/model.pt", Claim("m/it5")),
        ("m/epoch2/7.pt", Claim("m/epoch2", epoch=7)),
        ("runs/epoch2/epoch_5.pt", Claim("runs/epoch2", epoch=5)),
        ("a/lr0.01_epoch03_acc0.5066.pth", Claim("a/lr0.01", epoch=3)),
        ("a/epoch=6-val_loss=0.14.ckpt", Claim("a", epoch=6)),
        ("a/epoch=6-step=84-val_acc=0.9100.ckpt", Claim("a", epoch=6, step=84)),
        ("a/net_loss-1.5e-05.pt", Claim("a")),
        ("a/floss0.5_3.pt", Claim("a/floss0.5_3")),
        ("a/lr0.01_epoch3.pth.tar", Claim("a/lr0.01", epoch=3)),
        ("a/net.epoch3.pt", Claim("a", epoch=3)),
        ("a/model.safetensors.index.json", Claim("a")),
        ("runs/b/model.pt", Claim("runs/b")),
        ("model.pt", Claim(".")),
        ("a/epoch" + 40 * "9" + ".pt", Claim("a")),
    ],
)
def test_a_name_alone_says(path, claim):
    assert claims([path]) == [claim]


def test_of_several_numbers_the_last_that_varies_is_the_epoch():
    paths = [f"w/run{run}_{at}.pt" for run in (1, 2) for at in range(3)]
    assert claims(paths) == [Claim(f"w/run{run}", epoch=at) for run in (1, 2) for at in range(3)]
    assert claims(["v/cifar10_1.pt", "v/cifar10_2.pt"]) == [Claim("v/cifar10", epoch=1), Claim("v/cifar10", epoch=2)]


def test_a_label_that_never_varies_is_part_of_the_models_name():
    assert claims([f"w/epoch2_{at}.pt" for at in (1, 2, 10)]) == [Claim("w/epoch2", epoch=at) for at in (1, 2, 10)]


def test_a_label_wins_over_a_number_before_it():
    paths = [f"w/seed={seed}_epoch=5.pt" for seed in (1, 2)]
    assert claims(paths) == [Claim(f"w/seed={seed}", epoch=5) for seed in (1, 2)]


def test_what_a_word_says_is_of_the_model_beside_it():
    names = ["run3_epoch12", "run3_epoch13", "run3_best", "run4_epoch1", "run4_last", "best_run3", "7", "last"]
    assert claims([f"w/{name}.pt" for name in names]) == [
        Claim("w/run3", epoch=12), Claim("w/run3", epoch=13), Claim("w/run3"), Claim("w/run4", epoch=1),
        Claim("w/run4"), Claim("w/run3"), Claim("w", epoch=7), Claim("w"),
    ]  # fmt: skip
    names = ["run1_best", "run2_best", "run1_last", "run2_last", "resnet18_final", "resnet34_final", "3_best"]
    models = ["run1", "run2", "run1", "run2", "resnet18", "resnet34", "3"]
    assert claims([f"w/{name}.pt" for name in names]) == [Claim(f"w/{model}") for model in models]
    lightning = ["epoch=0-step=100", "epoch=0-step=200", "last", "last-v1", "epoch=0-step=100-v1"]
    assert claims([f"a/{name}.ckpt" for name in lightning]) == [
        Claim("a", 0, 100), Claim("a", 0, 200), Claim("a"), Claim("a/v1"), Claim("a/v1", 0, 100),
    ]  # fmt: skip
    # Lightning's -v1 is of a second training in the same folder.


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["epoch3_e2", "epoch3_e4"], [Claim("w/epoch3", 2), Claim("w/epoch3", 4)]),
        (["e2_iter1_3", "e2_iter1_4"], [Claim("w/e2_iter1", 3), Claim("w/e2_iter1", 4)]),
        (["init_uniform_01", "init_uniform_02"], [Claim("w/init_uniform", 1), Claim("w/init_uniform", 2)]),
        (
            ["cnn_init_kaiming_epoch1", "cnn_kaiming_epoch1"],
            [Claim("w/cnn_init_kaiming", 1), Claim("w/cnn_kaiming", 1)],
        ),
        (["resnet18_best_seed0", "resnet18_best_seed1"], [Claim("w/resnet18_seed0"), Claim("w/resnet18_seed1")]),
        (["model_epoch10", "model_best_epoch12"], [Claim("w", 10), Claim("w", 12)]),
        (["init_model", "initial", "model_init"], [Claim("w"), Claim("w"), Claim("w")]),
        (
            ["seed=3-v1", "seed=3-v2", "seed=4-v1"],
            [Claim("w/seed=3-v", 1), Claim("w/seed=3-v", 2), Claim("w/seed=4-v", 1)],
        ),
        (["resnet18-v1", "resnet18-v2"], [Claim("w/resnet18-v", 1), Claim("w/resnet18-v", 2)]),
        (["weights.01-0.53", "weights.02-0.48"], [Claim("w", 1), Claim("w", 2)]),
        (["ep01-0.53", "ep02-0.48"], [Claim("w", 1), Claim("w", 2)]),
        (["sweep1_0.1", "sweep2_0.1"], [Claim("w/sweep_0.1", 1), Claim("w/sweep_0.1", 2)]),
        (["a_1_0.5", "a_2_0.5", "b_1_0.5"], [Claim("w/a", 1), Claim("w/a", 2), Claim("w/b_1_0.5")]),
        (["epoch1/model1", "epoch2/model1"], [Claim("w/model1", 1), Claim("w/model1", 2)]),
    ],
)
def test_what_is_alike_is_one_model(names, said):
    assert claims([f"w/{name}.pt" for name in names]) == said


def test_metrics_that_differ_make_no_models():
    names = [f"seed{seed}_epoch{epoch:02d}_acc0.{seed}{epoch}1" for seed in (1, 2) for epoch in (3, 4)]
    assert claims([f"{name}.pth" for name in names]) == [
        Claim(f"seed{seed}", epoch=epoch) for seed in (1, 2) for epoch in (3, 4)
    ]


def test_folders_are_looked_at_apart():
    found = claims(["a/1.pt", "a/2.pt", "b/1.pt"])
    assert found == [Claim("a", epoch=1), Claim("a", epoch=2), Claim("b", epoch=1)]


@pytest.mark.parametrize(
    ("pattern", "path", "claim"),
    [
        ("{model}/epoch-{epoch}.pt", "x/lr0.1/epoch-7.pt", Claim("lr0.1", epoch=7)),
        ("{model}/epoch-{epoch}.pt", "x/lr0.1/epoch-7.pth", None),
        ("{model}_{epoch}_{*}.pt", "x/a_b_3_best.pt", Claim("a_b", epoch=3)),
        ("{model}@{step}", "x/a@30", Claim("a", step=30)),
        ("step{step}.bin", "deep/step5.bin", Claim(None, step=5)),
        ("runs/{model}/{*}/{epoch}.pt", "runs/m/any/thing/5.pt", Claim("m", epoch=5)),
    ],
)
def test_a_pattern_says(pattern, path, claim):
    assert Pattern(pattern).claim(path) == claim


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("{modell}.pt", r"has \{modell\}, expected \{model\}"),
        ("{epoch}/{epoch}.pt", r"has \{epoch\} twice"),
        ("x.pt", "names nothing"),
        ("{model}{", "has half a pair of braces"),
    ],
)
def test_a_pattern_that_is_none_is_refused(pattern, told):
    with pytest.raises(ConfigError, match=told):
        Pattern(pattern)
