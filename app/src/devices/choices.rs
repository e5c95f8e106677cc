//! The choices of a device in words: what it sends through its tunnel, and what its
//! DNS filter blocks.

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

/// A choice of a menu.
pub trait Choice {
    /// Returns the text of the menu entry.
    fn title(self) -> &'static str;

    /// Returns an explanation of the choice.
    fn meaning(self) -> &'static str;
}

impl Choice for Routing {
    fn title(self) -> &'static str {
        match self {
            Self::Everything => "Everything",
            Self::Internet => "Everything but the home network",
            Self::Network => "Only this network",
            Self::Dns => "Only DNS",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Everything => "All traffic goes through your tunnel.",
            Self::Internet => {
                "The internet and your other devices; printers and shares at home stay in reach."
            }
            Self::Network => "Your other devices and your DNS; the rest takes the usual way.",
            Self::Dns => "Ads are blocked; all other traffic takes the usual way.",
        }
    }
}

impl Choice for FilterPolicy {
    fn title(self) -> &'static str {
        match self {
            Self::Standard => "Standard",
            Self::Strict => "Strict",
            Self::Family => "Family",
            Self::Off => "Off",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            Self::Standard => "Blocks ads and trackers.",
            Self::Strict => {
                "Blocks ads, trackers, and sites known for malware or phishing; other resolvers are locked out."
            }
            Self::Family => "Strict, and blocks adult sites; search is set to safe.",
            Self::Off => "Blocks nothing.",
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
