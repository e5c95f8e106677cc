# What a tenant reads of a problem, by its code alone: no path, no command, no name of a container.

tenant-suspended = This network is suspended. Ask the operator.
tenant-image-missing = Waiting for the AdGuard Home image; until then your devices use plain DNS.
tenant-docker-unavailable = Docker does not answer. The server keeps trying.
tenant-firewall-unavailable = The firewall cannot be used. The server keeps trying.
tenant-shaping-unavailable = The speed of your network cannot be set. The server keeps trying.
tenant-wireguard-unavailable = WireGuard cannot be used. The server keeps trying.
tenant-port-taken = Another program uses the port of your tunnel. The server keeps trying.
tenant-name-foreign = Something else on the server has a name that your network needs. The operator can remove or rename it.
tenant-dns-unavailable = Your DNS filter does not answer. The server keeps trying.
tenant-disk-low = The server's disk is nearly full, so your DNS filter is stopped for now, and names are resolved without a filter. It starts again by itself once there is room.
tenant-disk-unavailable = The disk of the server is full or cannot be written. The server keeps trying.
tenant-database-unavailable = The database does not answer. The server keeps trying.
tenant-bad-configuration = The server is not set up correctly. Ask the operator.
# Every other code.
tenant-other = Something went wrong on the server. It is tried again.
