# Tunnels, the kernel's and our own. An action stands behind "may not", "could not".

wireguard-not-permitted = MalikNode may not { $action }: it needs root, or the capability CAP_NET_ADMIN.
wireguard-failed = MalikNode could not { $action }: { $reason }.
wireguard-timed-out = MalikNode could not { $action }: the machine did not answer in time.
action-create-interfaces = create network interfaces
action-read-interfaces = read the network interfaces
action-read-counters = read the counters
action-create-interface = create { $interface }
action-change-interface = change { $interface }
action-change-devices = change the devices of { $interface }
action-remove-interface = remove { $interface }
action-bring-up = bring { $interface } up
action-start-helper = start the userspace WireGuard
udp-port-taken = UDP port { $port } of { $interface } is held by another program. `ss -lunp sport = :{ $port }` shows which; stop it, and MalikNode goes on by itself.
interface-foreign = There is an interface { $interface } that is not MalikNode's; it is left as it is. Rename or remove it, and MalikNode goes on by itself.
interface-absent = The interface { $interface } is not there (yet).
kernel-wireguard-missing = The configuration asks for the kernel's WireGuard, and this kernel has none. Try `modprobe wireguard`, or set wireguard to auto.
tun-unusable = MalikNode's own WireGuard needs { $path }, which cannot be opened ({ $reason }). Try `modprobe tun`; a container needs --device { $path }.
wireguard-undetected = There is no WireGuard yet.
helper-not-started = The userspace WireGuard does not start ({ $reason }); { $log } says why.
helper-silent = The userspace WireGuard does not answer.
helper-does-not-stop = The userspace WireGuard does not stop.
helper-not-stopped = The userspace WireGuard cannot be stopped.
helper-other-version = The userspace WireGuard is of another version.
helper-failed = The userspace WireGuard ended or failed during a call.
helper-slow = The userspace WireGuard did not answer in time.
helper-other-answer = The userspace WireGuard gave an answer to another question.
helper-bad-key = The userspace WireGuard sent a malformed key.
helper-key-malformed = A key is malformed.
helper-request-unreadable = The request cannot be read: { $reason }.
wireguard-configured = the configuration asks for the userspace WireGuard
wireguard-in-kernel = the kernel has WireGuard
wireguard-not-in-kernel = this kernel has no WireGuard, so MalikNode's own serves
