# AdGuard Home and the block lists.

http-client-failed = The HTTP client cannot be created.
tls-unavailable = TLS cannot be set up for fetching block lists.
adguard-password-refused = AdGuard Home does not take our password. The user in { $path } is corrected, and the container is started again.
adguard-not-yet = AdGuard Home does not answer yet.
adguard-slow = AdGuard Home answers too slowly.
adguard-refused = AdGuard Home refused a request; it will be sent again.
adguard-devices-slow = AdGuard Home takes its devices too slowly; the rest will follow.
list-unreachable = { $list } was not fetched: { $host } does not answer.
list-answered = { $list } was not fetched: { $host } answered { $status }.
list-rejected = { $list } was refused: { $reason }. The last good copy stays in force.
list-not-written = { $list } was not written: is the disk full or read-only?
list-not-copied = { $list } was not copied: { $path } cannot be read.
list-empty = it holds no rule
list-html = it is a web page
list-binary = it is not text
list-long-line = a line in it is longer than 64 KiB
list-no-rules = most of it does not look like rules
list-too-large = it is too large
