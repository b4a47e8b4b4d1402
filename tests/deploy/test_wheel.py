"""Both of Ray's ways in, on a Ray whose nodes have the package by cluster.yaml's own commands, from the wheel.

The nodes' python is a bare environment: it sees the libraries of this one, but zoo_pipeline only from the wheel.
"""

import json
import os
import secrets
import shlex
import shutil
import site
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from checkout import ENVIRONMENT, ROOT, WHEEL

from benchmarks.running_ray import free_ports, running_ray
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.survey import survey

BIN = Path(sys.executable).parent
SMALL = [
    word
    for change in (
        "zoo.population={seeds: 4, group_size: 2}",
        "zoo.training.epochs=2",
        "resources={stack: 2, threads: 1}",
    )
    for word in ("--set", change)
]
WHERE = """\
import json, ray, zoo_pipeline
ray.init(logging_level="error")
where = ray.remote(lambda: __import__("zoo_pipeline").__file__)
print(json.dumps([zoo_pipeline.__file__, ray.get(where.remote())]))
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A copy of the checkout with its wheel, made by `make wheel`."""
    copied = tmp_path_factory.mktemp("checkout")
    for name in ("zoo_pipeline", "jobs"):
        shutil.copytree(ROOT / name, copied / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt", "cluster.yaml"):
        shutil.copy(ROOT / name, copied)
    (copied / "build" / "lib" / "zoo_pipeline").mkdir(parents=True)
    (copied / "build" / "lib" / "zoo_pipeline" / "removed_long_ago.py").touch()
    (copied / "dist").mkdir()
    (copied / "dist" / "zoo_pipeline-0.0.1-py3-none-any.whl").touch()
    # Without isolation: the build needs no index then, only the setuptools that is here.
    command = ["make", "wheel", f"BIN={BIN}", "WHEEL_ARGS=--no-build-isolation"]
    made = subprocess.run(command, cwd=copied, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    return copied


@pytest.fixture(scope="module")
def node(sources, tmp_path_factory) -> dict[str, str]:
    """The environment of a node that cluster.yaml has set up: HOME, and a python with the wheel."""
    home, bare = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    (packages,) = (bare / "lib").glob("python*/site-packages")
    # A path in a .pth adds that folder alone: the .pth of an editable installation in there has no effect.
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "PYTHON"))}
    environment |= {"HOME": str(home), "PATH": f"{bare}/bin:{os.environ['PATH']}", "RAY_USAGE_STATS_ENABLED": "0"}
    config = yaml.safe_load((sources / "cluster.yaml").read_text())
    for remote, local in config["file_mounts"].items():
        source, target = sources / local, home / remote.removeprefix("~/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if local.startswith("~"):
            target.write_text(secrets.token_hex(32))  # the token
        else:
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    _, _, install_package = config["setup_commands"]  # the others bring libraries, which are here
    pip = {"PIP_PYTHON": f"{bare}/bin/python", "PIP_NO_INDEX": "1", "PATH": f"{BIN}:{environment['PATH']}"}
    subprocess.run(["bash", "-c", install_package], env=environment | pip, cwd=home, check=True, capture_output=True)
    return environment | ENVIRONMENT


@pytest.fixture(scope="module")
def cluster(node):
    python = Path(shutil.which("python", path=node["PATH"]))
    with running_ray(node, free_ports(), python=python) as running:
        running.wait(running.answers)
        yield running.address, running.environment


def in_home(command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command], env=environment, cwd=environment["HOME"], capture_output=True, text=True, timeout=240
    )


@pytest.mark.long
def test_the_wheel_has_what_the_checkout_has_and_nothing_older(sources):
    assert [path.name for path in (sources / "dist").iterdir()] == [WHEEL]
    with zipfile.ZipFile(sources / "dist" / WHEEL) as wheel:
        held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    package = {str(path.relative_to(sources)) for path in (sources / "zoo_pipeline").rglob("*") if path.is_file()}
    recipes = (sources / "jobs" / "recipes").rglob("*.yaml")
    assert held == package | {f"zoo_pipeline/recipes/{path.relative_to(sources / 'jobs/recipes')}" for path in recipes}


@pytest.mark.long
def test_a_node_has_the_package_from_the_wheel_and_its_recipes(node):
    told = in_home("python -c 'import zoo_pipeline; print(zoo_pipeline.__file__)' && zoo plan digits-demo --json", node)
    assert told.returncode == 0, told.stderr
    where, plan = told.stdout.split("\n", 1)
    assert Path(where).is_relative_to(Path(node["PATH"].split(":")[0]).parent)
    assert json.loads(plan)["models"] == 64


@pytest.mark.long
def test_the_script_alone_trains_on_the_cluster_of_its_node(cluster, tmp_path):
    """What `ray submit` does: it copies the script to the head's home, and runs it there in a shell."""
    _, environment = cluster
    shutil.copy(ROOT / "jobs" / "run.py", environment["HOME"])
    out = tmp_path / "run"
    done = in_home(shlex.join(["python", "run.py", "digits-demo", "--out", str(out), *SMALL]), environment)
    assert done.returncode == 0, done.stdout + done.stderr
    found = survey(RunDirectory(str(out)))
    assert (found["complete"], found["shards"], found["analyses"], found["report"]) == (True, 2, ["default"], True)
    sessions = list(Path(environment["RAY_TMPDIR"], "ray").glob("session_2*"))
    assert len(sessions) == 1, "it started a Ray of its own beside the cluster"


@pytest.mark.long
def test_the_working_directory_of_a_job_goes_before_the_wheel(cluster, sources):
    address, environment = cluster
    (sources / "where.py").write_text(WHERE)
    command = ["python", "-m", "ray.scripts.scripts", "job", "submit", "--address", address, "--working-dir", "."]
    command += ["--runtime-env", "jobs/runtime_env.yaml", "--", "python", "where.py"]
    done = subprocess.run(command, env=environment, cwd=sources, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("["))
    assert ["working_dir_files" in where for where in json.loads(line)] == [True, True], line
