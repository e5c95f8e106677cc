#!/usr/bin/env bash
# Another machine in a test bed: tools/bed/machine.sh NAME N, inside a bed (bed.sh), N from 10 to 49.
#
# Makes the network namespace NAME with a link to the host under test, one to `wan`, and three clients behind it:
#
#   host under test 198.18.N.1 ─ 198.18.N.2 NAME 198.18.N+50.1 ─ 198.18.N+50.2 wan
#                                           NAME 198.18.N+100.1 ─ 198.18.N+100.2 NAME-client
#                                           NAME 198.18.N+150.1 ─ 198.18.N+150.2 NAME-client2
#                                           NAME 198.18.N+200.1 ─ 198.18.N+200.2 NAME-client3
#
# The machine has mounts of its own (/sys, /run/wireguard, /run/maliknode) and a Docker engine of its own, which
# has the AdGuard Home image. Prints "ready PID SOCKET" and stays until it is ended; its processes end with the bed.
# Run programs there: DOCKER_HOST=SOCKET nsenter --target PID --net --mount PROGRAM. A client has a route to the
# machine and no other, as those in topology.sh. The folder of the machine is $MALIKNODE_BED_DIR/NAME.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/bed/engine.sh
. "$HERE/engine.sh"

[ "${MALIKNODE_BED:-}" = 1 ] || { echo "machine.sh works in a test bed only" >&2; exit 2; }
NAME=$1 N=$2
export NAME

# connect NAMESPACE LINK OTHER-NAMESPACE OTHER-LINK N: .1 is in the first, .2 in the other. - as the first is this namespace.
connect() {
  local here=()
  [ "$1" = - ] || here=(-n "$1")
  # Made where they belong: another machine that starts uses the same names.
  ip "${here[@]}" link add "$2" type veth peer name "$4" netns "$3"
  ip "${here[@]}" addr add "198.18.$5.1/24" dev "$2"
  ip -n "$3" addr add "198.18.$5.2/24" dev "$4"
  ip "${here[@]}" link set "$2" up
  ip -n "$3" link set "$4" up
}

ip netns add "$NAME"
ip -n "$NAME" link set lo up
connect - "$NAME-in" "$NAME" eth0 "$N"
connect "$NAME" eth1 wan "$NAME-wan" $((N + 50))
for n in 1 2 3; do
  client=$NAME-client
  [ "$n" = 1 ] || client+=$n
  ip netns add "$client"
  ip -n "$client" link set lo up
  connect "$NAME" "eth$((n + 1))" "$client" "$NAME-net$n" $((N + 50 + 50 * n))
  ip -n "$client" route add 198.18.0.0/16 via "198.18.$((N + 50 + 50 * n)).1"
done
ip -n "$NAME" route add default via "198.18.$((N + 50)).2"
# What runs on the host under test is reached by its own link, which a test can cut.
ip -n "$NAME" route add "$MALIKNODE_BED_HOST" via "198.18.$N.1"
mkdir "$MALIKNODE_BED_DIR/$NAME"

# shellcheck disable=SC2016 # the inner shell expands it
exec nsenter --net="/run/netns/$NAME" unshare --mount --propagation private bash -c '
  set -euo pipefail
  . "$1/engine.sh"
  echo 1 >/proc/sys/net/ipv4/ip_forward
  mount_machine "$MALIKNODE_BED_DIR/$NAME"
  start_engine "$MALIKNODE_BED_DIR/$NAME/docker" "$MALIKNODE_BED_CGROUP/$NAME"
  echo "ready $$ $DOCKER_HOST"
  exec sleep infinity
' machine "$HERE"
