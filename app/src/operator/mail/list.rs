//! `/mail`.

use super::{PATH, ready};
use crate::{
    forms,
    loader::load,
    ui::{
        Area, Chip, EmptyState, Glyph, NavItem, PageHead, PageShell, RelativeTime, Tone, TopError,
        format,
    },
};
use domain::{ErrorCode, Failure, Timestamp, mail::MailState, view::MailRow};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// The mails that are shown at a time.
const PAGE_ROWS: u32 = 50;

/// What the operator may do with a mail.
#[derive(Clone, Copy)]
struct Acts {
    may_retry: bool,
    may_discard: bool,
}

/// Lists the mails that wait or were given up; with `?all=1` those that were sent, too.
/// `?before=` is the id of a mail: those before it are listed.
#[component]
pub fn MailPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let ready = ready();
    let refusal = forms::refusal_from_query(|key| query.get(key));
    let saved = query.get("saved").filter(|_| refusal.is_none());
    let notice = saved.as_deref().and_then(notice);
    let on_top = refusal.map(|f| match f.code {
        ErrorCode::NotFound => {
            "This mail was sent or removed meanwhile, or its link is over.".to_owned()
        }
        _ => f.message,
    });
    load(async move {
        let (control, operator) = ready?;
        let mail = control.mail();
        let is_all = query.get("all").is_some();
        let before = query.get("before").and_then(|b| b.parse::<i64>().ok());
        let before = before.unwrap_or(i64::MAX);
        let rows = match is_all {
            true => mail.outbox(&operator, before, PAGE_ROWS + 1).await?,
            false => mail.unsent(&operator, before, PAGE_ROWS + 1).await?,
        };
        let acts = Acts {
            may_retry: mail.is_set_up() && operator.support().is_ok(),
            may_discard: operator.owner().is_ok(),
        };
        let (is_set_up, now) = (mail.is_set_up(), control.now());
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Mail
                who=operator.name().to_owned()
                title="Mail"
            >
                <PageHead title="Mail"/>
                <TopError message=Signal::stored(on_top)/>
                <div role="status" class="empty:hidden">
                    {notice.map(|text| view! { <p class="banner">"✓ " {text}</p> })}
                </div>
                {(!is_set_up)
                    .then(|| {
                        view! {
                            <p class="banner">
                                "This installation sends no mail. The setting is " <code>"mail.server"</code>
                                "; " <code>"maliknode mail test ADDRESS"</code> " shows whether it works."
                            </p>
                        }
                    })}
                <Outbox rows=rows is_all=is_all is_first=before == i64::MAX acts=acts now=now/>
            </PageShell>
        })
    })
}

/// Returns what the page says of an act that was just done.
fn notice(saved: &str) -> Option<&'static str> {
    Some(match saved {
        "retry" => "The mail is tried now.",
        "discard" => "The mail is removed.",
        _ => return None,
    })
}

#[component]
fn Outbox(
    rows: Vec<MailRow>,
    is_all: bool,
    is_first: bool,
    acts: Acts,
    now: Timestamp,
) -> impl IntoView {
    let has_more = rows.len() > PAGE_ROWS as usize;
    let rows: Vec<_> = rows.into_iter().take(PAGE_ROWS as usize).collect();
    let page = |before: Option<&str>| {
        let all = is_all.then_some(("all", "1"));
        let query: Vec<_> = all
            .into_iter()
            .chain(before.map(|b| ("before", b)))
            .collect();
        forms::url_with(PATH, &query)
    };
    let last = rows.last().filter(|_| has_more).map(|m| m.id.to_string());
    let older = last.map(|id| {
        view! { <a class="btn btn-s" rel="next" href=page(Some(&id))>"Older"</a> }
    });
    let newest = (!is_first).then(|| {
        view! { <a class="btn btn-s" rel="first" href=page(None)>"Newest"</a> }
    });
    let has_pages = older.is_some() || newest.is_some();
    let (title, other, to) = match is_all {
        true => ("All mail of the last week", "Only what was not sent", PATH),
        false => ("Not sent", "All of the last week", "/mail?all=1"),
    };
    let body = match rows.is_empty() {
        true => view! { <Empty is_all=is_all/> }.into_any(),
        false => view! { <Table rows=rows acts=acts now=now/> }.into_any(),
    };
    view! {
        <section class="card" aria-labelledby="outbox">
            <div class="hd">
                <h2 id="outbox">{title}</h2>
                <a class="link s ms-auto" href=to>{other}</a>
            </div>
            {body}
            {has_pages
                .then(|| {
                    view! {
                        <nav class="row border-t border-line px-[18px] py-3" aria-label="Pages">
                            {newest}
                            <span class="ms-auto">{older}</span>
                        </nav>
                    }
                })}
        </section>
    }
}

#[component]
fn Empty(is_all: bool) -> impl IntoView {
    let (title, text) = match is_all {
        true => ("No mail yet", "What is sent is listed here for a week."),
        false => (
            "Nothing waits",
            "Mail that a server does not take waits here, with what the server said.",
        ),
    };
    view! { <EmptyState glyph=Glyph::Check title=title text=text/> }
}

#[component]
fn Table(rows: Vec<MailRow>, acts: Acts, now: Timestamp) -> impl IntoView {
    let rows = rows
        .into_iter()
        .map(|mail| view! { <Row mail=mail acts=acts now=now/> });
    view! {
        <div class="scroll">
            <table class="table cards">
                <thead>
                    <tr>
                        <th scope="col">"Mail"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"The server said"</th>
                        <th scope="col">"Next try"</th>
                        <th scope="col" class="e">"Tries"</th>
                        <th scope="col"><span class="sr-only">"Actions"</span></th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}

#[component]
fn Row(mail: MailRow, acts: Acts, now: Timestamp) -> impl IntoView {
    let (tone, state) = match mail.state {
        MailState::Waiting => (Tone::Warn, "Waits"),
        MailState::Sent => (Tone::Live, "Sent"),
        MailState::Failed => (Tone::Bad, "Given up"),
    };
    let reason = match (mail.answer.is_empty(), mail.state) {
        (false, _) => mail.answer.clone(),
        (true, MailState::Failed) => "Nothing: it waited for too long.".to_owned(),
        (true, _) => "Nothing yet.".to_owned(),
    };
    let next = mail.next_try.map(|at| {
        view! { <time datetime=format::iso(at)>{format::exact(at)}</time> }
    });
    let is_unsent = mail.state != MailState::Sent;
    let subject = subject(&mail.kind).to_owned();
    let of = format!("{subject} to {}", mail.recipient);
    let retry = (acts.may_retry && is_unsent).then(|| {
        view! {
            <form method="post" action="/do/retry_mail">
                <input type="hidden" name="id" value=mail.id.to_string()/>
                <button class="btn btn-s" aria-label=format!("Try now: {of}")>"Try now"</button>
            </form>
        }
    });
    // It asks once.
    let discard = (acts.may_discard && is_unsent).then(|| {
        view! {
            <details>
                <summary class="text-bad" aria-label=format!("Discard … {of}")>"Discard …"</summary>
                <form class="mt-2" method="post" action="/do/discard_mail">
                    <input type="hidden" name="id" value=mail.id.to_string()/>
                    <button class="btn btn-s btn-pd" aria-label=format!("Discard: {of}")>
                        "Discard it"
                    </button>
                </form>
            </details>
        }
    });
    view! {
        <tr>
            <td class="wide wrap">
                <span class="font-semibold">{subject}</span>
                <span class="s block" dir="ltr">{mail.recipient}</span>
                <span class="xs block">
                    {format!("No. {}, ", mail.id)} <RelativeTime at=mail.created_at now=now/>
                </span>
            </td>
            <td>
                <Chip tone=tone>{state}</Chip>
            </td>
            <td class="full wrap">{reason}</td>
            <td class="num full">
                <span class="mob xs">"Next try: "</span>
                {next}
            </td>
            <td class="e num full">
                <span class="mob xs">"Tries: "</span>
                {mail.tries.to_string()}
            </td>
            <td class="e full">
                <span class="row justify-end gap-2!">{retry} {discard}</span>
            </td>
        </tr>
    }
}

/// Returns what a kind of mail is about.
fn subject(kind: &str) -> &str {
    match kind {
        "verify" => "Link that verifies an address",
        "reset" => "Link to a new password",
        "address-change" => "Notice of another address",
        "sign-in" => "Notice of a new sign-in",
        "change" => "Notice of a change",
        "quota-warned" => "Warning of the month's data",
        "quota-reached" => "Notice of used up data",
        "test" => "Test",
        other => other,
    }
}
