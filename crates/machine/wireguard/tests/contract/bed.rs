//! The machine under test: this process's own network namespace.

use crate::client::TunnelClient;
use async_trait::async_trait;
use domain::Slot;
use futures_util::TryStreamExt;
use ipnet::IpNet;
use provisioning::ports::WireGuard;
use rtnetlink::{Handle, LinkBridge, LinkUnspec, packet_route::link::LinkAttribute};
use std::{any::Any, net::UdpSocket, path::PathBuf, sync::Arc};
use tempfile::TempDir;
use testkit::wireguard_contract::{Client, ClientSetup, ContractHost};
use wireguard::{Kernel, Userspace};

/// The implementation under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Kernel,
    Userspace,
}

pub struct TestBed {
    pub side: Side,
    folder: TempDir,
    pub handle: Handle,
}

impl TestBed {
    pub async fn new(side: Side) -> Self {
        let (connection, handle, _) = rtnetlink::new_connection().expect("netlink");
        tokio::spawn(connection);
        let lo = LinkUnspec::new_with_name("lo").up().build();
        handle.link().set(lo).execute().await.expect("loopback up");
        Self {
            side,
            folder: tempfile::tempdir().expect("a folder"),
            handle,
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("run/s")
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Returns a client of the child process, which is this program.
    pub async fn userspace(&self) -> Userspace {
        let exe = std::env::current_exe().expect("the path of this program");
        Userspace::connect_or_spawn(exe, self.socket(), self.log())
            .await
            .unwrap_or_else(|e| panic!("{e}: {:?}", std::fs::read_to_string(self.log())))
    }

    /// Stops the child.
    pub async fn end(&self) {
        Userspace::stop(&self.socket()).await.expect("stop");
    }

    async fn index(&self, slot: Slot) -> Option<u32> {
        Some(self.link(slot).await?.header.index)
    }

    async fn link(&self, slot: Slot) -> Option<rtnetlink::packet_route::link::LinkMessage> {
        let get = self.handle.link().get().match_name(slot.interface());
        Box::pin(get.execute()).try_next().await.ok().flatten()
    }

    async fn existing(&self, slot: Slot) -> u32 {
        self.index(slot).await.expect("the link")
    }
}

#[async_trait]
impl ContractHost for TestBed {
    async fn wireguard(&self) -> Arc<dyn WireGuard> {
        match self.side {
            Side::Kernel => Arc::new(Kernel::new()),
            Side::Userspace => Arc::new(self.userspace().await),
        }
    }

    async fn client(&self, setup: ClientSetup) -> Option<Box<dyn Client>> {
        Some(Box::new(TunnelClient::new(setup).await))
    }

    async fn add_foreign(&self, slot: Slot) {
        let bridge = LinkBridge::new(&slot.interface()).up().build();
        let add = self.handle.link().add(bridge);
        add.execute().await.expect("a bridge");
    }

    async fn remove_externally(&self, slot: Slot) {
        if let Some(index) = self.index(slot).await {
            let del = self.handle.link().del(index);
            del.execute().await.expect("ip link del");
        }
    }

    async fn set_down(&self, slot: Slot) {
        let down = LinkUnspec::new_with_index(self.existing(slot).await).down();
        let set = self.handle.link().set(down.build());
        set.execute().await.expect("ip link set down");
    }

    async fn add_address(&self, slot: Slot, address: IpNet) {
        let index = self.existing(slot).await;
        let ip = address.addr();
        let add = self.handle.address().add(index, ip, address.prefix_len());
        add.execute().await.expect("ip address add");
    }

    async fn set_mtu(&self, slot: Slot, mtu: u32) {
        let with = LinkUnspec::new_with_index(self.existing(slot).await).mtu(mtu);
        let set = self.handle.link().set(with.build());
        set.execute().await.expect("ip link set mtu");
    }

    async fn mtu(&self, slot: Slot) -> Option<u32> {
        let link = self.link(slot).await?;
        link.attributes.iter().find_map(|a| match a {
            LinkAttribute::Mtu(mtu) => Some(*mtu),
            _ => None,
        })
    }

    async fn occupy_port(&self, port: u16) -> Box<dyn Any + Send> {
        let socket = UdpSocket::bind(("0.0.0.0", port));
        Box::new(socket.expect("a free UDP port"))
    }
}
