//! What is typed into a plan's form: texts, so that they return as they were typed,
//! and the plan they mean.

use crate::ui::quantity::{DATA, SPEED, Unit, parse, split};
use domain::{AtLimit, ErrorCode, Failure, Field, Message, Plan, plan};
use serde::{Deserialize, Serialize};

/// The values of the inputs. Those of a form that has none are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanInput {
    /// The plan's id; empty for a new plan, which gets one made from its name.
    pub id: String,
    pub name: String,
    pub devices: String,
    /// Empty is no limit, as with both speeds.
    pub data: String,
    pub data_unit: String,
    pub down: String,
    pub down_unit: String,
    pub up: String,
    pub up_unit: String,
    pub at_limit: String,
    pub slow: String,
    pub slow_unit: String,
    pub month_day: String,
    /// "on", or anything else.
    pub visible: String,
    /// As `visible`.
    pub recommended: String,
}

/// The speed once the data are used up of a plan for which none is typed and none is
/// needed.
const DEFAULT_SLOW_BPS: u64 = 1_000_000;

impl PlanInput {
    /// Returns the inputs for a new plan.
    pub fn new() -> Self {
        let unit = |units: &[Unit; 4]| units[1].name.to_owned();
        Self {
            devices: "10".to_owned(),
            data_unit: unit(&DATA),
            down_unit: unit(&SPEED),
            up_unit: unit(&SPEED),
            at_limit: AtLimit::Slow.as_str().to_owned(),
            slow: "1".to_owned(),
            slow_unit: unit(&SPEED),
            month_day: "1".to_owned(),
            visible: "on".to_owned(),
            ..Self::default()
        }
    }

    /// Returns the inputs for a plan as it is.
    pub fn of(plan: &Plan) -> Self {
        let typed = |n: Option<u64>, units: &[Unit; 4]| match n {
            Some(n) => split(n, units),
            None => (String::new(), units[1]),
        };
        let (data, data_unit) = typed(plan.monthly_bytes, &DATA);
        let (down, down_unit) = typed(plan.down_bps, &SPEED);
        let (up, up_unit) = typed(plan.up_bps, &SPEED);
        let (slow, slow_unit) = split(plan.slow_bps, &SPEED);
        let flag = |on: bool| if on { "on" } else { "off" }.to_owned();
        Self {
            id: plan.id.clone(),
            name: plan.name.clone(),
            devices: plan.devices.to_string(),
            data,
            data_unit: data_unit.name.to_owned(),
            down,
            down_unit: down_unit.name.to_owned(),
            up,
            up_unit: up_unit.name.to_owned(),
            at_limit: plan.at_limit.as_str().to_owned(),
            slow,
            slow_unit: slow_unit.name.to_owned(),
            month_day: plan.month_day.to_string(),
            visible: flag(plan.visible),
            recommended: flag(plan.recommended),
        }
    }

    /// Returns what a query contains, and these values where it contains nothing.
    #[must_use]
    pub fn with_query(mut self, get: impl Fn(&str) -> Option<String>) -> Self {
        for (name, value) in self.inputs() {
            if let Some(typed) = get(name) {
                *value = typed;
            }
        }
        self
    }

    /// Returns the values with the names of their inputs, for a query or a form's
    /// hidden inputs. A switch that is off has a value too.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut copy = self.clone();
        let pairs = copy.inputs().map(|(name, value)| {
            let is_switch = matches!(name, "visible" | "recommended");
            let is_off = is_switch && value.as_str() != "on";
            (
                name,
                if is_off {
                    "off".to_owned()
                } else {
                    value.clone()
                },
            )
        });
        pairs.into()
    }

    fn inputs(&mut self) -> [(&'static str, &mut String); 15] {
        [
            ("id", &mut self.id),
            ("name", &mut self.name),
            ("devices", &mut self.devices),
            ("data", &mut self.data),
            ("data_unit", &mut self.data_unit),
            ("down", &mut self.down),
            ("down_unit", &mut self.down_unit),
            ("up", &mut self.up),
            ("up_unit", &mut self.up_unit),
            ("at_limit", &mut self.at_limit),
            ("slow", &mut self.slow),
            ("slow_unit", &mut self.slow_unit),
            ("month_day", &mut self.month_day),
            ("visible", &mut self.visible),
            ("recommended", &mut self.recommended),
        ]
    }

    /// Returns the plan that the inputs mean, at that place among the plans.
    ///
    /// # Errors
    /// `PlanMalformed` or `ChoiceUnknown` at the first field that has no value that a
    /// plan may have.
    pub fn plan(&self, position: u32) -> Result<Plan, Failure> {
        let devices = self.devices.trim().parse().map_err(|_| {
            let most = plan::MAX_DEVICES.into();
            malformed(Field::Devices, Message::PlanDevicesRange { most })
        })?;
        let monthly_bytes = optional(&self.data, &self.data_unit, &DATA)
            .ok_or_else(|| malformed(Field::Data, Message::PlanDataRange))?;
        let speed = |typed: &str, unit: &str, field| {
            let read = optional(typed, unit, &SPEED);
            read.ok_or_else(|| malformed(field, Message::PlanSpeedRange))
        };
        let down_bps = speed(&self.down, &self.down_unit, Field::Down)?;
        let up_bps = speed(&self.up, &self.up_unit, Field::Up)?;
        let at_limit = self.at_limit.parse()?;
        let is_needed = at_limit == AtLimit::Slow && monthly_bytes.is_some();
        let slow_bps = match speed(&self.slow, &self.slow_unit, Field::Slow) {
            Ok(Some(bps)) => bps,
            Ok(None) if !is_needed => DEFAULT_SLOW_BPS,
            Ok(None) => return Err(malformed(Field::Slow, Message::PlanSpeedRange)),
            Err(failure) => return Err(failure),
        };
        let month_day = self.month_day.trim().parse();
        let month_day = month_day.map_err(|_| malformed(Field::MonthDay, Message::PlanDayRange))?;
        let name = self.name.trim().to_owned();
        let id = match self.id.trim() {
            "" => id_of(&name),
            id => id.to_owned(),
        };
        let plan = Plan {
            id,
            name,
            devices,
            monthly_bytes,
            down_bps,
            up_bps,
            at_limit,
            slow_bps,
            month_day,
            recommended: self.recommended == "on",
            visible: self.visible == "on",
            position,
        };
        plan.check()?;
        Ok(plan)
    }
}

fn malformed(field: Field, message: Message) -> Failure {
    Failure::at(field, ErrorCode::PlanMalformed, message)
}

/// Reads a quantity that may be left empty. `None` if it cannot be read.
fn optional(typed: &str, unit: &str, units: &[Unit; 4]) -> Option<Option<u64>> {
    match typed.trim() {
        "" => Some(None),
        typed => parse(typed, unit, units).map(Some),
    }
}

/// Makes an id from a name: "Home & Office" becomes `home-office`.
fn id_of(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|w| !w.is_empty()).collect();
    let mut id = words.join("-");
    id.truncate(plan::MAX_ID_BYTES);
    match id.trim_end_matches('-') {
        "" => "plan".to_owned(),
        id => id.to_owned(),
    }
}

/// Returns the id, or with a number the first one that is not taken: `home-2`.
pub fn unused_id(id: String, taken: &[String]) -> String {
    if !taken.contains(&id) {
        return id;
    }
    // One of so many is not among them.
    let numbers = 2..taken.len() + 3;
    let numbered = numbers.map(|n| {
        let end = format!("-{n}");
        let length = id.len().min(plan::MAX_ID_BYTES - end.len());
        format!("{}{end}", id[..length].trim_end_matches('-'))
    });
    let mut unused = numbered.filter(|id| !taken.contains(id));
    unused.next().unwrap_or(id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant::fixture;

    #[test]
    fn a_plan_returns_from_its_inputs_unchanged() {
        let mut plan = fixture::plan();
        (plan.down_bps, plan.up_bps) = (Some(1_234_567_000), Some(64_000));
        plan.slow_bps = 64_000;
        assert_eq!(PlanInput::of(&plan).plan(plan.position), Ok(plan.clone()));
        (plan.visible, plan.recommended) = (false, false);
        plan.monthly_bytes = None;
        let input = PlanInput::of(&plan);
        // By a query and back, as after a refusal.
        let pairs = input.pairs();
        let get = |name: &str| pairs.iter().find(|p| p.0 == name).map(|p| p.1.clone());
        let returned = PlanInput::new().with_query(get);
        assert_eq!(returned, input);
        assert_eq!(returned.plan(plan.position), Ok(plan));
    }

    #[test]
    fn a_refusal_names_its_field() {
        let mut ready = PlanInput::of(&fixture::plan());
        ready.down = "50".to_owned();
        let at = |change: fn(&mut PlanInput)| {
            let mut input = ready.clone();
            change(&mut input);
            input.plan(1).map_err(|f| f.field)
        };
        assert!(at(|_| ()).is_ok());
        assert!(at(|i| i.down.clear()).unwrap().down_bps.is_none());
        for (change, field) in [
            ((|i| i.name = " ".into()) as fn(&mut PlanInput), Field::Name),
            (|i| i.devices = "ten".into(), Field::Devices),
            (|i| i.devices = "0".into(), Field::Devices),
            (|i| i.data = "0".into(), Field::Data),
            (|i| i.data = "1,000".into(), Field::Data),
            (|i| i.down = "0".into(), Field::Down),
            (|i| i.down_unit = "furlongs".into(), Field::Down),
            (
                |i| (i.up, i.up_unit) = ("10.000000000001".into(), "Tb/s".into()),
                Field::Up,
            ),
            (|i| i.at_limit = "halt".into(), Field::AtLimit),
            (|i| i.slow.clear(), Field::Slow),
            (|i| i.slow = "51".into(), Field::Slow),
            (|i| i.month_day = "32".into(), Field::MonthDay),
            (|i| i.id = "../x".into(), Field::PlanId),
        ] {
            assert_eq!(at(change), Err(Some(field)));
        }
        let stopped = at(|i| {
            i.slow.clear();
            i.at_limit = "stop".into();
        });
        assert_eq!(stopped.map(|p| p.slow_bps), Ok(DEFAULT_SLOW_BPS));
    }

    #[test]
    fn a_new_plan_gets_an_id_from_its_name() {
        for (name, id) in [
            ("Home & Office", "home-office"),
            ("  XL ", "xl"),
            ("家庭", "plan"),
            (
                "abcdefghijklmnopqrstuvwxyzabcde fgh",
                "abcdefghijklmnopqrstuvwxyzabcde",
            ),
        ] {
            assert_eq!(id_of(name.trim()), id);
        }
    }

    #[test]
    fn a_second_plan_of_that_name_gets_a_number() {
        let unused = |id: &str, taken: &[&str]| {
            let taken: Vec<String> = taken.iter().map(|t| (*t).to_owned()).collect();
            unused_id(id.to_owned(), &taken)
        };
        assert_eq!(unused("home", &["studio"]), "home");
        assert_eq!(unused("home", &["home", "home-2"]), "home-3");
        let long = "a".repeat(plan::MAX_ID_BYTES);
        assert_eq!(unused(&long, &[&long]).len(), plan::MAX_ID_BYTES);
    }
}
