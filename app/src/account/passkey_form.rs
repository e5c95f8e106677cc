//! A form that a passkey answers. `/passkey.js` asks the browser; without it, or in a browser
//! that has no passkeys, the form says so.

use crate::{
    context::{self, HostKind, RequestContext},
    cookies::{BROWSER, PENDING},
    forms::{self, AppError},
};
use domain::{ErrorCode, Failure, Message, Secret};
use leptos::prelude::*;

/// What the browser is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceremony {
    /// A new passkey.
    Register,
    /// A sign-in with a passkey alone.
    SignIn,
    /// The second step of a sign-in.
    SecondStep,
    /// A proof that the account's holder is there.
    Presence,
}

impl Ceremony {
    const ALL: [Self; 4] = [
        Self::Register,
        Self::SignIn,
        Self::SecondStep,
        Self::Presence,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::SignIn => "sign_in",
            Self::SecondStep => "second_step",
            Self::Presence => "presence",
        }
    }
}

/// Returns the sign-in of this browser that waits for its second step.
///
/// # Errors
/// `SignInExpired`.
pub fn waiting() -> Result<Secret, Failure> {
    let expired = || Failure::new(ErrorCode::SignInExpired, Message::SignInExpired);
    PENDING.get().map(Secret::new).ok_or_else(expired)
}

/// Returns what the browser is asked for: `PublicKeyCredentialCreationOptions` or
/// `PublicKeyCredentialRequestOptions` in JSON. Each is answered once.
///
/// # Errors
/// `NotFound` for another ceremony, and on the base, for which there are no passkeys; the
/// failures of `Account::begin_passkey`, `Account::presence_challenge`,
/// `Auth::passkey_challenge` and `Auth::second_step_challenge`.
#[server(prefix = "/do", endpoint = "passkey_options")]
pub async fn passkey_options(#[server(default)] ceremony: String) -> Result<String, AppError> {
    let asked = async {
        let context = RequestContext::current()?;
        let control = context::control()?;
        let mut all = Ceremony::ALL.into_iter();
        let ceremony = all.find(|c| c.as_str() == ceremony);
        let tenant = match &context.host {
            HostKind::Base => return Err(Failure::not_found()),
            HostKind::Tenant(name) => Some(name),
            HostKind::Operator => None,
        };
        match ceremony.ok_or_else(Failure::not_found)? {
            Ceremony::Register => {
                let account = context::enrolment()?;
                control.account().begin_passkey(&account).await
            }
            Ceremony::Presence => {
                let account = context::enrolment()?;
                control.account().presence_challenge(&account).await
            }
            Ceremony::SecondStep => {
                let client = context.client.clone();
                let auth = control.auth();
                auth.second_step_challenge(&waiting()?, client).await
            }
            Ceremony::SignIn => {
                let client = context.client.clone();
                let asked = control.auth().passkey_challenge(tenant, client).await?;
                BROWSER.set(asked.browser.expose());
                Ok(asked.options)
            }
        }
    };
    asked.await.map_err(|f| {
        forms::set_status(f.code);
        f.into()
    })
}

/// Renders the form. `action` takes the browser's answer as `answer`.
#[component]
pub fn PasskeyForm(
    ceremony: Ceremony,
    action: &'static str,
    /// The text of the button.
    submit: &'static str,
    class: &'static str,
    /// Fields that are sent along.
    #[prop(optional)]
    hidden: Vec<(&'static str, String)>,
    /// Inputs above the button.
    #[prop(optional)]
    inputs: Option<AnyView>,
) -> impl IntoView {
    let hidden = hidden.into_iter();
    let hidden = hidden.map(|(name, value)| view! { <input type="hidden" name=name value=value/> });
    view! {
        <form class="grid gap-3" method="post" action=action data-ceremony=ceremony.as_str()>
            <p class="s" data-without="">
                "Passkeys need a browser that has them, with scripts switched on."
            </p>
            <div class="grid gap-3" data-with="" hidden>
                {hidden.collect_view()}
                <input type="hidden" name="answer"/>
                {inputs}
                <p class="banner banner-bad" role="alert" hidden></p>
                <div>
                    <button class=class>{submit}</button>
                </div>
            </div>
        </form>
        <script src="/passkey.js" defer></script>
    }
}
