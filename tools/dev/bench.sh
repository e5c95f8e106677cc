# shellcheck shell=bash
# Measures performance in a test bed (tools/bench/bench.py; at scale, scale.py; hostile tenants, neighbours.py; many workers,
# nodes.py).

help_bench() {
  cat <<TEXT
./dev bench [--json FILE]: sets up what the tests need (./dev setup --tests), builds, optimised, and measures in a
test bed, within five minutes. It prints a table in which each figure has a baseline from the same run:
  a tenant from nothing     sign-up to all parts ready; baseline: 'docker run -d' of the same image
  adding a device           request to tunnel; baseline: fork + 'wg set'
  dashboard, device list    requests a second and p99; baseline: a small file of the same server
  memory                    of the control plane and of the userspace tunnels, at 1 and at 20 tenants
  script and WASM           compressed, as browsers get them
--json FILE also writes every single measurement. A missed target is marked 'over' and is not a failure; what could
not be measured is. On a busy machine only the ratios are reliable. The test bed needs root, by sudo if necessary.

./dev bench scale [--tenants N] [--json FILE]: the same at scale, within half an hour:
  a full node               1,000 tenants x 20 devices, simulated containers and real tunnels: creation, a pass without
                            a change, one change, statistics, the firewall, cold start, memory
  real containers           as many tenants as memory and four minutes allow, at least 50 (--tenants N: at most N): memory
                            of each, sign-ups among others, DNS through the tunnel and directly at the container

./dev bench neighbours [--json FILE]: what hostile tenants change for another, within 25 minutes. A device of one tenant
measures DNS, new flows and connections, throughput and the sign-in page: quiet, while others flood (packets, connections,
DNS, 60 kB answers, iperf3, forged ICMP errors, idle connections to the pages), and while the same load generators flood
something else. At the end, 20 tenants flood, or as many as memory allows. Marked are 'over', more than 20 % worse than
quiet; 'spread', so, but no worse than the worst quiet value; 'load', so, but no more than by the load generators alone, which
share this machine; 'aim missed', an absolute target. 'over' and 'aim missed' are no failure.

./dev bench nodes [--workers N] [--tenants N] [--devices N] [--json FILE]: a control plane on PostgreSQL with 200 virtual workers,
980 tenants each and 5 devices each (or as many as said), within ten minutes. Control plane, PostgreSQL, TLS, certificates and
join tokens are real; only the workers' machines are not. Measured: from a change to its being applied, sign-ups, an idle
control plane's CPU and memory, a restart until all workers follow again, and pages meanwhile.

./dev bench api [--json FILE]: the list of 20 devices over the REST interface, with SQLite and with PostgreSQL, beside a minimal
daemon of FastAPI, PostgreSQL and JWT (tools/bench/fastapi), within five minutes. Each server runs with its database on one core, wrk on
another; they take turns, and the ratio of requests a second is printed. It needs no bed.
TEXT
}

# Builds the example that fills a node, with the flags of the product.
build_full_node() {
  cd "$ROOT"
  RUSTFLAGS=$RELEASE_FLAGS cargo build "${LOCKED[@]}" --release -p control --example full_node
}

# Builds the virtual workers and what writes their tenants' rows, likewise.
build_virtual_workers() {
  cd "$ROOT"
  RUSTFLAGS=$RELEASE_FLAGS cargo build "${LOCKED[@]}" --release -p link --example virtual_workers
  RUSTFLAGS=$RELEASE_FLAGS cargo build "${LOCKED[@]}" --release -p store --example fleet_rows
}

cmd_bench() {
  local json='' program=bench.py options=() number
  case ${1:-} in scale | neighbours | nodes | api)
    program=$1.py
    shift
    ;;
  esac
  while [ $# -gt 0 ]; do
    case $1 in
    --tenants | --tenants=* | --workers | --workers=* | --devices | --devices=*)
      case "$program ${1%%=*}" in "nodes.py "* | "scale.py --tenants") ;; *) die "${1%%=*} is not for this; see ./dev bench --help." ;; esac
      options+=("${1%%=*}")
      case $1 in *=*) number=${1#*=} ;; *) number=${2:-} && shift ;; esac
      [[ $number =~ ^[0-9]+$ ]] || die "${options[-1]} needs a number."
      options+=("$number")
      [ $# -eq 0 ] || shift
      continue
      ;;
    --json) json=${2:-} && shift ;;
    --json=*) json=${1#*=} ;;
    *) die "./dev bench does not know '$1'; see ./dev bench --help." ;;
    esac
    [ -n "$json" ] && shift || die "--json needs a file."
  done
  if [ -n "$json" ]; then
    # Created here, so that it belongs to the user and not to root.
    json=$(realpath -m "$json")
    : >"$json" || die "$json cannot be written."
    options+=(--json "$json")
  fi
  with_lock setup_all --tests
  step "Build|some minutes the first time" build_product release
  export MALIKNODE_BIN
  MALIKNODE_BIN=$(binary_of release)
  if [ "$program" = api.py ]; then
    step "FastAPI" python_packages fastapi "$ROOT/tools/bench/fastapi/requirements.txt"
    export MALIKNODE_FASTAPI=$CACHE/python/fastapi
    say
    say "Measuring the REST interface, about four minutes"
    as_root_with_env "$(command -v python3)" -B "$ROOT/tools/bench/api.py" "${options[@]}"
    return
  fi
  if [ "$program" = scale.py ]; then
    step "Build of the full node" build_full_node
    export MALIKNODE_FULL_NODE=$CARGO_TARGET_DIR/release/examples/full_node
    say
    say "Measuring at scale, some ten minutes (half an hour at most)"
  elif [ "$program" = nodes.py ]; then
    step "Build of the virtual workers" build_virtual_workers
    export MALIKNODE_VIRTUAL_WORKERS=$CARGO_TARGET_DIR/release/examples/virtual_workers
    export MALIKNODE_FLEET_ROWS=$CARGO_TARGET_DIR/release/examples/fleet_rows
    say
    say "Measuring with virtual workers, some seven minutes (ten at most)"
  elif [ "$program" = neighbours.py ]; then
    say
    say "Measuring hostile tenants, some fifteen minutes (25 at most)"
  else
    say
    say "Measuring, about two minutes"
  fi
  as_root_with_env bash "$BED" "$(command -v python3)" -B "$ROOT/tools/bench/$program" "${options[@]}"
}
