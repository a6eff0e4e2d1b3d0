"""PETSc: the door to it, imported at its first use, and Newton's method (SNES) with its dense twin."""
