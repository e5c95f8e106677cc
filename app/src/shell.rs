//! The HTML document around every page, and the routes with what each host shows
//! under them.

use crate::{
    account,
    context::{HostKind, RequestContext},
    devices, errors, events,
    head::Head,
    mesh, operator, overview,
    public::{forgot, landing, privacy, progress, recover, reset, sign_in, sign_up, verify_mail},
    ui::format::escape,
};
use axum::http::{HeaderName, HeaderValue, header};
use leptos::{nonce::use_nonce, prelude::*};
use leptos_meta::{MetaTags, Title, provide_meta_context};
use leptos_router::{
    SsrMode,
    components::{Route, Router, Routes},
    path,
};

/// Returns the HTML document. `/theme.js` is first and blocks rendering: it sets
/// the chosen theme before anything is painted. It is a file because the page's
/// policy allows no inline script except Leptos' own, which has a nonce.
pub fn shell(head: &Head) -> impl IntoView + use<> {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <meta name="referrer" content="same-origin"/>
                <script src="/theme.js"></script>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                {head.html()}
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// Returns the policy of every page: no other origins, no inline style, no inline
/// script except Leptos' own by its nonce. `form-action` names the installation's
/// hosts because Chromium applies it to redirects too: a sign-up or sign-in leads
/// to the tenant's host, a deleted account to the base.
pub fn content_security_policy(nonce: &str, context: Option<&RequestContext>) -> String {
    let tenants = context.map_or(String::new(), |c| {
        format!(" {0}://*.{1} {0}://{1}", c.scheme, c.base)
    });
    format!(
        "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'wasm-unsafe-eval'; \
         style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; \
         manifest-src 'self'; form-action 'self'{tenants}; base-uri 'none'; \
         frame-ancestors 'none'"
    )
}

/// Sets the policy on the answer. It is set here because the nonce is created by
/// the render and not known outside it.
fn set_policy() {
    let (Some(response), Some(nonce)) =
        (use_context::<leptos_axum::ResponseOptions>(), use_nonce())
    else {
        return;
    };
    let policy = RequestContext::with(|c| content_security_policy(&nonce, Some(c)))
        .unwrap_or_else(|_| content_security_policy(&nonce, None));
    if let Ok(value) = HeaderValue::from_str(&policy) {
        response.insert_header(header::CONTENT_SECURITY_POLICY, value);
    }
    // A page shows one account's current data.
    response.insert_header(
        HeaderName::from_static("cache-control"),
        HeaderValue::from_static("no-store"),
    );
}

/// Returns the host of this request, `None` outside a request.
fn host() -> Option<HostKind> {
    RequestContext::with(|c| c.host.clone()).ok()
}

/// Renders `/` on each host.
#[component]
fn Home() -> impl IntoView {
    match host() {
        Some(HostKind::Base) => view! { <landing::page::LandingPage/> }.into_any(),
        Some(HostKind::Tenant(_)) => view! { <overview::OverviewPage/> }.into_any(),
        Some(HostKind::Operator) => view! { <operator::page::OperatorPage/> }.into_any(),
        None => view! { <errors::page::NotFound/> }.into_any(),
    }
}

/// Renders `/sign-in` on each host.
#[component]
fn SignIn() -> impl IntoView {
    match host() {
        Some(HostKind::Base) => view! { <sign_in::page::SignInPage/> }.into_any(),
        Some(HostKind::Tenant(name)) => {
            view! { <sign_in::page::SignInPage name=name.as_str().to_owned()/> }.into_any()
        }
        Some(HostKind::Operator) => view! { <operator::page::OperatorSignIn/> }.into_any(),
        None => view! { <errors::page::NotFound/> }.into_any(),
    }
}

/// Restricts a page to one kind of host; on others it is not found.
macro_rules! only_on {
    ($pattern:pat, $page:path) => {
        || match host() {
            Some($pattern) => $page().into_any(),
            _ => view! { <errors::page::NotFound/> }.into_any(),
        }
    };
}

/// All pages. Every route is rendered completely (`SsrMode::Async`), so that status
/// and redirects are known before the first byte and no content waits for a script.
#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    set_policy();
    view! {
        <Title formatter=|title: String| if title.is_empty() {
            "MalikNode".to_owned()
        } else {
            // Leptos does not escape it, and it may contain a label.
            format!("{} · MalikNode", escape(&title))
        }/>
        <operator::look::LookBanner/>
        <Router>
            <Routes fallback=|| view! { <errors::page::NotFound/> }>
                <Route path=path!("/") view=Home ssr=SsrMode::Async/>
                <Route path=path!("/sign-in") view=SignIn ssr=SsrMode::Async/>
                <Route
                    path=path!("/sign-in/code")
                    view=sign_in::second_step::SecondStepPage
                    ssr=SsrMode::Async
                />
                <Route path=path!("/recover") view=recover::RecoverPage ssr=SsrMode::Async/>
                <Route
                    path=path!("/reset")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, reset::ResetPage)
                    ssr=SsrMode::Async
                />
                <Route path=path!("/privacy") view=privacy::PrivacyPage ssr=SsrMode::Async/>
                <Route path=path!("/forgot") view=forgot::ForgotPage ssr=SsrMode::Async/>
                <Route
                    path=path!("/verify-mail")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, verify_mail::VerifyMailPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/sign-up")
                    view=only_on!(HostKind::Base, sign_up::page::SignUpPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/progress")
                    view=only_on!(HostKind::Tenant(_), progress::page::ProgressPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/devices")
                    view=only_on!(HostKind::Tenant(_), devices::DevicesPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/devices/new")
                    view=only_on!(HostKind::Tenant(_), devices::NewDevicePage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/devices/:id")
                    view=only_on!(HostKind::Tenant(_), devices::DevicePage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/devices/:id/delete")
                    view=only_on!(HostKind::Tenant(_), devices::DeleteDevicePage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/mesh")
                    view=only_on!(HostKind::Tenant(_), mesh::MeshPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/events")
                    view=only_on!(HostKind::Tenant(_), events::EventsPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/account")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, account::AccountPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/account/audit")
                    view=only_on!(HostKind::Tenant(_), account::audit::AuditPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/account/password")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, account::PasswordPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/account/mail")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, account::MailPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/account/two-step")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, account::TwoStepPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/account/passkeys")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, account::PasskeysPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/account/recovery-codes")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, account::RecoveryCodesPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/account/tokens/new")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, account::NewTokenPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/account/confirm")
                    view=only_on!(HostKind::Tenant(_) | HostKind::Operator, account::ConfirmPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/plans")
                    view=only_on!(HostKind::Operator, operator::plans::PlansPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/plans/new")
                    view=only_on!(HostKind::Operator, operator::plans::NewPlanPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/plans/:id")
                    view=only_on!(HostKind::Operator, operator::plans::EditPlanPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/plans/:id/confirm")
                    view=only_on!(HostKind::Operator, operator::plans::ConfirmPlanPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/sign-ups")
                    view=only_on!(HostKind::Operator, operator::sign_ups::SignUpsPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/mail")
                    view=only_on!(HostKind::Operator, operator::mail::MailPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/use")
                    view=only_on!(HostKind::Operator, operator::usage::UsePage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/welcome")
                    view=only_on!(HostKind::Operator, operator::welcome::WelcomePage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/audit")
                    view=only_on!(HostKind::Operator, operator::audit::AuditPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/checks")
                    view=only_on!(HostKind::Operator, operator::checks::ChecksPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/operators")
                    view=only_on!(HostKind::Operator, operator::operators::OperatorsPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/nodes")
                    view=only_on!(HostKind::Operator, operator::nodes::NodesPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/nodes/join")
                    view=only_on!(HostKind::Operator, operator::nodes::JoinPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/nodes/:id")
                    view=only_on!(HostKind::Operator, operator::nodes::NodePage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/tenants/:id/plan")
                    view=only_on!(HostKind::Operator, operator::tenant_plan::TenantPlanPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/tenants/:id/look")
                    view=only_on!(HostKind::Operator, operator::look::LookPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/tenants/:id/reset")
                    view=only_on!(HostKind::Operator, operator::reset_link::ResetLinkPage)
                    ssr=SsrMode::Async
                />
                <Route
                    path=path!("/tenants/:id/delete")
                    view=only_on!(HostKind::Operator, operator::page::DeleteTenantPage)
                    ssr=SsrMode::Async
                />
            </Routes>
        </Router>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_allows_forms_to_own_hosts_only() {
        let context = RequestContext {
            host: HostKind::Base,
            base: "localhost:8085".to_owned(),
            scheme: "http",
            tenant: None,
            look: None,
            operator: None,
            account: None,
            enrolment: None,
            privacy_notice: None,
            client: std::net::IpAddr::from([127, 0, 0, 1]).into(),
            from: [127, 0, 0, 1].into(),
        };
        let policy = content_security_policy("abc", Some(&context));
        assert!(
            policy.contains("form-action 'self' http://*.localhost:8085 http://localhost:8085;")
        );
        assert!(policy.contains("script-src 'self' 'nonce-abc' 'wasm-unsafe-eval';"));
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe-inline"));
    }
}
