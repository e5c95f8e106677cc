//! `/sign-ups`.

use super::{
    invitations::{Link, NewInvitation, Typed},
    list::{List, PAGE_ROWS},
    mode::Mode,
    ready,
    reserved::Reserved,
};
use crate::{
    context::RequestContext,
    cookies::INVITATION,
    forms,
    loader::load,
    ui::{Area, NavItem, PageHead, PageShell, TopError},
};
use domain::{Failure, Field};
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

/// Shows who may sign up, the invitations and the reserved names. `?before=` is the number
/// of an invitation: those before it are listed.
#[component]
pub fn SignUpsPage() -> impl IntoView {
    let query = use_query_map().get_untracked();
    let ready = ready().and_then(|(c, o)| Ok((c, o, RequestContext::current()?)));
    // Only to an operator who may make invitations, whose browser brings it.
    let may_make = |r: &Result<_, Failure>| {
        let permission = r.as_ref().ok().map(|(_, operator, _)| operator);
        permission.is_some_and(|o: &domain::OperatorPermission| o.support().is_ok())
    };
    let code = may_make(&ready).then(|| INVITATION.take()).flatten();
    let refusal = forms::refusal_from_query(|key| query.get(key));
    load(async move {
        let (control, operator, context) = ready?;
        let sign_ups = control.sign_ups();
        let before = query.get("before").and_then(|b| b.parse::<i64>().ok());
        let before = before.unwrap_or(i64::MAX);
        let setting = sign_ups.setting(&operator).await?;
        let invitations = sign_ups.list(&operator, before, PAGE_ROWS + 1).await?;
        let names = sign_ups.reserved(&operator).await?;
        let plans = control.plans().all(&operator).await?;
        let plans: Vec<_> = plans.into_iter().map(|p| p.plan).collect();
        let (is_owner, may_make) = (operator.owner().is_ok(), operator.support().is_ok());
        let at_field = |f: &&forms::Refusal| {
            matches!(f.field, Some(Field::Uses | Field::Lifetime | Field::Note))
        };
        let on_top = refusal.as_ref().filter(|f| !at_field(f));
        let on_top = on_top.map(|f| f.message.clone());
        let typed = Typed::from_query(|key| query.get(key));
        let link = code.map(|code| {
            let (scheme, base) = (context.scheme, &context.base);
            let link = format!("{scheme}://{base}/sign-up?invitation={code}");
            view! { <Link link=link/> }
        });
        let make = may_make.then(|| {
            view! { <NewInvitation plans=plans.clone() typed=typed refusal=refusal/> }
        });
        let now = control.now();
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::SignUps
                who=operator.name().to_owned()
                title="Sign-ups"
            >
                <PageHead title="Sign-ups"/>
                <TopError message=Signal::stored(on_top)/>
                <Mode setting=setting may_change=is_owner/>
                <section id="invitations" class="grid gap-4" aria-label="New and former invitations">
                    {link}
                    {make}
                    <List
                        invitations=invitations
                        plans=plans
                        first=before == i64::MAX
                        may_revoke=may_make
                        now=now
                    />
                </section>
                <Reserved
                    names=names
                    typed=query.get("names").unwrap_or_default()
                    may_change=is_owner
                    now=now
                />
            </PageShell>
        })
    })
}
