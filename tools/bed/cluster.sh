#!/usr/bin/env bash
# An installation of several machines in a test bed, for ./dev cluster: tools/bed/cluster.sh PORT WORKERS CONTROL-PLANES,
# inside a bed (bed.sh) whose caller opened PORT of the machine (forward.py). PostgreSQL, the control planes and what spreads
# requests over them (balance.sh) run in the bed's root namespace, each worker on a machine of its own (machine.sh). One control
# plane has a node of its own; several have none. Stays until it is ended.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/bed/balance.sh
. "$HERE/balance.sh"
PORT=$1 WORKERS=$2 CONTROL_PLANES=$3
DIR=$MALIKNODE_BED_DIR
NODES_PORT=8443

fail() {
  echo "$1" >&2
  tail -n 30 "$2" >&2
  exit 1
}

# until_true SECONDS COMMAND…: waits until it succeeds.
until_true() {
  local n
  for n in $(seq 1 $(($1 * 5))); do
    if "${@:2}" >/dev/null 2>&1; then return; fi
    sleep 0.2
  done
  return 1
}

echo "… PostgreSQL"
bin=$(dirname "$(compgen -G "/usr/lib/postgresql/*/bin/initdb" | sort -V | tail -n 1)")
as_postgres() { (cd / && runuser -u postgres -- "$@"); }
mkdir "$DIR/postgres"
chown postgres "$DIR/postgres"
as_postgres "$bin/initdb" -D "$DIR/postgres/data" -U postgres -A trust -E UTF8 --locale=C.UTF-8 -N >"$DIR/postgres.log" 2>&1 ||
  fail "PostgreSQL could not be set up:" "$DIR/postgres.log"
as_postgres "$bin/pg_ctl" -D "$DIR/postgres/data" -w -t 30 -l "$DIR/postgres/log" \
  -o "-c listen_addresses= -c unix_socket_directories=$DIR/postgres" start >>"$DIR/postgres.log" 2>&1 ||
  fail "PostgreSQL did not start:" "$DIR/postgres.log"

# Nothing outside is reachable, so the control plane has no upstream that answers; block lists and the mesh work.
common=(--dns-upstreams "$MALIKNODE_BED_INTERNET" --dns-bootstrap "$MALIKNODE_BED_INTERNET" --dns-fallback "$MALIKNODE_BED_INTERNET")
control=("${common[@]}" --database-url "postgres://postgres@localhost/postgres?host=$DIR/postgres" --base "localhost:$PORT"
  --public-host "$MALIKNODE_BED_HOST" --nodes-address "https://$MALIKNODE_BED_HOST:$NODES_PORT")

# start_control_plane NAME PORT NODES-PORT OPTIONS…
start_control_plane() {
  local name=$1 port=$2 nodes=$3
  echo "… control plane $name"
  # All have the key of the first one.
  install -d -m 700 "$DIR/$name" "$DIR/$name/central_api"
  [ "$name" = control1 ] || install -m 600 "$DIR/control1/central_api/seal.key" "$DIR/$name/central_api/seal.key"
  "$MALIKNODE_BIN" serve "${control[@]}" --root "$DIR/$name" --listen "127.0.0.1:$port" --nodes-listen "0.0.0.0:$nodes" "${@:4}" \
    >"$DIR/$name.log" 2>&1 &
  until_true 60 curl -sf -H "Host: localhost:$PORT" "http://127.0.0.1:$port/healthz" || fail "The control plane $name did not start:" "$DIR/$name.log"
}

if [ "$CONTROL_PLANES" = 1 ]; then
  start_control_plane control1 "$PORT" "$NODES_PORT"
else
  for n in $(seq 1 "$CONTROL_PLANES"); do
    start_control_plane "control$n" $((PORT + n)) $((NODES_PORT + n)) --no-node --trusted-proxies 127.0.0.1 \
      --nodes-own-address "https://$MALIKNODE_BED_HOST:$((NODES_PORT + n))"
  done
  write_balancer "$DIR/balancer.cfg" "$PORT" "$NODES_PORT" "$CONTROL_PLANES"
  haproxy -db -q -f "$DIR/balancer.cfg" >"$DIR/balancer.log" 2>&1 &
  until_true 10 curl -sf -H "Host: localhost:$PORT" "http://127.0.0.1:$PORT/readyz" || fail "The balancer did not start:" "$DIR/balancer.log"
fi
python3 -B "$HERE/forward.py" connect "$PORT" &

for n in $(seq 1 "$WORKERS"); do
  name=w$n number=$((9 + n))
  echo "… worker $name"
  bash "$HERE/machine.sh" "$name" "$number" >"$DIR/$name.ready" 2>"$DIR/$name.machine.log" &
  until_true 60 grep -q ^ready "$DIR/$name.ready" || fail "The machine $name did not start:" "$DIR/$name.machine.log"
  read -r _ pid docker <"$DIR/$name.ready"
  token=$("$MALIKNODE_BIN" worker token "${control[@]}" --root "$DIR/control1" --nodes-listen "0.0.0.0:$NODES_PORT" 2>>"$DIR/control1.log" |
    grep -o 'mn1_[^ ]*')
  there=(env "DOCKER_HOST=$docker" nsenter --target "$pid" --net --mount -- "$MALIKNODE_BIN" worker)
  "${there[@]}" join "$token" --to "https://$MALIKNODE_BED_HOST:$NODES_PORT" --name "$name" --host "198.18.$((number + 100)).1" \
    "${common[@]}" --root "$DIR/$name/root" >"$DIR/$name.log" 2>&1 || fail "The worker $name could not join:" "$DIR/$name.log"
  "${there[@]}" run "${common[@]}" --root "$DIR/$name/root" >>"$DIR/$name.log" 2>&1 &
done

grep -A 1 '^  Operator' "$DIR/control1.log"
cat <<TEXT

  Sign up     http://localhost:$PORT/
  Operator    http://admin.localhost:$PORT/, the page Nodes has the machines
  Logs        those of control planes and workers are in the bed: nsenter --target $$ --mount less $DIR/control1.log
  Devices     a namespace w1-client is behind the first worker: tools/bed/machine.sh has the picture

Ctrl-C ends everything and removes it.
TEXT
wait
