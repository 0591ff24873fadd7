//! Lines and columns: as aligned text, or as a table of HTML.

use super::html::escaped;

pub(super) struct Table {
    head: Vec<String>,
    lines: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: impl Into<Vec<String>>) -> Table {
        Table {
            head: head.into(),
            lines: Vec::new(),
        }
    }

    /// Names and values, without a head.
    pub(super) fn bare() -> Table {
        Table::new(Vec::new())
    }

    pub(super) fn line(&mut self, cells: impl IntoIterator<Item = String>) {
        self.lines.push(cells.into_iter().collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The first column to the left, and under a head the others to the right.
    pub(super) fn text(&self) -> String {
        let all: Vec<&Vec<String>> = self.head_line().chain(&self.lines).collect();
        let columns = all.iter().map(|line| line.len()).max().unwrap_or(0);
        let width = |at: usize| {
            let cells = all.iter().filter_map(|line| line.get(at));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for line in all {
            let cells = line.iter().zip(&widths).enumerate();
            let cells = cells.map(|(at, (cell, &width))| match at {
                0 => format!("{cell:<width$}"),
                _ if self.head.is_empty() => cell.clone(),
                _ => format!("{cell:>width$}"),
            });
            let joined = cells.collect::<Vec<_>>().join("  ");
            text.push_str(joined.trim_end());
            text.push('\n');
        }
        text
    }

    /// A table that scrolls by itself where it is too wide.
    pub(super) fn html(&self) -> String {
        let mut html = String::from("<div class=\"scroll\"><table>");
        for (line, tag) in self
            .head_line()
            .map(|line| (line, "th"))
            .chain(self.lines.iter().map(|line| (line, "td")))
        {
            html.push_str("<tr>");
            for cell in line {
                html.push_str(&format!("<{tag}>{}</{tag}>", escaped(cell)));
            }
            html.push_str("</tr>");
        }
        html.push_str("</table></div>\n");
        html
    }

    fn head_line(&self) -> impl Iterator<Item = &Vec<String>> {
        (!self.head.is_empty()).then_some(&self.head).into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(["server", "µs"].map(str::to_string));
        table.line(["A & B", "7"].map(str::to_string));
        table
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        assert_eq!(table().text(), "server  µs\nA & B    7\n");
        let mut facts = Table::bare();
        facts.line(["a", "first"].map(str::to_string));
        facts.line(["long", "x"].map(str::to_string));
        assert_eq!(facts.text(), "a     first\nlong  x\n");
    }

    #[test]
    fn html_is_escaped() {
        assert!(table().html().contains("<td>A &amp; B</td>"));
    }
}
