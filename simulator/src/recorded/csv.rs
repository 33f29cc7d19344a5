//! Parses separated values, by RFC 4180 and as spreadsheets write them.

/// Line of the row's first character, counted from 1, and the row's fields.
pub(super) type CsvRow = (usize, Vec<String>);

/// Field separators that are recognised.
const SEPARATORS: [char; 4] = [',', ';', '\t', '|'];

/// The separator under which the heading of `text` contains the most of `columns`.
pub(super) fn separator(text: &str, columns: &[&str]) -> char {
    let known = |separator: &char| {
        let heading = rows(text, *separator).into_iter().next().map_or(Vec::new(), |row| row.1);
        let folded = heading.iter().map(|name| super::folded(name));
        folded.filter(|name| columns.contains(&name.as_str())).count()
    };
    // In a tie the first separator wins, because `max_by_key` returns the last maximum.
    SEPARATORS.into_iter().rev().max_by_key(known).unwrap_or(',')
}

/// Splits `text` into rows. A quoted field may contain separators, line ends and doubled quotes.
/// Skips empty lines, and the line `sep=;` with which spreadsheets declare the separator.
pub(super) fn rows(text: &str, separator: char) -> Vec<CsvRow> {
    let mut rows = Vec::new();
    let mut parser = CsvParser { line: 1, begun: 1, fields: Vec::new(), field: String::new() };
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        parser.line += usize::from(character == '\n');
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                parser.field.push('"');
            }
            '"' if is_quoted || parser.field.is_empty() => is_quoted = !is_quoted,
            _ if is_quoted => parser.field.push(character),
            _ if character == separator => parser.end_field(),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => rows.extend(parser.end_row()),
            _ => parser.field.push(character),
        }
    }
    rows.extend(parser.end_row());
    let names_separator = |row: &CsvRow| row.0 == 1 && row.1.concat().trim().len() <= 5;
    if rows.first().is_some_and(|row| names_separator(row) && row.1.concat().starts_with("sep=")) {
        rows.remove(0);
    }
    rows
}

struct CsvParser {
    line: usize,
    begun: usize,
    fields: Vec<String>,
    field: String,
}

impl CsvParser {
    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
    }

    /// Ends the row; `None` when all its fields are empty.
    fn end_row(&mut self) -> Option<CsvRow> {
        self.end_field();
        let fields = std::mem::take(&mut self.fields);
        let begun = std::mem::replace(&mut self.begun, self.line);
        fields.iter().any(|field| !field.trim().is_empty()).then_some((begun, fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(rows: &[(usize, [&str; 2])]) -> Vec<CsvRow> {
        rows.iter().map(|(line, fields)| (*line, fields.map(str::to_owned).to_vec())).collect()
    }

    #[test]
    fn quotes_hold_commas_lines_and_quotes() {
        let text = "a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\n\n,last\n,\n";
        let all = [(1, ["a", "b"]), (2, ["x, \"y\"", "two\nlines"]), (5, ["", "last"])];
        assert_eq!(rows(text, ','), wanted(&all));
    }

    #[test]
    fn the_separator_is_the_one_under_which_the_heading_makes_sense() {
        let columns = ["time", "amount"];
        for (text, separator) in [
            ("Time,Amount\n1,2", ','),
            ("time;AMOUNT;note, if any\n1;2;3", ';'),
            ("sep=;\ntime;amount\n1;2", ';'),
            (" time \t\"amount\"\n1\t2", '\t'),
            ("time|amount\n1|2", '|'),
            ("neither", ','),
        ] {
            assert_eq!(super::separator(text, &columns), separator, "{text}");
        }
        let rows = rows("sep=;\ntime;amount\n1;2", ';');
        assert_eq!(rows, wanted(&[(2, ["time", "amount"]), (3, ["1", "2"])]));
    }
}
