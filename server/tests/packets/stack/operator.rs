//! The operator: a browser that is signed in to the panel, and the plans' forms.

use super::{PORT, Stack, wait_for};
use crate::browser::{Browser, Page};
use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const ADMIN: &str = "http://admin.localhost:8085";
/// The operator's password.
pub const OPERATOR_PASSWORD: &str = "an operators long pass phrase";
/// One at a time: each code works once.
static SIGN_IN: Mutex<()> = Mutex::new(());

/// Signs the operator in. The first call makes it, by the link that the first start printed, and
/// gives it an authenticator app, which an owner must have.
pub fn operator(stack: &Stack) -> Browser {
    // Pages may be answered a moment before it is printed.
    let seconds = Duration::from_secs(10);
    let link = wait_for("the operator's link in the log", seconds, || {
        let log = stack.log();
        let mut words = log.split_whitespace();
        let link = words.find(|word| word.contains("/welcome?token="));
        link.map(str::to_owned)
    });
    let mut browser = Browser::new(PORT);
    // It works once; later calls find it used.
    browser.get(&link);
    let form = [("name", "admin"), ("password", OPERATOR_PASSWORD)];
    browser.post(&format!("{ADMIN}/do/accept_operator_link"), &form);
    sign_in_as(stack, &mut browser, "admin", OPERATOR_PASSWORD);
    browser
}

/// Signs an owner in with the password and the authenticator app, which is set up first if there
/// is none. Returns the home page.
pub fn sign_in_as(stack: &Stack, browser: &mut Browser, name: &str, password: &str) -> Page {
    let _one = SIGN_IN.lock().unwrap_or_else(PoisonError::into_inner);
    let form = [("name", name), ("password", password)];
    let page = browser.post(&format!("{ADMIN}/operator/sign-in"), &form);
    assert_eq!(page.status, 200, "{}", page.body);
    let page = if page.url.ends_with("/account/two-step") {
        let key = shown_key(&page.body);
        let form = [("code", &*next_code(stack, &key, 0))];
        browser.post(&format!("{ADMIN}/do/confirm_two_step"), &form)
    } else {
        assert!(
            page.url.ends_with("/sign-in/code"),
            "{}: {}",
            page.url,
            page.body
        );
        let (key, used) = app(stack);
        let form = [("code", &*next_code(stack, &key, used))];
        browser.post(&format!("{ADMIN}/operator/sign-in/code"), &form)
    };
    assert!(
        page.status == 200 && !page.url.contains("/sign-in"),
        "{}: {}",
        page.url,
        page.body
    );
    let home = browser.get(&format!("{ADMIN}/"));
    assert_eq!(
        (home.status, &*home.url),
        (200, &*format!("{ADMIN}/")),
        "{}",
        home.body
    );
    home
}

/// Returns the key of the operator's authenticator app, in base32.
pub fn operator_key(stack: &Stack) -> String {
    app(stack).0
}

/// Notes that another program has used codes of the operator's authenticator app, up to the one
/// that is a step ahead of time.
pub fn note_used_codes(stack: &Stack) {
    let (key, _) = app(stack);
    let text = format!("{key} {}", this_step() + 1);
    fs::write(app_file(stack), text).expect("the file is written");
}

/// Where a test keeps the key, and the last step of 30 s whose code was used.
fn app_file(stack: &Stack) -> PathBuf {
    stack.options().root.with_extension("operator")
}

fn app(stack: &Stack) -> (String, u64) {
    let text = fs::read_to_string(app_file(stack)).expect("the operator's authenticator app");
    let (key, used) = text.split_once(' ').expect("a key and a step");
    (key.to_owned(), used.parse().expect("a step"))
}

/// Reads the key from the page that shows it.
fn shown_key(body: &str) -> String {
    let key = body.split_once("id=\"totp-key\"").and_then(|(_, rest)| {
        let (_, text) = rest.split_once('>')?;
        text.split_once('<').map(|(key, _)| key.replace(' ', ""))
    });
    key.unwrap_or_else(|| panic!("no key: {body}"))
}

/// Returns the number of the present step of 30 s (RFC 6238, section 4.2).
fn this_step() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.map_or(0, |d| d.as_secs()) / 30
}

/// Returns a code that was not used yet; one step ahead of time is accepted.
fn next_code(stack: &Stack, key: &str, used: u64) -> String {
    let secret = totp_rs::Secret::try_from_base32(key).expect("base32");
    let totp = totp_rs::Builder::new()
        .with_secret(secret)
        .build()
        .expect("a secret");
    let next = this_step().max(used + 1);
    while next > this_step() + 1 {
        thread::sleep(Duration::from_millis(200));
    }
    fs::write(app_file(stack), format!("{key} {next}")).expect("the file is written");
    totp.generate(next * 30).to_string()
}

/// What a test's plan gives. Speeds are in Mb/s and data in MB; empty is no limit.
#[derive(Clone, Copy)]
pub struct TestPlan {
    pub down: &'static str,
    pub up: &'static str,
    pub data: &'static str,
    pub at_limit: &'static str,
    pub slow: &'static str,
}

impl TestPlan {
    /// A plan without any limit.
    pub const UNLIMITED: Self = Self {
        down: "",
        up: "",
        data: "",
        at_limit: "slow",
        slow: "1",
    };
}

/// Changes a plan by the panel's form, with the step that tells whom it touches.
pub fn change_plan(operator: &mut Browser, id: &str, plan: TestPlan) {
    let form = [
        ("id", id),
        ("name", "Test"),
        ("devices", "20"),
        ("data", plan.data),
        ("data_unit", "MB"),
        ("down", plan.down),
        ("down_unit", "Mb/s"),
        ("up", plan.up),
        ("up_unit", "Mb/s"),
        ("at_limit", plan.at_limit),
        ("slow", plan.slow),
        ("slow_unit", "Mb/s"),
        ("month_day", "1"),
        ("visible", "on"),
        ("confirmed", "true"),
    ];
    let page = operator.post("http://admin.localhost:8085/do/change_plan", &form);
    is_saved(&page);
}

fn is_saved(page: &Page) {
    assert!(
        page.status == 200 && page.url.contains("saved"),
        "{}: {}",
        page.url,
        page.body
    );
}
