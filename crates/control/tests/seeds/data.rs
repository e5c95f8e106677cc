//! What a history does with data: devices send and receive, months begin, and plans change.

use super::{
    history::{History, Process},
    plans::PlanChange,
    quota::to_next_month,
    step::{Interruption, until},
    time::pause,
};
use domain::Clock;
use std::future::Future;
use testkit::sim::{faults::Fault, rng::SplitMix64};
use tokio::{task::JoinHandle, time::Instant};

impl History {
    /// Moves the wall clock into the next month.
    fn begin_month(&mut self) {
        let by = to_next_month(self.clock.now(), self.generator.rng());
        self.note(|| format!("the next month begins: {by} ms later"));
        self.months.begin(&self.traffic);
        self.clock.advance(by);
        self.model.note_clock(self.clock.now());
    }

    /// Lets devices send and receive, and sometimes the next month begins, with or without
    /// a reading of what has passed before.
    pub async fn use_data(&mut self, process: &Process) -> Result<(), String> {
        let restarts = self.sim.state().faults.has(Fault::InterfaceDeleted);
        let traffic = self.traffic.clone();
        traffic.flow(self.generator.rng(), restarts);
        let rng = self.generator.rng();
        if !rng.percent(8) {
            return Ok(());
        }
        if rng.percent(50) {
            pause(25_000).await;
            self.settle(process).await?;
        }
        self.begin_month();
        Ok(())
    }

    /// Lets devices send and receive while operations are under way.
    pub fn more_data(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let rng = self.generator.rng();
        let (delay, mut rng) = (rng.below(2_000), SplitMix64::new(rng.draw()));
        let traffic = self.traffic.clone();
        async move {
            pause(delay).await;
            traffic.flow(&mut rng, false);
        }
    }

    /// Sometimes changes what a plan gives.
    pub fn begin_plan_change(
        &mut self,
        process: &Process,
        may_die: bool,
    ) -> Option<JoinHandle<()>> {
        let rng = self.generator.rng();
        if !rng.percent(25) {
            return None;
        }
        let change = PlanChange::drawn(rng);
        let delay = rng.below(300);
        let interruption = match rng.below(100) {
            0..=9 if may_die => Interruption::ProcessDies(rng.below(40)),
            _ => Interruption::None,
        };
        self.note(|| format!("  {delay} ms {interruption:?} {change:?}"));
        let (control, sim) = (process.control.clone(), self.sim.clone());
        Some(tokio::spawn(async move {
            pause(delay).await;
            until(change.perform(&control), interruption, &sim).await;
        }))
    }

    /// Checks that what passes before and after the end of a month is counted in it.
    pub async fn finish_month(&mut self, process: &Process) -> Result<(), String> {
        let traffic = self.traffic.clone();
        traffic.flow(self.generator.rng(), false);
        self.converge(process, Instant::now()).await?;
        self.settle(process).await?;
        self.begin_month();
        self.converge(process, Instant::now()).await?;
        traffic.flow(self.generator.rng(), false);
        self.converge(process, Instant::now()).await?;
        self.settle(process).await
    }
}
