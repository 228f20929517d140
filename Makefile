# Everything a developer or operator types. `make run` and `make test` each set up what they need first:
# Python 3.11 to 3.13 and make are enough; no root, no server, no other tool.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
unexport PYTHONDONTWRITEBYTECODE # without byte-code every start compiles every library again

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
CODE := apps backtest bench core portfolio scripts strategies
CONFIG ?= ./config/base.yaml
PLACE = --config $(CONFIG) $(if $(PROFILE),--profile "$(PROFILE)")
SECONDS ?= 600

# The first interpreter that is young enough and not too young for the locked packages.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$python && break; done)

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- setting up

$(BIN)/python:
	@test -n "$(PYTHON)" || { \
	echo "No Python 3.11, 3.12 or 3.13 on PATH. Install one, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; \
	exit 1; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q $(wildcard $(CODE))
	@touch $@

venv: | $(BIN)/python ## create .venv, empty

install: $(STAMP) ## install the locked packages and this project into .venv

setup: install ## everything that run and test need
	@echo "ready: make run, make test, make help"

lock: | $(BIN)/python ## rewrite requirements.lock from pyproject.toml [UPGRADE=1 for newer versions]
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	env -u UV_INDEX -u UV_DEFAULT_INDEX -u UV_INDEX_URL -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS \
	$(BIN)/uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes --all-extras \
	$(if $(UPGRADE),--upgrade) --group dev --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
	--output-file requirements.lock pyproject.toml

# --- running

run: $(STAMP) ## the whole system on paper [VENUE=binanceus or CAPTURE=file; SYMBOL=BTC/USDT SPEED=10 SEED=7 FEED=lean PROFILE=demo FRESH=1]
	@$(BIN)/python -m apps.run $(if $(CAPTURE),--capture "$(CAPTURE)") $(if $(VENUE),--venue "$(VENUE)") \
	$(if $(SYMBOL),--symbol "$(SYMBOL)") $(if $(SPEED),--speed "$(SPEED)") $(if $(SEED),--seed "$(SEED)") \
	$(if $(FEED),--feed "$(FEED)") $(if $(PROFILE),--profile "$(PROFILE)") $(if $(FRESH),--fresh)

run-sim: $(STAMP) ## a simulated exchange alone [CAPTURE=file, else synthetic; SYMBOL=BTC/USDT SPEED=10 SEED=7 PORT=8090]
	$(strip $(BIN)/python -m apps.sim_exchange $(PLACE) $(if $(CAPTURE),--capture "$(CAPTURE)",--synthetic) \
	$(if $(SYMBOL),--symbol "$(SYMBOL)") $(if $(SEED),--seed "$(SEED)") $(if $(SPEED),--speed "$(SPEED)") \
	$(if $(PORT),--port "$(PORT)"))

run-md: $(STAMP) ## market data alone [VENUE=binanceus or CAPTURE=file, else synthetic; SYMBOL=BTC/USDT SPEED=10 SEED=7 FEED=ccxt ENDPOINT=url]
	$(strip $(BIN)/python -m apps.md_ingest $(PLACE) --symbol "$(or $(SYMBOL),BTC/USDT)" \
	$(if $(VENUE),--venue "$(VENUE)",$(if $(CAPTURE),--capture "$(CAPTURE)",--synthetic --seed "$(or $(SEED),7)")) \
	$(if $(FEED),--feed "$(FEED)") $(if $(ENDPOINT),--endpoint "$(ENDPOINT)") $(if $(SPEED),--speed "$(SPEED)"))

run-bars: $(STAMP) ## bars out of trades alone [PROFILE=demo, as for each of these]
	$(BIN)/python -m apps.ohlcv_aggregator $(PLACE)

run-strat: $(STAMP) ## the strategies alone
	$(BIN)/python -m apps.strategy_runner $(PLACE)

run-risk: $(STAMP) ## the risk gate alone
	$(BIN)/python -m apps.risk_engine $(PLACE)

run-paper: $(STAMP) ## the paper venue alone
	$(BIN)/python -m apps.paper_trader $(PLACE)

run-portfolio: $(STAMP) ## the portfolio alone
	$(BIN)/python -m apps.portfolio_manager $(PLACE)

data: $(STAMP) ## market history: import, download, look at it, check it [ARGS="list", ARGS="--help"]
	@$(BIN)/python -m backtest.data $(PLACE) $(or $(ARGS),--help)

replay: $(STAMP) ## recorded market data again [START=2025-09-01 END=2025-09-30; SYMBOL=ATOM/USDT TIMEFRAME=1m SPEED=10x TOPICS=bars CELL=replay SOURCE=synthetic]
	$(strip $(BIN)/python -m apps.replay_engine $(PLACE) --symbol "$(or $(SYMBOL),BTC/USDT)" \
	--start "$(START)" --end "$(END)" $(if $(TIMEFRAME),--timeframe "$(TIMEFRAME)") $(if $(SPEED),--speed "$(SPEED)") \
	$(if $(TOPICS),--topics "$(TOPICS)") $(if $(CELL),--cell "$(CELL)") $(if $(FROM),--from "$(FROM)") \
	$(if $(SOURCE),--source "$(SOURCE)"))

run-kill-trip: $(STAMP) ## stop all trading now [REASON="why"]
	@$(BIN)/python -m scripts.njord_kill trip-file $(PLACE) --reason "$(or $(REASON),no reason given)"

run-kill-clear: $(STAMP) ## allow trading again, REASON="why" is required
	@$(BIN)/python -m scripts.njord_kill clear-file $(PLACE) --reason "$(REASON)"

check-kill: $(STAMP) ## whether the kill switch is tripped; 0 means clear
	$(BIN)/python -m scripts.njord_kill check $(PLACE)

check-config: $(STAMP) ## whether the configuration is right, all of it [PROFILE=live]
	@$(BIN)/python -m scripts.njord_config check $(PLACE)

status: $(STAMP) ## the cell on the Redis server: open or not, and who is in it
	@$(BIN)/python -m scripts.njord_cell status $(PLACE)

journal: ## follow the journals that are being written
	@files=$$(ls var/log/njord 2>/dev/null | grep '\.ndjson$$' | grep -Ev '\.[0-9]{8}(\.[0-9]+)?\.ndjson$$'); \
	test -n "$$files" || { echo "var/log/njord holds no journals yet: make run" >&2; exit 1; }; \
	cd var/log/njord && exec tail -n 1 -F $$files

compress: $(STAMP) ## compress the journals and logs of finished days [RETENTION=1 also moves and deletes what is old, DRY=1]
	@$(BIN)/python -m scripts.compress_journals $(PLACE) $(if $(RETENTION),--retention) $(if $(DRY),--dry-run)

install-systemd: $(STAMP) ## units, configuration and the command `njord` of a server, as root [DESTDIR=folder]
	DESTDIR="$(DESTDIR)" deploy/install.sh

# --- checking

fmt: $(STAMP) ## format the code
	$(BIN)/ruff format
	$(BIN)/ruff check --fix-only --quiet

lint: $(STAMP) ## rules of style and of imports, schemas up to date
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.gen_schemas --check

type: $(STAMP) ## strict types
	$(BIN)/mypy

unit: $(STAMP) ## the fast tests, in about a minute
	$(BIN)/pytest -n 2 --hypothesis-profile unit -m "not slow and not processes and not chaos"

test: lint type ## every check and every test
	$(BIN)/pytest -n 2 -m "not processes and not chaos"
	$(BIN)/pytest -n 4 -m venue
	$(BIN)/pytest -m "(processes and not venue) or chaos"

pre-commit: fmt lint type ## what to run before a commit

schemas: $(STAMP) ## write the JSON Schemas and examples of all events
	$(BIN)/python -m scripts.gen_schemas

PEERS := var/bench/peers

$(PEERS)/.installed: bench/peers.txt $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --target $(PEERS) -r bench/peers.txt
	@touch $@

bench: $(PEERS)/.installed ## measure, others beside it [ONLY=reader]
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

chaos: $(STAMP) ## kill everything at random, lose nothing [SECONDS=600]
	$(BIN)/python -m tests.chaos --seconds $(SECONDS)

.PHONY: help venv install setup lock run run-sim data run-md run-bars run-strat run-risk run-paper run-portfolio replay \
	run-kill-trip run-kill-clear check-kill check-config status journal compress install-systemd fmt lint type unit \
	test pre-commit schemas bench chaos
