# shellcheck shell=bash
# Measures performance in a test bed (tools/bench/bench.py; at scale, scale.py; hostile tenants, neighbours.py).

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
TEXT
}

# Builds the example that fills a node, with the flags of the product.
build_full_node() {
  cd "$ROOT"
  RUSTFLAGS=$RELEASE_FLAGS cargo build "${LOCKED[@]}" --release -p control --example full_node
}

cmd_bench() {
  local json='' tenants='' program=bench.py options=()
  case ${1:-} in scale | neighbours)
    program=$1.py
    shift
    ;;
  esac
  while [ $# -gt 0 ]; do
    case $1 in
    --tenants | --tenants=*)
      [ "$program" = scale.py ] || die "--tenants is for ./dev bench scale."
      case $1 in *=*) tenants=${1#*=} ;; *) tenants=${2:-} && shift ;; esac
      [[ $tenants =~ ^[0-9]+$ ]] || die "--tenants needs a number."
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
    options=(--json "$json")
  fi
  [ -z "$tenants" ] || options+=(--tenants "$tenants")
  with_lock setup_all --tests
  step "Build|some minutes the first time" build_product release
  export MALIKNODE_BIN
  MALIKNODE_BIN=$(binary_of release)
  if [ "$program" = scale.py ]; then
    step "Build of the full node" build_full_node
    export MALIKNODE_FULL_NODE=$CARGO_TARGET_DIR/release/examples/full_node
    say
    say "Measuring at scale, some ten minutes (half an hour at most)"
  elif [ "$program" = neighbours.py ]; then
    say
    say "Measuring hostile tenants, some fifteen minutes (25 at most)"
  else
    say
    say "Measuring, about two minutes"
  fi
  as_root_with_env bash "$BED" "$(command -v python3)" -B "$ROOT/tools/bench/$program" "${options[@]}"
}
