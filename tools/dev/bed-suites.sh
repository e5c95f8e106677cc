# shellcheck shell=bash
# The suites that run as root, each in a test bed of its own (tools/bed/bed.sh).

BED=$ROOT/tools/bed/bed.sh

# Builds what the tests use: the same binary and site that `./dev run` starts.
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

suite_nodes() {
  build_tests
  build_for_bed
  run_tests as_root_with_env bash "$BED" -- "${NODE_TESTS[@]}"
}

# faults PART: runs one part of server/tests/faults. A part without a test is an error.
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
  as_root_with_env bash "$BED" bash "$ROOT/tools/bed/e2e.sh"
}
