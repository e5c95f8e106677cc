//! PostgreSQL fails over to its synchronous standby while tenants sign up at two control
//! planes.

use super::{FROM, form};
use crate::{
    pair::Pair,
    rig::{ControlPlane, Rig, until},
};
use domain::TenantName;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use tokio::task::JoinHandle;

/// Tenants who sign up at a control plane, one after another, and those of them who were
/// told that it is done.
struct SigningUp {
    acknowledged: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl SigningUp {
    fn at(plane: &ControlPlane, start: &str) -> Self {
        let (control, start) = (plane.control.clone(), start.to_owned());
        let (acknowledged, ends) = (
            Arc::<Mutex<Vec<String>>>::default(),
            Arc::<AtomicBool>::default(),
        );
        let (done, stop) = (acknowledged.clone(), ends.clone());
        let task = tokio::spawn(async move {
            for n in 0.. {
                let name = format!("{start}-{n}");
                if control.tenants().sign_up(form(&name), FROM).await.is_ok() {
                    done.lock().unwrap().push(name);
                }
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        Self {
            acknowledged,
            ends,
            task,
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// Ends them, and returns the names that were acknowledged.
    async fn end(self) -> Vec<String> {
        self.ends.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.acknowledged.lock().unwrap().clone()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_changes_outlive_a_fail_over() {
    let mut pair = Pair::start().unwrap();
    let rig = Rig::on(&pair.url()).await;
    let (a, b) = (rig.control_plane("a").await, rig.control_plane("b").await);
    let all = [SigningUp::at(&a, "first"), SigningUp::at(&b, "second")];
    until(async || all.iter().all(|s| s.count() >= 2)).await;

    pair.kill_primary().unwrap();
    let before = all.each_ref().map(SigningUp::count);
    pair.promote().unwrap();
    // Both connect to the new primary by themselves.
    until(async || {
        all.iter()
            .zip(before)
            .all(|(s, before)| s.count() >= before + 2)
    })
    .await;

    let [first, second] = all;
    let acknowledged = [first.end().await, second.end().await].concat();
    println!(
        "{} sign-ups were acknowledged, {before:?} of them before",
        acknowledged.len()
    );
    for name in &acknowledged {
        let parsed = TenantName::parse(name).unwrap();
        let tenant = rig.store.tenant_by_name(&parsed).await.unwrap();
        assert!(tenant.is_some(), "{name} is lost of {acknowledged:?}");
    }
}
