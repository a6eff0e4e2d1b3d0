"""``fpsolve compare``: the configuration, the files, the refusals."""

import pytest

import fpsolve as fp
from fpsolve.cli.comparing import called, compare_config
from fpsolve.config import ConfigError, load_config
from fpsolve.errors import InputError

CONFIG = """
[model]
name = "Homogenized"
beta = 1.0
[initial]
name = "von_mises_fisher"
mean = [0.0, 0.0, 1.0]
kappa = 2.0
[solve]
t_end = 0.02
dt = 0.01
lmax = 15
save_density = true
[compare]
tokens = [16, 64]
samples = 2
members = 2
transformer = {n = 4, heads = 1, depth = 4}
"""


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "case.toml"
    path.write_text(CONFIG)
    return path


def test_it_writes_a_file_and_a_figure_and_prints_a_table(config, capsys):
    target = compare_config(config, None, None, False, ["compare.wasserstein_cells=0"], {"progress": False})
    printed = capsys.readouterr().out
    assert "moments to" in printed and "wrote case-compare.nc and case-compare.png" in printed
    assert (config.parent / "case-compare.png").stat().st_size > 10_000
    ds = fp.load(target)
    assert ds.sizes["member"] == 2 and set(ds["size"].values) == {15, 31, 16, 64}
    with pytest.raises(InputError, match="output"):
        compare_config(config, None, None, False, [], {"progress": False})


def test_arguments_are_those_of_both_tables(config):
    def like(model, initial, *, t_end, dt, lmax=31, seed=0, tokens=(), samples=1, members=2, transformer=True):
        return {key: value for key, value in locals().items() if key not in ("model", "initial")}

    given = called(load_config(config, ["solve.seed=3", "compare.transformer=false"]), "compare", like, samples=5)
    assert given == {"t_end": 0.02, "dt": 0.01, "lmax": 15, "seed": 3, "tokens": [16, 64], "samples": 5,
                     "members": 2, "transformer": False}  # fmt: skip


def test_a_sweep_is_refused(config):
    with pytest.raises(InputError, match="sweep"):
        compare_config(config, None, None, False, ["sweep.model.beta=[1.0, 2.0]"], {"progress": False})


@pytest.mark.parametrize(("change", "argument"), [
    ("compare.sample=3", "compare.sample"),
    ("compare.samples=many", "compare.samples"),
    ("compare.lmax=15", "compare.lmax"),
    ("compare.tokens=big", "compare.tokens"),
])  # fmt: skip
def test_wrong_keys_are_named(config, change, argument):
    with pytest.raises(InputError) as caught:
        load_config(config, [change])
    found = caught.value.errors[0] if isinstance(caught.value, ConfigError) else caught.value
    assert found.argument == argument


def test_wrong_values_are_named_with_their_table(config):
    with pytest.raises(InputError, match=r"^compare\.tokens = "):
        compare_config(config, None, None, False, ["compare.tokens=[64, 16]"], {"progress": False})
    for change, name in (("tokens=[64, 1.5]", "tokens[1]"), ("targets=[0]", "targets[0]"),
                         ("transformer={n = 1}", "transformer.n")):  # fmt: skip
        with pytest.raises(InputError) as caught:
            compare_config(config, None, None, False, [f"compare.{change}"], {"progress": False})
        assert caught.value.argument == f"compare.{name}" and str(caught.value).startswith(f"compare.{name} = ")
    with pytest.raises(InputError, match=r"^solve\.t_end = "):
        compare_config(config, None, None, False, ["solve.t_end=0.025"], {"progress": False})
