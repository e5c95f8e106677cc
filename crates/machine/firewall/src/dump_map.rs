//! Reads the map of tenants' rates over netlink (`linux/netfilter/nf_tables.h`).

use crate::{
    elements::Element,
    listing::Listing,
    model::LIMITS_TABLE,
    netlink::NFTABLES,
    tunnels::{self, MAP},
};
use domain::Slot;
use hostfs::netlink::{
    Channel, DefaultNla, NETFILTER_HEADER, NETLINK_NETFILTER, NLM_F_DUMP, NLM_F_DUMP_INTR,
    attribute, attributes, write_netfilter_request,
};
use std::io;

/// `NFPROTO_INET`.
const INET: u8 = 1;
/// `NFT_MSG_NEWSETELEM`.
const NEWSETELEM: u16 = NFTABLES | 12;
/// `NFT_MSG_GETSETELEM`.
const GETSETELEM: u16 = NFTABLES | 13;
/// `NFTA_SET_ELEM_LIST_TABLE`.
const TABLE: u16 = 1;
/// `NFTA_SET_ELEM_LIST_SET`.
const SET: u16 = 2;
/// `NFTA_SET_ELEM_LIST_ELEMENTS`.
const ELEMENTS: u16 = 3;
/// `NFTA_SET_ELEM_KEY`, with `NFTA_DATA_VALUE`.
const KEY: u16 = 1;
const VALUE: u16 = 1;
/// `NFTA_SET_ELEM_DATA`, with `NFTA_DATA_VERDICT`, with `NFTA_VERDICT_CODE` and
/// `NFTA_VERDICT_CHAIN`.
const DATA: u16 = 2;
const VERDICT: u16 = 2;
const CODE: u16 = 1;
const CHAIN: u16 = 2;
/// `NFT_GOTO`.
const GOTO: i32 = -4;

/// Adds the elements of the map to the listing. Returns whether the ruleset stayed the
/// same meanwhile.
///
/// # Errors
/// The kernel's error. Without the map there are no elements.
pub(crate) fn add_to(listing: &mut Listing) -> io::Result<bool> {
    let name = |name: &str| [name.as_bytes(), &[0]].concat();
    let which = vec![
        DefaultNla::new(TABLE, name(LIMITS_TABLE)),
        DefaultNla::new(SET, name(MAP)),
    ];
    let mut request = Vec::new();
    write_netfilter_request(GETSETELEM, NLM_F_DUMP, INET, which, &mut request);
    let mut whole = true;
    let read = Channel::open(NETLINK_NETFILTER)?.ask(&request, |message| -> io::Result<()> {
        whole &= message.flags() & NLM_F_DUMP_INTR == 0;
        if message.message_type() == NEWSETELEM {
            let body = message.payload().get(NETFILTER_HEADER..);
            add(listing, body.unwrap_or_default());
        }
        Ok(())
    });
    match read {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(whole),
    }
}

/// Adds the elements of a message.
fn add(listing: &mut Listing, body: &[u8]) {
    let all = attribute(body, ELEMENTS).unwrap_or_default();
    for element in attributes(all) {
        match element.ok().and_then(|(_, e)| parse(e)) {
            Some(e) => drop(listing.elements.0.insert(e)),
            None => listing.add_unexpected(),
        }
    }
}

fn parse(element: &[u8]) -> Option<Element> {
    let port = attribute(attribute(element, KEY)?, VALUE)?;
    let port = u16::from_be_bytes(*port.first_chunk()?);
    let verdict = attribute(attribute(element, DATA)?, VERDICT)?;
    let code = attribute(verdict, CODE)?.try_into().ok()?;
    let chain = attribute(verdict, CHAIN)?.strip_suffix(&[0])?;
    let rate = tunnels::rate_of(std::str::from_utf8(chain).ok()?)?;
    let slot = Slot::of_port(port).filter(|_| i32::from_be_bytes(code) == GOTO)?;
    Some(Element::TunnelPackets(slot, rate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning::spec::PacketRate;

    /// Returns an attribute with its header, padded.
    fn nla(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len() + 4).unwrap();
        let mut all = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        all.resize(all.len().next_multiple_of(4), 0);
        all
    }

    fn message(port: u16, code: i32, name: &[u8]) -> Vec<u8> {
        let key = nla(KEY, &nla(VALUE, &port.to_be_bytes()));
        let verdict = [nla(CODE, &code.to_be_bytes()), nla(CHAIN, name)].concat();
        let data = nla(DATA, &nla(VERDICT, &verdict));
        nla(ELEMENTS, &nla(1, &[key, data].concat()))
    }

    #[test]
    fn elements_are_read_and_others_are_unexpected() {
        let read = |message: &[u8]| {
            let mut listing = Listing::default();
            add(&mut listing, message);
            listing.add_set("version".to_owned());
            let expected = listing.matches(&[], "version");
            (expected, listing.elements.0.into_iter().collect::<Vec<_>>())
        };
        let rate = PacketRate::at_least(8_000);
        let ours = message(51_821, GOTO, b"at_8000\0");
        assert_eq!(
            read(&ours),
            (true, vec![Element::TunnelPackets(Slot::FIRST, rate)])
        );
        for other in [
            message(51_820, GOTO, b"at_8000\0"),
            message(51_821, -3, b"at_8000\0"),
            message(51_821, GOTO, b"at_8001\0"),
            message(51_821, GOTO, b"timeouts\0"),
            message(51_821, GOTO, b"at_8000"),
            nla(ELEMENTS, &nla(1, &[])),
            nla(ELEMENTS, &ours[..ours.len() - 8]),
        ] {
            assert_eq!(read(&other), (false, vec![]), "{other:?}");
        }
    }
}
