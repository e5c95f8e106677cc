//! The progress page: shows the steps of creating a tenant's network as the node
//! reports them.

#[cfg(feature = "ssr")]
pub mod page;
mod steps;

use crate::event_stream::{decode, subscribe};
use domain::{Topic, view::ProgressView};
use leptos::prelude::*;
use steps::{html, steps};

/// The steps, live.
#[island]
pub fn Progress(
    /// The progress at the time the page was rendered.
    initial: ProgressView,
) -> impl IntoView {
    let view = RwSignal::new(initial);
    let connected = RwSignal::new(true);
    let on_event = move |text: String| {
        if let Some(now) = decode(&text) {
            view.set(now);
        }
    };
    subscribe(Topic::Progress, connected, Box::new(on_event));
    // With a memo, an event without a change redraws nothing.
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
                (!connected.get()).then_some("The connection is lost. The page reconnects by itself.")
            }}
        </p>
        {move || {
            usable
                .get()
                .map(|message| {
                    view! {
                        <div class="grid gap-3">
                            <p>{message}</p>
                            <a class="btn btn-p btn-lg" href="/devices/new?first=1">
                                "Add your first device"
                            </a>
                        </div>
                    }
                })
        }}
    }
}

/// Returns the text above the link to the first device once a device can be added,
/// otherwise `None`. A missing DNS filter does not delay that: the tunnel works
/// without it.
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
    use domain::{ErrorCode, Part, TenantStatus, view::ProblemView};

    fn progress(status: TenantStatus<ProblemView>) -> ProgressView {
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
    fn a_missing_image_does_not_block_the_user() {
        let ready = Part::Ready { took_ms: 3 };
        let mut status = TenantStatus {
            firewall: ready.clone(),
            tunnel: ready.clone(),
            dns: Part::Working,
        };
        assert_eq!(usable(&progress(status.clone())), None);
        status.dns = Part::Problem(ProblemView {
            code: ErrorCode::ImageMissing,
            message: "Waiting for the AdGuard Home image.".into(),
        });
        assert!(usable(&progress(status.clone())).is_some());
        let list = steps(&progress(status.clone()));
        assert_eq!(
            list[4].state.problem().as_deref(),
            Some("Waiting for the AdGuard Home image.")
        );
        assert!(!list[5].state.is_done());
        assert!(html(&list).contains("Waiting for the AdGuard Home image."));
        status.dns = ready;
        assert!(steps(&progress(status)).iter().all(|s| s.state.is_done()));
    }
}
