# Every target sets up what it needs. Stamps in .venv/.stamps say what is done already.
PYTHON ?= python3
# `make PROFILE=fast …` links faster, for work on the Rust side.
PROFILE ?= release
# Extra arguments for pytest: `make test PYTEST="-k moons -x"`.
PYTEST ?=

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
STAMPS := $(VENV)/.stamps
BUILT := $(STAMPS)/built-$(PROFILE)
RUST_SOURCES := Cargo.toml $(wildcard Cargo.lock) $(shell find rust -name '*.rs' -o -name Cargo.toml)
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)
# An extension module links against no libpython, so its crate has no Rust tests of its own.
CRATES := --workspace --exclude wengert-python

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help build demo figure test test-quick test-rust sanitize parity-full bench bench-overhead bench-counts bench-check bench-gpu lint format stubs wheel clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# --- set-up ---------------------------------------------------------------------------------------------------

$(STAMPS)/venv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wengert needs Python 3.11 or newer; try make PYTHON=python3.12")'
	test -x $(PY) || $(PYTHON) -m venv $(VENV)
	mkdir -p $(STAMPS)
	$(PY) -m pip install --quiet 'maturin>=1.9,<2'
	touch $@

# $(STAMPS)/extra-NAME: an extra of pyproject.toml is installed, without the project itself.
$(STAMPS)/extra-%: pyproject.toml tools/extras.py | $(STAMPS)/venv
	$(PY) tools/extras.py $* > $@.txt
	$(PY) -m pip install --quiet --requirement $@.txt
	touch $@

# One build is installed at a time: another profile's stamp goes.
$(BUILT): $(RUST_SOURCES) pyproject.toml | $(STAMPS)/venv
	rm -f $(STAMPS)/built-*
	VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --profile $(PROFILE)
	touch $@

build: $(BUILT) ## an editable build in .venv

# --- running --------------------------------------------------------------------------------------------------

demo: $(BUILT) $(STAMPS)/extra-demo ## train make_moons, print the accuracy, write moons.png
	$(PY) examples/moons.py --out moons.png

figure: $(BUILT) $(STAMPS)/extra-demo ## draw the README's figure anew
	$(PY) examples/moons.py --out docs/moons.png

# --- tests ----------------------------------------------------------------------------------------------------

test: test-rust $(BUILT) $(STAMPS)/extra-test ## everything, with live parity against torch
	$(PY) -m pytest $(PYTEST)

test-quick: test-rust $(BUILT) $(STAMPS)/extra-dev ## the same without downloading torch
	CI= $(PY) -m pytest $(PYTEST)

test-rust: ## the Rust crates' tests and doctests
ifeq ($(NEXTEST),yes)
	cargo nextest run $(CRATES) --no-fail-fast
	WENGERT_ISA=avx2 cargo nextest run $(CRATES) --no-fail-fast -E 'package(wengert-cpu)'
	WENGERT_ISA=base OMP_NUM_THREADS=1 cargo nextest run $(CRATES) --no-fail-fast -E 'package(wengert-cpu)'
else
	cargo test $(CRATES) --lib --bins --tests --no-fail-fast
	WENGERT_ISA=avx2 cargo test -p wengert-cpu --tests --no-fail-fast
	WENGERT_ISA=base OMP_NUM_THREADS=1 cargo test -p wengert-cpu --tests --no-fail-fast
endif
	cargo test $(CRATES) --doc

# CRATE and TEST narrow it down: `make sanitize TEST=sort`.
CRATE ?= wengert-cpu
TEST ?= *
sanitize: ## the kernels' tests under valgrind, which watches every access to memory (slow)
	cargo test -p $(CRATE) --test '$(TEST)' --config "target.'cfg(all())'.runner=['valgrind','-q','--error-exitcode=9']"

parity-full: $(BUILT) $(STAMPS)/extra-test ## the whole parity grid instead of its sample
	WENGERT_PARITY=full $(PY) -m pytest tests/parity $(PYTEST)

# --- measuring ------------------------------------------------------------------------------------------------

bench: $(BUILT) $(STAMPS)/extra-test ## every benchmark; writes benches/RESULTS.md
	cargo bench -p wengert
	$(PY) benches/run.py

bench-overhead: $(BUILT) $(STAMPS)/extra-test ## the bars on overhead, against torch in the same run
	$(PY) benches/run.py --only overhead memory --no-write

bench-counts: $(BUILT) ## the instructions of small operations, by valgrind; writes benches/counts.json
	$(PY) benches/python/counts.py --profile $(PROFILE) --write

bench-check: $(BUILT) ## the same, against those recorded: fails where one grew by more than 3 %
	$(PY) benches/python/counts.py --profile $(PROFILE)

bench-gpu: $(BUILT) $(STAMPS)/extra-test ## the GPU's bars, a real card's figures beside torch's; writes the card's part of benches/RESULTS.md
	WENGERT_ALLOW_SOFTWARE_GPU=1 $(PY) benches/run.py --only gpu

# --- upkeep ---------------------------------------------------------------------------------------------------

lint: $(BUILT) $(STAMPS)/extra-dev ## rustfmt, clippy, rustdoc, ruff, mypy, stubs up to date
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc $(CRATES) --no-deps --quiet
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(PY) tools/stubs.py --check
	$(PY) -m mypy

format: $(STAMPS)/extra-dev ## put sources into shape
	cargo fmt --all
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

stubs: $(BUILT) ## write the .pyi files from the registry and the sources
	$(PY) tools/stubs.py

wheel: | $(STAMPS)/venv ## build the wheel into dist/ and print its size
	rm -rf dist
	$(BIN)/maturin build --compression-level 9 --release --out dist
	$(PY) tools/wheel_size.py dist

clean: ## remove builds, caches and the virtual environment
	cargo clean
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis moons.png
	find python tests benches examples tools -name __pycache__ -type d -prune -exec rm -rf {} +
	rm -f python/wengert/_core*.so
