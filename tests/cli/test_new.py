"""``fpsolve new``: a configuration for every model, that runs, says what its keys are, and names the defaults."""

import re
import tomllib
import warnings
from itertools import pairwise

import pytest
from typer.testing import CliRunner

import fpsolve as fp
from fpsolve.cli import app
from fpsolve.cli.templates import _described, template
from fpsolve.config import load_config, parse_config
from fpsolve.plain.schema import parameters
from fpsolve.settings import SETTINGS


def called(*arguments):
    return CliRunner().invoke(app, ["new", *map(str, arguments)])


@pytest.mark.parametrize("name", fp.MODELS)
def test_every_model_runs_as_it_is_written(name, tmp_path):
    path = tmp_path / "run.toml"
    done = called(name, "-o", path)
    assert (done.exit_code, done.output) == (0, f"wrote {path}; run it: fpsolve run {path}\n")
    described = load_config(path, ["solve.t_end=0.02", "solve.save_every=0.01"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds = described.solve(progress=False)
    assert type(described.model).__name__ == name and ds.sizes["time"] == 3
    assert "density" in ds or "points" in ds


@pytest.mark.parametrize("name", fp.MODELS)
def test_what_stands_behind_a_mark_is_the_default(name):
    """Every key is there once; with all marks taken away it is the same run."""
    text = template(name)
    bare = re.sub(r"^# (?=(?:\w+ = (?!…)|\[))", "", text, flags=re.M)
    assert bare.count("\n") == text.count("\n") and bare != text
    one, other = parse_config(tomllib.loads(text)), parse_config(tomllib.loads(bare))
    assert one.model == other.model and dict(other.extras) == {"ensemble": {"members": 16}}
    for key, value in other.arguments.items():
        assert value == one.arguments.get(key, SETTINGS[key].default), key
    for cls in [type(term) for term in one.model.terms]:
        for key, parameter in parameters(cls).items():
            written = re.search(rf"^(# )?{key} = (.*)$", text, re.M)
            assert written, key
            assert not written[1] or parameter.default is not parameter.empty
    assert {key for key in SETTINGS if key != "observe"} - set(re.findall(r"^(?:# )?(\w+) = ", text, re.M)) <= (
        {"lmax", "rtol", "filter"} if name == "CausalAttention" else set())  # fmt: skip


def test_comments_are_those_of_the_docstrings():
    told = _described(fp.models.SpectralSelection)
    assert told["matrix"] == "S, shape (d, d), symmetric"
    told = _described(fp.models.DeepStochasticTransformer)
    assert told["value_std"] == "deviation of V's entries, 1/√d by default" and told["beta"] == "β ≥ 0"
    text = template("Homogenized")
    assert "# inverse temperature β ≥ 0\nbeta = 2.0\n" in text
    assert ":class:" not in text and "``" not in text and "cite" not in text


def test_a_key_without_a_word_is_seen():
    """All but a few that speak for themselves have a comment."""
    silent = set()
    for name in fp.MODELS:
        lines = template(name).splitlines()
        for before, line in pairwise(lines):
            key = re.match(r"(?:# )?(\w+) = ", line)
            if key and (not before.startswith("# ") or re.match(r"# \w+ = ", before)):
                silent.add(key[1])
    assert silent <= {"name", "mean", "kappa", "x", "labels", "members"}


def test_without_a_file_it_is_printed_and_refusals(tmp_path):
    done = called("SelfAttention")
    assert done.exit_code == 0 and parse_config(tomllib.loads(done.output)).model == fp.models.SelfAttention(2.0)
    refused = called("SelfAtention")
    assert refused.exit_code == 2 and "did you mean 'SelfAttention'?" in refused.output
    (tmp_path / "a.toml").write_text("precious")
    assert called("SelfAttention", "-o", tmp_path / "a.toml").exit_code == 2
    assert (tmp_path / "a.toml").read_text() == "precious"
    assert "is not one of .toml" in called("SelfAttention", "-o", tmp_path / "a.txt").output
