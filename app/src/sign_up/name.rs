//! The field for a tenant's name, which says while one types whether it can be
//! had. The landing page and the sign-up form share it.

#[cfg(feature = "ssr")]
use crate::forms::AppError;
use crate::{
    forms::send,
    ui::{Field, Note},
};
use domain::{Failure, TenantName};
use leptos::{html, prelude::*, task::spawn_local};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a pause in typing ends a name.
const PAUSE: Duration = Duration::from_millis(250);

/// What the server says of a name. "Taken" is an answer and not an error: a
/// person who tries names should not fill the browser's console with red.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// It can be had, and would be written so.
    Free(TenantName),
    /// It cannot: malformed, reserved or taken.
    Refused(Failure),
}

/// Whether a name can be had.
///
/// # Errors
/// Only where that cannot be told (the database, too many tries).
#[cfg(feature = "ssr")]
#[server(endpoint = "check_name", input = leptos::server_fn::codec::GetUrl)]
pub async fn check_name(name: String) -> Result<Checked, AppError> {
    match async { crate::context::control()?.check_name(&name).await }.await {
        Ok(name) => Ok(Checked::Free(name)),
        Err(failure) if failure.field == Some(domain::Field::Name) => Ok(Checked::Refused(failure)),
        Err(failure) => {
            crate::forms::set_status(failure.code);
            Err(AppError(failure))
        }
    }
}

/// Asks the server of a name: of the form of one, so nothing in it needs encoding.
async fn asked(name: &str) -> Result<Checked, Failure> {
    let answer = send(format!("/api/check_name?name={name}"), None).await?;
    serde_json::from_str(&answer.text).map_err(|_| {
        // A server of another version.
        Failure::new(
            domain::ErrorCode::Internal,
            "Reload the page and try again.",
        )
    })
}

/// A labelled input for the name with the base behind it.
#[component]
pub fn NameInput(
    /// The installation's base.
    base: String,
    /// What was typed before.
    typed: String,
    /// What stands below before anything is typed here.
    first: Note,
    /// What the form's last answer says of the name.
    refused: Signal<Option<String>>,
    /// As large as on the landing page, with the label for screen readers only.
    #[prop(optional)]
    large: bool,
) -> impl IntoView {
    // What typing led to; None until then and again after the form's answer.
    let said = RwSignal::new(None::<Note>);
    // Counts what was typed: an answer to anything but the newest is dropped.
    let newest = StoredValue::new(0u32);
    Effect::new(move |_| {
        refused.track();
        said.set(None);
    });
    let note = Signal::derive(move || {
        said.get()
            .or_else(|| refused.get().map(Note::Bad))
            .unwrap_or_else(|| first.clone())
    });

    let check = move |typed: String| {
        let turn = newest.get_value().wrapping_add(1);
        newest.set_value(turn);
        let name = match TenantName::parse(&typed) {
            Ok(name) => String::from(name),
            Err(failure) => {
                // Too short is no mistake yet while somebody types.
                let short = typed.trim().len() < TenantName::MIN;
                said.set(Some(if short {
                    Note::Hint(failure.sentence)
                } else {
                    Note::Bad(failure.sentence)
                }));
                return;
            }
        };
        let current = move || newest.try_get_value() == Some(turn);
        let ask = move || {
            if !current() {
                return;
            }
            said.set(Some(Note::Hint(format!(
                "Looking whether {name} is free …"
            ))));
            spawn_local(async move {
                let answer = asked(&name).await;
                if current() {
                    said.set(Some(match answer {
                        Ok(Checked::Free(name)) => Note::Good(format!("{name} is free")),
                        Ok(Checked::Refused(failure)) | Err(failure) => Note::Bad(failure.sentence),
                    }));
                }
            });
        };
        set_timeout(ask, PAUSE);
    };

    // What was typed before the script came is checked too.
    let input = NodeRef::<html::Input>::new();
    let before = typed.clone();
    Effect::new(move |_| {
        if let Some(typed) = input.get().map(|i| i.value()).filter(|t| *t != before) {
            check(typed);
        }
    });

    let suffix = format!(".{base}");
    view! {
        <div class=if large { "name-large" } else { "" }>
            <Field id="name" label="Name" note=note>
                <span class=if large { "field field-lg field-row" } else { "field field-row" } dir="ltr">
                    <input
                        id="name"
                        node_ref=input
                        type="text"
                        name="name"
                        value=typed
                        autocomplete="username"
                        autocapitalize="none"
                        spellcheck="false"
                        required
                        maxlength="40"
                        aria-describedby="name-note"
                        aria-invalid=move || note.with(Note::is_bad).to_string()
                        on:input=move |event| check(event_target_value(&event))
                    />
                    <span class="suffix" aria-hidden="true">{suffix}</span>
                </span>
            </Field>
        </div>
    }
}
