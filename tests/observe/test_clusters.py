"""Clusters by single linkage against SciPy's own hierarchy, known configurations, and the closed time of two tokens."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

import fpsolve as fp
from fpsolve.errors import InputError
from fpsolve.observe.clustering import NEAREST, TOLERANCE, linked


def groups(seed, sizes, d, width):
    """Points about random far centres, and the centre of each."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(d, d)))[0]
    of = np.repeat(np.arange(len(sizes)), sizes)
    x = np.concatenate([centres, -centres])[of] + width * rng.normal(size=(len(of), d))
    order = rng.permutation(len(of))
    return (x / np.linalg.norm(x, axis=1, keepdims=True))[order], of[order]


def circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], -1)


@pytest.mark.parametrize("tolerance", [3e-3, 1e-2, 3e-2, 0.1])
@pytest.mark.parametrize(("d", "width"), [(2, 0.002), (3, 0.01), (3, 1e-12), (3, 0.5), (6, 0.03)])
def test_the_clusters_are_those_of_single_linkage(d, width, tolerance):
    x, _ = groups(1, (40, 200, 3) if d > 2 else (40, 200, 3, 60), d, width)
    whole = fcluster(linkage(x), 2 * np.sin(tolerance / 2), "distance")
    expected = [np.flatnonzero(whole == one)[0] for one in whole]
    assert np.array_equal(linked(x, tolerance), expected)


def test_crowds_that_no_nearest_neighbour_links_are_one():
    """Many points at either end of a link: their nearest neighbours are all on their own side."""
    crowd = 1e-5 * np.arange(3 * NEAREST)
    x = circle(np.concatenate([crowd, crowd + 0.009]))
    assert len(set(linked(x, 0.01))) == 1
    assert len(set(linked(x, 0.005))) == 2


def test_known_clusters_with_masses():
    x, of = groups(2, (5, 20, 1), 5, 1e-4)
    ds = fp.clusters(x)
    assert ds.clusters == 3
    for one in range(3):
        assert set(ds.label.values[of == one]) == {np.flatnonzero(of == one)[0]}
    assert ds.squared_masses == pytest.approx((25 + 400 + 1) / 26**2, rel=1e-14)
    large = fp.clusters(x, share=0.1)
    assert large.clusters == 2
    assert np.array_equal(large.label.values == -1, of == 2)
    assert fp.clusters(x, tolerance=np.pi).clusters == 1
    assert fp.clusters(circle(np.arange(5) * 0.02)).clusters == 5
    chain = circle(np.arange(5) * 0.009)
    assert fp.clusters(chain).clusters == 1, "a chain is one cluster"
    assert fp.clusters(chain, weights=[1, 1, 0, 1, 1]).clusters == 2, "points without mass link nothing"


def test_the_angle_is_an_angle():
    for angle in (1e-6, 0.01, 1.0, 3.0):
        x = circle(np.array([0.3, 0.3 + angle]))
        assert fp.clusters(x, tolerance=angle * (1 + 1e-6)).clusters == 1
        assert fp.clusters(x, tolerance=angle * (1 - 1e-6)).clusters == 2


def test_mergings_say_when_and_which():
    early, late = [0.0, 1.0, 1.5, 3.0], [0.0, 1.0, 1.004, 3.0]
    ds = fp.clusters(np.stack([circle(np.array(a)) for a in (early, late, [1.0, 1.0, 1.0, 3.0], early)]))
    assert list(ds.clusters) == [4, 3, 2, 4]
    rows = zip(*(ds[f"merged_{name}"].values for name in ("after", "before", "cluster", "into")), strict=True)
    assert list(rows) == [(0, 1, 2, 1), (1, 2, 1, 0)]


@pytest.mark.parametrize("kind", ["sa", "usa"])
def test_two_tokens_merge_at_the_closed_time(kind):
    model = {"sa": fp.models.SelfAttention, "usa": fp.models.UnnormalisedSelfAttention}[kind](3.0)
    exact = fp.theory.equiangular_time(0.2, np.cos(TOLERANCE), 3.0, 2, kind)
    ds = fp.solve(
        model, fp.initial.simplex(2, 0.2, 7), measure="cloud", t_end=2 * exact, dt="auto", save_every=exact / 50,
        rtol=1e-9, save_points=True,
    )  # fmt: skip
    found = fp.clusters(ds)
    assert found.sizes["merging"] == 1
    assert found.merged_after[0] <= exact * (1 + 1e-6)
    assert found.merged_before[0] >= exact * (1 - 1e-6)
    assert np.array_equal(ds.clusters, found.clusters)
    assert np.array_equal(ds.clusters, np.where(ds.time < found.merged_before[0], 2, 1))


def test_who_has_them():
    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    run = {"t_end": 0.02, "dt": 0.02, "lmax": 8}
    assert "clusters" not in fp.solve(fp.models.SelfAttention(1.0), law, **run)
    cloud = fp.solve(fp.models.SelfAttention(1.0), law, **run, measure="cloud", save_points=True)
    assert np.array_equal(cloud.clusters, fp.clusters(cloud).clusters)
    assert fp.clusters(fp.Cloud.from_law(law, lmax=8, rtol=1e-6)).clusters == cloud.clusters[0]
    assert fp.clusters(fp.initial.points([[1.0, 0, 0], [1.0, 0, 0]])).clusters == 1


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("state", lambda: fp.clusters([[2.0, 0.0]])),
        ("state", lambda: fp.clusters([[np.nan, 0.0]])),
        ("state", lambda: fp.clusters([1.0, 0.0])),
        ("state", lambda: fp.clusters(fp.Density.from_law(fp.initial.uniform(), lmax=4, rtol=1e-6))),
        ("tolerance", lambda: fp.clusters([[1.0, 0.0]], tolerance=0.0)),
        ("tolerance", lambda: fp.clusters([[1.0, 0.0]], tolerance=4.0)),
        ("share", lambda: fp.clusters([[1.0, 0.0]], share=2.0)),
        ("weights", lambda: fp.clusters([[1.0, 0.0]], weights=[1.0, 2.0])),
        ("weights", lambda: fp.clusters(fp.initial.points([[1.0, 0.0]]), weights=[1.0])),
    ],
)
def test_refused(argument, call):
    with pytest.raises(InputError) as error:
        call()
    assert error.value.argument == argument
