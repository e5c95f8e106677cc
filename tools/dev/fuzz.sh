# shellcheck shell=bash
# Fuzzes everything that reads foreign input (crates/fuzzing), by libFuzzer and the programs in fuzz/. Every
# `cargo test` runs the same functions over their seeds (crates/fuzzing/tests/seeds.rs).

readonly CARGO_FUZZ_VERSION=0.13.2
readonly FUZZ_WORK=$CACHE/fuzz

fuzz_targets() {
  local program
  for program in "$ROOT"/fuzz/fuzz_targets/*.rs; do basename "$program" .rs; done
}

help_fuzz() {
  cat <<TEXT
./dev fuzz [TARGET…] [--seconds N] [--sanitizer address|none] [--jobs N]: builds the fuzz targets and runs each, one
after another, for N seconds (600). Installs cargo-fuzz $CARGO_FUZZ_VERSION if it is missing. The first build
takes a quarter of an hour. With --jobs 1, cargo uses one processor only; a target itself always uses one.
  $(fuzz_targets | paste -sd ' ' | fold -s -w 108 | sed '2,$s/^/  /')
crates/fuzzing/src/ describes the properties of each. The run ends with a table of executions and coverage; the status
is 0 only if nothing was found. Findings are stored in $FUZZ_WORK/found. Copy them to fuzz/corpus-seed, so that
'cargo test -p fuzzing' always tries them. The corpus is stored in $FUZZ_WORK/corpus and used by the next run.
TEXT
}

setup_fuzz() {
  setup_sudo
  step "Packages" install_packages "${RUN_PACKAGES[@]}"
  step "Rust $RUST_VERSION with the wasm target" install_toolchain
  step "cargo-fuzz $CARGO_FUZZ_VERSION|a minute" cargo_tool cargo-fuzz cargo-fuzz "$CARGO_FUZZ_VERSION" --locked
}

# build_fuzz SANITIZER TARGET…
build_fuzz() {
  local sanitizer=$1 target options=()
  shift
  cd "$ROOT"
  # The sanitizer's flag is for nightly compilers; our compiler includes its runtime.
  [ "$sanitizer" = none ] || export RUSTC_BOOTSTRAP=1
  # cargo-fuzz does not pass --locked on.
  [ "${CI:-}" != true ] || cargo metadata --locked --manifest-path fuzz/Cargo.toml --format-version 1 >/dev/null
  # cargo-fuzz builds all targets or one, not a list. Without cfg(fuzzing), the code is exactly the product's.
  options=(--fuzz-dir fuzz --sanitizer "$sanitizer" --no-cfg-fuzzing --codegen-units 16)
  if [ $# -gt 1 ]; then
    cargo fuzz build "${options[@]}"
  else
    for target; do cargo fuzz build "${options[@]}" "$target"; done
  fi
}

# run_fuzz TARGET SECONDS: runs a target; libFuzzer's output goes to a log. Leaves the status in FUZZ_RC and a line
# in FUZZ_ROWS.
run_fuzz() {
  local target=$1 seconds=$2 log=$LOGS/fuzz-$1.log triple executions coverage
  mkdir -p "$FUZZ_WORK/corpus/$target" "$FUZZ_WORK/found"
  triple=$(rustc "+$RUST_VERSION" -vV | sed -n 's/^host: //p')
  FUZZ_RC=0
  # An input that takes 10 seconds or a gigabyte is a finding.
  "$CARGO_TARGET_DIR/$triple/release/$target" "$FUZZ_WORK/corpus/$target" "$ROOT/fuzz/corpus-seed/$target" \
    -dict="$ROOT/fuzz/dictionaries/$target.dict" -artifact_prefix="$FUZZ_WORK/found/$target-" \
    -max_total_time="$seconds" -max_len=16384 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    >"$log" 2>&1 </dev/null || FUZZ_RC=$?
  executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -n 1)
  coverage=$(sed -n 's/.* cov: \([0-9]*\) ft: \([0-9]*\) .*/\1 \2/p' "$log" | tail -n 1)
  # shellcheck disable=SC2086 # two numbers
  FUZZ_ROWS+=("$(printf '%-16s %12s %9s %9s  %s' "$target" "${executions:-?}" ${coverage:-? ?} \
    "$([ "$FUZZ_RC" -eq 0 ] && echo "clean, $seconds s" || echo "FOUND, see $log")")")
}

cmd_fuzz() {
  local chosen=() seconds=600 sanitizer=none target known found=0
  known=" $(fuzz_targets | paste -sd ' ') "
  while [ $# -gt 0 ]; do
    case $1 in
    --seconds) seconds=${2:-} && shift ;;
    --seconds=*) seconds=${1#*=} ;;
    --sanitizer) sanitizer=${2:-} && shift ;;
    --sanitizer=*) sanitizer=${1#*=} ;;
    --jobs) export CARGO_BUILD_JOBS=${2:-} && shift ;;
    --jobs=*) export CARGO_BUILD_JOBS=${1#*=} ;;
    *)
      [[ $known == *" $1 "* ]] || die "There is no fuzz target '$1'; there are:$known"
      chosen+=("$1")
      ;;
    esac
    [ $# -eq 0 ] || shift
  done
  [[ $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds needs a number from 1, not '$seconds'."
  [[ ${CARGO_BUILD_JOBS:-1} =~ ^[1-9][0-9]*$ ]] || die "--jobs needs a number from 1, not '$CARGO_BUILD_JOBS'."
  case $sanitizer in none | address) ;; *) die "--sanitizer is address or none, not '$sanitizer'." ;; esac
  [ ${#chosen[@]} -gt 0 ] || mapfile -t chosen < <(fuzz_targets)

  with_lock setup_fuzz
  step "Fuzz targets|a quarter of an hour the first time" build_fuzz "$sanitizer" "${chosen[@]}"
  mkdir -p "$LOGS"
  FUZZ_ROWS=()
  for target in "${chosen[@]}"; do
    say "${dim}… $target, $seconds s${plain}"
    run_fuzz "$target" "$seconds"
    say "${FUZZ_ROWS[-1]}"
    if [ "$FUZZ_RC" -ne 0 ]; then
      found=$((found + 1))
      grep -aE 'panicked at|ERROR: |Test unit written' -A 3 "$LOGS/fuzz-$target.log" | head -n 20 | sed 's/^/  | /'
    fi
  done
  say
  printf '%-16s %12s %9s %9s\n' target executions edges features
  printf '%s\n' "${FUZZ_ROWS[@]}"
  say "${#chosen[@]} targets, $found with findings"
  [ "$found" -eq 0 ]
}
