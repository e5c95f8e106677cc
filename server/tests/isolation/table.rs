//! Who may reach what. The test compares it with what is served.

use axum::http::Method;

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everybody: it tells nothing of anybody.
    Anybody,
    /// The tenant, on the tenant's host.
    Tenant,
    /// Everybody, to sign out.
    Leaving,
    /// The operator, on the operator's host.
    Operator,
    /// Everybody, on the operator's host.
    OperatorSignIn,
}

/// A route with what it needs to be more than a malformed request.
#[derive(Clone, Debug)]
pub struct Route {
    pub method: Method,
    /// As it is registered.
    pub path: &'static str,
    /// As it is asked.
    pub url: String,
    pub body: String,
    pub reach: Reach,
}

impl Route {
    /// Whether strangers may ask it on this host.
    pub fn is_open_to(&self, host: &str, operator: bool) -> bool {
        match self.reach {
            Reach::Anybody | Reach::Leaving => true,
            // `/` and `/sign-in` are pages of every host.
            Reach::Tenant => {
                self.path == "/" && (!host.starts_with("alice.") && !host.starts_with("admin."))
            }
            Reach::Operator => operator && host.starts_with("admin."),
            Reach::OperatorSignIn => host.starts_with("admin."),
        }
    }

    /// Whether nothing works after it.
    pub fn is_the_end(&self) -> bool {
        self.path == "/sign-out"
            || self.path == "/api/delete_account"
            || self.path == "/api/operator_delete_tenant"
    }

    /// Whether it refuses everybody who comes without the right words.
    pub fn is_a_refusal_by_itself(&self) -> bool {
        matches!(
            self.path,
            "/api/sign_in" | "/api/sign_up" | "/arrive" | "/operator/sign-in"
        )
    }
}

/// Every route. `device` and `tenant` are the victim's.
pub fn table(device: &str, name: &str, tenant: &str) -> Vec<Route> {
    use Reach::{Anybody, Leaving, Operator, OperatorSignIn, Tenant};
    let rows: Vec<(Method, &'static str, String, Reach)> = vec![
        // Pages.
        (Method::GET, "/", String::new(), Tenant),
        (Method::GET, "/sign-in", String::new(), Anybody),
        (Method::GET, "/sign-up", String::new(), Anybody),
        (Method::GET, "/progress", String::new(), Tenant),
        (Method::GET, "/devices", String::new(), Tenant),
        (Method::GET, "/devices/new", String::new(), Tenant),
        (Method::GET, "/devices/{id}", String::new(), Tenant),
        (Method::GET, "/devices/{id}/delete", String::new(), Tenant),
        (Method::GET, "/mesh", String::new(), Tenant),
        (Method::GET, "/events", String::new(), Tenant),
        (Method::GET, "/account", String::new(), Tenant),
        (Method::GET, "/tenants/{id}/delete", String::new(), Operator),
        // Routes beside the pages.
        (Method::GET, "/arrive", String::new(), Anybody),
        (
            Method::POST,
            "/operator/sign-in",
            "name=admin&password=wrong".into(),
            OperatorSignIn,
        ),
        (Method::POST, "/sign-out", String::new(), Leaving),
        (Method::GET, "/devices/{id}/config", String::new(), Tenant),
        (Method::GET, "/dns/open", String::new(), Tenant),
        (Method::GET, "/live", String::new(), Tenant),
        (Method::GET, "/progress/live", String::new(), Tenant),
        // Server functions.
        (
            Method::POST,
            "/api/sign_up",
            "name=ab&password=x&plan=none".into(),
            Anybody,
        ),
        (
            Method::POST,
            "/api/sign_in",
            format!("name={name}&password=wrong"),
            Anybody,
        ),
        (
            Method::GET,
            "/api/check_name",
            "name=free-name".into(),
            Anybody,
        ),
        (
            Method::POST,
            "/api/add_device",
            "label=planted&routing=everything&policy=standard&mesh=on".into(),
            Tenant,
        ),
        (
            Method::POST,
            "/api/change_device",
            format!("id={device}&label=changed&policy=off"),
            Tenant,
        ),
        (
            Method::POST,
            "/api/set_device",
            format!("id={device}&policy=off&mesh=off"),
            Tenant,
        ),
        (
            Method::POST,
            "/api/delete_device",
            format!("id={device}"),
            Tenant,
        ),
        (
            Method::POST,
            "/api/delete_account",
            format!("name={name}"),
            Tenant,
        ),
        (
            Method::POST,
            "/api/suspend_tenant",
            format!("id={tenant}&suspended=true"),
            Operator,
        ),
        (
            Method::POST,
            "/api/operator_delete_tenant",
            format!("id={tenant}"),
            Operator,
        ),
    ];
    rows.into_iter()
        .map(|(method, path, body, reach)| {
            let id = if path.starts_with("/tenants") {
                tenant
            } else {
                device
            };
            let mut url = path.replace("{id}", id);
            if method == Method::GET && !body.is_empty() {
                url = format!("{url}?{body}");
            }
            Route {
                method,
                path,
                url,
                body,
                reach,
            }
        })
        .collect()
}
