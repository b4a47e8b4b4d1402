"""docs/deploy/slurm.sh on two machines: namespaces of this one, each with processes, network and /tmp of its own.

`srun` and `scontrol` are stood in for by a few lines of shell; `ray symmetric-run` and all behind it are real. It must
have machines of its own, because it stops every Ray that it sees at its end.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import pytest
import typer
from checkout import DEPLOY, ENVIRONMENT, ROOT
from ray.scripts.scripts import cli

from zoo_pipeline.cli import app
from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.survey import survey

SCRIPT = DEPLOY / "slurm.sh"
BIN = Path(sys.executable).parent
SMALL = [
    word
    for change in (
        "zoo.population={seeds: 4, group_size: 2}",
        "zoo.training.epochs=1",
        "resources={stack: 2, threads: 1}",
    )
    for word in ("--set", change)
]
UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
# Two machines on one cable, node1 and node2, each held by a shell that waits (as process 1 it reaps what died there).
# The job's script runs on neither.
MACHINES = """\
set -euo pipefail
ip link add cable1 type veth peer name cable2
for number in 1 2; do
  unshare --net --pid --fork --kill-child --mount-proc bash -c "
    mount -t tmpfs none '$RAY_TMPDIR' || exit; while sleep 1; do :; done" &
  until pid=$(pgrep --parent $!); do sleep 0.05; done
  echo "$pid" > "$MACHINES/node$number"
  ip link set cable$number netns "$pid"
  nsenter --target "$pid" --net sh -c "
    ip link set lo up && ip address add 10.9.8.$number/24 dev cable$number && ip link set cable$number up"
done
bash "$@"
"""
SRUN = """\
#!/usr/bin/env bash
nodes=(node1 node2)
while [[ $1 == --* ]]; do
  [[ $1 == --nodelist=* ]] && nodes=("${1#--nodelist=}")
  shift
done
for node in "${nodes[@]}"; do
  nsenter --target "$(< "$MACHINES/$node")" --net --pid --mount --wd="$PWD" "$@" &
  [[ $node == node1 ]] && first=$!
done
status=0
wait "$first" || status=$?
# Slurm would wait for node2, too, and that for the Ray of node1 which is gone, a minute.
[[ ${#nodes[@]} == 1 ]] || kill -KILL "$(< "$MACHINES/node2")"
exit $status
"""
SCONTROL = """\
#!/usr/bin/env bash
[[ "$*" == "show hostnames node[1-2]" ]] && printf 'node1\\nnode2\\n'
"""


DIRECTIVES = {
    *("job-name", "nodes", "ntasks-per-node", "cpus-per-task", "gpus-per-node", "time", "exclusive"),
    *("partition", "account", "mem", "output", "requeue"),
}


def faults(script: str) -> list[str]:
    """What is wrong with the script beyond its shell: Slurm's options, Ray's, and the environment of the nodes."""
    options = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", script, flags=re.MULTILINE))
    found = [f"unknown #SBATCH --{name}" for name in options.keys() - DIRECTIVES]
    if len(options) < script.count("#SBATCH"):
        found.append("an #SBATCH line is not --NAME or --NAME=VALUE")
    if "exclusive" not in options:
        found.append("no --exclusive: another Ray of the user on a node is refused, or stopped")
    if options.get("ntasks-per-node") != "1":
        found.append("not one task, and so one Ray, on a node")
    exported = dict(re.findall(r"\b(RAY_\w+)=(\S+)", " ".join(re.findall("^export .+$", script, flags=re.MULTILINE))))
    for name, value in ENVIRONMENT.items():
        if exported.get(name) != value:
            found.append(f"{name} is exported as {exported.get(name)}, not {value}")
    if "/auth_token ]] || ray get-auth-token --generate > /dev/null\n" not in script:
        found.append("no token is made, or it is shown in the job's log")
    return found + _command_faults(re.sub(r"\\\n\s*", "", script))


def _command_faults(script: str) -> list[str]:
    """Of `srun ray symmetric-run … -- zoo run …`: Ray's own parser and ours must take both sides."""
    line = re.search(r"^srun ray symmetric-run (.+) -- zoo (.+)$", script, flags=re.MULTILINE)
    if line is None:
        return ["no line srun ray symmetric-run … -- zoo …"]
    known = {"$address": "10.0.0.1:6379", "$recipe": "digits-demo", "$run": "/shared/run"}
    known |= {
        "$SLURM_JOB_NUM_NODES": "4",
        "$SLURM_CPUS_PER_TASK": "32",
        "${SLURM_GPUS_ON_NODE:-0}": "4",
        "$@": "--resume",
    }
    filled = re.sub(r'"([^"]+)"', lambda quoted: known.get(quoted[1], quoted[1]), line[0])
    ours, zoo = filled.removeprefix("srun ray symmetric-run ").split(" -- zoo ")
    try:
        whole = cli.commands["symmetric-run"].make_context("symmetric-run", ours.split(), resilient_parsing=True)
        started = cli.commands["start"].make_context("start", [*whole.params["ray_args_and_entrypoint"]])
        command, *options = zoo.split()
        if command not in ("run", "train"):
            return [f"zoo {command} trains nothing"]
        asked = typer.main.get_command(app).commands[command].make_context(command, options)
    except (click.ClickException, typer.TyperException) as error:
        return [f"not understood: {error.format_message().split(' (')[0]}"]
    found = []
    if (whole.params["address"], whole.params["min_nodes"]) != (known["$address"], 4):
        found.append("Ray would not wait for all nodes at the first one's address")
    if (started.params["num_cpus"], started.params["num_gpus"]) != (32, 4):
        found.append("Ray would not offer what Slurm gave")
    if asked.params["ray_address"] != known["$address"]:
        found.append("zoo would start a Ray of its own beside that of the job")
    if not asked.params["resume"]:
        found.append("the same line again would not go on with the run")
    return found


@pytest.fixture
def machines(tmp_path):
    """The environment of a job on two machines, and a folder as the user's home."""
    probe = "ip link add cable1 type veth peer name cable2 && mount -t tmpfs none /tmp && command -v nsenter pgrep"
    try:
        tried = subprocess.run([*UNSHARE, "bash", "-c", probe], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        pytest.skip(f"no namespaces to make machines of: {error}")
    if tried.returncode != 0:
        pytest.skip(f"no namespaces to make machines of: {tried.stderr.strip()}")
    commands, folder = tmp_path / "commands", tempfile.mkdtemp(prefix="zoo", dir="/tmp")  # short: sockets lie in it
    commands.mkdir()
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    (commands / "activate").write_text(f'PATH={BIN}:"$PATH"\n')
    (tmp_path / "environment").mkdir()
    (tmp_path / "environment" / "bin").symlink_to(commands)
    yield {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "HOME": str(tmp_path),
        "PATH": f"{commands}:{os.environ['PATH']}:/usr/sbin",
        "PYTHONPATH": str(ROOT),
        "MACHINES": str(commands),
        "ZOO_ENVIRONMENT": str(tmp_path / "environment"),
        "RAY_TMPDIR": folder,
        "RAY_USAGE_STATS_ENABLED": "0",
        "SLURM_JOB_NODELIST": "node[1-2]",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "1",
    }
    shutil.rmtree(folder, ignore_errors=True)


def sbatch(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*UNSHARE, "bash", "-c", MACHINES, "machines", str(SCRIPT), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.long
def test_a_job_on_two_nodes_makes_a_complete_run(machines, tmp_path):
    out = tmp_path / "run"
    done = sbatch(machines, "digits-demo", str(out), *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    found = survey(RunDirectory(str(out)))
    assert (found["complete"], found["shards"], found["analyses"], found["report"]) == (True, 2, ["default"], True)
    assert "10.9.8.1:6379" in done.stdout
    assert (tmp_path / ".ray" / "auth_token").read_text()


@pytest.mark.long
def test_a_job_whose_ray_does_not_start_fails(machines, tmp_path):
    """Ray's own command ends with 0 then."""
    done = sbatch({**machines, "SLURM_CPUS_PER_TASK": "-1"}, "digits-demo", str(tmp_path / "run"))
    assert "Failed to start Ray" in done.stderr
    assert done.returncode == 2
    assert "has no spec.json" in done.stderr.splitlines()[-1]


def test_the_script_is_a_faultless_one():
    script = SCRIPT.read_text()
    assert faults(script) == []
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0
    assert os.access(SCRIPT, os.X_OK)


def test_shellcheck_finds_nothing():
    shellcheck = shutil.which("shellcheck", path=f"{BIN}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run([shellcheck, SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("#SBATCH --nodes=4", "#SBATCH --node=4", "unknown #SBATCH --node"),
        ("#SBATCH --nodes=4", "#SBATCH -N 4", "an #SBATCH line is not --NAME or --NAME=VALUE"),
        ("#SBATCH --exclusive\n", "", "no --exclusive: another Ray of the user on a node is refused, or stopped"),
        ("#SBATCH --ntasks-per-node=1", "#SBATCH --ntasks-per-node=2", "not one task, and so one Ray, on a node"),
        ("RAY_AUTH_MODE=token", "RAY_AUTH_MODE=disabled", "RAY_AUTH_MODE is exported as disabled, not token"),
        ("export RAY_task_oom", "RAY_task_oom", "RAY_task_oom_retries is exported as None, not 3"),
        ("--generate > /dev/null", "--generate", "no token is made, or it is shown in the job's log"),
        ("-- \\\n", "\\\n", "no line srun ray symmetric-run … -- zoo …"),
        ("--num-cpus=", "--num-cpu=", "not understood: No such option '--num-cpu'."),
        (' --num-gpus="${SLURM_GPUS_ON_NODE:-0}"', "", "Ray would not offer what Slurm gave"),
        (
            "--min-nodes ",
            "--min-worker-port ",
            "Ray would not wait for all nodes at the first one's address",
        ),
        (' --ray-address "$address"', "", "zoo would start a Ray of its own beside that of the job"),
        (' --resume "$@"', "", "the same line again would not go on with the run"),
        ('zoo run "$recipe', 'zoo rum "$recipe', "zoo rum trains nothing"),
        ("--out", "--outt", "not understood: No such option: --outt"),
    ],
)
def test_a_planted_error_is_found(right, wrong, fault):
    script = SCRIPT.read_text()
    assert right in script
    assert fault in faults(script.replace(right, wrong))
