"""The command line: ``fpsolve run``, ``models``, ``plot`` and ``info``."""

from fpsolve.cli.app import app, main

__all__ = ["app", "main"]
