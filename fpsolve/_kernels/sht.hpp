// SHTns's transforms through its C interface, whose symbols the installed extension exports: Python hands their
// addresses over once (fpsolve/sphere/_shtns.py) and the address of a plan with each call. A transform is what the
// method of the same name does in Python, to the bit; analyses may overwrite the fields that they read.

#pragma once

#include <nanobind/nanobind.h>

#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <stdexcept>

namespace sht {

using Complex = std::complex<double>;

struct Transforms {
    void (*SH_to_spat)(void*, Complex*, double*) = nullptr;
    void (*SHsph_to_spat)(void*, Complex*, double*, double*) = nullptr;
    void (*SHsphtor_to_spat)(void*, Complex*, Complex*, double*, double*) = nullptr;
    void (*spat_to_SH)(void*, double*, Complex*) = nullptr;
    void (*spat_to_SHsphtor)(void*, double*, double*, Complex*, Complex*) = nullptr;
};

inline Transforms transforms;

// In this order, as fpsolve/sphere/_shtns.py lists them.
inline void bind(std::uintptr_t sy1, std::uintptr_t sy2s, std::uintptr_t sy2, std::uintptr_t an1, std::uintptr_t an2) {
    transforms.SH_to_spat = reinterpret_cast<decltype(transforms.SH_to_spat)>(sy1);
    transforms.SHsph_to_spat = reinterpret_cast<decltype(transforms.SHsph_to_spat)>(sy2s);
    transforms.SHsphtor_to_spat = reinterpret_cast<decltype(transforms.SHsphtor_to_spat)>(sy2);
    transforms.spat_to_SH = reinterpret_cast<decltype(transforms.spat_to_SH)>(an1);
    transforms.spat_to_SHsphtor = reinterpret_cast<decltype(transforms.spat_to_SHsphtor)>(an2);
}

inline void* plan(std::uintptr_t address) {
    if (transforms.SH_to_spat == nullptr) throw std::runtime_error("the transforms are not bound");
    if (address == 0) throw std::invalid_argument("no plan");
    return reinterpret_cast<void*>(address);
}

// Work arrays on cache lines, not cleared.
template <typename T>
class Room {
   public:
    explicit Room(std::size_t n) : data_(static_cast<T*>(std::aligned_alloc(64, (n * sizeof(T) + 63) / 64 * 64))) {
        if (!data_) throw std::bad_alloc();
    }
    T* get() { return data_.get(); }

   private:
    struct Free {
        void operator()(T* p) const { std::free(p); }
    };
    std::unique_ptr<T[], Free> data_;
};

}  // namespace sht
