"""∂_s ρ = -div(ρ v) for unit time by Dedalus 3, for :mod:`benchmarks.dedalus_step`; run by Dedalus's own interpreter.

Reads one JSON request a line from standard input and answers each with one line of JSON.
"""

from __future__ import annotations

import json
import logging
import sys
import time

import numpy as np

logging.disable(logging.CRITICAL)

import dedalus.public as d3  # noqa: E402


class Transport:
    """ρ on a sphere of degree ``lmax`` with the usual 3/2 padding, v frozen."""

    def __init__(self, lmax: int, velocity: dict[str, list], kappa: float) -> None:
        self.coords = d3.S2Coordinates("phi", "theta")
        self.dist = d3.Distributor(self.coords, dtype=np.float64)
        shape = (2 * (lmax + 1), lmax + 1)
        self.basis = d3.SphereBasis(self.coords, shape=shape, radius=1, dealias=(1.5, 1.5), dtype=np.float64)
        self.rho = self.dist.Field(name="rho", bases=self.basis)
        self.v = self.dist.VectorField(self.coords, name="v", bases=self.basis)
        self._set_velocity({name: np.array(value) for name, value in velocity.items()})
        self._kappa = kappa
        self.rhs = -d3.div(self.rho * self.v)
        self.restart()

    def _points(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x and the frame e_φ, e_θ on the grid."""
        phi, theta = np.broadcast_arrays(*self.dist.local_grids(self.basis))
        x = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)])
        e_theta = np.stack([np.cos(theta) * np.cos(phi), np.cos(theta) * np.sin(phi), -np.sin(theta)])
        return x, np.stack([-np.sin(phi), np.cos(phi), 0 * phi]), e_theta

    def _set_velocity(self, u: dict[str, np.ndarray]) -> None:
        """v = P_x (M x + (b·x) c + w × x)."""
        x, e_phi, e_theta = self._points()
        ambient = np.einsum("ab,b...->a...", u["M"], x) + np.einsum("b,b...,a->a...", u["b"], x, u["c"])
        ambient = ambient + np.cross(u["w"], x, axisb=0, axisc=0)
        self.v["g"][0], self.v["g"][1] = (ambient * e_phi).sum(0), (ambient * e_theta).sum(0)

    def restart(self) -> None:
        """ρ = κ/(4π sinh κ) e^{κ z}."""
        x = self._points()[0]
        self.rho.change_scales(1)
        self.rho["g"] = self._kappa / (2 * np.pi * (1 - np.exp(-2 * self._kappa))) * np.exp(self._kappa * (x[2] - 1))

    def rk4(self, steps: int) -> None:
        """Classical Runge-Kutta on coefficients."""
        h, rho = 1 / steps, self.rho
        for _ in range(steps):
            start = rho["c"].copy()
            total = np.zeros_like(start)
            for part, weight in ((0.5, 1), (0.5, 2), (1.0, 2), (None, 1)):
                k = self.rhs.evaluate()["c"]
                total += weight * k
                rho["c"] = start + h * (part * k if part else total / 6)

    def prepare_solver(self, scheme: str) -> None:
        """Dedalus's own time stepper on ∂_s ρ = -div(ρ v)."""
        problem = d3.IVP([self.rho], namespace={"rho": self.rho, "v": self.v, "div": d3.div})
        problem.add_equation("dt(rho) = -div(rho*v)")
        self.solver = problem.build_solver(getattr(d3, scheme))

    def stepper(self, steps: int) -> None:
        """The same by the time stepper, sub-steps 1/steps."""
        for _ in range(steps):
            self.solver.step(1 / steps)

    def values(self) -> dict[str, list]:
        """x on the grid and ρ there."""
        self.rho.change_scales(1)
        return {"x": self._points()[0].reshape(3, -1).T.tolist(), "rho": np.ravel(self.rho["g"]).tolist()}


def main() -> None:
    transport: Transport | None = None
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, object] = {}
        if "lmax" in request:
            transport = Transport(request["lmax"], request["velocity"], request["kappa"])
            transport.prepare_solver(request["scheme"])
            answer["version"] = d3.__name__ and __import__("dedalus").__version__
        elif "step" in request:
            transport.restart()
            start = time.perf_counter()
            getattr(transport, request["step"])(request["steps"])
            answer["seconds"] = time.perf_counter() - start
        if request.get("values"):
            answer.update(transport.values())
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
