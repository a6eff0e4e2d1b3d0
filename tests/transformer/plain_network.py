"""A plain transformer drawn in NumPy with all its d×d matrices, after the papers: the twin of the Gram chain."""

import math
from functools import lru_cache

import numpy as np
from scipy.special import erf, expit

PHI = {
    "gelu": lambda z: z * 0.5 * (1 + erf(z / math.sqrt(2))),
    "relu": lambda z: np.maximum(z, 0),
    "silu": lambda z: z * expit(z),
    "tanh": np.tanh,
}


def draw(rng, init, shape, scale=1.0):
    if init.law == "uniform":
        return scale * init.std * math.sqrt(3) * rng.uniform(-1, 1, shape)
    return scale * init.std * rng.normal(size=shape)


def norm(x, kind, eps):
    if kind == "layer":
        x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + eps)


def rope(q, theta, part):
    """(n, d_h): pairs (c, c + part/2) turned by i·theta^(-2c/part), as complex numbers."""
    turn = np.exp(1j * np.arange(len(q))[:, None] * theta ** (-2 * np.arange(part // 2) / part))
    z = (q[:, : part // 2] + 1j * q[:, part // 2 : part]) * turn
    return np.hstack([z.real, z.imag, q[:, part:]])


@lru_cache
def bias(arch, n):
    """What is added to the scores of every head, entry by entry, (heads, n, n)."""
    a = arch.attention
    added = np.zeros((a.heads, n, n))
    for h in range(a.heads):
        for i in range(n):
            for j in range(n):
                if arch.positions.kind == "alibi":
                    added[h, i, j] = -(2 ** (-8 * (h + 1) / a.heads)) * abs(i - j)
                if (a.mask == "causal" and j > i) or (a.window is not None and abs(i - j) >= a.window):
                    added[h, i, j] = -np.inf
    return added


def attend(arch, rng, c, layer):
    a, n, d = arch.attention, len(c), arch.d
    weak = (8 * arch.depth) ** -0.25 if arch.residual.depth_scaling == "deepnorm" else 1.0
    end = 1 / math.sqrt(2 * arch.depth) if arch.residual.depth_scaling == "gpt2" else weak
    q = c @ draw(rng, a.query, (d, a.heads * a.head_dim)) + draw(rng, a.query_bias, a.heads * a.head_dim)
    k = c @ draw(rng, a.key, (d, a.groups * a.head_dim)) + draw(rng, a.key_bias, a.groups * a.head_dim)
    v = c @ draw(rng, a.value, (d, a.groups * a.head_dim), weak) + draw(rng, a.value_bias, a.groups * a.head_dim)
    if a.qk_norm == "full":
        q, k = norm(q, arch.norm.kind, arch.norm.eps), norm(k, arch.norm.kind, arch.norm.eps)
    outputs, entropies = [], []
    for h in range(a.heads):
        g = h // (a.heads // a.groups)
        mine, key, value = (x[:, j * a.head_dim : (j + 1) * a.head_dim] for x, j in ((q, h), (k, g), (v, g)))
        if a.qk_norm == "head":
            mine, key = norm(mine, arch.norm.kind, arch.norm.eps), norm(key, arch.norm.kind, arch.norm.eps)
        if arch.positions.kind == "rope":
            part = int(arch.positions.fraction * a.head_dim)
            mine, key = rope(mine, arch.positions.theta, part), rope(key, arch.positions.theta, part)
        S = mine @ key.T * (1 / math.sqrt(a.head_dim) if a.scale is None else a.scale)
        if a.softcap:
            S = a.softcap * np.tanh(S / a.softcap)
        S = S + bias(arch, n)[h]
        p = np.exp(S - S.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        entropies.append(-(p * np.log(np.maximum(p, 1e-300))).sum(1).mean())
        outputs.append(p @ value)
    out = np.hstack(outputs) @ draw(rng, a.output, (a.heads * a.head_dim, d), end) + draw(rng, a.output_bias, d)
    return out, np.mean(entropies)


def feed(arch, rng, c):
    m, d = arch.mlp, arch.d
    weak = (8 * arch.depth) ** -0.25 if arch.residual.depth_scaling == "deepnorm" else 1.0
    end = 1 / math.sqrt(2 * arch.depth) if arch.residual.depth_scaling == "gpt2" else weak
    hidden = c @ draw(rng, m.up, (d, m.width), weak) + draw(rng, m.up_bias, m.width)
    if m.gated:
        a = PHI[m.activation](c @ draw(rng, m.gate, (d, m.width), weak) + draw(rng, m.gate_bias, m.width)) * hidden
    else:
        a = PHI[m.activation](hidden)
    return a @ draw(rng, m.down, (m.width, d), end) + draw(rng, m.down_bias, d)


def embed(arch, rng, tokens):
    if np.ndim(tokens) == 2:
        return np.asarray(tokens, float)
    e, d = arch.embedding, arch.d
    table = {int(one): draw(rng, e.token, d) for one in sorted(set(tokens))}
    if e.padding is not None:
        table[e.padding] = np.zeros(d)
    x = e.multiplier * np.array([table[int(one)] for one in tokens])
    if arch.positions.kind == "learned":
        x += draw(rng, arch.positions.init, (len(x), d))
    if arch.positions.kind == "sinusoidal":
        for i in range(len(x)):
            for c in range(d):
                angle = i / 10000 ** (2 * (c // 2) / d)
                x[i, c] += math.sin(angle) if c % 2 == 0 else math.cos(angle)
    if e.types is not None:
        x += draw(rng, e.types, d)
    return norm(x, arch.norm.kind, arch.norm.eps) if e.norm else x


def run(arch, tokens, seed):
    """Hidden states after layer 0, 1, …, (depth + 1, n, d), and the mean entropy of every layer."""
    rng = np.random.default_rng(seed)
    x = embed(arch, rng, tokens)
    kind, eps, place = arch.norm.kind, arch.norm.eps, arch.norm.place
    alpha = (2 * arch.depth) ** 0.25 if arch.residual.depth_scaling == "deepnorm" else 1.0
    alpha *= arch.residual.skip
    states, entropies = [x], []
    for layer in range(1, arch.depth + 1):
        parts = [f for f, there in ((attend, arch.attention), (feed, arch.mlp)) if there is not None]
        source, change = x, 0.0
        for part in parts:
            c = norm(source, kind, eps) if place in ("pre", "peri", "sandwich") else source
            y = part(arch, rng, c, layer) if part is attend else part(arch, rng, c)
            if part is attend:
                y, entropy = y
                entropies.append(entropy)
            if place in ("peri", "sandwich", "output"):
                y = norm(y, kind, eps)
            y = y * arch.residual.branch
            if arch.parallel:
                change = change + y
                continue
            x = alpha * x + y
            x = source = norm(x, kind, eps) if place == "post" else x
        if arch.parallel:
            x = alpha * x + change
            x = norm(x, kind, eps) if place == "post" else x
        states.append(x)
    return np.array(states), np.array(entropies)
