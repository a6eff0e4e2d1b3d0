"""Rows, the printed table and the file."""

import json

import numpy as np
import pytest

from fpsolve.errors import InputError
from fpsolve.validate import Row, as_text, write

ROWS = [Row("β = 0", "orbit", 0.0, 1e-9, 1e-6), Row("SA", "rate", 2.0, float("nan"), 0.1, "a note")]


def test_rows_pass_within_their_tolerance():
    assert Row("s", "q", 1.0, 1.25, 0.25).passed
    assert not Row("s", "q", 1.0, 1.5, 0.25).passed
    for computed, tolerance in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0)):
        assert not Row("s", "q", 1.0, computed, tolerance).passed


def test_the_table_is_aligned():
    header, first, second = as_text(ROWS).splitlines()
    assert header.split() == ["system", "quantity", "exact", "computed", "error", "tolerance", "passed"]
    assert first.endswith("yes") and second.endswith("NO")
    assert header.index("quantity") == first.index("orbit") == second.index("rate")
    assert as_text([]).split() == header.split()


def test_the_file_is_strict_json(tmp_path):
    target = tmp_path / "v.json"
    write(ROWS, target)
    first, second = json.loads(target.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert first == {
        "system": "β = 0", "quantity": "orbit", "exact": 0.0, "computed": 1e-9, "tolerance": 1e-6, "note": "",
        "error": 1e-9, "passed": True,
    }  # fmt: skip
    assert second["computed"] is None and second["passed"] is False and second["note"] == "a note"


@pytest.mark.parametrize("name", ["v.json", "v.txt", "none/v.json", "folder.json"])
def test_files_that_cannot_be_written_are_refused(tmp_path, name):
    (tmp_path / "v.json").write_text("mine")
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InputError, match="output"):
        write(ROWS, tmp_path / name)
    assert (tmp_path / "v.json").read_text() == "mine"
    write(ROWS, tmp_path / "v.json", overwrite=True)
    assert len(json.loads((tmp_path / "v.json").read_text(encoding="utf-8"))) == 2
