//! Questions by TCP: the connection is passed on as it is.

use crate::{
    device::{DNS, DeviceOf},
    places::TenantPlaces,
};
use std::{io, net::IpAddr, time::Duration};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// How long a connection may last. Devices close theirs after their last answer; one that is
/// closed is opened again with the next question (RFC 7766, 6.2.4).
const LONGEST: Duration = Duration::from_secs(60);
/// How long a connection to the resolver may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The pause after a connection that could not be accepted, e.g. for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Passes connections on. It does not end.
pub(crate) async fn serve(
    listener: TcpListener,
    device: &DeviceOf,
    places: TenantPlaces,
) -> io::Result<()> {
    loop {
        let Ok((mut stream, from)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let IpAddr::V6(address) = from.ip() else {
            continue;
        };
        // A connection without a place is closed.
        let Some((to, place)) = device(address).and_then(|to| Some((to, places.take(to)?))) else {
            continue;
        };
        tokio::spawn(async move {
            if let Ok(Ok(mut resolver)) = timeout(CONNECT, TcpStream::connect((to, DNS))).await {
                let _ = timeout(LONGEST, copy_bidirectional(&mut stream, &mut resolver)).await;
            }
            drop(place);
        });
    }
}
