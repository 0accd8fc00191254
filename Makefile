# The everyday commands. `make lab` and `make test` are all most people need;
# both install what is missing, once, into .venv.
#
#   make lab PYTHON=python3.13       another Python (3.11 or newer)
#   make lab TORCH_INDEX=URL         another place for the PyTorch build (README)
#   make lab LAB_ARGS=--no-browser   options for JupyterLab
#   make test TEST_ARGS="-k trace"   options for pytest
#   make test-lowest                 the oldest versions that are supported

PYTHON ?= python3
VENV ?= .venv
LOCK ?= requirements.lock
TORCH_INDEX ?=
WORKERS ?= 2
LAB_ARGS ?=
TEST_ARGS ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The peers of the benchmarks live in an environment of their own.
PEERS := $(VENV)-bench
PEERS_BIN := $(PEERS)/$(notdir $(BIN))
BENCH_ARGS ?=

.PHONY: help setup lab test test-lowest test-offline notebooks npm pages slides students handout bench lint clean

help:
	@echo "make lab           open the series in JupyterLab"
	@echo "make test          run every test and every notebook"
	@echo "make test-lowest   the same with the lowest versions, in .venv-lowest"
	@echo "make test-offline  the same without a network (Linux)"
	@echo "make notebooks     run the notebooks and store their outputs"
	@echo "make pages         one HTML page a lesson, in site/; SOLUTIONS=1 adds solutions"
	@echo "make slides        decks, in site/slides/; NOTES=1 adds the speaker's notes,"
	@echo "                   SOLUTIONS=1 a solution behind each exercise"
	@echo "make students      the series without solutions and notes, folder and zip"
	@echo "make handout       a PDF a lesson, homework and answer key, in site/handout/"
	@echo "make bench         measure everything against its peers"
	@echo "make lint          ruff check and ruff format --check"
	@echo "make clean         remove the environment and the caches"

# A stamp file says that a step is done; touched files run it again.
$(VENV)/.created:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
	  { echo "Python 3.11 or newer is needed, this is $$($(PYTHON) --version);" \
	         "name one: make lab PYTHON=python3.13"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.locked: $(LOCK) $(VENV)/.created
	$(PIP) install -q $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
	  -r $(LOCK)
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.locked
	$(PIP) install -q --no-deps -e .
	@touch $@

setup: $(VENV)/.installed

# Without it a picture may wait 40 ms for the browser to acknowledge the one before.
PROMPT = --ServerApp.kernel_websocket_connection_class=inception_edu.lab_server.PromptConnection

lab: setup
	$(BIN)/python -m jupyterlab $(PROMPT) $(LAB_ARGS) notebooks/00_start_here.ipynb

test: setup
	$(BIN)/python -m pytest --nbval -n $(WORKERS) --dist loadfile \
	  --durations 10 -rs $(TEST_ARGS)

# The tests refuse every other machine by themselves; here none can be reached.
test-offline: setup
	sh tests/no_network/in_namespace.sh $(BIN)/python -m pytest --nbval \
	  -n $(WORKERS) --dist loadfile --durations 10 -rs $(TEST_ARGS)

# Python 3.11 is the lowest: make test-lowest PYTHON=python3.11
test-lowest:
	$(MAKE) test VENV=.venv-lowest LOCK=requirements-lowest.lock

notebooks: setup
	$(BIN)/python -m tools.publish execute notebooks/*.ipynb

# What pages and slides carry along comes from npm, by package-lock.json. Without
# npm the build says what it misses, and the tests of pages are skipped.
node_modules/.installed: package.json package-lock.json
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund && touch $@; \
	else echo "npm is missing; it comes with Node.js 18 or newer" >&2; fi

npm: node_modules/.installed

pages: setup npm
	$(BIN)/python -m tools.publish $@ $(if $(SOLUTIONS),--solutions)

slides: setup npm
	$(BIN)/python -m tools.publish $@ $(if $(SOLUTIONS),--solutions) $(if $(NOTES),--notes)

students: setup
	$(BIN)/python -m tools.publish $@

handout: setup npm
	$(BIN)/python -m tools.publish $@

$(PEERS)/.installed: benchmarks/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	@grep -v '^#' $< | while read -r line; do \
	  $(PEERS_BIN)/python -m pip --disable-pip-version-check install -q \
	    $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $$line || \
	  echo "cannot be installed here: $$line"; done
	@touch $@

bench: setup $(PEERS)/.installed
	PRODUCT_PYTHON=$(abspath $(BIN)/python) \
	  $(PEERS_BIN)/python -m benchmarks $(BENCH_ARGS)

lint: setup
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .

clean:
	rm -rf $(VENV) build dist site node_modules .pytest_cache .ruff_cache .hypothesis
	find inception_edu tests notebooks -name __pycache__ -prune -exec rm -rf {} +
