//! The changes that are interrupted: drawn, requested over HTTP, and checked.

use super::{Account, KillRun};
use crate::{
    browser::{Browser, Page},
    db_vs_machine::Row,
    stack::{PASSWORD, PORT},
};
use std::{collections::BTreeMap, io, thread};
use testkit::sim::rng::SplitMix64;

/// A change, with the name of the tenant it concerns.
#[derive(Clone, Debug)]
pub(super) enum Change {
    SignUp(String),
    AddDevice(String),
    SetDevice(String),
    DeleteDevice(String),
    Suspend(String, bool),
    Delete(String),
}

impl KillRun {
    /// Draws a change that is possible now.
    pub(super) fn draw(&mut self, rows: &BTreeMap<String, Row>) -> Change {
        let mut others = rows.clone();
        others.remove("witness");
        let name = |rng: &mut SplitMix64, of: &dyn Fn(&Row) -> bool| {
            let fitting = others.iter().filter(|(_, r)| of(r)).map(|(n, _)| n.clone());
            rng.pick(fitting)
        };
        let extra = |r: &Row| !r.suspended && r.devices.keys().any(|l| l.starts_with("Extra"));
        loop {
            let c = &mut self.rng;
            let drawn = match c.below(7) {
                0 | 1 if others.len() < 3 => Some(Change::SignUp(format!("user{}", self.count))),
                2 => name(c, &|r| !r.suspended).map(Change::AddDevice),
                3 => name(c, &extra).map(Change::SetDevice),
                4 => name(c, &extra).map(Change::DeleteDevice),
                5 => name(c, &|_| true).map(|n| {
                    let suspended = others[&n].suspended;
                    Change::Suspend(n, !suspended)
                }),
                6 if others.len() > 1 => name(c, &|_| true).map(Change::Delete),
                _ => None,
            };
            if let Some(change) = drawn {
                return change;
            }
        }
    }

    /// Sends the request from a thread of its own, which returns whether it was
    /// acknowledged.
    pub(super) fn request(
        &mut self,
        change: &Change,
        rows: &BTreeMap<String, Row>,
    ) -> thread::JoinHandle<bool> {
        let signed_in = |accounts: &mut BTreeMap<String, Account>, name: &str| {
            let t = &accounts[name].tenant;
            (t.browser.clone(), t.url(""))
        };
        let done = |page: io::Result<Page>, refused: &'static str| {
            // A refusal redirects to the form with an error.
            page.is_ok_and(|p| {
                let to = p.header("location").unwrap_or_default();
                p.status < 400 && !to.contains(refused) && !to.contains("error")
            })
        };
        let n = self.count;
        let extra = |name: &str| {
            let labels = rows[name].devices.keys();
            labels
                .rev()
                .find(|l| l.starts_with("Extra"))
                .cloned()
                .expect("it has one")
        };
        match change {
            Change::SignUp(name) => {
                let (name, mut browser) = (name.clone(), Browser::new(PORT));
                thread::spawn(move || {
                    let form = [
                        ("name", name.as_str()),
                        ("password", PASSWORD),
                        ("plan", "studio"),
                    ];
                    done(
                        browser.try_post("http://localhost:8085/do/sign_up", &form),
                        "/sign-up",
                    )
                })
            }
            Change::AddDevice(name) => {
                let (mut browser, url) = signed_in(&mut self.accounts, name);
                thread::spawn(move || {
                    let label = format!("Extra {n}");
                    let form = [
                        ("label", label.as_str()),
                        ("routing", "network"),
                        ("policy", "standard"),
                    ];
                    done(
                        browser.try_post(&format!("{url}/do/add_device"), &form),
                        "add_device",
                    )
                })
            }
            Change::SetDevice(name) | Change::DeleteDevice(name) => {
                let (mut browser, url) = signed_in(&mut self.accounts, name);
                let key = &rows[name].devices[&extra(name)];
                let query = format!("select id from peers where public_key = '{key}'");
                let id = self.stack.query(&query)[0][0].clone();
                let deletes = matches!(change, Change::DeleteDevice(_));
                thread::spawn(move || {
                    if deletes {
                        let page =
                            browser.try_post(&format!("{url}/do/delete_device"), &[("id", &id)]);
                        return done(page, "delete_device");
                    }
                    let form = [("id", id.as_str()), ("policy", "off")];
                    done(
                        browser.try_post(&format!("{url}/do/set_device"), &form),
                        "set_device",
                    )
                })
            }
            Change::Suspend(name, suspended) => {
                let (mut browser, id, flag) = (
                    self.operator.clone(),
                    rows[name].id.clone(),
                    suspended.to_string(),
                );
                thread::spawn(move || {
                    let form = [("id", id.as_str()), ("suspended", flag.as_str())];
                    done(
                        browser.try_post("http://admin.localhost:8085/do/suspend_tenant", &form),
                        "sign-in",
                    )
                })
            }
            Change::Delete(name) => {
                let (mut browser, url) = signed_in(&mut self.accounts, name);
                let name = name.clone();
                thread::spawn(move || {
                    done(
                        browser.try_post(&format!("{url}/do/delete_account"), &[("name", &name)]),
                        "/account",
                    )
                })
            }
        }
    }
}

/// Checks that an acknowledged change was made, and that no other tenant was
/// lost. A change that was not acknowledged may or may not have been made.
pub(super) fn check(
    change: &Change,
    acknowledged: bool,
    before: &BTreeMap<String, Row>,
    after: &BTreeMap<String, Row>,
) {
    let devices =
        |rows: &BTreeMap<String, Row>, name: &str| rows.get(name).map_or(0, |r| r.devices.len());
    let holds = match change {
        Change::SignUp(name) => after.contains_key(name),
        Change::Delete(name) => !after.contains_key(name),
        Change::Suspend(name, suspended) => after[name].suspended == *suspended,
        Change::AddDevice(name) => devices(after, name) == devices(before, name) + 1,
        Change::DeleteDevice(name) => devices(after, name) == devices(before, name) - 1,
        Change::SetDevice(name) => after[name].devices == before[name].devices,
    };
    assert!(
        holds || !acknowledged,
        "{change:?} was acknowledged: {after:?}"
    );
    for (name, row) in before {
        let is_about = matches!(change, Change::Delete(n) if n == name);
        assert!(
            is_about || after.get(name).is_some_and(|r| r.slot == row.slot),
            "{name} is lost: {after:?}"
        );
    }
}
