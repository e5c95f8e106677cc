//! The wire between a control plane and a worker: a machine that holds tunnels and
//! DNS filters and gets its spec from elsewhere.
//!
//! A worker dials the control plane by TLS with a certificate of its own, so it needs
//! no open port. It uses two kinds of connections, told apart by ALPN (RFC 7301):
//! - [`REQUESTS`]: HTTP/1.1, the worker is the client. It joins, renews its
//!   certificate, and asks for its spec by long polling.
//! - [`CALLS`]: HTTP/2 with the roles swapped, the control plane is the client. It
//!   reads the worker's state as a stream, its counters, and connects to AdGuard Homes.
//!
//! A worker asks one control plane at a time, and has a connection for calls to each of
//! those that an answer lists ([`CONTROL_PLANES`]). A control plane that has made a change
//! and does not have the worker's question says so on it ([`NUDGE`]).
//!
//! Numbers that count are totals, so that an answer may come twice. Times are durations,
//! because the clocks of two machines differ. Unknown fields are ignored, and a field
//! that is added has a default: a worker may be one version behind or ahead. A code that
//! is unknown, of an error, a message, an event or the state of a tenant's part, is read as
//! `OtherVersion`; an event that cannot be read at all counts as lost.

mod control_planes;
mod fingerprint;
mod join;
mod received;
mod spec_update;
mod state;

pub use control_planes::{ControlPlaneList, MAX_CONTROL_PLANES};
pub use fingerprint::{SpecDigest, SpecFingerprints};
pub use join::{JoinAnswer, JoinRequest, RenewAnswer, RenewRequest};
pub use received::ReceivedSpec;
pub use spec_update::{SpecQuery, SpecUpdate, SpecUpdateError};
pub use state::{NodeUpdate, Raised, StateError};

use std::time::Duration;

/// The ALPN of a connection on which the worker asks.
pub const REQUESTS: &[u8] = b"maliknode-requests/1";
/// The ALPN of a connection on which the control plane asks.
pub const CALLS: &[u8] = b"maliknode-calls/1";

// An answer that is no success has a `Problem` as JSON.
/// POST [`JoinRequest`] as JSON -> [`JoinAnswer`]. Without a client certificate.
pub const JOIN: &str = "/node/v1/join";
/// POST [`RenewRequest`] as JSON -> [`RenewAnswer`].
pub const RENEW: &str = "/node/v1/renew";
/// A header of requests for a spec and of answers to [`PRESENCE`]: what the worker's process calls itself, at random. A
/// second process with the same certificate is found by it.
pub const INSTANCE: &str = "maliknode-instance";
/// GET with a [`SpecQuery`] -> 200 and a [`SpecUpdate`], or 204 where nothing has changed.
pub const SPEC: &str = "/node/v1/spec";
/// A header of answers to [`SPEC`]: the addresses of all control planes, as a
/// [`ControlPlaneList`]. It is absent where they are not known, and ignored by a worker of
/// the version before.
pub const CONTROL_PLANES: &str = "maliknode-control-planes";
/// GET -> 204 if the control plane admits the worker. A control plane of the version before
/// answers 404.
pub const ADMITTED: &str = "/node/v1/admitted";

/// GET -> [`NodeUpdate`]s, a line each, until one side closes. The first is whole.
pub const STATE: &str = "/v1/state";
/// The query of a [`STATE`] whose reader understands [`NodeUpdate::raised`]. A worker of the
/// version before ignores it, and names every tenant.
pub const RAISED: &str = "raised";
/// GET -> `Vec<PeerStatistics>` as JSON with the header [`READING`], or 503 and a `Problem`.
pub const STATISTICS: &str = "/v1/statistics";
/// A header of an answer with counters: the [`ReadingOrder`](crate::ReadingOrder) as text. A
/// worker of the version before does not send it, and a control plane of that version does
/// not read it.
pub const READING: &str = "maliknode-reading";
/// A header of an answer with [`STATISTICS`] that was asked for with `?since=`, an earlier
/// reading's order with a dot for the space: peers that have not changed since then are left
/// out. It has the order as text. A worker of the version before answers with all, without it.
pub const SINCE: &str = "maliknode-since";
/// GET -> `Vec<ResourceUsage>` as JSON, or 503 and a `Problem`.
pub const RESOURCES: &str = "/v1/resources";
/// GET -> 204: the worker asks for its spec at once, whichever control plane has its
/// question. A worker of the version before answers 404, and asks within 7 s.
pub const NUDGE: &str = "/v1/nudge";
/// GET -> 204 with the header [`INSTANCE`]. Any other answer, as that of a worker of the
/// version before, says only that the process is there.
pub const PRESENCE: &str = "/v1/presence";
/// A header of an answer with [`STATISTICS`]: the milliseconds since 1970 by the worker's
/// clock, by which the handshakes in it are corrected.
pub const CLOCK: &str = "maliknode-clock";
/// GET with `slot` and `name` -> `QueryCounts` as JSON, or 503 and a `Problem`.
pub const DNS_COUNTS: &str = "/v1/dns-counts";
/// GET with `slot`, `name`, `copy` and `last` -> the archive of a tenant's folder. POST with
/// the same, the header [`OWNER`] and an archive -> [`FolderReceipt`](crate::FolderReceipt) as
/// JSON. DELETE with `slot` and `name` -> 204. Each may answer 503 and a `Problem`. A worker
/// of the version before answers 404 or 405.
pub const FOLDER: &str = "/v1/folder";
/// A header of a POST of [`FOLDER`]: the public key of the tenant that it is for.
pub const OWNER: &str = "maliknode-owner";
// CONNECT (RFC 9113, section 8.5) to the authority `<slot>.<name>` -> a connection to
// that tenant's AdGuard Home, or 503 and a `Problem`.

/// How long the next piece of a folder's archive may take, also where AdGuard Home is stopped
/// before the first.
pub const FOLDER_SILENCE: Duration = Duration::from_secs(30);

/// How long a query for the spec waits for a change.
pub const POLL_TIME: Duration = Duration::from_secs(25);
/// How often a stream of state carries at least an empty line, so that a connection
/// that leads nowhere is noticed.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// How long without a line before the other side counts as lost.
pub const SILENCE: Duration = Duration::from_secs(16);

/// The longest request of a worker, in bytes.
pub const MAX_REQUEST_BYTES: usize = 64 << 10;
/// The longest spec update, in bytes. 1,000 tenants with 50 devices each take 17 MB.
pub const MAX_SPEC_BYTES: usize = 128 << 20;
/// The longest line of state, in bytes. 1,000 tenants take about 300 kB.
pub const MAX_LINE_BYTES: usize = 4 << 20;
/// The longest answer to a call, in bytes. 50,000 peers take 9 MB.
pub const MAX_ANSWER_BYTES: usize = 32 << 20;
