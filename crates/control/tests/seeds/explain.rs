//! Searches for an order in which the operations of a step, one after another,
//! give every answer, every line of the audit log and every row of the database
//! (linearizability: Wing and Gong, "Testing and Verifying Concurrent Objects",
//! 1993). The log gives the order of the operations that wrote a line; an
//! operation that ended before another began comes before it; one without an
//! answer happened or did not.

use super::{
    model::{Context, Model},
    operations::{Answer, Operation, Payload, Request},
    snapshot::{AuditLine, Snapshot},
};
use domain::{AddressPlan, ErrorCode};
use protocol::{DeviceSpec, NodeSpec};
use std::collections::BTreeMap;

/// Returns the model after a step.
///
/// # Errors
/// A description of what cannot be explained.
pub fn explain(
    before: &Model,
    step: &[Operation],
    rows: &[AuditLine],
    context: &Context<'_>,
) -> Result<Model, String> {
    let (alone, changes): (Vec<_>, Vec<_>) =
        rows.iter().cloned().partition(AuditLine::is_written_alone);
    let describe = |what: String| {
        let mut text = format!("{what}\n");
        for operation in step {
            text.push_str(&format!("    {} {operation:?}\n", operation.actor()));
        }
        text.push_str(&format!("    log: {rows:?}\n    before: {before:?}\n"));
        text.push_str(&format!("    the database: {:?}", context.snapshot.tenants));
        text
    };
    check_lines_written_alone(step, &alone, context).map_err(describe)?;
    let mut model = before.clone();
    doubt_tickets(&mut model, step);
    let mut search = Search {
        step,
        context,
        writers: changes.iter().map(|r| r.actor.clone()).collect(),
        nearest: (0, "no operation can be the first".to_owned()),
    };
    let done = vec![false; step.len()];
    let Some(mut model) = search.search(model, done, &changes) else {
        let nearest = search.nearest.1;
        return Err(describe(format!(
            "no order of the step explains it: {nearest}"
        )));
    };
    for operation in step {
        if let Answer::Ok(Payload::Ticket(value)) = &operation.answer {
            let name = operation.actor();
            // Another tenant may have the name by now.
            let same = |a: &Operation| match &a.request {
                Request::DeleteTenant { tenant, .. } => tenant.name.as_str() == name,
                _ => false,
            };
            model.add_ticket(value, &name, context.now, !step.iter().any(same));
        }
    }
    let names: Vec<_> = model.tenants.values().map(|t| t.name.clone()).collect();
    model.tickets.retain(|_, t| names.contains(&t.tenant));
    Ok(model)
}

/// Marks tickets as possibly used if their use got no answer.
fn doubt_tickets(model: &mut Model, step: &[Operation]) {
    for operation in step {
        let is_answered = matches!(
            operation.answer,
            Answer::Ok(_) | Answer::Refused(ErrorCode::TicketInvalid)
        );
        if let Request::Redeem { ticket, .. } = &operation.request
            && let Some(t) = model.tickets.get_mut(ticket).filter(|_| !is_answered)
        {
            t.sure = false;
        }
    }
}

/// Checks the audit entries that are written outside the transaction of a
/// change: one for each operation that was answered so, at most one for each
/// without an answer, and no others.
fn check_lines_written_alone(
    step: &[Operation],
    alone: &[AuditLine],
    context: &Context<'_>,
) -> Result<(), String> {
    let mut min = BTreeMap::<AuditLine, usize>::new();
    let mut max = BTreeMap::<(String, String), usize>::new();
    for operation in step {
        let actor = operation.actor();
        let (action, object) = match (&operation.request, &operation.answer) {
            (Request::SignIn { .. }, Answer::Ok(_)) => ("session.begin", Some(actor.clone())),
            (Request::SignIn { .. }, Answer::Lost) => ("session.begin", None),
            (Request::DownloadConfig { tenant, .. }, Answer::Ok(Payload::Device(d, _))) => (
                "device.config",
                Some(format!("{}/{}", tenant.name, d.label)),
            ),
            (Request::DownloadConfig { .. }, Answer::Lost) => ("device.config", None),
            _ => continue,
        };
        *max.entry((actor.clone(), action.to_owned())).or_default() += 1;
        if let Some(object) = object {
            let row = AuditLine {
                actor,
                action: action.to_owned(),
                object,
            };
            *min.entry(row).or_default() += 1;
        }
    }
    for (row, n) in min {
        let written = alone.iter().filter(|r| **r == row).count();
        if written < n {
            return Err(format!(
                "written {written} times, not {n}: {row:?} in {alone:?}"
            ));
        }
    }
    let may_be_locked_out = |name: &str| context.attempts.get(name).is_some_and(|n| *n >= 5);
    for row in alone {
        let key = (row.actor.clone(), row.action.clone());
        let may = match row.action.as_str() {
            "session.refused" => {
                let refused = step.iter().filter(|o| may_be_refused(o, &row.object));
                alone.iter().filter(|r| *r == row).count() <= refused.count()
            }
            "session.limited" => may_be_locked_out(&row.object),
            _ => {
                let same = |r: &&AuditLine| r.actor == row.actor && r.action == row.action;
                let written = alone.iter().filter(same).count();
                written <= max.get(&key).copied().unwrap_or_default()
            }
        };
        if !may {
            return Err(format!("no operation wrote the audit entry {row:?}"));
        }
    }
    Ok(())
}

/// Returns whether an operation may have been a sign-in with a wrong password of that name.
fn may_be_refused(operation: &Operation, account: &str) -> bool {
    let is_refused = matches!(
        operation.answer,
        Answer::Lost | Answer::Refused(ErrorCode::SignInRefused)
    );
    matches!(&operation.request, Request::SignIn { name, .. } if name == account) && is_refused
}

struct Search<'a> {
    step: &'a [Operation],
    context: &'a Context<'a>,
    /// The actors of the audit entries.
    writers: Vec<String>,
    /// How far the search got, and what stopped it there.
    nearest: (usize, String),
}

impl Search<'_> {
    /// Returns whether every operation that ended before this one began has its
    /// place in the order.
    fn may_be_next(&self, i: usize, done: &[bool]) -> bool {
        let begun = self.step[i].began;
        let mut before = self.step.iter().zip(done).filter(|(other, _)| {
            // An operation without a client may still be under way.
            let answered = !matches!(other.answer, Answer::Lost);
            answered
                && other
                    .ended
                    .zip(begun)
                    .is_some_and(|(end, begin)| end < begin)
        });
        before.all(|(_, done)| *done)
    }

    fn open(&self, done: &[bool]) -> Vec<usize> {
        (0..done.len()).filter(|i| !done[*i]).collect()
    }

    fn search(
        &mut self,
        mut model: Model,
        mut done: Vec<bool>,
        rows: &[AuditLine],
    ) -> Option<Model> {
        // Operations that change nothing come as early as possible: they are in
        // the way of no other.
        loop {
            let next = self.open(&done).into_iter().find(|i| {
                let operation = &self.step[*i];
                self.may_be_next(*i, &done)
                    && !self.wrote(operation)
                    && model.is_unchanged_by(operation, self.context)
            });
            let Some(i) = next else {
                break;
            };
            done[i] = true;
            model.use_up(&self.step[i]);
        }
        let Some((row, rest)) = rows.split_first() else {
            return self.is_the_end(&model, &done).then_some(model);
        };
        for i in self.open(&done) {
            let operation = &self.step[i];
            if operation.began.is_none() || !self.may_be_next(i, &done) {
                continue;
            }
            let Some((after, written)) = model.apply(operation, self.context) else {
                continue;
            };
            if written != *row {
                continue;
            }
            let mut done = done.clone();
            done[i] = true;
            if let Some(end) = self.search(after, done, rest) {
                return Some(end);
            }
        }
        self.note_obstacle(rows.len(), || {
            format!("no operation can have written {row:?}")
        });
        None
    }

    /// Returns whether an operation wrote an audit entry. The entries of a
    /// sign-up have its name, which others may have too, so that its answer
    /// decides.
    fn wrote(&self, operation: &Operation) -> bool {
        match operation.request {
            Request::SignUp { .. } => matches!(operation.answer, Answer::Ok(_)),
            Request::SignIn { .. } | Request::Redeem { .. } | Request::DownloadConfig { .. } => {
                false
            }
            _ => self.writers.contains(&operation.actor()),
        }
    }

    fn is_the_end(&mut self, model: &Model, done: &[bool]) -> bool {
        let answered = |i: &usize| !matches!(self.step[*i].answer, Answer::Lost);
        let left = self.open(done).into_iter().find(answered);
        if let Some(i) = left {
            let operation = &self.step[i];
            let text = format!(
                "{} {:?} got {:?}",
                operation.actor(),
                operation.request,
                operation.answer
            );
            self.note_obstacle(0, || text);
            return false;
        }
        match difference(model, self.context.snapshot) {
            None => true,
            Some(what) => {
                self.note_obstacle(0, || what);
                false
            }
        }
    }

    fn note_obstacle(&mut self, left: usize, what: impl FnOnce() -> String) {
        let far = self.context.snapshot.rows.len() - left;
        if far >= self.nearest.0 {
            self.nearest = (far, what());
        }
    }
}

/// Returns the first difference between the node's spec and the model.
pub fn spec_difference(model: &Model, spec: &NodeSpec) -> Option<String> {
    let addresses = AddressPlan::default();
    let given: BTreeMap<_, _> = spec
        .tenants
        .values()
        .map(|t| (t.private_key.public(), t))
        .collect();
    if given.len() != model.tenants.len() {
        return Some(format!(
            "{} tenants are given, not {}",
            given.len(),
            model.tenants.len()
        ));
    }
    model.tenants.iter().find_map(|(key, t)| {
        let same = given.get(key).is_some_and(|g| {
            let device = |(_, d): (_, &DeviceSpec)| {
                (
                    d.public_key,
                    (d.label.as_str().to_owned(), d.address, d.policy, d.mesh),
                )
            };
            let devices: BTreeMap<_, _> = g.devices.iter().map(device).collect();
            let wanted = t.devices.iter().map(|(key, d)| {
                let address = addresses.device(t.slot, d.host);
                (*key, (d.label.clone(), address, d.policy, d.mesh))
            });
            (g.name.as_str(), g.slot, g.suspended) == (&*t.name, t.slot, t.suspended)
                && devices == wanted.collect()
        });
        (!same).then(|| format!("the node is given {:?} for {t:?}", given.get(key)))
    })
}

/// Returns the first difference between the database and the model.
pub fn difference(model: &Model, snapshot: &Snapshot) -> Option<String> {
    let addresses = AddressPlan::default();
    if let Some(t) = snapshot
        .tenants
        .iter()
        .find(|(k, _)| !model.tenants.contains_key(k))
    {
        return Some(format!("{} should not exist", t.1.name));
    }
    for (key, t) in &model.tenants {
        let Some(s) = snapshot.tenants.get(key) else {
            return Some(format!("{} should exist", t.name));
        };
        let same = s.name == t.name && s.suspended == t.suspended && s.plan == t.plan;
        if !same || s.id != t.id || s.slot != t.slot {
            return Some(format!("{} should be {t:?}, and is {s:?}", t.name));
        }
        if s.devices.len() != t.devices.len() {
            return Some(format!(
                "{} should have {:?}, and has {:?}",
                t.name, t.devices, s.devices
            ));
        }
        for (key, d) in &t.devices {
            let fits = s.devices.get(key).is_some_and(|s| {
                s.id == d.id
                    && s.label == d.label
                    && s.address == addresses.device(t.slot, d.host)
                    && (s.policy, s.mesh) == (d.policy, d.mesh)
            });
            if !fits {
                let found = s.devices.get(key);
                return Some(format!(
                    "{}'s device should be {d:?}, and is {found:?}",
                    t.name
                ));
            }
        }
    }
    None
}
