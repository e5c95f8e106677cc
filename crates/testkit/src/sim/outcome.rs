//! What can happen to a call, and what does: drawn before it is carried out.

use super::{SimState, faults::Fault, rng::SplitMix64};
use domain::Slot;
use std::time::Duration;

/// What can happen to a call.
pub(super) struct Call {
    pub(super) name: &'static str,
    /// How long the real implementation waits at most.
    pub(super) timeout: Duration,
    pub(super) reads: bool,
    /// Whether its effect can happen in part.
    pub(super) divisible: bool,
    pub(super) late: Lateness,
}

/// Whether the effect of a call can come after its timeout.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lateness {
    Never,
    /// Later calls for the same slot, and readings, wait behind it.
    InOrder,
    AnyOrder,
}

/// The outcome of a call.
pub(super) enum Outcome {
    Succeeds,
    FailsBefore,
    AnswerLost,
    /// Part of the effect happens, chosen by this generator.
    Partial(SplitMix64),
    Hangs,
    /// The caller gets no answer, and the effect happens after this time.
    Late(Duration),
    /// The process dies before or after the effect.
    Dies {
        after: bool,
    },
}

impl SimState {
    /// Draws the outcome of a call and the least time it takes.
    pub(super) fn draw_outcome(&mut self, call: &Call, slot: Option<Slot>) -> (Outcome, Duration) {
        self.apply_due();
        match call.reads {
            true => self.readings += 1,
            false if call.name.starts_with("connections.") => self.connection_ends += 1,
            false => self.changes += 1,
        }
        let mut takes = Duration::from_millis(self.rng.below(6));
        let dies = match &mut self.calls_until_death {
            Some(0) => true,
            Some(n) => {
                *n -= 1;
                false
            }
            None => false,
        };
        let mut strikes = |fault| self.faults.strikes(fault, &mut self.rng);
        let outcome = if dies {
            Outcome::Dies {
                after: self.rng.percent(50),
            }
        } else if strikes(Fault::FailsBefore) {
            Outcome::FailsBefore
        } else if !call.reads && strikes(Fault::AnswerLost) {
            Outcome::AnswerLost
        } else if call.divisible && strikes(Fault::HalfApplied) {
            Outcome::Partial(SplitMix64::new(self.rng.draw()))
        } else if strikes(Fault::Hangs) {
            Outcome::Hangs
        } else if call.late != Lateness::Never && !call.reads && strikes(Fault::Late) {
            let limit = call.timeout.as_millis() as u64 + 20_000;
            Outcome::Late(Duration::from_millis(self.rng.below(limit)))
        } else {
            if strikes(Fault::Slow) {
                takes += Duration::from_millis(self.rng.below(call.timeout.as_millis() as u64 / 2));
            }
            Outcome::Succeeds
        };
        let suffix = match &outcome {
            Outcome::Succeeds => "",
            Outcome::FailsBefore => " fails before its effect",
            Outcome::AnswerLost => " loses its answer",
            Outcome::Partial(_) => " is applied in part",
            Outcome::Hangs => " hangs",
            Outcome::Late(_) => " is late",
            Outcome::Dies { .. } => " is the last",
        };
        if !call.reads || !suffix.is_empty() {
            self.record(|| format!("call {} {slot:?}{suffix}", call.name));
        }
        (outcome, takes)
    }
}
