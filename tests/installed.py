"""An installed fpsolve, away from its sources: ``python installed.py REPOSITORY`` in the environment to try.

What is imported is not the repository's; the files that a user needs are there; the example runs, is read and drawn.
"""

import importlib.metadata
import subprocess
import sys
import tempfile
from pathlib import Path


def main(repository: str) -> None:
    import fpsolve as fp

    package, root = Path(fp.__file__).parent, Path(repository).resolve()
    assert sys.prefix != sys.base_prefix and Path(sys.prefix).resolve() in package.resolve().parents, package
    assert (package / "py.typed").exists()
    names = [str(file) for file in importlib.metadata.files("fpsolve") or ()]
    assert any(name.endswith("licenses/LICENSE") for name in names)
    strangers = [name for name in names if name.endswith((".cpp", ".hpp")) or name.startswith(("tests/", "docs/"))]
    assert not strangers, strangers

    program = Path(sys.prefix) / "bin" / "fpsolve"
    with tempfile.TemporaryDirectory() as folder:
        for words in (
            ["--version"],
            ["info"],
            ["run", str(root / "examples" / "demo.toml"), "-o", "demo.nc", "--set", "solve.t_end=0.1"],
            ["plot", "demo.nc", "-o", "demo.png"],
        ):
            subprocess.run([program, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        ds = fp.load(Path(folder) / "demo.nc")
        overlap = ds.overlap.values
        assert 0 < overlap[0] < 1 and (abs(ds.mass.values - 1) < 1e-6).all()
        assert (Path(folder) / "demo.png").stat().st_size > 10_000
    print(f"fpsolve: {fp.__version__}, installed from its wheel, runs its example: overlap {overlap[-1]:.3f}")


if __name__ == "__main__":
    main(sys.argv[1])
