"""Weak errors on the two-token problem, and orders of convergence with their confidence intervals.

The overlap q of two tokens under noise that is isotropic, or made by the two themselves, is a Markov chain. With the
exact u(q,t) = E[f(q_T) | q_t = q] the bias telescopes, E f(q_N) - u(q_0,0) = Σ_n E[u(q_{n+1},t_{n+1}) - u(q_n,t_n)],
and each local error is averaged over a random design of increments before the chain moves on by fresh ones. This
identity holds for any u with u(·,T) = f; a good u makes the local errors small, and the design takes away their parts
of degree up to three in the noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.convergence.members import Members


class Drawn:
    """Stands for a path in one step: standard normals are given, those of the increment, then the second Gaussians."""

    def __init__(self, normals, channels):
        self.first, self.rest = normals[:channels], normals[channels:]

    def increment(self, t0, t1, channels, stream="common"):
        return np.sqrt(t1 - t0) * self.first

    def normals(self, t0, t1, count, stream="second"):
        return self.rest


def design(n, members, rng):
    """Random points (n, members, 1 + 2n) and weights (members, 1 + 2n) with E Σ w f(z) = E f(Z), exact to degree 3.

    The spherical-radial rule of Genz & Monahan (SIAM J. Sci. Comput. 19, 1998): 0 and ±ρ q_j, q_j the columns of a
    random orthogonal matrix, ρ² chi-square with n + 2 degrees of freedom.
    """
    q, r = np.linalg.qr(rng.normal(size=(members, n, n)))
    q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
    square = rng.chisquare(n + 2, members)
    points = np.sqrt(square)[:, None, None] * q
    points = np.concatenate([np.zeros((members, n, 1)), points, -points], 2)
    weights = np.concatenate([(1 - n / square)[:, None], np.repeat(0.5 / square[:, None], 2 * n, 1)], 1)
    return np.moveaxis(points, 1, 0), weights


def weak_error(step, model, f, q0, t_end, steps, members, rng, gaussians=1, substeps=8):
    """Independent unbiased estimates, shape (members,), of E f(q_N) - E f(q_T) for the scheme ``step``.

    ``gaussians``: standard normals for each channel and step. ``substeps``: of a flow, for dt = 1, as √dt.
    """
    dt, n = t_end / steps, gaussians * model.channels(3)
    substeps = max(3, round(substeps * dt**0.5))
    exact = [model.overlap.backward(f, t_end - k * dt) for k in range(steps + 1)]
    q, total = np.full(members, q0), np.zeros(members)

    def moved(overlaps, normals):
        return step(model, Members.of(overlaps, substeps), Drawn(normals, model.channels(3)), 0.0, dt).overlap

    for k in range(steps):
        points, weights = design(n, members, rng)
        branches = moved(np.repeat(q, weights.shape[1]), points.reshape(n, -1)).reshape(weights.shape)
        total += (weights * exact[k + 1](branches)).sum(1) - exact[k](q)
        q = moved(q, rng.normal(size=(n, members)))
    return total


def coupled_difference(step, model, f, q0, t_end, steps, members, rng, substeps=8):
    """Samples, shape (members,), of f(q_dt) - f(q_{dt/2}), each averaged over a path and its mirror image.

    Plain Monte Carlo with the succession of steps of a run; nothing of the exact solution goes in.
    """
    normals = rng.normal(size=(model.channels(3), 2 * steps, members))
    both = np.concatenate([normals, -normals], 2)
    fine = f(end(step, model, both, t_end, q0, substeps).overlap)
    coarse = f(end(step, model, halved(both), t_end, q0, substeps).overlap)
    return (coarse - fine).reshape(2, members).mean(0)


def squared_difference(step, model, q0, t_end, steps, members, rng, substeps=8):
    """Samples, shape (members,), of Σ_i|x_i - x_i'|² between steps dt and dt/2 on one path."""
    normals = rng.normal(size=(model.channels(3), 2 * steps, members))
    fine, coarse = (end(step, model, z, t_end, q0, substeps) for z in (normals, halved(normals)))
    return ((coarse.x - fine.x) ** 2).sum((0, 1))


def end(step, model, normals, t_end, q0, substeps=8):
    """The members at t_end, ``normals`` (channels, steps, members) driving the steps."""
    channels, steps, members = normals.shape
    dt = t_end / steps
    state = Members.of(np.full(members, q0), max(3, round(substeps * dt**0.5)))
    for k in range(steps):
        state = step(model, state, Drawn(normals[:, k], channels), 0.0, dt)
    return state


def halved(normals):
    """The normals of steps of twice the length on the same paths."""
    return normals.reshape(len(normals), -1, 2, normals.shape[-1]).sum(2) / np.sqrt(2)


@dataclass(frozen=True)
class Order:
    """A measured order: least squares of log₂|error| against log₂ dt over ``levels`` halvings of dt."""

    errors: np.ndarray
    deviations: np.ndarray

    @property
    def weights(self):
        level = np.arange(len(self.errors)) - (len(self.errors) - 1) / 2
        return -level / (level @ level)

    @property
    def value(self):
        return float(self.weights @ np.log2(np.abs(self.errors)))

    @property
    def half_width(self):
        """Of the 99 % interval, errors of different levels independent."""
        relative = self.deviations / np.abs(self.errors) / np.log(2)
        return 2.576 * float(np.sqrt((self.weights**2) @ relative**2))

    @property
    def signal(self):
        """The smallest error in units of its standard error."""
        return float(np.abs(self.errors / self.deviations).min())

    def contains(self, theory):
        return abs(self.value - theory) <= self.half_width

    def __str__(self):
        values = ", ".join(f"{e:+.5f}±{s:.5f}" for e, s in zip(self.errors, self.deviations, strict=True))
        return f"order {self.value:.3f} ± {self.half_width:.3f}; errors {values}; least signal {self.signal:.1f}"


def order_of(samples):
    """The order from independent samples of the error at each level, a list of arrays."""
    errors = np.array([s.mean() for s in samples])
    return Order(errors, np.array([s.std(ddof=1) / np.sqrt(len(s)) for s in samples]))
