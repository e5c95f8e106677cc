# The event log as the operator reads it.

drift-interface-gone = { $name }'s interface { $interface } was gone; it is made again.
drift-key-changed = { $interface } of { $name } had another key; it gets its own back.
drift-port-changed = { $interface } of { $name } listened on port { $port }; it gets its own back.
drift-interface-down = { $interface } of { $name } was down; it is brought up.
drift-address-changed = { $interface } of { $name } had other addresses or none; it gets its own back.
drift-peers-changed = { $interface } of { $name } had { $unexpected } unexpected peers, and { $missing } devices were missing or changed; that is repaired.
drift-rules-gone = The firewall's table was gone or changed; it is written again.
drift-elements-changed = { $name }'s entries in the firewall were gone or changed; they are written again.
drift-image-gone = The AdGuard Home image was gone; it is fetched.
drift-container-gone = { $name }'s DNS container was gone; it is made again.
drift-container-stopped = { $name }'s DNS container had stopped; it is started.
drift-container-paused = { $name }'s DNS container was paused; it is made again.
drift-conf-changed = { $interface }.conf of { $name } was edited or gone; it is written again.
drift-keys-damaged = The keys in { $name }'s folder were gone or damaged; they are written again.
drift-folder-gone = { $name }'s folder was gone; it is written again.
drift-dns-conf-gone = The configuration of { $name }'s AdGuard Home was gone; its container is made again with a new one.
drift-clients-changed = In { $name }'s AdGuard Home { $missing } devices were missing or changed and { $unexpected } were unexpected; that is repaired.
firewall-part-failed = { $name }'s firewall does not work. { $reason }
firewall-part-back = { $name }'s firewall works again.
tunnel-part-failed = { $name }'s tunnel does not work. { $reason }
tunnel-part-back = { $name }'s tunnel works again.
dns-part-failed = { $name }'s DNS filter does not work. { $reason }
dns-part-back = { $name }'s DNS filter works again.
node-problem-over = Over: { $problem }
events-lost = { $count } more were not stored: there were too many, or the database was away. The server's log has them.
database-restored = The database was restored from an earlier state, and the tunnels follow it: { $tenants } tenants and { $devices } devices work again that had been removed or suspended. Remove again what must not work.
