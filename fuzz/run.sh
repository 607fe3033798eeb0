#!/bin/bash
# Runs fuzz targets with libFuzzer, each for TIME seconds (default 12), with the toolchain that is there:
#   fuzz/run.sh [TARGET...]
# What is found by chance stays in fuzz/corpus; an input that breaks a target is written to fuzz/artifacts, and
#   fuzz/run.sh TARGET FILE
# runs that input alone. `cargo +nightly fuzz run TARGET`, from this directory, does the same with more checks.
set -euo pipefail
cd "$(dirname "$0")/.."

host=$(rustc -vV | sed -n 's/^host: //p')
# What cargo-fuzz passes, less the sanitizers, which only a nightly compiler takes.
flags=(--cfg fuzzing -D warnings -C codegen-units=1 -C passes=sancov-module)
for option in level=4 inline-8bit-counters pc-table trace-compares; do
	flags+=("-C" "llvm-args=-sanitizer-coverage-$option")
done
# RUSTFLAGS replaces the flags of .cargo/config.toml, where the place of libseccomp.a is.
RUSTFLAGS="${flags[*]}" LIBSECCOMP_LIB_PATH=/usr/lib/$(uname -m)-linux-gnu \
	cargo build --quiet --locked --release --manifest-path fuzz/Cargo.toml --target "$host"

binary() { echo "fuzz/target/$host/release/$1"; }
if [ $# -eq 2 ] && [ -f "$2" ]; then
	exec "$(binary "$1")" "$2"
fi
[ $# -gt 0 ] || set -- $(sed -n 's|^path = "targets/\(.*\)\.rs"|\1|p' fuzz/Cargo.toml)

for target; do
	corpora=("fuzz/corpus/$target" "fuzz/seeds/$target")
	options=(-max_total_time="${TIME:-12}" -timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=256)
	options+=(-artifact_prefix="fuzz/artifacts/$target/" -print_final_stats=1 -max_len=4096)
	case $target in
	config) corpora+=(runtime-tests/fixtures crates/container/golden) dictionary=json options+=(-max_len=16384) ;;
	images | snapshot) corpora=("fuzz/corpus/$target" crates/images/fixtures/{states,namespaces}) dictionary=$target ;;
	resources | seccomp | state) dictionary=json ;;
	page_server) dictionary=page_server options+=(-max_len=16384) ;;
	*) dictionary=$target ;;
	esac
	[ ! -e "fuzz/dictionaries/$dictionary.dict" ] || options+=("-dict=fuzz/dictionaries/$dictionary.dict")
	mkdir -p "fuzz/corpus/$target" "fuzz/artifacts/$target"
	log=$(mktemp)
	if ! "$(binary "$target")" "${options[@]}" "${corpora[@]}" >"$log" 2>&1; then
		tail -n 60 "$log" >&2
		echo "fuzz $target: a finding, see above; the whole log is $log" >&2
		exit 1
	fi
	awk -v target="$target" '/ cov: / { for (i = 1; i < NF; i++) if ($i == "cov:") cov = $(i + 1) }
		/^stat::number_of_executed_units/ { runs = $2 }
		END { printf "fuzz %s: %d inputs, %d edges, nothing found\n", target, runs, cov }' "$log"
	rm "$log"
done
