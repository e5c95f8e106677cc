//! `/nodes/join`: the command with which a machine joins, shown once.

use super::ready;
use crate::{
    cookies::JOIN_TOKEN,
    forms,
    loader::load,
    ui::{Area, Glyph, Icon, NavItem, PageHead, PageShell, TopError},
};
use domain::{Failure, view::WorkersAllowed};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Shows a command that was just made, or a form that makes one.
#[component]
pub fn JoinPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let refusal = forms::refusal_from_query(|key| query.get(key)).map(|f| f.message);
    let ready = ready().and_then(|(control, operator)| Ok((control, operator.owner()?.clone())));
    // Only to a signed-in owner, whose browser brings it.
    let token = ready.is_ok().then(|| JOIN_TOKEN.take()).flatten();
    load(async move {
        let (control, operator) = ready?;
        let workers = control.nodes().list(&operator).await?.workers;
        let command = token
            .map(|t| control.nodes().join_command(&t))
            .transpose()?;
        let body = match command {
            Some(command) => view! { <Command command=command.expose().to_owned()/> }.into_any(),
            None => view! { <Make workers=workers/> }.into_any(),
        };
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Nodes
                who=operator.name().to_owned()
                title="Add a machine"
            >
                <a class="s row w-fit gap-1.5! hover:underline" href="/nodes">
                    <Icon glyph=Glyph::Back class="icon-s"/>
                    "Nodes"
                </a>
                <PageHead title="Add a machine"/>
                <TopError message=Signal::stored(refusal)/>
                {body}
            </PageShell>
        })
    })
}

#[component]
fn Command(command: String) -> impl IntoView {
    view! {
        <section class="card grid max-w-[760px] gap-4 p-[22px] max-md:p-4" aria-label="Join command">
            <p>
                "Run this as root on the machine that joins. It works once, within an hour, and is shown "
                <b>"only now"</b> "."
            </p>
            // A click selects all of it.
            <pre
                class="mono select-all overflow-x-auto whitespace-pre-wrap break-all rounded-s border border-line bg-sunken p-3"
                tabindex="0"
                aria-label="The command"
            >
                {command}
            </pre>
            <p class="s">
    "Add --name and --host if the machine should be called otherwise than its host name, or if devices reach it by another name than it finds itself. Who has this command can make any machine a worker of this installation: do not send it to anyone."
            </p>
            <div class="row">
                <a class="btn" href="/nodes">"Done"</a>
            </div>
        </section>
    }
}

#[component]
fn Make(workers: WorkersAllowed) -> impl IntoView {
    let missing = match workers {
        WorkersAllowed::Yes => None,
        WorkersAllowed::NeedsPostgres => Some(
            "Other machines need PostgreSQL: SQLite is a file that one machine alone can use. Set database_url in config.toml to a postgres:// address first.",
        ),
        WorkersAllowed::NoAddress => {
            Some("Set the address at which other machines reach this server in config.toml first.")
        }
    };
    let form = missing.is_none().then(|| {
        view! {
            <form method="post" action="/do/create_join_token">
                <button class="btn btn-p">"Make a join command"</button>
            </form>
        }
    });
    view! {
        <section class="card grid max-w-[760px] gap-4 p-[22px] max-md:p-4" aria-label="How">
            <ol class="grid list-decimal gap-2 ps-5">
                <li>
                    "A machine with Debian 12 or 13 or Ubuntu 24.04, Docker, and UDP 51800-52800 open. It needs no other open port: it connects to this server."
                </li>
                <li>"Install MalikNode there: the same program as here."</li>
                <li>"Make a join command here and run it there."</li>
            </ol>
            {missing
                .map(|text| {
                    view! {
                        <p class="banner banner-warn">
                            <Icon glyph=Glyph::Alert/>
                            <span>{text}</span>
                        </p>
                    }
                })}
            {form}
        </section>
    }
}
