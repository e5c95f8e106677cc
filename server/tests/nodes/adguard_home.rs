//! A tenant's AdGuard Home, as its own pages use it: signed in from the dashboard, through
//! the proxy.

use crate::stack::{PORT, Tenant};

/// Opens AdGuard Home from the dashboard, so that its host is signed in.
pub fn open(tenant: &mut Tenant) {
    let page = tenant.get("/dns/open");
    assert_eq!(page.status, 200, "{}", page.body);
    let host = format!("http://{}-dns.localhost:{PORT}/", tenant.name);
    assert!(page.url.starts_with(&host), "{}", page.url);
}

fn call(tenant: &mut Tenant, path: &str, body: Option<&str>) -> String {
    open(tenant);
    let url = format!("http://{}-dns.localhost:{PORT}/control/{path}", tenant.name);
    let method = if body.is_some() { "POST" } else { "GET" };
    let content = body.map(|b| ("application/json", b));
    let page = tenant.browser.send(method, &url, content);
    let page = page.expect("the server answers");
    assert_eq!(page.status, 200, "{path}: {}", page.body);
    page.body
}

/// Calls AdGuard Home's API and returns its answer.
pub fn get(tenant: &mut Tenant, path: &str) -> String {
    call(tenant, path, None)
}

/// Changes a setting by AdGuard Home's API.
pub fn post(tenant: &mut Tenant, path: &str, body: &str) {
    call(tenant, path, Some(body));
}
