# The few words a newcomer needs. Each does its own set-up in .venv.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin

.PHONY: demo demo-graph test lint types format docs action-lock wheel-test bench clean

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(VENV)/.ready   ## the whole story, for real, in a throw-away folder
	$(BIN)/maa demo

demo-graph: $(VENV)/.ready   ## the story on an existing Intune, which a Graph server of this machine's own plays
	$(BIN)/maa demo --target graph

test: $(VENV)/.ready   ## every test
	.ci/servers
	.ci/oracles
	$(BIN)/pytest -q -n auto --dist worksteal

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.ready   ## write the generated pages again
	$(BIN)/python -m tests.generate_docs

action-lock: $(VENV)/.ready   ## pin what the action installs, with hashes
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url pyproject.toml --output-file .github/action/requirements.txt

wheel-test: $(VENV)/.ready   ## build the wheel and run it in an empty environment
	$(BIN)/python -m tests.wheel_check

bench: $(VENV)/.ready
	$(BIN)/python bench/check_growth.py

clean:
	rm -rf $(VENV) .oracles dist
