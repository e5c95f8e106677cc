//! The dialog that asks once before a device is deleted. Without JavaScript
//! the link leads to a page that asks the same.

use super::{DELETE, table::Desk};
use crate::forms::send;
use domain::ErrorCode;
use leptos::{html, prelude::*, task::spawn_local};

/// What deleting means, in a sentence.
pub const MEANING: &str = "It is off the network at once, and its code and file stop working. \
                           This cannot be undone; add it again to get a new code.";

/// The dialog. It opens when `desk.doomed` names a device.
#[component]
pub fn ConfirmDelete(
    /// What the rows share.
    desk: Desk,
    /// Where the focus goes once the row is gone.
    heading: NodeRef<html::H2>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let busy = RwSignal::new(false);
    let failed = RwSignal::new(None::<String>);
    let name = move || {
        desk.doomed
            .with(|d| d.as_ref().map(|(_, label)| label.clone()))
    };
    Effect::new(move |_| {
        let asked = desk.doomed.with(Option::is_some);
        let Some(dialog) = dialog.get() else { return };
        if asked && !dialog.open() {
            failed.set(None);
            // Fails only where it is open already.
            let _ = dialog.show_modal();
        } else if !asked && dialog.open() {
            dialog.close();
        }
    });
    let delete = move |_| {
        let Some(id) = desk
            .doomed
            .with_untracked(|d| d.as_ref().map(|(id, _)| *id))
        else {
            return;
        };
        busy.set(true);
        spawn_local(async move {
            match send(DELETE.to_owned(), Some(format!("id={id}"))).await {
                Ok(_) => desk.error.set(None),
                // It is deleted, only not yet cut off everywhere.
                Err(failure) if failure.code == ErrorCode::NotYetInForce => {
                    desk.error.set(Some(failure.sentence));
                }
                Err(failure) => {
                    failed.set(Some(failure.sentence));
                    busy.set(false);
                    return;
                }
            }
            // First: behind an open dialog nothing takes the focus.
            if let Some(dialog) = dialog.get_untracked() {
                dialog.close();
            }
            desk.live.remove(id);
            if let Some(heading) = heading.get_untracked() {
                // The row that had the focus is gone.
                let _ = heading.focus();
            }
            busy.set(false);
        });
    };
    view! {
        <dialog
            class="dialog m-auto w-[min(440px,calc(100vw-28px))] backdrop:bg-[#0006]"
            aria-labelledby="delete-title"
            aria-describedby="delete-meaning"
            node_ref=dialog
            on:close=move |_| desk.doomed.set(None)
        >
            <div class="grid gap-3 p-5">
                <h2 id="delete-title">"Delete " <bdi>{name}</bdi> "?"</h2>
                <p class="s" id="delete-meaning">{MEANING}</p>
                <p class="text-bad empty:hidden" role="alert">{failed}</p>
                <div class="row justify-end">
                    <button
                        type="button"
                        class="btn"
                        autofocus
                        on:click=move |_| desk.doomed.set(None)
                    >
                        "Keep it"
                    </button>
                    <button
                        type="button"
                        class="btn btn-pd"
                        disabled=busy
                        aria-busy=move || busy.get().to_string()
                        on:click=delete
                    >
                        <span class="spinner" aria-hidden="true"></span>
                        "Delete"
                    </button>
                </div>
            </div>
        </dialog>
    }
}
