//! The node's way to the real store: what it is given is what the simulated
//! machine's watch goes by, and it may be refused, or come late.

use async_trait::async_trait;
use domain::ErrorCode;
use provisioning::{
    NodeSpec, SpecSource,
    ports::{PortError, PortResult},
};
use testkit::sim::{Sim, faults::Fault};

use super::time::pause;

/// See the module.
pub struct Specs<S> {
    from: S,
    sim: Sim,
}

impl<S> Specs<S> {
    /// What `from` gives.
    pub fn new(from: S, sim: Sim) -> Self {
        Self { from, sim }
    }
}

/// What the watch has to know of a spec before anything is done by it.
pub fn known(sim: &Sim, spec: &NodeSpec) {
    let mut s = sim.state();
    for t in spec.tenants.values() {
        let key = t.private_key.public();
        s.world.passwords.insert(key, t.dns_password_hash.clone());
        s.world.secrets.push(t.dns_password_hash.clone());
        s.world.secrets.push(t.dns_password.expose().to_owned());
    }
    s.world.spec = spec.clone();
}

#[async_trait]
impl<S: SpecSource> SpecSource for Specs<S> {
    async fn load(&self) -> PortResult<NodeSpec> {
        let (refuses, late) = {
            let s = &mut *self.sim.state();
            let refuses = s.faults.strikes(Fault::DatabaseRefuses, &mut s.rng);
            let late = s.faults.strikes(Fault::DatabaseLate, &mut s.rng);
            (refuses, if late { s.rng.below(8_000) } else { 0 })
        };
        if refuses {
            return Err(PortError::new(
                ErrorCode::DatabaseUnavailable,
                "the database refuses (simulated)",
            ));
        }
        let spec = self.from.load().await?;
        if late > 0 {
            pause(late).await;
        }
        known(&self.sim, &spec);
        Ok(spec)
    }
}
