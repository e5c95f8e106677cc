//! Tenants and devices as rows of the database, without the hashes of
//! passwords, whose cost does not depend on the size.

use crate::measure::Outcome;
use domain::{
    AddressPlan, Clock, DeviceLabel, FilterPolicy, PresharedKey, Routing, Secret, SystemClock,
    TenantName, TenantScope,
};

use std::{collections::BTreeSet, ops::RangeInclusive};
use store::{NewDevice, NewTenant, Store};
use testkit::samples::key;

/// The plan that allows the most devices.
const PLAN: &str = "studio";

/// Creates these tenants with that many devices each, every second one in the
/// mesh.
pub async fn make(store: &Store, tenants: RangeInclusive<u16>, devices: u8) -> Outcome<()> {
    let addresses = AddressPlan::default();
    for n in tenants {
        let name = TenantName::parse(&format!("tenant{n}"))?;
        let new = NewTenant {
            actor: None,
            name: name.clone(),
            password_hash: Secret::new("$argon2id$nobody"),
            plan: PLAN.to_owned(),
            private_key: key(n, 0),
            dns_password: Secret::new(format!("dns-password-{n}")),
            time_zone: "UTC".to_owned(),
            invitation: None,
            mail: None,
            dns_password_hash: "$2b$04$nobody".to_owned(),
            now: SystemClock.now(),
        };
        let tenant = store
            .create_tenant(new, &addresses, &BTreeSet::new())
            .await?;
        let scope = TenantScope::issue(tenant.value.id, name, "scale");
        for d in 0..devices {
            let private_key = key(n, d + 1);
            let new = NewDevice {
                label: DeviceLabel::parse(&format!("device {d}"))?,
                routing: Routing::Everything,
                options: domain::TunnelOptions::default(),
                policy: FilterPolicy::Standard,
                mesh: d.is_multiple_of(2),
                public_key: private_key.public(),
                private_key: Some(private_key),
                preshared_key: PresharedKey::from_random([d + 1; 32]),
                client_id: format!("mn-{n}-{d}"),
                now: SystemClock.now(),
            };
            store.add_device(&scope, new, &addresses).await?;
        }
    }
    Ok(())
}
