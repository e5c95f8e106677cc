//! The node's source of specs: the database itself, or, for a worker, what has arrived of it.

use super::{Sim, SimState, faults::Fault};
use async_trait::async_trait;
use domain::{ErrorCode, Message, Problem};
use protocol::{NodeSpec, SpecAnswer, SpecFeed};
use provisioning::ports::{PortError, PortResult, SpecSource};
use std::time::Duration;

/// The database, as a control plane reads it.
#[async_trait]
impl SpecFeed for Sim {
    async fn load(&self, in_force: u64) -> Result<SpecAnswer, Problem> {
        let (answer, wait) = {
            let mut s = self.state();
            s.apply_due();
            s.read_database(in_force)
        };
        tokio::time::sleep(wait).await;
        answer.ok_or_else(|| Problem {
            code: ErrorCode::DatabaseUnavailable,
            message: Message::Verbatim {
                text: "the database refuses (simulated)".to_owned(),
            },
        })
    }
}

impl SimState {
    /// Returns what the database answers, and after what time.
    fn read_database(&mut self, in_force: u64) -> (Option<SpecAnswer>, Duration) {
        let mut strikes = |fault| self.faults.strikes(fault, &mut self.rng);
        let refuses = strikes(Fault::DatabaseRefuses);
        let late = strikes(Fault::DatabaseLate);
        let old = strikes(Fault::DatabaseOld);
        let wait = if late {
            self.rng.below(8_000)
        } else {
            self.rng.below(4)
        };
        let in_force = self.highest_in_force(in_force);
        let restored = old && !refuses && self.model.restore(in_force);
        if restored {
            self.link.note_restore();
            self.record(|| "the database is restored from a backup".to_owned());
        }
        let answer = (!refuses).then(|| SpecAnswer {
            spec: self.read_rows(),
            restored,
        });
        if !self.is_worker() {
            answer
                .iter()
                .for_each(|answer| self.store_answer(&answer.spec));
        }
        let generation = answer.as_ref().map(|a| a.spec.generation);
        self.record(|| format!("database answers {generation:?} in {wait} ms"));
        (answer, Duration::from_millis(wait))
    }

    /// Returns what a worker's engine loads.
    fn load_received(&mut self, in_force: u64) -> PortResult<NodeSpec> {
        let known = in_force.max(self.model.stored.generation());
        if let Some(answer) = self.link.load(known) {
            self.store_answer(&answer.spec);
            if answer.spec.generation < in_force && self.violation.is_none() {
                let older = answer.spec.generation;
                self.violation = Some(format!(
                    "generation {older} is loaded where {in_force} is in force"
                ));
            }
            return Ok(answer.spec);
        }
        self.earlier_spec().ok_or_else(|| {
            PortError::new(
                ErrorCode::DatabaseUnavailable,
                Message::ControlPlaneNotHeard,
            )
        })
    }
}

#[async_trait]
impl SpecSource for Sim {
    async fn load(&self, in_force: u64) -> PortResult<NodeSpec> {
        {
            let mut s = self.state();
            s.apply_due();
            s.readings += 1;
            if s.is_worker() {
                return s.load_received(in_force);
            }
            if let Some(earlier) = s.earlier_spec() {
                return Ok(earlier);
            }
        }
        let answer = SpecFeed::load(self, in_force).await;
        let answer = answer.map_err(|e| PortError::new(e.code, e.message))?;
        Ok(answer.spec)
    }
}
