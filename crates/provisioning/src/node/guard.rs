//! Every call to the outside ends: in its time, and without taking the node
//! with it. The ports bound their own waiting; this is for the day one of them
//! does not, because a lane or a reading that never comes back would keep its
//! tenant (or everybody) from ever being looked after again.

use crate::{
    plan::Step,
    ports::{PortError, PortResult},
};
use domain::ErrorCode;
use futures_util::FutureExt;
use std::{any::Any, future::Future, panic::AssertUnwindSafe, time::Duration};

/// Loading the spec.
pub(crate) const LOAD: Duration = Duration::from_secs(15);
/// Reading one port.
pub(crate) const OBSERVE: Duration = Duration::from_secs(45);

/// How long a step may take. Far above what the ports allow themselves.
pub(crate) fn limit(step: &Step) -> Duration {
    Duration::from_secs(match step {
        Step::Firewall(_) => 30,
        Step::DeleteInterface(_) | Step::ChangePeers(..) | Step::EnsureInterface(_) => 45,
        Step::SetClients(_) | Step::WriteFolder(_) | Step::RemoveFolder(_) => 60,
        Step::StartContainer(_) | Step::RemoveContainer(_) => 240,
        Step::FetchImage => 900,
    })
}

/// Runs a call to its end, `limit` at most; a panic is an error like any other.
pub(crate) async fn guarded<T>(
    limit: Duration,
    work: impl Future<Output = PortResult<T>>,
) -> PortResult<T> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let words = words_of(&*panic);
            tracing::error!(words, "a call to the machine panicked");
            Err(PortError::new(
                ErrorCode::Internal,
                "A part of MalikNode broke off; it is tried again.",
            ))
        }
        Err(_) => Err(PortError::new(
            ErrorCode::Internal,
            format!(
                "The machine did not answer within {} s; it is tried again.",
                limit.as_secs()
            ),
        )),
    }
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no words")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_hangs_or_panics_ends_as_an_error() {
        let second = Duration::from_secs(1);
        let hung = guarded(second, std::future::pending::<PortResult<()>>()).await;
        assert!(hung.unwrap_err().sentence.contains("within 1 s"));
        let broken = guarded::<()>(second, async { panic!("on purpose") }).await;
        assert_eq!(broken.unwrap_err().code, ErrorCode::Internal);
        assert_eq!(guarded(second, async { Ok(7) }).await.unwrap(), 7);
    }
}
