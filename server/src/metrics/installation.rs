//! The installation as this control plane sees it, and its database.

use super::samples::{Label, Samples};
use control::{ActivityFigures, Control, InstallationFigures, Outcome};
use prometheus_client::registry::Unit;
use store::database_figures;

/// Adds the core's figures and the database's.
pub(super) async fn add_to(samples: &mut Samples, control: &Control) {
    add_activity(samples, &control.figures().activity());
    if control.mail().is_set_up() {
        add_mail(samples, control).await;
    }
    let figures = control.figures().installation().await;
    if let Some(figures) = figures {
        add_installation(samples, &figures);
    }
    let database = database_figures();
    let labels = |operation: &'static str| vec![("operation", operation.to_owned())];
    samples.durations(
        (
            "maliknode_database_duration",
            "Time that the database took, the wait for a connection included",
        ),
        database
            .iter()
            .map(|d| (labels(d.operation), d.durations.clone())),
    );
    samples.counters(
        (
            "maliknode_database_errors",
            "Errors of the database: outage (away, full or too slow), or refusal (such as a name that is taken, which is expected)",
        ),
        database.iter().flat_map(|d| {
            [("outage", d.outages), ("refusal", d.refusals)].map(|(kind, n)| {
                let mut labels = labels(d.operation);
                labels.push(("kind", kind.to_owned()));
                (labels, n)
            })
        }),
    );
}

async fn add_mail(samples: &mut Samples, control: &Control) {
    let tries = control.figures().activity().mail;
    samples.counters(
        (
            "maliknode_mail_tries",
            "Tries of this control plane to send mail, by how they ended: sent, deferred to a later try, or failed for good",
        ),
        tries
            .iter()
            .map(|(ended, n)| (vec![("ended", (*ended).to_owned())], *n)),
    );
    let Some(counts) = control.figures().mail().await else {
        return;
    };
    for (name, help, value) in [
        (
            "maliknode_mail_waiting",
            "Mails that wait to be sent",
            counts.waiting,
        ),
        (
            "maliknode_mail_failed",
            "Mails that were given up in the last week",
            counts.failed,
        ),
    ] {
        samples.gauge((name, help), None, value as f64);
    }
    samples.gauge(
        (
            "maliknode_mail_oldest",
            "For how long the oldest mail waits",
        ),
        Some(Unit::Seconds),
        counts.oldest_millis as f64 / 1_000.0,
    );
}

fn outcomes(counts: &[(Outcome, u64)]) -> impl Iterator<Item = (Vec<Label>, u64)> {
    let row = |(outcome, n): &(Outcome, u64)| (vec![("outcome", outcome.as_str().to_owned())], *n);
    counts.iter().map(row)
}

fn add_activity(samples: &mut Samples, activity: &ActivityFigures) {
    samples.counters(
        (
            "maliknode_sign_ins",
            "Checks of a password, by their outcome",
        ),
        outcomes(&activity.sign_ins),
    );
    samples.counters(
        ("maliknode_sign_ups", "Sign-ups, by their outcome"),
        outcomes(&activity.sign_ups),
    );
}

fn add_installation(samples: &mut Samples, figures: &InstallationFigures) {
    let labelled = |key: &'static str, value: &str, n: u64| {
        let labels: Vec<Label> = vec![(key, value.to_owned())];
        (labels, n as f64)
    };
    let tenants = [
        ("active", figures.active_tenants),
        ("suspended", figures.suspended_tenants),
    ];
    samples.gauges(
        ("maliknode_tenants", "Tenants, by state"),
        tenants.map(|(state, n)| labelled("state", state, n)),
    );
    samples.gauges(
        (
            "maliknode_quota_tenants",
            "Tenants, by what follows from their data of the month",
        ),
        figures.quotas.iter().map(|(s, n)| labelled("state", s, *n)),
    );
    samples.gauges(
        (
            "maliknode_nodes",
            "Nodes, by state: up, closed to new tenants, silent, or revoked",
        ),
        figures.nodes.iter().map(|(s, n)| labelled("state", s, *n)),
    );
    samples.gauges(
        (
            "maliknode_tenant_parts",
            "Parts of tenants' networks, by their state on the nodes; the part dns is the DNS container",
        ),
        figures.parts.iter().map(|((part, state), n)| {
            let labels = vec![("part", (*part).to_owned()), ("state", (*state).to_owned())];
            (labels, *n as f64)
        }),
    );
    for (name, help, value) in [
        ("maliknode_devices", "Devices", figures.devices),
        (
            "maliknode_devices_online",
            "Devices with a handshake in the last 3 minutes, of the nodes that this control plane reads",
            figures.online_devices,
        ),
        (
            "maliknode_moves_pending",
            "Moves of tenants that are not finished",
            figures.moves,
        ),
        (
            "maliknode_problems",
            "Problems of nodes as a whole",
            figures.node_problems,
        ),
        (
            "maliknode_free_places",
            "How many more tenants fit",
            figures.free_places,
        ),
        (
            "maliknode_changes_not_in_force",
            "Changes that are saved and that their nodes have not reported yet",
            figures.pending.changes,
        ),
    ] {
        samples.gauge((name, help), None, value as f64);
    }
    samples.gauge(
        (
            "maliknode_changes_not_in_force_oldest",
            "For how long the oldest such change waits, as far as was observed",
        ),
        Some(Unit::Seconds),
        figures.pending.oldest.as_secs_f64(),
    );
}
