//! The health of a tenant's network: what its parts' states mean, the chip
//! beside a page's heading and the banners above its content.

use super::live::{Derived, LiveData};
use crate::ui::{Banner, Tone};
use domain::{Part, TenantStatus, view::ProblemView};
use leptos::prelude::*;

/// What the chip beside a heading shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub tone: Tone,
    /// For example "Tunnel up · DNS answering".
    pub text: String,
}

/// Summarises the state of all parts in a few words.
pub fn health(status: &TenantStatus<ProblemView>) -> Health {
    let both = [&status.firewall, &status.tunnel];
    let tunnel = if both.iter().all(|p| p.is_ready()) {
        "Tunnel up"
    } else if both.iter().any(|p| p.problem().is_some()) {
        "Tunnel down"
    } else {
        "Tunnel starting"
    };
    let dns = match &status.dns {
        Part::Ready { .. } => "DNS answering",
        Part::Problem(_) => "DNS filter not answering",
        Part::Waiting | Part::Working => "DNS starting",
    };
    let tone = match status.problem() {
        _ if status.is_ready() => Tone::Live,
        Some(_) if both.iter().any(|p| p.problem().is_some()) => Tone::Bad,
        _ => Tone::Warn,
    };
    Health {
        tone,
        text: format!("{tunnel} · {dns}"),
    }
}

/// Returns every problem with the name of its part, each message once: a
/// machine without nftables has one problem, not three.
pub fn problems(status: &TenantStatus<ProblemView>) -> Vec<(&'static str, ProblemView)> {
    let mut found: Vec<(&'static str, ProblemView)> = Vec::new();
    for (part, about) in [
        (&status.firewall, "Firewall"),
        (&status.tunnel, "Tunnel"),
        (&status.dns, "DNS"),
    ] {
        if let Some(problem) = part.problem()
            && !found.iter().any(|(_, p)| p.message == problem.message)
        {
            found.push((about, problem.clone()));
        }
    }
    found
}

/// Shows for example "Tunnel up · DNS answering".
#[component]
pub fn HealthChip(live: LiveData) -> impl IntoView {
    let health = live.derive(|v| health(&v.status));
    view! {
        <span role="status" class=move || health.with(|h| h.tone.chip())>
            <span
                class=move || health.with(|h| format!("{} shadow-none", h.tone.dot()))
                aria-hidden="true"
            ></span>
            {move || health.with(|h| h.text.clone())}
        </span>
    }
}

/// Shows a banner for every problem, with what to do about it.
#[component]
pub fn ProblemBanners(
    /// What [`problems`] returns of the status.
    problems: Derived<Vec<(&'static str, ProblemView)>>,
) -> impl IntoView {
    // The element exists before any banner does, so that screen readers
    // announce the first one.
    view! {
        <div role="status" class="grid gap-2 empty:hidden">
            {move || {
                problems
                    .get()
                    .into_iter()
                    .map(|(about, problem)| view! { <Banner problem=problem about=about/> })
                    .collect_view()
            }}
        </div>
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::ErrorCode;

    fn problem(message: &str) -> Part<ProblemView> {
        Part::Problem(ProblemView {
            code: ErrorCode::Internal,
            message: message.to_owned(),
        })
    }

    #[test]
    fn the_chip_distinguishes_tunnel_and_dns() {
        let ready = Part::Ready { took_ms: 3 };
        let mut s = TenantStatus {
            firewall: ready.clone(),
            tunnel: ready.clone(),
            dns: ready.clone(),
        };
        assert_eq!(health(&s).text, "Tunnel up · DNS answering");
        assert_eq!(health(&s).tone, Tone::Live);
        s.dns = problem("The image is missing.");
        assert_eq!(health(&s).text, "Tunnel up · DNS filter not answering");
        assert_eq!(health(&s).tone, Tone::Warn);
        s.firewall = problem("nft is missing.");
        assert_eq!(health(&s).tone, Tone::Bad);
        assert_eq!(problems(&s).len(), 2);
        s.dns = problem("nft is missing.");
        assert_eq!(problems(&s).len(), 1, "one cause is reported once");
        assert_eq!(
            health(&TenantStatus::default()).text,
            "Tunnel starting · DNS starting"
        );
    }
}
