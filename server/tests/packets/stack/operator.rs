//! The operator: a browser that is signed in to the panel, and the plans' forms.

use super::{PORT, Stack, wait_for};
use crate::browser::{Browser, Page};
use std::time::Duration;

const ADMIN: &str = "http://admin.localhost:8085";
/// The operator's password.
pub const OPERATOR_PASSWORD: &str = "an operators long pass phrase";

/// Signs the operator in. The first call makes it, by the link that the first start printed.
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
    let page = browser.post(&format!("{ADMIN}/operator/sign-in"), &form);
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(!page.url.contains("sign-in"), "{}", page.body);
    browser
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
