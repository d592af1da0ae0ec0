# Set-up is one file of its own; every target below is idempotent.
PY := .venv/bin/python
export QT_API := pyside6
export PYTHONUTF8 := 1
# Empty is off: compiled modules are kept, whatever the machine says. Tests start the program hundreds of times.
export PYTHONDONTWRITEBYTECODE :=
TWO_AT_ONCE := -n 2 --dist loadfile --no-loadscope-reorder
# Tests keep thousands of files and flush each of them: in memory, where there is room (else where pytest would).
ROOM_KB := 4000000
IN_MEMORY := $(shell [ "$$(df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 { print $$4 }')" -gt $(ROOM_KB) ] 2>/dev/null && echo /dev/shm)

.PHONY: setup demo test check run interop build screenshots lint types imports clean

setup:
	@sh build_specs/setup.sh

demo: setup
	@QT_QPA_PLATFORM=offscreen $(PY) -m app demo --out demo-output

run: setup
	@$(PY) -m app

test: setup check
	@echo "left out: tests marked interop (make interop) and benchmark (tests/benchmarks)"

check: setup lint types imports
	@QT_QPA_PLATFORM=offscreen PYTEST_DEBUG_TEMPROOT=$(IN_MEMORY) $(PY) -m pytest $(TWO_AT_ONCE)

lint: setup
	@$(PY) -m ruff check . && $(PY) -m ruff format --check .

types: setup
	@$(PY) -m mypy

imports: setup
	@.venv/bin/lint-imports --no-cache

interop: setup
	@sh build_specs/interop.sh
	@FILMJACKET_INTEROP=1 QT_QPA_PLATFORM=offscreen $(PY) -m pytest -m interop $(TWO_AT_ONCE)

build: setup
	@sh build_specs/build.sh

screenshots: setup
	@QT_QPA_PLATFORM=offscreen $(PY) -m app demo --out demo-output --screenshots docs/images

clean:
	rm -rf build dist demo-output .pytest_cache .mypy_cache .ruff_cache
