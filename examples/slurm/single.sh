#!/bin/bash
# One run on one core. Two minutes before the time is up Slurm sends SIGUSR1 to this shell, whose place fpsolve has taken
# (exec): it writes its checkpoint and leaves with status 75. Submitted again, the same script goes on.
#SBATCH --job-name=fpsolve
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append

[ -d venv ] && . venv/bin/activate # the environment of docs/cluster.md, beside this script
export OMP_NUM_THREADS=1
exec fpsolve run run.toml -o run.nc --checkpoint run.ckpt --checkpoint-every 300 --no-progress
