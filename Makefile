# Two commands for a stranger: `make run` and `make test`. Everything else is in CONTRIBUTING.md.
PYTHON ?= python3.11
SOURCE ?= movielens_1m
HOURS ?= 3
HORIZON ?= 7
ACTION ?= list
LIMIT ?= 20
BENCH_ROWS ?= 10000000
BENCH_USERS ?= 10000,100000,1000000
BENCH_ACTIVE ?= 100,1000,10000
VENV := .venv
BIN := $(VENV)/bin
PEERS_LOCK := plugins/tideline/evaluation/outside/requirements.txt
PEERS_INSTALLED := .venv-peers/.installed-$(shell cksum < $(PEERS_LOCK) | cut -d' ' -f1)
INSTALLED := $(VENV)/.installed-$(shell cksum requirements.lock pyproject.toml | cksum | cut -d' ' -f1)

# Settings given on the command line reach the commands through the environment only.
export TIDELINE_SOURCE := $(SOURCE)
ifdef LANDING
export TIDELINE_LANDING := $(LANDING)
endif
ifdef VARS
export TIDELINE_VARS := $(VARS)
endif
export TIDELINE_AS_OF := $(AS_OF)
export TIDELINE_VERSION := $(VERSION)
export TIDELINE_CUTOFF := $(CUTOFF)
export TIDELINE_PEERS := $(PEERS)
export TIDELINE_QUERY := $(QUERY)
export TIDELINE_GENERATION := $(GENERATION)
export TIDELINE_BATCH := $(BATCH)
export TIDELINE_USER := $(if $(filter command line,$(origin USER)),$(USER))
export TIDELINE_FROM := $(FROM)
export TIDELINE_TO := $(TO)
export TIDELINE_RULE := $(RULE)
export TIDELINE_ROWS := $(ROWS)
export TIDELINE_SET := $(SET)
export TIDELINE_REASON := $(REASON)
export TIDELINE_ONLY := $(ONLY)

.PHONY: run train models why-changed maintain backup restore test up down cluster-up cluster-down \
	secrets test-cluster sql quarantine evaluate bench-scheduler \
	bench-gates bench-intake bench-embed bench-hourly bench-windows bench-retrieval bench-fusion bench-nightly \
	bench-upkeep bench-lookups faults picture install lint lint-fix \
	typecheck lock clean

run: install
	@$(BIN)/python -m tideline run --hours "$(HOURS)" $${TIDELINE_AS_OF:+--as-of "$$TIDELINE_AS_OF"}

train: install
	@$(BIN)/python -m tideline train $${TIDELINE_AS_OF:+--as-of "$$TIDELINE_AS_OF"}

models: install
	@$(BIN)/python -m tideline models "$(ACTION)" $${TIDELINE_VERSION:+--version "$$TIDELINE_VERSION"}

# USER of the shell's own environment is not meant: only the one that is typed.
why-changed: install
	@test -n "$$TIDELINE_USER" || { echo "error: say whose list: make why-changed USER=..." >&2; exit 1; }
	@$(BIN)/python -m tideline why-changed $${TIDELINE_FROM:+--from "$$TIDELINE_FROM"} $${TIDELINE_TO:+--to "$$TIDELINE_TO"} \
		-- "$$TIDELINE_USER"

maintain: install
	@$(BIN)/python -m tideline maintain

backup: install
	@test -n "$$TIDELINE_TO" || { echo "error: say where to: make backup TO=/other/disk/folder" >&2; exit 1; }
	@$(BIN)/python -m tideline backup "$$TIDELINE_TO"

restore: install
	@test -n "$$TIDELINE_FROM" || { echo "error: say where from: make restore FROM=/other/disk/folder" >&2; exit 1; }
	@$(BIN)/python -m tideline restore "$$TIDELINE_FROM"

up: install
	@$(BIN)/python -m tideline up

down: install
	@$(BIN)/python -m tideline down

cluster-up: install
	@$(BIN)/python -m tideline cluster up

cluster-down: install
	@$(BIN)/python -m tideline cluster down

secrets: install
	@$(BIN)/python -m tideline cluster secrets

# Installs Postgres and Redis where it may; its tests say by name what is missing.
test-cluster: install
	$(BIN)/python -m pytest -n 0 -m cluster --durations 10 tests/cluster

sql: install
	@$(BIN)/python -m tideline sql $${TIDELINE_GENERATION:+--generation "$$TIDELINE_GENERATION"} \
		$${TIDELINE_QUERY:+"$$TIDELINE_QUERY"}

quarantine: install
	@$(BIN)/python -m tideline quarantine "$(ACTION)" --limit "$(LIMIT)" $${TIDELINE_BATCH:+--batch "$$TIDELINE_BATCH"} \
		$${TIDELINE_RULE:+--rule "$$TIDELINE_RULE"} $${TIDELINE_ROWS:+--rows "$$TIDELINE_ROWS"} \
		$${TIDELINE_SET:+--set "$$TIDELINE_SET"} $${TIDELINE_REASON:+--reason "$$TIDELINE_REASON"}

evaluate: install $(if $(filter all,$(PEERS)),$(PEERS_INSTALLED))
	@$(BIN)/python -m tideline evaluate --horizon "$(HORIZON)" $${TIDELINE_CUTOFF:+--cutoff "$$TIDELINE_CUTOFF"} \
		$${TIDELINE_PEERS:+--peers "$$TIDELINE_PEERS"}

bench-scheduler: install
	@$(BIN)/python -m tideline bench-scheduler

bench-gates: install
	@$(BIN)/python -m tideline bench-gates --rows "$(BENCH_ROWS)"

bench-intake: install
	@$(BIN)/python -m tideline bench-intake

bench-embed: install
	@$(BIN)/python -m tideline bench-embed

bench-hourly: install
	@$(BIN)/python -m tideline bench-hourly --users "$(BENCH_USERS)" --active "$(BENCH_ACTIVE)"

bench-lookups: install
	@$(BIN)/python -m tideline bench-lookups $(if $(USERS),--users "$(USERS)") $(if $(ITEMS),--items "$(ITEMS)")

bench-windows: install
	@$(BIN)/python -m tideline bench-windows

# USERS, ITEMS, EVENTS and STEPS make it smaller: 1,000,000 users take most of an hour, and 40 GB of disk.
bench-nightly: install
	@$(BIN)/python -m tideline bench-nightly $(if $(USERS),--users "$(USERS)") $(if $(ITEMS),--items "$(ITEMS)") \
		$(if $(EVENTS),--events "$(EVENTS)") $(if $(STEPS),--steps "$(STEPS)")

bench-fusion: install
	@$(BIN)/python -m tideline bench-fusion --horizon "$(HORIZON)"

bench-retrieval: install
	@$(BIN)/python -m tideline bench-retrieval

bench-upkeep: install
	@$(BIN)/python -m tideline bench-upkeep

faults: install
	@$(BIN)/python -m tideline faults $${TIDELINE_ONLY:+--only "$$TIDELINE_ONLY"}

picture: install
	@$(BIN)/python -m tideline picture

test: install lint typecheck
	# By file, so that what a file's tests share is made once; in their order, so that the longest do not come last.
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 10

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfluff lint --disable-progress-bar dbt_project/models dbt_project/tests

lint-fix: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar dbt_project/models

typecheck: install
	$(BIN)/mypy

install: $(INSTALLED)

# uv installs in seconds what takes pip minutes. It does not read pip's configuration, hence --find-links; torch is
# locked without a local suffix, so that a machine that offers a CPU build may use it. Compiling once here spares every
# process that may not write bytecode several seconds of imports.
$(INSTALLED): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "error: Tideline needs Python 3.11: install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Installing Tideline and what it needs into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(shell sed -n 's/^# uv==//p' requirements.lock)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -r requirements.lock $${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"}
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@rm -f $(VENV)/.installed-* && touch $@

# Peers that cannot share the lock; evaluation exchanges Parquet with them.
$(PEERS_INSTALLED): $(PEERS_LOCK) | install
	@echo "Installing the peers that cannot share the lock into .venv-peers ..."
	@test -x .venv-peers/bin/python || $(BIN)/uv venv --quiet --python $(BIN)/python .venv-peers
	@$(BIN)/uv pip install --quiet --python .venv-peers/bin/python -r $< $${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"}
	@rm -f .venv-peers/.installed-* && touch $@

lock: install
	@uv=$$($(BIN)/uv --version | cut -d' ' -f2); { echo "# Made by 'make lock'; installed by 'make install' with uv of this version:"; echo "# uv==$$uv"; \
		$(BIN)/uv pip compile --quiet --all-extras pyproject.toml --python-version 3.11 --no-annotate --no-header \
		$${PIP_FIND_LINKS:+--find-links "$$PIP_FIND_LINKS"} | sed 's/+cpu$$//'; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean:
	rm -rf $(VENV) .venv-peers .pytest_cache .mypy_cache .ruff_cache .hypothesis dbt_project/target
