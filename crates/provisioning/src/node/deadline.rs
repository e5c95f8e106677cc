//! Deadlines for all calls to the outside. The ports bound their own waiting; this
//! protects the node from a port that fails to. A lane or a reading that never ended
//! would keep its tenant (or all tenants) from ever being processed again. A panic
//! becomes an error for the same reason.

use crate::{
    plan::Step,
    ports::{PortError, PortResult},
};
use domain::{ErrorCode, Message};
use futures_util::FutureExt;
use std::{any::Any, future::Future, panic::AssertUnwindSafe, time::Duration};

/// For loading the spec.
pub(super) const LOAD: Duration = Duration::from_secs(15);
/// For reading one port.
pub(super) const OBSERVE: Duration = Duration::from_secs(45);

/// Returns how long a step may take: far longer than the ports' own limits.
pub(super) fn of_step(step: &Step) -> Duration {
    Duration::from_secs(match step {
        Step::Firewall(_) | Step::LimitSpeed(..) => 30,
        Step::DeleteInterface(_) | Step::ChangePeers(..) | Step::EnsureInterface(_) => 45,
        Step::SetClients(_) | Step::WriteFolder(_) | Step::RemoveFolder(_) => 60,
        Step::EndConnections(_) | Step::SweepConnections(_) | Step::RedirectConnections(_) => 60,
        Step::SetAside(..) => 60,
        Step::StartContainer(_) | Step::RemoveContainer(_) => 240,
        Step::FetchImage => 900,
    })
}

/// Runs a call for at most `limit`. A panic becomes an error.
pub(super) async fn with_deadline<T>(
    limit: Duration,
    work: impl Future<Output = PortResult<T>>,
) -> PortResult<T> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => {
            let text = panic_text(&*panic);
            tracing::error!(words = text, "a call to the machine panicked");
            Err(PortError::new(
                ErrorCode::Internal,
                Message::MachineCallPanicked,
            ))
        }
        Err(_) => Err(PortError::new(
            ErrorCode::Internal,
            Message::MachineCallTimedOut {
                seconds: limit.as_secs(),
            },
        )),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_or_panics_fails() {
        let second = Duration::from_secs(1);
        let hung = with_deadline(second, std::future::pending::<PortResult<()>>()).await;
        let timed_out = Message::MachineCallTimedOut { seconds: 1 };
        assert_eq!(hung.unwrap_err().message, timed_out);
        let broken = with_deadline::<()>(second, async { panic!("on purpose") }).await;
        assert_eq!(broken.unwrap_err().message, Message::MachineCallPanicked);
        assert_eq!(with_deadline(second, async { Ok(7) }).await.unwrap(), 7);
    }
}
