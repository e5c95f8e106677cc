# shellcheck shell=bash
# The first process of a bed, started by bed.sh: mounts, topology, Docker engine, then the command.
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tools/bed/topology.sh
. "$HERE/topology.sh"
# The lock shows that bed.sh runs, so no process in here may hold it.
exec 8>&-

# Everything that the bed writes is in memory and ends with its mount namespace.
mount -t tmpfs -o mode=0755 maliknode-bed "$MALIKNODE_BED_DIR"

# /sys/class/net shows the network in which /sys was mounted, so it is mounted again. The cgroups in it stay.
mkdir "$MALIKNODE_BED_DIR/cgroup"
mount --rbind /sys/fs/cgroup "$MALIKNODE_BED_DIR/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$MALIKNODE_BED_DIR/cgroup" /sys/fs/cgroup
umount -l "$MALIKNODE_BED_DIR/cgroup"

for dir in /run/wireguard /run/netns /run/maliknode; do
  mkdir -p "$dir"
  mount -t tmpfs -o mode=0755 maliknode-bed "$dir"
done
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

start_engine() {
  local dir=$MALIKNODE_BED_DIR/docker
  export DOCKER_HOST=unix://$dir/docker.sock
  mkdir "$dir"
  # cgroupfs, because systemd outside does not know this process namespace. The configuration file is
  # empty, because the machine's file may name other folders.
  echo '{}' >"$dir/daemon.json"
  dockerd --config-file "$dir/daemon.json" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" \
    -H "$DOCKER_HOST" --bip 172.31.255.1/24 --userland-proxy=false \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent="$MALIKNODE_BED_CGROUP" >"$dir/log" 2>&1 </dev/null &
  for _ in $(seq 1 300); do
    if docker version >/dev/null 2>&1; then break; fi
    kill -0 "$!" 2>/dev/null || break
    sleep 0.1
  done
  if ! docker load -q -i "$MALIKNODE_BED_IMAGE_TAR" >"$dir/load.log" 2>&1; then
    {
      echo "bed: the private Docker engine did not start:"
      tail -n 20 "$dir/log" "$dir/load.log"
    } >&2
    exit 2
  fi
  # The machine's own engine must not be reachable by its default address either.
  if [ -S /run/docker.sock ]; then mount --bind "$dir/docker.sock" /run/docker.sock; fi
}
start_engine

export MALIKNODE_BED=1
status=0
"$@" || status=$?
exit "$status"
