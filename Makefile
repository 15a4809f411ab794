# make serve   install, build the sample city, serve it with its maps
# make test    install what the tests need and run them all
PYTHON ?= python3
BIN := .venv/bin
UV_FLAGS := --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-header --no-annotate \
	--no-emit-index-url --no-emit-find-links --quiet

.DEFAULT_GOAL := help
.PHONY: help install serve test lint bench lock clean system

help:
	@echo "make install   the product alone, into .venv"
	@echo "make serve     build the sample city and serve it with its maps"
	@echo "make test      install what the tests need and run them"
	@echo "make lint      ruff and mypy"
	@echo "make bench     the figures of the README, measured on this machine"
	@echo "make lock      resolve the lock files anew"

install: .venv/installed static/vendor/manifest.json

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gisservice needs Python 3.11 or newer; set PYTHON=")'
	$(PYTHON) -m venv .venv

.venv/installed: requirements.lock setup.cfg pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

static/vendor/manifest.json: static/package-lock.json static/install.py | .venv/installed
	$(BIN)/python static/install.py

serve: install
	$(BIN)/gisservice demo

.venv/installed-test: requirements-test.lock | install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r requirements-test.lock
	@touch $@

# Other people's programs that read our tiles in the tests: MapLibre, the decoder of browsers, the style specification.
tests/clients/node_modules/.package-lock.json: tests/clients/package-lock.json static/install.py | .venv/installed
	$(BIN)/python static/install.py tests/clients
	@touch $@

# Debian's browser, for the tests that look at pages; GDAL's own programs, as a second opinion on positions; PostGIS, as
# one on filters. Elsewhere the tests use what is there, or say why they skip.
system:
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ] && \
		! { command -v chromium && command -v ogr2ogr && ls /usr/share/postgresql/*/extension/postgis.control; } >/dev/null 2>&1; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium gdal-bin postgresql-postgis >/dev/null; \
	fi

# What one process has compiled, the hundreds that the tests start need not compile again.
test: export PYTHONDONTWRITEBYTECODE =
test: .venv/installed-test tests/clients/node_modules/.package-lock.json system lint
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: .venv/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed-test
	$(BIN)/python benchmarks/run.py

lock:
	$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet uv
	.venv-lock/bin/uv pip compile setup.cfg $(UV_FLAGS) -o requirements.lock
	.venv-lock/bin/uv pip compile setup.cfg --extra test --extra bench $(UV_FLAGS) -c requirements.lock -o requirements-test.lock
	rm -rf .venv-lock

clean:
	rm -rf .venv static/vendor tests/clients/node_modules data/sample data/published
