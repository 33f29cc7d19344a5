//! Comma-separated rows, as RFC 4180 describes them.

/// One row, and the line on which it begins, counted from 1.
pub(super) type Row = (usize, Vec<String>);

/// The rows of `text`. A quoted field may hold commas, line ends and doubled quotes; empty lines
/// are passed over.
pub(super) fn rows(text: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut reader = Reader { line: 1, begun: 1, fields: Vec::new(), field: String::new() };
    let mut is_quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        reader.line += usize::from(character == '\n');
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                reader.field.push('"');
            }
            '"' if is_quoted || reader.field.is_empty() => is_quoted = !is_quoted,
            _ if is_quoted => reader.field.push(character),
            ',' => reader.end_field(),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\n' => rows.extend(reader.end_row()),
            _ => reader.field.push(character),
        }
    }
    rows.extend(reader.end_row());
    rows
}

struct Reader {
    line: usize,
    begun: usize,
    fields: Vec<String>,
    field: String,
}

impl Reader {
    fn end_field(&mut self) {
        self.fields.push(std::mem::take(&mut self.field));
    }

    fn end_row(&mut self) -> Option<Row> {
        self.end_field();
        let fields = std::mem::take(&mut self.fields);
        let begun = std::mem::replace(&mut self.begun, self.line);
        (fields != [""]).then_some((begun, fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_hold_commas_lines_and_quotes() {
        let text = "a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\n\n,last";
        let wanted: [(usize, [&str; 2]); 3] =
            [(1, ["a", "b"]), (2, ["x, \"y\"", "two\nlines"]), (5, ["", "last"])];
        let wanted = wanted.map(|(line, fields)| (line, fields.map(str::to_owned).to_vec()));
        assert_eq!(rows(text), wanted);
    }
}
