# nftables and iptables.

program-missing = { $program } is not installed: apt-get install { $package }
program-not-run = { $program } could not be run
program-timed-out = { $program } did not end within { $seconds } s; it is tried again
firewall-not-permitted = MalikNode may not change the firewall: run it as root or with CAP_NET_ADMIN
firewall-contended = another program changed MalikNode's firewall table; it is read again and fixed
firewall-unsupported = this kernel lacks nf_tables or a part of it: a kernel from 5.10 on with nf_tables is needed
firewall-rules-refused = { $program } refused MalikNode's firewall rules
firewall-listing-unreadable = the output of nft is not its JSON format
forwarding-off = IPv4 forwarding could not be turned on: run MalikNode as root, or set net.ipv4.ip_forward = 1
connections-not-permitted = MalikNode may not read the kernel's table of connections: run it as root or with CAP_NET_ADMIN
connections-unsupported = this kernel's table of connections cannot be read, so a deleted device's connections end only by their timeouts: modprobe nf_conntrack_netlink
connections-unreadable = the kernel's table of connections could not be read; it is tried again
