#!/usr/bin/env bash
# A run under Slurm: one Ray over all nodes of the job, the driver on the first, all gone at the end.
#
#   sbatch docs/deploy/slurm.sh digits-demo /shared/digits-demo
#
# More options of `zoo run` may follow, such as --data-dir with a folder that all nodes see. The same line again goes on
# with a run that was ended, by its time limit or otherwise. Change to your own: nodes, CPUs, GPUs (without any, leave
# --gpus-per-node out), time, partition and account, and the environment (docs/deploy/README.md says how it is made).

#SBATCH --job-name=zoo
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=32
#SBATCH --gpus-per-node=4
#SBATCH --mem=0
#SBATCH --time=24:00:00
# Ray's command refuses a node where this user has another Ray, and stops all there are of this user at the end:
#SBATCH --exclusive

set -euo pipefail
recipe=${1:?usage: sbatch slurm.sh CONFIG RUN [OPTION…]}
run=${2:?usage: sbatch slurm.sh CONFIG RUN [OPTION…]}
shift 2

# An environment in a folder that all nodes see.
# shellcheck source=/dev/null
source "${ZOO_ENVIRONMENT:-$HOME/zoo}/bin/activate"

# The token, in a home that all nodes see.
export RAY_AUTH_MODE=token
# A task that the memory monitor stopped is tried three more times; Ray's default is for ever.
export RAY_task_oom_retries=3
# Seconds that nodes have to appear; Ray's default is 30.
export RAY_SYMMETRIC_RUN_CLUSTER_WAIT_TIMEOUT=300

# Since Slurm 22.05, srun takes no CPUs from sbatch by itself.
export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK

[[ -s ~/.ray/auth_token ]] || ray get-auth-token --generate > /dev/null

# By number: a node's own name may mean 127.0.1.1 to itself.
nodes=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
addresses=$(srun --nodes=1 --ntasks=1 --nodelist="${nodes%%$'\n'*}" hostname --all-ip-addresses)
address=${addresses%% *}:6379

srun ray symmetric-run --address "$address" --min-nodes "$SLURM_JOB_NUM_NODES" \
  --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" -- \
  zoo run "$recipe" --out "$run" --ray-address "$address" --resume "$@"

# Ray's command ends with 0 also where Ray did not start.
status=$(zoo status "$run" --json)
if [[ $status != *'"complete": true'* || $status != *'"report": true'* ]]; then
  echo "slurm.sh: $run is not complete, or has no report" >&2
  exit 1
fi
