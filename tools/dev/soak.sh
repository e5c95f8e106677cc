# shellcheck shell=bash
# Runs the fault tests of ./dev test for hours instead of minutes.

help_soak() {
  cat <<TEXT
./dev soak [-v] [--kills N] [--drift N] [--tenants N] [--nodes N] [PART…]: sets up what the tests need, then runs these
tests with real components in test beds; with a PART (kills, drift, boot, nodes), only that one:
  --kills N     kills N times (default 200, about 45 minutes): server, tunnels, Docker, containers, at random
                points of sign-up, device changes, suspension and deletion. The log contains the seed of a run;
                MALIKNODE_KILL_SEED=… ./dev soak --kills N kills repeats it
  --drift N     every external change, N times (default 5, about 2 minutes each)
  --tenants N   boot: a cold start with N tenants (default 200, which takes 5 GB of memory)
  --nodes N     N rounds of kills in an installation of several machines (default 100, about 15 minutes): control
                plane, workers, their Docker engines, and PostgreSQL, stopped for up to 30 s. The log contains the
                seed; MALIKNODE_SEED=… ./dev soak --nodes N nodes repeats it
0 leaves a test out. The output of a test goes to a log and is shown if it fails; -v shows it at once.
TEXT
}

suite_soak_kills() { MALIKNODE_KILL_ROUNDS=$SOAK_KILLS faults kills; }

suite_soak_drift() {
  local n
  for n in $(seq 1 "$SOAK_DRIFT"); do
    echo "== $n of $SOAK_DRIFT"
    faults drift
  done
}

suite_soak_nodes() {
  build_tests
  build_for_bed
  export MALIKNODE_ROUNDS=$SOAK_NODES
  run_tests as_root_with_env bash "$BED" -- "${NODE_TESTS[@]}" -- kills:: --nocapture
}

# Each AdGuard Home takes two inotify instances and the test's client one. The default limit of a user is 128.
suite_soak_boot() {
  local limit=/proc/sys/fs/inotify/max_user_instances previous rc=0
  previous=$(cat "$limit")
  if [ "$previous" -lt 4096 ]; then as_root sh -c "echo 4096 >$limit"; fi
  MALIKNODE_BOOT_TENANTS=$SOAK_TENANTS faults boot || rc=$?
  as_root sh -c "echo $previous >$limit"
  return "$rc"
}

cmd_soak() {
  local chosen=() parts=() name
  VERBOSE=0 PASSED=0 FAILED=0 RESULTS=() SOAK_KILLS=200 SOAK_DRIFT=5 SOAK_TENANTS=200 SOAK_NODES=100
  while [ $# -gt 0 ]; do
    case $1 in
    -v) VERBOSE=1 ;;
    --kills) SOAK_KILLS=${2:-} && shift ;;
    --drift) SOAK_DRIFT=${2:-} && shift ;;
    --tenants) SOAK_TENANTS=${2:-} && shift ;;
    --nodes) SOAK_NODES=${2:-} && shift ;;
    kills | drift | boot | nodes) parts+=("$1") ;;
    *) die "./dev soak does not know '$1'; see ./dev soak --help." ;;
    esac
    shift || die "The last option needs a number; see ./dev soak --help."
  done
  for name in "$SOAK_KILLS" "$SOAK_DRIFT" "$SOAK_TENANTS" "$SOAK_NODES"; do
    [[ $name =~ ^[0-9]+$ ]] || die "'$name' is not a number; see ./dev soak --help."
  done
  [ ${#parts[@]} -gt 0 ] || parts=(kills drift boot nodes)
  declare -A times=([kills]=$SOAK_KILLS [drift]=$SOAK_DRIFT [boot]=$SOAK_TENANTS [nodes]=$SOAK_NODES)
  for name in "${parts[@]}"; do
    [ "${times[$name]}" -eq 0 ] || chosen+=("soak_$name")
  done
  [ ${#chosen[@]} -gt 0 ] || die "No test is left to run."
  run_suites "${chosen[@]}"
}
