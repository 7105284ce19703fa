#!/usr/bin/env bash
# Runs every fuzz target for a bounded time: fuzz/run.sh [SECONDS], 60 for each by default.
#
# New inputs that reach new code are added to corpus/<target>/; `fuzz/run.sh SECONDS minimise` then keeps the fewest
# inputs that reach the same branches, which is what to commit. A crash fails the run and leaves its input in artifacts/.
# The build folder can be moved with FUZZ_TARGET_DIR.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly SECONDS_EACH="${1:-60}"
readonly MINIMISE="${2:-}"
readonly TARGETS="json_rim stored_record segment_reader"
readonly MEMORY_MB=2048    # a target that needs more has crashed
readonly INPUT_BYTES_MAX=4096
readonly INPUT_SECONDS_MAX=10
readonly BUILD_DIR="${FUZZ_TARGET_DIR:-fuzz/target}"

have() { command -v "$1" >/dev/null 2>&1; }
fail() { echo "fuzz/run.sh: $*" >&2; exit 1; }
[[ "$SECONDS_EACH" =~ ^[1-9][0-9]*$ ]] || fail "SECONDS is a whole number from 1, not '$SECONDS_EACH'"
[[ -z "$MINIMISE" || "$MINIMISE" == minimise ]] || fail "the second argument is 'minimise' or left out, not '$MINIMISE'"
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
have cargo || fail "no cargo: install Rust from https://rustup.rs"
cargo +nightly --version >/dev/null 2>&1 || fail "no nightly toolchain, which cargo-fuzz needs: rustup toolchain install nightly --profile minimal"
have cargo-fuzz || cargo install --locked cargo-fuzz

fuzz() { cargo +nightly fuzz "$1" --target-dir "$BUILD_DIR" "${@:2}"; }
limits=(-max_len="$INPUT_BYTES_MAX" -rss_limit_mb="$MEMORY_MB" -timeout="$INPUT_SECONDS_MAX")
inputs() { find "$1" -type f 2>/dev/null | wc -l; }

fuzz build
failed=0
for target in $TARGETS; do
    artifacts="fuzz/artifacts/$target"
    corpus="fuzz/corpus/$target"
    mkdir -p "$artifacts" "$corpus"
    before=$(inputs "$artifacts")
    log=$(mktemp)
    outcome=ok
    fuzz run "$target" "$corpus" -- "${limits[@]}" -max_total_time="$SECONDS_EACH" -print_final_stats=1 >"$log" 2>&1 || outcome=FAILED
    if [[ "$outcome" == ok && -n "$MINIMISE" ]]; then
        fuzz cmin "$target" "$corpus" -- "${limits[@]}" -use_counters=0 >>"$log" 2>&1 || outcome="FAILED (minimising)"
    fi
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    crashes=$(($(inputs "$artifacts") - before))
    printf '%-16s %10s runs  %5s inputs in the corpus  %3s crashes  %s\n' \
        "$target" "${runs:-0}" "$(inputs "$corpus")" "$crashes" "$outcome"
    if [[ "$outcome" != ok ]]; then
        failed=1
        tail -40 "$log" >&2
    fi
    rm -f "$log"
done
exit "$failed"
