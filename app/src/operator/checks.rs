//! `/checks`: what `maliknode doctor` finds on the control plane's machine.

use crate::{
    context,
    loader::load,
    ui::{Area, Chip, NavItem, PageHead, PageShell, RelativeTime, Tone},
};
use domain::{
    Failure,
    view::{CheckRow, CheckState, ChecksView},
};
use leptos::prelude::*;
use texts::Texts;

/// Shows the checks, those that found something first.
#[component]
pub fn ChecksPage() -> impl IntoView {
    let texts = context::texts();
    let ready = context::control().and_then(|control| Ok((control, context::operator()?)));
    load(async move {
        let (control, operator) = ready?;
        let ChecksView { at, mut rows } = control.operators().checks(&operator).await?;
        rows.sort_by_key(|row| match row.state {
            CheckState::Bad => 0,
            CheckState::Warn => 1,
            CheckState::Ok => 2,
        });
        let now = control.now();
        Ok::<_, Failure>(view! {
            <PageShell
                area=Area::Operator
                current=NavItem::Nodes
                who=operator.name().to_owned()
                title="Checks"
            >
                <PageHead title="Checks"/>
                <p class="s">
                    "Of the machine that answers this page, "<RelativeTime at=at now=now/>
                    ". On a worker, "<code>"maliknode doctor"</code>" makes its own."
                </p>
                <section class="card" aria-label="Checks">
                    <ul>
                        {rows.into_iter().map(|row| line(&row, texts)).collect_view()}
                    </ul>
                </section>
            </PageShell>
        })
    })
}

fn line(row: &CheckRow, texts: &Texts) -> impl IntoView + use<> {
    let (tone, word) = match row.state {
        CheckState::Bad => (Tone::Bad, "to fix"),
        CheckState::Warn => (Tone::Warn, "to look at"),
        CheckState::Ok => (Tone::Live, "fine"),
    };
    let fix = row.fix.as_ref().map(|fix| {
        let fix = texts.message(fix);
        view! { <p class="xs">"→ " <span class="mono">{fix}</span></p> }
    });
    view! {
        <li class="flex items-start gap-3 border-t border-line px-4.5 py-3">
            <Chip tone=tone>{word}</Chip>
            <div class="min-w-0">
                <p><b class="font-semibold">{texts.message(&row.name)}</b>": "{texts.message(&row.message)}</p>
                {fix}
            </div>
        </li>
    }
}
