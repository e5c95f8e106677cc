//! The button that prints the page.

use leptos::prelude::*;

/// Opens the browser's print dialog. `no-print` in the style leaves out what is not
/// worth paper.
#[island]
pub fn PrintPage() -> impl IntoView {
    let print = |_| {
        #[cfg(feature = "hydrate")]
        {
            // Fails only where the browser cannot print.
            let _ = window().print();
        }
    };
    view! {
        <button type="button" class="btn live-only" on:click=print>
            "Print"
        </button>
    }
}
