// The sum M(g) = sum_lm i_l(r) f_lm Y_lm(g/r) and its gradient at points g of any length r, term by term; i_l is the
// modified spherical Bessel function, and e^{-r} is taken out of all that follows. Every point has its own i_l.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <vector>

#include "points.hpp"

namespace nb = nanobind;

namespace {

constexpr std::size_t SUMS = 6, OUT = 5;  // numbers of one (l, m): f, its slope, f again; of one point

FPSOLVE_INLINE void load_some(Lanes& to, const double* from, std::size_t count) {
    double part[LANES] = {};
    std::copy(from, from + count, part);
    load(to, part);
}

// over[l] = i_l / r (l > 0; over[0] is i_0 itself) and slope[l] = i'_l, from the ratios q_l = i_l / (r i_{l-1}) =
// 1 / (2l + 1 + r^2 q_{l+1}), downwards from `start` > lmax where q is as good as 1 / (2l + 1).
FPSOLVE_INLINE void bessel(std::size_t lmax, std::size_t start, const Lanes& r, const Lanes& zeroth, Lanes* over,
                           Lanes* slope) {
    const Lanes square = r * r;
    Lanes q = Lanes{} + 1.0 / (2.0 * static_cast<double>(start) + 1.0);
    for (std::size_t l = start; l-- > lmax + 1;) q = 1.0 / (2.0 * static_cast<double>(l) + 1.0 + square * q);
    slope[lmax] = q;  // q_{lmax+1}, for now
    for (std::size_t l = lmax; l > 0; --l) over[l] = q = 1.0 / (2.0 * static_cast<double>(l) + 1.0 + square * q);
    over[0] = zeroth;
    const Lanes last = slope[lmax];
    Lanes value = zeroth;
    for (std::size_t l = 1; l <= lmax; ++l) {
        over[l] *= value;
        value = r * over[l];
    }
    // i'_l = i_{l+1} + l i_l / r
    for (std::size_t l = 0; l <= lmax; ++l) {
        const Lanes here = l ? over[l] : Lanes{};
        const Lanes above = l < lmax ? r * over[l + 1] : r * last * value;
        slope[l] = above + static_cast<double>(l) * here;
    }
}

// One register of points: e^{-r} grad M, e^{-r} M and the sum of `bounds`[l] e^{-r} i_l.
FPSOLVE_INLINE void solid(std::size_t lmax, std::size_t start, const double* rows, const double* bounds,
                          const double* x, const double* radii, const double* zeroths, std::size_t first,
                          std::size_t n, Lanes* over, Lanes* slope, double* out) {
    Points<1> at;
    Gradient<1> gradient = {};
    const std::size_t count = std::min(LANES, n - first);
    Lanes r, zeroth, value = {}, radial = {};
    at.begin(x, first, n);
    load_some(r, radii + first, count);
    load_some(zeroth, zeroths + first, count);
    bessel(lmax, start, r, zeroth, over, slope);
    Lanes bound = bounds[0] * zeroth;
    for (std::size_t l = 1; l <= lmax; ++l) bound += bounds[l] * (r * over[l]);
    for (std::size_t m = 0; m <= lmax; ++m) {
        Lanes sum[SUMS] = {}, last = {}, now = Lanes{} + 1.0;
        for (std::size_t l = m; l <= lmax; ++l, rows += 1 + SUMS) {
            if (l > m) {
                const Lanes next = at.z[0] * now - rows[0] * last;
                last = now;
                now = next;
            }
            const Lanes turned = l ? now * over[l] : Lanes{}, along = now * slope[l];
            for (std::size_t k = 0; k < 4; ++k) sum[k] += rows[1 + k] * turned;
            for (std::size_t k = 4; k < 6; ++k) sum[k] += rows[1 + k] * along;
        }
        gradient.add(static_cast<double>(m), 0, at, sum, sum + 2);
        value += real(at.re[0], at.im[0], sum[0], sum[1]);
        radial += real(at.re[0], at.im[0], sum[4], sum[5]);
        at.raise();
    }
    Lanes made[OUT];
    gradient.tangential(0, at, made);
    made[0] += radial * at.x[0];
    made[1] += radial * at.y[0];
    made[2] += radial * at.z[0];
    made[3] = r * value;  // without l = 0, which has no share in i_l / r
    made[4] = bound;
    double part[LANES];
    for (std::size_t k = 0; k < OUT; ++k) {
        store(part, made[k]);
        for (std::size_t i = 0; i < count; ++i) out[OUT * (first + i) + k] = part[i];
    }
}

}  // namespace

// A plain function, because compilers clone those and not templates.
FPSOLVE_CLONES void fpsolve_solid(std::size_t lmax, std::size_t start, const double* rows, const double* bounds,
                                  const double* x, const double* radii, const double* zeroths, std::size_t n,
                                  double* scratch, double* out) {
    Lanes* over = reinterpret_cast<Lanes*>(scratch);
    for (std::size_t first = 0; first < n; first += LANES)
        solid(lmax, start, rows, bounds, x, radii, zeroths, first, n, over, over + lmax + 1, out);
    for (std::size_t i = 0; i < n; ++i) out[OUT * i + 3] += rows[1] * zeroths[i];
}

namespace {

using Real = nb::ndarray<double, nb::numpy, nb::c_contig, nb::device::cpu>;
using ConstReal = nb::ndarray<const double, nb::numpy, nb::c_contig, nb::device::cpu>;

void sums(std::size_t lmax, std::size_t start, ConstReal rows, ConstReal bounds, ConstReal x, ConstReal radii,
          ConstReal zeroths, Real out) {
    const std::size_t n = radii.size(), modes = (lmax + 1) * (lmax + 2) / 2;
    if (rows.size() != (1 + SUMS) * modes || bounds.size() != lmax + 1 || x.size() != 3 * n || zeroths.size() != n ||
        out.size() != OUT * n || start <= lmax + 1)
        throw std::invalid_argument("the arrays do not fit each other");
    const nb::gil_scoped_release released;
    struct alignas(sizeof(Lanes)) Register {
        double lane[LANES];
    };
    std::vector<Register> scratch(2 * (lmax + 1));
    fpsolve_solid(lmax, start, rows.data(), bounds.data(), x.data(), radii.data(), zeroths.data(), n,
                  scratch.data()->lane, out.data());
}

}  // namespace

NB_MODULE(_solid, m) {
    using namespace nb::literals;
    m.doc() = "Moment sums at points of any length; the readable twin: fpsolve._kernels.solid_numpy.";
    m.def("sums", &sums, "lmax"_a, "start"_a, "rows"_a.noconvert(), "bounds"_a.noconvert(), "x"_a.noconvert(),
          "radii"_a.noconvert(), "zeroths"_a.noconvert(), "out"_a.noconvert());
}
