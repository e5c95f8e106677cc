//! `/operators`.

use super::PAGE;
use crate::{
    context::{self, RequestContext},
    cookies::OPERATOR_LINK,
    forms::{self, Refusal},
    loader::load,
    ui::{Area, Chip, Field as FormField, NavItem, Note, PageHead, PageShell, TopError, format},
};
use domain::{
    Failure, Field, OperatorRole,
    view::{OperatorInvitation, OperatorRow, OperatorsView},
};
use leptos::prelude::*;
use leptos_router::{hooks::use_query_map, params::ParamsMap};

/// Lists the operators. Owners invite others, change roles and remove operators here.
#[component]
pub fn OperatorsPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let refusal = forms::refusal_from_query(|key| query.get(key));
    let ready = ready();
    load(async move {
        let (control, operator, context) = ready?;
        let is_owner = operator.owner().is_ok();
        let made = is_owner.then(|| OPERATOR_LINK.take()).flatten();
        let made = made.as_deref().and_then(|value| value.split_once('~'));
        let made = made.map(|(name, token)| {
            let page = format!("/welcome?token={token}");
            view! { <NewLink name=name.to_owned() link=context.url("admin", &page)/> }
        });
        let view = control.operators().list(&operator).await?;
        let of_form = |f: &Refusal| matches!(f.field, Some(Field::Name | Field::Role));
        let on_top = refusal.clone().filter(|f| !of_form(f)).map(|f| f.message);
        let invite = is_owner.then(|| view! { <Invite query=query refusal=refusal/> });
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Operators
                who=operator.name().to_owned()
                title="Operators"
            >
                <PageHead title="Operators"/>
                <TopError message=Signal::stored(on_top)/>
                <div role="status" class="empty:hidden">{made}</div>
                <Table view=view own=operator.name().to_owned() is_owner=is_owner/>
                {invite}
            </PageShell>
        })
    })
}

fn ready() -> Result<(control::Control, domain::OperatorPermission, RequestContext), Failure> {
    let context = RequestContext::current()?;
    Ok((context::control()?, context::operator()?, context))
}

/// Returns a role as people read it.
const fn title(role: OperatorRole) -> &'static str {
    match role {
        OperatorRole::ReadOnly => "Read-only",
        OperatorRole::Support => "Support",
        OperatorRole::Owner => "Owner",
    }
}

#[component]
fn NewLink(name: String, link: String) -> impl IntoView {
    view! {
        <section class="card grid max-w-[760px] gap-4 p-[22px] max-md:p-4" aria-label="Link">
            <p>
                {format!("Give this link to {name}. It works once, within a day, and is shown ")}
                <b>"only now"</b> "."
            </p>
            // A click selects all of it.
            <pre
                class="mono select-all overflow-x-auto whitespace-pre-wrap break-all rounded-s border border-line bg-sunken p-3"
                tabindex="0"
                aria-label="The link"
            >
                {link}
            </pre>
        </section>
    }
}

#[component]
fn Table(view: OperatorsView, own: String, is_owner: bool) -> impl IntoView {
    let operators = view.operators.into_iter();
    let operators = operators.map(|row| view! { <Row row=row own=own.clone() is_owner=is_owner/> });
    let invited = view.invitations.into_iter();
    let invited = invited.map(|row| view! { <Invited row=row is_owner=is_owner/> });
    view! {
        <section class="card" aria-label="Operators">
            <div class="scroll">
                <table class="table cards">
                    <thead>
                        <tr>
                            <th scope="col">"Name"</th>
                            <th scope="col">"Role"</th>
                            <th scope="col">"Since"</th>
                            <th scope="col"><span class="sr-only">"Actions"</span></th>
                        </tr>
                    </thead>
                    <tbody>{operators.collect_view()} {invited.collect_view()}</tbody>
                </table>
            </div>
        </section>
    }
}

#[component]
fn Row(row: OperatorRow, own: String, is_owner: bool) -> impl IntoView {
    let OperatorRow {
        name,
        role,
        created_at,
    } = row;
    let is_own = name == own;
    let role = match is_owner {
        true => view! { <RoleForm name=name.clone() role=role/> }.into_any(),
        false => title(role).into_any(),
    };
    let remove = is_owner.then(|| view! { <Remove name=name.clone() verb="Remove"/> });
    view! {
        <tr>
            <td class="wide">
                <span class="row gap-y-1!">
                    <span class="font-semibold">{name}</span>
                    {is_own.then(|| view! { <Chip>"You"</Chip> })}
                </span>
            </td>
            <td class="full">{role}</td>
            <td class="full s">
                <span class="mob xs">"Since: "</span>
                {format::exact(created_at)}
            </td>
            <td class="e full">{remove}</td>
        </tr>
    }
}

#[component]
fn RoleForm(name: String, role: OperatorRole) -> impl IntoView {
    let label = format!("Role of {name}");
    let button = format!("Save the role of {name}");
    view! {
        <form class="inline-flex gap-1.5" method="post" action="/do/set_operator_role">
            <input type="hidden" name="name" value=name/>
            <select class="field w-auto!" name="role" autocomplete="off" aria-label=label>
                {options(role)}
            </select>
            <button class="btn btn-s" aria-label=button>"Save"</button>
        </form>
    }
}

fn options(chosen: OperatorRole) -> impl IntoView {
    let options = OperatorRole::ALL.into_iter().map(|role| {
        view! {
            <option value=role.as_str() selected=role == chosen>
                {title(role)}
            </option>
        }
    });
    options.collect_view()
}

/// Removes an operator; it asks once.
#[component]
fn Remove(name: String, verb: &'static str) -> impl IntoView {
    let label = format!("{verb} {name}");
    view! {
        <details>
            <summary class="text-bad" aria-label=format!("{label} …")>{format!("{verb} …")}</summary>
            <form class="mt-2" method="post" action="/do/remove_operator">
                <input type="hidden" name="name" value=name/>
                <button class="btn btn-s btn-pd">{label}</button>
            </form>
        </details>
    }
}

#[component]
fn Invited(row: OperatorInvitation, is_owner: bool) -> impl IntoView {
    let withdraw = is_owner.then(|| view! { <Remove name=row.name.clone() verb="Withdraw"/> });
    view! {
        <tr>
            <td class="wide">
                <span class="row gap-y-1!">
                    <span class="font-semibold">{row.name}</span>
                    <Chip>"Invited"</Chip>
                </span>
            </td>
            <td class="full">{title(row.role)}</td>
            <td class="full s">{format!("until {}", format::exact(row.expires_at))}</td>
            <td class="e full">{withdraw}</td>
        </tr>
    }
}

#[component]
fn Invite(query: ParamsMap, refusal: Option<Refusal>) -> impl IntoView {
    let at = |field| {
        let refusal = refusal.as_ref().filter(|f| f.field == Some(field));
        refusal.map(|f| f.message.clone())
    };
    let (name_error, role_error) = (at(Field::Name), at(Field::Role));
    let (is_bad_name, is_bad_role) = (name_error.is_some(), role_error.is_some());
    let typed = refusal.as_ref().and_then(|_| query.get("name"));
    let role = query.get("role").and_then(|r| OperatorRole::parse(&r));
    let role = role.unwrap_or(OperatorRole::ReadOnly);
    view! {
        <form
            class="card grid max-w-[620px] gap-4 p-[22px] max-md:p-4"
            method="post"
            action="/do/invite_operator"
            aria-label="Invite an operator"
        >
            <h2>"Invite an operator"</h2>
            <FormField
                id="name"
                label="Name"
                note=Signal::stored(Note::or_hint(name_error, "Letters, digits and hyphens."))
            >
                <input
                    id="name"
                    class="field"
                    type="text"
                    name="name"
                    value=typed
                    required
                    maxlength="64"
                    autocomplete="off"
                    autocapitalize="none"
                    spellcheck="false"
                    aria-describedby="name-note"
                    aria-invalid=is_bad_name.to_string()
                />
            </FormField>
            <FormField
                id="role"
                label="Role"
                note=Signal::stored(
                    Note::or_hint(
                        role_error,
                        "Read-only sees everything. Support may also suspend tenants and change their plans. Owners do everything.",
                    ),
                )
            >
                <select
                    id="role"
                    class="field"
                    name="role"
                    autocomplete="off"
                    aria-describedby="role-note"
                    aria-invalid=is_bad_role.to_string()
                >
                    {options(role)}
                </select>
            </FormField>
            <div class="row">
                <button class="btn btn-p">"Make a link"</button>
                <a class="btn btn-q" href=PAGE>"Cancel"</a>
            </div>
        </form>
    }
}
