"""A machine without memory: Ray ends the tasks, and the command says so and ends, too."""

import os
import subprocess
import sys

WORDS = [
    "train",
    "digits-demo",
    "--set",
    "zoo.population={seeds: 2, group_size: 2}",
    "--set",
    "zoo.training.epochs=400",
]
WORDS += ["--set", "resources={stack: 2, threads: 1}", "--ray-address", "local"]


def test_a_group_for_which_there_is_no_memory_fails_after_some_attempts(tmp_path):
    starved = {
        "RAY_memory_usage_threshold": "0.001",  # Ray takes the machine for full at once
        "RAY_memory_monitor_refresh_ms": "100",
        "RAY_task_oom_retries": "1",
    }
    command = [sys.executable, "-m", "zoo_pipeline.cli", *WORDS, "--out", str(tmp_path / "run")]
    ended = subprocess.run(command, env={**os.environ, **starved}, capture_output=True, text=True, timeout=240)
    assert ended.returncode == 1, ended.stderr
    assert "its worker took more memory than the machine had left and was ended" in ended.stderr
    assert (tmp_path / "run" / "failures" / "group-00000.json").exists()
    assert not (tmp_path / "run" / "manifest.json").exists()
