#!/bin/bash
# An ensemble over MPI that puts itself back into the queue until it is done. Slurm sends SIGUSR1 to this shell two
# minutes before the time is up (B:), the trap hands it to srun, and srun to every rank: members write their checkpoints
# and the job leaves with status 75.
#SBATCH --job-name=fpsolve-ensemble
#SBATCH --ntasks=64
#SBATCH --cpus-per-task=1
#SBATCH --time=04:00:00
#SBATCH --signal=B:USR1@120
#SBATCH --requeue
#SBATCH --open-mode=append

module load openmpi 2>/dev/null    # the MPI that mpi4py was installed with
[ -d venv ] && . venv/bin/activate # the environment of docs/cluster.md, beside this script
export OMP_NUM_THREADS=1
ranks=
trap '[ -n "$ranks" ] && kill -USR1 "$ranks"' USR1 TERM
srun --kill-on-bad-exit=1 fpsolve ensemble ensemble.toml --members 4096 -o ensemble.zarr &
ranks=$!

wait "$ranks"
status=$?
while [ "$status" -gt 128 ] && kill -0 "$ranks" 2>/dev/null; do # the trap ended the wait, not srun
    wait "$ranks"
    status=$?
done

[ "$status" -eq 75 ] && scontrol requeue "$SLURM_JOB_ID"
exit "$status"
