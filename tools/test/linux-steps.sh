#!/usr/bin/env bash
# Follows the page's Linux steps (app/src/devices/steps.rs) to the letter on a fresh Debian: with and without a
# resolvconf that is there already, and by NetworkManager. Usage, as root, with debootstrap and a Debian mirror:
#
#   tools/test/linux-steps.sh bookworm trixie
#
# Nothing is changed outside a temporary folder: each system is an overlay in a mount namespace, its tunnel is in a
# network namespace of its own. A kernel without WireGuard is replaced by wireguard-go, which NetworkManager cannot
# use: there the profile that it makes of the file is compared, and no tunnel is started.
set -euo pipefail

here=$(cd "$(dirname "$0")/../.." && pwd)
steps=$here/app/src/devices/steps.rs
cache=${MALIKNODE_DEBIAN_CACHE:-/tmp/maliknode-debian}
stem=my-phone-2
export LC_ALL=C DEBIAN_FRONTEND=noninteractive PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

fail() {
  echo "✗ $suite, $kind: $*" >&2
  exit 1
}

# commands WAY: what is between backticks in a way's steps, one a line.
commands() {
  awk -v way="$1" 'index($0, "title: \"") { on = index($0, way) } on' "$steps" |
    grep -o '`[^`]*`' | tr -d '`' | sed "s/NAME/$stem/g"
}

in_system() { chroot "$root" "$@"; }
in_tunnel() { nsenter --net="/proc/$holder/ns/net" chroot "$root" "$@"; }

key() { head -c 32 /dev/urandom | base64; }

write_file() {
  mkdir -p "$root/root/Downloads"
  cat >"$root/root/Downloads/$stem.conf" <<CONF
[Interface]
PrivateKey = $(key)
Address = 10.88.1.2/32
DNS = 10.88.1.1
MTU = 1280

[Peer]
PublicKey = $(key)
PresharedKey = $(key)
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 192.0.2.9:51821
PersistentKeepalive = 25
CONF
}

make_system() {
  local work
  work=$(mktemp -d)
  mount -t tmpfs tmpfs "$work"
  mkdir "$work/up" "$work/work" "$work/root"
  root=$work/root
  mount -t overlay overlay -o "lowerdir=$cache/$suite,upperdir=$work/up,workdir=$work/work" "$root"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount --rbind /sys "$root/sys"
  mount -t tmpfs tmpfs "$root/run"
  cp /etc/resolv.conf "$root/etc/resolv.conf"
  # No service is started in a chroot.
  printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
  chmod +x "$root/usr/sbin/policy-rc.d"
  unshare -n sleep infinity &
  holder=$!
  sleep 0.5
  in_tunnel ip link set lo up
  in_system apt-get -qq update
  in_system apt-get -qq -y install --no-install-recommends wireguard-go >/dev/null 2>&1
}

wg_quick() {
  local command before
  while IFS= read -r command; do
    case $command in
      *wg-quick\ up*)
        before=$(cat "$root/etc/resolv.conf")
        in_tunnel sh -c "cd; HOME=/root $command" >/tmp/steps.log 2>&1 || { cat /tmp/steps.log; fail "$command"; }
        in_tunnel wg show "$stem" >/dev/null || fail "no tunnel"
        grep -q '^nameserver 10.88.1.1$' "$root/etc/resolv.conf" || fail "no DNS server is set"
        in_tunnel ip link show dev "$stem" | grep -q 'mtu 1280' || fail "the MTU is not 1280"
        in_tunnel wg-quick down "$stem" >/dev/null 2>&1
        [ "$(grep ^nameserver "$root/etc/resolv.conf")" = "$(grep ^nameserver <<<"$before")" ] || fail "resolv.conf is not as before"
        ;;
      *systemctl*) [ -e "$root/lib/systemd/system/wg-quick@.service" ] || fail "no unit" ;;
      *) in_system sh -c "cd; HOME=/root; export HOME; yes | $command" >/tmp/steps.log 2>&1 || { cat /tmp/steps.log; fail "$command"; } ;;
    esac
  done < <(commands "With wg-quick")
}

network_manager() {
  local shown
  in_system apt-get -qq -y install --no-install-recommends network-manager dbus >/dev/null 2>&1
  write_file
  mkdir -p "$root/run/dbus"
  in_tunnel dbus-daemon --system --fork
  in_tunnel NetworkManager
  in_tunnel sh -c "cd; HOME=/root; export HOME; $(commands "With NetworkManager" | head -1)" || fail "it is not imported"
  shown=$(in_tunnel nmcli -t -f connection.interface-name,ipv4.addresses,ipv4.dns,wireguard.mtu connection show "$stem")
  for wanted in "connection.interface-name:$stem" ipv4.addresses:10.88.1.2/32 ipv4.dns:10.88.1.1 wireguard.mtu:1280; do
    grep -qxF "$wanted" <<<"$shown" || fail "no $wanted in $shown"
  done
  in_tunnel pkill NetworkManager || true
}

one() {
  make_system
  trap 'kill "$holder" 2>/dev/null || true' EXIT
  case $kind in
    with-resolvconf)
      in_system apt-get -qq -y install resolvconf >/dev/null 2>&1
      write_file
      wg_quick
      ;;
    without-resolvconf)
      write_file
      wg_quick
      ;;
    network-manager) network_manager ;;
  esac
  echo "✓ $suite, $kind"
}

if [ "${1:-}" = --one ]; then
  suite=$2 kind=$3
  one
  exit
fi
mkdir -p "$cache"
for suite; do
  [ -e "$cache/$suite/usr/bin/sudo" ] || debootstrap --variant=minbase --include=iproute2,procps,sudo "$suite" "$cache/$suite" >/dev/null
  for kind in without-resolvconf with-resolvconf network-manager; do
    unshare -m "$0" --one "$suite" "$kind"
  done
done
