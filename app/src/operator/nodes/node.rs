//! `/nodes/:id`: a node, and what can be changed of it.

use super::{
    facts,
    leave::{Drain, Lose},
    ready,
};
use crate::{
    context,
    forms::{self, Refusal},
    loader::load,
    ui::{
        Area, Banner, Chip, Field as FormField, Glyph, Icon, NavItem, Note, PageHead, PageShell,
        RelativeTime, TopError, format,
    },
};
use domain::{
    Failure, Field, Message, NodeId, NodeStanding, Timestamp,
    view::{NodeRow, ProblemView, WorkersAllowed},
};
use leptos::prelude::*;
use leptos_router::{
    hooks::{use_params_map, use_query_map},
    params::ParamsMap,
};

/// Renders a node with its forms.
#[component]
pub fn NodePage() -> impl IntoView {
    let id = use_params_map().get_untracked().get("id");
    let id = id.and_then(|id| id.parse::<NodeId>().ok());
    let query = use_query_map().get_untracked();
    let refusal = forms::refusal_from_query(|key| query.get(key));
    let texts = context::texts();
    let ready = ready();
    load(async move {
        let (control, operator) = ready?;
        let view = control.nodes().list(&operator).await?;
        let found = view.nodes.into_iter().find(|n| Some(n.id) == id);
        let node = found.ok_or_else(Failure::not_found)?;
        let (tone, state) = facts::state(&node);
        let name = node.name.clone();
        let problems: Vec<_> = node.problems.iter().map(|p| texts.problem(p)).collect();
        let configured = match &refusal {
            None => query.get("devices").and_then(|n| n.parse::<u64>().ok()),
            Some(_) => None,
        };
        // The query contains only the code; the message for a wrong name is made here.
        let refusal = refusal.map(|f| match f.field {
            Some(Field::Name) => Refusal {
                message: texts.message(&Message::NodeNameWrong { name: name.clone() }),
                ..f
            },
            _ => f,
        });
        let of_form = |f: &Refusal| matches!(f.field, Some(Field::Host | Field::Name));
        let on_top = refusal.clone().filter(|f| !of_form(f)).map(|f| f.message);
        let has_tenants = node.tenants > 0;
        let is_lost = facts::is_lost(&node);
        let may_change = operator.owner().is_ok();
        let drain = (may_change && has_tenants && !is_lost).then(|| {
            view! { <Drain id=node.id.to_string() name=name.clone()/> }
        });
        let lose = (may_change && has_tenants && is_lost).then(|| {
            view! { <Lose id=node.id.to_string() name=name.clone()/> }
        });
        let forms = (may_change && !node.is_local).then(|| {
            let may_join = view.workers == WorkersAllowed::Yes;
            view! { <WorkerForms node=node.clone() refusal=refusal query=query may_join=may_join/> }
        });
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Nodes
                who=operator.name().to_owned()
                title=format!("Node {name}")
            >
                <a class="s row w-fit gap-1.5! hover:underline" href="/nodes">
                    <Icon glyph=Glyph::Back class="icon-s"/>
                    "Nodes"
                </a>
                <PageHead title=name>
                    <Chip tone=tone>{state}</Chip>
                </PageHead>
                <TopError message=Signal::stored(on_top)/>
                <div role="status" class="grid gap-3 empty:hidden">
                    {configured.map(saved)}
                    <Problems problems=problems/>
                </div>
                <Facts node=node now=view.now/>
                {drain}
                {lose}
                {forms}
            </PageShell>
        })
    })
}

/// Says that the host is saved, and what follows from it.
fn saved(devices: u64) -> impl IntoView {
    let text = match devices {
        0 => "✓ Saved. No device connects to the former host.".to_owned(),
        1 => "✓ Saved. 1 device connects to the former host and has to be configured again: its configuration has the new one.".to_owned(),
        n => format!(
            "✓ Saved. {} devices connect to the former host and have to be configured again: their configurations have the new one.",
            format::thousands(n)
        ),
    };
    view! { <p class="banner">{text}</p> }
}

#[component]
fn Problems(problems: Vec<ProblemView>) -> impl IntoView {
    let problems = problems.into_iter();
    problems
        .map(|problem| view! { <Banner problem=problem/> })
        .collect_view()
}

#[component]
fn Facts(node: NodeRow, now: Timestamp) -> impl IntoView {
    let time = |at: Option<Timestamp>| match at {
        Some(at) => view! { <RelativeTime at=at now=now/> }.into_any(),
        None => "never".into_any(),
    };
    let or_dash = |text: Option<String>| text.filter(|t| !t.is_empty());
    let or_dash = |text| or_dash(text).unwrap_or_else(|| "–".to_owned());
    let mut facts = vec![
        ("Tenants", facts::tenants(&node).into_any()),
        ("Memory", facts::memory(&node).into_any()),
        ("Disk", facts::disk(node.disk.as_ref()).into_any()),
        ("Host for devices", or_dash(node.host).into_any()),
        ("WireGuard", or_dash(Some(node.wireguard)).into_any()),
    ];
    if !node.is_local {
        let expires = node.certificate_expires.map(format::exact);
        facts.extend([
            ("Version", or_dash(node.version).into_any()),
            ("Last heard", time(node.last_heard)),
            ("Certificate until", or_dash(expires).into_any()),
        ]);
    }
    let facts = facts.into_iter().map(|(name, value)| {
        view! {
            <div class="grid grid-cols-[150px_minmax(0,1fr)] gap-3 border-t border-line px-[18px] py-2.5 first:border-t-0">
                <dt class="s">{name}</dt>
                <dd class="num">{value}</dd>
            </div>
        }
    });
    view! { <dl class="card max-w-[760px]">{facts.collect_view()}</dl> }
}

/// What can be changed of a worker.
#[component]
fn WorkerForms(
    node: NodeRow,
    refusal: Option<Refusal>,
    query: ParamsMap,
    may_join: bool,
) -> impl IntoView {
    let at = |field| {
        let refusal = refusal.as_ref().filter(|f| f.field == Some(field));
        refusal.map(|f| f.message.clone())
    };
    let (host_error, name_error) = (at(Field::Host), at(Field::Name));
    let typed_host = host_error.as_ref().and_then(|_| query.get("host"));
    let host = typed_host.or(node.host).unwrap_or_default();
    let typed_name = name_error.as_ref().and_then(|_| query.get("name"));
    let (id, name) = (node.id.to_string(), node.name);
    let is_revoked = node.standing == NodeStanding::Revoked;
    view! {
        <Host id=id.clone() host=host error=host_error/>
        {may_join.then(|| view! { <JoinAgain id=id.clone() name=name.clone()/> })}
        {(!is_revoked).then(|| view! { <Revoke id=id.clone() name=name.clone()/> })}
        <Remove id=id name=name tenants=node.tenants typed=typed_name error=name_error/>
    }
}

#[component]
fn Host(id: String, host: String, error: Option<String>) -> impl IntoView {
    let is_bad = error.is_some();
    let hint = "A name or an address without a port. Devices that have the former one must be configured again, so a name that you can point elsewhere is better.";
    view! {
        <form
            class="card grid max-w-[760px] gap-4 p-[22px] max-md:p-4"
            method="post"
            action="/do/set_node_host"
        >
            <input type="hidden" name="id" value=id/>
            <FormField
                id="host"
                label="The host that devices connect to"
                note=Signal::stored(Note::or_hint(error, hint))
            >
                <input
                    id="host"
                    class="field"
                    type="text"
                    name="host"
                    value=host
                    required
                    maxlength="253"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    dir="ltr"
                    aria-describedby="host-note"
                    aria-invalid=is_bad.to_string()
                />
            </FormField>
            <div>
                <button class="btn">"Save the host"</button>
            </div>
        </form>
    }
}

#[component]
fn JoinAgain(id: String, name: String) -> impl IntoView {
    view! {
        <details class="card max-w-[760px] p-[18px]">
            <summary>{format!("Let {name} join again …")}</summary>
            <form class="mt-3 grid gap-3" method="post" action="/do/create_join_token">
                <p class="s">
                    "For a machine that was set up again or whose certificate was revoked. It takes the place of this node, with all its tenants: their keys, ports and addresses stay. The former machine is refused from then on."
                </p>
                <input type="hidden" name="id" value=id/>
                <div>
                    <button class="btn">{format!("Make a join command for {name}")}</button>
                </div>
            </form>
        </details>
    }
}

#[component]
fn Revoke(id: String, name: String) -> impl IntoView {
    view! {
        <details class="card max-w-[760px] p-[18px]">
            <summary class="text-bad">{format!("Revoke {name} …")}</summary>
            <form class="mt-3 grid gap-3" method="post" action="/do/revoke_node">
                <p class="s">
                    "For a machine that was stolen or lost. Its certificate is refused at once, so it gets no further secret of a tenant. What it has goes on working there until it is switched off. Only a new join command for it brings it back."
                </p>
                <input type="hidden" name="id" value=id/>
                <div>
                    <button class="btn btn-pd">{format!("Revoke {name}")}</button>
                </div>
            </form>
        </details>
    }
}

#[component]
fn Remove(
    id: String,
    name: String,
    tenants: u32,
    typed: Option<String>,
    error: Option<String>,
) -> impl IntoView {
    let is_bad = error.is_some();
    let hint = format!("Type {name} to confirm.");
    let body = match tenants {
        0 => view! {
            <form class="mt-3 grid gap-3" method="post" action="/do/remove_node">
                <p class="s">
                    "No tenant is on it. Its certificate is refused from then on; switch the machine off first. It can join again as a new node."
                </p>
                <input type="hidden" name="id" value=id/>
                <FormField
                    id="name"
                    label="The node's name"
                    note=Signal::stored(Note::or_hint(error, &hint))
                >
                    <input
                        id="name"
                        class="field"
                        type="text"
                        name="name"
                        value=typed
                        required
                        maxlength="253"
                        autocomplete="off"
                        autocapitalize="none"
                        spellcheck="false"
                        dir="ltr"
                        aria-describedby="name-note"
                        aria-invalid=is_bad.to_string()
                    />
                </FormField>
                <div>
                    <button class="btn btn-pd">{format!("Remove {name}")}</button>
                </div>
            </form>
        }
        .into_any(),
        1 => view! { <p class="s mt-3">"1 tenant is on it. Move it to another node first."</p> }.into_any(),
        n => {
            let n = format::thousands(n.into());
            view! { <p class="s mt-3">{format!("{n} tenants are on it. Move them to other nodes first.")}</p> }
                .into_any()
        }
    };
    view! {
        <details class="card max-w-[760px] p-[18px]" open=is_bad>
            <summary class="text-bad">{format!("Remove {name} …")}</summary>
            {body}
        </details>
    }
}
