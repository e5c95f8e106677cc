//! Creates and deletes tenants.

use super::{
    FirstMailAddress, NewTenant, Placement, TenantRecord, TenantState, placement::FreeSlots,
};
use crate::{
    Committed, NewMailAddress, Result, Store, StoreError, TicketHolder,
    audit::{self, AuditEntry},
    db::{Tx, execute, fetch_optional, unsigned},
    looks::end_all_at,
    mail::ask_in,
    nodes::{begin_change, begin_placement, count_tenants, store_tenant_count},
    plans::plan_in,
    sign_up::{check_reserved, invitations::use_once},
};
use domain::{AddressPlan, QuotaState, TenantId, TenantScope, Timestamp};
use seal::Purpose;

impl Store {
    /// Creates a tenant on the node of its placement, in the first slot after the
    /// one given last, around, that is neither taken nor excluded. Tenants are counted while the transaction holds the
    /// node's row, so concurrent sign-ups cannot exceed the limit.
    ///
    /// # Errors
    /// Returns [`StoreError::NameTaken`], [`StoreError::PlanUnknown`] or, also for a
    /// node that is not open, [`StoreError::NodeFull`]. A failed call changes nothing.
    pub async fn create_tenant(
        &self,
        new: NewTenant,
        addresses: &AddressPlan,
        placement: impl Into<Placement<'_>>,
    ) -> Result<Committed<TenantRecord>> {
        let Placement {
            node,
            excluded,
            max_tenants,
        } = placement.into();
        let name = new.name.as_str();
        let public_key = new.private_key.public();
        let (public_text, dns_password) = (public_key.to_string(), new.dns_password.expose());
        let wg_sealed =
            self.sealer
                .seal(Purpose::TunnelKey, &public_text, new.private_key.as_bytes())?;
        let dns_sealed = self
            .sealer
            .seal(Purpose::DnsPassword, name, dns_password.as_bytes())?;

        let mut tx = self.db.begin().await?;
        let plan = plan_in(&mut tx, &new.plan).await?;
        let plan = plan.ok_or(StoreError::PlanUnknown)?;
        let generation = begin_placement(&mut tx, node).await?;
        check_reserved(&mut tx, name).await?;
        let invitation = match &new.invitation {
            Some(code) => Some(use_once(&mut tx, code, &plan.id, new.now).await?),
            None => None,
        };
        if let Some(max_tenants) = max_tenants
            && count_tenants(&mut tx, node).await? >= u64::from(max_tenants)
        {
            return Err(StoreError::NodeFull);
        }
        let sql = "INSERT INTO users (username, password_hash, plan, subdomain, interface_name, \
             listen_port, subnet_cidr, created_at, node_id, slot, wg_private_key, wg_public_key, \
             dns_password, dns_password_hash, generation, time_zone, invitation_id, unused_since) \
             VALUES ($1, $2, $3, $1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
             $7) \
             ON CONFLICT DO NOTHING RETURNING id";
        let mut slots = FreeSlots::of(&mut tx, node).await?;
        while let Some(slot) = slots.next(&mut tx, excluded).await? {
            let inserted = fetch_optional!(
                tx.connection(),
                (i64,),
                sql,
                name,
                new.password_hash.expose(),
                plan.id.as_str(),
                slot.interface(),
                i64::from(slot.listen_port()),
                addresses.subnet(slot).to_string(),
                new.now.0,
                node.0,
                i64::from(slot.get()),
                wg_sealed.as_str(),
                public_text.as_str(),
                dns_sealed.as_str(),
                new.dns_password_hash.as_str(),
                generation,
                new.time_zone.as_str(),
                invitation.map(|id| id.0),
            )?;
            let Some((id,)) = inserted else {
                // The conflict is the name or a value of this slot. For example,
                // a subnet assigned under an earlier address plan may overlap
                // this slot and not the next one.
                let sql = "SELECT id FROM users WHERE username = $1 OR subdomain = $1";
                if fetch_optional!(tx.connection(), (i64,), sql, name)?.is_some() {
                    return Err(StoreError::NameTaken);
                }
                tracing::warn!(%slot, "a free slot conflicts with a tenant; trying the next one");
                continue;
            };
            let sql = "UPDATE nodes SET last_slot = $2 WHERE id = $1";
            execute!(tx.connection(), sql, node.0, i64::from(slot.get()))?;
            store_tenant_count(&mut tx, node).await?;
            let entry = AuditEntry {
                at: new.now,
                actor: new.actor.clone().unwrap_or_else(|| name.to_owned()),
                action: "tenant.create".to_owned(),
                object: name.to_owned(),
                detail: match invitation {
                    Some(id) => format!("plan {}, slot {slot}, invitation {id}", plan.id),
                    None => format!("plan {}, slot {slot}", plan.id),
                },
                tenant: Some(TenantId(id)),
                ..AuditEntry::default()
            };
            audit::write(&mut tx, entry).await?;
            if let Some(mail) = &new.mail {
                self.ask_first_address(&mut tx, TenantId(id), &new, mail)
                    .await?;
            }
            tx.commit().await?;
            let record = TenantRecord {
                id: TenantId(id),
                name: new.name,
                password_hash: new.password_hash,
                plan,
                node,
                slot,
                state: TenantState::Active,
                quota: QuotaState::Open,
                time_zone: new.time_zone,
                public_key,
                created_at: new.now,
                invitation,
                asleep_since: None,
            };
            return Ok(Committed {
                value: record,
                node,
                slot,
                generation: unsigned(generation),
            });
        }
        Err(StoreError::NodeFull)
    }

    /// Stores the address that a new account gave, within the account's transaction. Where its
    /// link cannot be queued the address still waits: the holder asks for another link.
    async fn ask_first_address(
        &self,
        tx: &mut Tx,
        id: TenantId,
        new: &NewTenant,
        mail: &FirstMailAddress,
    ) -> Result<()> {
        let asked = NewMailAddress {
            holder: TicketHolder::Tenant(id),
            address: &mail.address,
            token: &mail.token,
            expires: mail.expires,
            now: new.now,
        };
        if !ask_in(self, tx, &asked).await? {
            tracing::warn!("the mail address of a new account got no link");
        }
        let name = new.name.to_string();
        let entry = AuditEntry {
            at: new.now,
            actor: new.actor.clone().unwrap_or_else(|| name.clone()),
            action: "mail.ask".to_owned(),
            object: name,
            after: mail.address.to_string(),
            tenant: Some(id),
            ..AuditEntry::default()
        };
        audit::write(tx, entry).await
    }

    /// Deletes a tenant with its devices, statistics and tickets; operators who look in stop
    /// doing so. Its audit entries remain. The node then removes the tenant's tunnel and files.
    ///
    /// # Errors
    /// Returns [`StoreError::NotFound`] if the tenant was deleted before.
    pub async fn delete_tenant(
        &self,
        scope: &TenantScope,
        now: Timestamp,
    ) -> Result<Committed<()>> {
        let mut tx = self.db.begin().await?;
        let pending = begin_change(&mut tx, scope).await?;
        end_all_at(&mut tx, scope.tenant(), now).await?;
        let sql = "DELETE FROM users WHERE id = $1";
        if execute!(tx.connection(), sql, scope.tenant().0)? == 0 {
            return Err(StoreError::NotFound);
        }
        store_tenant_count(&mut tx, pending.generation().0).await?;
        let object = scope.name().to_string();
        audit::write_scoped(&mut tx, scope, now, "tenant.delete", object, String::new()).await?;
        tx.commit().await?;
        if let Err(e) = self.delete_traffic(scope.tenant().0, now).await {
            tracing::warn!(error = ?e, "a deleted tenant's traffic could not be removed; it is pruned later");
        }
        Ok(pending.committed(()))
    }
}
