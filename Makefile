# What people type. Each target says what it needs before it takes time; tools/setup installs it.
#
#   BUILD=build            build folder
#   PHASE_CACHE_DIR=...    compiler cache and Rust target folder, shared by every checkout
#   PHASE_RUST_TARGET_DIR  the Rust target folder alone
#   JOBS=N                 parallel compiler and test processes
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BUILD ?= build
JOBS ?= $(shell nproc)
PREFIX ?= /usr/local
cache_home := $(or $(XDG_CACHE_HOME),$(if $(HOME),$(HOME)/.cache,$(CURDIR)/.cache))
export PHASE_CACHE_DIR ?= $(cache_home)/phase-build
export PHASE_RUST_TARGET_DIR ?= $(PHASE_CACHE_DIR)/rust
export CCACHE_DIR ?= $(PHASE_CACHE_DIR)/ccache
# A header that did not change gives the same object whatever the checkout is called.
export CCACHE_BASEDIR ?= $(CURDIR)
export CCACHE_NOHASHDIR ?= 1
export CCACHE_MAXSIZE ?= 5G
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)

configure = cmake -S . -B $(1) -G Ninja -Wno-dev $(2) >$(1)/configure.log 2>&1 || { cat $(1)/configure.log; \
  echo "make: configuring failed. If a package is named above: tools/setup --set test" \
       "(or 'make clean' when $(1)/ came from another checkout), then the same command again."; exit 1; }
build = cmake --build $(1) --target $(2) || { \
  echo "make: the build failed; the first error above counts. After a change of compiler or" \
       "distribution, 'make clean' and the same command again."; exit 1; }

.PHONY: help demo demo-lucid demo-vcp models setup build test test-long bench bench-lucid format tidy clean install programs

help:
	@echo 'Phase: run WebAssembly jobs on machines you do not trust, and get a receipt that verifies.'
	@echo
	@echo '  make demo        set up, build, and run a small mesh: two providers, one requester'
	@echo '  make build       build the programs and examples into $(BUILD)/'
	@echo '  make demo-lucid  two machines, one model: an answer over the mesh, its receipt checked'
	@echo '  make demo-vcp    a coordinator and three nodes, one of which lies and is found out'
	@echo '  make models      make the small real models of tests and demo, once, into the cache'
	@echo '  make test        build what is missing and run every test but the long ones'
	@echo '  make test-long   fuzzing, sanitizers, static analysis, thousands of simulated meshes'
	@echo '  make bench       the rows of SPECIFICATION.md'
	@echo '  make bench-lucid builds llama-server from one llama.cpp with our worker (20 min), both compared'
	@echo '  make format      clang-format over the C++ sources'
	@echo '  make install     into $(PREFIX) (PREFIX=..., DESTDIR=...)'
	@echo '  make clean       remove $(BUILD)/ and its siblings; the cache stays in $(PHASE_CACHE_DIR)'

setup:
	@tools/setup --set test

# The programs alone: no test library is needed for these. A folder set up for tests stays so.
programs:
	@[ -f $(BUILD)/build.ninja ] || { mkdir -p $(BUILD); $(call configure,$(BUILD),-DPHASE_TESTS=OFF); }
	@$(call build,$(BUILD),programs)

build:
	@tools/setup --set build
	@$(MAKE) programs

demo: build
	@python3 examples/demo/demo.py --bin $(BUILD)/bin --module $(BUILD)/examples/hello.wasm

models:
	@python3 tools/models/make_models.py --out $(PHASE_CACHE_DIR)/models

demo-lucid: build models
	@python3 examples/demo/demo_lucid.py --bin $(BUILD)/bin --models $(PHASE_CACHE_DIR)/models

demo-vcp: build
	@python3 examples/demo/demo_vcp.py --bin $(BUILD)/bin --examples $(BUILD)/examples

test:
	@tools/run_tests --build $(BUILD) --jobs $(JOBS)

test-long:
	@tools/setup --set long
	@tools/test_long --jobs $(JOBS)

bench:
	@tools/setup --set test
	@mkdir -p $(BUILD); $(call configure,$(BUILD),-DPHASE_TESTS=ON)
	@$(call build,$(BUILD),bench_programs programs)
	@for program in $(BUILD)/bench/*; do echo "== $$(basename $$program)"; $$program; done
	@echo '== nodes'; python3 tests/bench_node/nodes.py --build $(BUILD)
	@echo '== sessions'; python3 tests/bench_vcp/sessions.py --build $(BUILD)
	@$(MAKE) models
	@echo '== lucid'; both=$(BUILD)-baseline; [ -x $$both/bin/llama-server ] || both=$(BUILD); \
	  python3 tests/bench_lucid/lucid.py --build $$both

# llama-server and our worker from the same llama.cpp with the same flags, and the figures of both.
bench-lucid:
	@tools/setup --set test
	@$(MAKE) models
	@python3 tools/models/make_models.py --only random-300m --out $(PHASE_CACHE_DIR)/models
	@mkdir -p $(BUILD)-baseline; source=$$(tools/baseline); \
	  $(call configure,$(BUILD)-baseline,-DPHASE_TESTS=ON -DPHASE_LLAMA_SOURCE=$$source)
	@$(call build,$(BUILD)-baseline,llama-server lucidd load_client plain_loop receipt_cost)
	@python3 tests/bench_lucid/lucid.py --build $(BUILD)-baseline

format:
	@tools/format --write

tidy:
	@python3 tools/tidy

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX) || { \
	  echo "make: installing into $(PREFIX) failed. With sudo: sudo cmake --install $(BUILD) --prefix $(PREFIX);" \
	       "without: make install PREFIX=\$$HOME/.local"; exit 1; }

clean:
	rm -rf $(BUILD) $(BUILD)-fuzz $(BUILD)-sanitize $(BUILD)-baseline
