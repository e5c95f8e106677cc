//! Links and their addresses over rtnetlink (rtnetlink(7)): the part that both
//! implementations of the port share.
//!
//! Each call opens a connection of its own: a netlink socket costs microseconds, and
//! one that is not shared cannot be left in a bad state by another task.

use domain::Slot;
use futures_util::TryStreamExt;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::errno::Errno;
use provisioning::observed::ObservedInterface;
use rtnetlink::{
    Handle, LinkUnspec, LinkWireguard,
    packet_route::{
        AddressFamily,
        address::{AddressAttribute, AddressFlags, AddressMessage},
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

/// The longest time to wait for the removal of a link.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(3);

/// The attributes of a link that this crate needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// The kernel's number of the link; it is not reused for another.
    pub index: u32,
    pub name: String,
    /// Its alias; that of a link of ours has our prefix.
    pub alias: Option<String>,
    pub up: bool,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Whether it is a WireGuard interface of the kernel.
    pub wireguard: bool,
}

/// A netlink connection; it is closed when dropped.
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

    /// Lists every link.
    pub async fn list(&self) -> io::Result<Vec<Link>> {
        let links = self
            .handle
            .link()
            .get()
            .set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats])
            .execute()
            .try_collect::<Vec<_>>()
            .await
            .map_err(io_error)?;
        Ok(links.into_iter().filter_map(parse_link).collect())
    }

    /// Returns the link with this name, if there is one.
    pub async fn by_name(&self, name: &str) -> io::Result<Option<Link>> {
        let mut found = Box::pin(self.handle.link().get().match_name(name).execute());
        match found.try_next().await.map_err(io_error) {
            Ok(message) => Ok(message.and_then(parse_link)),
            Err(e) if is_missing(&e) => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Creates a WireGuard interface of the kernel; it is down and has no key.
    pub async fn add_wireguard(&self, name: &str) -> io::Result<()> {
        let message = LinkWireguard::new(name).mtu(crate::tunnel_mtu()).build();
        self.handle
            .link()
            .add(message)
            .execute()
            .await
            .map_err(io_error)
    }

    /// Removes a link. It is no error if there is none.
    pub async fn delete(&self, index: u32) -> io::Result<()> {
        match self
            .handle
            .link()
            .del(index)
            .execute()
            .await
            .map_err(io_error)
        {
            Err(e) if !is_missing(&e) => Err(e),
            _ => Ok(()),
        }
    }

    /// Sets the alias, which marks a link as ours.
    pub async fn set_alias(&self, index: u32, alias: &str) -> io::Result<()> {
        let message = LinkUnspec::new_with_index(index)
            .append_extra_attribute(LinkAttribute::IfAlias(alias.to_owned()))
            .build();
        self.update(message).await
    }

    /// Renames a link, which must be down.
    pub async fn rename(&self, index: u32, name: &str) -> io::Result<()> {
        self.update(LinkUnspec::new_with_index(index).name(name).build())
            .await
    }

    /// Sets the MTU and sets the link up. For a WireGuard interface of the kernel this
    /// binds its UDP socket: EADDRINUSE means that another program uses the port.
    pub async fn bring_up(&self, index: u32) -> io::Result<()> {
        let message = LinkUnspec::new_with_index(index)
            .mtu(crate::tunnel_mtu())
            .up()
            .build();
        self.update(message).await
    }

    async fn update(&self, message: LinkMessage) -> io::Result<()> {
        self.handle
            .link()
            .set(message)
            .execute()
            .await
            .map_err(io_error)
    }

    /// Returns the addresses of every link, by the link's index.
    pub async fn addresses(&self) -> io::Result<BTreeMap<u32, BTreeSet<IpNet>>> {
        let mut found: BTreeMap<u32, BTreeSet<IpNet>> = BTreeMap::new();
        for message in self.address_messages().await? {
            if let Some(net) = parse_address(&message) {
                found.entry(message.header.index).or_default().insert(net);
            }
        }
        Ok(found)
    }

    /// Changes a link's IPv4 addresses to exactly this one.
    pub async fn set_address(&self, index: u32, wanted: Ipv4Net) -> io::Result<()> {
        let mut exists = false;
        for message in self.address_messages().await? {
            if message.header.index != index {
                continue;
            }
            match parse_address(&message) {
                Some(IpNet::V4(net)) if net == wanted => exists = true,
                Some(IpNet::V4(_)) => match self.handle.address().del(message).execute().await {
                    Ok(()) => {}
                    // Removing an address also removes its secondary ones.
                    Err(e) if is_errno(&e, Errno::EADDRNOTAVAIL) => {}
                    Err(e) => return Err(io_error(e)),
                },
                Some(IpNet::V6(_)) | None => {}
            }
        }
        if exists {
            return Ok(());
        }
        let address = IpAddr::V4(wanted.addr());
        let request = self
            .handle
            .address()
            .add(index, address, wanted.prefix_len());
        match request.execute().await {
            Err(e) if !is_errno(&e, Errno::EEXIST) => Err(io_error(e)),
            _ => Ok(()),
        }
    }

    /// Changes the IPv6 addresses of a link, which is up, to exactly this one, or to none.
    /// Link-local ones do not count. A link that is set down loses them.
    pub async fn set_address6(
        &self,
        index: u32,
        name: &str,
        wanted: Option<Ipv6Net>,
    ) -> io::Result<()> {
        if wanted.is_some() {
            crate::ipv6::switch_on(name)?;
        }
        let mut exists = false;
        for message in self.address_messages().await? {
            if message.header.index != index {
                continue;
            }
            match parse_address(&message) {
                Some(IpNet::V6(net)) if Some(net) == wanted => exists = true,
                Some(IpNet::V6(_)) => match self.handle.address().del(message).execute().await {
                    Err(e) if !is_errno(&e, Errno::EADDRNOTAVAIL) => return Err(io_error(e)),
                    _ => {}
                },
                Some(IpNet::V4(_)) | None => {}
            }
        }
        let Some(wanted) = wanted.filter(|_| !exists) else {
            return Ok(());
        };
        let address = IpAddr::V6(wanted.addr());
        let mut request = self
            .handle
            .address()
            .add(index, address, wanted.prefix_len());
        // No other host can have the address, and the link has no neighbours to ask.
        let message = request.message_mut();
        let no_detection = AddressFlags::Nodad;
        message
            .attributes
            .push(AddressAttribute::Flags(no_detection));
        match request.execute().await {
            Err(e) if !is_errno(&e, Errno::EEXIST) => Err(io_error(e)),
            _ => Ok(()),
        }
    }

    /// Returns every link with a slot's name, without the state of WireGuard.
    pub async fn observed(&self) -> io::Result<BTreeMap<Slot, (Link, ObservedInterface)>> {
        let all = self.list().await?;
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
        all.try_collect().await.map_err(io_error)
    }

    /// Waits until no link has this name, for 3 s at most (`TimedOut`). The kernel
    /// removes a TUN some milliseconds after its last file descriptor was closed.
    pub async fn wait_removed(&self, name: &str) -> io::Result<()> {
        let removed = async {
            while self.by_name(name).await?.is_some() {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
            Ok(())
        };
        tokio::time::timeout(REMOVAL_TIMEOUT, removed)
            .await
            .unwrap_or_else(|elapsed| Err(io::Error::new(io::ErrorKind::TimedOut, elapsed)))
    }
}

/// Parses a link; one without a name is `None`.
fn parse_link(message: LinkMessage) -> Option<Link> {
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

/// Returns a message's address, except a link-local one of IPv6. `IFA_LOCAL` is the link's
/// own; on a point-to-point link `IFA_ADDRESS` is that of the other end (rtnetlink(7)).
/// Without it, as usual for IPv6, `IFA_ADDRESS` is the link's own.
fn parse_address(message: &AddressMessage) -> Option<IpNet> {
    let local = message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Local(ip) => Some(*ip),
        _ => None,
    });
    let own = message.attributes.iter().find_map(|a| match a {
        AddressAttribute::Address(ip @ IpAddr::V6(_)) => Some(*ip),
        _ => None,
    });
    let address = local.or(own)?;
    let is_link_local = matches!(address, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let net = IpNet::new(address, message.header.prefix_len).ok()?;
    (!is_link_local).then_some(net)
}

fn is_errno(e: &rtnetlink::Error, errno: Errno) -> bool {
    matches!(e, rtnetlink::Error::NetlinkError(m) if m.raw_code() == -(errno as i32))
}

/// Returns whether the error says that there is no such link.
fn is_missing(e: &io::Error) -> bool {
    crate::failure::has_errno(e, Errno::ENODEV) || crate::failure::has_errno(e, Errno::ENXIO)
}

/// Converts the error into an I/O error with the kernel's errno.
fn io_error(e: rtnetlink::Error) -> io::Error {
    match e {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}
