//! The banner in place of every way to a sign-up while sign-ups are closed, or need an
//! invitation.

use crate::ui::{Glyph, Icon};
use leptos::prelude::*;

/// Says that no network can be made at present. Existing tenants are not affected.
#[component]
pub fn ClosedBanner() -> impl IntoView {
    view! {
        <div class="banner" role="status">
            <Icon glyph=Glyph::Alert/>
            <p>
                <b>"Sign-ups are closed. "</b>
                "No new network can be made here at present. Existing networks are not affected."
            </p>
        </div>
    }
}

/// Says on the landing page that a network is made with an invitation.
#[component]
pub fn InvitationBanner() -> impl IntoView {
    view! {
        <div class="banner" role="status">
            <Icon glyph=Glyph::Alert/>
            <p>
                <b>"By invitation. "</b>
                "Open the link that you were given, or "
                <a class="link" href="/sign-up">"type your invitation"</a> "."
            </p>
        </div>
    }
}
