//! The web over a database in memory and a machine in memory, without a
//! socket.

use crate::table::Route;
use axum::{
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use control::{
    CapacitySettings, Control, ControlParts, ControlSettings, DeviceChange, Entropy, NewDevice,
    SignUp, StoreSpecs,
};
use domain::{AddressPlan, FilterPolicy, Routing, Secret, TenantName, TenantScope, Timestamp};
use http_body_util::BodyExt;
use provisioning::{Clock, Node, NodePorts, SystemClock};
use server::{
    config::Base,
    web::{Web, WebParts, host::Site, web},
};
use std::{sync::Arc, time::Duration};
use store::{LOCAL_NODE, NewEvent, Store};
use testkit::{fakes::FakeMachine, samples};
use tokio::{sync::watch, task::JoinHandle};
use tower::ServiceExt;

pub const BASE: &str = "localhost:8085";
const PASSWORD: &str = "correct horse battery staple";

pub struct Stack {
    pub web: Web,
    control: Control,
    store: Store,
    operator: Secret,
    node: JoinHandle<()>,
    close: watch::Sender<bool>,
    _root: tempfile::TempDir,
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.node.abort();
    }
}

/// A tenant with sessions on both hosts.
#[derive(Debug)]
pub struct Tenant {
    pub name: String,
    pub cookie: String,
    pub dns_cookie: String,
}

/// An open event stream.
pub struct Stream(Body);

impl Stream {
    /// What came until this text did.
    pub async fn wait_for(&mut self, text: &str, patience: Duration) -> String {
        let mut all = String::new();
        let read = async {
            while !all.contains(text) {
                let frame = self.0.frame().await.expect("the stream goes on").unwrap();
                let data = frame.into_data().unwrap_or_default();
                all += &String::from_utf8_lossy(&data);
            }
        };
        let came = tokio::time::timeout(patience, read).await.is_ok();
        assert!(came, "no {text:?} in {all}");
        all
    }

    /// Whether it ends in time.
    pub async fn ends(&mut self, patience: Duration) -> bool {
        let drain = async { while let Some(Ok(_)) = self.0.frame().await {} };
        tokio::time::timeout(patience, drain).await.is_ok()
    }
}

/// What came back.
pub struct Answer {
    pub status: StatusCode,
    pub location: Option<String>,
    pub cookie: Option<String>,
    pub signs_in: bool,
    pub headers: HeaderMap,
    body: String,
}

impl Answer {
    pub fn tells_of(&self, text: &str) -> bool {
        self.body.contains(text)
    }

    /// How often it tells of it.
    pub fn count(&self, text: &str) -> usize {
        self.body.matches(text).count()
    }

    /// Whether that is all it says.
    pub fn is(&self, text: &str) -> bool {
        self.body == text
    }
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body: String = self.body.chars().take(300).collect();
        write!(f, "{} to {:?}, {body}", self.status, self.location)
    }
}

impl Stack {
    pub async fn new() -> Self {
        Self::with(AddressPlan::default(), None).await
    }

    /// A node that takes so many tenants at most, with other address ranges.
    pub async fn with(addresses: AddressPlan, most: Option<u32>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::memory().await.unwrap();
        let machine = Arc::new(FakeMachine::new());
        let ports = NodePorts {
            wireguard: machine.clone(),
            firewall: machine.clone(),
            containers: machine.clone(),
            dns: machine.clone(),
            folders: machine,
            specs: Arc::new(StoreSpecs::new(store.clone(), LOCAL_NODE)),
        };
        let mut settings = samples::settings(root.path());
        settings.addresses = addresses;
        let (node, handle) = Node::new(ports, settings);
        let node = tokio::spawn(node.run(std::future::pending()));
        let control = Control::new(ControlParts {
            store: store.clone(),
            node: handle,
            clock: Arc::new(SystemClock),
            entropy: Entropy::system(),
            settings: ControlSettings {
                addresses,
                public_host: "vpn.example".to_owned(),
                node: LOCAL_NODE,
                excluded_slots: Default::default(),
                sign_ups_per_hour: 0,
            },
            capacity: CapacitySettings {
                most,
                ..CapacitySettings::default()
            },
        });
        let (_, operator) = control.ensure_operator().await.unwrap().unwrap();
        let (close, closing) = watch::channel(false);
        let web = web(WebParts {
            control: control.clone(),
            store: store.clone(),
            site: Site {
                base: Base::parse(BASE).unwrap(),
                scheme: "http",
                trusted_proxies: Vec::new(),
            },
            files: root.path().join("site"),
            closing,
        });
        Self {
            web,
            control,
            store,
            operator,
            node,
            close,
            _root: root,
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let answer = self.web.router.clone().oneshot(request).await.unwrap();
        let (parts, mut body) = answer.into_parts();
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|v: &axum::http::HeaderValue| v.to_str().ok())
                .map(str::to_owned)
        };
        let all = parts.headers.get_all(header::SET_COOKIE).iter();
        let cookie = all
            .filter_map(|v| v.to_str().ok())
            .find(|c| c.starts_with("mn_session="))
            .map(str::to_owned);
        // A stream never ends: what comes at once is enough.
        let mut all = Vec::new();
        let read = async {
            while let Some(Ok(frame)) = body.frame().await {
                all.extend_from_slice(frame.data_ref().map_or(&[][..], |d| &d[..]));
            }
        };
        let _ = tokio::time::timeout(Duration::from_secs(2), read).await;
        Answer {
            status: parts.status,
            location: text(header::LOCATION),
            signs_in: cookie
                .as_deref()
                .is_some_and(|c| !c.starts_with("mn_session=;")),
            cookie,
            body: String::from_utf8_lossy(&all).into_owned(),
            headers: parts.headers,
        }
    }

    /// Asks as a page of that host would.
    pub async fn ask(&self, route: &Route, host: &str, cookie: Option<&str>) -> Answer {
        let origin = format!("http://{host}");
        self.ask_from(route, host, cookie, Some(&origin)).await
    }

    pub async fn ask_from(
        &self,
        route: &Route,
        host: &str,
        cookie: Option<&str>,
        origin: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(route.method.clone())
            .uri(&route.url)
            .header("host", host);
        // A server function answers a script with statuses, a form with redirects.
        let accept = if route.path.starts_with("/api/") {
            "application/json"
        } else {
            "text/html"
        };
        request = request.header("accept", accept);
        if route.method != Method::GET {
            request = request.header("content-type", "application/x-www-form-urlencoded");
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
        }
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        self.send(request.body(Body::from(route.body.clone())).unwrap())
            .await
    }

    /// Asks without a form, from a page of that origin.
    pub async fn send_from(
        &self,
        method: Method,
        host: &str,
        uri: &str,
        cookie: Option<&str>,
        origin: Option<&str>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(uri);
        request = request.header("host", host).header("accept", "text/html");
        for (name, value) in [("cookie", cookie), ("origin", origin)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// Opens an event stream.
    pub async fn open(&self, host: &str, url: &str, cookie: &str) -> Stream {
        let request = Request::builder()
            .uri(url)
            .header("host", host)
            .header("cookie", cookie);
        let request = request.body(Body::empty()).unwrap();
        let answer = self.web.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Stream(answer.into_body())
    }

    /// Tells the web that the server ends.
    pub fn close(&self) {
        self.close.send(true).unwrap();
    }

    pub async fn get(&self, host: &str, url: &str, cookie: Option<&str>) -> Answer {
        self.plain(Method::GET, host, url, "", cookie, "text/html")
            .await
    }

    pub async fn post(&self, host: &str, url: &str, body: &str, cookie: Option<&str>) -> Answer {
        self.plain(Method::POST, host, url, body, cookie, "text/html")
            .await
    }

    /// Posts as a script does.
    pub async fn call(&self, host: &str, url: &str, body: &str, cookie: Option<&str>) -> Answer {
        self.plain(Method::POST, host, url, body, cookie, "application/json")
            .await
    }

    async fn plain(
        &self,
        method: Method,
        host: &str,
        url: &str,
        body: &str,
        cookie: Option<&str>,
        accept: &str,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(url)
            .header("host", host)
            .header("origin", format!("http://{host}"))
            .header("accept", accept)
            .header("content-length", body.len())
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        self.send(request.body(Body::from(body.to_owned())).unwrap())
            .await
    }

    pub async fn sign_up(&self, name: &str) -> Tenant {
        let plan = self.control.plans().await.unwrap().remove(0).id;
        let form = SignUp {
            name: name.to_owned(),
            password: Secret::new(PASSWORD),
            plan,
        };
        let arrival = self
            .control
            .sign_up(form, [127, 0, 0, 1].into())
            .await
            .unwrap();
        self.enter(name, arrival.ticket.expose()).await
    }

    pub async fn arrive(&self, name: &str) -> Tenant {
        let password = Secret::new(PASSWORD);
        let arrival = self
            .control
            .sign_in(name, &password, [127, 0, 0, 1].into())
            .await
            .unwrap();
        self.enter(name, arrival.ticket.expose()).await
    }

    /// A ticket for a tenant's dashboard, not yet used.
    pub async fn ticket(&self, name: &str) -> String {
        let password = Secret::new(PASSWORD);
        let arrival = self
            .control
            .sign_in(name, &password, [127, 0, 0, 1].into())
            .await
            .unwrap();
        arrival.ticket.expose().to_owned()
    }

    async fn enter(&self, name: &str, ticket: &str) -> Tenant {
        let host = format!("{name}.{BASE}");
        let cookie = self
            .session(&host, &format!("/arrive?ticket={ticket}"))
            .await;
        let open = self.get(&host, "/dns/open", Some(&cookie)).await;
        let url = open.location.expect("a redirect to the AdGuard host");
        let prefix = format!("http://{name}-dns.{BASE}");
        let path = url.strip_prefix(&prefix).unwrap_or_else(|| panic!("{url}"));
        let dns_cookie = self.session(&format!("{name}-dns.{BASE}"), path).await;
        Tenant {
            name: name.to_owned(),
            cookie,
            dns_cookie,
        }
    }

    async fn session(&self, host: &str, url: &str) -> String {
        let answer = self.get(host, url, None).await;
        let cookie = answer
            .cookie
            .clone()
            .unwrap_or_else(|| panic!("no session: {answer:?}"));
        cookie.split(';').next().unwrap().to_owned()
    }

    pub async fn operator(&self) -> String {
        self.operator_in(None).await
    }

    /// Signs the operator in, in a browser that has this cookie already.
    pub async fn operator_in(&self, cookie: Option<&str>) -> String {
        let body = format!("name=admin&password={}", self.operator.expose());
        let answer = self
            .post(&format!("admin.{BASE}"), "/operator/sign-in", &body, cookie)
            .await;
        assert_eq!(answer.location.as_deref(), Some("/"), "{answer:?}");
        answer.cookie.unwrap().split(';').next().unwrap().to_owned()
    }

    /// As `maliknode operator reset` does.
    pub async fn reset_operator(&self) {
        self.control.reset_operator("admin").await.unwrap();
    }

    async fn scope(&self, name: &str) -> TenantScope {
        let name = TenantName::parse(name).unwrap();
        let tenant = self.store.tenant_by_name(&name).await.unwrap().unwrap();
        TenantScope::issue(tenant.id, name, "test")
    }

    pub async fn tenant_id(&self, tenant: &Tenant) -> String {
        self.scope(&tenant.name).await.tenant().to_string()
    }

    pub async fn add_device(&self, tenant: &Tenant, label: &str) -> String {
        let new = NewDevice {
            label: label.to_owned(),
            routing: Routing::Everything,
            policy: FilterPolicy::Standard,
            mesh: true,
        };
        let scope = self.scope(&tenant.name).await;
        self.control
            .add_device(&scope, new)
            .await
            .unwrap()
            .id
            .to_string()
    }

    /// Gives a device another label.
    pub async fn rename(&self, tenant: &Tenant, id: &str, label: &str) {
        let change = DeviceChange {
            label: Some(label.to_owned()),
            ..DeviceChange::default()
        };
        let scope = self.scope(&tenant.name).await;
        let id = id.parse().unwrap();
        self.control
            .change_device(&scope, id, change)
            .await
            .unwrap();
    }

    /// Waits until all of a tenant's parts are there.
    pub async fn ready(&self, tenant: &Tenant) {
        let scope = self.scope(&tenant.name).await;
        for _ in 0..500 {
            if self
                .control
                .progress(&scope)
                .await
                .unwrap()
                .status
                .is_ready()
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} is not ready", tenant.name);
    }

    /// Has an event in the log that concerns a tenant, or the node.
    pub async fn happened(&self, tenant: Option<&Tenant>, kind: &str, detail: &str) {
        let mut concerned = None;
        if let Some(tenant) = tenant {
            let record = self.store.tenant(&self.scope(&tenant.name).await).await;
            let record = record.unwrap();
            concerned = Some((record.slot, record.name));
        }
        let event = NewEvent {
            at: SystemClock.now(),
            tenant: concerned,
            kind: kind.to_owned(),
            detail: detail.to_owned(),
        };
        let written = self.store.record_events(LOCAL_NODE, &[event]).await;
        written.unwrap();
    }

    pub async fn delete(&self, name: &str) {
        self.control
            .delete_tenant(&self.scope(name).await)
            .await
            .unwrap();
    }

    pub async fn device_count(&self, name: &str) -> usize {
        self.store
            .devices(&self.scope(name).await)
            .await
            .unwrap()
            .len()
    }

    /// All that somebody could have changed, as text.
    pub async fn everything(&self) -> String {
        let mut all = String::new();
        for listing in self.store.tenants(Timestamp(0)).await.unwrap() {
            let scope = TenantScope::issue(listing.tenant.id, listing.tenant.name.clone(), "test");
            all += &format!("{} {:?}", listing.tenant.name, listing.tenant.state);
            for d in self.store.devices(&scope).await.unwrap() {
                all += &format!(" {} {} {:?} {}", d.id, d.label, d.policy, d.mesh);
            }
        }
        all += &self.store.generation(LOCAL_NODE).await.unwrap().to_string();
        all += &format!(" {:?}", self.store.counts().await.unwrap());
        for row in self.store.audit_recent(1000).await.unwrap() {
            all += &format!(" {} {} {}", row.actor, row.action, row.object);
        }
        all
    }
}
