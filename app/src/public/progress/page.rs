//! The progress page, on a tenant's host.

use super::Progress;
use crate::{
    account::recovery_codes::{self, Codes},
    context::{self, RequestContext},
    loader::load,
    ui::Centered,
};
use domain::{ErrorCode, Failure};
use leptos::prelude::*;

/// Renders `/progress`. Without JavaScript the page reloads each second until a
/// device can be added. An account that has no recovery codes yet gets them here, where
/// nothing waits for them.
#[component]
pub fn ProgressPage() -> impl IntoView {
    let texts = context::texts();
    let ready = context::control()
        .and_then(|c| Ok((c, context::tenant_view()?, RequestContext::current()?.base)));
    // An operator who looks in has none here.
    let account = context::account().ok();
    let shown = ready.is_ok().then(recovery_codes::shown).flatten();
    load(async move {
        let (control, scope, base) = ready?;
        let codes = match (shown, &account) {
            (None, Some(account)) => first_codes(&control, account).await?,
            (shown, _) => shown,
        };
        let progress = control.tenants().progress(&scope).await?;
        let progress = progress.map_problems(|p| texts.tenant_problem(&p));
        let refresh = super::usable(&progress).is_none().then(|| {
            view! {
                <noscript>
                    <meta http-equiv="refresh" content="1"/>
                </noscript>
            }
        });
        let name = progress.name.clone();
        let code_name = name.clone();
        Ok::<_, Failure>(view! {
            {refresh}
            <Centered title="Making your network">
                <div>
                    <h1 class="text-2xl" dir="ltr">
                        "Making " <span class="text-accent">{name}</span> {format!(".{base}")}
                    </h1>
                    <p class="s">
                        "About a second. You can close this page; the work continues without it."
                    </p>
                </div>
                <Progress initial=progress/>
                {codes.map(|codes| view! { <Codes codes=codes name=code_name is_first=true/> })}
                <p class="s">
                    <a class="link" href="/">"To the overview"</a>
                </p>
            </Centered>
        })
    })
}

/// Makes the recovery codes of an account that never had some, right after its sign-up.
async fn first_codes(
    control: &control::Control,
    account: &control::AccountScope,
) -> Result<Option<Vec<String>>, Failure> {
    let handle = control.account();
    let security = handle.security(account).await?;
    let is_due = security.recovery_codes_made.is_none() && security.present_until.is_some();
    if !is_due {
        return Ok(None);
    }
    match handle.new_recovery_codes(account).await {
        Ok(codes) => {
            recovery_codes::show_next(&codes);
            let codes = codes.0.iter().map(|code| code.expose().to_owned());
            Ok(Some(codes.collect()))
        }
        // The ten minutes ended meanwhile; the account's page offers them.
        Err(f) if f.code == ErrorCode::PresenceNeeded => Ok(None),
        Err(f) => Err(f),
    }
}
