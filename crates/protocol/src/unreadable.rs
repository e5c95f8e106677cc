//! Tenants of a spec that cannot be read: their row in the database is damaged, or a
//! newer control plane wrote something that this program does not know, such as a new
//! filter policy. Unreadable is not absent: what such a tenant has stays.

use crate::{exposed, tenant_spec::TenantSpec};
use domain::{ErrorCode, Message, PrivateKey, Problem, PublicKey, Slot, TenantName};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::{collections::BTreeMap, sync::Arc};

/// What is known of a tenant that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableTenant {
    /// Its name, if that can be read.
    pub name: Option<TenantName>,
    /// Its tunnel's public key, if that can be read. It distinguishes the tenant from
    /// an earlier one of its slot or its name.
    pub owner: Option<PublicKey>,
    /// What cannot be read, for the operator. Holds no secret and no text of the row.
    pub place: String,
}

impl UnreadableTenant {
    /// Returns whether a tenant of the same slot may be this one.
    pub fn may_be(&self, t: &TenantSpec) -> bool {
        match (self.owner, &self.name) {
            (Some(owner), _) => owner == t.private_key.public(),
            (None, Some(name)) => *name == t.name,
            (None, None) => true,
        }
    }

    /// Returns the problem that the node reports.
    pub fn problem(&self, slot: Slot) -> Problem {
        let name = self.name.as_ref().map(TenantName::to_string);
        Problem {
            code: ErrorCode::TenantUnreadable,
            message: Message::TenantDataUnreadable {
                name: name.unwrap_or_else(|| "?".to_owned()),
                slot: slot.get().into(),
                place: self.place.clone(),
            },
        }
    }
}

/// The part of a tenant that says which one it is. What cannot be read of it is `None`,
/// but for the slot.
#[derive(Deserialize)]
struct Identity {
    slot: Slot,
    #[serde(default, deserialize_with = "if_readable")]
    name: Option<TenantName>,
    #[serde(default, deserialize_with = "if_readable")]
    private_key: Option<Exposed>,
}

#[derive(Deserialize)]
struct Exposed(#[serde(with = "exposed")] PrivateKey);

fn if_readable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    from: D,
) -> Result<Option<T>, D::Error> {
    let text = <&RawValue>::deserialize(from)?;
    Ok(serde_json::from_str(text.get()).ok())
}

/// The tenants that can be read and those that cannot, by slot.
type Tenants = (
    BTreeMap<Slot, Arc<TenantSpec>>,
    BTreeMap<Slot, UnreadableTenant>,
);

/// Reads each tenant by itself. `unreadable` are those that the writer could not read.
///
/// # Errors
/// A tenant's slot cannot be read; `None` where a slot is held twice.
pub(crate) fn read_tenants(
    texts: &[&RawValue],
    mut unreadable: BTreeMap<Slot, UnreadableTenant>,
) -> Result<Tenants, Option<serde_json::Error>> {
    let (mut tenants, mut failed) = (BTreeMap::new(), BTreeMap::new());
    for text in texts {
        let (slot, twice) = match serde_json::from_str::<TenantSpec>(text.get()) {
            Ok(t) => (t.slot, tenants.insert(t.slot, Arc::new(t)).is_some()),
            Err(e) => {
                let identity: Identity = serde_json::from_str(text.get()).map_err(Some)?;
                let tenant = UnreadableTenant {
                    name: identity.name,
                    owner: identity.private_key.map(|key| key.0.public()),
                    // serde's message may quote the value that it found there.
                    place: format!("line {}, column {}", e.line(), e.column()),
                };
                let twice = failed.insert(identity.slot, tenant).is_some();
                (identity.slot, twice)
            }
        };
        if twice || tenants.contains_key(&slot) && failed.contains_key(&slot) {
            return Err(None);
        }
    }
    unreadable.extend(failed);
    Ok((tenants, unreadable))
}
