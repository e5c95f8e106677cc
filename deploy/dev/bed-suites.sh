# shellcheck shell=bash
# The suites that run as root in a test bed (end2end/bed/bed.sh), a bed each.

BED=$ROOT/end2end/bed/bed.sh

# What the tests drive: the same binary and site that `./dev run` starts.
build_for_bed() {
  STEP_LOG=$LOGS/build-for-tests.log
  new_step_files
  build_product release
  export MALIKNODE_BIN
  MALIKNODE_BIN=$(binary_of release)
}

suite_ports() {
  build_tests
  run_tests as_root_with_env bash "$BED" -- "${PORT_TESTS[@]}"
}

suite_packets() {
  build_tests
  build_for_bed
  run_tests as_root_with_env bash "$BED" -- "${PACKET_TESTS[@]}"
}

# faults PART: one part of server/tests/faults. A part that names no test is a mistake and no success.
faults() {
  local line program
  build_tests
  build_for_bed
  line=$(matching_tests "${FAULT_TESTS[0]}")
  program=${line##*$'\t'}
  if ! "$program" "$1::" --list | grep ': test$'; then
    echo "There is no test in the part $1."
    return 1
  fi
  run_tests as_root_with_env bash "$BED" -- "${FAULT_TESTS[@]}" -- "$1::" --nocapture
}

suite_kills() { faults kills; }
suite_drift() { faults drift; }
suite_boot() { faults boot; }

suite_e2e() {
  build_for_bed
  as_root_with_env bash "$BED" bash "$ROOT/end2end/bed/e2e.sh"
}
