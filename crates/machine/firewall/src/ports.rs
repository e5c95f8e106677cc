//! The source ports that masquerading may use.

/// The source ports of tenants' connections to the world. The range excludes
/// WireGuard's ports (51800-52800) and the privileged ones, and is more than eight
/// times as large as what one tenant may have open to a destination.
pub(crate) const TENANT_PORTS: (u16, u16) = (10_240, 51_799);

/// The source ports of the containers' own questions, which no tenant's device can
/// use up.
pub(crate) const CONTAINER_PORTS: (u16, u16) = (52_801, 65_535);
