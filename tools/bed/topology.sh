# shellcheck shell=bash
# The hosts of a bed and the links between them. The addresses are from documentation and benchmark
# ranges (RFC 2544, RFC 5737, RFC 3849), which no real network uses.
#
#   c1 198.18.1.2 ─ 198.18.1.1 ┐
#   c2 198.18.2.2 ─ 198.18.2.1 ├ host under test   198.18.0.1 ─ 198.18.0.2 wan (203.0.113.80)
#   c3 198.18.3.2 ─ 198.18.3.1 │ (the bed's root
#   c4 198.18.4.2 ─ 198.18.4.1 ┘  namespace)
#
# IPv6 has the same form: 2001:db8:N::1 and ::2, 2001:db8:ffff::80 in wan.
# Clients have a route only to the host, so what reaches 203.0.113.80 came through a tunnel. wan has a route
# only to 198.18.0.1, so what it answers was masqueraded. Enter one by nsenter --net=/run/netns/c1 …

BED_HOST=198.18.0.1
BED_INTERNET=203.0.113.80
BED_INTERNET6=2001:db8:ffff::80
BED_CLIENTS=(c1 c2 c3 c4)

# link NAMESPACE HOST-SIDE-NAME N: creates a veth pair, .1 on the host's side and .2 in the namespace.
link() {
  local namespace=$1 outer=$2 n=$3
  ip netns add "$namespace"
  ip link add "$outer" type veth peer name eth0 netns "$namespace"
  ip addr add "198.18.$n.1/24" dev "$outer"
  ip link set "$outer" up
  ip -n "$namespace" addr add "198.18.$n.2/24" dev eth0
  ip -n "$namespace" link set lo up
  ip -n "$namespace" link set eth0 up
  if [ -e /proc/sys/net/ipv6 ]; then
    ip -6 addr add "2001:db8:$n::1/64" dev "$outer" nodad
    ip -n "$namespace" -6 addr add "2001:db8:$n::2/64" dev eth0 nodad
  fi
}

make_topology() {
  local client n=0
  ip link set lo up
  # Otherwise containers and nft's `ct` would be tested on a host that does not forward.
  echo 1 >/proc/sys/net/ipv4/ip_forward

  link wan wan0 0
  ip -n wan addr add "$BED_INTERNET/32" dev lo
  ip route add default via 198.18.0.2
  if [ -e /proc/sys/net/ipv6 ]; then
    ip -n wan -6 addr add "$BED_INTERNET6/128" dev lo nodad
    ip -6 route add default via 2001:db8:0::2
  fi

  for client in "${BED_CLIENTS[@]}"; do
    n=$((n + 1))
    link "$client" "v$client" "$n"
    # A wire carries packets, not the groups in which Linux passes them on, which would count as one.
    ip -n "$client" link set dev eth0 gso_max_segs 1
    ip -n "$client" route add 198.18.0.0/24 via "198.18.$n.1"
    if [ -e /proc/sys/net/ipv6 ]; then ip -n "$client" -6 route add 2001:db8::/64 via "2001:db8:$n::1"; fi
  done

  export MALIKNODE_BED_HOST=$BED_HOST MALIKNODE_BED_WAN=wan MALIKNODE_BED_CLIENTS="${BED_CLIENTS[*]}"
  export MALIKNODE_BED_INTERNET=$BED_INTERNET MALIKNODE_BED_INTERNET6=$BED_INTERNET6
}
