"""Settings for every test."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")  # plots need no display
