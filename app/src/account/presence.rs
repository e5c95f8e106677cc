//! `/account/confirm`: a proof that the account's holder is there, before what must not
//! be done by a browser that was left open. The act that asked for it goes on then.

use super::{
    form::{AccountForm, FormContent, Input},
    passkey_form::{Ceremony, PasskeyForm},
};
use crate::{
    account::area::Area,
    context,
    forms::{self, AppError},
    loader::load,
    ui::PageHead,
};
use domain::{ErrorCode, Failure, Secret};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// What goes on with the proof. Anything else is a page to return to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    RemoveTotp,
    NewRecoveryCodes,
    DeleteAccount,
}

impl Act {
    const ALL: [Self; 3] = [
        Self::RemoveTotp,
        Self::NewRecoveryCodes,
        Self::DeleteAccount,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::RemoveTotp => "remove_two_step",
            Self::NewRecoveryCodes => "new_recovery_codes",
            Self::DeleteAccount => "delete_account",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|act| act.as_str() == text)
    }

    /// Returns what the page and its button say.
    const fn text(self) -> (&'static str, &'static str) {
        match self {
            Self::RemoveTotp => (
                "Two-step sign-in is switched off then.",
                "Switch two-step sign-in off",
            ),
            Self::NewRecoveryCodes => (
                "The former recovery codes stop working then.",
                "Make new recovery codes",
            ),
            Self::DeleteAccount => (
                "The account is deleted then, with its devices, keys and DNS filter. This \
                 cannot be undone.",
                "Delete the account for good",
            ),
        }
    }
}

/// Returns the path if it is one of the account's or the devices' pages: what asks for a
/// proof. No other address is returned to.
fn page_to_return_to(text: &str) -> &str {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_?=&.%+".contains(c);
    let is_ours = ["/account", "/devices/", "/tenants/"]
        .iter()
        .any(|p| text.starts_with(p));
    match is_ours && text.len() <= 256 && !text.contains("//") && text.chars().all(is_plain) {
        true => text,
        false => "/account",
    }
}

/// Ends a server function by asking for a proof, after which `page` is shown or, if
/// there is one, the act is done.
pub fn ask(page: &str, act: Option<Act>) {
    forms::redirect(&address(page, act));
}

/// Returns the address of the page that asks.
pub fn address(page: &str, act: Option<Act>) -> String {
    let act = act.map(|act| ("act", act.as_str()));
    let query: Vec<_> = std::iter::once(("to", page)).chain(act).collect();
    forms::url_with("/account/confirm", &query)
}

/// Ends a server function that may have needed a proof of presence: shows `then`, or
/// asks, or refuses on `page`.
pub fn finish(
    done: Result<(), Failure>,
    page: &str,
    act: Option<Act>,
    then: &str,
) -> Result<(), AppError> {
    match done {
        Ok(()) => forms::redirect(then),
        Err(f) if f.code == ErrorCode::PresenceNeeded => ask(page, act),
        Err(f) => return Err(forms::refuse(f, page, &[])),
    }
    Ok(())
}

/// Proves the presence of the account's holder, and goes on with the act.
///
/// # Errors
/// The failures of `Account::prove_presence` and of the act.
#[server(prefix = "/do", endpoint = "prove_presence")]
pub async fn prove_presence(
    #[server(default)] password: String,
    #[server(default)] code: String,
    #[server(default)] to: String,
    #[server(default)] act: String,
) -> Result<(), AppError> {
    let typed = [("to", to.as_str()), ("act", act.as_str())];
    let proved = async {
        let (control, account) = (context::control()?, context::enrolment()?);
        let from = context::RequestContext::with(|c| c.from)?;
        let code = Some(code.trim()).filter(|code| !code.is_empty());
        let password = Secret::new(password);
        control
            .account()
            .prove_presence(&account, &password, code, from)
            .await
    };
    proved
        .await
        .map_err(|f| forms::refuse(f, "/account/confirm", &typed))?;
    go_on(&to, Act::parse(&act)).await
}

/// Goes on with the act that asked for the proof, or returns to the page.
pub(super) async fn go_on(to: &str, act: Option<Act>) -> Result<(), AppError> {
    match act {
        Some(Act::RemoveTotp) => super::actions::remove_two_step().await,
        Some(Act::NewRecoveryCodes) => super::actions::make_recovery_codes().await,
        Some(Act::DeleteAccount) => super::actions::delete_now().await,
        None => {
            forms::redirect(page_to_return_to(to));
            Ok(())
        }
    }
}

/// Renders `/account/confirm?to=&act=`.
#[component]
pub fn ConfirmPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let ready = Area::enrolling();
    load(async move {
        let (control, account, area) = ready?;
        let security = control.account().security(&account).await?;
        let to = query.get("to").unwrap_or_default();
        let to = page_to_return_to(&to).to_owned();
        let act = query.get("act").and_then(|act| Act::parse(&act));
        let (explanation, submit) = match act {
            Some(act) => act.text(),
            None => (
                "The next page shows or changes what protects your account.",
                "Continue",
            ),
        };
        let mut inputs = vec![(Input::Password, "Your password".to_owned())];
        let by_passkey = (!security.passkeys.is_empty()).then(|| {
            let act = act.map_or("", Act::as_str).to_owned();
            view! {
                <PasskeyForm
                    ceremony=Ceremony::Presence
                    action="/do/prove_presence_by_passkey"
                    submit="Use a passkey"
                    class="btn"
                    hidden=vec![("to", to.clone()), ("act", act)]
                />
            }
        });
        if security.has_second_factor() {
            inputs.push((Input::AnyCode, "Code".to_owned()));
        }
        let asked = FormContent {
            action: "/do/prove_presence".to_owned(),
            inputs,
            hidden: vec![
                ("to".to_owned(), to),
                (
                    "act".to_owned(),
                    act.map_or(String::new(), |act| act.as_str().to_owned()),
                ),
            ],
            submit: submit.to_owned(),
            waiting: "Checking …".to_owned(),
            is_danger: act == Some(Act::DeleteAccount),
            name: security.name,
        };
        Ok::<_, Failure>(area.page(
            "Is it you?",
            view! {
                <PageHead title="Is it you?"/>
                <section class="card grid max-w-[520px] gap-4 p-[22px] max-md:p-4" aria-label="Proof">
                    <p class="s">
                        {explanation}
                        " Your password is needed once more; you are not asked again for ten minutes."
                    </p>
                    <AccountForm asked=asked failure=failure/>
                    {by_passkey}
                    <p><a class="link s" href="/account">"Cancel"</a></p>
                </section>
            },
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_leads_to_a_page_of_the_account_only() {
        for page in [
            "/account/two-step",
            "/devices/7?show=1",
            "/tenants/7/look",
            "/account",
        ] {
            assert_eq!(page_to_return_to(page), page);
        }
        for other in [
            "",
            "/",
            "//evil.example",
            "https://evil.example/account",
            "/account//evil.example",
            "/account\\evil",
            "/account\r\nX: y",
            "/do/delete_account",
        ] {
            assert_eq!(page_to_return_to(other), "/account", "{other:?}");
        }
        for act in Act::ALL {
            assert_eq!(Act::parse(act.as_str()), Some(act));
        }
    }
}
