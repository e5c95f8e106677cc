//! What a node knows of the tenants that left it for another node.

use domain::TenantName;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;

/// A tenant that another node holds now. The node keeps its folder and nothing else of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedTenant {
    /// The tenant, which determines the folder.
    pub name: TenantName,
    /// Where the packets go that arrive at the slot's port; `None` to nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
}

/// A node that packets are sent on to, to the same port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward {
    /// Its address.
    pub to: Ipv4Addr,
}
