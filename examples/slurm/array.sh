#!/bin/bash
# An array of serial jobs: task k computes the members 64k to 64k + 63 into a store of its own. They share nothing, so
# tasks may run at any time and on any node; join them with xarray.concat along member. Two minutes before the time is up
# a task writes its progress, leaves with status 75 and is put back into the queue.
#SBATCH --job-name=fpsolve-array
#SBATCH --array=0-15
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append

[ -d venv ] && . venv/bin/activate # the environment of docs/cluster.md, beside this script
export OMP_NUM_THREADS=1
size=64
first=$((SLURM_ARRAY_TASK_ID * size))
last=$((first + size))
job=
trap '[ -n "$job" ] && kill -USR1 "$job"' USR1 TERM
fpsolve ensemble ensemble.toml --members "$first:$last" -o "members-$first.zarr" --no-progress &
job=$!

wait "$job"
status=$?
while [ "$status" -gt 128 ] && kill -0 "$job" 2>/dev/null; do # the trap ended the wait, not the job
    wait "$job"
    status=$?
done

[ "$status" -eq 75 ] && scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
exit "$status"
