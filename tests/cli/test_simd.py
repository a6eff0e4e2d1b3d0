"""What ``fpsolve info`` says of instruction sets."""

import pytest

from fpsolve.cli.info import collect, processor_level


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("flags\t\t: fpu sse2 pni avx avx2 avx512f", "avx512"),
        ("flags : sse2 pni avx avx2", "avx2"),
        ("flags : sse2", "sse2"),
        ("Features : fp asimd", "neon"),
        ("model name : avx2", None),
    ],
)
def test_levels_of_processors(line, level, tmp_path):
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{line}\n")
    assert processor_level(tmp_path / "cpuinfo") == level


def test_a_machine_without_that_file(tmp_path):
    assert processor_level(tmp_path / "none") is None


def test_this_machine_offers_what_shtns_was_built_for():
    """Otherwise its transforms would have ended the process."""
    levels, shtns = ["sse2", "sse3", "avx", "avx2", "avx512"], collect()["shtns"]
    if {shtns["simd"], shtns["simd_here"]} <= set(levels):
        assert levels.index(shtns["simd"]) <= levels.index(shtns["simd_here"])
