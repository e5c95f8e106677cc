//! The problems on the operator's home page.

use domain::{
    ErrorCode,
    view::{OperatorView, ProblemView},
};
use leptos::prelude::*;
use texts::Texts;

/// A problem with what it is about.
pub struct Item {
    /// The name of the tenant, or of the node where there are several.
    about: Option<String>,
    /// Whether it is a node's, which is worse.
    is_node: bool,
    problem: ProblemView,
}

/// Returns the nodes' own problems, then the first problem of each tenant with the
/// tenant's name, as the operator reads them.
pub fn problems(view: &OperatorView, texts: &Texts) -> Vec<Item> {
    let own = view.problems.iter().map(|p| Item {
        about: p.node.clone(),
        is_node: true,
        problem: texts.problem(&p.problem),
    });
    let tenants = view.tenants.iter().filter_map(|t| {
        let problem = t.status.problem()?;
        // Suspending is the operator's own decision; the table shows it.
        let is_wanted = matches!(problem.code, ErrorCode::Suspended | ErrorCode::Asleep);
        (!is_wanted).then(|| Item {
            about: Some(t.name.clone()),
            is_node: false,
            problem: texts.problem(problem),
        })
    });
    own.chain(tenants).collect()
}

/// The card with all problems; it is absent if there are none.
#[component]
pub fn Attention(problems: Vec<Item>) -> impl IntoView {
    let count = problems.len();
    (count > 0).then(|| {
        view! {
            <section class="card" aria-labelledby="attention">
                <div class="hd">
                    <h2 id="attention">"Needs attention"</h2>
                    <span class="chip chip-warn num">{count}</span>
                </div>
                <ul>
                    {problems
                        .into_iter()
                        .map(|Item { about, is_node, problem }| {
                            let dot = if is_node { "dot dot-bad" } else { "dot dot-warn" };
                            let about = about.map(|name| format!("{name}: "));
                            view! {
                                <li class="flex items-center gap-3 border-t border-line px-4.5 py-3">
                                    <span class=dot aria-hidden="true"></span>
                                    <p>
                                        <b class="font-semibold">{about}</b>
                                        {problem.message}
                                    </p>
                                    <code class="xs ms-auto">{problem.code.as_str()}</code>
                                </li>
                            }
                        })
                        .collect_view()}
                </ul>
            </section>
        }
    })
}
