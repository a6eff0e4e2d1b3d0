"""TOML as users write it: whole files, and single keys on a command line."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from fpsolve.errors import InputError


def read_toml(path: Path, argument: str) -> dict[str, Any]:
    """The tables of a file. Raises InputError, naming the argument that told the path."""
    if path.exists() and not path.is_file():
        raise InputError(argument, str(path), "is no file", "name a .toml file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows marks its UTF-8 files
    except OSError as error:
        raise InputError(argument, str(path), f"cannot be read ({error.strerror})", "check the name") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(argument, str(path), f"is not TOML ({error})", "mend that line") from error


def assigned(text: str, form: str, example: str) -> tuple[str, Any]:
    """``("model.beta", 2)`` for ``model.beta=2``; what is no value of TOML is a bare word.

    Raises InputError for a text that is not of the form, with an example of one that is.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    parts = enumerate(key.split("."))  # numbers after the first, as in model.0.beta
    if not equals or not all(part.isidentifier() or (n and part.isdecimal()) for n, part in parts):
        raise InputError("set", text, f"is not of the form {form}", f"write for example {example}")
    try:
        found = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return key, value
    return key, found["value"] if len(found) == 1 else value
