//! Problems of a recorded file, reported once for each kind with the rows that have it.

use std::{collections::BTreeMap, fmt::Write as _};

/// Limit on the listed line ranges of one kind.
const LINE_RANGES_MAX: usize = 15;
/// Limit on the quoted texts of one kind.
const SHOWN_TEXTS_MAX: usize = 3;
const SHOWN_CHARS_MAX: usize = 40;

/// A problem in one field of one row, and how to fix it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowProblem {
    pub(super) line: usize,
    pub(super) column: &'static str,
    /// Description of the problem, the same for every row that has it.
    pub(super) what: String,
    /// The field's text; empty when it is of no help.
    pub(super) text: String,
}

/// One text for each column and kind of problem, in order of first occurrence.
pub(super) fn summaries(problems: &[RowProblem]) -> Vec<String> {
    let mut order = Vec::new();
    let mut kinds: BTreeMap<(&str, &str), Vec<&RowProblem>> = BTreeMap::new();
    for problem in problems {
        let kind = (problem.column, problem.what.as_str());
        if !kinds.contains_key(&kind) {
            order.push(kind);
        }
        kinds.entry(kind).or_default().push(problem);
    }
    let kinds = order.into_iter().filter_map(|kind| Some((kind, kinds.get(&kind)?)));
    kinds.map(|((column, what), problems)| summary(column, what, problems)).collect()
}

fn summary(column: &str, what: &str, problems: &[&RowProblem]) -> String {
    let mut lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    lines.sort_unstable();
    lines.dedup();
    let mut text = format!("column {column}: {what}");
    let mut shown: Vec<&str> = Vec::new();
    for problem in problems.iter().filter(|problem| !problem.text.is_empty()) {
        if shown.len() < SHOWN_TEXTS_MAX && !shown.contains(&problem.text.as_str()) {
            shown.push(&problem.text);
        }
    }
    let shown: Vec<_> = shown.into_iter().map(|text| format!("{:?}", truncated(text))).collect();
    let _ = write!(text, "\n    {}: {}", count(lines.len()), line_ranges(&lines));
    if !shown.is_empty() {
        let _ = write!(text, "; there: {}", shown.join(", "));
    }
    text
}

fn count(rows: usize) -> String {
    if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") }
}

fn truncated(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_CHARS_MAX).collect();
    if short.len() < text.len() { format!("{short}…") } else { short }
}

/// Formats line numbers: "line 3", "lines 3, 5-9 and 12". Lists only the first ranges.
fn line_ranges(lines: &[usize]) -> String {
    let mut line_ranges: Vec<(usize, usize)> = Vec::new();
    for line in lines {
        match line_ranges.last_mut() {
            Some((_, last)) if *last + 1 == *line => *last = *line,
            Some(_) | None => line_ranges.push((*line, *line)),
        }
    }
    let listed = line_ranges.iter().take(LINE_RANGES_MAX);
    let within: usize = listed.clone().map(|(first, last)| last - first + 1).sum();
    let named: Vec<_> = listed
        .map(
            |(first, last)| {
                if first == last { first.to_string() } else { format!("{first}-{last}") }
            },
        )
        .collect();
    let word = if lines.len() == 1 { "line" } else { "lines" };
    let rest = lines.len() - within;
    let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    format!("{word} {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_once_with_its_rows() {
        let problem = |line, column, what: &str, text: &str| RowProblem {
            line,
            column,
            what: what.to_owned(),
            text: text.to_owned(),
        };
        let mut problems = vec![
            problem(7, "amount", "this is no amount", "ten"),
            problem(2, "mcc", "this is no code", "42"),
            problem(3, "amount", "this is no amount", "x"),
            problem(4, "amount", "this is no amount", "ten"),
        ];
        let lines = [
            "column amount: this is no amount\n    3 rows: lines 3-4, 7; there: \"ten\", \"x\"",
            "column mcc: this is no code\n    1 row: line 2; there: \"42\"",
        ];
        assert_eq!(summaries(&problems), lines);
        let many = (0..100).map(|line| problem(line * 2, "amount", "this is no amount", ""));
        problems.clear();
        problems.extend(many);
        let summaries = summaries(&problems);
        assert_eq!(summaries.len(), 1);
        assert!(summaries[0].contains("100 rows: lines 0, 2, 4, "), "{}", summaries[0]);
        assert!(summaries[0].ends_with("28 and 85 more"), "{}", summaries[0]);
    }
}
