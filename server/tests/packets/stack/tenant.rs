//! Tenants: accounts that are made and used over HTTP.

use super::{PASSWORD, PORT, Stack, wait_for};
use crate::browser::{Browser, Page};
use std::{net::Ipv4Addr, time::Duration};

/// A tenant with an account and a browser.
pub struct Tenant {
    pub name: String,
    /// The browser, which is signed in.
    pub browser: Browser,
    /// The gateway's address, at which DNS answers.
    pub gateway: Ipv4Addr,
}

impl Tenant {
    /// Waits until every part is ready, and reads the gateway's address.
    pub fn wait_until_ready(&mut self) {
        let overview = wait_for("the tenant is ready", Duration::from_secs(60), || {
            let page = self.get("/");
            assert_eq!(page.status, 200, "{}", page.body);
            (page.body.contains("DNS answering")).then_some(page)
        });
        self.gateway = find_gateway(&overview.body);
    }

    /// Returns a URL on this tenant's own host.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}.localhost:{PORT}{path}", self.name)
    }

    /// Gets a page of this tenant's own host.
    pub fn get(&mut self, path: &str) -> Page {
        let url = self.url(path);
        self.browser.get(&url)
    }

    /// Posts a form to this tenant's own host.
    pub fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Page {
        let url = self.url(path);
        self.browser.post(&url, form)
    }
}

impl Stack {
    /// Signs a tenant up and waits until every part is ready.
    pub fn sign_up(&self, name: &str) -> Tenant {
        self.sign_up_with_plan(name, "studio")
    }

    /// Signs a tenant up with this plan and waits until every part is ready.
    pub fn sign_up_with_plan(&self, name: &str, plan: &str) -> Tenant {
        let mut tenant = self.register_with_plan(name, plan);
        tenant.wait_until_ready();
        tenant
    }

    /// Signs a tenant up and waits for the answer only.
    pub fn register(&self, name: &str) -> Tenant {
        self.register_with_plan(name, "studio")
    }

    fn register_with_plan(&self, name: &str, plan: &str) -> Tenant {
        let mut browser = Browser::new(PORT);
        let landing = browser.get("http://localhost:8085/sign-up");
        assert_eq!(landing.status, 200, "{}", landing.body);
        let form = [("name", name), ("password", PASSWORD), ("plan", plan)];
        let page = browser.post("http://localhost:8085/do/sign_up", &form);
        assert_eq!(
            page.status, 200,
            "sign-up ended at {}: {}",
            page.url, page.body
        );
        assert!(
            page.url
                .starts_with(&format!("http://{name}.localhost:8085/")),
            "{}",
            page.url
        );
        Tenant {
            name: name.to_owned(),
            browser,
            gateway: Ipv4Addr::UNSPECIFIED,
        }
    }

    /// Signs a tenant in who has an account.
    pub fn sign_in(&self, name: &str) -> Tenant {
        let mut browser = Browser::new(PORT);
        let form = [("name", name), ("password", PASSWORD)];
        let page = browser.post("http://localhost:8085/do/sign_in", &form);
        assert_eq!(page.status, 200, "{name}: {}", page.body);
        Tenant {
            name: name.to_owned(),
            browser,
            gateway: Ipv4Addr::UNSPECIFIED,
        }
    }
}

/// Returns the gateway's address on the overview: the first `10.x.y.1`.
fn find_gateway(html: &str) -> Ipv4Addr {
    html.split(|c: char| !c.is_ascii_digit() && c != '.')
        .filter(|w| w.starts_with("10.") && w.ends_with(".1"))
        .find_map(|w| w.parse().ok())
        .unwrap_or_else(|| panic!("no gateway on the page: {html}"))
}
