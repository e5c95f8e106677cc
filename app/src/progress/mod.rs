//! The progress page: ticks off the real steps of making a tenant's network as
//! the node reports them.

#[cfg(feature = "ssr")]
pub mod page;
mod steps;

use crate::live::{decoded, follow};
use domain::view::ProgressView;
use leptos::prelude::*;
use steps::{html, steps};

/// The steps, live.
#[island]
pub fn Progress(
    /// How it was as the page was made.
    initial: ProgressView,
) -> impl IntoView {
    let view = RwSignal::new(initial);
    let connected = RwSignal::new(true);
    let on = move |text: String| {
        if let Some(now) = decoded(&text) {
            view.set(now);
        }
    };
    follow("/progress/live", "progress", connected, Box::new(on));
    // A memo, so that an event that changes nothing redraws nothing.
    let list = Memo::new(move |_| view.with(steps));
    let usable = Memo::new(move |_| view.with(usable));
    let summary = move || {
        list.with(|steps| {
            let done = steps.iter().filter(|s| s.state.is_done()).count();
            format!("{done} of {} done", steps.len())
        })
    };
    view! {
        <p class="sr-only" role="status">{summary}</p>
        <ol class="card px-4.5 py-1.5" inner_html=move || list.with(|steps| html(steps))></ol>
        <p class="s empty:hidden" role="status">
            {move || {
                (!connected.get()).then_some("The connection is lost. It is tried again by itself.")
            }}
        </p>
        {move || {
            usable
                .get()
                .map(|sentence| {
                    view! {
                        <div class="grid gap-3">
                            <p>{sentence}</p>
                            <a class="btn btn-p btn-lg" href="/devices/new?first=1">
                                "Add your first device"
                            </a>
                        </div>
                    }
                })
        }}
    }
}

/// What stands above the way on, once a device can be added. A missing DNS
/// filter does not hold anybody up: the tunnel works without it.
pub(crate) fn usable(view: &ProgressView) -> Option<&'static str> {
    let status = &view.status;
    if status.is_ready() {
        Some("Everything is ready.")
    } else if status.firewall.is_ready()
        && status.tunnel.is_ready()
        && status.dns.problem().is_some()
    {
        Some("Your tunnel works already. The DNS filter joins in as soon as it can.")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{ErrorCode, Part, Problem, TenantStatus};

    fn progress(status: TenantStatus) -> ProgressView {
        ProgressView {
            name: "abcd".into(),
            slot: 1,
            subnet: "10.88.1.0/24".into(),
            port: 51_821,
            interface: "wg1".into(),
            status,
        }
    }

    #[test]
    fn a_missing_image_does_not_hold_anybody_up() {
        let ready = Part::Ready { took_ms: 3 };
        let mut status = TenantStatus {
            firewall: ready.clone(),
            tunnel: ready.clone(),
            dns: Part::Working,
        };
        assert_eq!(usable(&progress(status.clone())), None);
        status.dns = Part::Problem(Problem {
            code: ErrorCode::ImageMissing,
            sentence: "Waiting for the AdGuard Home image.".into(),
        });
        assert!(usable(&progress(status.clone())).is_some());
        let shown = steps(&progress(status.clone()));
        assert_eq!(
            shown[4].state.problem().as_deref(),
            Some("Waiting for the AdGuard Home image.")
        );
        assert!(!shown[5].state.is_done());
        assert!(html(&shown).contains("Waiting for the AdGuard Home image."));
        status.dns = ready;
        assert!(steps(&progress(status)).iter().all(|s| s.state.is_done()));
    }
}
