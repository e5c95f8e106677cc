//! The landing page: what MalikNode is, the choice of a name, the plans.

#[cfg(feature = "ssr")]
pub mod page;

use crate::{
    public::sign_up::{NameInput, NameRules},
    ui::Note,
};
use leptos::prelude::*;

/// The name field of the landing page. Without JavaScript the sign-up page, which
/// it leads to, checks the name.
#[island]
pub fn NamePicker(
    /// The installation's base, shown behind the name.
    base: String,
    /// What is wrong with a malformed name.
    rules: NameRules,
) -> impl IntoView {
    view! {
        <form method="get" action="/sign-up" class="flex flex-wrap items-start gap-2.5">
            <div class="min-w-[230px] max-w-[340px] grow">
                <NameInput
                    base=base
                    typed=String::new()
                    rules=rules
                    initial=Note::Hint("3 to 32 letters, digits or hyphens".to_owned())
                    refused=Signal::stored(None)
                    large=true
                />
            </div>
            <button class="btn btn-p btn-lg">"Take this name"</button>
        </form>
    }
}
