//! Computes a tenant's status from the observation and the state of the lanes.

use super::executor::Executor;
use crate::{
    derive::TenantSpecExt,
    observed::{ContainerState, Observation, Observed, ObservedFirewallTenant},
    pending::{DiskHold, DnsHold},
    plan::{ContainerIndex, Lane, is_ours, peer_change, wanted_elements},
    ports::PortError,
    spec::{NodeSettings, docker_name},
};
use domain::{ErrorCode, Message, Part, Problem, TenantStatus};
use protocol::TenantSpec;
use std::time::Duration;
use tokio::time::Instant;

/// How long a starting AdGuard Home may be silent before that is a problem.
const MAX_DNS_SILENCE: Duration = Duration::from_secs(20);

/// What a tenant's status is read from.
pub(super) struct StatusSources<'a> {
    pub observed: &'a Observed,
    pub settings: &'a NodeSettings,
    pub containers: &'a ContainerIndex,
    /// Why the tenant's AdGuard Home cannot run.
    pub hold: Option<DnsHold>,
    pub executor: &'a Executor,
}

/// Returns a tenant's status. Ready parts have no durations yet.
pub(super) fn status(t: &TenantSpec, s: &StatusSources<'_>) -> TenantStatus {
    if t.suspended {
        let suspended = Part::Problem(Problem {
            code: ErrorCode::Suspended,
            message: Message::NetworkSuspended,
        });
        return TenantStatus {
            firewall: suspended.clone(),
            tunnel: suspended.clone(),
            dns: suspended,
        };
    }
    TenantStatus {
        firewall: firewall(t, s),
        tunnel: tunnel(t, s.observed, s.settings, s.executor),
        dns: dns(t, s),
    }
}

const READY: Part = Part::Ready { took_ms: 0 };

/// Returns the state of a part that does not exist yet: its lane's error, the reason
/// why it is unreadable, or that it is being created.
fn absent(lane: &Lane, executor: &Executor, unreadable: Option<&PortError>) -> Part {
    match executor
        .error(lane)
        .or(unreadable)
        .filter(|e| e.code != ErrorCode::Busy)
    {
        Some(e) => Part::Problem(e.problem()),
        None if executor.is_running(lane) => Part::Working,
        None => Part::Waiting,
    }
}

fn firewall(t: &TenantSpec, s: &StatusSources<'_>) -> Part {
    let StatusSources {
        observed: o,
        settings,
        containers,
        executor,
        ..
    } = s;
    let wanted = wanted_elements(t, o, settings, containers, s.hold.is_some());
    let wanted = ObservedFirewallTenant::from_spec(&wanted);
    match &o.firewall {
        Observation::Read(f) if f.complete && f.tenants.get(&t.slot) == Some(&wanted) => READY,
        other => absent(&Lane::Firewall, executor, other.error()),
    }
}

fn tunnel(t: &TenantSpec, o: &Observed, s: &NodeSettings, executor: &Executor) -> Part {
    let lane = Lane::Tunnel(t.slot);
    let wanted = t.interface(s);
    match &o.wireguard {
        Observation::Read(w) => match w.get(&t.slot) {
            Some(i) if !is_ours(i) => Part::Problem(Problem {
                code: ErrorCode::NameForeign,
                message: Message::InterfaceForeign {
                    interface: t.slot.interface(),
                },
            }),
            Some(i)
                if i.up
                    && i.public_key == Some(wanted.private_key.public())
                    && peer_change(&wanted, i).is_empty() =>
            {
                READY
            }
            _ => absent(&lane, executor, None),
        },
        Observation::Unreadable(e) => absent(&lane, executor, Some(e)),
    }
}

fn dns(t: &TenantSpec, s: &StatusSources<'_>) -> Part {
    let (o, executor) = (s.observed, s.executor);
    let lane = Lane::Container(t.slot);
    let containers = match &o.containers {
        Observation::Read(c) => c,
        Observation::Unreadable(e) => return absent(&lane, executor, Some(e)),
    };
    let problem = |code, message| Part::Problem(Problem { code, message });
    let name = t.name.container();
    let docker_name = docker_name(&t.private_key.public());
    match s.hold {
        Some(DnsHold::Repair(_) | DnsHold::Rest) => {
            return problem(ErrorCode::DnsUnavailable, Message::DnsKeepsEnding);
        }
        Some(DnsHold::Disk(DiskHold::Full)) => {
            return problem(ErrorCode::DnsUnavailable, Message::DnsDiskFull);
        }
        Some(DnsHold::Disk(DiskHold::Low)) => {
            return problem(ErrorCode::DiskLow, Message::DnsDiskHeld);
        }
        Some(DnsHold::Asleep) => return problem(ErrorCode::Asleep, Message::DnsAsleep),
        Some(DnsHold::Copy) => return Part::Working,
        None => {}
    }
    let mut own = s.containers.of_slot(t.slot, containers);
    match own.find(|c| c.name == name).map(|c| c.state) {
        Some(ContainerState::Running) => match o.dns.get(&t.slot) {
            Some(Observation::Read(d)) if d.running => READY,
            _ => Part::Working,
        },
        Some(ContainerState::Restarting) => {
            problem(ErrorCode::DnsUnavailable, Message::DnsRestarting)
        }
        _ if containers.foreign.contains(&docker_name) => problem(
            ErrorCode::NameForeign,
            Message::ContainerForeign { name: docker_name },
        ),
        None if !containers.image => problem(
            ErrorCode::ImageMissing,
            Message::ImageMissing {
                image: s.settings.image.clone(),
            },
        ),
        _ => absent(&lane, executor, None),
    }
}

/// Measures how long a tenant's parts took to become ready.
#[derive(Debug)]
pub(super) struct PartClocks {
    since: Instant,
    seen_unready: [bool; 3],
    took: [Option<Duration>; 3],
    silent_since: Option<Instant>,
}

impl PartClocks {
    /// Starts the clocks.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            seen_unready: [false; 3],
            took: [None; 3],
            silent_since: None,
        }
    }

    /// Writes the durations into the ready parts, and turns a DNS filter that has
    /// been silent for too long into a problem.
    pub(super) fn stamp(&mut self, s: &mut TenantStatus, now: Instant) {
        for (i, part) in [&mut s.firewall, &mut s.tunnel, &mut s.dns]
            .into_iter()
            .enumerate()
        {
            if !part.is_ready() {
                self.seen_unready[i] |= self.took[i].is_none();
                continue;
            }
            // A part that was ready from the beginning took no time.
            let always_ready = !self.seen_unready[i];
            let took = *self.took[i].get_or_insert(if always_ready {
                Duration::ZERO
            } else {
                now - self.since
            });
            *part = Part::Ready {
                took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
            };
        }
        if s.dns == Part::Working {
            if now - *self.silent_since.get_or_insert(now) > MAX_DNS_SILENCE {
                s.dns = Part::Problem(Problem {
                    code: ErrorCode::DnsUnavailable,
                    message: Message::DnsSilent,
                });
            }
        } else {
            self.silent_since = None;
        }
    }
}
