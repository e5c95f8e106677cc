//! The dialog that confirms the deletion of a device. Without JavaScript the link
//! leads to a page that asks the same.

use super::{endpoints::DELETE_DEVICE, table_state::TableState};
use crate::forms::send;
use domain::ErrorCode;
use leptos::{html, prelude::*, task::spawn_local};

/// What deleting means.
pub const EXPLANATION: &str = "It is off the network at once, and its code and file stop working. \
                           This cannot be undone; add it again to get a new code.";

/// The dialog. It opens when `table.pending_delete` names a device.
#[component]
pub fn ConfirmDelete(
    table: TableState,
    /// The element that takes the focus once the row is removed.
    heading: NodeRef<html::H2>,
) -> impl IntoView {
    let dialog = NodeRef::<html::Dialog>::new();
    let busy = RwSignal::new(false);
    let error = RwSignal::new(None::<String>);
    let name = move || {
        table
            .pending_delete
            .with(|d| d.as_ref().map(|(_, label)| label.clone()))
    };
    Effect::new(move |_| {
        let requested = table.pending_delete.with(Option::is_some);
        let Some(dialog) = dialog.get() else { return };
        if requested && !dialog.open() {
            error.set(None);
            // Fails only if it is open already.
            let _ = dialog.show_modal();
        } else if !requested && dialog.open() {
            dialog.close();
        }
    });
    let delete = move |_| {
        let Some(id) = table
            .pending_delete
            .with_untracked(|d| d.as_ref().map(|(id, _)| *id))
        else {
            return;
        };
        busy.set(true);
        spawn_local(async move {
            match send(DELETE_DEVICE.to_owned(), Some(format!("id={id}"))).await {
                Ok(_) => table.error.set(None),
                // It is deleted but not yet disconnected everywhere.
                Err(failure) if failure.code == ErrorCode::NotYetInForce => {
                    table.error.set(Some(failure.message));
                }
                Err(failure) => {
                    error.set(Some(failure.message));
                    busy.set(false);
                    return;
                }
            }
            // The dialog closes first: nothing behind an open dialog takes the focus.
            if let Some(dialog) = dialog.get_untracked() {
                dialog.close();
            }
            table.live.remove_device(id);
            if let Some(heading) = heading.get_untracked() {
                // The row that had the focus is removed.
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
            on:close=move |_| table.pending_delete.set(None)
        >
            <div class="grid gap-3 p-5">
                <h2 id="delete-title">"Delete " <bdi>{name}</bdi> "?"</h2>
                <p class="s" id="delete-meaning">{EXPLANATION}</p>
                <p class="text-bad empty:hidden" role="alert">{error}</p>
                <div class="row justify-end">
                    <button
                        type="button"
                        class="btn"
                        autofocus
                        on:click=move |_| table.pending_delete.set(None)
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
