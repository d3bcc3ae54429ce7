//! Aligned plain-text tables for people.

/// On which side a column's cells are padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text: starts at the column's left edge.
    Left,
    /// Numbers: end at the column's right edge.
    Right,
}

/// Rows of cells under a header. Cells must be printable: untrusted text goes through `messages::visible` first.
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Row>,
}

enum Row {
    Cells(Vec<String>),
    /// A line of its own beneath a row, outside of the columns.
    Note(String),
}

impl Table {
    /// An empty table with these column titles.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells that are missing at its end stay empty.
    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(Row::Cells(row));
    }

    /// Adds a line beneath the row before it.
    pub fn push_note(&mut self, note: String) {
        self.rows.push(Row::Note(note));
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The lines of the table, header first, two spaces between columns, none at the end of a line.
    pub fn lines(&self) -> Vec<String> {
        let header: Vec<String> = self.columns.iter().map(|(title, _)| (*title).to_owned()).collect();
        let cells = self.rows.iter().filter_map(|row| match row {
            Row::Cells(cells) => Some(cells),
            Row::Note(_) => None,
        });
        let all: Vec<&Vec<String>> = std::iter::once(&header).chain(cells).collect();
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                all.iter().filter_map(|row| row.get(column)).map(|cell| width(cell)).max().unwrap_or(0)
            })
            .collect();
        let rows = self.rows.iter().map(|row| match row {
            Row::Cells(cells) => self.line(cells, &widths),
            Row::Note(note) => note.clone(),
        });
        std::iter::once(self.line(&header, &widths)).chain(rows).collect()
    }

    fn line(&self, row: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, &(_, align)), &column_width) in row.iter().zip(&self.columns).zip(widths) {
            let padding = " ".repeat(column_width - width(cell));
            match align {
                Align::Left => line.extend([cell.as_str(), &padding]),
                Align::Right => line.extend([padding.as_str(), cell]),
            }
            line.push_str("  ");
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// Terminal columns of printable text: one a character. East Asian text is wider and misaligns its row; answers are
/// mathematics nearly always.
fn width(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_end_clean() {
        let mut table = Table::new(&[("id", Align::Left), ("votes", Align::Right), ("note", Align::Left)]);
        table.push(vec!["a-longer-id".into(), "9/16".into(), "correct".into()]);
        table.push(vec!["√2".into(), "16/16".into()]);
        assert_eq!(table.len(), 2);
        assert_eq!(
            table.lines(),
            ["id           votes  note", "a-longer-id   9/16  correct", "√2           16/16"]
        );
    }
}
