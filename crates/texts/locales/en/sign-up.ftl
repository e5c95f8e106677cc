# Who may sign up, invitations, reserved names, accounts that sleep.

sign-up-closed = Sign-ups are closed at present. Existing networks are not affected.
invitation-needed = You need an invitation to sign up here. Paste it, or open the link you were given.
invitation-unknown = That invitation is not known here. Copy the whole of it.
invitation-used-up = That invitation was used as often as it may be. Ask for another one.
invitation-expired = That invitation has expired. Ask for another one.
invitation-revoked = That invitation was withdrawn. Ask for another one.
invitation-plan-gone = The plan of that invitation is not offered any more. Ask for another one.
invitation-uses = An invitation can be used 1 to { $most } times.
invitation-lifetime = An invitation is valid for 1 to { $most } hours.
invitation-note = A note has at most { $most } characters, in one line.
invitation-count = Make 1 to { $most } invitations at a time.
reserved-built-in = “{ $name }” is reserved by MalikNode itself and stays so.
reserved-too-many = At most { $most } names can be reserved.
dns-asleep = No device has connected yet, so AdGuard Home is stopped; names are resolved without a filter. It starts when the tenant signs in, adds a device, or a device connects.
network-asleep = { $name } has had no connected device since it signed up and sleeps: its AdGuard Home is stopped.
network-awake = { $name } is used again: its AdGuard Home starts.
