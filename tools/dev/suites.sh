# shellcheck shell=bash
# The suites that need no test bed, and how each suite finds its programs. A suite is a function suite_NAME that
# fails if a test fails.

# Test programs that change the machine (interfaces, rules, containers) run as root in a bed, all others as the
# user. The form is CRATE/TARGET, where * is every file of the crate's tests/.
PORT_TESTS=('wireguard/*' 'firewall/*' 'shaping/*' 'conntrack/*' 'containers/*' 'adguard/*')
PACKET_TESTS=('server/packets')
FAULT_TESTS=('server/faults')
NODE_TESTS=('server/nodes')
STORE_TESTS=('store/*')

suite_lint() { lint_all; }

# Builds every test once, as the user, with one set of features. Leaves the list in TEST_LIST.
build_tests() {
  TEST_LIST=$CACHE/test-programs
  cd "$ROOT"
  # Without the frontend: it has no tests, and the pages would be built with both `ssr` and `hydrate`.
  cargo test "${LOCKED[@]}" --workspace --exclude frontend --no-run --message-format=json |
    python3 tools/dev/test_binaries.py >"$TEST_LIST"
}

# run_program CRATE TARGET FOLDER PROGRAM: runs a program in the crate's folder, as cargo does. WRAPPER precedes
# the program, ARGUMENTS follow it.
run_program() {
  echo "== $1/$2"
  cd "$3"
  CARGO_MANIFEST_DIR=$3 "${WRAPPER[@]}" "$4" "${ARGUMENTS[@]}"
}
WRAPPER=() ARGUMENTS=()

# Prints the lines of the list that match a pattern. Unit tests never match.
matching_tests() {
  local crate target rest
  while IFS=$'\t' read -r crate target rest; do
    # shellcheck disable=SC2053 # the right side is a pattern
    if [ "$target" != unit ] && [[ $crate/$target == $1 ]]; then printf '%s\t%s\t%s\n' "$crate" "$target" "$rest"; fi
  done <"$TEST_LIST"
}

# run_tests WRAPPER… -- PATTERN… [-- ARGUMENTS…]: runs all programs that match. Each pattern must match one.
run_tests() {
  local pattern lines line words patterns=() rc=0
  WRAPPER=() ARGUMENTS=()
  while [ "$1" != -- ]; do
    WRAPPER+=("$1")
    shift
  done
  shift
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    patterns+=("$1")
    shift
  done
  [ $# -eq 0 ] || ARGUMENTS=("${@:2}")
  for pattern in "${patterns[@]}"; do
    mapfile -t lines < <(matching_tests "$pattern")
    if [ ${#lines[@]} -eq 0 ]; then
      echo "There is no test program $pattern."
      rc=1
    fi
    for line in "${lines[@]}"; do
      IFS=$'\t' read -ra words <<<"$line"
      (run_program "${words[@]}") || rc=1
    done
  done
  return "$rc"
}

suite_unit() {
  build_tests
  local rc=0 crate target folder program pattern elsewhere
  while IFS=$'\t' read -r crate target folder program; do
    elsewhere=0
    for pattern in "${PORT_TESTS[@]}" "${PACKET_TESTS[@]}" "${FAULT_TESTS[@]}" "${NODE_TESTS[@]}" "${STORE_TESTS[@]}"; do
      # shellcheck disable=SC2053 # the right side is a pattern
      if [ "$target" != unit ] && [[ $crate/$target == $pattern ]]; then elsewhere=1; fi
    done
    # These run in a suite of their own.
    ARGUMENTS=()
    if [ "$crate/$target" = server/web ]; then ARGUMENTS=(--skip api_tools::); fi
    [ "$elsewhere" = 1 ] || (run_program "$crate" "$target" "$folder" "$program") || rc=1
  done <"$TEST_LIST"
  cd "$ROOT"
  cargo test "${LOCKED[@]}" --workspace --exclude frontend --doc --quiet || rc=1
  return "$rc"
}

suite_store() {
  build_tests
  trap stop_postgres EXIT
  start_postgres
  run_tests -- "${STORE_TESTS[@]}"
}

suite_api() {
  build_tests
  trap stop_postgres EXIT
  start_postgres
  export MALIKNODE_SCHEMATHESIS=$CACHE/python/schemathesis/bin/schemathesis
  run_tests -- server/web -- api_tools:: --test-threads=1 --nocapture
}

suite_kernel() {
  build_tests
  run_tests as_root_with_env bash "$ROOT/tools/dev/kernel-vm.sh" -- wireguard/contract -- --kernel
  # The machine's own kernel may have no fq_codel.
  run_tests as_root_with_env env KERNEL_VM_TOOLS="ip tc ping" bash "$ROOT/tools/dev/kernel-vm.sh" -- \
    shaping/limits -- changes:: --test-threads=1
}
