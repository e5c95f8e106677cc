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

suite_e2e() {
  build_for_bed
  as_root_with_env bash "$BED" bash "$ROOT/end2end/bed/e2e.sh"
}
