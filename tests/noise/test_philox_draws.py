"""The bits behind every draw, against a Philox4x64-10 written out in integers."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.random import Philox
from scipy.special import ndtri

from fpsolve.noise import BrownianPath, _philox
from fpsolve.noise._philox import Address, Purpose

WORD = (1 << 64) - 1


def philox4x64(counter, key):
    """Ten rounds of Philox4x64 (Salmon, Moraes, Dror and Shaw 2011): the readable twin."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2E7470EE14C6C93 * c0, 1 << 64)
        high1, low1 = divmod(0xCA5A826395121157 * c2, 1 << 64)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B97F4A7C15) & WORD, (k1 + 0xBB67AE8584CAA73B) & WORD
    return c0, c1, c2, c3


def test_the_twin_meets_the_published_vector():
    expected = (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B)
    assert philox4x64((0, 0, 0, 0), (0, 0)) == expected


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (Address(1, 0, 0, Purpose.INCREMENT), (0, 0, 0)),
        (Address(WORD, 7, 2, Purpose.INCREMENT, level=3, cell=12345), (12345, 3, 2)),
        (Address(5, WORD, 1, Purpose.NORMAL, level=-2, cell=1 << 40), (1 << 40, WORD - 1, (1 << 32) + 1)),
        (Address(5, 6, 3, Purpose.INITIAL_UNIFORM), (0, 0, (2 << 32) + 3)),
        (Address(5, 6, 3, Purpose.INITIAL_NORMAL), (0, 0, (3 << 32) + 3)),
    ],
)
def test_the_counter_layout_is_the_documented_one(address, words):
    key = (address.seed, address.member)
    expected = [w for block in (1, 2, 3) for w in philox4x64((block, *words), key)]
    assert _philox.raw_words(address, 10).tolist() == expected[:10]


def test_a_root_increment_is_the_inverse_normal_of_its_word():
    words = philox4x64((1, 17, 0, 0), (3, 4))
    expected = 0.1 * ndtri([((w >> 11) + 0.5) * 2.0**-53 for w in words])
    np.testing.assert_allclose(BrownianPath(3, 4).increment(0.17, 0.18, 4), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("level", [1, 2, 5])
def test_a_bridge_halves_its_parent_and_adds_its_normal(level):
    path, dt, parent = BrownianPath(3, 4), 0.01 / 2**level, 3
    words = philox4x64((1, parent, level, 0), (3, 4))
    bridge = np.sqrt(2 * dt) / 2 * ndtri([((w >> 11) + 0.5) * 2.0**-53 for w in words])
    whole = path.increment(2 * parent * dt, (2 * parent + 2) * dt, 4)
    left = path.increment(2 * parent * dt, (2 * parent + 1) * dt, 4)
    right = path.increment((2 * parent + 1) * dt, (2 * parent + 2) * dt, 4)
    np.testing.assert_allclose(left, whole / 2 + bridge, rtol=0, atol=1e-15)
    np.testing.assert_allclose(right, whole / 2 - bridge, rtol=0, atol=1e-15)


def test_normals_and_initial_draws_have_words_of_their_own():
    path = BrownianPath(3, 4)
    first = {
        (1 << 32) + 1: path.normals(0.0, 0.01, 4),
        (3 << 32) + 3: path.initial_normals(4),
        (2 << 32) + 3: ndtri(path.initial_uniforms(4)),
    }
    for last_word, draws in first.items():
        words = philox4x64((1, 0, 0, last_word), (3, 4))
        np.testing.assert_array_equal(draws, ndtri([((w >> 11) + 0.5) * 2.0**-53 for w in words]))


@pytest.mark.parametrize("word", [0, WORD, 1 << 63])
def test_extreme_words_give_finite_normals(monkeypatch, word):
    monkeypatch.setattr(_philox, "raw_words", lambda at, count: np.full(count, word, dtype=np.uint64))
    u = _philox.uniforms(Address(0, 0, 0, Purpose.INCREMENT), 1)
    assert 0 < u[0] < 1
    assert abs(_philox.normals(Address(0, 0, 0, Purpose.INCREMENT), 1)[0]) < 8.3


def test_what_was_drawn_before_in_this_thread_or_another_leaves_no_trace():
    """One generator serves all addresses of a thread: its buffer and its counter are those of the address alone."""
    first, other = Address(1, 0, 0, Purpose.INCREMENT), Address(2, 3, 1, Purpose.NORMAL, level=2, cell=9, first=6)
    expected = {at: Philox(key=[at.seed, at.member], counter=counter).random_raw(8)
                for at, counter in ((first, [0, 0, 0, 0]), (other, [1, 9, 2, (1 << 32) + 1]))}  # fmt: skip

    def drawn(count):
        return [_philox.raw_words(at, count) for at in (other, first, other, first)]

    with ThreadPoolExecutor(4) as threads:
        rounds = [drawn(5), drawn(3), *threads.map(drawn, [1, 5, 2, 6, 3, 5, 4, 1])]
    for found in rounds:
        for words, at in zip(found, (other, first, other, first), strict=True):
            start = at.first % 4
            assert words.tolist() == expected[at][start : start + len(words)].tolist()
