//! Recovery codes: shown once after they are made, printed, copied or stored as a file.
//! They are in a cookie of this host until the account's holder has saved them, so that
//! a page that is opened again shows them again, and no address contains them.

use super::area::Area;
use crate::{
    account::PrintPage,
    cookies::RECOVERY_CODES,
    devices::CopyConfig,
    forms,
    loader::load,
    ui::{Glyph, Icon, PageHead, TopError},
};
use control::RecoveryCodes;
use domain::Failure;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Between the codes in the cookie. No code contains it.
const SEPARATOR: char = '.';
/// The most characters of a code.
const MAX_CHARS: usize = 32;

/// Sends the codes to the browser, for the next pages to show.
pub fn show_next(codes: &RecoveryCodes) {
    let codes: Vec<&str> = codes.0.iter().map(|code| code.expose()).collect();
    RECOVERY_CODES.set(&codes.join(&SEPARATOR.to_string()));
}

/// Returns the codes that the browser brings, if it has some to show.
pub fn shown() -> Option<Vec<String>> {
    parse(&RECOVERY_CODES.get()?)
}

/// Returns the codes in a cookie's value. A text that is no list of codes is not shown.
fn parse(value: &str) -> Option<Vec<String>> {
    let is_code = |code: &&str| {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !code.is_empty() && code.len() <= MAX_CHARS && code.chars().all(is_plain)
    };
    let codes: Vec<&str> = value.split(SEPARATOR).collect();
    let is_list = codes.len() <= 20 && codes.iter().all(is_code);
    is_list.then(|| codes.into_iter().map(str::to_owned).collect())
}

/// The codes, with what to do with them.
#[component]
pub fn Codes(
    codes: Vec<String>,
    /// The account's name, for the file and the printed page.
    name: String,
    /// Whether the account was just made.
    is_first: bool,
) -> impl IntoView {
    let file = format!(
        "Recovery codes of {name}\nEach works once.\n\n{}\n",
        codes.join("\n")
    );
    let href = format!("data:text/plain;charset=utf-8,{}", encode(&file));
    let file_name = format!("recovery-codes-{name}.txt");
    let first = if is_first { "1" } else { "" };
    view! {
        <section class="card grid gap-3 p-[22px] max-md:p-4" aria-labelledby="codes-title">
            <h2 id="codes-title">"Your recovery codes"</h2>
            <p class="s">
                "With one of them you get in without your phone, or set a new password if you forgot it. Each works once. Keep them where you keep important papers: "
                <b>"they are shown only now"</b> "."
            </p>
            <ul
                id="codes"
                class="mono codes rounded-s border border-line bg-sunken p-3"
                dir="ltr"
                aria-label="Recovery codes"
            >
                {codes.into_iter().map(|code| view! { <li>{code}" "</li> }).collect_view()}
            </ul>
            <div class="row no-print">
                <PrintPage/>
                <a class="btn" href=href download=file_name>
                    <Icon glyph=Glyph::Download class="icon-s"/>
                    "Download"
                </a>
                <CopyConfig target="codes".to_owned() holds="your recovery codes".to_owned()/>
            </div>
            <form class="no-print" method="post" action="/do/recovery_codes_saved">
                <input type="hidden" name="first" value=first/>
                <button class="btn btn-p">"I have saved them"</button>
            </form>
        </section>
    }
}

/// Percent-encodes a text for an address.
fn encode(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let encoded = text.bytes().map(|b| match keep(b) {
        true => char::from(b).to_string(),
        false => format!("%{b:02X}"),
    });
    encoded.collect()
}

/// Renders `/account/recovery-codes`: the codes that were just made, or a form that
/// makes new ones.
#[component]
pub fn RecoveryCodesPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let message = forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    let is_two_step = query.get("saved").as_deref() == Some("two_step");
    let ready = Area::ready();
    // Only to a signed-in client, whose browser brings them.
    let codes = ready.is_ok().then(shown).flatten();
    load(async move {
        let (control, account, area) = ready?;
        let security = control.account().security(&account).await?;
        let name = area.name().to_owned();
        let body = match codes {
            Some(codes) => view! { <Codes codes=codes name=name is_first=false/> }.into_any(),
            None => {
                let left = security.recovery_codes_left;
                let what = match left {
                    0 => "You have none.".to_owned(),
                    1 => "You have one that was not used yet. It stops working then.".to_owned(),
                    _ => format!("You have {left} that were not used yet. They stop working then."),
                };
                view! {
                    <section class="card grid gap-3 p-[22px] max-md:p-4" aria-label="New codes">
                        <TopError message=Signal::stored(message)/>
                        <p>{what}</p>
                        <p class="s">
                            "With a recovery code you get in without your phone, or set a new password if you forgot it."
                        </p>
                        <form method="post" action="/do/make_recovery_codes">
                            <button class="btn btn-p">"Make new recovery codes"</button>
                        </form>
                    </section>
                }
                .into_any()
            }
        };
        let notice = is_two_step.then(|| {
            view! {
                <p class="banner" role="status">
                    <span class="text-live"><Icon glyph=Glyph::Check/></span>
                    "Two-step sign-in is on. Save your recovery codes now."
                </p>
            }
        });
        Ok::<_, Failure>(area.page(
            "Recovery codes",
            view! {
                <PageHead title="Recovery codes"/>
                {notice}
                <div class="max-w-[520px]">{body}</div>
            },
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_are_shown() {
        let codes = parse("abcd-efgh-2345-6789.abcd-efgh-2345-678a").unwrap();
        assert_eq!(codes, ["abcd-efgh-2345-6789", "abcd-efgh-2345-678a"]);
        for other in [
            "",
            "call 0190",
            "a..b",
            "<b>",
            "A",
            &"a".repeat(MAX_CHARS + 1),
        ] {
            assert_eq!(parse(other), None, "{other:?}");
        }
    }

    #[test]
    fn the_file_is_encoded() {
        assert_eq!(encode("a b\nc&ä"), "a%20b%0Ac%26%C3%A4");
    }
}
