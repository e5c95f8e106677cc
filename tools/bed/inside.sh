# shellcheck shell=bash
# The first process of a bed, started by bed.sh: mounts, topology, Docker engine, then the command.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/bed/topology.sh
. "$HERE/topology.sh"
# shellcheck source=tools/bed/engine.sh
. "$HERE/engine.sh"
# The lock shows that bed.sh runs, so no process in here may hold it.
exec 8>&-

# Everything that the bed writes is in memory and ends with its mount namespace.
mount -t tmpfs -o mode=0755 maliknode-bed "$MALIKNODE_BED_DIR"
export TMPDIR=$MALIKNODE_BED_DIR/tmp
mkdir -m 1777 "$TMPDIR"

mount_machine "$MALIKNODE_BED_DIR"
mkdir -p /run/netns
mount -t tmpfs -o mode=0755 maliknode-bed /run/netns
# An installation on the machine must be neither visible nor changed.
for dir in /etc/maliknode /var/lib/maliknode; do
  if [ -d "$dir" ]; then mount -t tmpfs -o mode=0700 maliknode-bed "$dir"; fi
done
echo "nameserver $BED_INTERNET" >"$MALIKNODE_BED_DIR/resolv.conf"
mount --bind "$MALIKNODE_BED_DIR/resolv.conf" /etc/resolv.conf
if [ ! -c /dev/net/tun ]; then
  mkdir -p /dev/net
  mknod -m 0666 /dev/net/tun c 10 200
fi

make_topology

start_engine "$MALIKNODE_BED_DIR/docker" "$MALIKNODE_BED_CGROUP"
# The machine's own engine must not be reachable by its default address either.
if [ -S /run/docker.sock ]; then mount --bind "$MALIKNODE_BED_DIR/docker/docker.sock" /run/docker.sock; fi

export MALIKNODE_BED=1
status=0
"$@" || status=$?
exit "$status"
