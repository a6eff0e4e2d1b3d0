// A field on S² from its table on the torus (fpsolve.sphere.torus) at scattered points, and a sub-step of a Runge–Kutta
// formula along it: all stages of eight points at a time, which stay in the cache with what they read of the table. And
// the adjoint: weights of points on the nodes of such a table (fpsolve.sphere.gridded).

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "lanes.hpp"

namespace nb = nanobind;

namespace {

constexpr std::size_t FIELDS = 4, MOST_STAGES = 16;
constexpr double PI = 3.141592653589793;

// n nodes around a circle; values[row][column][field], rows from θ = -(W/2 - 1) 2π/n, columns from such a φ.
// pieces[node][term][even, odd]: the weights of the first W/2 nodes as polynomials of the place in a cell, -1..1, from
// their highest powers on.
struct Table {
    const double *values, *pieces;
    std::size_t n, rows, columns, terms;
};

// The sums that make stages and the result, and `kinds` of errors; the last weight of these goes with the field there.
struct Formula {
    const double *a, *b, *error;
    std::size_t stages, kinds;
    double h, inner, outer;  // squares of the radii between which points may lie
};

// The angle of (x, y) in [0, 2π], 0 at the origin, to about an ulp of π: atan u = u + u³ p(u²) for |u| <= tan(π/8), with p
// by interpolation at Chebyshev's points (error 5e-18).
FPSOLVE_INLINE Half angle(const Half& y, const Half& x) {
    constexpr double P[] = {-0x1.5555555555555p-2, 0x1.999999999934cp-3,  -0x1.2492492436201p-3, 0x1.c71c71853d7fap-4,
                            -0x1.745d0b28a7e37p-4, 0x1.3b1263064f6b9p-4,  -0x1.10fa77b1a6d57p-4, 0x1.dfe6497e96323p-5,
                            -0x1.a0999c632b6edp-5, 0x1.4162c02b1dda3p-5,  -0x1.3a31b1c0fd3b7p-6};
    constexpr double TAN = 0x1.a827999fcef32p-2, TINY = 1e-300;
    const Half across = x < 0.0 ? -x : x, up = y < 0.0 ? -y : y;
    const auto steep = up > across;
    const Half most = steep ? up : across, least = steep ? across : up;
    const auto far = least > TAN * most;
    const Half u = (far ? least - most : least) / ((far ? least + most : most) + TINY), z = u * u;
    Half p = Half{} + P[10];
    for (std::size_t i = 10; i-- > 0;) p = p * z + P[i];
    Half a = u + u * (z * p);
    a = far ? a + PI / 4 : a;
    a = steep ? PI / 2 - a : a;
    a = x < 0.0 ? PI - a : a;
    return y < 0.0 ? 2 * PI - a : a;
}

FPSOLVE_INLINE Half root(const Half& x) {
    double part[LANES / 2];
    std::memcpy(part, &x, sizeof x);
    for (double& one : part) one = std::sqrt(one);
    Half out;
    std::memcpy(&out, part, sizeof x);
    return out;
}

// Of eight places on a circle of nodes: the cells, and the weights of the W nodes around them.
template <std::size_t W>
struct Weights {
    std::size_t cell[LANES];
    double of[W][LANES];

    FPSOLVE_INLINE Weights(const Table& table, const Lanes& at, std::size_t last) {
        double place[LANES];
        store(place, at);
        for (std::size_t i = 0; i < LANES; ++i) {
            cell[i] = std::min(static_cast<std::size_t>(place[i]), last);
            place[i] = 2.0 * (place[i] - static_cast<double>(cell[i])) - 1.0;
        }
        Lanes s;
        load(s, place);
        const Lanes z = s * s;
        const double* c = table.pieces;
        for (std::size_t j = 0; j < W / 2; ++j, c += 2 * table.terms) {
            Lanes even = Lanes{} + c[0], odd = Lanes{} + c[1];
            for (std::size_t t = 1; t < table.terms; ++t) {
                even = even * z + c[2 * t];
                odd = odd * z + c[2 * t + 1];
            }
            odd *= s;
            store(of[j], even + odd);
            store(of[W - 1 - j], even - odd);
        }
    }
};

// The angles of eight points in units of the spacing.
struct Angles {
    Lanes theta, phi;

    FPSOLVE_INLINE Angles(const Table& table, const Lanes* x) {
        const double scale = static_cast<double>(table.n) / (2 * PI);
        const Lanes squares = x[0] * x[0] + x[1] * x[1];
        theta = Lanes{angle(root(squares.low), x[2].low), angle(root(squares.high), x[2].high)} * scale;
        phi = Lanes{angle(x[1].low, x[0].low), angle(x[1].high, x[0].high)} * scale;
    }
};

// The fields at eight points, taken as directions.
template <std::size_t W>
FPSOLVE_INLINE void fields(const Table& table, const Lanes* x, Lanes* out) {
    constexpr std::size_t ROWS = W / 2;  // at a time: sums that do not wait for each other
    const Angles angles(table, x);
    const Weights<W> down(table, angles.theta, table.n / 2), along(table, angles.phi, table.n - 1);
    double part[FIELDS][LANES];
    for (std::size_t i = 0; i < LANES; ++i) {
        const double* at = table.values + FIELDS * (down.cell[i] * table.columns + along.cell[i]);
        Half sum = {};
        for (std::size_t row = 0; row < W; row += ROWS) {
            Half of_row[ROWS] = {};
            for (std::size_t j = 0; j < W; ++j) {
                for (std::size_t r = 0; r < ROWS; ++r) {
                    Half value;
                    std::memcpy(&value, at + FIELDS * ((row + r) * table.columns + j), sizeof value);
                    of_row[r] += along.of[j][i] * value;
                }
            }
            for (std::size_t r = 0; r < ROWS; ++r) sum += down.of[row + r][i] * of_row[r];
        }
        double values[FIELDS];
        std::memcpy(values, &sum, sizeof sum);
        for (std::size_t k = 0; k < FIELDS; ++k) part[k][i] = values[k];
    }
    for (std::size_t k = 0; k < FIELDS; ++k) load(out[k], part[k]);
}

// Rows first, first + 1, … of (n, width); past the end there is the pole, and what a row does not have is zero.
FPSOLVE_INLINE void gather(const double* from, std::size_t width, std::size_t first, std::size_t n, Lanes* x) {
    double part[FIELDS][LANES] = {};
    const std::size_t count = std::min(LANES, n - first);
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t k = 0; k < width; ++k) part[k][i] = from[width * (first + i) + k];
    for (std::size_t i = count; i < LANES; ++i) part[2][i] = 1.0;
    for (std::size_t k = 0; k < FIELDS; ++k) load(x[k], part[k]);
}

FPSOLVE_INLINE void scatter(const Lanes* x, std::size_t width, std::size_t first, std::size_t n, double* to) {
    double part[FIELDS][LANES];
    const std::size_t count = std::min(LANES, n - first);
    for (std::size_t k = 0; k < FIELDS; ++k) store(part[k], x[k]);
    for (std::size_t i = 0; i < count; ++i)
        for (std::size_t k = 0; k < width; ++k) to[width * (first + i) + k] = part[k][i];
}

// Also false for what is not a number.
FPSOLVE_INLINE bool inside(const Formula& formula, const Lanes* x) {
    double squares[LANES];
    store(squares, x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
    bool all = true;
    for (const double one : squares) all &= one >= formula.inner && one <= formula.outer;
    return all;
}

// sum = Σ c_j k_j; zeros are left out.
FPSOLVE_INLINE void combine(const double* c, const Lanes (*k)[FIELDS], std::size_t count, Lanes* sum) {
    for (std::size_t f = 0; f < FIELDS; ++f) sum[f] = Lanes{};
    for (std::size_t j = 0; j < count; ++j)
        if (c[j] != 0.0)
            for (std::size_t f = 0; f < FIELDS; ++f) sum[f] += c[j] * k[j][f];
}

template <std::size_t W>
FPSOLVE_INLINE bool step(const Table& table, const Formula& formula, const double* state, std::size_t width,
                         std::size_t n, double* moved, double* errors) {
    Lanes y[FIELDS], at[FIELDS], sum[FIELDS], k[MOST_STAGES + 1][FIELDS];
    bool last = false;
    for (std::size_t e = 0; e < formula.kinds; ++e) last |= formula.error[(e + 1) * (formula.stages + 1) - 1] != 0.0;
    for (std::size_t first = 0; first < n; first += LANES) {
        gather(state, width, first, n, y);
        for (std::size_t s = 0; s <= formula.stages; ++s) {
            combine(s < formula.stages ? formula.a + s * formula.stages : formula.b, k, s, sum);
            for (std::size_t f = 0; f < FIELDS; ++f) at[f] = y[f] + formula.h * sum[f];
            if (!inside(formula, at)) return false;
            if (s < formula.stages || last) fields<W>(table, at, k[s]);
        }
        scatter(at, width, first, n, moved);
        for (std::size_t e = 0; e < formula.kinds; ++e) {
            combine(formula.error + e * (formula.stages + 1), k, formula.stages + 1, sum);
            for (std::size_t f = 0; f < FIELDS; ++f) sum[f] = formula.h * sum[f];
            scatter(sum, width, first, n, errors + e * n * width);
        }
    }
    return true;
}

template <std::size_t W>
FPSOLVE_INLINE void values(const Table& table, const double* x, std::size_t n, double* out) {
    Lanes at[FIELDS], found[FIELDS];
    for (std::size_t first = 0; first < n; first += LANES) {
        gather(x, 3, first, n, at);
        fields<W>(table, at, found);
        scatter(found, FIELDS, first, n, out);
    }
}

// Adds what eight points at a time, of some weights, give to the nodes around them.
template <std::size_t W>
FPSOLVE_INLINE void deposit(const Table& table, const double* x, const double* weights, std::size_t n, double* nodes) {
    Lanes at[FIELDS];
    for (std::size_t first = 0; first < n; first += LANES) {
        gather(x, 3, first, n, at);
        const Angles angles(table, at);
        const Weights<W> down(table, angles.theta, table.n / 2), along(table, angles.phi, table.n - 1);
        const std::size_t count = std::min(LANES, n - first);
        for (std::size_t i = 0; i < count; ++i) {
            double line[W];
            for (std::size_t j = 0; j < W; ++j) line[j] = weights[first + i] * along.of[j][i];
            double* to = nodes + down.cell[i] * table.columns + along.cell[i];
            for (std::size_t row = 0; row < W; ++row, to += table.columns)
                for (std::size_t j = 0; j < W; j += 4) {
                    Half sum, part;
                    std::memcpy(&sum, to + j, sizeof sum);
                    std::memcpy(&part, line + j, sizeof part);
                    sum += down.of[row][i] * part;
                    std::memcpy(to + j, &sum, sizeof sum);
                }
        }
    }
}

}  // namespace

// Plain functions, because compilers clone those and not templates.
FPSOLVE_CLONES bool fpsolve_sweep_8(const Table& table, const Formula& formula, const double* state, std::size_t width,
                                    std::size_t n, double* moved, double* errors) {
    return step<8>(table, formula, state, width, n, moved, errors);
}

FPSOLVE_CLONES bool fpsolve_sweep_10(const Table& table, const Formula& formula, const double* state, std::size_t width,
                                     std::size_t n, double* moved, double* errors) {
    return step<10>(table, formula, state, width, n, moved, errors);
}

FPSOLVE_CLONES bool fpsolve_sweep_12(const Table& table, const Formula& formula, const double* state, std::size_t width,
                                     std::size_t n, double* moved, double* errors) {
    return step<12>(table, formula, state, width, n, moved, errors);
}

FPSOLVE_CLONES void fpsolve_values_8(const Table& table, const double* x, std::size_t n, double* out) {
    values<8>(table, x, n, out);
}

FPSOLVE_CLONES void fpsolve_values_10(const Table& table, const double* x, std::size_t n, double* out) {
    values<10>(table, x, n, out);
}

FPSOLVE_CLONES void fpsolve_values_12(const Table& table, const double* x, std::size_t n, double* out) {
    values<12>(table, x, n, out);
}

FPSOLVE_CLONES void fpsolve_deposit_16(const Table& table, const double* x, const double* weights, std::size_t n,
                                       double* nodes) {
    deposit<16>(table, x, weights, n, nodes);
}

namespace {

using Real = nb::ndarray<double, nb::numpy, nb::c_contig, nb::device::cpu>;
using ConstReal = nb::ndarray<const double, nb::numpy, nb::c_contig, nb::device::cpu>;

void require(bool fits) {
    if (!fits) throw std::invalid_argument("the arrays do not fit each other");
}

// That of the width, which is 8, 10 or 12.
template <class F>
F of_width(std::size_t width, F eight, F ten, F twelve) {
    return width == 8 ? eight : width == 10 ? ten : twelve;
}

Table table_of(std::size_t width, std::size_t n, const ConstReal& pieces, const ConstReal& values) {
    const std::size_t rows = n / 2 + width, columns = n + width;
    require((width == 8 || width == 10 || width == 12) && n % 2 == 0 && n >= width && values.size() == FIELDS * rows * columns);
    require(pieces.size() > 0 && pieces.size() % width == 0);
    return {values.data(), pieces.data(), n, rows, columns, pieces.size() / width};
}

void at(std::size_t width, std::size_t n, ConstReal pieces, ConstReal table, ConstReal x, Real out) {
    const Table of = table_of(width, n, pieces, table);
    const std::size_t count = x.size() / 3;
    require(x.size() == 3 * count && out.size() == FIELDS * count);
    const nb::gil_scoped_release released;
    of_width(width, fpsolve_values_8, fpsolve_values_10, fpsolve_values_12)(of, x.data(), count, out.data());
}

// The width is 16.
void deposits(std::size_t n, ConstReal pieces, ConstReal x, ConstReal weights, Real nodes) {
    const std::size_t width = 16, rows = n / 2 + width, columns = n + width, count = weights.size();
    require(n % 2 == 0 && n >= width && nodes.size() == rows * columns && x.size() == 3 * count);
    require(pieces.size() > 0 && pieces.size() % width == 0);
    const Table of{nullptr, pieces.data(), n, rows, columns, pieces.size() / width};
    const nb::gil_scoped_release released;
    fpsolve_deposit_16(of, x.data(), weights.data(), count, nodes.data());
}

bool sweep(std::size_t width, std::size_t n, ConstReal pieces, ConstReal table, ConstReal a, ConstReal b,
           ConstReal error, double h, double inner, double outer, ConstReal state, Real moved, Real errors) {
    const Table of = table_of(width, n, pieces, table);
    const std::size_t stages = b.size();
    require(stages > 0 && stages <= MOST_STAGES && a.size() == stages * stages);
    require(error.ndim() == 2 && error.shape(1) == stages + 1);
    require(state.ndim() == 2 && (state.shape(1) == 3 || state.shape(1) == FIELDS));
    require(moved.size() == state.size() && errors.size() == error.shape(0) * state.size());
    const Formula formula{a.data(), b.data(), error.data(), stages, error.shape(0), h, inner, outer};
    const nb::gil_scoped_release released;
    const auto run = of_width(width, fpsolve_sweep_8, fpsolve_sweep_10, fpsolve_sweep_12);
    return run(of, formula, state.data(), state.shape(1), state.shape(0), moved.data(), errors.data());
}

}  // namespace

NB_MODULE(_sweep, m) {
    using namespace nb::literals;
    m.doc() = "Fields at points from tables, and Runge-Kutta along them; the readable twin: fpsolve._kernels.sweep_numpy.";
    m.def("at", &at, "width"_a, "n"_a, "pieces"_a.noconvert(), "table"_a.noconvert(), "x"_a.noconvert(),
          "out"_a.noconvert());
    m.def("deposit", &deposits, "n"_a, "pieces"_a.noconvert(), "x"_a.noconvert(), "weights"_a.noconvert(),
          "nodes"_a.noconvert());
    m.def("sweep", &sweep, "width"_a, "n"_a, "pieces"_a.noconvert(), "table"_a.noconvert(), "a"_a.noconvert(),
          "b"_a.noconvert(), "error"_a.noconvert(), "h"_a, "inner"_a, "outer"_a, "state"_a.noconvert(),
          "moved"_a.noconvert(), "errors"_a.noconvert());
}
