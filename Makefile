# Every task of the project. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help
help: ## List the tasks
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

# --- called by `sam build`, for Lambda's Python 3.13 on arm64 -----------------------------------------------------
.PHONY: build-ExportMonitorFunction
build-ExportMonitorFunction:
	$(PYTHON) tools/build_function.py "$(ARTIFACTS_DIR)" --python 3.13 \
		--platform manylinux_2_28_aarch64 --platform manylinux2014_aarch64
