"""Imported before all that takes seconds: the program answers to signals from its start on; a library does not."""

from fpsolve.signals import stop_at_start

stop_at_start()
