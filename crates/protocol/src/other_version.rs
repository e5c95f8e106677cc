//! What only another version of MalikNode says, in the form in which this one reads it. A
//! worker may be one version ahead: an event, a message or a state that is not known here
//! must not make what is beside it unreadable. What is no event and no state of any version
//! is still refused.

use crate::{EventKind, EventTenant, MovedTenant};
use domain::{ErrorCode, Message, Part, Problem, Slot, TenantName, TenantStatus, is_code};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use serde_json::Value;
use std::collections::BTreeMap;

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        if let Ok(known) = Self::deserialize(&value) {
            return Ok(known);
        }
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let kind = text(value.pointer("/drift/kind"));
        let code = text(value.get("event")).map(|event| match kind {
            Some(kind) if event == "drift" => format!("drift.{kind}"),
            _ => event,
        });
        let code = code.filter(|code| is_code(code));
        let code = code.ok_or_else(|| D::Error::custom("expected an event"))?;
        let tenant = value.get("tenant");
        let tenant = tenant.and_then(|tenant| EventTenant::deserialize(tenant).ok());
        Ok(Self::OtherVersion { tenant, code })
    }
}

/// Reads events. Those that are none are counted as lost.
pub(crate) fn events<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<EventKind>, D::Error> {
    let values = Vec::<Value>::deserialize(from)?;
    let all = values.len();
    let read = values.iter().map(<EventKind as Deserialize>::deserialize);
    let mut events: Vec<_> = read.filter_map(Result::ok).collect();
    let lost = all.saturating_sub(events.len()) as u64;
    if lost > 0 {
        events.push(EventKind::EventsLost { count: lost });
    }
    Ok(events)
}

/// Reads tenants that have moved away, one by one. Of one that is written otherwise only the
/// name counts: its folder stays, and nothing is sent on. One without a name or a slot that can be
/// read is left out.
pub(crate) fn moved<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<Slot, MovedTenant>, D::Error> {
    #[derive(Deserialize)]
    struct Named {
        name: TenantName,
    }
    let values = BTreeMap::<String, Value>::deserialize(from)?;
    let read = values.into_iter().filter_map(|(slot, value)| {
        let slot = Slot::new(slot.parse().ok()?)?;
        let named = || {
            let Named { name } = Named::deserialize(&value).ok()?;
            Some(MovedTenant {
                name,
                forward: None,
            })
        };
        let moved = MovedTenant::deserialize(&value).ok().or_else(named)?;
        Some((slot, moved))
    });
    Ok(read.collect())
}

/// A tenant's status of any version.
#[derive(Deserialize)]
struct AnyStatus {
    firewall: Value,
    tunnel: Value,
    dns: Value,
}

/// Reads a tenant's status. A part in a state that is not known has a problem that says so.
pub(crate) fn status<'de, D: Deserializer<'de>>(from: D) -> Result<TenantStatus, D::Error> {
    let any = AnyStatus::deserialize(from)?;
    let part = |value: &Value| {
        part(value).ok_or_else(|| D::Error::custom("expected the status of a part"))
    };
    Ok(TenantStatus {
        firewall: part(&any.firewall)?,
        tunnel: part(&any.tunnel)?,
        dns: part(&any.dns)?,
    })
}

fn part(value: &Value) -> Option<Part> {
    if let Ok(known) = Part::deserialize(value) {
        return Some(known);
    }
    let name = match value {
        Value::String(name) => name,
        Value::Object(fields) => fields.keys().next()?,
        _ => return None,
    };
    is_code(name).then(|| {
        Part::Problem(Problem {
            code: ErrorCode::OtherVersion,
            message: Message::OtherVersion { code: name.clone() },
        })
    })
}
