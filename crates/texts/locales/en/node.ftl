# The node and its tenants' parts.

network-suspended = This network is suspended. Ask the operator.
dns-restarting = The DNS filter keeps stopping and is being started again.
dns-silent = The DNS filter runs but does not answer. It is being watched.
dns-absent = The DNS filter does not exist yet.
dns-starting = Your DNS filter is starting.
dns-unanswered = Your DNS filter does not answer. It is tried again.
dns-not-ready = { $problem }
machine-call-panicked = A part of MalikNode failed unexpectedly; it is tried again.
machine-call-timed-out = The machine did not answer within { $seconds } s; it is tried again.
tenant-changed = The tenant has changed meanwhile.
tenant-left = The tenant left meanwhile.
not-read-yet = It is not read yet.
spec-older = The database answers with an earlier state (change { $found } after { $current }); it is asked again.
node-unknown = This node does not report to this server.
checkpoint-damaged = The copy of the last spec, { $path }, is damaged or of another key file: it is not used.
checkpoint-newer = The copy of the last spec, { $path }, was written by a newer version: it is not used.
checkpoint-unreadable = The copy of the last spec, { $path }, cannot be read.
checkpoint-not-sealed = The last spec could not be sealed.
checkpoint-read-failed = Reading the last spec failed.
checkpoint-absent = No spec is stored on this disk.
memory-unmeasured = What tenants cost cannot be measured, so free slots alone decide on sign-ups. { $reason }
memory-read-timed-out = Reading the memory took longer than { $seconds } s.
node-full-slots = Sign-ups are refused, because this node is full: every slot is held.
node-full-limit = Sign-ups are refused, because this node is full: max_tenants is reached.
node-full-memory = Sign-ups are refused, because this node is full: its memory is taken; add memory, or set a smaller memory_reserve_mb.
