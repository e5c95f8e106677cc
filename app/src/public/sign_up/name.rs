//! The field for a tenant's name, which shows while typing whether the name is
//! available. The landing page and the sign-up form share it.

#[cfg(feature = "ssr")]
use crate::forms::AppError;
use crate::{
    forms::{Refusal, send},
    ui::{Field, Note},
};
use domain::{NameError, TenantName};
use leptos::{html, prelude::*, task::spawn_local};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The pause in typing after which the server is asked.
const TYPING_PAUSE: Duration = Duration::from_millis(250);

/// The server's answer about a name. "Taken" is not an error: a user who tries
/// names should not fill the browser's console with failed requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameAvailability {
    /// The name is available, in this normal form.
    Free(TenantName),
    /// The name is malformed, reserved or taken.
    Refused(Refusal),
}

/// What is wrong with a malformed name, rendered: the script shows it while the name
/// is typed, without asking the server. A reserved name is the server's to refuse.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameRules {
    empty: String,
    too_long: String,
    too_short: String,
    characters: String,
    hyphen: String,
    third_hyphens: String,
}

impl NameRules {
    /// Renders the rules in the language of the current request. It is called before
    /// anything is awaited.
    #[cfg(feature = "ssr")]
    pub fn here() -> Self {
        let texts = crate::context::texts();
        let text = |e: NameError| texts.message(&e.message());
        Self {
            empty: text(NameError::Empty),
            too_long: text(NameError::TooLong),
            too_short: text(NameError::TooShort),
            characters: text(NameError::Characters),
            hyphen: text(NameError::Hyphen),
            third_hyphens: text(NameError::ThirdHyphens),
        }
    }

    /// Returns the text for a rule that a name breaks; `None` for a reserved name.
    fn text(&self, e: &NameError) -> Option<&str> {
        Some(match e {
            NameError::Empty => &self.empty,
            NameError::TooLong => &self.too_long,
            NameError::TooShort => &self.too_short,
            NameError::Characters => &self.characters,
            NameError::Hyphen => &self.hyphen,
            NameError::ThirdHyphens => &self.third_hyphens,
            NameError::Reserved(_) => return None,
        })
    }
}

/// Returns whether a name is available.
///
/// # Errors
/// The failures of `Tenants::answer_name_check` that are not about the name, for example
/// a database that does not answer.
#[cfg(feature = "ssr")]
#[server(prefix = "/do", endpoint = "check_name", input = leptos::server_fn::codec::GetUrl)]
pub async fn check_name(name: String) -> Result<NameAvailability, AppError> {
    let answer = async {
        let from = crate::context::RequestContext::with(|c| c.from)?;
        let control = crate::context::control()?;
        control.tenants().answer_name_check(&name, from).await
    };
    match answer.await {
        Ok(name) => Ok(NameAvailability::Free(name)),
        Err(failure) if failure.field == Some(domain::Field::Name) => {
            Ok(NameAvailability::Refused(Refusal::here(&failure)))
        }
        Err(failure) => {
            crate::forms::set_status(failure.code);
            Err(failure.into())
        }
    }
}

/// Asks the server about a well-formed name, in which nothing needs encoding.
async fn request_check(name: &str) -> Result<NameAvailability, Refusal> {
    let answer = send(format!("/do/check_name?name={name}"), None).await?;
    // Otherwise the server has another version.
    serde_json::from_str(&answer.text).map_err(|_| Refusal {
        code: domain::ErrorCode::Internal,
        field: None,
        message: "Reload the page and try again.".to_owned(),
    })
}

/// A labelled input for the name with the base behind it.
#[component]
pub fn NameInput(
    /// The installation's base.
    base: String,
    /// The name as typed before.
    typed: String,
    /// What is wrong with a malformed name.
    rules: NameRules,
    /// The note before anything is typed.
    initial: Note,
    /// The message about the name in the form's last answer.
    refused: Signal<Option<String>>,
    /// Whether it is large, with the label for screen readers only: on the landing
    /// page.
    #[prop(optional)]
    large: bool,
) -> impl IntoView {
    let rules = StoredValue::new(rules);
    // The result of typing; `None` before typing and after an answer to the form.
    let typing_note = RwSignal::new(None::<Note>);
    // The number of the newest input: answers about older inputs are dropped.
    let newest = StoredValue::new(0u32);
    Effect::new(move |_| {
        refused.track();
        typing_note.set(None);
    });
    let note = Signal::derive(move || {
        typing_note
            .get()
            .or_else(|| refused.get().map(Note::Bad))
            .unwrap_or_else(|| initial.clone())
    });

    let check = move |typed: String| {
        let number = newest.get_value().wrapping_add(1);
        newest.set_value(number);
        let name = match TenantName::parse(&typed) {
            Ok(name) => String::from(name),
            Err(NameError::Reserved(name)) => name,
            Err(e) => {
                let text = rules.with_value(|r| r.text(&e).unwrap_or_default().to_owned());
                // While the user is typing, a short name is not an error yet.
                let too_short = typed.trim().len() < TenantName::MIN;
                typing_note.set(Some(if too_short {
                    Note::Hint(text)
                } else {
                    Note::Bad(text)
                }));
                return;
            }
        };
        let current = move || newest.try_get_value() == Some(number);
        let ask = move || {
            if !current() {
                return;
            }
            typing_note.set(Some(Note::Hint(format!(
                "Checking whether {name} is free …"
            ))));
            spawn_local(async move {
                let answer = request_check(&name).await;
                if current() {
                    typing_note.set(Some(match answer {
                        Ok(NameAvailability::Free(name)) => Note::Good(format!("{name} is free")),
                        Ok(NameAvailability::Refused(failure)) | Err(failure) => {
                            Note::Bad(failure.message)
                        }
                    }));
                }
            });
        };
        set_timeout(ask, TYPING_PAUSE);
    };

    // A name that was typed before the script was loaded is checked too.
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
