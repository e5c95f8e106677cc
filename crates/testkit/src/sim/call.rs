//! Carries out the calls of the ports: each by its drawn outcome, in simulated
//! time, with effects that may come after the caller has given up.

use super::{
    Sim, SimState,
    machine::Extent,
    outcome::{Call, Lateness, Outcome},
    state::{DelayedEffect, Effect, EventPort},
};
use domain::{ErrorCode, Message, Slot};
use provisioning::ports::{PortError, PortResult};
use std::time::Duration;
use tokio::time::Instant;

impl Sim {
    /// Carries out one call.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: &'static Call,
        slot: Option<Slot>,
        effect: impl FnOnce(&mut SimState, Extent) -> PortResult<T> + Send + 'static,
    ) -> PortResult<T> {
        let deadline = Instant::now() + call.timeout;
        let (outcome, takes, _in_flight) = {
            let mut s = self.state();
            let (outcome, takes) = s.draw_outcome(call, slot);
            (outcome, takes, (!call.reads).then(|| s.in_flight.clone()))
        };
        tokio::time::sleep(takes).await;
        if let Outcome::Dies { after: false } = outcome {
            return self.die().await;
        }
        // A late call has its effect at its own time, even if the caller is gone.
        if let Outcome::Late(after) = outcome {
            if call.late == Lateness::InOrder && self.wait_in_queue(slot, deadline).await.is_err() {
                return timed_out(call);
            }
            let effect: Effect = Box::new(move |s| {
                let done = effect(s, Extent::Complete).is_ok();
                s.record(|| format!("late {} {slot:?}: {done}", call.name));
            });
            self.schedule(call, slot, after, effect);
            tokio::time::sleep_until(deadline).await;
            return timed_out(call);
        }
        if call.late == Lateness::InOrder {
            self.wait_in_queue(slot, deadline).await?;
        }
        let result = match outcome {
            Outcome::FailsBefore => failed(call),
            Outcome::Hangs => {
                tokio::time::sleep_until(deadline).await;
                timed_out(call)
            }
            Outcome::Partial(ref rng) => {
                let part = Extent::Partial(rng.clone());
                self.state().apply_effect(call, slot, effect, part)
            }
            _ => self
                .state()
                .apply_effect(call, slot, effect, Extent::Complete),
        };
        match outcome {
            Outcome::AnswerLost => failed(call),
            Outcome::Dies { .. } => self.die().await,
            _ => result,
        }
    }

    fn schedule(&self, call: &Call, slot: Option<Slot>, after: Duration, effect: Effect) {
        let mut s = self.state();
        let due = s.now() + after;
        let queue = (call.late == Lateness::InOrder).then_some(slot);
        s.delayed.push(DelayedEffect { due, queue, effect });
        drop(s);
        self.apply_due_after(after);
    }

    /// Starts a task that applies delayed effects after this time.
    pub(super) fn apply_due_after(&self, after: Duration) {
        let sim = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            sim.state().apply_due();
        });
    }

    /// Waits until no delayed effect blocks the slot's queue.
    ///
    /// # Errors
    /// The queue is blocked until after the deadline.
    async fn wait_in_queue(&self, slot: Option<Slot>, deadline: Instant) -> PortResult<()> {
        loop {
            let wait = {
                let mut s = self.state();
                s.apply_due();
                let now = s.now();
                s.queue_end(slot).map(|due| due.saturating_sub(now))
            };
            let Some(wait) = wait else {
                return Ok(());
            };
            let until = Instant::now() + wait;
            if until > deadline {
                tokio::time::sleep_until(deadline).await;
                return Err(PortError::new(
                    ErrorCode::Internal,
                    Message::Verbatim {
                        text: "an earlier call is stuck (simulated)".to_owned(),
                    },
                ));
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Ends the process: the calling task never continues.
    async fn die<T>(&self) -> T {
        self.death.notify_one();
        std::future::pending().await
    }
}

fn failed<T>(call: &Call) -> PortResult<T> {
    let text = format!("{} fails (simulated)", call.name);
    Err(PortError::new(
        ErrorCode::Internal,
        Message::Verbatim { text },
    ))
}

fn timed_out<T>(call: &Call) -> PortResult<T> {
    let text = format!("{} did not answer in time (simulated)", call.name);
    Err(PortError::new(
        ErrorCode::Internal,
        Message::Verbatim { text },
    ))
}

impl SimState {
    fn apply_effect<T>(
        &mut self,
        call: &Call,
        slot: Option<Slot>,
        effect: impl FnOnce(&mut SimState, Extent) -> PortResult<T>,
        extent: Extent,
    ) -> PortResult<T> {
        let result = effect(self, extent);
        if let Err(e) = &result {
            let message = e.to_string();
            self.record(|| format!("     {} {slot:?}: {message}", call.name));
        }
        if !call.reads {
            self.check_invariants(call.name);
        }
        result
    }

    /// Applies every delayed effect that is due, in order of time.
    pub(super) fn apply_due(&mut self) {
        let now = self.now();
        while let Some(i) = (0..self.delayed.len())
            .filter(|i| self.delayed[*i].due <= now)
            .min_by_key(|i| self.delayed[*i].due)
        {
            let delayed = self.delayed.remove(i);
            self.machine.applying_late = true;
            (delayed.effect)(self);
            self.machine.applying_late = false;
            self.check_invariants("a late call");
            self.emit(EventPort::Wireguard);
            self.emit(EventPort::Containers);
        }
    }

    /// Schedules the engine's own end of removals that were interrupted.
    pub(super) fn schedule_removal_end(&mut self) {
        if !self.machine.is_removing() {
            return;
        }
        let due = self.now() + Duration::from_millis(self.rng.below(20_000));
        let gone = self.rng.percent(50);
        let effect: Effect = Box::new(move |s| {
            s.machine.end_removals(gone);
            s.record(|| format!("the engine ends its removals; gone: {gone}"));
        });
        let queue = None;
        self.delayed.push(DelayedEffect { due, queue, effect });
    }

    /// Returns when the queue of a slot, or of a reading of all, is free;
    /// `None` where it is free now.
    fn queue_end(&self, slot: Option<Slot>) -> Option<Duration> {
        let before = self.delayed.iter().filter(|l| match l.queue {
            None => false,
            Some(stuck) => slot.is_none() || stuck == slot,
        });
        before.map(|l| l.due).max()
    }
}
