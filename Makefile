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
RUST_VERSION = $(shell sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)

.PHONY: help demo build test test-root test-release test-vm test-vm-all test-criu test-workloads test-callers fuzz bench order peers fixtures lint tidy install tarball deb test-packages man completions deps toolchain root clean

help: ## this list
	@sed -n 's/^\([a-z -]*\) *&*:.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: root deps build ## a container's life, step by step (root)
	@FLOE_BIN=$(CURDIR)/$(RELEASE)/floe runtime-tests/demo.sh

build: deps ## the release binary
	cargo build --release --locked --package floe

test: deps ## all tests; those with containers need root
	cargo test --locked --workspace --exclude runtime-tests
	cargo test --locked --package runtime-tests

test-root: deps ## only the tests with containers
	cargo test --locked --package runtime-tests

test-release: root deps build ## programs to checkpoint and restore, with the release binary (root)
	FLOE_BIN=$(CURDIR)/$(RELEASE)/floe cargo test --locked --package runtime-tests --test containers -- restore::

# Debian's kernels: 6.1, 6.12, 7.2. Sets of tests: those of containers, programs to checkpoint and restore, or containerd
# as the kubelet calls it; bench compares scopes of systemd's with crun's and runc's. TESTS is the name of some tests.
KERNEL ?= 6.12
SET ?= containers
test-vm: root deps ## tests with containers in a virtual machine with KERNEL (6.12), SET=containers|checkpoint|cri|bench, TESTS (root, network)
	runtime-tests/vm.sh $(KERNEL) $(SET) $(TESTS)

test-vm-all: ## both sets in virtual machines with all kernels (root, network)
	for kernel in 6.1 6.12 7.2; do for set in containers checkpoint; do \
		$(MAKE) --no-print-directory test-vm KERNEL=$$kernel SET=$$set || exit 1; done; done

test-criu: root deps peers ## programs to checkpoint, with CRIU, and by runc and crun with floe as criu (root, network)
	for ways in criu:: ::runc:: ::lazy_runc:: ::runc_to_floe:: ::runc_pre_dumped:: ::crun; do FLOE_CRIU=$(FLOE_PEERS)/bin \
		cargo test --locked --package runtime-tests --test containers -- $$ways || exit 1; done

# Which of runtime-tests/tests/workloads.rs; twenty_times takes most of the time.
WAYS ?= plain leave_running restore to_criu from_criu criu runc runc_leave_running crun twenty_times
test-workloads: root deps peers ## databases, servers and interpreters to checkpoint, in all or some WAYS (root, network)
	runtime-tests/workloads.sh
	for way in $(WAYS); do FLOE_WORKLOADS=$(FLOE_PEERS)/workloads FLOE_CRIU=$(FLOE_PEERS)/bin \
		cargo test --locked --package runtime-tests --test containers -- workloads::$$way:: || exit 1; done

test-callers: root deps build peers ## Podman, Buildah, containerd, Docker, LXC from Debian with floe (root, network)
	FLOE_BIN=$(CURDIR)/$(RELEASE)/floe cargo test --locked --package runtime-tests --test callers

fuzz: deps ## every fuzz target for TIME seconds (12), with what is there of seeds and corpus
	fuzz/run.sh

bench: deps build peers ## start-up time and memory beside runc and crun, checkpoints beside CRIU (root)
	cargo build --release --locked --package runtime-tests --bin floe-bench
	$(CC) -O2 -static -o $(RELEASE)/floe-bench-floor runtime-tests/src/floor.c
	$(CC) -O2 -static -o $(RELEASE)/floe-bench-memory runtime-tests/src/memory.c
	$(CC) -O2 -static -o $(RELEASE)/floe-bench-echo runtime-tests/programs/network/tcp_echo.c
	$(RELEASE)/floe-bench $(RELEASE)/floe $(FLOE_PEERS)/bin/runc $(FLOE_PEERS)/bin/crun
	$(RELEASE)/floe-bench checkpoint target $(RELEASE)/floe $(FLOE_PEERS)/bin/runc
	$(RELEASE)/floe-bench move $(RELEASE)/floe $(FLOE_PEERS)/bin/runc

order: root deps ## crates/floe/order.ld anew: which functions a start runs, in order (x86-64)
	cargo rustc --release --locked --package floe --bin floe --target-dir target/order --config profile.release.strip=false \
		-- -C link-arg=-Wl,-Map=$(CURDIR)/target/order/map
	cargo build --release --locked --package runtime-tests --bin floe-bench
	$(RELEASE)/floe-bench order $(RELEASE:target/%=target/order/%)/floe target/order/map >target/order/ld
	mv target/order/ld crates/floe/order.ld

peers: ## other runtimes for comparison, under $FLOE_PEERS (root, network)
	runtime-tests/peers.sh

fixtures: peers ## bundles as Podman and containerd write them, images as CRIU does (root)
	runtime-tests/fixtures/regenerate.sh
	runtime-tests/fixtures/images.sh

lint: toolchain deps tidy ## formatting, clippy, the repository's own checks, cargo-deny where it is installed
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check licenses bans sources; \
	else echo "cargo-deny is not installed: tidy has checked licences and sources (CONTRIBUTING.md)"; fi

tidy: toolchain ## checks of the repository itself
	cargo test --quiet --locked --package tidy

man completions &: deps ## man pages into target/man, shell completions into target/completions
	cargo run --quiet --release --locked --package floe --example generate -- target/man target/completions

SHARE = $(DESTDIR)$(PREFIX)/share
install: build man ## binary, man pages and completions below $(DESTDIR)$(PREFIX)
	install -D -m 0755 $(RELEASE)/floe $(DESTDIR)$(PREFIX)/bin/floe
	install -d $(SHARE)/man/man1
	install -m 0644 target/man/*.1 $(SHARE)/man/man1
	install -D -m 0644 target/completions/floe.bash $(SHARE)/bash-completion/completions/floe
	install -D -m 0644 target/completions/_floe $(SHARE)/zsh/site-functions/_floe
	install -D -m 0644 target/completions/floe.fish $(SHARE)/fish/vendor_completions.d/floe.fish

tarball: ## target/floe-VERSION-linux-ARCH.tar.gz: the static binary and what belongs to it
	@packaging/tarball.sh

deb: ## target/floe_VERSION-1_ARCH.deb, and floe-criu_VERSION-1_all.deb
	@packaging/deb.sh
	@packaging/criu.sh

test-packages: root ## all packages: reproducible, static, clean to install and to remove (root)
	packaging/test.sh

# With rustup the first call installs the version that rust-toolchain.toml names; distributions' may be older.
toolchain:
	@command -v cargo >/dev/null || { \
	  echo "floe needs Rust $(RUST_VERSION) or newer: https://rustup.rs installs it" >&2; exit 1; }
	@found=$$(rustc --version | cut -d ' ' -f 2) && \
	printf '%s\n' $(RUST_VERSION) "$$found" | sort -CV || { \
	  echo "floe needs Rust $(RUST_VERSION) or newer, found '$$found': https://rustup.rs installs it" >&2; exit 1; }

root:
	@[ "$$(id -u)" -eq 0 ] || { echo "containers need root: sudo make $(MAKECMDGOALS)" >&2; exit 1; }

deps: toolchain ## what the tests need from Debian; apt is called only when something is missing
	@runtime-tests/deps.sh

clean: ## remove everything built
	cargo clean
