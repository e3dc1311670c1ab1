# Every task of the project, each one command.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The deployed runtime, if found and not already $(PYTHON): the tests run on it as well.
PYTHON_3_13 := $(shell $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] == (3, 13))' && \
	for python in $$(command -v python3.13) $(HOME)/.pyenv/versions/3.13*/bin/python3.13; do \
		$$python -c '' 2>/dev/null && echo $$python && break; done)
VENV_3_13 := .venv-3.13
BENCH := $(if $(PYTHON_3_13),$(VENV_3_13),$(VENV))
VENV_SAM := .venv-sam
VENV_CHECKOV := .venv-checkov
VENV_AUDIT := .venv-audit

TEMPLATES := template.yaml $(wildcard examples/*/template.yaml)

# Install in parallel: each installation mostly waits for the network.
SIDE_BY_SIDE := $(MAKE) --silent --no-print-directory --jobs 4
# Tests evaluate the policies with it, where npm is found.
POLICY_ENGINE := .build/policy-engine
FOR_TESTS := $(VENV)/dev.installed $(if $(PYTHON_3_13),$(VENV_3_13)/dev.installed) \
	$(if $(shell command -v npm),$(POLICY_ENGINE)/installed)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export SAM_CLI_TELEMETRY := 0
export CKV_SKIP_PACKAGE_UPDATE_CHECK := true

.DEFAULT_GOAL := help
.PHONY: help demo local chaos test check format lint types import-contracts validate scan build audit docs schema-compat release-check release demo-svg report-picture e2e cost bench bench-publish clean

help: ## list the tasks
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/local.installed ## run the whole stack on this machine with several exports, then stop
	@$(BIN)/python -m local.demo

local: $(VENV)/local.installed ## keep the whole stack running on this machine for manual calls
	@$(BIN)/python -m local.serve

SEEDS ?= 7
chaos: $(VENV)/local.installed ## run a fault campaign on this machine, or one for each of SEEDS="1 2 3"
	@$(BIN)/python -m chaos --seed $(SEEDS)

# Where Python 3.13 is found, it runs every test, and the other Python those that it may run differently. For coverage,
# that one runs all but those marked `once`.
ON_THE_OTHER_PYTHON = -m "not once" $(if $(COVERAGE),,tests/unit)

test: ## run every test, also on Python 3.13 if found
	@$(SIDE_BY_SIDE) $(FOR_TESTS)
	$(BIN)/python -m pytest -q -n 4 --dist loadfile $(if $(PYTHON_3_13),$(ON_THE_OTHER_PYTHON)) $(COVERAGE)
ifneq ($(PYTHON_3_13),)
	$(VENV_3_13)/bin/python -m pytest -q -n 4 --dist loadfile
endif

# The first run enforces 100 % branch coverage of functions/; it skips tests marked `once`.
check: COVERAGE := --cov --cov-report=term-missing:skip-covered
check: ## run every gate of CI
	@$(SIDE_BY_SIDE) $(FOR_TESTS) $(VENV_SAM)/installed $(VENV_CHECKOV)/installed
	@$(MAKE) --no-print-directory format lint types import-contracts validate scan build test COVERAGE="$(COVERAGE)"

format: $(VENV)/dev.installed ## check the format of the code
	$(BIN)/ruff format --check .

lint: $(VENV)/dev.installed ## check the code's style
	$(BIN)/ruff check .

types: $(VENV)/dev.installed ## check the types, strictly
	$(BIN)/mypy

import-contracts: $(VENV)/dev.installed ## check the import contracts
	PYTHONPATH=functions $(BIN)/lint-imports --no-cache

# One region of each partition; the templates give a reason for each exception.
validate: $(VENV_SAM)/installed ## check the SAM templates with every rule of cfn-lint and AWS's serverless rules
	$(VENV_SAM)/bin/cfn-lint --include-checks I --include-experimental --append-rules cfn_lint_serverless.rules \
		--regions us-east-1 us-gov-west-1 cn-north-1 eusc-de-east-1 -- $(TEMPLATES)

scan: $(VENV)/dev.installed $(VENV_CHECKOV)/installed ## check the translated templates for insecure settings
	$(BIN)/python -m tools.translated_template .build/translated
	$(VENV_CHECKOV)/bin/checkov --framework cloudformation --directory .build/translated --skip-download --compact --quiet

build: $(VENV_SAM)/installed ## build the functions for deployment
	$(VENV_SAM)/bin/sam build

audit: $(VENV_AUDIT)/installed ## check the deployed packages for known vulnerabilities (needs the package index, so not part of check)
	$(VENV_AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off --requirement requirements-content.txt

docs: $(VENV)/dev.installed ## write docs/events.md from docs/asyncapi.yaml and the schemas
	$(BIN)/python -m tools.events_page

schema-compat: $(VENV)/dev.installed ## compare the schemas with the last released ones
	$(BIN)/python -m tools.schema_changes

release-check: $(VENV)/dev.installed ## check that everything names the release's version; TAG=v… checks the tag too
	$(BIN)/python -m tools.release check $(TAG)

release: build $(VENV)/dev.installed ## pack the built functions and their template for deployment without a clone
	$(BIN)/python -m tools.release pack

demo-svg: $(VENV)/local.installed ## draw docs/demo.svg from the demo's output
	@$(BIN)/python -m tools.demo_picture

report-picture: $(VENV)/dev.installed ## photograph the report of the last demo as docs/report.png (needs Chromium or Chrome)
	@$(BIN)/python -m tools.report_picture

e2e: $(VENV)/dev.installed ## check a deployed stack: STACK=its-name, EXPORT_ID=… of a completed export
	@test -n "$(STACK)" || { echo "Which one? make e2e STACK=cgc-export-monitor"; exit 2; }
	@STACK="$(STACK)" EXPORT_ID="$(EXPORT_ID)" $(BIN)/python -m pytest -v -p no:socket -o addopts=--import-mode=importlib tests/e2e/check_deployed_stack.py

cost: $(VENV)/dev.installed ## write docs/cost.md from the poll schedule, the template and AWS's prices
	PYTHONPATH=functions $(BIN)/python -m benchmarks.cost docs/cost.md

bench: $(BENCH)/dev.installed ## measure the app and its alternatives, on Python 3.13 if found
	@PYTHONPATH=functions $(BENCH)/bin/python -m benchmarks

bench-publish: $(BENCH)/dev.installed ## measure, and write the tables of docs/benchmarks.md
	@PYTHONPATH=functions $(BENCH)/bin/python -m benchmarks --publish docs/benchmarks.md

clean: ## remove everything that the tasks create
	rm -rf $(VENV) $(VENV)-* .build .aws-sam .coverage* .mypy_cache .ruff_cache .pytest_cache

# --- environments: each is installed from the first file on its line ----------------------------
$(VENV)/local.installed: local/requirements.txt
$(VENV)/dev.installed $(VENV_3_13)/dev.installed: requirements-dev.txt requirements-content.txt requirements.txt local/requirements.txt
$(VENV_SAM)/installed: requirements-sam.txt
$(VENV_CHECKOV)/installed: requirements-checkov.txt
$(VENV_AUDIT)/installed: requirements-audit.txt

# .venv uses $(PYTHON), the others the deployed runtime if found. Tools that run once install faster without byte code.
INTERPRETER = $(or $(PYTHON_3_13),$(PYTHON))
$(VENV)/%: INTERPRETER = $(PYTHON)
%installed:
	@echo "Installing into $(@D) …"
	@test -x $(@D)/bin/python || $(INTERPRETER) -m venv $(@D)
	@$(@D)/bin/pip install --quiet $(if $(filter installed,$(@F)),--no-compile) -r $(firstword $^)
	@touch $@

$(POLICY_ENGINE)/installed: tests/policy_engine/package.json tests/policy_engine/package-lock.json
	@echo "Installing into $(@D) …"
	@mkdir -p $(@D) && cp $^ $(@D)
	@npm ci --prefix $(@D) --silent --ignore-scripts --no-audit --no-fund
	@touch $@

# --- called by `sam build`, for Lambda's Python 3.13 on arm64 -----------------------------------------------------
# `sam build` runs this from another folder, in a container with only CodeUri and this file's folder (read-only): paths
# are relative to this file, and resolved by the shell because make cannot split paths that contain spaces.
.PHONY: build-ExportMonitorFunction build-ContentCheckFunction
build-ExportMonitorFunction build-ContentCheckFunction: build-%:
	$(or $(PYTHON_3_13),$(PYTHON)) "$$(dirname "$(strip $(MAKEFILE_LIST))")/tools/build_function.py" \
		"$(ARTIFACTS_DIR)" --function $* --python 3.13 \
		--platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64
