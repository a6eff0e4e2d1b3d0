"""TOML as users write it: whole files, and single keys on a command line; plain data as TOML."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
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


def toml_value(value: Any) -> str:
    """A value on one line: numbers, text, truth values, lists and tables of them; keys of tables that are None go."""
    if isinstance(value, Mapping):
        pairs = (f"{toml_key(key)} = {toml_value(one)}" for key, one in value.items() if one is not None)
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def toml_key(key: str) -> str:
    """A key, in quotes where it is no bare one."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def toml_table(header: str, table: Mapping[str, Any]) -> list[str]:
    """The lines of a table under its header, ``[model]`` for example; keys that are None, which TOML has not, go."""
    return [header, *(f"{toml_key(key)} = {toml_value(one)}" for key, one in table.items() if one is not None), ""]
