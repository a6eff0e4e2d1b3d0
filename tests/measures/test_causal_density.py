"""Laws of positions: running sums over cells against closed forms, the bidirectional model, clouds and tokens."""

from itertools import pairwise

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.config import load_config
from fpsolve.models import CausalAttention, SelfAttention, UnnormalisedSelfAttention
from fpsolve.theory import mode_strength, retrieval_profile

LAW = fp.initial.von_mises_fisher([0.3, -0.5, 1.0], 2.0)
OTHER = fp.initial.von_mises_fisher([1.0, 0.0, 0.0], 1.0)
RING = fp.initial.von_mises_fisher([0.3, 1.0], 1.0)
FEW = {"t_end": 0.2, "dt": 0.1, "lmax": 15, "measure": "causal_density"}


@pytest.mark.parametrize(
    ("kind", "bidirectional"), [("usa", UnnormalisedSelfAttention(2.0, 2.0)), ("sa", SelfAttention(2.0))]
)
@pytest.mark.parametrize("law", [LAW, RING])
def test_one_position_is_the_bidirectional_model_to_the_bit(kind, bidirectional, law):
    ds = fp.solve(CausalAttention(2.0, decay=0.0, kind=kind), fp.initial.prompt(law, 1), **FEW)
    assert np.array_equal(ds.moments, fp.solve(bidirectional, law, **{**FEW, "measure": "density"}).moments)


@pytest.mark.parametrize("law", [LAW, RING])
def test_one_law_at_all_positions_under_the_uniform_past_is_bidirectional_at_first(law):
    """μ̄_s = μ for every s at t = 0, and so for ever: all positions go the way of the bidirectional model."""
    ds = fp.solve(CausalAttention(2.0, decay=0.0, kind="sa"), fp.initial.prompt(law, 4), **FEW)
    whole = fp.solve(SelfAttention(2.0), law, **{**FEW, "measure": "density"})
    assert np.abs(ds.moments - whole.moments).max() < 1e-12


@pytest.mark.parametrize("decay", [0.0, 3.0])
def test_the_uniform_state_rests(decay):
    for d in (2, 3):
        start = fp.initial.prompt(fp.initial.uniform(d), 8)
        ds = fp.solve(CausalAttention(3.0, decay=decay, window=0.4), start, **FEW)
        assert ds.overlap.max() < 1e-24


def test_other_models_see_all_positions_alike():
    """μ is the mean of the cells: a model without a mask moves it as one density."""
    mixed = fp.initial.mixture([LAW, OTHER])
    ds = fp.solve(SelfAttention(2.0), fp.initial.prompt([LAW, OTHER], 4), **FEW)
    assert (
        np.abs(ds.moments - fp.solve(SelfAttention(2.0), mixed, **{**FEW, "measure": "density"}).moments).max() < 1e-6
    )


@pytest.mark.parametrize("mask", [{"decay": 0.0}, {"decay": 4.0}, {"decay": 0.0, "window": 0.3}])
@pytest.mark.parametrize("kind", ["usa", "sa"])
def test_cells_and_their_quadrature_clouds_go_together(mask, kind):
    start, few = fp.initial.prompt([LAW, OTHER], 8), {"t_end": 0.2, "dt": 0.1, "lmax": 23, "rtol": 1e-8}
    if "window" in mask:
        start = fp.initial.prompt([LAW, OTHER], 10)  # the window's end is no middle, where clouds see all or nothing
        mask = {**mask, "window": 0.35}
    cells = fp.solve(CausalAttention(1.5, kind=kind, **mask), start, measure="causal_density", **few)
    points = fp.solve(CausalAttention(1.5, kind=kind, own_weight=0.5, **mask), start, measure="cloud", **few)
    assert np.abs(cells.moments - points.moments).max() < 1e-6


@pytest.mark.parametrize(("own", "order"), [(None, 2.0), (0.0, 1.0), (1.0, 1.0)])
def test_the_order_in_the_number_of_cells(own, order):
    """Two laws one after the other, decay 2, the whole mean: half weight is of order two, all or none of order one."""
    ends = []
    for cells in (4, 8, 16, 32):
        model = CausalAttention(2.0, 2.0, kind="sa", own_weight=own)
        few = {"t_end": 0.3, "dt": 0.3, "lmax": 15, "rtol": 1e-7}
        ends.append(
            fp.solve(model, fp.initial.prompt([LAW, OTHER], cells), measure="causal_density", **few).mean_vector
        )
    steps = [float(np.abs(b - a).max()) for a, b in pairwise(ends)]
    assert np.log2(np.array(steps[:-1]) / steps[1:]) == pytest.approx(order, abs=0.35)


def perturbed(cells, at, size, n=1, lmax=16):
    """Uniform on S¹ at all positions but one cell, which has a little of mode n."""
    coefficients = np.zeros((cells, lmax + 1), complex)
    coefficients[:, 0] = 1 / np.sqrt(2 * np.pi)
    coefficients[at, n] = size / np.sqrt(2 * np.pi)
    return fp.CausalDensity(coefficients, rtol=1e-10, d=2)


@pytest.mark.parametrize("decay", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 2])
def test_a_perturbation_of_one_cell_spreads_by_the_closed_profile(decay, n):
    """g_a(t,σ;σ₀) of 2605.09213 from the linear response of a density; order 2 in 1/P, extrapolated."""
    beta, t, found = 1.7, 0.3, []
    for cells in (45, 135):
        at, here, size = (cells * 3 - 5) // 10, (cells * 7 - 5) // 10, 1e-5  # about σ₀ = 0.3 and σ = 0.7
        start = perturbed(cells, at, size, n)
        model = CausalAttention(beta, decay)
        *_, (_, last) = fp.run(model, start, fp.BrownianPath(0), t_end=t, dt=t, scheme="rk4")
        response = last.coefficients[here, n].real * np.sqrt(2 * np.pi) / size * cells
        source, sigma = start.positions[at], start.positions[here]
        found.append(response / retrieval_profile(t, source, mode_strength(n, beta), decay, sigma) - 1)
    assert abs(found[0]) < 6e-3
    assert found[0] / found[1] == pytest.approx(9, rel=0.25)  # order 2: the profile is the limit


def test_tokens_come_to_it_at_one_over_n():
    """Displacement of the last quarter, over 500 ensembles of N tokens of two laws: a bias of order 1/N.

    Over all positions it would be log N/N: position s has s N tokens before it.
    """
    start, model = fp.initial.prompt([LAW, OTHER], 64), CausalAttention(2.0, 0.0, kind="sa", own_weight=0.5)
    first = fp.CausalDensity.from_law(start, lmax=15, rtol=1e-6)
    limit = moved(model, first, lambda m: m.position_means)[48:].mean(axis=0)[2]
    biases, errors = [], []
    for n in (8, 32):
        drawn = [fp.initial.samples(start, n, seed=1, member=k) for k in range(500)]
        clouds = [fp.Cloud.from_law(one, lmax=4, rtol=1e-3) for one in drawn]
        ends = np.array([moved(model, cloud, lambda m: m.x)[3 * n // 4 :].mean(axis=0)[2] for cloud in clouds])
        biases.append(ends.mean() - limit)
        errors.append(ends.std() / np.sqrt(len(ends)))
    assert abs(biases[0]) > 4 * errors[0]
    assert abs(8 * biases[0] - 32 * biases[1]) < 4 * np.hypot(8 * errors[0], 32 * errors[1])
    assert abs(biases[1]) < 0.5 * abs(biases[0])


def moved(model, measure, of):
    """What a run over t = 0.4 has changed."""
    *_, (_, last) = fp.run(model, measure, fp.BrownianPath(0), t_end=0.4, dt=0.4, scheme="rk4")
    return of(last) - of(measure)


def test_a_run_goes_on_from_its_checkpoint_to_the_bit(tmp_path):
    start, model = fp.initial.prompt([LAW, OTHER], 4), CausalAttention(2.0, kind="sa")
    whole = fp.solve(model, start, **FEW, save_density=True)
    fp.solve(model, start, **{**FEW, "t_end": 0.1}, save_density=True, checkpoint=tmp_path / "a.ckpt")
    again = fp.solve(model, start, **FEW, save_density=True, checkpoint=tmp_path / "a.ckpt")
    assert whole.equals(again)


@pytest.mark.parametrize("transport", ["krylov", "midpoint"])
def test_other_flows_move_the_cells_alike(transport):
    start, model = fp.initial.prompt([LAW, OTHER], 4), CausalAttention(2.0, kind="sa")
    one, other = (fp.solve(model, start, **FEW, transport=name) for name in ("chebyshev", transport))
    assert np.abs(one.moments - other.moments).max() < 1e-5


@pytest.mark.parametrize("cells", [0, 3, 2.5, True])
def test_cells_that_do_not_fit_the_laws_are_refused(cells):
    with pytest.raises(fp.errors.InputError, match="cells"):
        fp.initial.prompt([LAW, OTHER], cells)


def test_what_has_no_positions_is_refused():
    for measure in ("density", "half_density", "log_density"):
        with pytest.raises(fp.errors.InputError, match="positions"):
            fp.solve(SelfAttention(1.0), fp.initial.prompt(LAW, 4), t_end=0.1, dt=0.1, measure=measure)
    with pytest.raises(fp.errors.InputError, match="no density"):
        fp.solve(CausalAttention(1.0), fp.initial.samples(LAW, 5, 1), t_end=0.1, dt=0.1, measure="causal_density")
    with pytest.raises(fp.errors.InputError, match="positions"):
        fp.solve(CausalAttention(1.0), LAW, t_end=0.1, dt=0.1, measure="causal_density", on_underresolved="cloud")


def test_coefficients_of_no_degree_and_of_another_mass_are_refused():
    good = fp.CausalDensity.from_law(fp.initial.prompt(LAW, 2), lmax=7, rtol=1e-6).coefficients
    for bad in (good[0], good[:, :-1], 2 * good, good * np.nan):
        with pytest.raises(fp.errors.InputError) as refused:
            fp.CausalDensity(bad)
        assert refused.value.argument == "coefficients"


def test_a_configuration_says_the_same(tmp_path):
    text = """
    [model]
    name = "CausalAttention"
    beta = 2.0
    kind = "sa"
    window = 0.5

    [initial]
    name = "prompt"
    cells = 4

    [[initial.laws]]
    name = "von_mises_fisher"
    mean = [0.3, -0.5, 1.0]
    kappa = 2.0

    [[initial.laws]]
    name = "von_mises_fisher"
    mean = [1.0, 0.0, 0.0]
    kappa = 1.0

    [solve]
    t_end = 0.2
    dt = 0.1
    lmax = 15
    measure = "causal_density"
    """
    (tmp_path / "a.toml").write_text(text)
    ds = load_config(tmp_path / "a.toml").solve()
    model = CausalAttention(2.0, kind="sa", window=0.5)
    assert ds.equals(fp.solve(model, fp.initial.prompt([LAW, OTHER], 4), **FEW))


def test_overlaps_of_positions_average_to_the_overlap_and_are_drawn():
    ds = fp.solve(CausalAttention(2.0, kind="sa"), fp.initial.prompt([LAW, OTHER], 4), **FEW)
    assert np.abs(ds.position_overlap.mean("position") - ds.overlap).max() < 1e-14
    assert np.abs(ds.position_mean.mean("position") - ds.mean_vector).max() < 1e-14
    assert np.array_equal(ds.position, [0.125, 0.375, 0.625, 0.875])
    titles = [axes.get_title(loc="left") for axes in fp.plot.observables(ds).axes]
    assert any(title.startswith("overlap of positions") for title in titles)
    tokens = fp.initial.samples(fp.initial.prompt([LAW, OTHER], 4), 6, seed=1)
    few = fp.solve(CausalAttention(2.0, kind="sa"), tokens, t_end=0.1, dt=0.1, measure="cloud", save_points=True)
    assert np.abs(few.position_mean.values - few.points.values).max() < 1e-15


def test_a_sum_acts_on_each_position():
    """Twice half the attention is the attention."""
    half, whole = (CausalAttention(2.0, kind="sa", value=v) for v in (0.5, 1.0))
    start = fp.initial.prompt([LAW, OTHER], 4)
    assert np.abs(fp.solve(half + half, start, **FEW).moments - fp.solve(whole, start, **FEW).moments).max() < 1e-12
