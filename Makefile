# Every command of the project. Targets appear when what they run exists.
# PYTHON=python3.13 chooses another interpreter for the environment.

PYTHON ?= python3
BIN    := .venv/bin
UV     := 0.13.9
export PYTHON

.DEFAULT_GOAL := help
.PHONY: campaign explore mutants help setup demo test lint types check bench docs install deb test-board hangs ci lock clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*##/\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup:  ## make .venv ready (the second time this costs nothing)
	@.ci/setup

demo: setup  ## run a whole examination against the rig; leaves out/demo/
	@$(BIN)/carm demo

test: setup  ## run every test; leaves out/test/
	@$(BIN)/python -m pytest -n 2 --verdict=out/test --junitxml=out/test/junit.xml --cov \
	  --cov-report=json:out/test/coverage.json --cov-report=term-missing:skip-covered \
	  --cov-fail-under=100; code=$$?; \
	  $(BIN)/python -m docs.trace out/test/junit.xml; exit $$code

explore: setup  ## the executive and the mode machine in every state
	@$(BIN)/carm explore --native
	@$(BIN)/carm explore --compare-mailbox

mutants: setup  ## change every deciding line once; leaves out/mutants/report.json
	@$(BIN)/python -m tests.mutants --out out/mutants/report.json

campaign: setup  ## a simulated day of faults and every pair of them (FULL=1: 1,000 hours); resumable
	@$(BIN)/carm campaign --native --out out/campaign --hours $(if $(FULL),1000,24) --pairs 5

lint: setup  ## style and import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: setup  ## mypy --strict
	@$(BIN)/mypy

check: lint types test  ## everything a change must pass

bench: setup  ## measure (FULL=1 for the stated sample sizes); leaves out/bench/
	@FULL=$(FULL) $(BIN)/python -m bench

docs: setup  ## write the pages that are made from tables
	@$(BIN)/python -m docs.generate
	@$(BIN)/python -m hil.sim.page

install: setup  ## lay the files of a board into DESTDIR=…
	@.ci/board install "$(DESTDIR)"

deb: setup  ## pack the Debian package for amd64 and arm64; leaves out/carm_*_all.deb
	@.ci/board deb

test-board: setup  ## boot the package in a container and break it; leaves out/board/report.json
	@$(BIN)/python -m tests.board

hangs: setup  ## a hundred hangs of every kind, resumable; leaves out/board/hangs.json
	@$(BIN)/python -m tests.board.campaign

ci:  ## what a bench runs: the tests, then the real boot within ten minutes
	@.ci/run
	@.ci/board-run

lock:  ## resolve the dependencies again into .ci/requirements.lock
	$(PYTHON) -m venv out/lock
	out/lock/bin/pip install --quiet uv==$(UV)
	out/lock/bin/uv pip compile pyproject.toml --extra dev --no-config \
	  --default-index https://pypi.org/simple --no-emit-index-url --no-emit-find-links \
	  --universal --python-version 3.11 --generate-hashes --upgrade \
	  --custom-compile-command 'make lock' --output-file .ci/requirements.lock
	out/lock/bin/uv pip compile pyproject.toml .ci/board.in --no-config \
	  --default-index https://pypi.org/simple --no-emit-index-url --no-emit-find-links \
	  --universal --python-version 3.11 --generate-hashes --constraint .ci/requirements.lock \
	  --custom-compile-command 'make lock' --output-file .ci/board.lock

clean:  ## remove what the targets above made
	rm -rf .venv out
