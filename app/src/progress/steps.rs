//! The steps that people see, from a tenant's status.

use crate::ui::format::escape;
use domain::{Part, view::ProgressView};

/// How a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Not begun.
    Waiting,
    /// Under way.
    Working,
    /// Done, in that many milliseconds where that is known.
    Done(Option<u32>),
    /// Does not work, and why.
    Problem(String),
}

impl State {
    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// "4 ms", or nothing.
    pub(super) fn took(&self) -> Option<String> {
        match self {
            Self::Done(Some(ms)) if *ms > 0 => Some(format!("{ms} ms")),
            _ => None,
        }
    }

    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Problem(sentence) => Some(sentence.clone()),
            _ => None,
        }
    }
}

impl From<&Part> for State {
    fn from(part: &Part) -> Self {
        match part {
            Part::Waiting => Self::Waiting,
            Part::Working => Self::Working,
            Part::Ready { took_ms } => Self::Done(Some(*took_ms)),
            Part::Problem(problem) => Self::Problem(problem.sentence.clone()),
        }
    }
}

/// A step with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) text: String,
    pub(super) state: State,
}

/// The steps in the order they end. Slot, port and keys are made in the
/// sign-up's own transaction: whoever sees this page has them.
pub(super) fn steps(view: &ProgressView) -> Vec<Step> {
    let status = &view.status;
    let step = |text: String, state: State| Step { text, state };
    vec![
        step(
            format!("Network {} and port {} are yours", view.subnet, view.port),
            State::Done(None),
        ),
        step("Keys".to_owned(), State::Done(None)),
        step("Firewall".to_owned(), (&status.firewall).into()),
        step(
            format!("Tunnel {}", view.interface),
            (&status.tunnel).into(),
        ),
        step("Your own DNS filter".to_owned(), (&status.dns).into()),
        step(
            "Ready for your first device".to_owned(),
            if status.is_ready() {
                State::Done(None)
            } else {
                State::Waiting
            },
        ),
    ]
}

/// The steps as list items. A sentence may name what somebody else called
/// something: it is escaped.
pub(super) fn html(steps: &[Step]) -> String {
    let mut html = String::new();
    for step in steps {
        let (icon, word, ink) = match step.state {
            State::Done(_) => ("<i class=\"icon g-check text-live\"></i>", "done", ""),
            State::Working => ("<span class=\"step-ring\"></span>", "under way", ""),
            State::Waiting => ("<span class=\"step-dot\"></span>", "not yet", "text-ink-3"),
            State::Problem(_) => ("<i class=\"icon g-alert text-warn\"></i>", "a problem", ""),
        };
        let problem = step.state.problem().map_or(String::new(), |s| {
            format!("<p class=\"s step-problem\">{}</p>", escape(&s))
        });
        html.push_str(&format!(
            "<li class=\"step\"><span class=\"step-icon\" role=\"img\" aria-label=\"{word}\">{icon}</span>\
             <span class=\"{ink}\">{}</span><span class=\"xs num ms-auto\">{}</span>{problem}</li>",
            escape(&step.text),
            step.state.took().unwrap_or_default(),
        ));
    }
    html
}
