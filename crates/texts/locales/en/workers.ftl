# Machines of their own that hold tunnels, and how they join.

worker-silent = Nothing has been heard of this machine for { $seconds } s. Its tunnels go on as they are; changes reach it when it is back. Look at its power, its network and its service: systemctl status maliknode-worker
worker-unreachable = This machine does not answer. It is tried again.
worker-copied = A second machine with this node's certificate connected from { $address } and was refused: its disk is a copy. Stop the copy, and let it join with a token of its own.
worker-foreign-tenant = The machine reported an event of { $name }, a tenant that another machine holds. It was refused.
other-version = A machine with another version of MalikNode reports “{ $code }”, for which this version has no words. Bring all machines to the same version.
worker-certificate-missing = This request needs the certificate of a machine that has joined.
worker-certificate-expired = The machine's certificate expired { $days } days ago; it has to be renewed first.
worker-certificate-refused = The machine's certificate is no longer valid here: it was revoked, replaced, or belongs to a copy. Let the machine join again: maliknode worker token
worker-request-damaged = The request is damaged, too long, or of another version.
worker-answer-damaged = The machine's answer is damaged, too long, or of another version.
authority-other = The control plane at this address does not belong to the installation that the token is from. Check the address, and make a new token there: maliknode worker token
certificate-foreign = The other side's certificate is not one of this installation for this use. If the installation is new or was restored, let the machine join again: maliknode worker token
certificate-unreadable = The certificate cannot be read: it is damaged or of another kind.
certificate-not-made = The certificate could not be made; the log says why.
certificate-request-invalid = The machine's request for a certificate is damaged, or its key did not sign it.
node-key-unreadable = The machine's private key cannot be read. Let the machine join again: maliknode worker token
node-key-other = The machine's certificate does not belong to its private key. Let the machine join again: maliknode worker token
control-plane-address = { $address } is no address of a control plane; write it with its port, such as https://203.0.113.7:8443
control-plane-unreachable = { $address } cannot be connected to: { $reason }. Check the address, that "listen" in [nodes] of the control plane's configuration is set, and that no firewall is in between
control-plane-silent = { $address } does not answer; check the address, and that no firewall is in between
control-plane-protocol = what answers at { $address } is no port for workers; use the port of "listen" in [nodes] of the control plane's configuration, not that of its pages
control-plane-broken = { $address } has ended the connection; try again, and see the control plane's log
control-plane-answer = the answer of { $address } cannot be used; check that both machines have the same version of MalikNode
control-plane-not-heard = no control plane has answered since the start
join-token-malformed = that is no token of `maliknode worker token`: it begins with mn1_ and has to be copied whole
worker-already-joined = this machine has joined already, as node { $node }. To leave: remove the node on the control plane, stop `maliknode worker run`, remove { $path }, and join again
worker-not-joined = this machine has not joined an installation: make a token on the control plane with `maliknode worker token`, and use it here with `maliknode worker join` ({ $path } does not exist)
worker-root-serves = { $path } exists, so this machine is a control plane with a node of its own. A worker would remove its tenants: choose another machine, or another --root and no server beside it
worker-does-not-serve = { $path } exists, so this machine is a worker of another control plane: start it with `maliknode worker run`, or remove the folder to leave
local-node-is-worker = the node that the first control plane had of its own is a worker now: start this control plane with --no-node
control-plane-has-node = the control plane at { $address } has a node of its own, which no other control plane can see. Several control planes have none: start that one with --no-node, and make its machine a worker (docs/NODES.md)
control-planes-beside = the control plane at { $address } uses the same database. Beside it there can be no node of this control plane's own: start this one with --no-node, and make its machine a worker (docs/NODES.md)
worker-needs-root = joining writes the worker's key and sets the machine up: run it as root
worker-identity-damaged = { $path } cannot be used: { $reason }. Remove the node on the control plane and this folder, and join again
check-link = Control plane
link-works = { $addresses }: answers and knows this worker
link-partly = of { $addresses } not all answer: { $reason }
fix-link = tunnels and DNS filters go on meanwhile; changes wait until a control plane answers
check-certificate = Certificate
certificate-valid = of node { $node }; valid for { $days ->
    [one] one more day
   *[other] { $days } more days
}, renewed by itself
certificate-due = of node { $node }; it should have been renewed, and is valid for { $days ->
    [one] one more day
   *[other] { $days } more days
}
certificate-expired = of node { $node }; it expired { $days ->
    [one] a day
   *[other] { $days } days
} ago. What runs goes on, changes wait
fix-certificate = it is renewed as soon as a control plane answers, for 90 days after it expired: check "Control plane"; later remove the node and join again
check-clocks = Clocks
clocks-agree = those of this machine and of the control plane differ by { $seconds } s at most
clocks-differ = those of this machine and of the control plane differ by { $seconds } s
