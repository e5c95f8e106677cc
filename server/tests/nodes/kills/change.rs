//! The changes that are interrupted: drawn, requested over HTTP, and checked.

use super::{Run, is_ours};
use crate::{
    browser::{Browser, Page},
    machines::Row,
    stack::{PASSWORD, PORT},
};
use std::{collections::BTreeMap, io, thread};
use testkit::sim::rng::SplitMix64;

/// The most tenants that are changed.
const MAX_TENANTS: usize = 3;

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

/// A form that a browser posts.
type Form = Vec<(&'static str, String)>;

impl Run {
    /// Draws a change that is possible now.
    pub(super) fn draw(&mut self, rows: &BTreeMap<String, Row>) -> Change {
        let ours: BTreeMap<_, _> = rows.iter().filter(|(name, _)| is_ours(name)).collect();
        let name = |rng: &mut SplitMix64, of: &dyn Fn(&Row) -> bool| {
            let fitting = ours.iter().filter(|(_, r)| of(r));
            rng.pick(fitting.map(|(n, _)| (*n).clone()))
        };
        let extra = |r: &Row| !r.suspended && r.devices.keys().any(|l| l.starts_with("Extra"));
        loop {
            let c = &mut self.rng;
            let drawn = match c.below(7) {
                0 | 1 if ours.len() < MAX_TENANTS => {
                    Some(Change::SignUp(format!("kill{}", self.count)))
                }
                2 => name(c, &|r| !r.suspended).map(Change::AddDevice),
                3 => name(c, &extra).map(Change::SetDevice),
                4 => name(c, &extra).map(Change::DeleteDevice),
                5 => name(c, &|_| true).map(|n| {
                    let suspended = ours[&n].suspended;
                    Change::Suspend(n, !suspended)
                }),
                6 if ours.len() > 1 => name(c, &|_| true).map(Change::Delete),
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
        let (mut browser, url, form) = self.form(change, rows);
        let refused = match change {
            Change::SignUp(_) => "/sign-up",
            Change::Suspend(..) => "sign-in",
            Change::Delete(_) => "/account",
            Change::AddDevice(_) => "/devices/new",
            Change::SetDevice(_) | Change::DeleteDevice(_) => "error",
        };
        thread::spawn(move || {
            let fields: Vec<_> = form.iter().map(|(k, v)| (*k, v.as_str())).collect();
            is_acknowledged(browser.try_post(&url, &fields), refused)
        })
    }

    fn form(&self, change: &Change, rows: &BTreeMap<String, Row>) -> (Browser, String, Form) {
        let of_tenant = |name: &String, path: &str, form: Form| {
            let tenant = &self.accounts[name].tenant;
            (tenant.browser.clone(), tenant.url(path), form)
        };
        match change {
            Change::SignUp(name) => {
                let form = vec![
                    ("name", name.clone()),
                    ("password", PASSWORD.to_owned()),
                    ("plan", "studio".to_owned()),
                ];
                let url = format!("http://localhost:{PORT}/do/sign_up");
                (Browser::new(PORT), url, form)
            }
            Change::AddDevice(name) => {
                let form = vec![
                    ("label", format!("Extra {}", self.count)),
                    ("routing", "network".to_owned()),
                    ("policy", "standard".to_owned()),
                ];
                of_tenant(name, "/do/add_device", form)
            }
            Change::SetDevice(name) => {
                let id = self.id_of(extra_key(&rows[name]));
                let form = vec![("id", id), ("policy", "off".to_owned())];
                of_tenant(name, "/do/set_device", form)
            }
            Change::DeleteDevice(name) => {
                let id = self.id_of(extra_key(&rows[name]));
                of_tenant(name, "/do/delete_device", vec![("id", id)])
            }
            Change::Suspend(name, suspended) => {
                let form = vec![
                    ("id", rows[name].id.clone()),
                    ("suspended", suspended.to_string()),
                ];
                let url = format!("http://admin.localhost:{PORT}/do/suspend_tenant");
                (self.operator.clone(), url, form)
            }
            Change::Delete(name) => {
                of_tenant(name, "/do/delete_account", vec![("name", name.clone())])
            }
        }
    }

    fn id_of(&self, key: &str) -> String {
        let sql = format!("SELECT id FROM peers WHERE public_key = '{key}'");
        self.cluster.query(&sql).trim().to_owned()
    }
}

/// Returns whether an answer says that the change was made. A refusal leads back to the
/// form, with an error.
fn is_acknowledged(page: io::Result<Page>, refused: &str) -> bool {
    page.is_ok_and(|p| {
        let to = p.header("location").unwrap_or_default();
        p.status < 400 && !to.contains(refused) && !to.contains("error")
    })
}

/// Returns the key of the device that a change is about: the last of those added by one.
pub(super) fn extra_key(row: &Row) -> &str {
    let mut devices = row.devices.iter().rev();
    let extra = devices.find(|(label, _)| label.starts_with("Extra"));
    extra.expect("it has one").1
}

/// Checks that an acknowledged change was made, and that no other tenant was lost. A
/// change that was not acknowledged may or may not have been made.
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
        let stays = |r: &Row| (&r.node, r.slot) == (&row.node, row.slot);
        assert!(
            is_about || after.get(name).is_some_and(stays),
            "{name} is lost: {after:?}"
        );
    }
}
