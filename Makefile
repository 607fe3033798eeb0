# The one entry: people and CI call only this.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PREFIX ?= /usr/local
DESTDIR ?=
FLOE_PEERS ?= /var/tmp/floe-peers
export FLOE_PEERS

# Where .cargo/config.toml lets cargo put its output.
TARGET = $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
RELEASE = target/$(TARGET)/release
DEBUG = target/$(TARGET)/debug

.PHONY: help demo build test test-root bench peers fixtures lint tidy install man completions deps toolchain clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: deps build ## a container's life, step by step (root)
	@FLOE_BIN=$(CURDIR)/$(RELEASE)/floe runtime-tests/demo.sh

build: deps ## the release binary
	cargo build --release --locked --package floe

test: deps ## all tests; those with containers need root
	cargo test --locked --workspace --exclude runtime-tests
	cargo test --locked --package runtime-tests

test-root: deps ## only the tests with containers
	cargo test --locked --package runtime-tests

bench: deps build peers ## start-up time and memory beside runc and crun (root)
	cargo build --release --locked --package runtime-tests --bin floe-bench
	$(RELEASE)/floe-bench $(RELEASE)/floe $(FLOE_PEERS)/bin/runc $(FLOE_PEERS)/bin/crun

peers: ## other runtimes for comparison, under $FLOE_PEERS (root, network)
	runtime-tests/peers.sh

fixtures: peers ## bundles as Podman and containerd write them (root)
	runtime-tests/fixtures/regenerate.sh

lint: toolchain ## formatting, clippy, licences
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check licenses bans sources; \
	else echo "skip cargo-deny: not installed (cargo install --locked cargo-deny)"; fi

tidy: toolchain ## checks of the repository itself
	@if [ -d crates/tidy ]; then cargo run --quiet --locked --package tidy; else echo "no tidy checks yet"; fi

man: build ## man pages into target/man
	mkdir -p target/man
	$(RELEASE)/floe man target/man

completions: build ## shell completions into target/completions
	mkdir -p target/completions
	for shell in bash zsh fish; do $(RELEASE)/floe completion $$shell > target/completions/floe.$$shell; done

install: build ## to $(DESTDIR)$(PREFIX)/bin
	install -D -m 0755 $(RELEASE)/floe $(DESTDIR)$(PREFIX)/bin/floe

toolchain:
	@command -v cargo >/dev/null || { \
	  echo "floe needs a Rust toolchain: https://rustup.rs (rust-toolchain.toml names the version)" >&2; exit 1; }

deps: toolchain ## what the tests need from Debian; apt is called only when something is missing
	@runtime-tests/deps.sh

clean: ## remove everything built
	cargo clean
