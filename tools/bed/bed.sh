#!/usr/bin/env bash
# A hermetic test bed: tools/bed/bed.sh COMMAND ARGS…
#
# Runs COMMAND as root in its own namespaces: a network with only what topology.sh creates, a private
# Docker engine that has the AdGuard Home image, and private /run/wireguard, /run/netns and
# /run/maliknode. Beds can run in parallel and see neither each other nor the machine's network.
# Everything is removed when the command ends, also when this script is killed. After SIGKILL the kernel
# ends the process namespace, and with it the mounts, links and containers. Only empty folders remain,
# which the next bed removes.
#
# These variables are set inside:
#   MALIKNODE_BED=1             checked by tests that must run only in a bed
#   MALIKNODE_BED_DIR           a temporary folder in memory
#   MALIKNODE_BED_HOST          the host under test (this namespace) as clients and the WAN reach it
#   MALIKNODE_BED_INTERNET      an address that exists only in the namespace `wan` (…_INTERNET6 for IPv6)
#   MALIKNODE_BED_WAN, MALIKNODE_BED_CLIENTS   names of namespaces: nsenter --net=/run/netns/NAME PROGRAM
#   MALIKNODE_BED_IMAGE, DOCKER_HOST           the image's tag, and the engine that has it
# `ip netns exec` does not work inside (it remounts /sys); nsenter does, and `ip -n NAME` too.
set -euo pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${MALIKNODE_CACHE:-$HOME/.cache/maliknode}
export MALIKNODE_BED_IMAGE=${MALIKNODE_BED_IMAGE:-adguard/adguardhome:v0.107.79}
export MALIKNODE_BED_IMAGE_TAR=${MALIKNODE_BED_IMAGE_TAR:-$CACHE/adguardhome-${MALIKNODE_BED_IMAGE##*:}.tar}

die() {
  echo "bed: $*" >&2
  exit 2
}
case ${1:-} in '' | -h | --help)
  sed -n '2,/^set -/{/^set -/!s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
  exit 0
  ;;
esac
[ "$EUID" -eq 0 ] || die "needs root for namespaces; ./dev test asks sudo for it"
for tool in unshare setpriv nsenter ip nft dockerd docker flock; do
  command -v "$tool" >/dev/null || die "'$tool' is missing; ./dev setup --tests installs it"
done
[ -s "$MALIKNODE_BED_IMAGE_TAR" ] || die "$MALIKNODE_BED_IMAGE_TAR is missing; ./dev image makes it"

# Removes folders and cgroups of beds that have ended. A running bed holds the lock in its folder.
remove_bed() {
  local dir=$1 controller
  for controller in /sys/fs/cgroup /sys/fs/cgroup/*; do
    [ -d "$controller/${dir##*/}" ] || continue
    find "$controller/${dir##*/}" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  rm -rf --one-file-system "$dir"
}
for old in /tmp/maliknode-bed.*; do
  [ -e "$old/lock" ] || continue
  if flock -n "$old/lock" true; then remove_bed "$old"; fi
done

export MALIKNODE_BED_DIR
MALIKNODE_BED_DIR=$(mktemp -d /tmp/maliknode-bed.XXXXXXXX)
exec 8>"$MALIKNODE_BED_DIR/lock"
flock 8
export MALIKNODE_BED_CGROUP=/${MALIKNODE_BED_DIR##*/}

# The bed runs in the background, because bash runs traps only between foreground commands. Background
# processes ignore SIGINT, so env resets it. By setpriv, the kernel ends the bed if this script is killed.
env --default-signal=INT,QUIT setpriv --pdeathsig KILL \
  unshare --net --mount --ipc --pid --fork --kill-child --mount-proc \
  bash "$HERE/inside.sh" "$@" <&0 &
bed=$!
# shellcheck disable=SC2317 # called by the traps
finish() {
  # A second Ctrl-C must not stop the clean-up.
  trap - EXIT
  trap '' INT TERM HUP
  kill -KILL "$bed" 2>/dev/null || true
  wait "$bed" 2>/dev/null || true
  # The kernel needs a moment to end the last processes, which hold the cgroups.
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    remove_bed "$MALIKNODE_BED_DIR"
    compgen -G "/sys/fs/cgroup/*$MALIKNODE_BED_CGROUP" >/dev/null || [ -d "/sys/fs/cgroup$MALIKNODE_BED_CGROUP" ] || break
    sleep 0.05
  done
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
status=0
wait "$bed" || status=$?
exit "$status"
