//! The choices of the interface, and the core's.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Defines a choice with the core's type beside it.
macro_rules! choice {
    ($(#[$doc:meta])* $name:ident = $of:ty { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl From<$of> for $name {
            fn from(value: $of) -> Self {
                match value { $(<$of>::$variant => Self::$variant,)+ }
            }
        }

        impl From<$name> for $of {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant,)+ }
            }
        }
    };
}

choice! {
    /// What the DNS filter blocks for a device.
    Policy = domain::FilterPolicy { Standard, Strict, Family, Off }
}

choice! {
    /// Which traffic a device sends through the tunnel: all of it (`everything`), all but that
    /// to private and local addresses (`internet`), that to the tenant's own network (`network`),
    /// or DNS queries alone (`dns`).
    Routing = domain::Routing { Everything, Internet, Network, Dns }
}

choice! {
    /// What an operator may do: `read_only` reads everything, `support` also acts on tenants,
    /// `owner` does everything.
    Role = domain::OperatorRole { ReadOnly, Support, Owner }
}

choice! {
    /// What a token may do: `read` changes nothing and reads no secrets.
    Access = domain::Access { Read, Write }
}

choice! {
    /// What happens once the data of a month are used up.
    AtLimit = domain::AtLimit { Slow, Stop }
}

choice! {
    /// How the data used compare with the plan, as it is in force.
    QuotaState = domain::QuotaState { Open, Warned, Slowed, Stopped }
}

choice! {
    /// The kind of an event.
    Category = domain::view::EventCategory { Drift, Failed, Recovered, Limit, Note }
}

choice! {
    /// The time span of a graph.
    Span = domain::Span { Hour, Day, Week, Month, Year }
}

choice! {
    /// Why a tenant is moved: by itself (`move`), because its node is drained, or because its
    /// node is given up.
    MoveReason = domain::MoveReason { Move, Drain, Lose }
}

choice! {
    /// Who may sign up: every visitor (`open`), those with an invitation (`invite`), or none
    /// (`closed`).
    SignUpMode = domain::SignUpMode { Open, Invite, Closed }
}

choice! {
    /// Whether an invitation can be used.
    InvitationState = domain::InvitationState {
        Open,
        UsedUp,
        Expired,
        Revoked,
        /// Its plan was deleted.
        PlanGone,
    }
}

choice! {
    /// Whether a node gets new tenants (`open`), serves those it has (`closed`), or is refused
    /// (`revoked`).
    Standing = domain::NodeStanding { Open, Closed, Revoked }
}
