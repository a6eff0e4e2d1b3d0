"""What is around a run takes sums as it takes models: configurations, sweeps, ensembles, zoom, checkpoints, compare."""

import json
import tomllib

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.comparison import compare
from fpsolve.comparison.routes import model_energy
from fpsolve.config import ConfigError, load_config, parse_config
from fpsolve.errors import InputError
from fpsolve.models import (
    DeepStochasticTransformer,
    DrawnHeads,
    Homogenized,
    ScalarNoise,
    SelfAttention,
    Sum,
    SynchronisationByNoise,
)
from fpsolve.plain import from_plain, to_plain
from fpsolve.plain.differences import differences
from fpsolve.plot.heading import heading
from fpsolve.solving import prepare
from fpsolve.zooming import zoom

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
RUN = {"t_end": 0.08, "dt": 0.04, "path_cell": 0.04, "lmax": 9}
MLP = SynchronisationByNoise(1.0, "tanh", value=0.0, noise=0.5, noise_lmax=8)
BLOCK = SelfAttention(2.0) + MLP

TOML = """
[[model]]
name = "SelfAttention"
beta = 2.0

[[model]]
name = "SynchronisationByNoise"
beta = 1.0
activation = "tanh"
value = 0.0
noise = 0.5
noise_lmax = 8

[initial]
name = "von_mises_fisher"
mean = [0.3, -0.5, 1.0]
kappa = 2.0

[solve]
t_end = 0.08
dt = 0.04
path_cell = 0.04
lmax = 9
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text(TOML)
    return path


def test_a_list_of_models_is_their_sum(file):
    config = load_config(file)
    assert config.model == BLOCK
    assert config.solve().identical(fp.solve(BLOCK, LAW, **RUN))
    one = tomllib.loads(TOML)
    one["model"] = one["model"][:1]
    assert parse_config(one).model == Sum((SelfAttention(2.0),))


def test_terms_are_set_by_number(file):
    config = load_config(file, ["model.0.beta=3", "model.1.activation=erf", "solve.lmax=11"])
    assert config.model.terms[0] == SelfAttention(3.0) and config.model.terms[1].activation == "erf"
    for text, words in (
        ("model.2.beta=3", "set = 'model.2'.*list of 2 tables"), ("model.beta=3", "set = 'model.beta'"),
        ("model.0.betta=3", "model.0.betta.*did you mean 'beta'"), ("model.0.beta=-1", "model.0.beta = -1"),
        ("0.beta=3", "table.key=value"), ("model.1.draws=0", "model.1.draws = 0"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            load_config(file, [text])
    raw = tomllib.loads(TOML) | {"model": [{"name": "ModifiedBallistic", "beta": 1.0}, {"name": "SelfAttention"}, 3]}
    with pytest.raises(ConfigError) as refused:
        parse_config(raw)
    assert [error.argument for error in refused.value.errors] == ["model.1.beta", "model.2.name"]
    raw["model"][1:] = [{"name": "SelfAttention", "beta": 1.0}]
    with pytest.raises(InputError, match="model = 'ModifiedBallistic'"):
        parse_config(raw)


def test_sweeps_of_terms(file):
    file.write_text(TOML + "\n[ensemble]\nmembers = 2\n[sweep]\nmodel.0.beta = [1.0, 2.0]\nmodel.1.noise = [0, 0.5]\n")
    config = load_config(file)
    assert config.sweep == {"model.0.beta": [1.0, 2.0], "model.1.noise": [0, 0.5]}
    with pytest.raises(InputError, match=r"\[sweep\] gives values of model.0.beta"):
        load_config(file, ["model.0.beta=3"])
    ds = fp.ensemble(BLOCK, LAW, members=2, sweep=config.sweep, progress=False, **RUN)
    assert ds["model.0.beta"].values.tolist() == [1.0, 2.0] and ds["model.1.noise"].values.tolist() == [0.0, 0.5]
    for i, beta in enumerate((1.0, 2.0)):
        for j, noise in enumerate((0.0, 0.5)):
            model = SelfAttention(beta) + MLP.changed(noise=noise)
            alone = fp.solve(model, LAW, member=1, **RUN)
            one = ds.isel({"model.0.beta": i, "model.1.noise": j, "member": 1})
            np.testing.assert_array_equal(one.mean_vector, alone.mean_vector)
    both = fp.ensemble(BLOCK, LAW, members=1, sweep={"beta": [0.5, 3.0]}, progress=False, **RUN)
    model = SelfAttention(3.0) + MLP.changed(beta=3.0)
    np.testing.assert_array_equal(both.isel(beta=1, member=0).overlap, fp.solve(model, LAW, **RUN).overlap)
    for key, words in (("model.2.beta", "model.2"), ("model.0.noise", "model.0.noise"), ("gamma", "gamma")):
        with pytest.raises(InputError, match=words):
            fp.ensemble(BLOCK, LAW, members=1, sweep={key: [1.0, 2.0]}, progress=False, **RUN)


def test_plain_data_and_differences():
    assert from_plain(to_plain(BLOCK), fp.MODELS, "model") == BLOCK
    other = to_plain(SelfAttention(3.0) + MLP)
    assert differences({"model": to_plain(BLOCK)}, {"model": other}) == {"model.models.0.beta": (2.0, 3.0)}
    shorter = to_plain(Sum((SelfAttention(2.0),)))
    assert list(differences(to_plain(BLOCK), shorter)) == ["models"]


def test_checkpoints_go_on(tmp_path):
    """Stopped after the first of two steps, drawn weights and two noises included; another model is refused."""
    model = DrawnHeads(2.0, heads=2) + MLP
    whole = fp.solve(model, LAW, **RUN)
    job, asked = prepare(model, LAW, **RUN), iter([False, True])
    with pytest.raises(fp.errors.Interrupted):
        job.run(checkpoint=tmp_path / "a.ckpt", stop=lambda: next(asked))
    with pytest.raises(InputError, match=r"model.models.0.heads"):
        fp.solve(DrawnHeads(2.0, heads=3) + MLP, LAW, checkpoint=tmp_path / "a.ckpt", **RUN)
    assert fp.solve(model, LAW, checkpoint=tmp_path / "a.ckpt", **RUN).identical(whole)


def test_zoom_into_a_sum():
    """The flow of a run of noise and attention, and a member of an ensemble by its recipe: as the model with both."""
    noise = DeepStochasticTransformer(1.0)
    whole, parts = noise.changed(drift=0.7), SelfAttention(1.0, value=0.7) + noise
    cloud = {**RUN, "measure": "cloud", "save_flow": True, "save_points": True}
    one, other = (zoom(fp.solve(model, LAW, **cloud), [0.2, -0.4, 1.0], 0.3, n=8) for model in (whole, parts))
    np.testing.assert_allclose(one.density, other.density, rtol=1e-9)
    members = fp.ensemble(parts, LAW, members=2, progress=False, **{**RUN, "measure": "cloud"})
    here = zoom(members.isel(member=1), [0.2, -0.4, 1.0], 0.3, n=8)
    alone = zoom(fp.solve(parts, LAW, member=1, **{**RUN, "measure": "cloud"}), [0.2, -0.4, 1.0], 0.3, n=8)
    np.testing.assert_array_equal(here.density, alone.density)


def test_compare_takes_a_sum():
    """A whole block: routes, and the chain of its layers by name."""
    block = Homogenized(2.0, noise=0.7) + MLP
    few = {"tokens": (32, 400, 1200), "samples": 3, "lmax": 11, "members": 3, "wasserstein_cells": 0, "progress": False}
    short = {"t_end": 0.25, "dt": 0.125, "path_cell": 0.125, "seed": 4}
    ds = compare(block, LAW, **short, **few, transformer={"n": 6, "depth": 8})
    assert set(ds.route.values) == {"density", "cloud", "tokens"}
    assert json.loads(ds.attrs["fpsolve_config"])["model"]["name"] == "Sum"
    assert model_energy(Homogenized(2.0) + MLP, fp.Density.from_law(LAW, lmax=9, rtol=1e-8)) is None  # β = 2 and 1
    assert any("transformer" in str(name) for name in ds.variables)  # it has a chain


@pytest.mark.filterwarnings("ignore::fpsolve.errors.UnderResolvedWarning")
@pytest.mark.parametrize("reading", ["ito", "layers"])
def test_scalar_noise_on_every_measure(reading):
    """Matrices A and V, a drift beside it: densities of all kinds against a cloud."""
    A = [[1.0, 0.3, 0.0], [-0.2, 0.8, 0.1], [0.0, 0.4, 1.1]]
    noise = ScalarNoise(1.2, value=[[1, 0, 0.2], [0, 1, 0], [0, -0.3, 1]], key_query=A, noise=0.7, reading=reading)
    run = {"t_end": 0.08, "dt": 0.04, "path_cell": 0.04, "lmax": 31, "rtol": 1e-9, "seed": 2}
    starts = {one: LAW for one in fp.MEASURES if "zonal" not in one} | {"causal_density": fp.initial.prompt(LAW, 2)}
    runs = [fp.solve(SelfAttention(1.2) + noise, law, measure=one, **run) for one, law in starts.items()]
    for one in runs[1:]:
        np.testing.assert_allclose(one.mean_vector, runs[0].mean_vector, atol=2e-7)
    still = fp.solve(SelfAttention(1.2), LAW, **{**run, "scheme": "lie_euler"})
    assert np.abs(still.mean_vector - runs[0].mean_vector).max() > 1e-2


def test_the_heading_of_a_picture_names_the_terms():
    text = heading(fp.solve(BLOCK, LAW, **RUN))
    assert text.startswith("SelfAttention, β = 2") and " + SynchronisationByNoise, β = 1" in text
