PYTHON ?= python3
BIN := .venv/bin
# uv does not read pip's configuration: hand it pip's find-links, where a CPU build of torch may lie.
export UV_FIND_LINKS ?= $(shell $(PYTHON) -m pip config get global.find-links 2>/dev/null || echo $(PIP_FIND_LINKS))

.PHONY: setup demo test check clean

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(BIN)/given demo

# Two workers of one thread each: tests are too small for more threads. Where Python keeps no bytecode, every process that a
# test starts would compile the package anew.
test: setup
	$(BIN)/python -m compileall -q given
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

check: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(MAKE) test

clean:
	rm -rf .venv demo build dist
