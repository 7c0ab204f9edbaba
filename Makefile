# make report — from a bare clone to site, PDF, notebooks and reports (light set, no torch).
# make test   — the full set, the linter of the book and the default tests.

PYTHON := $(shell for name in python3.13 python3.12 python3.11 python3; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$name" && break; done)
BIN := .venv/bin

.PHONY: report test test-all freeze results notebooks bench pictures clean

report: .venv/.light
	$(BIN)/pixgrad render --to html,pdf,ipynb,gfm

test: .venv/.full
	$(BIN)/pixgrad check
	$(BIN)/python -m pytest -n 2 --dist worksteal

test-all: .venv/.full
	$(BIN)/pixgrad check
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "slow or not slow"

freeze: .venv/.full
	$(BIN)/pixgrad freeze

results: .venv/.full
	$(BIN)/pixgrad run all --preset report --resume

notebooks: .venv/.light
	$(BIN)/pixgrad notebooks

# About five minutes of a quiet machine.
bench: .venv/.full
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python benchmarks/bench.py

# Of the README; needs Chromium and poppler.
pictures: .venv/.full
	$(BIN)/pixgrad render --to html,pdf
	$(BIN)/pixgrad pictures
	$(BIN)/python tests/book/test_figure_list.py

clean:
	rm -rf .venv .cache _book _book.*

# The stamps are newer than pyproject.toml while what it asks for is installed.
.venv/.light: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/.full: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch .venv/.light $@

.venv/bin/python:
	@test -n "$(PYTHON)" || { \
		echo "make: нужен Python 3.11 или новее, а его нет среди python3.13, python3.12, python3.11, python3" >&2; \
		exit 1; }
	$(PYTHON) -m venv .venv
