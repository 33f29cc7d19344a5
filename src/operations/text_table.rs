//! Tables of text for a terminal.

use std::fmt::{self, Write as _};

/// Rows under a heading. The first `left` columns are words, the others are numbers.
#[derive(Debug)]
pub(super) struct TextTable {
    rows: Vec<Vec<String>>,
    left: usize,
}

impl TextTable {
    pub(super) fn new(heading: &[&str], left: usize) -> Self {
        Self { rows: vec![heading.iter().map(|&text| text.to_owned()).collect()], left }
    }

    pub(super) fn add(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }
}

impl fmt::Display for TextTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.rows.first().map_or(0, Vec::len)).map(width).collect();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let gap = if column == 0 { "" } else { "  " };
                if column < self.left {
                    write!(line, "{gap}{cell:<width$}")?;
                } else {
                    write!(line, "{gap}{cell:>width$}")?;
                }
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut table = TextTable::new(&["pot", "left"], 1);
        table.add(vec!["week".to_owned(), "1.00".to_owned()]);
        table.add(vec!["é".to_owned(), "100.00".to_owned()]);
        assert_eq!(table.to_string(), "pot     left\nweek    1.00\né     100.00\n");
    }
}
