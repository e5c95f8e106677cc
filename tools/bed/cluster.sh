#!/usr/bin/env bash
# An installation of several machines in a test bed, for ./dev cluster: tools/bed/cluster.sh PORT WORKERS, inside a bed
# (bed.sh) whose caller opened PORT of the machine (forward.py). PostgreSQL and a control plane with a node of its own run
# in the bed's root namespace, each worker on a machine of its own (machine.sh). Stays until it is ended.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
PORT=$1 WORKERS=$2
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
control=("${common[@]}" --root "$DIR/control" --database-url "postgres://postgres@localhost/postgres?host=$DIR/postgres"
  --listen "127.0.0.1:$PORT" --public-host "$MALIKNODE_BED_HOST" --nodes-listen "0.0.0.0:$NODES_PORT")
echo "… control plane"
"$MALIKNODE_BIN" serve "${control[@]}" >"$DIR/control.log" 2>&1 &
until_true 60 curl -sf -H "Host: localhost:$PORT" "http://127.0.0.1:$PORT/healthz" || fail "The control plane did not start:" "$DIR/control.log"
python3 -B "$HERE/forward.py" connect "$PORT" &

for n in $(seq 1 "$WORKERS"); do
  name=w$n number=$((9 + n))
  echo "… worker $name"
  bash "$HERE/machine.sh" "$name" "$number" >"$DIR/$name.ready" 2>"$DIR/$name.machine.log" &
  until_true 60 grep -q ^ready "$DIR/$name.ready" || fail "The machine $name did not start:" "$DIR/$name.machine.log"
  read -r _ pid docker <"$DIR/$name.ready"
  token=$("$MALIKNODE_BIN" worker token "${control[@]}" 2>>"$DIR/control.log" | grep -o 'mn1_[^ ]*')
  there=(env "DOCKER_HOST=$docker" nsenter --target "$pid" --net --mount -- "$MALIKNODE_BIN" worker)
  "${there[@]}" join "$token" --to "https://198.18.$number.1:$NODES_PORT" --name "$name" --host "198.18.$((number + 100)).1" \
    "${common[@]}" --root "$DIR/$name/root" >"$DIR/$name.log" 2>&1 || fail "The worker $name could not join:" "$DIR/$name.log"
  "${there[@]}" run "${common[@]}" --root "$DIR/$name/root" >>"$DIR/$name.log" 2>&1 &
done

grep -A 1 '^  Operator' "$DIR/control.log"
cat <<TEXT

  Sign up     http://localhost:$PORT/
  Operator    http://admin.localhost:$PORT/, the page Nodes has the machines
  Logs        $DIR/control.log and the workers' are in the bed: nsenter --target $$ --mount less $DIR/control.log
  Devices     a namespace w1-client is behind the first worker: tools/bed/machine.sh has the picture

Ctrl-C ends everything and removes it.
TEXT
wait
