# What `maliknode doctor` finds of firewalls, links, engines, endpoints and proxies.

check-host-firewall = Host's firewall
host-firewall-open = lets UDP 51800-52800 in; what a provider filters before it (security groups, a router) cannot be seen from here
host-firewall-shut = { $by } drops what devices send to UDP { $port } (slot { $slot }), in { $place }: no tunnel can begin
fix-host-firewall = { $command }
check-mtu = Packet size
mtu-fits = the link to the internet carries { $uplink } bytes, tunnels { $tunnel }
uplink-absent = there is no route to the internet
uplink-small = the link to the internet carries { $uplink } bytes; a tunnel needs 1360, so packets are sent in pieces, which some routers drop
fix-uplink-small = choose "small packets" for devices that stall, and raise the MTU of the link if its provider allows it
tunnels-larger = a tunnel sends packets of { $largest } bytes, and only { $tunnel } fit into the link to the internet ({ $uplink })
fix-tunnels-larger = the server sets it at its next start
check-ipv6 = IPv6
ipv6-off = is off on this machine: what devices send by IPv6 is refused at once, and they use IPv4
ipv6-local = has no way to the internet: what devices send by IPv6 is refused at once, and they use IPv4
ipv6-not-forwarded = reaches the internet and is not forwarded: what devices send by IPv6 is refused at once, and they use IPv4
ipv6-forwarded = reaches the internet and is forwarded
ipv6-route-ends = the way to the internet was announced by a router; announcements no longer count once the machine forwards, so it ends within minutes
check-endpoint = Endpoint
endpoint-own = devices connect to { $host } ({ $addresses }), which this machine has
endpoint-elsewhere = devices connect to { $host }, which is { $address }, and this machine does not have that address: right where a NAT passes UDP 51800-52800 on to it, else no tunnel can begin
fix-endpoint-elsewhere = let the NAT pass UDP 51800-52800 on to this machine, or set public_host in config.toml to its own address
endpoint-cdn = devices connect to { $host }, which is { $address }, an address of a CDN: it passes web pages on and no UDP, so no tunnel can begin
fix-endpoint-cdn = set public_host in config.toml to a name that the CDN does not proxy ("DNS only"), or to this machine's address
endpoint-loopback = devices connect to { $host }, which is { $address } here: no other machine reaches that
fix-endpoint = set public_host in config.toml to this machine's address or to a name of it
endpoint-unresolved = devices connect to { $host }, and that name has no address
check-docker-kind = Docker's kind
docker-suits = runs as root, limits memory, and lets our rules decide
docker-rootless = Docker runs without root's rights, in a network of its own: tunnels cannot reach the DNS filters
fix-docker-rootless = install Docker for the whole machine (apt-get install -y docker.io), and name its socket in docker_host
docker-remaps-users = Docker gives containers other users (userns-remap): AdGuard Home cannot write its folder
fix-docker-remaps-users = remove userns-remap from /etc/docker/daemon.json; systemctl restart docker
docker-snap = Docker is a snap ({ $path }): it may not read folders outside its own, so DNS filters do not start
docker-memory-unlimited = the kernel limits no container's memory, so one tenant's DNS filter can take all of it
fix-docker-memory = add cgroup_enable=memory to the kernel's command line (on a Raspberry Pi in /boot/firmware/cmdline.txt), and restart the machine
docker-nftables = Docker keeps its rules in nftables and has no DOCKER-USER: it drops what tunnels send to the DNS filters
fix-docker-nftables = "bridge-accept-fwmark": "{ $mark }/{ $mark }" in /etc/docker/daemon.json lets it pass, or "firewall-backend": "iptables"; then systemctl restart docker
check-handshakes = Devices
handshakes-none = no device has waited for its first connection
handshakes-seen = { $devices ->
    [one] one device has
   *[other] { $devices } devices have
} connected
handshakes-never = { $devices ->
    [one] a device was
   *[other] { $devices } devices were
} added more than 15 minutes ago, and none has ever connected: most often a firewall shuts UDP 51800-52800, or the endpoint is not this machine
handshakes-missing = { $devices ->
    [one] one device was added more than 15 minutes ago and has never connected
   *[other] { $devices } devices were added more than 15 minutes ago and have never connected
}, first { $first }; others have, so the cause is most often on the device's side
fix-handshakes-never = see Endpoint and Host's firewall above, and the provider's own firewall; from another machine: nc -u -z HOST 51821 shows nothing where it is shut
fix-handshakes-missing = the network where the device is may block UDP; try another one, or scan its QR code again
