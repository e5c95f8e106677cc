//! Makes rows of the database unreadable, and checks that the node takes nothing from
//! their tenants.

use super::{SimState, faults::Fault, rows::LostRow};
use domain::Slot;
use protocol::{NodeSpec, UnreadableTenant};
use std::time::Duration;

impl SimState {
    /// Notes who is suspended: their tunnels may be on their way out from now on.
    fn note_suspended(&mut self) {
        let suspended = self.model.spec.tenants.values().filter(|t| t.suspended);
        let keys = suspended.map(|t| t.private_key.public());
        self.model.rows.once_suspended.extend(keys);
    }

    /// Returns what the database answers.
    pub(super) fn read_rows(&mut self) -> NodeSpec {
        let now = self.now();
        self.note_suspended();
        let tenants = &self.model.spec.tenants;
        self.model.rows.rows.retain(|slot, row| {
            let tenant = tenants.get(slot);
            row.until > now && tenant.is_some_and(|t| t.private_key.public() == row.owner)
        });
        if self.faults.strikes(Fault::RowUnreadable, &mut self.rng) {
            let for_ms = self.rng.below(90_000);
            self.lose_row(now + Duration::from_millis(for_ms));
        }
        let mut spec = self.model.spec.clone();
        for (slot, row) in &self.model.rows.rows {
            spec.tenants.remove(slot);
            spec.unreadable.insert(*slot, row.shown.clone());
        }
        spec
    }

    /// Makes one tenant's row unreadable.
    pub(super) fn lose_row(&mut self, until: Duration) {
        let slots: Vec<_> = self.model.spec.tenants.keys().copied().collect();
        let Some(slot) = self.rng.pick(slots) else {
            return;
        };
        let t = &self.model.spec.tenants[&slot];
        let owner = t.private_key.public();
        let (name, key) = (self.rng.percent(80), self.rng.percent(80));
        let shown = UnreadableTenant {
            name: Some(t.name.clone()).filter(|_| name),
            owner: Some(owner).filter(|_| key),
            place: "a row (simulated)".to_owned(),
        };
        self.record(|| format!("the row of {slot} cannot be read: {shown:?}"));
        let row = LostRow {
            owner,
            until,
            shown,
        };
        self.model.rows.rows.insert(slot, row);
    }

    /// Makes every row readable.
    pub(super) fn repair_rows(&mut self) {
        self.model.rows.rows.clear();
    }

    /// Checks, before an interface is removed by us, that it is not that of a tenant whose row
    /// cannot be read, because unreadable is not absent, nor, on a worker, of one that the
    /// database has: what is late or lost on the link removes nothing.
    pub(super) fn check_interface_removal(&mut self, slot: Slot) {
        let key = self
            .machine
            .interfaces
            .get(&slot)
            .and_then(|i| i.public_key);
        let tenant = self.model.spec.tenants.get(&slot);
        let is_own = tenant.is_some_and(|t| {
            key == Some(t.private_key.public())
                && !self.model.came_back.contains(&t.dns_password_hash)
        });
        let suspended = &self.model.rows.once_suspended;
        let was_suspended = key.is_some_and(|key| suspended.contains(&key));
        let why = match (self.model.rows.contains(slot), self.has_link()) {
            (true, _) => "its tenant's row cannot be read",
            (false, true) => "the database has its tenant",
            (false, false) => return,
        };
        if is_own && !was_suspended && self.violation.is_none() {
            let interface = slot.interface();
            self.violation = Some(format!("{interface} is removed although {why}"));
        }
    }
}
