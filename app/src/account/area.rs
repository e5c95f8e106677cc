//! The frame of the account's pages: they are the same for a tenant and, on the
//! operator's host, for an operator.

use crate::{
    context::{self, HostKind, RequestContext},
    ui::{self, Glyph, Icon, NavItem, PageShell},
};
use control::{AccountScope, Control, FactorScope};
use domain::Failure;
use leptos::prelude::*;

/// Whose account it is.
#[derive(Clone, Debug)]
pub struct Area {
    is_operator: bool,
    needs_factor: bool,
    name: String,
}

impl Area {
    /// Returns what every page of the account needs. It is called before anything is
    /// awaited.
    ///
    /// # Errors
    /// `SignedOut`; `SecondFactorRequired` for an owner without one.
    pub fn ready() -> Result<(Control, AccountScope, Self), Failure> {
        Ok((context::control()?, context::account()?, Self::here()?))
    }

    /// Returns what the pages need that add a second factor, or prove who is there to do it.
    ///
    /// # Errors
    /// `SignedOut`.
    pub fn enrolling() -> Result<(Control, FactorScope, Self), Failure> {
        Ok((context::control()?, context::enrolment()?, Self::here()?))
    }

    fn here() -> Result<Self, Failure> {
        let context = RequestContext::current()?;
        let name = match (&context.tenant, &context.operator) {
            (Some(tenant), _) => tenant.name().to_string(),
            (None, Some(operator)) => operator.name().to_owned(),
            (None, None) => return Err(Failure::signed_out()),
        };
        Ok(Self {
            is_operator: context.host == HostKind::Operator,
            needs_factor: context.enrolment.is_some(),
            name,
        })
    }

    /// Returns the account's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether it is an operator's.
    pub const fn is_operator(&self) -> bool {
        self.is_operator
    }

    /// Returns whether it is an owner's who has to add a second factor first.
    pub const fn needs_factor(&self) -> bool {
        self.needs_factor
    }

    /// Renders a page in the frame, with the way back to the account.
    pub fn page<V>(&self, title: &str, content: V) -> AnyView
    where
        V: IntoView + 'static,
    {
        // There is no way but on for an owner who has to add a second factor.
        let back = (!self.needs_factor).then(|| view! {
            <a class="s inline-flex w-fit items-center gap-1 hover:underline" href="/account">
                <span class="inline-flex rtl:-scale-x-100"><Icon glyph=Glyph::Back class="icon-s"/></span>
                "Account"
            </a>
        });
        self.frame(title, view! { {back} {content} })
    }

    /// Renders a page in the frame.
    pub fn frame<V>(&self, title: &str, content: V) -> AnyView
    where
        V: IntoView + 'static,
    {
        let area = match (self.is_operator, self.needs_factor) {
            (_, true) => ui::Area::Enrolment,
            (true, false) => ui::Area::Operator,
            (false, false) => ui::Area::Tenant,
        };
        view! {
            <PageShell area=area current=NavItem::Account who=self.name.clone() title=title.to_owned()>
                {content}
            </PageShell>
        }
        .into_any()
    }
}
