# Speed limits by traffic control (tc). Speeds are in bits per second.

speed-out-of-range = A speed of { $speed } bit/s cannot be set: the lowest is { $lowest }, the highest { $highest }. Change it in the plan.
shaping-not-permitted = MalikNode may not limit speeds: run it as root or with CAP_NET_ADMIN
shaping-unsupported = this kernel lacks a part of traffic control: the modules sch_tbf, sch_ingress, cls_u32, act_mirred and ifb are needed
shaping-interface-gone = the interface { $interface }, whose speed is limited, does not exist; it is tried again
shaping-contended = another program changed the speed limits or removed an interface; they are read again and fixed
shaping-refused = { $program } refused MalikNode's speed limits
shaping-link-failed = the interface { $interface }, which queues what devices send, could not be made or changed: { $reason }
shaping-listing-unreadable = the output of tc is not its JSON format
