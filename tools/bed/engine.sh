# shellcheck shell=bash
# A Docker engine for a machine of a bed, which has the AdGuard Home image.

# start_engine DIR CGROUP: starts it with its files in DIR and sets DOCKER_HOST.
start_engine() {
  local dir=$1 cgroup=$2
  export DOCKER_HOST=unix://$dir/docker.sock
  mkdir "$dir"
  # cgroupfs, because systemd outside does not know this process namespace. The configuration file is
  # empty, because the machine's file may name other folders.
  echo '{}' >"$dir/daemon.json"
  dockerd --config-file "$dir/daemon.json" --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/pid" \
    -H "$DOCKER_HOST" --bip 172.31.255.1/24 --userland-proxy=false \
    --exec-opt native.cgroupdriver=cgroupfs --cgroup-parent="$cgroup" >"$dir/log" 2>&1 </dev/null &
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
}

# Mounts the /sys of this network namespace, with the cgroups of before, and empty folders for what
# belongs to one machine. DIR is for a moment.
mount_machine() {
  local dir=$1/cgroup folder
  # /sys/class/net shows the network in which /sys was mounted, so it is mounted again.
  mkdir "$dir"
  mount --rbind /sys/fs/cgroup "$dir"
  mount -t sysfs sysfs /sys
  mount --rbind "$dir" /sys/fs/cgroup
  umount -l "$dir"
  for folder in /run/wireguard /run/maliknode; do
    mkdir -p "$folder"
    mount -t tmpfs -o mode=0755 maliknode-bed "$folder"
  done
}
