# Settings that cannot be used. The text before the colon is the setting.

addresses-tunnels-small = addresses.tunnels: { $range } is too small, a /14 holds the 1,000 slots
addresses-containers-small = addresses.containers: { $range } is too small, a /21 holds the 1,000 containers
addresses-overlap = addresses: { $tunnels } and { $containers } overlap
bridge-name = bridge: an interface name is 1 to 15 letters, digits, dots, hyphens or underscores
firewall-limit = limits.{ $name }: it must be between { $least } and { $most }
database-url = database_url: write sqlite:///path/to/database.sqlite or postgres://user:password@host/database.
