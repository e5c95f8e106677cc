# Workers: how they join, what the operator may do with them, and what is wrong.

node-name-malformed = A node's name has letters, digits, hyphens and dots, as a host name: worker-1.
node-name-taken = Another node is called { $name }. Choose another name: --name.
node-name-wrong = Type { $name } to confirm.
node-host-malformed = The host is a name or an address that devices reach, without a port: fra1.example.org.
node-host-unknown = The server of this network has no address for devices yet. Ask the operator.
node-host-local = The host of this machine is the setting public_host in config.toml.
node-has-tenants = { $tenants ->
    [one] A tenant is on this node, so it cannot be removed. Move it to another node first: maliknode node drain
   *[other] { $tenants } tenants are on this node, so it cannot be removed. Move them to other nodes first: maliknode node drain
}
node-is-local = This machine is the control plane's own node. It can be closed and opened only.
node-is-revoked = This node is revoked. It is open again once its machine has joined again with a new join command for it.
node-not-found = No node is called { $name }: maliknode node list shows all.
node-never-heard = This worker has joined and was not heard of since. On the machine: systemctl start maliknode-worker
node-revoked-serves = This worker is revoked with { $tenants ->
    [one] 1 tenant
   *[other] { $tenants } tenants
} on it, which no change reaches. Let the machine join again with a new join command for it, or switch it off.
node-offline = This machine's node does not run in this control plane, and tenants are on it: start the server without --no-node.
workers-need-postgres = Workers need PostgreSQL: SQLite is a file that one machine alone can use. Set database_url to a postgres:// address first.
workers-no-address = Workers have no address to connect to: set the address at which they reach this control plane in config.toml.
join-token-unknown = This join token is unknown here: it is of another installation, or was removed. Get a new one: maliknode worker token
join-token-used = This join token was used already. Each works once. Get a new one: maliknode worker token
join-token-expired = This join token has expired: each is valid for an hour. Get a new one: maliknode worker token
renewal-other-key = The certificate is renewed with the key it was made with only. Let the machine join again: maliknode worker token
renewal-too-late = The certificate expired { $days } days ago, which is too long for a renewal. Let the machine join again: maliknode worker token
move-same-node = This tenant is on { $name } already.
move-pending = { $name } is being moved already: maliknode node moves
move-unknown = No move of { $name } is under way.
move-nowhere = No other node that is open and heard has room and slot { $slot } free, which the tenant keeps with its port and addresses. It is tried again; open or add a node.
move-slot-taken = Slot { $slot }, which the tenant keeps with its port and addresses, is not free on { $node }. Choose another node.
move-target-closed = { $node } is not open: maliknode node open { $node }
move-target-full = { $node } has no room for another tenant.
move-target-silent = { $node } is not heard, so no tenant is moved there. It is tried again.
move-waits = { $name } is not moved yet. It is noted, and a control plane carries it out: is `maliknode serve` running?
node-not-lost = { $name } is heard, so it is not lost: move its tenants with maliknode node drain { $name }, or revoke it first.
nodes-starting = This server has just started and is not ready for new networks yet. Nothing was made. Try again in { $seconds } seconds.
control-plane-without-address = There are several control planes, and { $id } has no address of its own, so no worker connects to it: set nodes.own_address there.
endpoint-names-off = Endpoints have no names of their own here: devices connect to the host of their node. The setting names.server in config.toml changes that.
endpoint-names-behind = { $pending ->
    [0] The name server takes no changes of endpoints' names. { $reason }
    [one] The name of an endpoint is not up to date at the name server; it is tried again. { $reason }
   *[other] The names of { $pending } endpoints are not up to date at the name server; it is tried again. { $reason }
}
check-name-server = Name server
name-server-ready = { $server } accepts changes of the names in { $domain }
fix-name-server = check names.server, names.zone and names.key in the configuration, and what the server's own log says: maliknode node dns check
name-server-unreachable = { $server } cannot be reached: { $error }
name-server-timed-out = { $server } did not answer within { $seconds } s.
name-server-unusable = The answer of { $server } cannot be used: { $reason }.
name-server-refuses = { $code ->
    [BADKEY] { $server } does not know the key in names.key (BADKEY).
    [BADSIG] { $server } has another secret for the key in names.key, or another algorithm (BADSIG).
    [BADTIME] { $server } and this machine have clocks that are more than five minutes apart (BADTIME).
    [NOTAUTH] { $server } does not serve the zone in names.zone, or is not its primary server (NOTAUTH).
    [NOTZONE] The names are not in the zone of { $server } that names.zone says (NOTZONE).
    [REFUSED] { $server } does not let the key in names.key change these names (REFUSED).
    [NOTIMP] { $server } does not take dynamic updates (NOTIMP).
   *[other] { $server } refuses: { $code }.
}
name-server-record = { $name } cannot stand for that host.
control-planes-with-one-address = Several control planes have the same address, { $address }, so workers connect to one of them only: set nodes.own_address on each to its own.
check-control-planes = Control planes
control-planes-found = { $count ->
    [one] this one alone
   *[other] { $count } use the database, each with an address of its own
}
fix-own-address = set nodes.own_address on each control plane to an address that leads to it alone (docs/NODES.md)
copy-unsupported = One of the two machines runs a version of MalikNode that cannot copy what AdGuard Home has stored. Update it, or move without that: --without-data. Keys, port, addresses, devices and policies stay in any case.
copy-tenant-absent = The machine does not have this tenant, so there is nothing to copy from it. It is tried again.
copy-tenant-present = The machine has this tenant already, so nothing is copied there. It is tried again.
copy-busy = The machine is copying this tenant, or too many others, already. It is tried again.
copy-not-stopped = AdGuard Home could not be stopped in time for the last part of the copy, and goes on where it is. It is tried again; to move without what it has stored: --without-data.
copy-damaged = What arrived of the copy is not whole or not permitted, and was removed. It is tried again; to move without what AdGuard Home has stored: --without-data.
copy-too-large = What AdGuard Home has stored is more than the { $mebibytes } MiB that the new machine gives a tenant, or has room for. Raise limits.disk_hard_mb there or make room, or move without that: --without-data.
copy-too-slow = The copy was not complete after { $minutes } minutes. It is tried again; to move without what AdGuard Home has stored: --without-data.
copy-broken = The connection to one of the two machines broke while the copy was under way. It is tried again; to move without what AdGuard Home has stored: --without-data.
