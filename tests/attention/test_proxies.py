"""Tiled attention against its twin, the direct sum: accuracy relative to M wherever g points, and bits."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest

from fpsolve._kernels.softmax import softmax_attention, softmax_second
from fpsolve.attention import proxies
from fpsolve.attention.proxies import LEVELS, NODES, REACH, level_for, sorted_into_tiles
from fpsolve.sphere.harmonics import Real

AXIS = np.array([0.6, 0.48, 0.64])
N = 20000


def normalised(x: Real) -> Real:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def sphere(n: int, seed: int = 0) -> Real:
    return normalised(np.random.default_rng(seed).normal(size=(n, 3)))


def cluster(n: int, width: float, axis: Real = AXIS, seed: int = 1) -> Real:
    return normalised(axis + width * np.random.default_rng(seed).normal(size=(n, 3)))


CLOUDS: dict[str, Callable[[], Real]] = {
    "uniform": lambda: sphere(N),
    "broad": lambda: cluster(N, 0.3),
    "tight": lambda: cluster(N, 1e-3),
    "cluster and background": lambda: np.concatenate([cluster(N, 0.03), sphere(N // 10)]),
    "antipodal": lambda: np.concatenate([cluster(N, 0.02), cluster(N, 0.02, -AXIS)]),
    "cube's corner": lambda: cluster(N, 0.01, normalised(np.ones(3))),
}


@pytest.mark.parametrize("radius", [0.5, 4.0, 10.1, 30.0, 120.0, 500.0])
@pytest.mark.parametrize("name", CLOUDS)
def test_agrees_with_its_twin(name: str, radius: float, monkeypatch: pytest.MonkeyPatch) -> None:
    x = CLOUDS[name]()
    w = np.random.default_rng(2).random(len(x)) / len(x)
    tiles = sorted_into_tiles(x, w, level_for(radius))
    g = radius * np.concatenate([sphere(40, 3), AXIS[None], -AXIS[None]])
    expected = softmax_second(g, x, w)
    for prune_from in (0.0, 1e99):
        monkeypatch.setattr(proxies, "PRUNE_FROM", prune_from)
        for found, exact in zip(tiles.attention(g, second=True), expected, strict=True):
            np.testing.assert_allclose(found, exact, rtol=0, atol=1e-10)


def test_worst_place_and_direction_of_a_point_mass() -> None:
    """Coinciding points anywhere in a tile, |g| at the limit of a level: where proxies are least accurate."""
    worst = 0.0
    for seed in range(30):
        centre = sphere(1, seed)[0] if seed else normalised(np.ones(3))
        n = NODES**2 + 1
        x, w = np.repeat(centre[None], n, axis=0), np.full(n, 1 / n)
        directions = np.concatenate([sphere(60, 100 + seed), centre[None], -centre[None]])
        for level in LEVELS[:5]:
            g = REACH * 4 * level / np.pi * directions
            f = sorted_into_tiles(x, w, level).attention(g)[1]
            worst = max(worst, float(np.abs(f - centre).max()))
    assert worst < 1e-10


def test_targets_of_any_length() -> None:
    x, w = CLOUDS["cluster and background"](), np.full(N + N // 10, 1.0)
    g = sphere(50) * np.linspace(0, 200, 50)[:, None]
    tiles = sorted_into_tiles(x, w, level_for(200.0))
    for found, exact in zip(tiles.attention(g), softmax_attention(g, x, w), strict=True):
        np.testing.assert_allclose(found, exact, rtol=0, atol=1e-10)


def test_few_proxies_stand_for_many_points() -> None:
    x = cluster(N, 0.02)
    tiles = sorted_into_tiles(x, np.full(N, 1 / N), level_for(20.0))
    nodes, weights, _ = tiles.proxies
    assert len(nodes) <= 4 * NODES**2
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(np.linalg.norm(nodes, axis=1), 1, rtol=1e-14)


def test_pruning_leaves_most_tiles_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the groups hold every target once."""
    monkeypatch.setattr(proxies, "PRUNE_FROM", 0.0)
    x = sphere(N)
    tiles = sorted_into_tiles(x, np.full(N, 1 / N), 32)
    g = 300.0 * sphere(200, 4)
    groups = list(tiles._groups(g, 300.0))
    assert sorted(np.concatenate([targets for targets, _ in groups]).tolist()) == list(range(200))
    assert np.mean([keep.mean() for _, keep in groups]) < 0.4


def test_every_point_lies_in_its_tile() -> None:
    corners = normalised(np.array([[1.0, 1, 1], [1, -1, 0], [-1, 1, 1]]))
    x = np.concatenate([sphere(500), np.eye(3), -np.eye(3), corners])
    for level in LEVELS:
        tiles = sorted_into_tiles(x, np.ones(len(x)), level)
        assert np.abs(tiles.local).max() <= 1 + 1e-12
        assert tiles.tile.min() >= 0 and tiles.tile.max() < 6 * level**2
        for tile, place in zip(tiles.tile, tiles.x, strict=True):
            nodes = proxies._tile_nodes(int(tile), level)
            assert np.linalg.norm(nodes - place, axis=1).max() < 1.65 * np.pi / 2 / level  # a skew diagonal


BITS = """
import hashlib, numpy as np
from fpsolve.attention import proxies
proxies.PRUNE_FROM = 1e5
rng = np.random.default_rng(0)
x = rng.normal(size=(30000, 3)) + [2.0, 0, 0]
x /= np.linalg.norm(x, axis=1, keepdims=True)
found = proxies.sorted_into_tiles(x, np.full(len(x), 1 / len(x)), 4).attention(20 * x[::20], second=True)
print(hashlib.sha256(b"".join(array.tobytes() for array in found)).hexdigest())
"""


def test_bits_do_not_depend_on_the_number_of_threads() -> None:
    said = {
        subprocess.run(
            [sys.executable, "-c", BITS],
            env={**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(said) == 1
