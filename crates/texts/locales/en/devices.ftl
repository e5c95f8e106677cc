# Devices, their labels and choices.

label-too-long = That label is too long: 64 characters at most.
label-control = A label cannot hold line breaks or control characters.
label-empty = Give the device a label, for example “My phone”.
label-invisible = A label cannot hold invisible characters.
label-taken = You already have a device with that label. Choose another one.
routing-unknown = Choose everything, network or dns.
policy-unknown = Choose standard, strict, family or off.
switch-unknown = Choose on or off.
device-key-taken = That key is already in use. Make a new one.
device-not-saved = That could not be saved just now. Try again.
device-limit = Your plan allows { $allowed ->
        [one] 1 device
       *[other] { $allowed } devices
    }. Delete one you no longer use.
device-key-unknown = This device's key was created in the browser; this server never saw it.
device-not-cut-off = “{ $label }” is deleted. The server has not cut it off yet and keeps trying.
