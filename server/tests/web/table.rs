//! All routes, and who may reach them. A test compares the table with the router.

use axum::http::Method;
use domain::OperatorRole;

/// Who may reach a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Everyone: it reveals nothing about a tenant.
    Public,
    /// The tenant, on the tenant's host.
    Tenant,
    /// The tenant, on the tenant's host, and the operator, on the operator's: their own
    /// account.
    Account,
    /// Everyone, to sign out.
    SignOut,
    /// Every operator, on the operators' host.
    Operator,
    /// Operators who may act on tenants.
    Support,
    /// Operators who may do everything.
    Owner,
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
            Reach::Operator | Reach::Support | Reach::Owner | Reach::Account => {
                operator && host.starts_with("admin.")
            }
            Reach::OperatorSignIn => host.starts_with("admin."),
        }
    }

    /// Returns the least role that reaches it, if it is the operators'.
    pub fn role(&self) -> Option<OperatorRole> {
        match self.reach {
            Reach::Operator => Some(OperatorRole::ReadOnly),
            Reach::Support => Some(OperatorRole::Support),
            Reach::Owner => Some(OperatorRole::Owner),
            _ => None,
        }
    }

    /// Returns whether the session ends with it.
    pub fn ends_the_session(&self) -> bool {
        self.path == "/sign-out"
            || self.path == "/do/delete_account"
            || self.path == "/do/operator_delete_tenant"
    }

    /// Returns whether it refuses everyone without the right password, code, ticket or id.
    pub fn refuses_wrong_credentials(&self) -> bool {
        matches!(
            self.path,
            "/do/sign_in"
                | "/do/sign_up"
                | "/do/second_step"
                | "/do/recover"
                | "/do/reset_password"
                | "/do/forgot_password"
                | "/do/verify_mail"
                | "/verify-mail"
                | "/account/mail"
                | "/do/set_mail_address"
                | "/do/remove_mail_address"
                | "/do/set_mail_warnings"
                | "/do/retry_mail"
                | "/do/discard_mail"
                | "/arrive"
                | "/hand-over"
                | "/operator/sign-in"
                | "/welcome"
                | "/do/accept_operator_link"
                | "/operator/sign-in/code"
                | "/sign-in/code"
                | "/reset"
                | "/do/change_password"
                | "/do/prove_presence"
                | "/do/confirm_two_step"
                | "/do/remove_two_step"
                | "/do/end_session"
                | "/do/delete_api_token"
                | "/operator/sign-in/passkey"
                | "/do/passkey_options"
                | "/do/passkey_sign_in"
                | "/do/add_passkey"
                | "/do/rename_passkey"
                | "/do/remove_passkey"
                | "/do/prove_presence_by_passkey"
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
    use Reach::{Account, Operator, OperatorSignIn, Owner, Public, SignOut, Support, Tenant};
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
        (Method::GET, "/account", String::new(), Account),
        (Method::GET, "/account/audit", String::new(), Tenant),
        (
            Method::GET,
            "/account/audit/export",
            "format=csv".into(),
            Tenant,
        ),
        (Method::GET, "/account/password", String::new(), Account),
        (Method::GET, "/account/two-step", String::new(), Account),
        (
            Method::GET,
            "/account/recovery-codes",
            String::new(),
            Account,
        ),
        (Method::GET, "/account/tokens/new", String::new(), Account),
        (Method::GET, "/account/confirm", String::new(), Account),
        (Method::GET, "/sign-in/code", String::new(), Public),
        (Method::GET, "/recover", String::new(), Public),
        (Method::GET, "/reset", String::new(), Public),
        (Method::GET, "/forgot", String::new(), Public),
        (Method::GET, "/privacy", String::new(), Public),
        (Method::GET, "/verify-mail", String::new(), Public),
        (Method::GET, "/account/mail", String::new(), Account),
        (Method::GET, "/tenants/{id}/reset", String::new(), Support),
        (Method::GET, "/tenants/{id}/look", String::new(), Support),
        (Method::GET, "/tenants/{id}/delete", String::new(), Owner),
        (Method::GET, "/tenants/{id}/plan", String::new(), Support),
        (Method::GET, "/plans", String::new(), Operator),
        (Method::GET, "/plans/new", String::new(), Owner),
        (Method::GET, "/plans/{id}", String::new(), Owner),
        (
            Method::GET,
            "/plans/{id}/confirm",
            plan("home", "Home", "20"),
            Owner,
        ),
        (Method::GET, "/use", String::new(), Operator),
        (Method::GET, "/sign-ups", String::new(), Operator),
        (Method::GET, "/mail", String::new(), Operator),
        (Method::POST, "/do/retry_mail", "id=1".into(), Support),
        (Method::POST, "/do/discard_mail", "id=1".into(), Owner),
        (Method::GET, "/audit", String::new(), Operator),
        (Method::GET, "/audit/export", "format=csv".into(), Operator),
        (Method::GET, "/operators", String::new(), Operator),
        (Method::GET, "/welcome", String::new(), OperatorSignIn),
        (
            Method::POST,
            "/do/accept_operator_link",
            "name=eve&password=planted+planted+planted".into(),
            OperatorSignIn,
        ),
        (
            Method::POST,
            "/do/invite_operator",
            "name=planted&role=owner".into(),
            Owner,
        ),
        (
            Method::POST,
            "/do/set_operator_role",
            "name=admin&role=owner".into(),
            Owner,
        ),
        (
            Method::POST,
            "/do/remove_operator",
            "name=planted".into(),
            Owner,
        ),
        (Method::GET, "/checks", String::new(), Operator),
        (Method::GET, "/nodes", String::new(), Operator),
        (Method::GET, "/nodes/join", String::new(), Owner),
        (Method::GET, "/nodes/{id}", String::new(), Operator),
        // Other routes than pages.
        (Method::GET, "/arrive", String::new(), Public),
        (
            Method::GET,
            "/hand-over",
            format!("name={name}&browser=00&to=/"),
            Public,
        ),
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
            "/do/second_step",
            "code=123456".into(),
            Public,
        ),
        (
            Method::POST,
            "/do/recover",
            format!("name={name}&code=wrong&new_password=a-long-new-password"),
            Public,
        ),
        (
            Method::POST,
            "/do/reset_password",
            "new_password=a-long-new-password".into(),
            Public,
        ),
        (
            Method::POST,
            "/do/forgot_password",
            format!("name={name}"),
            Public,
        ),
        (Method::POST, "/do/verify_mail", String::new(), Public),
        (
            Method::POST,
            "/do/passkey_options",
            "ceremony=second_step".into(),
            Public,
        ),
        (
            Method::POST,
            "/do/passkey_sign_in",
            "answer={}".into(),
            Public,
        ),
        (
            Method::POST,
            "/operator/sign-in/passkey",
            "answer={}".into(),
            OperatorSignIn,
        ),
        (Method::GET, "/account/passkeys", String::new(), Account),
        (
            Method::POST,
            "/do/add_passkey",
            "name=planted&answer={}".into(),
            Account,
        ),
        (
            Method::POST,
            "/do/rename_passkey",
            "id=00&name=planted".into(),
            Account,
        ),
        (Method::POST, "/do/remove_passkey", "id=00".into(), Account),
        (
            Method::POST,
            "/do/prove_presence_by_passkey",
            "answer={}&to=/account".into(),
            Account,
        ),
        (
            Method::POST,
            "/do/set_mail_address",
            "mail=lina@example.org".into(),
            Account,
        ),
        (
            Method::POST,
            "/do/remove_mail_address",
            String::new(),
            Account,
        ),
        (
            Method::POST,
            "/do/set_mail_warnings",
            String::new(),
            Account,
        ),
        (
            Method::POST,
            "/operator/sign-in/code",
            "code=123456".into(),
            OperatorSignIn,
        ),
        (
            Method::POST,
            "/do/change_password",
            "password=wrong&new_password=a-long-new-password".into(),
            Account,
        ),
        (
            Method::POST,
            "/do/prove_presence",
            "password=wrong&to=/account".into(),
            Account,
        ),
        (
            Method::POST,
            "/do/confirm_two_step",
            "code=123456".into(),
            Account,
        ),
        (Method::POST, "/do/remove_two_step", String::new(), Account),
        (
            Method::POST,
            "/do/make_recovery_codes",
            String::new(),
            Account,
        ),
        (
            Method::POST,
            "/do/recovery_codes_saved",
            String::new(),
            Public,
        ),
        (
            Method::POST,
            "/do/end_session",
            "id=made-up".into(),
            Account,
        ),
        (
            Method::POST,
            "/do/end_other_sessions",
            String::new(),
            Account,
        ),
        (
            Method::POST,
            "/do/create_api_token",
            "name=planted&access=write&days=30".into(),
            Account,
        ),
        (
            Method::POST,
            "/do/delete_api_token",
            "id=made-up".into(),
            Account,
        ),
        (
            Method::POST,
            "/do/new_device_key",
            format!("id={device}"),
            Tenant,
        ),
        (
            Method::POST,
            "/do/make_reset_link",
            format!("id={tenant}"),
            Support,
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
            Owner,
        ),
        (
            Method::POST,
            "/do/change_plan",
            format!("{}&confirmed=true", plan("studio", "Studio", "60")),
            Owner,
        ),
        (Method::POST, "/do/delete_plan", "id=home".into(), Owner),
        (
            Method::POST,
            "/do/set_tenant_plan",
            format!("id={tenant}&plan=studio"),
            Support,
        ),
        (Method::POST, "/do/create_join_token", String::new(), Owner),
        (
            Method::POST,
            "/do/open_node",
            "id=2&open=false".into(),
            Owner,
        ),
        (
            Method::POST,
            "/do/set_node_host",
            "id=2&host=planted.example".into(),
            Owner,
        ),
        (Method::POST, "/do/revoke_node", "id=2".into(), Owner),
        (
            Method::POST,
            "/do/drain_node",
            "id=2&without_data=true".into(),
            Owner,
        ),
        (Method::POST, "/do/lose_node", "id=2".into(), Owner),
        (
            Method::POST,
            "/do/remove_node",
            "id=2&name=worker-1".into(),
            Owner,
        ),
        (
            Method::POST,
            "/do/set_sign_up_mode",
            "mode=configured".into(),
            Owner,
        ),
        (
            Method::POST,
            "/do/create_invitation",
            "uses=1&lifetime=24&note=planted".into(),
            Support,
        ),
        (
            Method::POST,
            "/do/revoke_invitation",
            "id=1".into(),
            Support,
        ),
        (
            Method::POST,
            "/do/reserve_names",
            "names=intranet".into(),
            Owner,
        ),
        (
            Method::POST,
            "/do/release_name",
            "name=intranet".into(),
            Owner,
        ),
        (
            Method::POST,
            "/do/look_in",
            format!("id={tenant}"),
            Operator,
        ),
        (
            Method::POST,
            "/do/allow_look_changes",
            format!("id={tenant}"),
            Support,
        ),
        (
            Method::POST,
            "/do/suspend_tenant",
            format!("id={tenant}&suspended=true"),
            Support,
        ),
        (
            Method::POST,
            "/do/operator_delete_tenant",
            format!("id={tenant}"),
            Owner,
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
