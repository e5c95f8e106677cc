//! Pages of lists. A cursor says where the next page begins and of which list it is; it is
//! opaque to clients.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{ErrorCode, Failure, Message};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// The items of a page where the client does not say.
const DEFAULT_LIMIT: u16 = 50;
/// The most items of a page.
const MAX_LIMIT: u16 = 200;
/// The longest cursor that is read, in bytes.
const MAX_CURSOR: usize = 128;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// `next` of the page before; without it, the first page.
    pub cursor: Option<String>,
    /// The most items of the page, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<u16>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The cursor of the next page; `null` on the last one.
    pub next: Option<String>,
}

/// Returns how many items a page has.
///
/// # Errors
/// `BadRequest` outside 1 to 200.
pub fn limit(wanted: Option<u16>) -> Result<usize, Failure> {
    let limit = wanted.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit.into());
    }
    let reason = format!("limit is 1 to {MAX_LIMIT}");
    let message = Message::QueryUnreadable { reason };
    Err(Failure::new(ErrorCode::BadRequest, message))
}

/// Returns the number behind which a page begins, if a cursor was sent.
///
/// # Errors
/// `CursorInvalid` for a cursor of another list.
pub fn parse(list: &str, cursor: Option<&str>) -> Result<Option<i64>, Failure> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let read = || {
        if cursor.len() > MAX_CURSOR {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (of, number) = text.rsplit_once(':')?;
        number.parse().ok().filter(|_| of == list)
    };
    let invalid = || Failure::new(ErrorCode::CursorInvalid, Message::CursorInvalid);
    read().map(Some).ok_or_else(invalid)
}

/// Returns the cursor of what comes behind an item with this number.
pub fn encode(list: &str, number: i64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}:{number}"))
}

/// Makes a page of at most `limit` items from items of which there may be more; `number`
/// returns by which the next page begins behind an item.
pub fn page<T, U>(
    list: &str,
    mut items: Vec<T>,
    limit: usize,
    number: impl Fn(&T) -> i64,
    shown: impl Fn(T) -> U,
) -> Page<U> {
    let has_more = items.len() > limit;
    items.truncate(limit);
    let last = items.last().filter(|_| has_more);
    let next = last.map(|item| encode(list, number(item)));
    Page {
        items: items.into_iter().map(shown).collect(),
        next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_to_the_next_page_of_its_list() {
        let first = page("devices", vec![1, 2, 3], 2, |n| *n, |n| n);
        assert_eq!(first.items, [1, 2]);
        let next = first.next.unwrap();
        assert_eq!(parse("devices", Some(&next)).unwrap(), Some(2));
        for bad in [next.as_str(), "", "!", "ZGV2aWNlczp4"] {
            let failure = parse("events", Some(bad)).unwrap_err();
            assert_eq!(failure.code, ErrorCode::CursorInvalid, "{bad}");
        }
        assert_eq!(parse("devices", None).unwrap(), None);
        let last = page("devices", vec![3], 2, |n| *n, |n| n);
        assert_eq!(last.next, None);
    }

    #[test]
    fn a_page_has_a_bounded_number_of_items() {
        assert_eq!(limit(None).unwrap(), 50);
        assert_eq!(limit(Some(200)).unwrap(), 200);
        for wrong in [0, 201, u16::MAX] {
            assert!(limit(Some(wrong)).is_err());
        }
    }
}
