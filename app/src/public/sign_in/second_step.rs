//! `/sign-in/code`: the second step of a sign-in, on every host that has a sign-in.

use super::{code_page::CODE_PAGE, passkey::PasskeyStep};
use crate::{
    account::{AccountForm, FormContent, Input},
    context::{self, HostKind, RequestContext},
    cookies::{BROWSER, PENDING},
    forms::{self, AppError},
    loader::load,
    ui::{Centered, Field as FormField, Note, TopError},
};
use control::WaitingSignIn;
use domain::{ErrorCode, Failure, Field, Message, Secret};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The value of `with` for a recovery code.
const RECOVERY: &str = "recovery";

/// Checks the code of a sign-in whose password was right, and redirects to the tenant's
/// own host. An operator's code is sent to a route of the server.
///
/// # Errors
/// The failures of `Auth::second_factor`.
#[server(prefix = "/do", endpoint = "second_step")]
pub async fn second_step(
    #[server(default)] code: String,
    #[server(default)] with: String,
) -> Result<(), AppError> {
    let done = async {
        let context = RequestContext::current()?;
        if context.host == HostKind::Operator {
            return Err(Failure::not_found());
        }
        let pending = PENDING.get().ok_or_else(expired)?;
        let client = context.client.clone();
        let ticket = context::control()?
            .auth()
            .second_factor(&Secret::new(pending), &code, client)
            .await?;
        Ok((context, ticket))
    };
    match done.await {
        Ok((context, ticket)) => {
            PENDING.remove();
            BROWSER.set(ticket.browser.expose());
            forms::hand_over(&context, &ticket, "/");
            Ok(())
        }
        Err(f) if f.code == ErrorCode::SignInExpired => {
            PENDING.remove();
            forms::redirect(&forms::url_with("/sign-in", &[("error", f.code.as_str())]));
            Ok(())
        }
        Err(f) => Err(forms::refuse(f, CODE_PAGE, &[("with", &with)])),
    }
}

fn expired() -> Failure {
    Failure::new(ErrorCode::SignInExpired, Message::SignInExpired)
}

/// Asks for the code of the authenticator app, a passkey or, with `?with=recovery`, a recovery
/// code. Without a sign-in that waits for it, the sign-in begins again.
#[component]
pub fn SecondStepPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    if PENDING.get().is_none() {
        forms::redirect("/sign-in");
    }
    let context = RequestContext::current();
    let control = context::control();
    let pending = PENDING.get().map(Secret::new);
    let is_recovery = query.get("with").as_deref() == Some(RECOVERY);
    load(async move {
        let (context, control) = (context?, control?);
        let waiting = match pending {
            Some(pending) => {
                let client = context.client.clone();
                control.auth().waiting_for(&pending, client).await
            }
            None => Err(expired()),
        };
        let waiting = match waiting {
            Ok(waiting) => waiting,
            Err(f) if f.code == ErrorCode::SignInExpired => {
                forms::redirect(&forms::url_with("/sign-in", &[("error", f.code.as_str())]));
                return Ok(().into_any());
            }
            Err(f) => return Err(f),
        };
        Ok::<_, Failure>(step(&context, &waiting, is_recovery, failure))
    })
}

/// The page of a sign-in that waits: by a passkey, a code of the app, or a recovery code.
fn step(
    context: &RequestContext,
    waiting: &WaitingSignIn,
    is_recovery: bool,
    failure: Option<forms::Refusal>,
) -> AnyView {
    let is_operator = context.host == HostKind::Operator;
    let asks_code = is_recovery || waiting.has_totp;
    let (input, label) = match is_recovery {
        true => (Input::RecoveryCode, "Recovery code"),
        false => (Input::Code, "Code"),
    };
    let with = if is_recovery { RECOVERY } else { "" };
    let form = if !asks_code {
        let error = failure.map(|f| f.message);
        view! { <TopError message=Signal::stored(error)/> }.into_any()
    } else if is_operator {
        let error = failure.map(|f| f.message);
        view! { <OperatorForm with=with label=label error=error/> }.into_any()
    } else {
        let asked = FormContent {
            action: "/do/second_step".to_owned(),
            inputs: vec![(input, label.to_owned())],
            hidden: vec![("with".to_owned(), with.to_owned())],
            submit: "Sign in".to_owned(),
            waiting: "Signing in …".to_owned(),
            is_danger: false,
            name: String::new(),
        };
        view! { <AccountForm asked=asked failure=failure/> }.into_any()
    };
    let passkey = (waiting.has_passkey && !is_recovery).then(|| match &context.host {
        // A passkey is for the account's own host alone.
        HostKind::Base => {
            let href = context.url(&waiting.name, "/sign-in");
            view! {
                <p class="s">
                    "Your passkey works at your own address: "
                    <a class="link" href=href>"sign in there"</a> "."
                </p>
            }
            .into_any()
        }
        HostKind::Tenant(_) | HostKind::Operator => view! { <PasskeyStep/> }.into_any(),
    });
    let explanation = match (is_recovery, waiting.has_totp) {
        (true, _) => "One of the recovery codes that you saved.",
        (false, true) => "Open your authenticator app and type the code that it shows.",
        (false, false) => "Your password is right. Now a passkey is needed.",
    };
    let (href, other) = match is_recovery {
        true => (
            CODE_PAGE.to_owned(),
            "Use your authenticator app or a passkey",
        ),
        false => (
            format!("{CODE_PAGE}?with={RECOVERY}"),
            "Use a recovery code instead",
        ),
    };
    let lost = match is_operator {
        true => {
            "Lost both? Another owner can make a link for you, or \u{201c}maliknode operator reset\u{201d} on the server."
        }
        false => "Lost your phone and your recovery codes? Ask your provider for a reset link.",
    };
    view! {
        <Centered title="Second step">
            <div>
                <h1 class="text-2xl">"Second step"</h1>
                <p class="s">{explanation}</p>
            </div>
            {form}
            {passkey}
            <p class="s"><a class="link" href=href>{other}</a></p>
            <p class="s">{lost}</p>
            <p class="s"><a class="link" href="/sign-in">"Begin again"</a></p>
        </Centered>
    }
    .into_any()
}

/// An operator's form is a plain one: it is sent to a route of the server, which creates
/// the session.
#[component]
fn OperatorForm(with: &'static str, label: &'static str, error: Option<String>) -> impl IntoView {
    let is_recovery = with == RECOVERY;
    view! {
        <form method="post" action="/operator/sign-in/code" class="grid gap-4">
            <TopError message=Signal::stored(error)/>
            <input type="hidden" name="with" value=with/>
            <FormField id=crate::forms::field_name(Field::Code) label=label note=Signal::stored(Note::None)>
                <input
                    id="code"
                    class="field field-lg code"
                    type="text"
                    name="code"
                    inputmode=if is_recovery { "text" } else { "numeric" }
                    autocomplete=if is_recovery { "off" } else { "one-time-code" }
                    autocapitalize="none"
                    spellcheck="false"
                    dir="ltr"
                    required
                    maxlength="32"
                    aria-describedby="code-note"
                />
            </FormField>
            <div>
                <button class="btn btn-p">"Sign in"</button>
            </div>
        </form>
    }
}
