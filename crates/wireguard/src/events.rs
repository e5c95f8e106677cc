//! News of links with slots' names from the kernel's multicast groups
//! (rtnetlink(7)), as "look again" without a payload: the node observes, and
//! what is lost here its timer finds.

use domain::Slot;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use rtnetlink::{
    MulticastGroup,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::{
        RouteNetlinkMessage,
        address::{AddressAttribute, AddressMessage},
        link::{LinkAttribute, LinkMessage},
    },
};
use std::{io, pin::Pin, time::Duration};
use tokio::{task::JoinHandle, time::sleep};

/// A change of one interface comes as several messages; they make one event.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// After the connection was lost or refused.
const AGAIN: Duration = Duration::from_secs(5);

type Message = NetlinkMessage<RouteNetlinkMessage>;
type Messages = Pin<Box<dyn futures_util::Stream<Item = Message> + Send>>;

struct Watch {
    messages: Messages,
    driver: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Watch {
    fn open() -> io::Result<Self> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr];
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&groups)?;
        Ok(Self {
            messages: Box::pin(messages.map(|(message, _)| message)),
            driver: tokio::spawn(connection),
        })
    }

    /// The next relevant message, and all that follow it closely. `false`
    /// where the connection has ended.
    async fn next(&mut self) -> bool {
        loop {
            match self.messages.next().await {
                Some(message) if relevant(&message.payload) => break,
                Some(_) => {}
                None => return false,
            }
        }
        let end = sleep(DEBOUNCE);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return true,
                message = self.messages.next() => if message.is_none() { return false; }
            }
        }
    }
}

/// An event whenever an interface with a slot's name comes, goes or changes,
/// or its addresses do. Never ends; must be called within a tokio runtime.
pub(crate) fn links() -> BoxStream<'static, ()> {
    // Opened at once, so that nothing after this call is missed.
    stream::unfold(Watch::open(), |mut watch| async move {
        loop {
            match &mut watch {
                Ok(open) => {
                    if open.next().await {
                        return Some(((), watch));
                    }
                    sleep(AGAIN).await;
                    watch = Watch::open();
                    // Something may have been missed.
                    return Some(((), watch));
                }
                Err(e) => {
                    tracing::warn!(error = %e, "no news of network interfaces from the kernel; the timer finds changes");
                    sleep(AGAIN).await;
                    watch = Watch::open();
                }
            }
        }
    })
    .boxed()
}

fn relevant(payload: &NetlinkPayload<RouteNetlinkMessage>) -> bool {
    use RouteNetlinkMessage as M;
    match payload {
        NetlinkPayload::InnerMessage(M::NewLink(m) | M::DelLink(m)) => of_link(m),
        NetlinkPayload::InnerMessage(M::NewAddress(m) | M::DelAddress(m)) => of_address(m),
        // The kernel could not keep up with us: anything may have changed.
        NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

fn of_link(message: &LinkMessage) -> bool {
    message
        .attributes
        .iter()
        .any(|a| matches!(a, LinkAttribute::IfName(name) if Slot::of_interface(name).is_some()))
}

/// An IPv4 address carries its link's name as its label, `wg1` or `wg1:x`.
fn of_address(message: &AddressMessage) -> bool {
    message.attributes.iter().any(|a| {
        let AddressAttribute::Label(label) = a else {
            return false;
        };
        let name = label.split(':').next().unwrap_or(label);
        Slot::of_interface(name).is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str) -> NetlinkPayload<RouteNetlinkMessage> {
        let mut m = LinkMessage::default();
        m.attributes.push(LinkAttribute::IfName(name.to_owned()));
        NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(m))
    }

    #[test]
    fn only_slots_interfaces_are_news() {
        assert!(relevant(&link("wg1")));
        assert!(!relevant(&link("eth0")));
        assert!(!relevant(&link("wg0")));
        assert!(!relevant(&NetlinkPayload::Noop));
        assert!(relevant(&NetlinkPayload::Overrun(vec![])));
    }

    #[test]
    fn an_address_belongs_to_the_link_of_its_label() {
        let mut m = AddressMessage::default();
        m.attributes.push(AddressAttribute::Label("wg7:old".into()));
        assert!(of_address(&m));
        m.attributes.clear();
        m.attributes.push(AddressAttribute::Label("docker0".into()));
        assert!(!of_address(&m));
    }
}
