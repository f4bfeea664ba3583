#!/usr/bin/env bash
#SBATCH --job-name=analyze
#SBATCH --array=1-4
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.out
#
# Analyze a series of checkpoints, the jobs of an array side by side:
#
#   sbatch --array=1-8 slurm/analyze.sh CONFIG [override ...]
#
# All jobs work on one run's folder. Each claims checkpoint after checkpoint, whichever is next, so none stands idle while
# another has work left, and what a job that died had claimed is taken over. The same command goes on after a failure.
set -euo pipefail

if [[ $# -lt 1 || ! -f $1 ]]; then
    echo "usage: sbatch [--array=1-N] $0 CONFIG [override ...]: CONFIG is a file" >&2
    exit 2
fi
config=$1
shift

exec srun babelscope analyze --config "$config" "$@"
