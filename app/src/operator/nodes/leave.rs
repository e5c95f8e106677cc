//! The forms by which all tenants leave a node, on its page.

use leptos::prelude::*;

/// Lets all tenants of a node be moved.
#[component]
pub(super) fn Drain(id: String, name: String) -> impl IntoView {
    view! {
        <details class="card max-w-[760px] p-[18px]">
            <summary>{format!("Drain {name} …")}</summary>
            <form class="mt-3 grid gap-3" method="post" action="/do/drain_node">
                <p class="s">
                    "Moves all its tenants to other nodes, one after another; new ones go elsewhere. Keys, ports, addresses, devices and what AdGuard Homes have stored go along, and devices go on with the configuration that they have: this machine sends their packets on for a while, so leave it switched on that long. Opening the node again ends it."
                </p>
                <input type="hidden" name="id" value=id/>
                <label class="row">
                    <input type="checkbox" name="without_data" value="true"/>
                    <span class="s">
                        "Leave the settings, statistics and query logs of AdGuard Homes behind, e.g. because this machine runs an older version. Without this they are copied."
                    </span>
                </label>
                <div>
                    <button class="btn">{format!("Drain {name}")}</button>
                </div>
            </form>
        </details>
    }
}

/// Places the tenants of a lost worker elsewhere.
#[component]
pub(super) fn Lose(id: String, name: String) -> impl IntoView {
    view! {
        <details class="card max-w-[760px] p-[18px]">
            <summary class="text-bad">{format!("{name} is lost …")}</summary>
            <form class="mt-3 grid gap-3" method="post" action="/do/lose_node">
                <p class="s">
                    "For a machine that is silent or revoked and does not come back. Its tenants are placed on other nodes with the keys, ports and addresses that they have. Their devices reach them under the new node's host only, so each needs its configuration again, unless the host's name is pointed to the new machine. What their AdGuard Homes had stored is lost."
                </p>
                <input type="hidden" name="id" value=id/>
                <div>
                    <button class="btn btn-pd">{format!("Place the tenants of {name} elsewhere")}</button>
                </div>
            </form>
        </details>
    }
}
