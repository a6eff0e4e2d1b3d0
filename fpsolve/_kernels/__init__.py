"""The compiled core, each kernel beside its NumPy twin."""
