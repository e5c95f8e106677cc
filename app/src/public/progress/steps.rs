//! The visible steps, computed from a tenant's status.

use crate::ui::format::escape;
use domain::{
    Part,
    view::{ProblemView, ProgressView},
};

/// The state of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StepState {
    Waiting,
    Working,
    /// Done, with the duration in milliseconds if it is known.
    Done(Option<u32>),
    /// Failed, with the message.
    Problem(String),
}

impl StepState {
    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// Returns the duration, for example "4 ms".
    pub(super) fn took(&self) -> Option<String> {
        match self {
            Self::Done(Some(ms)) if *ms > 0 => Some(format!("{ms} ms")),
            _ => None,
        }
    }

    pub(super) fn problem(&self) -> Option<String> {
        match self {
            Self::Problem(message) => Some(message.clone()),
            _ => None,
        }
    }
}

impl From<&Part<ProblemView>> for StepState {
    fn from(part: &Part<ProblemView>) -> Self {
        match part {
            Part::Waiting => Self::Waiting,
            Part::Working => Self::Working,
            Part::Ready { took_ms } => Self::Done(Some(*took_ms)),
            Part::Problem(problem) => Self::Problem(problem.message.clone()),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) text: String,
    pub(super) state: StepState,
}

/// Returns the steps in the order they finish. Slot, port and keys are created in
/// the sign-up's transaction: they exist once this page is shown.
pub(super) fn steps(view: &ProgressView) -> Vec<Step> {
    let status = &view.status;
    let step = |text: String, state: StepState| Step { text, state };
    vec![
        step(
            format!("Network {} and port {} are yours", view.subnet, view.port),
            StepState::Done(None),
        ),
        step("Keys".to_owned(), StepState::Done(None)),
        step("Firewall".to_owned(), (&status.firewall).into()),
        step(
            format!("Tunnel {}", view.interface),
            (&status.tunnel).into(),
        ),
        step("Your own DNS filter".to_owned(), (&status.dns).into()),
        step(
            "Ready for your first device".to_owned(),
            if status.is_ready() {
                StepState::Done(None)
            } else {
                StepState::Waiting
            },
        ),
    ]
}

/// Returns the steps as list items. All texts are escaped: a message may contain a
/// name from outside.
pub(super) fn html(steps: &[Step]) -> String {
    let mut html = String::new();
    for step in steps {
        let (icon, label, colour) = match step.state {
            StepState::Done(_) => ("<i class=\"icon g-check text-live\"></i>", "done", ""),
            StepState::Working => ("<span class=\"step-ring\"></span>", "under way", ""),
            StepState::Waiting => ("<span class=\"step-dot\"></span>", "not yet", "text-ink-3"),
            StepState::Problem(_) => ("<i class=\"icon g-alert text-warn\"></i>", "a problem", ""),
        };
        let problem = step.state.problem().map_or(String::new(), |s| {
            format!("<p class=\"s step-problem\">{}</p>", escape(&s))
        });
        html.push_str(&format!(
            "<li class=\"step\"><span class=\"step-icon\" role=\"img\" aria-label=\"{label}\">{icon}</span>\
             <span class=\"{colour}\">{}</span><span class=\"xs num ms-auto\">{}</span>{problem}</li>",
            escape(&step.text),
            step.state.took().unwrap_or_default(),
        ));
    }
    html
}
