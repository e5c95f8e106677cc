# shellcheck shell=bash
# The figures, measured in a test bed (end2end/bed/bench.py).

help_bench() {
  cat <<TEXT
./dev bench [--json FILE]: sets up what the tests need (./dev setup --tests), builds, optimised, and measures in a
test bed, within five minutes. It prints a table; each figure stands beside what it is compared with, from the same run:
  a tenant from nothing     sign-up to all parts ready, beside a bare 'docker run -d' of the same image
  adding a device           request to tunnel, beside fork + 'wg set'
  dashboard, device list    requests a second and p99, beside a small file of the same server
  memory                    of the control plane and of the userspace tunnels, at 1 and at 20 tenants
  script and WASM           compressed, as browsers get them
--json FILE also writes every single measurement. Missed aims are marked 'over' and do not make it fail; what could
not be measured does. On a busy machine trust the ratios only. The test bed needs root, by sudo where needed.
TEXT
}

cmd_bench() {
  local json='' options=()
  while [ $# -gt 0 ]; do
    case $1 in
    --json) json=${2:-} && shift ;;
    --json=*) json=${1#*=} ;;
    *) die "./dev bench does not know '$1'; see ./dev bench --help." ;;
    esac
    [ -n "$json" ] && shift || die "--json needs a file."
  done
  if [ -n "$json" ]; then
    # Made here, so that it belongs to who asked and not to the test bed's root.
    json=$(realpath -m "$json")
    : >"$json" || die "$json cannot be written."
    options=(--json "$json")
  fi
  with_lock setup_all --tests
  step "Build|some minutes the first time" build_product release
  export MALIKNODE_BIN
  MALIKNODE_BIN=$(binary_of release)
  say
  say "Measuring, about two minutes"
  as_root_with_env bash "$BED" "$(command -v python3)" -B "$ROOT/end2end/bed/bench.py" "${options[@]}"
}
