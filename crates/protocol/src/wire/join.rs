//! How a worker becomes a node, and how its certificate is renewed.

use crate::exposed;
use domain::{AddressPlan, NodeId, Secret};
use serde::{Deserialize, Serialize};

/// What a worker asks when it joins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The token that `maliknode worker token` printed, without the authority's hash.
    #[serde(with = "exposed")]
    pub token: Secret,
    /// The request for a certificate (PKCS #10, PEM). It proves that the worker has the
    /// private key; the subject that it asks for is ignored.
    pub csr: String,
    /// What the operator calls the machine, as typed; unique in the installation.
    pub name: String,
    /// The host that devices connect to, as typed: a name or an address.
    pub host: String,
    /// The version of the worker's program.
    pub version: String,
}

/// The answer to a worker that has joined.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JoinAnswer {
    pub node: NodeId,
    /// The worker's certificate (PEM).
    pub certificate: String,
    /// The certificate of the installation's authority (PEM).
    pub authority: String,
    /// The address ranges of the installation, which every node uses.
    pub addresses: AddressPlan,
}

/// What a worker asks when half of its certificate's life is over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewRequest {
    /// The request for a certificate, made with the key of the present one.
    pub csr: String,
    /// The version of the worker's program.
    pub version: String,
}

/// The answer to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewAnswer {
    /// The new certificate (PEM).
    pub certificate: String,
}
