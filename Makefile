# What one does here. Needs Python 3.11 or newer and make, nothing else; uv is used where it is, pip where it is not.
# Everything is installed into .venv/ from hashed lock files; stamps in there say of which, so that nothing is done twice.

.DEFAULT_GOAL := help
.PHONY: help install run test check format demo bench drill lock audit clean
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/.installed-runtime
DEVELOPMENT := $(VENV)/.installed-development
AUDIT := .venv-audit
AUDITORS := pip-audit==2.10.1 cyclonedx-bom==7.5.0
SOURCES := incident_manager cli migrations tests
COMPILE := uv pip compile pyproject.toml --quiet --universal --generate-hashes \
	--no-header --no-annotate --no-emit-index-url $(UPGRADE)

help: ## Show this help
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

install: $(RUNTIME) ## Make the environment in .venv/: locked dependencies and this project, editable

run: $(RUNTIME) ## Serve on http://127.0.0.1:8080, over SQLite in data/
	@exec $(BIN)/incident-manager serve

test: $(DEVELOPMENT) ## Run all tests on SQLite and PostgreSQL, with coverage and its floor
	$(BIN)/python -m pytest --cov --cov-report=term

check: $(DEVELOPMENT) ## Check format, lint, types, import contracts and dependencies, then run all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .
	@$(MAKE) test

format: $(DEVELOPMENT) ## Format the code and mend what lint can mend by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

demo: $(DEVELOPMENT) ## Tell a story on a fresh database, in this terminal; ends by itself
	@$(BIN)/python -m tests.demo

bench: $(DEVELOPMENT) ## Measure this checkout beside its floors, for ten minutes; BENCH="--only lists" measures less
	@$(BIN)/python -m tests.bench $(BENCH)

drill: $(DEVELOPMENT) ## Kill, stop, freeze, fill up, race and send what is hostile: what must hold, in a table; DRILL="--only kills --kills 9"
	@$(BIN)/python -m tests.drill $(DRILL)

lock: ## Write the lock files anew from pyproject.toml; UPGRADE=--upgrade takes newer versions (needs uv)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 1; }
	$(COMPILE) --group build -o requirements.lock
	$(COMPILE) --all-extras --group dev -c requirements.lock -o requirements-dev.lock

# The auditors and what they look at have environments of their own: neither is among what is shipped or developed with.
audit: ## Write what is shipped into dist/sbom.json (CycloneDX), and look for known vulnerabilities in it (asks pypi.org)
	@$(MAKE) VENV=$(AUDIT)/shipped install
	@$(MAKE) VENV=$(AUDIT)/tools $(AUDIT)/tools/bin/python
	@{ command -v uv >/dev/null && uv pip install --quiet --python $(AUDIT)/tools/bin/python $(AUDITORS); } \
		|| $(AUDIT)/tools/bin/python -m pip install --quiet --disable-pip-version-check $(AUDITORS)
	@mkdir -p dist
	$(AUDIT)/tools/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--output-file dist/sbom.json $(AUDIT)/shipped/bin/python
	@$(AUDIT)/tools/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements.lock || { \
		echo "make audit: not clean. A vulnerability stands above, or pypi.org could not be asked about all that is shipped." >&2; \
		exit 1; }

clean: ## Remove the environment, caches and builds; data/ stays
	rm -rf $(VENV) $(AUDIT) dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/python
	@$(call install_from,requirements.lock)
	@touch $@

$(DEVELOPMENT): requirements-dev.lock pyproject.toml | $(BIN)/python
	@$(call install_from,requirements-dev.lock)
	@touch $(RUNTIME) $@

# The first Python that is new enough and can make an environment. A name that is there need not run: pyenv's do not.
$(BIN)/python:
	@for python in python3.13 python3.12 python3.11 python3.14 python3; do \
		if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			exec $$python -m venv --clear $(VENV); \
		fi; \
	done; \
	if command -v uv >/dev/null; then exec uv venv --quiet --clear --python '>=3.11' $(VENV); fi; \
	echo "No Python 3.11 or newer with venv was found: install python3 and python3-venv, or uv." >&2; exit 1

# The project itself is built with the locked hatchling, outside of pip's own isolation, which would fetch an unlocked one.
define install_from
	echo "Installing $(1) into $(VENV)/"; \
	if command -v uv >/dev/null \
		&& uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) \
		&& uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; then exit 0; fi; \
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) \
		&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
endef
