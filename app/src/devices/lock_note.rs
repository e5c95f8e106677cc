//! What a device's DNS policy locks out, in words.

use domain::{FilterPolicy, Routing};

/// Returns what a device's policy locks out, and what can still get past it.
pub fn lock_note(policy: FilterPolicy, routing: Routing) -> &'static str {
    if !policy.is_lock() {
        return "No lock: a program on the device can ask another resolver.";
    }
    match routing {
        Routing::Everything => {
            "Locked: plain DNS to any other resolver is answered by your filter, and DNS over TLS, \
             over QUIC and to known resolvers over HTTPS is refused. What can still get past: a VPN \
             on the device, and a resolver that is on no list."
        }
        Routing::Internet => {
            "Locked for what goes through the tunnel. What can still get past: a resolver in the \
             home network, a VPN on the device, and a resolver that is on no list."
        }
        Routing::Network | Routing::Dns => {
            "No lock with this routing: what the device asks another resolver does not go through \
             the tunnel. Choose \u{201c}Everything\u{201d} to lock it."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_claimed_only_where_there_is_one() {
        for policy in FilterPolicy::ALL {
            for routing in Routing::ALL {
                let is_through = matches!(routing, Routing::Everything | Routing::Internet);
                let is_lock = policy.is_lock() && is_through;
                let note = lock_note(policy, routing);
                assert_eq!(note.starts_with("Locked"), is_lock, "{policy} {routing:?}");
                assert_eq!(note.contains("still get past"), is_lock);
            }
        }
    }
}
