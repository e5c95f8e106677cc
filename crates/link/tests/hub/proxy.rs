//! A wire that can be cut without either end learning of it.

use std::net::{Ipv4Addr, SocketAddr};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Forwards connections while it is whole. It ends when it is dropped.
pub struct Proxy {
    pub address: SocketAddr,
    is_cut: watch::Sender<bool>,
    forwarding: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.forwarding.abort();
    }
}

impl Proxy {
    pub async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let is_cut = watch::Sender::new(false);
        let wire = is_cut.subscribe();
        let forwarding = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let wire = wire.clone();
                tokio::spawn(async move {
                    let server = TcpStream::connect(to).await.unwrap();
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    tokio::join!(
                        forward(from_client, to_server, wire.clone()),
                        forward(from_server, to_client, wire)
                    );
                });
            }
        });
        Self {
            address,
            is_cut,
            forwarding,
        }
    }

    /// Stops forwarding, without a FIN.
    pub fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    pub fn heal(&self) {
        self.is_cut.send_replace(false);
    }
}

async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut wire: watch::Receiver<bool>,
) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        let read = from.read(&mut bytes).await.unwrap_or(0);
        if wire.wait_for(|is_cut| !is_cut).await.is_err() {
            return;
        }
        let written = match read {
            0 => to.shutdown().await,
            read => to.write_all(&bytes[..read]).await,
        };
        if read == 0 || written.is_err() {
            return;
        }
    }
}
