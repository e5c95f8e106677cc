//! The stream that tells pages to reload.

use crate::rig::{Rig, device};
use futures_util::StreamExt;
use std::time::Duration;

#[tokio::test]
async fn changes_yields_at_once_and_at_each_change() {
    let rig = Rig::new().await;
    let lina = rig.tenant("lina").await;
    let mut changes = rig.control.changes(&lina);
    assert_eq!(changes.next().await, Some(()));
    rig.control
        .add_device(&lina, device("Phone"))
        .await
        .unwrap();
    let change = tokio::time::timeout(Duration::from_secs(5), changes.next()).await;
    assert_eq!(change, Ok(Some(())));
}
