//! The node's source of specs over the real store. The invariants of the
//! simulated machine are checked against each spec that the node is given; a
//! load may be refused or delayed.

use async_trait::async_trait;
use domain::{ErrorCode, Message};
use protocol::NodeSpec;
use provisioning::{
    SpecSource,
    ports::{PortError, PortResult},
};
use std::sync::Arc;
use testkit::sim::{Sim, faults::Fault};

use super::time::pause;

/// A source that fails on demand.
pub struct Specs {
    from: Arc<dyn SpecSource>,
    sim: Sim,
}

impl Specs {
    /// Loads from `from`.
    pub fn new(from: Arc<dyn SpecSource>, sim: Sim) -> Self {
        Self { from, sim }
    }
}

/// Informs the invariants of a spec before the node acts on it.
pub fn learn(sim: &Sim, spec: &NodeSpec) {
    let mut s = sim.state();
    for t in spec.tenants.values() {
        let key = t.private_key.public();
        s.model.passwords.insert(key, t.dns_password_hash.clone());
        s.model.secrets.push(t.dns_password_hash.clone());
        s.model.secrets.push(t.dns_password.expose().to_owned());
    }
    s.model.spec = spec.clone();
}

#[async_trait]
impl SpecSource for Specs {
    async fn load(&self, in_force: u64) -> PortResult<NodeSpec> {
        let (refuses, late) = {
            let s = &mut *self.sim.state();
            let refuses = s.faults.strikes(Fault::DatabaseRefuses, &mut s.rng);
            let late = s.faults.strikes(Fault::DatabaseLate, &mut s.rng);
            (refuses, if late { s.rng.below(8_000) } else { 0 })
        };
        if refuses {
            return Err(PortError::new(
                ErrorCode::DatabaseUnavailable,
                Message::Verbatim {
                    text: "the database refuses (simulated)".to_owned(),
                },
            ));
        }
        let spec = self.from.load(in_force).await?;
        if late > 0 {
            pause(late).await;
        }
        learn(&self.sim, &spec);
        Ok(spec)
    }
}
