# Every job has one target; CI, the hooks and people call the same ones. Needs python3 (3.11+), pip and make.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.made-from-requirements
STAGE  ?= dev
FUZZ_SECONDS ?= 120
FUZZ_OPTIONS ?=
SCHEDULES ?= 100000
DRAWS  ?= 5000
SWAPPED ?= 2000
SIMULATE_OPTIONS ?=
MUTANTS_OPTIONS ?=
# Many interpreters are started by the jobs below; each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-deployed test-long fuzz simulate mutants lint security format bench bench-quick build deploy-dev delete-dev rehearse lock pages hooks clean

help: ## Show what can be made
	@awk -F':.*## ' '/^[a-z][a-z0-9-]*:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements/dev.txt pyproject.toml
	@echo "Making the environment $(VENV) (once; about a minute)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## Run the main job: ten trading days through both lanes, compared and explained (build/demo/)
	@$(BIN)/shadow demo

test: $(STAMP) ## Run the tests: unit, contract, integration, infrastructure, and the short end-to-end run
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not (long or local_cloud or browser or thorough)"

test-deployed: $(STAMP) ## Run the tests of deployed stacks, of pages in a browser, and every case of what make test tries a part of
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "(local_cloud or browser or thorough) and not long"

test-long: $(STAMP) ## Run the long forms of the property, model-based and end-to-end tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m long

fuzz: $(STAMP) ## Drive the properties of tests/fuzz by coverage for FUZZ_SECONDS, and say what was reached (Linux, x86-64)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/fuzz.txt
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_OPTIONS)

simulate: $(STAMP) ## Run and audit SCHEDULES worlds whose services fail and DRAWS in which lanes misbehave, SWAPPED of them after a cut-over; SCHEDULE=N, SEED=N or SWAPPED_SEED=N shows one
	@$(BIN)/python -m tests.simulation --schedules $(SCHEDULES) --draws $(DRAWS) --swapped $(SWAPPED) $(if $(SCHEDULE),--schedule $(SCHEDULE)) $(if $(SEED),--seed $(SEED)) $(if $(SWAPPED_SEED),--swapped-seed $(SWAPPED_SEED)) $(SIMULATE_OPTIONS)

mutants: $(STAMP) ## Change one place of the code at a time, by a fixed seed, and count what the nearest tests miss (15 minutes)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/mutants.txt
	@$(BIN)/python -m tests.mutation $(MUTANTS_OPTIONS)

lint: $(STAMP) ## Check style, types, the arrows of import, the template, the workflow and the generated pages
	@mkdir -p build
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache > build/lint-imports.log 2>&1 || { cat build/lint-imports.log; exit 1; }
	@# ES6000: a dead-letter queue has none of its own. ES7000: a mail subscription has none; failed deliveries are in the topic's metrics.
	@$(BIN)/cfn-lint -a cfn_lint_serverless.rules --ignore-checks W1030 ES6000 ES7000 -- template.yaml
	@$(BIN)/python -m local.aws_rules
	@$(BIN)/python -m local.pages --check
	@echo "lint: clean"

security: $(STAMP) ## Scan code and template; every accepted finding has a written reason
	@$(BIN)/python -m local.security

format: $(STAMP) ## Format the code and mend what can be mended by machine
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

build: $(STAMP) ## Build the artefacts that are deployed to AWS (build/artefacts/), and the package (build/dist/)
	@$(BIN)/python -m local.cloud.build --target aws
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -w build/dist .

deploy-dev: build ## Deploy to AWS what samconfig.toml says, stage dev or STAGE=prod (needs the SAM CLI and credentials)
	@command -v sam > /dev/null || { echo "deploy-dev: expected the SAM CLI on the path (pip install aws-sam-cli)"; exit 3; }
	@$(BIN)/python -m local.deploying $(STAGE)

delete-dev: $(STAMP) ## Delete the stack, stage dev or STAGE=prod, unless something outside of it names what would go
	@command -v sam > /dev/null || { echo "delete-dev: expected the SAM CLI on the path (pip install aws-sam-cli)"; exit 3; }
	@$(BIN)/python -m local.deleting $(STAGE)

rehearse: $(STAMP) ## Deploy with the real SAM CLI into the local cloud, and prove that what runs is what was deployed
	@$(BIN)/python -m local.rehearse

pages: $(STAMP) ## Write the generated pages under docs/ anew
	@$(BIN)/python -m local.pages

bench: $(STAMP) ## Measure every benchmark against its peer (a quarter of an hour)
	@$(BIN)/python -m benchmarks

bench-quick: $(STAMP) ## The same, small (about 1 minute)
	@$(BIN)/python -m benchmarks --quick

lock: $(STAMP) ## Pin the requirements anew, with hashes (needs uv on the path)
	@for name in layer broker reports local dev bench fuzz mutants sam; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

hooks: ## Call lint before each commit
	@printf '#!/bin/sh\nexec make lint\n' > .git/hooks/pre-commit && chmod +x .git/hooks/pre-commit

clean: ## Remove everything that was made
	@rm -rf build .aws-sam $(VENV) .venv-local .venv-sam .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
