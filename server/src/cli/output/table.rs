//! Tables of text, aligned by the width that a terminal gives the characters: a Chinese one
//! takes two columns, a combining one none.

use super::text;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

/// The space between columns.
const GAP: &str = "  ";

/// A column of a table, or a field of an object.
pub(crate) struct Column<'a> {
    title: &'a str,
    is_right: bool,
    cell: Box<dyn Fn(&Value) -> String + 'a>,
}

impl<'a> Column<'a> {
    /// A column of text that is computed of an item.
    pub fn of(title: &'a str, cell: impl Fn(&Value) -> String + 'a) -> Self {
        Self {
            title,
            is_right: false,
            cell: Box::new(cell),
        }
    }

    /// A column of an item's member, as text.
    pub fn text(title: &'a str, member: &'a str) -> Self {
        Self::of(title, move |item| text::text(&item[member]))
    }

    /// A column of a number, which is aligned to the right.
    pub fn number(title: &'a str, member: &'a str) -> Self {
        Self::text(title, member).right()
    }

    /// A column of a time.
    pub fn date(title: &'a str, member: &'a str) -> Self {
        Self::of(title, move |item| text::date(&item[member]))
    }

    /// Aligns it to the right.
    pub fn right(mut self) -> Self {
        self.is_right = true;
        self
    }

    fn cell(&self, item: &Value) -> String {
        text::plain(&(self.cell)(item))
    }
}

/// Returns a heading and a line for each item.
pub(super) fn render(items: &[Value], columns: &[Column<'_>]) -> String {
    let heading = columns.iter().map(|c| c.title.to_owned()).collect();
    let mut rows: Vec<Vec<String>> = vec![heading];
    let cells = |item| columns.iter().map(|c| c.cell(item)).collect();
    rows.extend(items.iter().map(cells));
    let width = |at: usize| rows.iter().map(|row| row[at].width()).max();
    let widths: Vec<usize> = (0..columns.len()).filter_map(width).collect();
    let lines = rows.iter().map(|row| {
        let mut line = String::new();
        for ((cell, column), width) in row.iter().zip(columns).zip(&widths) {
            let padding = " ".repeat(width - cell.width());
            let (before, after) = match column.is_right {
                true => (padding.as_str(), ""),
                false => ("", padding.as_str()),
            };
            line.extend([before, cell, after, GAP]);
        }
        line.truncate(line.trim_end().len());
        line
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns a line for each field.
pub(super) fn render_fields(object: &Value, fields: &[Column<'_>]) -> String {
    let width = fields.iter().map(|f| f.title.width()).max().unwrap_or(0);
    let lines = fields.iter().map(|field| {
        let padding = " ".repeat(width - field.title.width());
        let line = format!("{}{padding} {}", field.title, field.cell(object));
        line.trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn columns_are_aligned_by_what_a_terminal_shows() {
        let items = [
            json!({ "label": "Büro", "devices": 7 }),
            json!({ "label": "電話", "devices": 12_000 }),
            json!({ "label": "e\u{301}te\u{301}", "devices": null }),
            json!({ "label": "\u{1b}[31mred\nline" }),
        ];
        let columns = [
            Column::text("LABEL", "label"),
            Column::number("DEVICES", "devices"),
            Column::of("LAST", |_| "x".to_owned()),
        ];
        let text = render(&items, &columns);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "LABEL          DEVICES  LAST",
                "Büro                 7  x",
                "電話             12000  x",
                "e\u{301}te\u{301}                  -  x",
                " [31mred line        -  x",
            ]
        );
        for line in lines.iter().skip(1) {
            assert_eq!(line.width(), lines[1].width());
        }
    }

    #[test]
    fn fields_stand_below_each_other() {
        let fields = [Column::text("name", "name"), Column::text("plan", "plan")];
        let text = render_fields(&json!({ "name": "lina", "plan": null }), &fields);
        assert_eq!(text, "name lina\nplan -");
    }
}
