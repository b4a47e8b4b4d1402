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

import pytest
from checkout import DEPLOY, ENVIRONMENT, ROOT

from zoo_pipeline.store.rundir import RunDirectory
from zoo_pipeline.store.survey import survey

SCRIPT = DEPLOY / "slurm.sh"
BIN = Path(sys.executable).parent
SMALL = ["--set", "zoo.population.seeds=4", "--set", "zoo.population.group_size=2", "--set", "zoo.training.epochs=1"]
UNSHARE = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
# Two machines on one cable, node1 and node2, each held by a shell that waits (and, as their process 1, reaps what died);
# the job's script runs on neither.
MACHINES = """\
set -euo pipefail
ip link add cable1 type veth peer name cable2
for number in 1 2; do
  unshare --net --pid --fork --kill-child --mount-proc bash -c "mount -t tmpfs none '$RAY_TMPDIR' || exit; while sleep 1; do :; done" &
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


def directives() -> dict[str, str]:
    """The options of sbatch that the script carries."""
    return dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", SCRIPT.read_text(), flags=re.MULTILINE))


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


def test_a_job_on_two_nodes_makes_a_complete_run(machines, tmp_path):
    out = tmp_path / "run"
    done = sbatch(machines, "digits-demo", str(out), *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    found = survey(RunDirectory(str(out)))
    assert (found["complete"], found["shards"], found["analyses"], found["report"]) == (True, 2, ["default"], True)
    assert "10.9.8.1:6379" in done.stdout
    assert (tmp_path / ".ray" / "auth_token").read_text()
