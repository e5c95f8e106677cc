//! A tenant's status, from what is observed and what is under way.

use crate::{
    node::lanes::Lanes,
    observed::{ContainerState, Known, Observed, ObservedFirewallTenant},
    plan::{ContainerIndex, Lane, is_ours, peer_change, wanted_elements},
    ports::PortError,
    spec::{NodeSettings, TenantSpec},
};
use domain::{ErrorCode, Part, Problem, TenantStatus};
use std::time::Duration;
use tokio::time::Instant;

/// A starting AdGuard Home that is silent this long has a problem.
const DNS_SILENT: Duration = Duration::from_secs(20);

pub(crate) fn status(
    t: &TenantSpec,
    o: &Observed,
    s: &NodeSettings,
    containers: &ContainerIndex,
    lanes: &Lanes,
) -> TenantStatus {
    if t.suspended {
        let paused = Part::Problem(Problem {
            code: ErrorCode::Suspended,
            sentence: "This network is suspended. Ask the operator.".to_owned(),
        });
        return TenantStatus {
            firewall: paused.clone(),
            tunnel: paused.clone(),
            dns: paused,
        };
    }
    TenantStatus {
        firewall: firewall(t, o, s, containers, lanes),
        tunnel: tunnel(t, o, s, lanes),
        dns: dns(t, o, containers, lanes),
    }
}

const READY: Part = Part::Ready { took_ms: 0 };

/// What a part is while it is not there: its lane's failure, the reason it
/// cannot be read, or that it is under way.
fn not_there(lane: &Lane, lanes: &Lanes, unread: Option<&PortError>) -> Part {
    match lanes
        .error(lane)
        .or(unread)
        .filter(|e| e.code != ErrorCode::Busy)
    {
        Some(e) => Part::Problem(e.problem()),
        None if lanes.is_running(lane) => Part::Working,
        None => Part::Waiting,
    }
}

fn firewall(
    t: &TenantSpec,
    o: &Observed,
    s: &NodeSettings,
    containers: &ContainerIndex,
    lanes: &Lanes,
) -> Part {
    let wanted = ObservedFirewallTenant::of(&wanted_elements(t, o, s, containers));
    match &o.firewall {
        Known::Known(f) if f.complete && f.tenants.get(&t.slot) == Some(&wanted) => READY,
        other => not_there(&Lane::Firewall, lanes, other.error()),
    }
}

fn tunnel(t: &TenantSpec, o: &Observed, s: &NodeSettings, lanes: &Lanes) -> Part {
    let lane = Lane::Tunnel(t.slot);
    let wanted = t.interface(s);
    match &o.wireguard {
        Known::Known(w) => match w.get(&t.slot) {
            Some(i) if !is_ours(i) => Part::Problem(Problem {
                code: ErrorCode::NameForeign,
                sentence: format!(
                    "The server has another interface named {}. The operator can remove or rename it.",
                    t.slot.interface()
                ),
            }),
            Some(i)
                if i.up
                    && i.public_key == Some(wanted.private_key.public())
                    && peer_change(&wanted, i).is_empty() =>
            {
                READY
            }
            _ => not_there(&lane, lanes, None),
        },
        Known::Unknown(e) => not_there(&lane, lanes, Some(e)),
    }
}

fn dns(t: &TenantSpec, o: &Observed, index: &ContainerIndex, lanes: &Lanes) -> Part {
    let lane = Lane::Container(t.slot);
    let containers = match &o.containers {
        Known::Known(c) => c,
        Known::Unknown(e) => return not_there(&lane, lanes, Some(e)),
    };
    let problem = |code, sentence: &str| {
        Part::Problem(Problem {
            code,
            sentence: sentence.to_owned(),
        })
    };
    let name = t.name.container();
    let mut own = index.of_slot(t.slot, containers);
    match own.find(|c| c.name == name).map(|c| c.state) {
        Some(ContainerState::Running) => match o.dns.get(&t.slot) {
            Some(Known::Known(d)) if d.running => READY,
            _ => Part::Working,
        },
        Some(ContainerState::Restarting) => problem(
            ErrorCode::DnsUnavailable,
            "Your DNS filter keeps stopping and is being started again.",
        ),
        _ if containers.foreign.contains(&name) => problem(
            ErrorCode::NameForeign,
            "The server has another container of your DNS filter's name. The operator can remove it.",
        ),
        None if !containers.image => problem(
            ErrorCode::ImageMissing,
            "Waiting for the AdGuard Home image; until then your devices use plain DNS. On the server, run: ./dev image",
        ),
        _ => not_there(&lane, lanes, None),
    }
}

/// When a tenant's parts were first wanted and first there, for telling how
/// long they took.
#[derive(Debug)]
pub(crate) struct PartClocks {
    since: Instant,
    seen_unready: [bool; 3],
    took: [Option<Duration>; 3],
    silent_since: Option<Instant>,
}

impl PartClocks {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            since: now,
            seen_unready: [false; 3],
            took: [None; 3],
            silent_since: None,
        }
    }

    /// Writes the times into the ready parts, and turns a DNS filter that has
    /// been silent for too long into a problem.
    pub(crate) fn stamp(&mut self, s: &mut TenantStatus, now: Instant) {
        for (i, part) in [&mut s.firewall, &mut s.tunnel, &mut s.dns]
            .into_iter()
            .enumerate()
        {
            if !part.is_ready() {
                self.seen_unready[i] |= self.took[i].is_none();
                continue;
            }
            let found_there = !self.seen_unready[i];
            let took = *self.took[i].get_or_insert(if found_there {
                Duration::ZERO
            } else {
                now - self.since
            });
            *part = Part::Ready {
                took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX),
            };
        }
        if s.dns == Part::Working {
            if now - *self.silent_since.get_or_insert(now) > DNS_SILENT {
                s.dns = Part::Problem(Problem {
                    code: ErrorCode::DnsUnavailable,
                    sentence: "Your DNS filter runs but does not answer. It is being watched."
                        .to_owned(),
                });
            }
        } else {
            self.silent_since = None;
        }
    }
}
