//! Performs an operation on the real `control`.

use super::operations::{
    Answer, DeviceRef, DeviceSnapshot, Operation, Payload, Request, TenantRef,
};
use control::{Audience, Control, DeviceChange, NewDevice, PresentedTicket, SignUp};
use domain::{
    ErrorCode, Failure, Message, OwnerScope, PublicKey, Routing, Secret, Slot, TenantHolderScope,
    TenantScope, view::DeviceView,
};
use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

fn snapshot(d: &DeviceView) -> Option<DeviceSnapshot> {
    Some(DeviceSnapshot {
        device: DeviceRef {
            key: PublicKey::parse(&d.public_key).ok()?,
            id: d.id,
        },
        label: d.label.clone(),
        address: d.address.clone(),
        policy: d.policy,
        mesh: d.mesh,
    })
}

fn payload(d: &DeviceView, in_force: bool) -> Payload {
    Payload::Device(
        snapshot(d).expect("a public key that can be read"),
        in_force,
    )
}

/// Performs the operation and returns its answer.
pub async fn perform(control: &Control, operation: &Operation) -> Answer {
    match send(control, operation).await {
        Ok(payload) => Answer::Ok(payload),
        Err(f) if matches!(f.message, Message::CreatedWithoutTicket { .. }) => {
            Answer::Ok(Payload::AccountWithoutTicket)
        }
        Err(f) => Answer::Refused(f.code),
    }
}

async fn send(control: &Control, operation: &Operation) -> Result<Payload, Failure> {
    let [_, a, b, c] = (operation.number as u32).to_be_bytes();
    let from = IpAddr::V4(Ipv4Addr::new(100, a, b, c));
    let actor = operation.actor();
    let scope = |tenant: &TenantRef| TenantScope::issue(tenant.id, tenant.name.clone(), &actor);
    let operator = OwnerScope::issue(format!("op{}", operation.number));
    match &operation.request {
        Request::SignUp {
            name,
            password,
            plan,
            ..
        } => {
            let form = SignUp {
                name: name.clone(),
                password: Secret::new(password.as_str()),
                plan: (*plan).to_owned(),
                invitation: None,
                mail: String::new(),
            };
            let ticket = control.tenants().sign_up(form, from).await?;
            Ok(Payload::Ticket(ticket.ticket.expose().to_owned()))
        }
        Request::SignIn { name, password, .. } => {
            let password = Secret::new(password.as_str());
            let step = control.auth().sign_in(name, &password, from).await?;
            let ticket = step.done().expect("there is no second factor");
            Ok(Payload::Ticket(ticket.ticket.expose().to_owned()))
        }
        Request::Redeem { ticket, host } => {
            let ticket = PresentedTicket::Cookie(ticket);
            let auth = control.auth();
            let redeemed = auth.redeem(Audience::Dashboard, host, ticket, from);
            Ok(Payload::SignedIn(redeemed.await?.scope.tenant()))
        }
        Request::AddDevice {
            tenant,
            label,
            policy,
            mesh,
        } => {
            let new = NewDevice {
                label: label.clone(),
                routing: Routing::Everything,
                options: domain::TunnelOptions::default(),
                policy: *policy,
                mesh: *mesh,
            };
            let added = control.devices().add(&scope(tenant), new).await?;
            Ok(payload(&added, false))
        }
        Request::ChangeDevice {
            tenant,
            device,
            label,
            policy,
            mesh,
        } => {
            let change = DeviceChange {
                label: label.clone(),
                policy: *policy,
                mesh: *mesh,
                ..DeviceChange::default()
            };
            let changed = control
                .devices()
                .change(&scope(tenant), device.id, change)
                .await?;
            Ok(payload(&changed.device, changed.in_force))
        }
        Request::DeleteDevice { tenant, device } => {
            match control.devices().delete(&scope(tenant), device.id).await {
                Err(f) if f.code == ErrorCode::NotYetInForce => Ok(Payload::Done(false)),
                done => done.map(|()| Payload::Done(true)),
            }
        }
        Request::ViewDevice { tenant, device } => {
            let found = control.devices().get(&scope(tenant), device.id).await?;
            Ok(payload(&found, false))
        }
        Request::DownloadConfig { tenant, device } => {
            // As at the command line: whether a person is present is another test's question.
            let user = format!("u{}", operation.number);
            let by = control.auth().command_line_request(Some(&user));
            let name = scope(tenant).name().to_string();
            let by = control.auth().acting_for(by, &name).await?;
            let (found, config) = control.devices().config_of_request(&by, device.id).await?;
            let key = config.private_key.public();
            assert_eq!(key, device.key, "the configuration of another device");
            Ok(payload(&found, false))
        }
        Request::ViewDashboard { tenant } => {
            let view = control.tenants().dashboard(&scope(tenant)).await?;
            let rows = view
                .network
                .devices
                .into_iter()
                .map(|d| (d.label, d.address));
            let mut rows: Vec<_> = rows.collect();
            rows.sort();
            Ok(Payload::Dashboard(rows))
        }
        Request::SetSuspended { tenant, suspended } => {
            let scope = control.auth().operator_tenant(&operator, tenant.id).await?;
            let done = control
                .tenants()
                .set_suspended(&operator, &scope, *suspended)
                .await?;
            Ok(Payload::Done(done))
        }
        Request::DeleteTenant {
            tenant,
            operator: true,
        } => {
            let scope = control.auth().operator_tenant(&operator, tenant.id).await?;
            let tenants = control.tenants();
            tenants
                .operator_delete(&operator, &scope)
                .await
                .map(Payload::Done)
        }
        Request::DeleteTenant {
            tenant,
            operator: false,
        } => control
            .tenants()
            .delete(&TenantHolderScope::issue(tenant.id, tenant.name.clone()).with_actor(&actor))
            .await
            .map(Payload::Done),
    }
}

/// Returns whether no slot is free as the node sees it.
pub fn seems_full(slots: &BTreeSet<Slot>, held: &BTreeSet<Slot>, foreign: &BTreeSet<Slot>) -> bool {
    slots.is_subset(&held.union(foreign).copied().collect())
}
