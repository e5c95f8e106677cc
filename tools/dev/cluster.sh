# shellcheck shell=bash
# Runs an installation of several machines on this one.

help_cluster() {
  cat <<TEXT
./dev cluster [--port N] [--workers N] [--control-planes N]: sets up what the tests need, builds, and runs an installation of
several machines in network namespaces of this one: PostgreSQL, control planes behind HAProxy, and workers, each with a
network and a Docker engine of its own. A browser on this machine can sign up there.
  --port N            the port of this machine's loopback address (default 8090)
  --workers N         how many workers (default 2, at most 9)
  --control-planes N  how many control planes (default 2, at most 5); a single one has a node of its own, and no HAProxy
Everything is in memory and is removed at the end. Nothing of it reaches the internet. It needs root, by sudo if necessary.
TEXT
}

cmd_cluster() {
  local port=8090 workers=2 control_planes=2
  while [ $# -gt 0 ]; do
    case $1 in
    --port) port=${2:-} && shift ;;
    --workers) workers=${2:-} && shift ;;
    --control-planes) control_planes=${2:-} && shift ;;
    *) die "./dev cluster does not know '$1'; see ./dev cluster --help." ;;
    esac
    shift || die "The last option needs a number; see ./dev cluster --help."
  done
  [[ $port =~ ^[0-9]+$ ]] || die "'$port' is not a port."
  [[ $workers =~ ^[1-9]$ ]] || die "--workers needs a number from 1 to 9."
  [[ $control_planes =~ ^[1-5]$ ]] || die "--control-planes needs a number from 1 to 5."
  with_lock setup_all --tests
  step "Build|some minutes the first time" build_product release
  export MALIKNODE_BIN
  MALIKNODE_BIN=$(binary_of release)
  as_root_exec python3 -B "$ROOT/tools/bed/forward.py" listen "$port" bash "$BED" bash "$ROOT/tools/bed/cluster.sh" "$port" "$workers" "$control_planes"
}
