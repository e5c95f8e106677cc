//! The addresses of all control planes, as an answer to a worker lists them.

use std::fmt;

/// The most addresses of a list.
pub const MAX_CONTROL_PLANES: usize = 16;
/// The longest address, in bytes: `https://`, a name of the DNS, and a port.
const MAX_ADDRESS_BYTES: usize = "https://".len() + 253 + ":65535".len();

/// Addresses of control planes, such as `https://10.0.0.2:8443`: at most
/// [`MAX_CONTROL_PLANES`], each once. Its text is the value of the header
/// [`CONTROL_PLANES`](super::CONTROL_PLANES).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ControlPlaneList(Vec<String>);

impl ControlPlaneList {
    /// Collects addresses. Those that cannot be in a header, and those above the limit, are
    /// left out.
    pub fn new<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Self {
        let mut list = Vec::new();
        for address in addresses {
            if list.len() == MAX_CONTROL_PLANES {
                break;
            }
            let is_known = list.iter().any(|known| known == address);
            if is_address(address) && !is_known {
                list.push(address.to_owned());
            }
        }
        Self(list)
    }

    /// Reads the value of a header. What is no address is left out.
    pub fn from_header(value: &str) -> Self {
        Self::new(value.split(',').map(str::trim))
    }

    /// Returns the addresses, in the order of the list.
    pub fn addresses(&self) -> &[String] {
        &self.0
    }

    /// Returns whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for ControlPlaneList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

fn is_address(text: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_graphic() && b != b',';
    text.len() <= MAX_ADDRESS_BYTES && text.starts_with("https://") && text.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let list = ControlPlaneList::new(["https://10.0.0.2:8443", "https://[2001:db8::1]:1"]);
        let header = list.to_string();
        assert_eq!(header, "https://10.0.0.2:8443,https://[2001:db8::1]:1");
        assert_eq!(ControlPlaneList::from_header(&header), list);
        assert!(ControlPlaneList::from_header("").is_empty());
    }

    #[test]
    fn what_is_no_address_is_left_out() {
        let long = format!("https://{}:1", "a".repeat(300));
        let header = format!(
            " https://a:1 ,, http://b:1,{long},https://a:1,x,https://c d:1,https://\u{e9}:1,https://e:1"
        );
        let list = ControlPlaneList::from_header(&header);
        assert_eq!(list.addresses(), ["https://a:1", "https://e:1"]);
    }

    #[test]
    fn a_list_has_sixteen_addresses_at_most() {
        let many: Vec<_> = (1..100).map(|n| format!("https://a:{n}")).collect();
        let list = ControlPlaneList::new(many.iter().map(String::as_str));
        assert_eq!(list.addresses(), &many[..MAX_CONTROL_PLANES]);
        let read = ControlPlaneList::from_header(&many.join(","));
        assert_eq!(read, list);
    }
}
