"""What needs PETSc: Newton's method (SNES), implicit transport, time stepping; petsc4py is imported at first use."""
