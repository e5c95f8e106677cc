//! Whether there is an order in which a step's operations, one after another,
//! give what everybody was told, what the audit log says and what the database
//! holds (linearizability: Wing and Gong, "Testing and Verifying Concurrent
//! Objects", 1993). The log gives the order of whatever wrote; what ended
//! before another began comes before it; what got no answer happened or not.

use super::{
    asked::{Answer, Asked, Got, Wish},
    model::{Model, Rules},
    seen::{Row, Seen},
};
use domain::{AddressPlan, ErrorCode};
use provisioning::spec::{DeviceSpec, NodeSpec};
use std::collections::BTreeMap;

/// The model after a step.
///
/// # Errors
/// In words, what cannot be explained.
pub fn explain(
    before: &Model,
    step: &[Asked],
    rows: &[Row],
    rules: &Rules<'_>,
) -> Result<Model, String> {
    let (alone, changes): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(Row::stands_alone);
    let told = |what: String| {
        let mut text = format!("{what}\n");
        for asked in step {
            text.push_str(&format!("    {} {asked:?}\n", asked.actor()));
        }
        text.push_str(&format!("    log: {rows:?}\n    before: {before:?}\n"));
        text.push_str(&format!("    the database: {:?}", rules.seen.tenants));
        text
    };
    alone_fits(step, &alone, rules).map_err(told)?;
    let mut model = before.clone();
    doubt_tickets(&mut model, step);
    let mut search = Search {
        step,
        rules,
        writers: changes.iter().map(|r| r.actor.clone()).collect(),
        nearest: (0, "nothing could come first".to_owned()),
    };
    let done = vec![false; step.len()];
    let Some(mut model) = search.go(model, done, &changes) else {
        let nearest = search.nearest.1;
        return Err(told(format!("no order of the step explains it: {nearest}")));
    };
    for asked in step {
        if let Answer::Ok(Got::Ticket(value)) = &asked.answer {
            let name = asked.actor();
            // Somebody else may have the name by now.
            let same = |a: &Asked| match &a.wish {
                Wish::Leave { who, .. } => who.name.as_str() == name,
                _ => false,
            };
            model.give(value, &name, rules.now, !step.iter().any(same));
        }
    }
    let alive: Vec<_> = model.tenants.values().map(|t| t.name.clone()).collect();
    model.tickets.retain(|_, t| alive.contains(&t.tenant));
    Ok(model)
}

/// A ticket whose use got no answer may be used up.
fn doubt_tickets(model: &mut Model, step: &[Asked]) {
    for asked in step {
        let told = matches!(
            asked.answer,
            Answer::Ok(_) | Answer::Refused(ErrorCode::TicketInvalid)
        );
        if let Wish::Arrive { ticket, .. } = &asked.wish
            && let Some(t) = model.tickets.get_mut(ticket).filter(|_| !told)
        {
            t.sure = false;
        }
    }
}

/// What is written by itself: a line for everybody who was told so, at most one
/// for who was told nothing, none for anybody else.
fn alone_fits(step: &[Asked], alone: &[Row], rules: &Rules<'_>) -> Result<(), String> {
    let mut least = BTreeMap::<Row, usize>::new();
    let mut most = BTreeMap::<(String, String), usize>::new();
    for asked in step {
        let actor = asked.actor();
        let (action, object) = match (&asked.wish, &asked.answer) {
            (Wish::SignIn { .. }, Answer::Ok(_)) => ("session.begin", Some(actor.clone())),
            (Wish::SignIn { .. }, Answer::Nothing) => ("session.begin", None),
            (Wish::Download { who, .. }, Answer::Ok(Got::Device(d, _))) => {
                ("device.config", Some(format!("{}/{}", who.name, d.label)))
            }
            (Wish::Download { .. }, Answer::Nothing) => ("device.config", None),
            _ => continue,
        };
        *most.entry((actor.clone(), action.to_owned())).or_default() += 1;
        if let Some(object) = object {
            let row = Row {
                actor,
                action: action.to_owned(),
                object,
            };
            *least.entry(row).or_default() += 1;
        }
    }
    for (row, n) in least {
        let written = alone.iter().filter(|r| **r == row).count();
        if written < n {
            return Err(format!(
                "written {written} times, not {n}: {row:?} in {alone:?}"
            ));
        }
    }
    let tried = |name: &str| rules.tries.get(name).is_some_and(|n| *n >= 5);
    for row in alone {
        let key = (row.actor.clone(), row.action.clone());
        let may = match row.action.as_str() {
            "session.refused" => tried(&row.object),
            _ => {
                let same = |r: &&Row| r.actor == row.actor && r.action == row.action;
                let written = alone.iter().filter(same).count();
                written <= most.get(&key).copied().unwrap_or_default()
            }
        };
        if !may {
            return Err(format!("nobody did what is written down: {row:?}"));
        }
    }
    Ok(())
}

struct Search<'a> {
    step: &'a [Asked],
    rules: &'a Rules<'a>,
    /// Who wrote something down.
    writers: Vec<String>,
    /// How far it got, and what was in the way there.
    nearest: (usize, String),
}

impl Search<'_> {
    /// Whether everything that ended before an operation began has its place.
    fn may_come(&self, i: usize, done: &[bool]) -> bool {
        let begun = self.step[i].began;
        let mut before = self.step.iter().zip(done).filter(|(other, _)| {
            // Whoever went away may still have something under way.
            let answered = !matches!(other.answer, Answer::Nothing);
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

    fn go(&mut self, mut model: Model, mut done: Vec<bool>, rows: &[Row]) -> Option<Model> {
        // Whatever changes nothing comes as early as it can: it is in nobody's way.
        loop {
            let next = self.open(&done).into_iter().find(|i| {
                let asked = &self.step[*i];
                self.may_come(*i, &done)
                    && !self.wrote(asked)
                    && model.leaves_all(asked, self.rules)
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
            let asked = &self.step[i];
            if asked.began.is_none() || !self.may_come(i, &done) {
                continue;
            }
            let Some((after, written)) = model.after(asked, self.rules) else {
                continue;
            };
            if written != *row {
                continue;
            }
            let mut done = done.clone();
            done[i] = true;
            if let Some(end) = self.go(after, done, rest) {
                return Some(end);
            }
        }
        self.stuck(rows.len(), || format!("nobody could have done {row:?}"));
        None
    }

    /// Whether an operation wrote something down. A sign-up's lines have its
    /// name, which others may have too: its answer tells.
    fn wrote(&self, asked: &Asked) -> bool {
        match asked.wish {
            Wish::SignUp { .. } => matches!(asked.answer, Answer::Ok(_)),
            Wish::SignIn { .. } | Wish::Arrive { .. } | Wish::Download { .. } => false,
            _ => self.writers.contains(&asked.actor()),
        }
    }

    fn is_the_end(&mut self, model: &Model, done: &[bool]) -> bool {
        let answered = |i: &usize| !matches!(self.step[*i].answer, Answer::Nothing);
        let left = self.open(done).into_iter().find(answered);
        if let Some(i) = left {
            let asked = &self.step[i];
            let text = format!("{} {:?} got {:?}", asked.actor(), asked.wish, asked.answer);
            self.stuck(0, || text);
            return false;
        }
        match difference(model, self.rules.seen) {
            None => true,
            Some(what) => {
                self.stuck(0, || what);
                false
            }
        }
    }

    fn stuck(&mut self, left: usize, what: impl FnOnce() -> String) {
        let far = self.rules.seen.rows.len() - left;
        if far >= self.nearest.0 {
            self.nearest = (far, what());
        }
    }
}

/// What the node is given otherwise than the model has it.
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

/// What the database has otherwise than the model.
pub fn difference(model: &Model, seen: &Seen) -> Option<String> {
    let addresses = AddressPlan::default();
    if let Some(t) = seen
        .tenants
        .iter()
        .find(|(k, _)| !model.tenants.contains_key(k))
    {
        return Some(format!("{} should not be there", t.1.name));
    }
    for (key, t) in &model.tenants {
        let Some(s) = seen.tenants.get(key) else {
            return Some(format!("{} should be there", t.name));
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
