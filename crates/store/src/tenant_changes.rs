//! Sign-up, suspension, deletion.
//!
//! Lock order, everywhere: the row in `nodes`, then `users`, `tenant_traffic`,
//! `peers`. Whoever keeps to it cannot deadlock with another who does.

use crate::{
    LOCAL_NODE, NewTenant, Places, Purpose, Result, Store, StoreError, TenantRecord, TenantState,
    audit::{self, AuditEntry},
    db::{Tx, execute, fetch_optional},
    plans::plan_in,
    tenants::parse_slot,
};
use domain::{AddressPlan, NodeId, Slot, TenantId, TenantScope, Timestamp};
use std::collections::BTreeSet;

/// Takes the node's row, and with it the line of the node's changes, and
/// counts the change.
async fn bump(tx: &mut Tx, node: NodeId) -> Result<()> {
    let sql = "UPDATE nodes SET generation = generation + 1 WHERE id = $1";
    match execute!(tx.on(), sql, node.0)? {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

/// The same for the node of a tenant, and notes that the tenant is what has
/// changed. `NotFound` where the tenant is gone.
pub(crate) async fn bump_scoped(tx: &mut Tx, scope: &TenantScope) -> Result<()> {
    let sql = "UPDATE nodes SET generation = generation + 1 \
               WHERE id = (SELECT node_id FROM users WHERE id = $1)";
    if execute!(tx.on(), sql, scope.tenant().0)? == 0 {
        return Err(StoreError::NotFound);
    }
    // Whoever waited for the node's row may find the tenant gone by now.
    let sql = "UPDATE users SET generation = \
               (SELECT generation FROM nodes WHERE nodes.id = users.node_id) WHERE id = $1";
    match execute!(tx.on(), sql, scope.tenant().0)? {
        0 => Err(StoreError::NotFound),
        _ => Ok(()),
    }
}

/// The lowest slot from `from` on that nobody holds and that is not excluded.
/// Found by the database: reading a thousand slots would keep the others of
/// the line waiting.
async fn free_slot(tx: &mut Tx, mut from: u16, excluded: &BTreeSet<Slot>) -> Result<Option<Slot>> {
    let sql = "SELECT MIN(c.n) FROM \
         (SELECT CAST($2 AS BIGINT) AS n UNION ALL \
          SELECT slot + 1 FROM users WHERE node_id = $1 AND slot >= $2) AS c \
         WHERE NOT EXISTS (SELECT 1 FROM users WHERE node_id = $1 AND slot = c.n)";
    while let Some(slot) = Slot::new(from) {
        if !excluded.contains(&slot) {
            let row = fetch_optional!(tx.on(), (Option<i64>,), sql, LOCAL_NODE.0, i64::from(from))?;
            match row.and_then(|(n,)| n).and_then(parse_slot) {
                Some(free) if !excluded.contains(&free) => return Ok(Some(free)),
                Some(free) => from = free.get(),
                None => return Ok(None),
            }
        }
        from += 1;
    }
    Ok(None)
}

impl Store {
    /// Signs a tenant up on the local node, in the lowest slot that is neither
    /// held nor excluded. Counted in the line of the node's changes, so that
    /// however many come at once, no more get in than there are places.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], [`StoreError::PlanUnknown`],
    /// [`StoreError::NodeFull`]; nothing is left half made.
    pub async fn create_tenant(
        &self,
        new: NewTenant,
        addresses: &AddressPlan,
        places: impl Into<Places<'_>>,
    ) -> Result<TenantRecord> {
        let Places { excluded, most } = places.into();
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
        bump(&mut tx, LOCAL_NODE).await?;
        if let Some(most) = most {
            let sql = "SELECT COUNT(*) FROM users WHERE node_id = $1";
            let held = fetch_optional!(tx.on(), (i64,), sql, LOCAL_NODE.0)?;
            if held.is_some_and(|(held,)| held >= i64::from(most)) {
                return Err(StoreError::NodeFull);
            }
        }
        let sql = "INSERT INTO users (username, password_hash, plan, subdomain, interface_name, \
             listen_port, subnet_cidr, created_at, node_id, slot, wg_private_key, wg_public_key, \
             dns_password, dns_password_hash, generation) \
             VALUES ($1, $2, $3, $1, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, \
             (SELECT generation FROM nodes WHERE id = $8)) \
             ON CONFLICT DO NOTHING RETURNING id";
        let mut from = Slot::FIRST.get();
        while let Some(slot) = free_slot(&mut tx, from, excluded).await? {
            from = slot.get() + 1;
            let made = fetch_optional!(
                tx.on(),
                (i64,),
                sql,
                name,
                new.password_hash.expose(),
                plan.id.as_str(),
                slot.interface(),
                i64::from(slot.listen_port()),
                addresses.subnet(slot).to_string(),
                new.now.0,
                LOCAL_NODE.0,
                i64::from(slot.get()),
                wg_sealed.as_str(),
                public_text.as_str(),
                dns_sealed.as_str(),
                new.dns_password_hash.as_str(),
            )?;
            let Some((id,)) = made else {
                // The name, or something of this slot: a constraint decides, and
                // e.g. a subnet of an address plan that was changed since may
                // be in the way of one slot and not of the next.
                let sql = "SELECT id FROM users WHERE username = $1 OR subdomain = $1";
                if fetch_optional!(tx.on(), (i64,), sql, name)?.is_some() {
                    return Err(StoreError::NameTaken);
                }
                tracing::warn!(%slot, "a free slot is in conflict with a tenant; trying the next");
                continue;
            };
            let entry = AuditEntry {
                at: new.now,
                actor: name.to_owned(),
                action: "tenant.create".to_owned(),
                object: name.to_owned(),
                detail: format!("plan {}, slot {slot}", plan.id),
                tenant: Some(TenantId(id)),
            };
            audit::write(&mut tx, entry).await?;
            tx.commit().await?;
            return Ok(TenantRecord {
                id: TenantId(id),
                name: new.name,
                password_hash: new.password_hash,
                plan,
                node: LOCAL_NODE,
                slot,
                state: TenantState::Active,
                public_key,
                created_at: new.now,
            });
        }
        Err(StoreError::NodeFull)
    }

    /// Deletes a tenant with its devices, statistics and tickets. Its audit
    /// entries stay. The node removes what it holds of it.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn delete_tenant(&self, scope: &TenantScope, now: Timestamp) -> Result<()> {
        let mut tx = self.db.begin().await?;
        bump_scoped(&mut tx, scope).await?;
        let sql = "DELETE FROM users WHERE id = $1";
        if execute!(tx.on(), sql, scope.tenant().0)? == 0 {
            return Err(StoreError::NotFound);
        }
        let object = scope.name().to_string();
        audit::write_scoped(&mut tx, scope, now, "tenant.delete", object, String::new()).await?;
        tx.commit().await?;
        if let Err(e) = self.forget_traffic(scope.tenant().0, now).await {
            tracing::warn!(error = ?e, "a deleted tenant's traffic goes when it is old");
        }
        Ok(())
    }

    /// Suspends a tenant, or serves it again. Nothing happens where it is so
    /// already.
    ///
    /// # Errors
    /// [`StoreError::NotFound`].
    pub async fn set_state(
        &self,
        scope: &TenantScope,
        state: TenantState,
        now: Timestamp,
    ) -> Result<()> {
        let mut tx = self.db.begin().await?;
        bump_scoped(&mut tx, scope).await?;
        let sql = "SELECT state FROM users WHERE id = $1";
        let kept = fetch_optional!(tx.on(), (String,), sql, scope.tenant().0)?;
        if kept.ok_or(StoreError::NotFound)?.0 == state.as_str() {
            return Ok(()); // no commit: the generation stays
        }
        let sql = "UPDATE users SET state = $2 WHERE id = $1";
        execute!(tx.on(), sql, scope.tenant().0, state.as_str())?;
        let action = match state {
            TenantState::Active => "tenant.resume",
            TenantState::Suspended => "tenant.suspend",
        };
        let object = scope.name().to_string();
        audit::write_scoped(&mut tx, scope, now, action, object, String::new()).await?;
        tx.commit().await
    }
}
