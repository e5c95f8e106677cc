//! What a tenant sees: the dashboard, the progress page, and when to look again.

use crate::{Control, failures::store_failure, requests::DnsTarget};
use domain::{
    ErrorCode, Failure, TenantScope, TenantStatus, Timestamp,
    view::{DashboardView, ProgressView},
};
use futures_util::stream::{self, BoxStream, StreamExt};
use store::{Overview, TenantRecord};

/// AdGuard Home's port for API and UI, in the container.
const DNS_UI_PORT: u16 = 3000;

/// What a watcher listens to: the tenant's rows, its state on the node, the
/// readings; and whether this is the first look.
type Channels = (
    tokio::sync::watch::Receiver<()>,
    tokio::sync::watch::Receiver<Option<provisioning::node::TenantState>>,
    tokio::sync::watch::Receiver<u64>,
    bool,
);

impl Control {
    pub(crate) fn status(&self, t: &TenantRecord) -> TenantStatus {
        self.0
            .node
            .tenant(t.slot)
            .filter(|s| s.name == t.name)
            .map(|s| s.status)
            .unwrap_or_default()
    }

    /// The server's clock, which pages reckon with: a browser's may be years off.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// The dashboard, whole.
    ///
    /// # Errors
    /// `NotFound` once the tenant is gone.
    pub async fn dashboard(&self, scope: &TenantScope) -> Result<DashboardView, Failure> {
        let inner = &self.0;
        let now = inner.clock.now();
        let Overview {
            tenant,
            devices,
            month_bytes,
        } = inner
            .store
            .overview(scope, month_start(now))
            .await
            .map_err(store_failure)?;
        let status = self.status(&tenant);
        let queries = status
            .dns
            .is_ready()
            .then(|| inner.meter.counts(tenant.slot, &tenant.name))
            .flatten();
        Ok(DashboardView {
            now,
            name: tenant.name.to_string(),
            gateway: inner.settings.addresses.gateway(tenant.slot).to_string(),
            status,
            devices: devices
                .into_iter()
                .map(|d| inner.meter.device_view(d).into())
                .collect(),
            speed: inner.meter.speeds(tenant.slot),
            month_bytes,
            queries,
            plan: tenant.plan,
        })
    }

    /// The progress page's content.
    ///
    /// # Errors
    /// `NotFound` once the tenant is gone.
    pub async fn progress(&self, scope: &TenantScope) -> Result<ProgressView, Failure> {
        let tenant = self.0.store.tenant(scope).await.map_err(store_failure)?;
        Ok(ProgressView {
            name: tenant.name.to_string(),
            slot: tenant.slot.get(),
            subnet: self.0.settings.addresses.subnet(tenant.slot).to_string(),
            port: tenant.slot.listen_port(),
            interface: tenant.slot.interface(),
            status: self.status(&tenant),
        })
    }

    /// Says when to look again: at once, at every change of the tenant's rows
    /// or status, and with every reading of the statistics (every 2 s). While
    /// it is held, somebody watches. Ends when the tenant is gone.
    pub fn changes(&self, scope: &TenantScope) -> BoxStream<'static, ()> {
        let (control, scope) = (self.clone(), scope.clone());
        let begin = async move {
            let tenant = control.0.store.tenant(&scope).await.ok()?;
            let rows = control.0.watching.watch(scope.tenant());
            Some((
                rows,
                control.0.node.watch(tenant.slot),
                control.0.meter.watch(),
                true,
            ))
        };
        let changes = |channels: Channels| {
            stream::unfold(
                channels,
                |(mut rows, mut node, mut meter, first)| async move {
                    if !first {
                        let open = tokio::select! {
                            r = rows.changed() => r.is_ok(),
                            r = node.changed() => r.is_ok(),
                            r = meter.changed() => r.is_ok(),
                        };
                        if !open {
                            return None;
                        }
                    }
                    Some(((), (rows, node, meter, false)))
                },
            )
        };
        stream::once(begin)
            .filter_map(std::future::ready)
            .flat_map(changes)
            .boxed()
    }

    /// Where our proxy finds the tenant's AdGuard Home.
    ///
    /// # Errors
    /// `DnsUnavailable` while it does not answer, with its problem's sentence.
    pub async fn dns_target(&self, scope: &TenantScope) -> Result<DnsTarget, Failure> {
        let tenant = self.0.store.tenant(scope).await.map_err(store_failure)?;
        let status = self.status(&tenant);
        match (
            status.dns.is_ready(),
            self.0.node.dns(tenant.slot, &tenant.name),
        ) {
            (true, Some(dns)) => Ok(DnsTarget {
                address: (dns.address, DNS_UI_PORT).into(),
                user: dns.user,
                password: dns.password,
            }),
            _ => {
                let sentence = status
                    .dns
                    .problem()
                    .map_or("Your DNS filter is starting.", |p| &p.sentence);
                Err(Failure::new(ErrorCode::DnsUnavailable, sentence))
            }
        }
    }
}

/// The first moment of the calendar month, UTC (civil-from-days, Howard
/// Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn month_start(now: Timestamp) -> Timestamp {
    let days = now.secs().div_euclid(86_400);
    let doe = (days + 719_468).rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let day_of_month = doy - (153 * ((5 * doy + 2) / 153) + 2) / 5;
    Timestamp::from_secs((days - day_of_month) * 86_400)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_begins_on_its_first_day() {
        let start = |secs| month_start(Timestamp::from_secs(secs)).secs();
        assert_eq!(
            start(1_795_478_400),
            1_793_491_200,
            "2026-11-24 -> 2026-11-01"
        );
        assert_eq!(
            start(1_709_164_800),
            1_706_745_600,
            "2024-02-29 -> 2024-02-01"
        );
        assert_eq!(start(1_709_251_200), 1_709_251_200, "2024-03-01 is its own");
        assert_eq!(start(0), 0);
    }
}
