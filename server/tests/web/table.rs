//! All routes, and who may reach them. A test compares the table with the router.

use axum::http::Method;

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everyone: it reveals nothing about a tenant.
    Public,
    /// The tenant, on the tenant's host.
    Tenant,
    /// Everyone, to sign out.
    SignOut,
    /// The operator, on the operator's host.
    Operator,
    /// Everyone, on the operator's host.
    OperatorSignIn,
}

/// A route, with a well-formed request to it.
#[derive(Clone, Debug)]
pub struct Route {
    pub method: Method,
    /// As the router has it.
    pub path: &'static str,
    /// As it is requested.
    pub url: String,
    pub body: String,
    pub reach: Reach,
}

impl Route {
    /// Returns whether strangers may request it on this host.
    pub fn is_open_to(&self, host: &str, operator: bool) -> bool {
        match self.reach {
            Reach::Public | Reach::SignOut => true,
            // `/` and `/sign-in` are pages of every host.
            Reach::Tenant => {
                self.path == "/" && (!host.starts_with("alice.") && !host.starts_with("admin."))
            }
            Reach::Operator => operator && host.starts_with("admin."),
            Reach::OperatorSignIn => host.starts_with("admin."),
        }
    }

    /// Returns whether the session ends with it.
    pub fn ends_the_session(&self) -> bool {
        self.path == "/sign-out"
            || self.path == "/do/delete_account"
            || self.path == "/do/operator_delete_tenant"
    }

    /// Returns whether it refuses everyone without the right password or ticket.
    pub fn refuses_wrong_credentials(&self) -> bool {
        matches!(
            self.path,
            "/do/sign_in" | "/do/sign_up" | "/arrive" | "/operator/sign-in"
        )
    }
}

/// Returns the body of a plan's form.
pub fn plan(id: &str, name: &str, devices: &str) -> String {
    format!(
        "id={id}&name={name}&devices={devices}&data=1.5&data_unit=TB&down=200&down_unit=Mb/s\
         &up=&up_unit=Mb/s&at_limit=slow&slow=1&slow_unit=Mb/s&month_day=1&visible=on"
    )
}

/// Returns every route. `device` and `tenant` are the victim's ids.
pub fn table(device: &str, name: &str, tenant: &str) -> Vec<Route> {
    use Reach::{Operator, OperatorSignIn, Public, SignOut, Tenant};
    let rows: Vec<(Method, &'static str, String, Reach)> = vec![
        // Pages.
        (Method::GET, "/", String::new(), Tenant),
        (Method::GET, "/sign-in", String::new(), Public),
        (Method::GET, "/sign-up", String::new(), Public),
        (Method::GET, "/progress", String::new(), Tenant),
        (Method::GET, "/devices", String::new(), Tenant),
        (Method::GET, "/devices/new", String::new(), Tenant),
        (Method::GET, "/devices/{id}", String::new(), Tenant),
        (Method::GET, "/devices/{id}/delete", String::new(), Tenant),
        (Method::GET, "/mesh", String::new(), Tenant),
        (Method::GET, "/events", String::new(), Tenant),
        (Method::GET, "/account", String::new(), Tenant),
        (Method::GET, "/tenants/{id}/delete", String::new(), Operator),
        (Method::GET, "/tenants/{id}/plan", String::new(), Operator),
        (Method::GET, "/plans", String::new(), Operator),
        (Method::GET, "/plans/new", String::new(), Operator),
        (Method::GET, "/plans/{id}", String::new(), Operator),
        (
            Method::GET,
            "/plans/{id}/confirm",
            plan("home", "Home", "20"),
            Operator,
        ),
        (Method::GET, "/use", String::new(), Operator),
        (Method::GET, "/nodes", String::new(), Operator),
        (Method::GET, "/nodes/join", String::new(), Operator),
        (Method::GET, "/nodes/{id}", String::new(), Operator),
        // Other routes than pages.
        (Method::GET, "/arrive", String::new(), Public),
        (
            Method::POST,
            "/operator/sign-in",
            "name=admin&password=wrong".into(),
            OperatorSignIn,
        ),
        (Method::POST, "/sign-out", String::new(), SignOut),
        (Method::GET, "/devices/{id}/config", String::new(), Tenant),
        (Method::GET, "/dns/open", String::new(), Tenant),
        (Method::GET, "/live/overview", String::new(), Tenant),
        (Method::GET, "/live/network", String::new(), Tenant),
        (Method::GET, "/live/devices/{id}", String::new(), Tenant),
        (Method::GET, "/live/progress", String::new(), Tenant),
        // Server functions.
        (
            Method::POST,
            "/do/sign_up",
            "name=ab&password=x&plan=none".into(),
            Public,
        ),
        (
            Method::POST,
            "/do/sign_in",
            format!("name={name}&password=wrong"),
            Public,
        ),
        (
            Method::GET,
            "/do/check_name",
            "name=free-name".into(),
            Public,
        ),
        (
            Method::POST,
            "/do/add_device",
            "label=planted&routing=everything&policy=standard&mesh=on".into(),
            Tenant,
        ),
        (
            Method::POST,
            "/do/change_device",
            format!("id={device}&label=changed&policy=off"),
            Tenant,
        ),
        (
            Method::POST,
            "/do/set_device",
            format!("id={device}&policy=off&mesh=off"),
            Tenant,
        ),
        (
            Method::POST,
            "/do/delete_device",
            format!("id={device}"),
            Tenant,
        ),
        (
            Method::POST,
            "/do/delete_account",
            format!("name={name}"),
            Tenant,
        ),
        (
            Method::POST,
            "/do/set_time_zone",
            "time_zone=Europe/Berlin".into(),
            Tenant,
        ),
        (
            Method::POST,
            "/do/create_plan",
            plan("", "Extra", "7"),
            Operator,
        ),
        (
            Method::POST,
            "/do/change_plan",
            format!("{}&confirmed=true", plan("studio", "Studio", "60")),
            Operator,
        ),
        (Method::POST, "/do/delete_plan", "id=home".into(), Operator),
        (
            Method::POST,
            "/do/set_tenant_plan",
            format!("id={tenant}&plan=studio"),
            Operator,
        ),
        (
            Method::POST,
            "/do/create_join_token",
            String::new(),
            Operator,
        ),
        (
            Method::POST,
            "/do/open_node",
            "id=2&open=false".into(),
            Operator,
        ),
        (
            Method::POST,
            "/do/set_node_host",
            "id=2&host=planted.example".into(),
            Operator,
        ),
        (Method::POST, "/do/revoke_node", "id=2".into(), Operator),
        (
            Method::POST,
            "/do/drain_node",
            "id=2&without_data=true".into(),
            Operator,
        ),
        (Method::POST, "/do/lose_node", "id=2".into(), Operator),
        (
            Method::POST,
            "/do/remove_node",
            "id=2&name=worker-1".into(),
            Operator,
        ),
        (
            Method::POST,
            "/do/suspend_tenant",
            format!("id={tenant}&suspended=true"),
            Operator,
        ),
        (
            Method::POST,
            "/do/operator_delete_tenant",
            format!("id={tenant}"),
            Operator,
        ),
    ];
    rows.into_iter()
        .map(|(method, path, body, reach)| {
            let id = match path {
                _ if path.starts_with("/tenants") => tenant,
                _ if path.starts_with("/plans") => "home",
                _ if path.starts_with("/nodes") => "1",
                _ => device,
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
