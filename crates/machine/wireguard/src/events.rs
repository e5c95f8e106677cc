//! Reports changes of links with slots' names from the kernel's multicast groups
//! (rtnetlink(7)). An event has no payload: the node then reads the state. The node's
//! timer finds a change whose event is lost.

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

/// How long messages are collected into one event; a change of an interface sends
/// several.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// The delay after the connection was lost or could not be opened.
const RETRY_DELAY: Duration = Duration::from_secs(5);

type Message = NetlinkMessage<RouteNetlinkMessage>;
type Messages = Pin<Box<dyn futures_util::Stream<Item = Message> + Send>>;

/// A subscription to the kernel's notifications.
struct Subscription {
    messages: Messages,
    driver: JoinHandle<()>,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Subscription {
    fn open() -> io::Result<Self> {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr];
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&groups)?;
        Ok(Self {
            messages: Box::pin(messages.map(|(message, _)| message)),
            driver: tokio::spawn(connection),
        })
    }

    /// Waits for the next relevant message and those that follow it closely. `false`
    /// if the connection has ended.
    async fn next(&mut self) -> bool {
        loop {
            match self.messages.next().await {
                Some(message) if is_relevant(&message.payload) => break,
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

/// Returns a stream with an event whenever an interface with a slot's name is added,
/// removed or changed, or one of its addresses. It never ends. It must be called
/// within a tokio runtime.
pub(crate) fn link_changes() -> BoxStream<'static, ()> {
    // It is opened at once, so that no change after this call is missed.
    stream::unfold(Subscription::open(), |mut subscription| async move {
        loop {
            match &mut subscription {
                Ok(open) => {
                    if open.next().await {
                        return Some(((), subscription));
                    }
                    sleep(RETRY_DELAY).await;
                    subscription = Subscription::open();
                    // A change may have been missed.
                    return Some(((), subscription));
                }
                Err(e) => {
                    tracing::warn!(error = %e, "the kernel does not report changes of interfaces; only the timer finds them");
                    sleep(RETRY_DELAY).await;
                    subscription = Subscription::open();
                }
            }
        }
    })
    .boxed()
}

/// Returns whether a notification concerns a slot's interface.
fn is_relevant(payload: &NetlinkPayload<RouteNetlinkMessage>) -> bool {
    use RouteNetlinkMessage as M;
    match payload {
        NetlinkPayload::InnerMessage(M::NewLink(m) | M::DelLink(m)) => is_slot_link(m),
        NetlinkPayload::InnerMessage(M::NewAddress(m) | M::DelAddress(m)) => is_slot_address(m),
        // Notifications were lost: any interface may have changed.
        NetlinkPayload::Overrun(_) => true,
        _ => false,
    }
}

fn is_slot_link(message: &LinkMessage) -> bool {
    message
        .attributes
        .iter()
        .any(|a| matches!(a, LinkAttribute::IfName(name) if Slot::of_interface(name).is_some()))
}

/// Returns whether an address is of a slot's link. The label of an IPv4 address is
/// its link's name, `wg1`, or begins with it, `wg1:x`.
fn is_slot_address(message: &AddressMessage) -> bool {
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
    fn only_interfaces_of_slots_are_relevant() {
        assert!(is_relevant(&link("wg1")));
        assert!(!is_relevant(&link("eth0")));
        assert!(!is_relevant(&link("wg0")));
        assert!(!is_relevant(&NetlinkPayload::Noop));
        assert!(is_relevant(&NetlinkPayload::Overrun(vec![])));
    }

    #[test]
    fn an_address_belongs_to_its_labels_link() {
        let mut m = AddressMessage::default();
        m.attributes.push(AddressAttribute::Label("wg7:old".into()));
        assert!(is_slot_address(&m));
        m.attributes.clear();
        m.attributes.push(AddressAttribute::Label("docker0".into()));
        assert!(!is_slot_address(&m));
    }
}
