"""`python -m benchmarks.training` as it is called."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEAN_ACCURACY = 0.944  # of 40 digits models after 25 epochs, which deviate by 0.010


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.training", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_every_side_reaches_the_same_accuracy_and_the_last_line_is_json():
    pytest.importorskip("jax")
    small = ("--work", "digits", "--models", "4", "--tune-models", "2", "--sequential-models", "3", "--repeats", "1")
    result = run(*small, "--against", "tune,sequential,jax", "--workers", "1", "--storage")
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["work"] == "digits"
    sides = found["sides"]
    assert sides.keys() == {"ours", "tune", "sequential", "jax", "stored", "unstored"}
    assert [sides[name]["models"] for name in ("ours", "tune", "sequential", "jax")] == [4, 2, 3, 4]
    for name in ("ours", "tune", "sequential", "jax"):
        assert found["accuracy"][name]["mean"] == pytest.approx(MEAN_ACCURACY, abs=0.02)
    assert found["model_epochs_per_s"] == pytest.approx(4 * 25 / min(sides["ours"]["seconds"]), rel=0.02)
    for name in ("tune", "sequential", "jax"):
        ratio = found["model_epochs_per_s"] / sides[name]["model_epochs_per_s"]
        assert found[f"ratio_{name}"] == pytest.approx(ratio, rel=1e-3, abs=1e-3)
    assert sides["tune"]["files"] >= 2 * 26 * 2  # two files for each of 26 checkpoints of two models
    overhead = min(sides["stored"]["seconds"]) / min(sides["unstored"]["seconds"]) - 1
    assert found["storage_overhead"] == pytest.approx(overhead, abs=0.02)
    assert 0 < found["peak_fraction"] < 1
    assert found["scaling"] is None
    assert found["versions"].keys() == {"torch", "numpy", "ray", "jax", "jaxlib"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--against", "keras"), "--against: got keras, expected any of tune,sequential,jax"),
        (("--device", "cuda", "--against", "jax"), "--device cuda: compares with sequential alone, got jax"),
        (("--device", "cuda", "--workers", "2"), "--workers: got 2, expected 1 with --device cuda"),
        (("--models", "1", "--workers", "2"), "--workers: got 2, expected 1 to 1"),
        (("--models", "0"), "--models: got 0, expected 1 or more"),
        (("--work", "tetris", "--storage"), "--storage: got --work tetris, expected digits"),
        (("--repeats", "0"), "--repeats: got 0, expected 1 or more"),
    ],
)
def test_a_mistake_is_one_line(arguments, message):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(f"error: {message}")
    assert result.stderr.count("\n") == 1


def test_our_side_and_the_loop_need_only_torch_and_numpy():
    program = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('ray', 'pyarrow', 'pydantic', 'jax', 'pandas', 'sklearn')))\n"
        "from dataclasses import replace\n"
        "import benchmarks.training\n"
        "from benchmarks.workers import open_trainer\n"
        "from benchmarks.works import Synthetic, chosen_work\n"
        "work = replace(chosen_work('gpu-mlp', 2, 1), data=Synthetic(128, 64, 1.0))\n"
        "for side in ('ours', 'sequential'):\n"
        "    trainer = open_trainer(side, work, work.dataset(), 2, 'cpu')\n"
        "    print(trainer.train([0, 1], 1).weights.shape)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout.splitlines() == ["(2, 2, 7960)"] * 2, result.stderr
