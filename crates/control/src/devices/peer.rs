//! A device as the published API lists it, and lists as they were written.

use domain::{Timestamp, view::DeviceView};
use std::sync::{Arc, Mutex, PoisonError};

/// The longest text of a list that is kept, in bytes: of some 70 devices.
const MAX_KEPT_BYTES: usize = 32 * 1024;

/// A device with what else its row holds.
#[derive(Clone, Debug)]
pub struct Peer {
    pub device: DeviceView,
    /// The id of its client in AdGuard Home.
    pub client_id: String,
}

/// In which form a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListForm {
    /// The whole list as `/v1/devices` has it.
    Devices,
    /// As the published call has it.
    Published,
}

/// A tenant's devices, oldest first, with what was written of them.
#[derive(Debug)]
pub struct PeerList {
    peers: Vec<Peer>,
    written: [Mutex<Option<WrittenList>>; 2],
}

/// A list as it was written.
#[derive(Clone, Debug)]
struct WrittenList {
    text: Arc<[u8]>,
    /// It is another one from then on.
    until: Timestamp,
}

impl PeerList {
    /// Makes a list of which nothing was written yet.
    pub fn new(peers: Vec<Peer>) -> Self {
        Self {
            peers,
            written: Default::default(),
        }
    }

    /// Returns the devices.
    pub fn peers(&self) -> &[Peer] {
        &self.peers
    }

    /// Returns the list in a form: as it was written before, or as `write` writes it now, with
    /// the time until which it is the same.
    ///
    /// # Errors
    /// What `write` fails with.
    pub fn written<E>(
        &self,
        form: ListForm,
        now: Timestamp,
        write: impl FnOnce() -> Result<(Vec<u8>, Timestamp), E>,
    ) -> Result<Arc<[u8]>, E> {
        let written = &self.written[form as usize];
        let kept = written.lock().unwrap_or_else(PoisonError::into_inner);
        let valid = kept.as_ref().filter(|written| now < written.until);
        if let Some(written) = valid {
            return Ok(written.text.clone());
        }
        drop(kept);
        let (text, until) = write()?;
        let text: Arc<[u8]> = text.into();
        if text.len() <= MAX_KEPT_BYTES {
            let new = WrittenList {
                text: text.clone(),
                until,
            };
            *written.lock().unwrap_or_else(PoisonError::into_inner) = Some(new);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn a_list_is_written_once_until_it_is_another_one() {
        let list = PeerList::new(Vec::new());
        let at = |form, now, text: &str, until| {
            let write = || Ok::<_, Infallible>((text.into(), Timestamp(until)));
            let Ok(text) = list.written(form, Timestamp(now), write);
            String::from_utf8(text.to_vec()).unwrap()
        };
        assert_eq!(at(ListForm::Devices, 1, "a", 10), "a");
        assert_eq!(at(ListForm::Devices, 9, "b", 20), "a");
        assert_eq!(at(ListForm::Published, 9, "c", 20), "c", "another form");
        assert_eq!(at(ListForm::Devices, 10, "b", 20), "b");
        let long = "x".repeat(MAX_KEPT_BYTES + 1);
        assert_eq!(at(ListForm::Devices, 20, &long, 30), long);
        assert_eq!(at(ListForm::Devices, 20, "d", 30), "d", "it is not kept");
    }
}
