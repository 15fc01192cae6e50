# Everything there is to run. `make` alone lists it. Works with the GNU Make 3.81 that macOS ships.

VENV := .venv
PYTHON ?= python3.13 python3.12 python3.11 python3# the first of these that fits makes the environment
LOCK ?= requirements.lock# the tested versions; `make test LOCK=` takes the latest instead
ENGINES_LOCK ?= requirements-engines.lock

TORCH := 2.13.0# for the engines' lock: newer ones are gigabytes of CUDA libraries on the machine that tests this

PHOTO ?= data/content/chelsea_cat.jpg
STYLE ?= data/style/hokusai_great_wave.jpg
SIZE ?= 256
NST_BUDGET ?= 0.1# the share of their full computing time that notebooks take when tested
DEV_EXTRAS := course,test,browser,lint,bench,tensorboard
ENGINE_EXTRAS := test,torch,jax
LOCK_EXTRAS := $(DEV_EXTRAS),runtime,graph

# In a container one is root, which Jupyter must be told to accept.
ALLOW_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

# File names reach the shell through the environment, so that spaces, quotes and $ in them do no harm.
export PHOTO_FILE := $(value PHOTO)
export STYLE_FILE := $(value STYLE)
# .venv has TensorFlow and no other engine, whatever the user's settings say. Level 3 hides its log, less what it prints while being imported.
export KERAS_BACKEND := tensorflow
export TF_CPP_MIN_LOG_LEVEL := 3

# $(call install,what,extras,environment,lock file or nothing)
define install
	@echo "Installing $(1) into $(3) (a few minutes, once) ..."
	@$(3)/bin/python -m pip install -q --disable-pip-version-check $(if $(4),-c $(4)) -e ".[$(2)]" || { \
	  echo "make: pip could not install $(1); its message is above. If the network failed, run make again;"; \
	  echo "make: if that does not help, start afresh with \`make clean\`."; exit 1; }
endef

help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | while IFS='|' read -r name text; do \
	  printf '%-16s%s\n' "$$name" "$$text"; done

course: $(VENV)/.course ## paint out/first_picture.png, open JupyterLab [PHOTO=me.jpg STYLE= SIZE=256 NO_BROWSER=1]
	@mkdir -p out
	@photo=$$PHOTO_FILE; style=$$STYLE_FILE; \
	case $$photo in "~/"*) photo=$$HOME/$${photo#??};; esac; \
	case $$style in "~/"*) style=$$HOME/$${style#??};; esac; \
	$(VENV)/bin/nst paint "$$photo" "$$style" --size $(SIZE) -o out/first_picture.png
ifeq ($(NO_BROWSER),)
	@echo "Your picture is out/first_picture.png. Opening JupyterLab; Ctrl-C here ends it."
	@$(VENV)/bin/jupyter lab --log-level=WARN $(ALLOW_ROOT) --ServerApp.root_dir="$(CURDIR)" notebooks/00_start_here.ipynb
else
	@echo "Your picture is out/first_picture.png. Go on with: $(VENV)/bin/jupyter lab notebooks/00_start_here.ipynb"
endif

# Two processes: much of a test is Python at work on one core. In a browser, one thing at a time.
# In the order of tests/conftest.py, and without nbval, which takes seconds to import.
LIBRARY_TESTS := -n 2 --dist loadfile --no-loadscope-reorder -p no:nbval tests --ignore tests/browser
NOTEBOOK_TESTS := -n 2 --dist loadfile -p tests.nbval_strict --nbval --nbval-current-env --nbval-sanitize-with=tests/nbval.cfg \
	--nbval-cell-timeout=300 notebooks

test: $(VENV)/.dev ## every test: the library's, the browser's, the notebooks'
	$(VENV)/bin/python -m pytest $(LIBRARY_TESTS)
	$(VENV)/bin/python -m pytest tests/browser
	NST_BUDGET=$(NST_BUDGET) $(VENV)/bin/python -m pytest $(NOTEBOOK_TESTS)

test-engines: .venv-engines/.dev ## the library's tests on PyTorch and on JAX, without TensorFlow
	KERAS_BACKEND=torch OMP_NUM_THREADS=1 .venv-engines/bin/python -m pytest $(LIBRARY_TESTS)
	KERAS_BACKEND=jax .venv-engines/bin/python -m pytest $(LIBRARY_TESTS)

notebooks: $(VENV)/.dev ## make the notebooks from notebooks/source, and run them
	$(VENV)/bin/python tools/make_notebooks.py

reset: $(VENV)/.course ## restore the notebooks; yours are kept in out/
	@$(VENV)/bin/python tools/reset_notebooks.py

gallery: $(VENV)/.dev ## paint the README's pictures again
	$(VENV)/bin/python tools/make_gallery.py

styles: $(VENV)/.dev ## train the shipped styles again, 13 hours; PACE=0.1 on a GPU [PHOTOS=folder PACE=1]
	$(VENV)/bin/python tools/train_styles.py --photos "$(PHOTOS)" --pace $(or $(PACE),1)

graph: $(VENV)/.dev ## export the style network again, after a change to its code
	$(call install,the exporter,graph,$(VENV),$(LOCK))
	$(VENV)/bin/python tools/make_graph.py

# Some of the other programs are written in PyTorch.
bench: $(VENV)/.dev $(if $(or $(findstring peers,$(ROWS)),$(if $(ROWS),,all)),.venv-engines/.dev) ## measure speed, memory and quality, beside other programs [ROWS="peers cold"]
	$(VENV)/bin/python tools/bench.py $(ROWS)

bench-engines: $(VENV)/.dev .venv-engines/.dev ## measure a step on every engine, for docs/engines.md
	$(VENV)/bin/python tools/bench_engines.py $(VENV) .venv-engines

bench-scaling: .venv-engines/.dev ## measure a training on several devices, for docs/scaling.md
	.venv-engines/bin/python tools/bench_scaling.py .venv-engines/bin/python

lint: $(VENV)/.dev ## style, format and types
	$(VENV)/bin/python -m ruff check
	$(VENV)/bin/python -m ruff format --check
	$(VENV)/bin/python -m mypy

# With the oldest Python there is, or a version may need a newer one: Debian 12 has 3.11.2, and soupsieve 4 needs 3.11.5.
lock: ## renew both lock files with the latest versions in pyproject.toml's ranges [PYTHON=/usr/bin/python3.11]
	rm -rf .venv-lock
	$(MAKE) .venv-lock/bin/python
	$(call install,the latest versions,$(LOCK_EXTRAS),.venv-lock)
	@$(call freeze,requirements.lock)
	rm -rf .venv-lock
	$(MAKE) .venv-lock/bin/python
	$(call install,the latest engines,$(ENGINE_EXTRAS),.venv-lock,requirements.lock torch==$(TORCH))
	@$(call freeze,requirements-engines.lock)
	rm -rf .venv-lock

clean: ## remove the environments and caches; your pictures in out/ stay
	rm -rf .venv .venv-engines .venv-lock build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help course test test-engines notebooks reset gallery styles graph bench bench-engines bench-scaling lint lock clean

# The stamps below are newer than pyproject.toml and the lock when there is nothing to install.
$(VENV)/.course: $(VENV)/bin/python pyproject.toml $(LOCK)
	$(call install,the course,course,$(VENV),$(LOCK))
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml $(LOCK)
	$(call install,the course and its tests,$(DEV_EXTRAS),$(VENV),$(LOCK))
	@touch $@ $(VENV)/.course

.venv-engines/.dev: .venv-engines/bin/python pyproject.toml $(ENGINES_LOCK)
	$(call install,PyTorch and JAX,$(ENGINE_EXTRAS),.venv-engines,$(ENGINES_LOCK))
	@touch $@

# A Python of the right version may lack venv (Debian packs it separately) or be a pyenv name without a program.
%/bin/python:
	@for python in $(PYTHON); do \
	  "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue; \
	  found=$$python; \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
	  echo "Making $* with $$("$$python" --version) ..."; \
	  exec "$$python" -m venv --clear $*; \
	done; \
	if [ -n "$$found" ]; then \
	  echo "make: $$found has no venv module. On Debian and Ubuntu: sudo apt install python3-venv"; \
	else \
	  echo "make: none of '$(PYTHON)' is Python 3.11, 3.12 or 3.13. Install one and run make again,"; \
	  echo "make: or name it: make course PYTHON=/path/to/python3.12"; \
	fi >&2; exit 1

# $(call freeze,lock file): what is installed in .venv-lock, less this package and local build tags (+cpu).
freeze = { echo "\# The tested versions, made by \`make lock\`; pip takes them with -c and leaves out what it does not need."; \
	.venv-lock/bin/python -m pip freeze --disable-pip-version-check --exclude nst_lib | sed 's/+.*//'; } > $(1)
