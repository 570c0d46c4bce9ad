# Two commands are all one needs, `make chat` and `make test`; the others are further examples, `make deploy`, which shows
# what the chat is for, and commands for work on the project itself.
# Without make: `python3 scripts/example.py chat` and `python3 scripts/test.py`.

PYTHON ?= python3
ARGS ?=
BIN = .venv/bin

.DEFAULT_GOAL := help
.PHONY: help autobahn chat deploy multichat liveblog todo letters wall test bench soak coverage lint format types client instructions performance profiles docs matrix fuzz dev clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 20

chat: ## the example chat on http://127.0.0.1:8000/ (another port: PORT=8001)
	@$(PYTHON) scripts/example.py chat

multichat: ## another chat, of many rooms over one socket, by class consumers
	@$(PYTHON) scripts/example.py multichat

liveblog: ## a blog whose readers see each post as it is written
	@$(PYTHON) scripts/example.py liveblog

todo: ## a to-do list by data binding
	@$(PYTHON) scripts/example.py todo

letters: ## rooms for those who have logged in: by the first letter of the name, and for two
	@$(PYTHON) scripts/example.py letters

deploy: ## new code for the example chat: its workers restart, its sockets stay
	@$(PYTHON) scripts/deploy.py

wall: ## notes on a wall, by server-sent events
	@$(PYTHON) scripts/example.py wall

test: ## the tests (a part of them: ARGS="tests/daphne -x")
	@$(PYTHON) scripts/test.py $(ARGS)

coverage: ## the tests, measured: fails under 95 % of src/ with branches
	@$(PYTHON) scripts/test.py $(ARGS) --cov

lint: dev ## ruff: rules and layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: dev ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: dev ## mypy, strict
	$(BIN)/mypy

client: ## the JavaScript client: types, tests, and that the built files are those of its sources
	cd client && npm ci --ignore-scripts --silent && npm run --silent check

docs: dev ## the documentation, into docs/_build/html; warnings are errors
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

soak: dev ## half an hour of mixed load, and the plot of the memory in the documentation (ARGS="--minutes 5")
	@$(BIN)/python -m benchmarks.soak --check $(ARGS)
	@$(BIN)/python -m benchmarks.soak --plot

matrix: dev ## the tests on every Python found, with every Django supported (the newest pair: ARGS=--newest)
	@$(BIN)/python scripts/matrix.py $(ARGS)

bench: dev ## this project and its rivals, measured: about half an hour (ARGS=--quick: 4, --check: exit 1 if a target is missed)
	@$(BIN)/python -m benchmarks.bench $(ARGS)

performance: dev ## tables and plots of the last full run, into docs/performance.md
	@$(BIN)/python -m benchmarks.report $(ARGS)

profiles: dev ## where server and worker spend their time under load, into benchmarks/results/profiles
	@$(BIN)/python -m benchmarks.profiles $(ARGS)

instructions: dev ## instructions of hot paths, by valgrind, against the baseline (ARGS=--rewrite: make it the baseline)
	@$(BIN)/python -m benchmarks.instructions $(ARGS)

autobahn: dev ## the Autobahn suite through Redis and a worker (a part: ARGS="6.*", at once: ARGS="-j 2")
	@$(BIN)/python -m compliance.autobahn $(ARGS)

fuzz: dev ## bytes into the HTTP parser for a minute, by atheris (ARGS="-max_total_time=600"; where that installs)
	@$(BIN)/python -m pip install --quiet atheris
	@$(BIN)/python -m compliance.fuzz $(ARGS)

dev: ## .venv with everything the other commands need
	@$(PYTHON) scripts/environment.py dev

clean: ## remove what the commands made, except .venv
	rm -rf build dist docs/_build htmlcov .coverage .coverage.* client/build .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis
