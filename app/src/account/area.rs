//! The frame of the account's pages: they are the same for a tenant and, on the
//! operator's host, for an operator.

use crate::{
    context::{self, HostKind, RequestContext},
    ui::{self, Glyph, Icon, NavItem, PageShell},
};
use control::{AccountScope, Control};
use domain::Failure;
use leptos::prelude::*;

/// Whose account it is.
#[derive(Clone, Debug)]
pub struct Area {
    is_operator: bool,
    name: String,
}

impl Area {
    /// Returns what every page of the account needs. It is called before anything is
    /// awaited.
    ///
    /// # Errors
    /// `SignedOut`.
    pub fn ready() -> Result<(Control, AccountScope, Self), Failure> {
        let context = RequestContext::current()?;
        let name = match (&context.tenant, &context.operator) {
            (Some(tenant), _) => tenant.name().to_string(),
            (None, Some(operator)) => operator.name().to_owned(),
            (None, None) => return Err(Failure::signed_out()),
        };
        let area = Self {
            is_operator: context.host == HostKind::Operator,
            name,
        };
        Ok((context::control()?, context::account()?, area))
    }

    /// Returns the account's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether it is an operator's.
    pub const fn is_operator(&self) -> bool {
        self.is_operator
    }

    /// Renders a page in the frame, with the way back to the account.
    pub fn page<V>(&self, title: &str, content: V) -> AnyView
    where
        V: IntoView + 'static,
    {
        let back = view! {
            <a class="s inline-flex w-fit items-center gap-1 hover:underline" href="/account">
                <span class="inline-flex rtl:-scale-x-100"><Icon glyph=Glyph::Back class="icon-s"/></span>
                "Account"
            </a>
        };
        self.frame(title, view! { {back} {content} })
    }

    /// Renders a page in the frame.
    pub fn frame<V>(&self, title: &str, content: V) -> AnyView
    where
        V: IntoView + 'static,
    {
        let area = match self.is_operator {
            true => ui::Area::Operator,
            false => ui::Area::Tenant,
        };
        view! {
            <PageShell area=area current=NavItem::Account who=self.name.clone() title=title.to_owned()>
                {content}
            </PageShell>
        }
        .into_any()
    }
}
