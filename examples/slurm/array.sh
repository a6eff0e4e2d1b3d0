#!/bin/bash
# An array of serial jobs: task k computes the members 64k to 64k + 63 into a store of its own. They share nothing, so
# tasks may run at any time and on any node; join them with xarray.concat along member.
#SBATCH --job-name=fpsolve-array
#SBATCH --array=0-15
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --open-mode=append

export OMP_NUM_THREADS=1
size=64
first=$((SLURM_ARRAY_TASK_ID * size))
last=$((first + size))
exec fpsolve ensemble ensemble.toml --members "$first:$last" -o "members-$first.zarr" --no-progress
