//! API tokens: the list, and `/account/tokens/new`, which makes one and shows it once.

use super::area::Area;
use crate::{
    cookies::API_TOKEN,
    devices::CopyConfig,
    forms::{self, Refusal},
    loader::load,
    ui::{
        Chip, EmptyState, Field as FormField, Glyph, Note, PageHead, RelativeTime, Tone, TopError,
    },
};
use control::ApiToken;
use domain::{Access, Failure, Field, Timestamp};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// For how long a token may be valid, in days, with its words.
const LIFETIMES: [(&str, &str); 4] = [
    ("7", "A week"),
    ("30", "30 days"),
    ("90", "90 days"),
    ("365", "A year"),
];

/// The account's API tokens.
#[component]
pub fn Tokens(tokens: Vec<ApiToken>, now: Timestamp) -> impl IntoView {
    let list = if tokens.is_empty() {
        view! {
            <EmptyState
                glyph=Glyph::Tag
                title="No token"
                text="With a token a program of yours uses the API in your place."
            />
        }
        .into_any()
    } else {
        view! {
            <ul class="rows">
                {tokens.into_iter().map(|t| view! { <Token token=t now=now/> }).collect_view()}
            </ul>
        }
        .into_any()
    };
    view! {
        <section class="card" aria-labelledby="tokens-title">
            <div class="hd border-b border-line">
                <h2 id="tokens-title">"API tokens"</h2>
                <a class="btn btn-s ms-auto" href="/account/tokens/new">"Make a token"</a>
            </div>
            {list}
        </section>
    }
}

#[component]
fn Token(token: ApiToken, now: Timestamp) -> impl IntoView {
    let label = format!("Delete the token {}", token.name);
    let access = match token.access {
        Access::Read => "Read",
        Access::Write => "Read and change",
    };
    let is_over = token.expires_at <= now;
    let used = match token.used_at {
        Some(at) => view! { "used " <RelativeTime at=at now=now/> }.into_any(),
        None => "not used yet".into_any(),
    };
    let valid = match is_over {
        true => "expired".to_owned(),
        false => {
            let days = token.expires_at.millis_since(now) / 86_400_000;
            match days {
                0 => "less than a day left".to_owned(),
                1 => "1 day left".to_owned(),
                days => format!("{days} days left"),
            }
        }
    };
    view! {
        <li>
            <div class="min-w-0 flex-1">
                <p class="row gap-y-1!">
                    <span class="font-semibold wrap-anywhere">{token.name}</span>
                    <Chip>{access}</Chip>
                    {is_over.then(|| view! { <Chip tone=Tone::Warn>"Expired"</Chip> })}
                </p>
                <p class="s">{used} " · " {valid}</p>
            </div>
            <form method="post" action="/do/delete_api_token">
                <input type="hidden" name="id" value=token.id/>
                <button class="btn btn-s btn-d" aria-label=label>"Delete"</button>
            </form>
        </li>
    }
}

/// Renders `/account/tokens/new`: the token that was just made, or the form.
#[component]
pub fn NewTokenPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let failure = forms::refusal_from_query(|key| query.get(key));
    let ready = Area::ready();
    // Only to a signed-in client, whose browser brings it.
    let token = ready.is_ok().then(|| API_TOKEN.take()).flatten();
    load(async move {
        let (_, _, area) = ready?;
        let body = match token {
            Some(token) => view! { <Made token=token/> }.into_any(),
            None => {
                let get = |key| query.get(key).unwrap_or_default();
                view! {
                    <Make
                        name=get("name")
                        may_write=get("access") == "write"
                        days=get("days")
                        failure=failure
                    />
                }
                .into_any()
            }
        };
        Ok::<_, Failure>(area.page(
            "API token",
            view! {
                <PageHead title="API token"/>
                <div class="max-w-[620px]">{body}</div>
            },
        ))
    })
}

#[component]
fn Made(token: String) -> impl IntoView {
    view! {
        <section class="card grid gap-3 p-[22px] max-md:p-4" aria-label="The token">
            <p>"This is the token. Store it where your program reads it: it is shown " <b>"only now"</b> "."</p>
            // A click selects all of it.
            <pre
                id="token"
                class="mono select-all whitespace-pre-wrap break-all rounded-s border border-line bg-sunken p-3"
                dir="ltr"
                tabindex="0"
                aria-label="Token"
            >
                {token}
            </pre>
            <div class="row">
                <CopyConfig target="token".to_owned() holds="the token".to_owned()/>
                <a class="btn" href="/account">"Done"</a>
            </div>
        </section>
    }
}

#[component]
fn Make(name: String, may_write: bool, days: String, failure: Option<Refusal>) -> impl IntoView {
    let is_at_name = |f: &Refusal| f.field == Some(Field::Name);
    let name_error = failure.clone().filter(is_at_name).map(|f| f.message);
    let on_top = failure.filter(|f| !is_at_name(f)).map(|f| f.message);
    let is_invalid = name_error.is_some().to_string();
    let note = Note::or_hint(name_error, "What uses it, for example “Backup script”.");
    let choice = |value: &'static str, checked: bool, title: &'static str, text: &'static str| {
        view! {
            <label class="choice">
                <input type="radio" name="access" value=value checked=checked/>
                <span>
                    <span class="block font-semibold">{title}</span>
                    <span class="s">{text}</span>
                </span>
            </label>
        }
    };
    let chosen = match LIFETIMES.iter().any(|(d, _)| *d == days) {
        true => days,
        false => "90".to_owned(),
    };
    let options = LIFETIMES.into_iter().map(|(days, text)| {
        view! { <option value=days selected=days == chosen>{text}</option> }
    });
    let options = options.collect_view();
    view! {
        <form
            class="card grid gap-4 p-[22px] max-md:p-4"
            method="post"
            action="/do/create_api_token"
        >
            <TopError message=Signal::stored(on_top)/>
            <FormField id="name" label="Name" note=Signal::stored(note)>
                <input
                    id="name"
                    class="field"
                    type="text"
                    name="name"
                    value=name
                    required
                    maxlength="64"
                    autocomplete="off"
                    dir="auto"
                    aria-describedby="name-note"
                    aria-invalid=is_invalid
                />
            </FormField>
            <fieldset class="grid gap-2">
                <legend class="label mb-1.5">"What it may do"</legend>
                {choice("read", !may_write, "Read", "See everything but secrets, change nothing.")}
                {choice("write", may_write, "Read and change", "Do what you may do here, except for your password and the like.")}
            </fieldset>
            <FormField id="days" label="Valid for" note=Signal::stored(Note::None)>
                <select id="days" class="field" name="days" autocomplete="off" aria-describedby="days-note">
                    {options}
                </select>
            </FormField>
            <div class="row">
                <button class="btn btn-p">"Make the token"</button>
                <a class="btn btn-q" href="/account">"Cancel"</a>
            </div>
        </form>
    }
}
