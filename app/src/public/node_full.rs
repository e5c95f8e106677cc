//! The banner on every page that would lead to a sign-up while the server is
//! full.

use crate::ui::{Glyph, Icon};
use leptos::prelude::*;

/// Says that no network can be created now. Existing tenants are not affected.
#[component]
pub fn NodeFullBanner() -> impl IntoView {
    view! {
        <div class="banner banner-warn" role="status">
            <Icon glyph=Glyph::Alert/>
            <p>
                <b>"This server is full just now. "</b>
                "A new network can be made as soon as a place becomes free. Existing networks are not affected."
            </p>
        </div>
    }
}
