//! The text of a checkpoint: a line for each tenant and, below it, one for each
//! of its devices. A value that may contain spaces is the last of its line.

use domain::{
    DeviceId, DeviceLabel, FilterPolicy, PresharedKey, PrivateKey, PublicKey, Secret, Slot,
    TenantName,
};
use provisioning::spec::{DeviceSpec, NodeSpec, TenantSpec};
use std::sync::Arc;

/// The first line, which names the version of the format.
const FORMAT: &str = "maliknode spec 1";

/// Returns the text of a spec.
pub(super) fn format(spec: &NodeSpec) -> Secret {
    let devices: usize = spec.tenants.values().map(|t| t.devices.len()).sum();
    // The full capacity at once: growing would leave copies of keys in memory.
    let mut text = String::with_capacity(64 + 512 * (spec.tenants.len() + devices));
    text.push_str(&format!("{FORMAT}\n{}\n", spec.generation));
    for t in spec.tenants.values() {
        let state = if t.suspended { "suspended" } else { "active" };
        let head = [
            "tenant ",
            &t.slot.to_string(),
            " ",
            t.name.as_str(),
            " ",
            state,
            " ",
        ];
        head.iter().for_each(|word| text.push_str(word));
        text.push_str(&t.private_key.expose());
        for word in [
            " ",
            &t.dns_password_hash,
            " ",
            t.dns_password.expose(),
            "\n",
        ] {
            text.push_str(word);
        }
        for (id, d) in &t.devices {
            let head = format!("device {} {} {} ", id.0, d.address, d.public_key);
            text.push_str(&head);
            text.push_str(&d.preshared_key.expose());
            let mesh = if d.mesh { "mesh" } else { "alone" };
            let words = [
                " ",
                mesh,
                " ",
                d.policy.as_str(),
                " ",
                &d.client_id,
                " ",
                d.label.as_str(),
            ];
            words.iter().for_each(|word| text.push_str(word));
            text.push('\n');
        }
    }
    text.push_str("end\n");
    Secret::new(text)
}

/// Parses a text; `None` for one that [`format`] would not have written.
pub(super) fn parse(text: &str) -> Option<NodeSpec> {
    let mut lines = text.strip_suffix("end\n")?.lines();
    (lines.next()? == FORMAT).then_some(())?;
    let mut spec = NodeSpec {
        generation: lines.next()?.parse().ok()?,
        ..NodeSpec::default()
    };
    let mut tenant: Option<TenantSpec> = None;
    for line in lines {
        if let Some(line) = line.strip_prefix("tenant ") {
            spec.tenants
                .extend(tenant.take().map(|t| (t.slot, Arc::new(t))));
            tenant = Some(parse_tenant(line)?);
        } else {
            let (id, device) = parse_device(line.strip_prefix("device ")?)?;
            tenant.as_mut()?.devices.insert(id, device);
        }
    }
    spec.tenants.extend(tenant.map(|t| (t.slot, Arc::new(t))));
    Some(spec)
}

fn parse_tenant(line: &str) -> Option<TenantSpec> {
    let mut words = line.splitn(6, ' ');
    Some(TenantSpec {
        slot: Slot::new(words.next()?.parse().ok()?)?,
        name: TenantName::parse(words.next()?).ok()?,
        suspended: match words.next()? {
            "suspended" => true,
            "active" => false,
            _ => return None,
        },
        private_key: PrivateKey::parse(words.next()?).ok()?,
        dns_password_hash: words.next()?.to_owned(),
        dns_password: Secret::new(words.next()?),
        devices: std::collections::BTreeMap::new(),
    })
}

fn parse_device(line: &str) -> Option<(DeviceId, DeviceSpec)> {
    let mut words = line.splitn(8, ' ');
    let id = DeviceId(words.next()?.parse().ok()?);
    let device = DeviceSpec {
        address: words.next()?.parse().ok()?,
        public_key: PublicKey::parse(words.next()?).ok()?,
        preshared_key: PresharedKey::parse(words.next()?).ok()?,
        mesh: match words.next()? {
            "mesh" => true,
            "alone" => false,
            _ => return None,
        },
        policy: words.next()?.parse::<FilterPolicy>().ok()?,
        client_id: words.next()?.to_owned(),
        label: DeviceLabel::parse(words.next()?).ok()?,
    };
    Some((id, device))
}
