"""The covariance k_μ(t), t = ⟨x,y⟩, of the common noise that random attention heads make in the diffusive limit.

k_μ(⟨x,y⟩) = σ_V² E_A ⟨m_A(x), m_A(y)⟩, m_A(x) = F_μ(βAx). Three laws where it is known otherwise: a tight cluster
(m_A is its place, so k = σ_V²), the uniform law (F(g) = L(|g|) g/|g|, L = coth - 1/r: k is odd and κ one integral),
and β → 0 (m_A is the mean: k = σ_V² |∫ x dμ|²).
"""

import numpy as np

import fpsolve as fp

SIGMA = 1.0  # deviation of V's entries; key_query_std is 1 as well


def homogenized(beta: float, law: str = "gaussian") -> fp.models.Homogenized:
    return fp.models.Homogenized(beta=beta, key_query=law, value_std=SIGMA)


def uniform_kappa(beta: float) -> float:
    """κ of the uniform law for Gaussian A: E L(β|z|)², z ~ N(0, I_3), by the trapezoidal rule."""
    r = np.linspace(1e-6, 10, 20001)
    density = np.sqrt(2 / np.pi) * r**2 * np.exp(-(r**2) / 2)
    return float(np.trapezoid(density * (1 / np.tanh(beta * r) - 1 / (beta * r)) ** 2, r))


def main() -> None:
    t = np.linspace(-1, 1, 5)

    k = homogenized(4.0).kernel(fp.initial.uniform())
    print(f"uniform, beta = 4: kappa {k.kappa:.6f}, quadrature {uniform_kappa(4.0):.6f}")
    assert abs(k.kappa - uniform_kappa(4.0)) < 1e-6
    assert np.abs(k(t) + k(-t)).max() < 1e-6

    point = fp.initial.points([[0.6, 0.0, 0.8]])
    k = homogenized(4.0).kernel(point)
    print(f"one point, beta = 4: k from {k(t).min():.6f} to {k(t).max():.6f}, exact {SIGMA**2}")
    assert np.abs(k(t) - SIGMA**2).max() < 1e-6

    law = fp.initial.von_mises_fisher([0, 0, 1], 2.0)
    overlap = (1 / np.tanh(2.0) - 1 / 2.0) ** 2
    k = homogenized(1e-4).kernel(law)
    print(f"von Mises-Fisher(2), beta -> 0: k(0) {k(0.0):.6f}, squared mean {overlap:.6f}")
    assert np.abs(k(t) - overlap).max() < 1e-6


if __name__ == "__main__":
    main()
