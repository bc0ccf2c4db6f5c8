# helioloop on a fresh machine with Python 3.11+, git and make:
#
#   make demo                         the whole loop on this machine, until Ctrl-C
#   make demo ARGS=--exit-when-ready  the same, until the first predictions are shown
#   make demo ARGS="--release DIR"    the same, with a release of yours beside the synthetic one
#   make test                         all tests, with real services
#   make test-oldest-label-studio     the end-to-end tests of the loop on the oldest supported Label Studio
#   make test-faults                  harm workers at every step and services, and check what is left; up to 50 minutes
#   make test-images                  build the images of docker/ and run the services of its compose file (root, Debian)
#   make bench                        time helioloop against plain references and write docs/performance.md; under an hour
#   make bench-growth                 measure what grows with the number of cubes and write docs/growth.md; twenty minutes
#   make bench-science                measure the method on both generators and write docs/science.md; hours on a CPU;
#                                     can be interrupted
#   make bench-gpu                    measure training and masking on a GPU into bench-data/gpu.json; some eight minutes
#   make pretrained                   train the networks that members begin from, on synthetic cubes; hours on two cores
#   make docs                         the pages and a reference of the code as HTML, in dist/docs
#   make audit                        known vulnerabilities of all pinned packages; asks PyPI's advisory service
#   make build                        wheel and source distribution, in dist/
#   make lint                         ruff, mypy, import-linter
#   make … TORCH=cuda                 torch with CUDA (default if nvidia-smi runs); TORCH=cpu never downloads CUDA

SHELL := /bin/bash
PYTHON ?= python3
TORCH ?= $(shell nvidia-smi >/dev/null 2>&1 && echo cuda || echo cpu)
ARGS ?=
LABEL_STUDIO := 1.23.2
OLDEST_LABEL_STUDIO := 1.20.0
TORCH_VERSION := 2.13.0

UV := .venvs/uv/bin/uv
PIP := .venvs/uv/bin/python -m pip
# uv does not read pip's configuration, so its package index and find-links are passed on.
FIND_LINKS = $$(for place in $$PIP_FIND_LINKS $$($(PIP) config get global.find-links 2>/dev/null) \
	$$($(PIP) config get install.find-links 2>/dev/null); do echo --find-links $$place; done)
UV_ENV = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$($(PIP) config get global.index-url 2>/dev/null)}" \
	UV_PYTHON_DOWNLOADS=never VIRTUAL_ENV=
# On a CPU: the wheel from pip's find-links if there is one, else the build of uv's CPU backend.
TORCH_FLAG = $(if $(filter cuda,$(TORCH)),,$$($(PIP) install -q --dry-run --no-deps --no-index torch==$(TORCH_VERSION) >/dev/null 2>&1 || echo --torch-backend cpu))
COMPILE = env $(UV_ENV) $(UV) pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links \
	--no-annotate --no-header
INSTALL = env $(UV_ENV) $(UV) pip install -q --constraint constraints.txt $(FIND_LINKS)

.PHONY: help demo test test-oldest-label-studio test-fast test-faults test-images bench bench-growth bench-science bench-gpu pretrained docs lint format audit screenshots constraints build install-wheel clean
help:
	@sed -n '/^#/!q; s/^# \{0,1\}//p' Makefile

demo: .venvs/worker/.done .venvs/backend/.done .venvs/label-studio/.done
	exec .venvs/worker/bin/helioloop demo --backend-python .venvs/backend/bin/python \
		--label-studio .venvs/label-studio/bin/label-studio $(ARGS)

test: .venv/.done .venvs/backend/.done .venvs/label-studio/.done .venvs/label-studio-oldest/.done
	HELIOLOOP_TEST_BACKEND_PYTHON=$(CURDIR)/.venvs/backend/bin/python \
	HELIOLOOP_TEST_LABEL_STUDIO=$(CURDIR)/.venvs/label-studio/bin/label-studio \
	HELIOLOOP_TEST_OLDEST_LABEL_STUDIO=$(CURDIR)/.venvs/label-studio-oldest/bin/label-studio \
	.venv/bin/python -m pytest $(ARGS)

# The whole loop on the oldest supported Label Studio; `make test` runs only the contract of the client on it.
test-oldest-label-studio: .venv/.done .venvs/backend/.done .venvs/label-studio-oldest/.done
	HELIOLOOP_TEST_BACKEND_PYTHON=$(CURDIR)/.venvs/backend/bin/python \
	HELIOLOOP_TEST_LABEL_STUDIO=$(CURDIR)/.venvs/label-studio-oldest/bin/label-studio \
	.venv/bin/python -m pytest tests/e2e/test_loop.py $(ARGS)

# Renew the README's screenshots from the end-to-end tests' Label Studio.
screenshots:
	HELIOLOOP_SCREENSHOTS=$(CURDIR)/docs/screenshots $(MAKE) test \
		ARGS="tests/e2e/test_first_look.py tests/e2e/test_report.py tests/e2e/test_submitting.py"

test-fast: .venv/.done
	.venv/bin/python -m pytest -m "not e2e" $(ARGS)

# Kills and freezes workers at every step, has services fail, damages files; up to 50 minutes. Writes fault-report.json.
test-faults: .venv/.done
	.venv/bin/python -m pytest tests/faults/everything.py -s $(ARGS)

# Needs root on Debian or Ubuntu. The layers stay in .images, so the second run is faster.
test-images: .venv/.done
	@missing=(); for program in buildah debootstrap docker-compose tini; do \
		command -v $$program >/dev/null || missing+=($$program); done; \
	if (($${#missing[@]})); then apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -qq --no-install-recommends "$${missing[@]}" >/dev/null; fi
	.venv/bin/python -m pytest tests/images/build_and_run.py -s $(ARGS)

bench: .venv/.done .venvs/label-studio/.done
	.venv/bin/python -m tests.benchmarks.speed.document $(ARGS)

bench-growth: .venv/.done
	.venv/bin/python -m tests.benchmarks.growth.document $(ARGS)

bench-science: .venv/.done
	.venv/bin/python -m tests.benchmarks.science $(ARGS)

bench-gpu: .venv/.done
	.venv/bin/python -m tests.benchmarks.gpu $(ARGS)

pretrained: .venv/.done
	.venv/bin/python -m tests.benchmarks.pretraining $(ARGS)

# Every warning is an error, so a docstring that is not valid fails here.
docs: .venv/.done
	.venv/bin/sphinx-build -q -j auto --fail-on-warning -c docs -b html . dist/docs
	@echo "dist/docs/docs/reference.html"

lint: .venv/.done
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

format: .venv/.done
	.venv/bin/ruff check --fix
	.venv/bin/ruff format

# --strict: a package without advisory data fails, too.
audit: .venvs/uv/.done
	for pinned in constraints.txt constraints-label-studio.txt; do \
		env $(UV_ENV) $(UV) tool run pip-audit --strict --no-deps --disable-pip --requirement $$pinned || exit 1; done

# -- environments: one each for backend, worker and Label Studio; .venv has all of helioloop and the tools --

.venvs/uv/.done:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("helioloop needs Python 3.11 or later, and $(PYTHON) is " + \
		sys.version.split()[0] + "; name another one, for example make demo PYTHON=python3.12")'
	@echo "Installing uv, which installs all else, into .venvs/uv"
	@$(PYTHON) -m venv .venvs/uv
	@$(PIP) install -q --disable-pip-version-check "uv>=0.9"
	@touch $@

.venvs/backend/.done: .venvs/uv/.done pyproject.toml constraints.txt
	@echo "Installing the backend into .venvs/backend; minutes at the first time"
	@env $(UV_ENV) $(UV) venv -q --clear --python $(PYTHON) .venvs/backend
	@$(INSTALL) --python .venvs/backend/bin/python -e '.[backend]'
	@touch $@

.venvs/worker/.done: .venvs/uv/.done pyproject.toml constraints.txt
	@echo "Installing the workers with PyTorch ($(TORCH), over 1 GB) into .venvs/worker; minutes at the first time"
	@env $(UV_ENV) $(UV) venv -q --clear --python $(PYTHON) .venvs/worker
	@$(INSTALL) $(TORCH_FLAG) --python .venvs/worker/bin/python -e '.[worker,demo]'
	@touch $@

.venvs/label-studio/.done: .venvs/uv/.done constraints-label-studio.txt
	@echo "Installing Label Studio $(LABEL_STUDIO) (700 MB) into .venvs/label-studio; minutes at the first time"
	@env $(UV_ENV) $(UV) venv -q --clear --python $(PYTHON) .venvs/label-studio
	@env $(UV_ENV) $(UV) pip install -q --constraint constraints-label-studio.txt \
		--python .venvs/label-studio/bin/python label-studio==$(LABEL_STUDIO)
	@touch $@

.venvs/label-studio-oldest/.done: .venvs/uv/.done constraints-label-studio-oldest.txt
	@$(PYTHON) -c 'import sys; sys.version_info < (3, 13) or sys.exit("Label Studio $(OLDEST_LABEL_STUDIO), which the tests need, " + \
		"has no files for Python " + sys.version.split()[0] + "; name an older one, for example make test PYTHON=python3.12, " + \
		"or run make test-fast")'
	@echo "Installing Label Studio $(OLDEST_LABEL_STUDIO) (700 MB) into .venvs/label-studio-oldest; minutes at the first time"
	@env $(UV_ENV) $(UV) venv -q --clear --python $(PYTHON) .venvs/label-studio-oldest
	@env $(UV_ENV) $(UV) pip install -q --constraint constraints-label-studio-oldest.txt \
		--python .venvs/label-studio-oldest/bin/python label-studio==$(OLDEST_LABEL_STUDIO)
	@touch $@

.venv/.done: .venvs/uv/.done pyproject.toml constraints.txt
	@echo "Installing all parts and the tools with PyTorch ($(TORCH), over 1 GB) into .venv; minutes at the first time"
	@env $(UV_ENV) $(UV) venv -q --clear --python $(PYTHON) .venv
	@$(INSTALL) $(TORCH_FLAG) --python .venv/bin/python -e '.[backend,worker,demo,label-studio-ml,s3]' --group dev
	@touch $@

# A fresh environment in VENV with the extra EXTRA of the wheel WHEEL, for tests/test_wheel.py.
install-wheel: .venvs/uv/.done
	env $(UV_ENV) $(UV) venv -q --clear --python $(PYTHON) $(VENV)
	$(if $(filter worker,$(EXTRA)),$(INSTALL) $(TORCH_FLAG),env $(UV_ENV) $(UV) pip install -q) \
		--python $(VENV)/bin/python 'helioloop[$(EXTRA)] @ file://$(WHEEL)'

build: .venvs/uv/.done
	env $(UV_ENV) $(UV) build -q --out-dir $(or $(DIST),dist) .

# Renew all pinned versions; the files name no index host.
constraints: .venvs/uv/.done
	$(COMPILE) --constraint <(echo torch==$(TORCH_VERSION)) --all-extras --group dev pyproject.toml -o constraints.txt
	sed -i '/^triton==\|^nvidia-\|^cuda-/d' constraints.txt # torch brings them
	echo label-studio==$(LABEL_STUDIO) | $(COMPILE) - -o constraints-label-studio.txt
	echo label-studio==$(OLDEST_LABEL_STUDIO) | $(COMPILE) - -o constraints-label-studio-oldest.txt

clean:
	rm -rf .venv .venvs .images demo-data bench-data
