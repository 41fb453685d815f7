# Two commands, each of which sets everything up first:
#
#   make demo   raw channel data to a despeckled image: a figure and metrics.csv in
#               ./demo, and napari where there is a screen
#   make test   the whole test suite, windows included
#
# They want Python >= 3.11 (choose another with PYTHON=python3.13), make and git.
# tools/setup.sh says what is installed, and where.

PYTHON ?= python3
export PYTHON

BIN := .venv/bin
READY := .venv/ready
DISPLAY_HERE := $(strip $(DISPLAY)$(WAYLAND_DISPLAY)$(filter Darwin,$(shell uname)))

ifeq ($(DISPLAY_HERE),)
DEMO_OPTIONS := --no-gui
VIRTUAL_DISPLAY := xvfb-run -a -s "-screen 0 1600x1000x24"
endif

# Threads that wait must not spin: on a busy machine that is ten times slower.
OMP_WAIT_POLICY ?= passive
export OMP_WAIT_POLICY

# Which schema the files of the repository's host, and the citation, have to meet.
SCHEMAS := $(foreach file,$(wildcard .github/workflows/*.yml),github-workflows=$(file)) \
    $(foreach name,bug format question, \
        github-issue-forms=.github/ISSUE_TEMPLATE/$(name).yml) \
    github-issue-config=.github/ISSUE_TEMPLATE/config.yml \
    dependabot=.github/dependabot.yml citation-file-format=CITATION.cff

.PHONY: demo test attack lint wheel docs clean

demo: $(READY)
ifneq ($(DISPLAY_HERE),)
	@tools/setup.sh windows
endif
	$(BIN)/usflow demo $(DEMO_OPTIONS) --output demo

# One thread: on a busy machine with few cores a second one costs more than it brings.
test: export OMP_NUM_THREADS = 1
test: export NAPARI_STRICT_QT = 1
test: $(READY)
	@tools/setup.sh windows
	@tools/setup.sh browser
	$(VIRTUAL_DISPLAY) $(BIN)/python -m pytest

# What docs/reliability.md tells of, each part once.
attack: export OMP_NUM_THREADS = 1
attack: $(READY)
	$(BIN)/python tools/attack.py

lint: $(READY)
	@tools/setup.sh windows
	@tools/setup.sh lint
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/npe2 validate src/napari_usflow/napari.yaml --imports
	$(BIN)/validate-pyproject pyproject.toml
	$(BIN)/typos
	$(BIN)/zizmor --quiet --offline .github
	@for schema in $(SCHEMAS); do \
	    $(BIN)/check-jsonschema --quiet --builtin-schema vendor.$${schema%%=*} \
	        $${schema#*=} || exit 1; \
	done

# The files of a release, into dist/.
wheel: $(READY)
	@tools/setup.sh release
	$(BIN)/python tools/check_wheel.py

# Warnings are errors. USFLOW_DOCS_GALLERY=0 leaves out the scripts of the gallery.
docs: export OMP_NUM_THREADS = 1
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(READY)
	@tools/setup.sh docs
	$(BIN)/mkdocs build --strict --quiet
	$(BIN)/python tools/site/check_links.py site /napari-usflow/

clean:
	rm -rf .venv demo build dist site

$(READY): pyproject.toml constraints.txt tools/setup.sh
	@tools/setup.sh python
	@touch $@
