//! Links and their addresses over rtnetlink (rtnetlink(7)): what both sides of
//! the port need besides WireGuard itself.
//!
//! A connection a call: a netlink socket costs microseconds, and one that is
//! never shared cannot be left in a bad state by somebody else.

use domain::Slot;
use futures_util::TryStreamExt;
use ipnet::Ipv4Net;
use nix::errno::Errno;
use provisioning::observed::ObservedInterface;
use rtnetlink::{
    Handle, LinkUnspec, LinkWireguard,
    packet_route::{
        AddressFamily,
        address::{AddressAttribute, AddressMessage},
        link::{InfoKind, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage},
    },
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    time::Duration,
};
use tokio::task::JoinHandle;

/// How long to wait for a link that is being torn down.
const GONE: Duration = Duration::from_secs(3);

/// A link, as far as we need to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The kernel's number for it, never used again for another.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its alias, where it has one: our mark.
    pub alias: Option<String>,
    /// Whether it is up.
    pub up: bool,
    /// Its MTU, bytes.
    pub mtu: u32,
    /// Whether it is a WireGuard interface of the kernel's.
    pub wireguard: bool,
}

/// A netlink connection; ends when dropped.
pub(crate) struct Links {
    handle: Handle,
    driver: JoinHandle<()>,
}

impl Drop for Links {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Links {
    /// Opens a connection in the calling thread's network namespace.
    pub fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        Ok(Self {
            handle,
            driver: tokio::spawn(connection),
        })
    }

    /// Every link.
    pub async fn all(&self) -> io::Result<Vec<Link>> {
        let links = self
            .handle
            .link()
            .get()
            .set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats])
            .execute()
            .try_collect::<Vec<_>>()
            .await
            .map_err(error)?;
        Ok(links.into_iter().filter_map(link).collect())
    }

    /// The link with this name, if there is one.
    pub async fn by_name(&self, name: &str) -> io::Result<Option<Link>> {
        let mut found = Box::pin(self.handle.link().get().match_name(name).execute());
        match found.try_next().await.map_err(error) {
            Ok(message) => Ok(message.and_then(link)),
            Err(e) if absent(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Makes a kernel WireGuard interface (down, without a key).
    pub async fn add_wireguard(&self, name: &str) -> io::Result<()> {
        let message = LinkWireguard::new(name).mtu(crate::MTU).build();
        self.handle
            .link()
            .add(message)
            .execute()
            .await
            .map_err(error)
    }

    /// Removes a link; one that is gone already is fine.
    pub async fn delete(&self, index: u32) -> io::Result<()> {
        match self.handle.link().del(index).execute().await.map_err(error) {
            Err(e) if !absent(&e) => Err(e),
            _ => Ok(()),
        }
    }

    /// Sets the alias: the mark that a link is ours.
    pub async fn set_alias(&self, index: u32, alias: &str) -> io::Result<()> {
        let message = LinkUnspec::new_with_index(index)
            .append_extra_attribute(LinkAttribute::IfAlias(alias.to_owned()))
            .build();
        self.set(message).await
    }

    /// Renames a link (which must be down).
    pub async fn rename(&self, index: u32, name: &str) -> io::Result<()> {
        self.set(LinkUnspec::new_with_index(index).name(name).build())
            .await
    }

    /// Sets MTU and "up". For a kernel WireGuard interface this is where its
    /// UDP socket is bound: EADDRINUSE says that another program has the port.
    pub async fn bring_up(&self, index: u32) -> io::Result<()> {
        let message = LinkUnspec::new_with_index(index)
            .mtu(crate::MTU)
            .up()
            .build();
        self.set(message).await
    }

    async fn set(&self, message: LinkMessage) -> io::Result<()> {
        self.handle
            .link()
            .set(message)
            .execute()
            .await
            .map_err(error)
    }

    /// The IPv4 addresses of every link, by its index.
    pub async fn addresses(&self) -> io::Result<BTreeMap<u32, BTreeSet<Ipv4Net>>> {
        let mut found: BTreeMap<u32, BTreeSet<Ipv4Net>> = BTreeMap::new();
        for message in self.address_messages().await? {
            if let Some(net) = address(&message) {
                found.entry(message.header.index).or_default().insert(net);
            }
        }
        Ok(found)
    }

    /// Leaves a link with exactly this IPv4 address.
    pub async fn set_address(&self, index: u32, wanted: Ipv4Net) -> io::Result<()> {
        let mut there = false;
        for message in self.address_messages().await? {
            if message.header.index != index {
                continue;
            }
            match address(&message) {
                Some(net) if net == wanted => there = true,
                Some(_) => match self.handle.address().del(message).execute().await {
                    Ok(()) => {}
                    // Removing an address takes its secondary ones with it.
                    Err(e) if is_errno(&e, Errno::EADDRNOTAVAIL) => {}
                    Err(e) => return Err(error(e)),
                },
                None => {}
            }
        }
        if there {
            return Ok(());
        }
        let address = IpAddr::V4(wanted.addr());
        let request = self
            .handle
            .address()
            .add(index, address, wanted.prefix_len());
        match request.execute().await {
            Err(e) if !is_errno(&e, Errno::EEXIST) => Err(error(e)),
            _ => Ok(()),
        }
    }

    /// Every link with a slot's name, without what WireGuard knows of it.
    pub async fn observed(&self) -> io::Result<BTreeMap<Slot, (Link, ObservedInterface)>> {
        let all = self.all().await?;
        let mut addresses = self.addresses().await?;
        Ok(all
            .into_iter()
            .filter_map(|link| {
                let slot = Slot::of_interface(&link.name)?;
                let interface = ObservedInterface {
                    owner: link.alias.clone().filter(|a| crate::is_ours(Some(a))),
                    public_key: None,
                    listen_port: 0,
                    addresses: addresses.remove(&link.index).unwrap_or_default(),
                    up: link.up,
                    peers: BTreeMap::new(),
                };
                Some((slot, (link, interface)))
            })
            .collect())
    }

    async fn address_messages(&self) -> io::Result<Vec<AddressMessage>> {
        let all = self.handle.address().get().execute();
        all.try_collect().await.map_err(error)
    }

    /// Waits until no link has this name; a TUN goes some milliseconds after
    /// its last file descriptor was closed. Bounded to 3 s (`TimedOut`).
    pub async fn wait_gone(&self, name: &str) -> io::Result<()> {
        let gone = async {
            while self.by_name(name).await?.is_some() {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            Ok(())
        };
        tokio::time::timeout(GONE, gone)
            .await
            .unwrap_or_else(|late| Err(io::Error::new(io::ErrorKind::TimedOut, late)))
    }
}

fn link(message: LinkMessage) -> Option<Link> {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        alias: None,
        up: message.header.flags.contains(LinkFlags::Up),
        mtu: 0,
        wireguard: false,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::LinkInfo(infos) => {
                link.wireguard = infos.contains(&LinkInfo::Kind(InfoKind::Wireguard));
            }
            _ => {}
        }
    }
    (!link.name.is_empty()).then_some(link)
}

/// A message's IPv4 address. `IFA_LOCAL` is the link's own; `IFA_ADDRESS` is
/// the other end's on a point-to-point link (rtnetlink(7)).
fn address(message: &AddressMessage) -> Option<Ipv4Net> {
    let local = message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Local(IpAddr::V4(ip)) => Some(*ip),
        _ => None,
    })?;
    Ipv4Net::new(local, message.header.prefix_len).ok()
}

fn is_errno(e: &rtnetlink::Error, errno: Errno) -> bool {
    matches!(e, rtnetlink::Error::NetlinkError(m) if m.raw_code() == -(errno as i32))
}

fn absent(e: &io::Error) -> bool {
    crate::failure::is(e, Errno::ENODEV) || crate::failure::is(e, Errno::ENXIO)
}

/// As an I/O error, so that the kernel's errno is kept.
pub(crate) fn error(e: rtnetlink::Error) -> io::Error {
    match e {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}
