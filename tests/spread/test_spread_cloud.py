"""One cloud in blocks, on one rank: what it says against the cloud as a whole, and against sums over all pairs."""

import numpy as np
import pytest

import fpsolve as fp
from fpsolve.attention.direct import PointSource
from fpsolve.ensembles.comm import Serial
from fpsolve.errors import InputError
from fpsolve.measures.cloud import Cloud
from fpsolve.observe.free_energy import energy_variables
from fpsolve.observe.quantities import mean_potential
from fpsolve.schemes import SCHEMES
from fpsolve.sphere.scattered import SpherePoints
from fpsolve.spread.cloud import spread
from fpsolve.spread.drawing import built, drawn_later
from fpsolve.spread.recording import SpreadContext, potential
from fpsolve.spread.share import FEW, MOST, Share, block_size
from fpsolve.spread.solving import looked_at, prepared
from fpsolve.stepping import Stepper

N = 9001
VMF = fp.initial.von_mises_fisher([1, 2, 2], 2.0)
PATH = fp.BrownianPath(5)


def both(law=VMF, n=N, rtol=1e-6):
    """The tokens as one cloud, and in blocks."""
    share = Share(Serial(), n)
    whole = Cloud.from_law(fp.initial.samples(law, n, 3), lmax=63, rtol=rtol)
    return whole, built(drawn_later(law, n, 3), n, rtol, share)


class Ranks(Serial):
    def __init__(self, rank, size):
        self.rank, self.size = rank, size


@pytest.mark.parametrize("count", [1, 4096, 4097, 10**6, 10**8, 10**10])
def test_blocks_depend_on_the_number_of_points_alone_and_have_one_rank_each(count):
    size = block_size(count)
    assert size % 4096 == 0 and -(-count // size) <= max(FEW, min(MOST, count // 65536 + 1))
    for ranks in (1, 2, 7):
        shares = [Share(Ranks(rank, ranks), count) for rank in range(ranks)]
        assert [block for share in shares for block in share.owned] == list(range(shares[0].blocks))
        ends = [share.points.stop for share in shares if share.owned]
        assert ends[-1] == count
        for share in shares:
            assert sum(part.stop - part.start for part in share.parts) == share.points.stop - share.points.start


@pytest.mark.parametrize(
    "law",
    [
        VMF,
        fp.initial.uniform(),
        fp.initial.von_mises_fisher([1, 1], 3.0),
        fp.initial.mixture([VMF, fp.initial.band([0, 0, 1])], [0.3, 0.7]),
    ],
)
def test_tokens_drawn_in_parts_are_those_drawn_at_once(law):
    tokens, later = fp.initial.samples(law, 1000, 3, 7), drawn_later(law, 1000, 3, 7)
    parts = [later.rows(start, min(start + 333, 1000)) for start in range(0, 1000, 333)]
    assert np.abs(np.concatenate(parts) - tokens.x).max() < 1e-15
    assert later.recipe == tokens.recipe


@pytest.mark.parametrize("interval", [(0.0, 0.01), (0.0025, 0.005), (0.04, 0.08)])
@pytest.mark.parametrize("first", [0, 1, 6])
def test_later_channels_are_those_of_all(interval, first):
    whole = PATH.increment(*interval, 20, "tokens")
    assert np.array_equal(PATH.later_increment(*interval, first, 9, "tokens"), whole[first : first + 9])


MODELS = {
    "rk4": (fp.models.SelfAttention(2.0), 3),
    "matrix": (fp.models.SelfAttention(1.5, key_query=[[1, 0.2, 0], [0, 1, 0], [0, 0, -1]]), 3),
    "lie_euler": (fp.models.Homogenized(2.0, noise=0.5, noise_lmax=12), 3),
    "heun": (fp.models.IsotropicFlow(np.full(9, 0.1), noise=0.5), 3),
    "own noise": (fp.models.NoisyTransformer(2.0, diffusion=0.2), 3),
    "sum": (fp.models.SelfAttention(1.0) + fp.models.IsotropicFlow(np.full(5, 0.1), noise=0.3), 3),
    "circle": (fp.models.SelfAttention(2.0), 2),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_step_is_that_of_the_whole_cloud(name):
    model, d = MODELS[name]
    whole, blocks = both(VMF if d == 3 else fp.initial.von_mises_fisher([1, 1], 2.0))
    usual = "lie_euler" if model.is_stochastic else "rk4"
    stepper = Stepper(model, PATH, 0.01, SCHEMES[name if name in SCHEMES else usual])
    one, other = stepper(whole, 3), stepper(blocks, 3)
    assert np.abs(one.x - other.x).max() < 1e-13
    assert np.abs(one.mean - other.mean).max() < 1e-13 and abs(one.mass - other.mass) < 1e-13


def test_characteristics_carry_the_density_of_the_whole_cloud():
    whole = Cloud.from_law(VMF, lmax=63, rtol=1e-6)
    blocks = spread(whole, Share(Serial(), len(whole.x)))
    model = fp.models.SelfAttention(2.0)
    one, other = (SCHEMES["rk4"].step(model, cloud, PATH, 0.0, 0.5) for cloud in (whole, blocks))
    assert len(blocks.share.parts) > 1
    assert np.abs(one.log_density - other.log_density).max() < 1e-12
    assert other.entropy == pytest.approx(one.entropy, abs=1e-13)


def test_where_moments_cancel_all_points_are_summed():
    _, blocks = both(fp.initial.von_mises_fisher([0, 0, 1], 200.0))
    direct = PointSource(blocks.x, blocks.weights)
    g = 9.0 * np.array([[0, 0, 1], [0, 0, -1], [0.6, 0, -0.8], [0, 1.0, 0]])
    for route in (blocks.source.points, blocks.source):
        log_m, f = route.evaluate(g)
        exact, F = direct.evaluate(g)
        assert np.abs(log_m - exact).max() < 1e-9 and np.abs(f - F).max() < 1e-9
    second, exact = blocks.source.points.second(g), direct.second(g)
    assert all(np.abs(a - b).max() < 1e-12 for a, b in zip(second, exact, strict=True))

    class Sites:
        points, shape = SpherePoints(g / 9.0), (4,)

    smooth, _ = blocks.source.log_M_smooth(9.0, Sites, 9.0)
    assert np.abs(smooth - exact[0]).max() < 1e-5


def test_a_concentrated_cloud_of_large_beta_moves_as_the_whole_one_to_rtol():
    whole, blocks = both(fp.initial.von_mises_fisher([0, 0, 1], 60.0), 5000)
    model = fp.models.SelfAttention(9.0)
    one, other = (SCHEMES["rk4"].step(model, cloud, PATH, 0.0, 0.04) for cloud in (whole, blocks))
    assert np.abs(one.x - other.x).max() < 1e-6


def test_energies_of_matrices_by_moments_are_those_of_pairs():
    whole, blocks = both()
    heads = [(0.7, 1.0), (1.0, np.array([[1, 0.2, 0], [0, 1, 0], [0, 0, -1.0]]))]

    class Saved:
        beta, interaction = 2.5, heads

    exact = energy_variables(whole, 2.5, heads)
    found = SpreadContext(Saved, blocks).energies
    assert exact.keys() == found.keys()
    for name in exact:
        assert found[name] == pytest.approx(exact[name], rel=1e-11), name


def test_the_potential_is_that_of_all_points():
    model = fp.models.PerceptronDrift([[1.0, 0.5, 0], [0, 0.2, 1.0]], [1.0, -0.5])
    whole, blocks = both()
    assert potential(blocks, model) == pytest.approx(mean_potential(whole, model), abs=1e-14)
    assert potential(blocks, fp.models.SelfAttention(1.0)) is None


def test_what_asks_for_all_points_is_refused_by_name():
    _, blocks = both()
    for ask in (lambda: blocks.sites, lambda: blocks.masses, blocks.quadrature, lambda: blocks.placed(blocks.x)):
        with pytest.raises(InputError, match="known to 1 ranks, a part to each"):
            ask()


TOKENS = drawn_later(VMF, N, 3)
ATTENTION = fp.models.SelfAttention(1.0)
REFUSED = {
    "measure": (ATTENTION, TOKENS, {"measure": "density"}, "only clouds are split"),
    "scheme": (ATTENTION, TOKENS, {"scheme": "geodesic_euler"}, "velocities at all points"),
    "model": (fp.models.DrawnHeads(1.0, heads=2), TOKENS, {"scheme": "rk4"}, "'DrawnHeads': its fields"),
    "term": (ATTENTION + fp.models.LowTemperatureLimit(), TOKENS, {}, "'LowTemperatureLimit': its fields"),
    "matrix": (fp.models.DeepStochasticTransformer(1.0, key_query=np.eye(3).tolist()), TOKENS, {}, "a matrix A"),
    "d": (ATTENTION, drawn_later(fp.initial.uniform(5), N, 3), {}, "'d = 5': there are moments for d = 2 and 3"),
    "labels": (ATTENTION, fp.initial.points(np.eye(3), labels=[1, 2, 3]), {}, "positions of a sequence"),
    "save_flow": (ATTENTION, VMF, {"save_flow": True}, "is not kept"),
    "observe": (ATTENTION, TOKENS, {"observe": {"height": lambda measure: 1.0}}, "which no rank has"),
    "dt": (ATTENTION, TOKENS, {"dt": 0.03}, "not a whole number of steps"),
    "rtol": (ATTENTION, TOKENS, {"rtol": 2.0}, "rtol = 2.0"),
    "lmax": (ATTENTION, TOKENS, {"lmax": 31}, "tokens have no degree"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_split_is_refused_before_computing(what):
    model, initial, more, said = REFUSED[what]
    with pytest.raises(InputError, match=said):
        looked_at(model, initial, {"t_end": 0.1, "dt": 0.1, "measure": "cloud", **more})


def test_more_ranks_than_blocks_are_refused():
    with pytest.raises(InputError, match="9001 points make 3 blocks of 4096"):
        Share(Ranks(0, 4), N).check()


def test_a_job_records_what_a_run_of_one_process_would():
    how = {"t_end": 0.1, "dt": 0.1, "measure": "cloud"}
    job = prepared(ATTENTION, TOKENS, how, Serial())
    ds = fp.solve(ATTENTION, fp.initial.samples(VMF, N, 3), **how)
    assert set(job.recorder(job.state)) == set(ds.data_vars)
    assert job.config == prepared(ATTENTION, fp.initial.samples(VMF, N, 3), how, Serial()).config
