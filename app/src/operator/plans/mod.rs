//! The plans: the list, the form, the step that tells whom a change touches, and what
//! the forms do.

mod change;
mod confirm;
mod form;
mod input;
mod inputs;
mod list;

pub use confirm::ConfirmPlanPage;
pub use form::{EditPlanPage, NewPlanPage};
pub use list::PlansPage;

use super::refused_with;
use crate::{
    context,
    forms::{self, AppError},
};
use domain::{Failure, OperatorPermission, OperatorScope, OwnerScope, Plan};
use input::{PlanInput, unused_id};
use leptos::prelude::*;

/// Creates a plan.
///
/// # Errors
/// Signed out, a value that no plan may have, or the failures of `Plans::create`.
#[server(prefix = "/do", endpoint = "create_plan")]
pub async fn create_plan(#[server(flatten)] input: PlanInput) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        let plan = input.plan(0)?;
        let all = control.plans().all(&operator).await?;
        let taken: Vec<String> = all.into_iter().map(|p| p.plan.id).collect();
        // The store gives it the last place.
        let id = unused_id(plan.id, &taken);
        control
            .plans()
            .create(operator.owner()?, Plan { id, ..plan })
            .await
    }
    .await;
    let created = done.map_err(|f| refused(f, "/plans/new", &input))?;
    forms::redirect(&saved(&created.id));
    Ok(())
}

/// Changes a plan. Unless `confirmed`, a change that touches tenants redirects to the
/// step that tells whom.
///
/// # Errors
/// Signed out, a value that no plan may have, or the failures of `Plans::change`.
#[server(prefix = "/do", endpoint = "change_plan")]
pub async fn change_plan(
    #[server(flatten)] input: PlanInput,
    #[server(default)] confirmed: bool,
) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        let (before, after) = parsed(&control, &operator, &input).await?;
        if !confirmed && !change::changes(&before, &after).is_empty() {
            let impact = control.plans().preview(&operator, &after).await?;
            if impact.tenants > 0 {
                return Ok(confirm_url(&input));
            }
        }
        control.plans().change(operator.owner()?, after).await?;
        Ok(saved(&input.id))
    }
    .await;
    let to = done.map_err(|f| refused(f, &edit_path(&input.id), &input))?;
    forms::redirect(&to);
    Ok(())
}

/// Deletes a plan that no tenant has.
///
/// # Errors
/// Signed out, or the failures of `Plans::delete`.
#[server(prefix = "/do", endpoint = "delete_plan")]
pub async fn delete_plan(id: String) -> Result<(), AppError> {
    let done = async {
        let (control, operator) = ready()?;
        control.plans().delete(operator.owner()?, &id).await
    }
    .await;
    done.map_err(|f| refused_with(f, &edit_path(&id), &[]))?;
    forms::redirect("/plans");
    Ok(())
}

/// Returns `control` and the operator's permission. It is called before anything is
/// awaited.
fn ready() -> Result<(control::Control, OperatorPermission), Failure> {
    Ok((context::control()?, context::operator()?))
}

/// Does what [`ready`] does, for a page that is there for owners only.
fn ready_to_change() -> Result<(control::Control, OwnerScope), Failure> {
    let (control, operator) = ready()?;
    Ok((control, operator.owner()?.clone()))
}

/// Returns the plan as it is and as the inputs would have it.
async fn parsed(
    control: &control::Control,
    operator: &OperatorScope,
    input: &PlanInput,
) -> Result<(Plan, Plan), Failure> {
    let before = control.plans().get(operator, &input.id).await?;
    let after = input.plan(before.position)?;
    Ok((before, after))
}

fn refused(failure: Failure, page: &str, input: &PlanInput) -> AppError {
    let pairs = input.pairs();
    refused_with(failure, page, &borrowed(&pairs))
}

fn borrowed<'a>(pairs: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    pairs.iter().map(|(n, v)| (*n, v.as_str())).collect()
}

fn saved(id: &str) -> String {
    forms::url_with("/plans", &[("saved", id)])
}

/// Returns the address of a plan's form. An id in a form's body may be anything.
fn edit_path(id: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if id.is_empty() || !id.chars().all(is_plain) {
        return "/plans".to_owned();
    }
    format!("/plans/{id}")
}

/// Returns the address of a plan's form with these values.
fn edit_url(input: &PlanInput) -> String {
    forms::url_with(&edit_path(&input.id), &borrowed(&input.pairs()))
}

/// Returns the address of the step before these values are saved.
fn confirm_url(input: &PlanInput) -> String {
    let page = format!("{}/confirm", edit_path(&input.id));
    forms::url_with(&page, &borrowed(&input.pairs()))
}
