# Every target sets up what it needs: a virtual environment in .venv with pinned versions.
PYTHON ?= python3.11
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check install -q -c constraints.txt

.PHONY: help setup demo test test-slow lint bench clean

help:
	@echo "make setup     .venv with the command weakspot (.venv/bin/weakspot)"
	@echo "make demo      train on digit grids, from counts alone, and show what it found (6 to 11 minutes)"
	@echo "make test      the tests        make test-slow  those that take minutes"
	@echo "make lint      ruff and mypy    make bench      speed and memory, as in benchmarks/README.md"

.venv/python:
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON) here: install Python 3.11 or newer, or say 'make PYTHON=python3 ...'"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/setup: .venv/python pyproject.toml constraints.txt
	$(PIP) -e '.[demo,cluster]'
	@touch $@

.venv/test: .venv/setup
	$(PIP) -e '.[test]'
	@touch $@

.venv/bench: .venv/test
	$(PIP) -e '.[bench]'
	@touch $@

.venv/lint: .venv/test
	$(PIP) -e '.[lint]'
	@touch $@

setup: .venv/setup

demo: .venv/setup
	$(BIN)/weakspot demo --out demo

# A file's tests in one process, as many processes as cores, so each with one thread.
test: .venv/test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile

test-slow: .venv/bench
	$(BIN)/pytest -m slow

lint: .venv/lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: .venv/bench
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf .venv demo
