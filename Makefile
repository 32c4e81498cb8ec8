# Two commands for a newcomer: `make demo` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
PIP := $(BIN)/pip --disable-pip-version-check --no-input -q

.DEFAULT_GOAL := help
.PHONY: help demo browser test chaos soak fuzz lint format messages bench docs lock clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "callrouter needs Python 3.11 or newer as '$(PYTHON)'. Install it (Debian: apt-get install python3 python3-venv) or say: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing. On Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }
	@touch $@

$(VENV)/demo-ready: requirements.lock pyproject.toml $(VENV)/created
	@echo "callrouter: installing the locked dependencies into $(VENV) …" >&2
	@$(PIP) install --require-hashes --no-deps -r requirements.lock || { \
	  echo "The locked dependencies could not be installed: check the network (or pip's index settings) and repeat." >&2; exit 1; }
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev-ready: requirements-dev.lock $(VENV)/demo-ready
	@echo "callrouter: installing the development tools into $(VENV) …" >&2
	@$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

demo: $(VENV)/demo-ready ## the whole product on this machine: PBX, visitors, calls, journal (ARGS="--calls 20 --exit")
	@$(BIN)/callrouter demo $(ARGS)

test: $(VENV)/dev-ready browser ## all tests, on a real Asterisk, Postgres and Valkey (ARGS="-k name")
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),-n 3)

browser:
	@command -v chromium >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  { echo "callrouter: installing chromium for the browser tests …" >&2; apt-get install -y -qq chromium >/dev/null 2>&1 || \
	    { apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1; }; } || \
	  echo "callrouter: the browser tests are left out, for there is no chromium. On Debian, as root: apt-get install chromium" >&2

chaos: $(VENV)/demo-ready ## parts are killed, frozen and cut off while people call; no call may be lost (ARGS="--minutes 10 --seed 2")
	@$(BIN)/callrouter chaos $(ARGS)

soak: $(VENV)/demo-ready ## 100,000 real calls as fast as Asterisk holds, with callrouter and without (ARGS="--calls 3000")
	@$(BIN)/callrouter soak $(if $(ARGS),$(ARGS),--calls 100000)

lint: $(VENV)/dev-ready ## static checks: ruff, mypy, import contracts, dead code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/vulture

format: $(VENV)/dev-ready ## let ruff rewrite the code
	@$(BIN)/ruff check --fix-only -q . ; $(BIN)/ruff format .

messages: $(VENV)/dev-ready ## the pages' words, as they stand in the code, into locale/ru.po for translation
	@$(BIN)/pybabel -q extract -F callrouter/web/pages/locale/babel.cfg -k N_ -k pgettext:1c,2 -k Refused -k WeakPassword -k NotHis -k NoSense -k NotANumber -k Worded -k Wording -k Fault:2 -k BadFilter:2 --no-location \
	  --omit-header --sort-output --no-wrap -o $(VENV)/pages.pot callrouter
	@$(BIN)/pybabel -q update -i $(VENV)/pages.pot -o callrouter/web/pages/locale/ru.po -l ru -N --ignore-obsolete --omit-header --no-wrap

fuzz: $(VENV)/dev-ready ## readers of AMI, AGI, ARI and CEL against made-up inputs (ARGS="--seconds 600 --reader ami")
	@$(BIN)/python -m tests.fuzz $(ARGS)

bench: $(VENV)/dev-ready ## benchmarks as ratios, also in bench/results.json
	@$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/dev-ready ## the documentation site, in site/
	@$(BIN)/mkdocs build --strict

lock: ## new lock files from pyproject.toml (needs uv)
	uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 pyproject.toml --extra embedded --extra build -o requirements.lock
	uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --python-version 3.11 pyproject.toml --all-extras -c requirements.lock -o requirements-dev.lock

clean: ## removes the virtual environment and caches
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .ruff_cache site demo-data
