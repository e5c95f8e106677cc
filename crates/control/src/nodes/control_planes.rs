//! What the program asks and says of the control planes.

use super::NodesHandle;
use domain::Message;
use std::{collections::BTreeSet, time::Duration};
use store::ControlPlaneRecord;

/// How long an orderly end waits for the database.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

/// After how long without a sign a control plane does not count, in milliseconds. Each gives
/// one every 5 s.
const MAX_SILENT_MILLIS: u64 = 8_000;

/// Returns why workers do not connect to each of several control planes: one has no address
/// of its own.
pub fn address_problem(all: &[ControlPlaneRecord]) -> Option<Message> {
    let mut known = BTreeSet::new();
    // One that was killed may have started again under another id.
    let is_heard = |one: &&ControlPlaneRecord| one.silent_millis < MAX_SILENT_MILLIS;
    let mut heard = all.iter().filter(is_heard);
    heard.clone().nth(1)?;
    heard.find_map(|one| match &one.address {
        None => Some(Message::ControlPlaneWithoutAddress { id: one.id.clone() }),
        Some(address) => (!known.insert(address)).then(|| Message::ControlPlanesWithOneAddress {
            address: address.clone(),
        }),
    })
}

impl NodesHandle<'_> {
    /// Returns the control planes that use the database, this one included, by id, as they
    /// were heard some seconds ago. It asks nothing of the database.
    pub fn control_planes(self) -> Vec<ControlPlaneRecord> {
        self.0.leases.control_planes()
    }

    /// Ends this control plane's part in order: writes the events that wait, and gives its
    /// work to the others, which would wait for some seconds otherwise. The background jobs
    /// have ended before. It waits 3 s at most; a failure is logged.
    pub async fn leave(self) {
        let leaving = async {
            self.0.events.write_pending().await;
            self.0.leases.leave().await
        };
        match tokio::time::timeout(LEAVE_TIMEOUT, leaving).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(?error, "the other control planes go on with a delay");
            }
            Err(_) => tracing::warn!("the other control planes go on with a delay"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, address: Option<&str>) -> ControlPlaneRecord {
        ControlPlaneRecord {
            id: id.to_owned(),
            address: address.map(str::to_owned),
            has_node: false,
            silent_millis: 0,
        }
    }

    #[test]
    fn each_of_several_needs_its_own_address() {
        let (a, b) = (Some("https://a:8443"), Some("https://b:8443"));
        assert_eq!(address_problem(&[one("1", None)]), None);
        assert_eq!(address_problem(&[one("1", a), one("2", b)]), None);
        let without = Message::ControlPlaneWithoutAddress { id: "2".to_owned() };
        let found = address_problem(&[one("1", a), one("2", None)]);
        assert_eq!(found, Some(without));
        let same = Message::ControlPlanesWithOneAddress {
            address: "https://a:8443".to_owned(),
        };
        assert_eq!(address_problem(&[one("1", a), one("2", a)]), Some(same));
    }
}
