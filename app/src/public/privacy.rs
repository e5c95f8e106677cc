//! `/privacy`: what is stored about people who use the installation. It is docs/PRIVACY.md without
//! the part for operators, so that page and document cannot say different things.

use crate::{context::RequestContext, ui::Centered};
use leptos::prelude::*;

const DOCUMENT: &str = include_str!("../../../docs/PRIVACY.md");
/// Where the part for operators begins.
const FOR_OPERATORS: &str = "\n## For operators";

/// A part of the document.
#[derive(Debug, PartialEq, Eq)]
enum Block {
    Heading(String),
    Paragraph(String),
    List(Vec<String>),
    /// The first row is the head.
    Table(Vec<Vec<String>>),
}

/// Returns the parts of what tenants and visitors read.
fn blocks() -> Vec<Block> {
    let text = DOCUMENT.split_once(FOR_OPERATORS);
    let text = text.map_or(DOCUMENT, |(text, _)| text);
    text.split("\n\n").flat_map(parts).collect()
}

/// Returns the parts of lines between which no line is empty.
fn parts(lines: &str) -> Vec<Block> {
    let (mut found, mut rest) = (Vec::new(), lines.trim());
    if let Some(heading) = rest.strip_prefix("## ") {
        let (heading, after) = heading.split_once('\n').unwrap_or((heading, ""));
        found.push(Block::Heading(heading.to_owned()));
        rest = after;
    }
    // The title is the page's own.
    if rest.is_empty() || rest.starts_with("# ") {
        return found;
    }
    if rest.starts_with('|') {
        let rows = rest.lines().filter(|row| !row.starts_with("|---"));
        let rows = rows.map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        });
        found.push(Block::Table(rows.collect()));
    } else if let Some(items) = rest.strip_prefix("- ") {
        let items = items.split("\n- ").map(joined);
        found.push(Block::List(items.collect()));
    } else {
        found.push(Block::Paragraph(joined(rest)));
    }
    found
}

/// Returns a text whose lines were broken in one line.
fn joined(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    lines.join(" ")
}

/// Renders a text, in which `*…*` is emphasised.
fn inline(text: &str) -> impl IntoView + use<> {
    let parts = text.split('*').enumerate().map(|(n, part)| {
        let part = part.to_owned();
        match n % 2 {
            0 => part.into_any(),
            _ => view! { <em>{part}</em> }.into_any(),
        }
    });
    parts.collect_view()
}

fn rendered(block: Block) -> AnyView {
    match block {
        Block::Heading(text) => view! { <h2 class="mt-2">{text}</h2> }.into_any(),
        Block::Paragraph(text) => view! { <p>{inline(&text)}</p> }.into_any(),
        Block::List(items) => {
            let items = items.iter().map(|item| view! { <li>{inline(item)}</li> });
            view! { <ul class="grid list-disc gap-1.5 ps-5">{items.collect_view()}</ul> }.into_any()
        }
        Block::Table(rows) => {
            let mut rows = rows.into_iter();
            let head = rows.next().unwrap_or_default();
            let label = format!("Table: {}", head.join(", "));
            let head = head.into_iter();
            let head = head.map(|cell| view! { <th scope="col">{cell}</th> });
            let head = head.collect_view();
            let rows = rows.map(|row| {
                let cells = row
                    .iter()
                    .map(|cell| view! { <td class="wrap">{inline(cell)}</td> });
                view! { <tr>{cells.collect_view()}</tr> }
            });
            view! {
                <div class="card scroll" tabindex="0" role="group" aria-label=label>
                    <table class="table">
                        <thead>
                            <tr>{head}</tr>
                        </thead>
                        <tbody>{rows.collect_view()}</tbody>
                    </table>
                </div>
            }
            .into_any()
        }
    }
}

/// Shows the document.
#[component]
pub fn PrivacyPage() -> impl IntoView {
    let blocks = blocks().into_iter().map(rendered);
    let notice = RequestContext::with(|c| c.privacy_notice.clone());
    let notice = notice.ok().flatten().map(|address| {
        view! {
            <p>
                "Who runs this installation and how they are reached: "
                <a class="link" href=address rel="noreferrer">"their own notice"</a> "."
            </p>
        }
    });
    view! {
        <Centered title="Privacy" wide=true>
            <h1 class="text-2xl">"Privacy"</h1>
            {notice}
            {blocks.collect_view()}
            <p class="s"><a class="link" href="/">"Back"</a></p>
        </Centered>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_all_of_the_document_but_the_operators_part() {
        let blocks = blocks();
        let headings: Vec<_> = blocks
            .iter()
            .filter_map(|block| match block {
                Block::Heading(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let written: Vec<_> = DOCUMENT
            .lines()
            .filter_map(|l| l.strip_prefix("## "))
            .collect();
        assert_eq!(headings, written[..written.len() - 1]);
        let tables = blocks.iter().filter(|b| matches!(b, Block::Table(_)));
        assert_eq!(tables.count(), 2);
        for block in &blocks {
            let text = format!("{block:?}");
            assert!(
                !text.contains('`') && !text.contains("](") && !text.contains("central_api"),
                "{text}"
            );
            if let Block::Table(rows) = block {
                assert!(rows.iter().all(|row| row.len() == 3), "{text}");
            }
        }
    }
}
