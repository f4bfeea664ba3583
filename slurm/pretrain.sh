#!/usr/bin/env bash
#SBATCH --job-name=pretrain
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=24:00:00
#SBATCH --signal=USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.out
#
# Pretrain for as long as it takes, one allocation after another:
#
#   sbatch slurm/pretrain.sh CONFIG [override ...]
#
# Five minutes before the time is up the run is told to stop: it finishes its step, saves its state and ends with status
# 75, and the job puts itself into the queue again. For several GPUs, set --ntasks-per-node and --gpus-per-node to their
# number; the global batch of the configuration stays what it is.
set -uo pipefail

if [[ $# -lt 1 || ! -f $1 ]]; then
    echo "usage: sbatch $0 CONFIG [override ...]: CONFIG is a file" >&2
    exit 2
fi
config=$1
shift

# --signal=USR1 goes to the steps of the job, so srun's processes get it, and this script does not.
srun babelscope pretrain --config "$config" --resume \
    --trainer.num_nodes "$SLURM_NNODES" --trainer.devices "$SLURM_NTASKS_PER_NODE" "$@"
status=$?
if [[ $status -eq 75 ]]; then
    scontrol requeue "$SLURM_JOB_ID"
    exit 0
fi
exit "$status"
