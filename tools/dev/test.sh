# shellcheck shell=bash
# Runs the suites one after another, each with its own log. Ends with one line: N passed, N failed.

SUITES=(lint unit store api ports kernel packets nodes kills drift boot e2e)

help_test() {
  cat <<TEXT
./dev test [-v] [SUITE…]: sets up what is missing (./dev setup --tests), then runs the named suites, or all:
  lint       formatting, clippy, dependencies, scripts
  unit       every test that changes nothing on the machine; no root, no network
  store      the contract tests of the store, on SQLite and on a real PostgreSQL that is started for them
  api        Schemathesis over every operation of the REST interface, and a client generated from its description
  ports      the implementations of the ports, in test beds: WireGuard (userspace), nftables with packets,
             tracked connections, Docker, AdGuard Home
  kernel     the contract tests of the WireGuard port with the kernel's WireGuard, in a virtual machine
  packets    the real binary, Docker, AdGuard Home and WireGuard clients in a hermetic bed
  nodes      a control plane on PostgreSQL and workers on machines of their own, with real clients
  kills      SIGKILL of server, tunnels, Docker and containers during changes (12 times)
  drift      external changes: each is corrected within 10 s, and no other tenant is affected
  boot       cold starts, no database, full and read-only disks, overlapping ranges, corrupt files
  e2e        a browser with the same components
The output of a suite goes to a log and is shown if it fails; -v shows it at once.
The status is 0 only if every suite passed. The test beds need root, by sudo if necessary.
TEXT
}

run_suite() {
  local name=$1 started rc=0 log=$LOGS/test-$1.log
  started=$(now_ms)
  say "${dim}… $name${plain}"
  set +e
  if [ "$VERBOSE" = 1 ]; then
    (
      set -e
      "suite_$name"
    ) 2>&1 </dev/null | tee "$log"
    rc=${PIPESTATUS[0]}
  else
    (
      set -e
      "suite_$name"
    ) >"$log" 2>&1 </dev/null
    rc=$?
  fi
  set -e
  if [ "$rc" -eq 0 ]; then
    RESULTS+=("${green}✓${plain} $(printf '%-10s' "$name") passed  $(seconds_since "$started")")
    PASSED=$((PASSED + 1))
  else
    if [ "$VERBOSE" = 0 ]; then
      say "  ${dim}the end of $log:${plain}"
      tail -n 80 "$log" | sed 's/^/  | /'
    fi
    # The names of failed tests, as cargo and Playwright print them, and every panic.
    grep -E '^(test .* FAILED$| +[0-9]+\) \[)' "$log" | sort -u | head -n 30 | sed 's/^ */  failed: /' || true
    grep -A 4 'panicked at' "$log" | grep -v '^stack backtrace' | head -n 40 | sed 's/^/  | /' || true
    RESULTS+=("${red}✗${plain} $(printf '%-10s' "$name") FAILED  $(seconds_since "$started")  $log")
    FAILED=$((FAILED + 1))
  fi
  say "${RESULTS[-1]}"
}

cmd_test() {
  local chosen=() name
  VERBOSE=0 PASSED=0 FAILED=0 RESULTS=()
  for name; do
    case " ${SUITES[*]} " in
    *" $name "*) chosen+=("$name") ;;
    *) [ "$name" = -v ] && VERBOSE=1 || die "There is no suite '$name'; there are: ${SUITES[*]}." ;;
    esac
  done
  [ ${#chosen[@]} -gt 0 ] || chosen=("${SUITES[@]}")

  run_suites "${chosen[@]}"
}

# run_suites SUITE…: sets up, runs the suites, prints a summary.
run_suites() {
  local started name
  started=$(now_ms)
  # The message of a panic is enough; a backtrace for each would hide it.
  export RUST_BACKTRACE=0
  with_lock setup_all --tests
  say
  mkdir -p "$LOGS"
  for name; do run_suite "$name"; done
  say
  printf '%s\n' "${RESULTS[@]}"
  say "$# suites in $(seconds_since "$started")"
  say "$PASSED passed, $FAILED failed"
  [ "$FAILED" -eq 0 ]
}
