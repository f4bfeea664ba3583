#!/usr/bin/env bash
# Prepare a store in shards: one job for the tokenizer, an array over the shards, one job that merges them.
#
#   slurm/prepare.sh CONFIG SHARDS [override …]
#
# Every job waits for the one before. A shard that fails is run again with the same command: what is finished is kept,
# and the merge names shards that are missing. Options of sbatch go into the environment (SBATCH_PARTITION, …).
set -euo pipefail

if [[ $# -lt 2 || ! -f $1 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
    echo "usage: $0 CONFIG SHARDS [override …]: CONFIG is a file, SHARDS a number" >&2
    exit 2
fi
config=$1 shards=$2
shift 2
printf -v overrides ' %q' "$@"
[[ $# -gt 0 ]] || overrides=""
printf -v prepare 'export TOKENIZERS_PARALLELISM=false; babelscope prepare --config %q%s' "$config" "$overrides"

mkdir -p logs
submit() { sbatch --parsable --output=logs/%x-%A_%a.out "$@"; }

first=$(submit --job-name=tokenizer --cpus-per-task=8 \
    --wrap="export TOKENIZERS_PARALLELISM=true; ${prepare#*; } --tokenizer_only true")
array=$(submit --job-name=shard --cpus-per-task=8 --array="1-$shards" --dependency="afterok:$first" \
    --wrap="$prepare --num_proc \$SLURM_CPUS_PER_TASK --shard \$SLURM_ARRAY_TASK_ID/$shards")
last=$(submit --job-name=merge --cpus-per-task=2 --dependency="afterok:$array" --wrap="$prepare --merge true")
echo "tokenizer $first, shards $array, merge $last"
