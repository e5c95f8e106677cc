//! `/nodes`.

use super::{facts, moves::Moves, path, ready};
use crate::{
    context, forms,
    loader::load,
    ui::{
        Area, Chip, EmptyState, Glyph, Icon, NavItem, PageHead, PageShell, RelativeTime, TopError,
    },
};
use domain::{
    Failure, NodeStanding, Timestamp,
    view::{NodeRow, NodesView, WorkersAllowed},
};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use texts::Texts;

/// Lists the nodes.
#[component]
pub fn NodesPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let refusal = forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    let texts = context::texts();
    let ready = ready();
    load(async move {
        let (control, operator) = ready?;
        let NodesView {
            now,
            workers,
            nodes,
            moves,
            unreached,
            unnamed,
        } = control.nodes().list(&operator).await?;
        let warned = [unreached, unnamed].into_iter().flatten().map(|message| {
            let message = texts.message(&message);
            view! {
                <div class="banner banner-warn" role="status">
                    <Icon glyph=Glyph::Alert/>
                    <p>{message}</p>
                </div>
            }
        });
        let warned = warned.collect_view();
        let may_change = operator.owner().is_ok();
        let may_add = may_change && workers == WorkersAllowed::Yes;
        let has_worker = nodes.iter().any(|n| !n.is_local);
        let moves = (!moves.is_empty()).then(|| {
            view! { <Moves moves=moves nodes=nodes.clone() now=now texts=texts/> }
        });
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Nodes
                who=operator.name().to_owned()
                title="Nodes"
            >
                <PageHead title="Nodes">
                    {may_add
                        .then(|| {
                            view! {
                                <a class="btn btn-p ms-auto" href="/nodes/join">
                                    <Icon glyph=Glyph::Plus class="icon-s"/>
                                    "Add a machine"
                                </a>
                            }
                        })}
                </PageHead>
                <TopError message=Signal::stored(refusal)/>
                <p class="s"><a class="link" href="/checks">"Check this machine"</a></p>
                {warned}
                <section class="card" aria-label="Nodes">
                    <Table nodes=nodes now=now texts=texts may_change=may_change/>
                    {(!has_worker).then(|| view! { <NoWorker workers=workers/> })}
                </section>
                {moves}
            </PageShell>
        })
    })
}

/// Says how a second machine is added, or what is missing for that.
#[component]
fn NoWorker(workers: WorkersAllowed) -> impl IntoView {
    let text = match workers {
        WorkersAllowed::Yes => {
            "Add a machine with the button above: it shows a command to run there. New tenants then go to the emptiest machine."
        }
        WorkersAllowed::NeedsPostgres => {
            "This installation's database is SQLite, a file that one machine alone can use. Other machines can join once database_url in config.toml names a PostgreSQL."
        }
        WorkersAllowed::NoAddress => {
            "Other machines can join once config.toml has the address at which they reach this server."
        }
    };
    view! {
        <div class="border-t border-line">
            <EmptyState glyph=Glyph::Server title="No other machine yet" text=text/>
        </div>
    }
}

#[component]
fn Table(
    nodes: Vec<NodeRow>,
    now: Timestamp,
    texts: &'static Texts,
    may_change: bool,
) -> impl IntoView {
    let rows = nodes
        .into_iter()
        .map(|node| row(node, now, texts, may_change));
    view! {
        <div class="scroll">
            <table class="table cards">
                <thead>
                    <tr>
                        <th scope="col">"Node"</th>
                        <th scope="col">"State"</th>
                        <th scope="col">"Tenants"</th>
                        <th scope="col">"Memory"</th>
                        <th scope="col">"Version"</th>
                        <th scope="col">"Last heard"</th>
                        <th scope="col"><span class="sr-only">"Actions"</span></th>
                    </tr>
                </thead>
                <tbody>{rows.collect_view()}</tbody>
            </table>
        </div>
    }
}

fn row(node: NodeRow, now: Timestamp, texts: &Texts, may_change: bool) -> impl IntoView + use<> {
    let (tone, state) = facts::state(&node);
    let (tenants, memory) = (facts::tenants(&node), facts::memory(&node));
    let (page, name) = (path(node.id), node.name.clone());
    let host = node
        .host
        .unwrap_or_else(|| "no host for devices".to_owned());
    let heard = match (node.is_local, node.last_heard) {
        (true, _) => "this machine".into_any(),
        (false, Some(at)) => view! { <RelativeTime at=at now=now/> }.into_any(),
        (false, None) => "never".into_any(),
    };
    let version = node.version.unwrap_or_else(|| "–".to_owned());
    let problems = node.problems.iter().map(|p| {
        let message = texts.problem(p).message;
        view! { <span class="s block text-warn!">"⚠ "{message}</span> }
    });
    let problems = problems.collect_view();
    let is_open = node.standing == NodeStanding::Open;
    let verb = if is_open { "Close" } else { "Open" };
    let change = (may_change && node.standing != NodeStanding::Revoked).then(|| {
        view! {
            <form method="post" action="/do/open_node">
                <input type="hidden" name="id" value=node.id.to_string()/>
                <input type="hidden" name="open" value=(!is_open).to_string()/>
                <button class="btn btn-s" aria-label=format!("{verb} {name}")>{verb}</button>
            </form>
        }
    });
    view! {
        <tr>
            <td class="wide wrap">
                <a class="font-semibold hover:underline" href=page.clone()>{name.clone()}</a>
                <span class="xs block">{host}</span>
                {problems}
            </td>
            <td>
                <Chip tone=tone>{state}</Chip>
            </td>
            // What is long takes another line, so that the buttons fit on a small screen.
            <td class="num full wrap">
                <span class="mob xs">"Tenants: "</span>
                {tenants}
            </td>
            <td class="num full wrap">
                <span class="mob xs">"Memory: "</span>
                {memory}
            </td>
            <td class="hide mono">{version}</td>
            <td class="full s">
                <span class="mob xs">"Last heard: "</span>
                {heard}
            </td>
            <td class="e full">
                <span class="inline-flex gap-1.5">
                    {change}
                    <a class="btn btn-s" href=page aria-label=format!("More about {name}")>
                        "More"
                    </a>
                </span>
            </td>
        </tr>
    }
}
