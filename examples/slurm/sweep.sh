#!/bin/bash
# An array over a sweep: task k computes one value of beta, all members, into a store of its own. The value is that of the
# sweep, so that every store has it as a coordinate: join them with xarray.concat along beta.
#SBATCH --job-name=fpsolve-sweep
#SBATCH --array=0-4
#SBATCH --ntasks=8
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append

module load openmpi 2>/dev/null    # the MPI that mpi4py was installed with
[ -d venv ] && . venv/bin/activate # the environment of docs/cluster.md, beside this script
export OMP_NUM_THREADS=1
values=(0.5 1.0 2.0 4.0 8.0)
beta=${values[$SLURM_ARRAY_TASK_ID]}
srun --kill-on-bad-exit=1 fpsolve ensemble ensemble.toml --set "sweep.beta=[$beta]" -o "beta-$beta.zarr"
status=$?
[ "$status" -eq 75 ] && scontrol requeue "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
exit "$status"
