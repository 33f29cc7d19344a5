//! Reads a TOML text field by field, so that every problem is found in one pass and has its line.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{RulesError, RulesProblem};

/// A text that is being read, and its problems so far.
#[derive(Debug)]
pub(super) struct RulesReader<'t> {
    file: &'t str,
    text: &'t str,
    line_ends: Vec<usize>,
    problems: Vec<RulesProblem>,
}

/// A table of the text, with its name in problems and its first line.
#[derive(Debug, Clone, Copy)]
pub(super) struct RulesEntry<'d, 't> {
    what: &'static str,
    line: usize,
    table: &'d DeTable<'t>,
}

/// A value of the file, and its line.
#[derive(Debug, Clone)]
pub(super) struct Located<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

impl<'t> RulesReader<'t> {
    pub(super) fn new(file: &'t str, text: &'t str) -> Self {
        let line_ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { file, text, line_ends, problems: Vec::new() }
    }

    /// Parses the TOML. Syntax errors end the reading, because one missing quote would cause many
    /// false problems.
    pub(super) fn table(&mut self) -> Option<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = self.line_of(&error.span().unwrap_or_default());
            self.problem(line, format!("this is not TOML: {}", error.message().trim()));
        }
        errors.is_empty().then(|| table.into_inner())
    }

    /// The line of a span, from 1.
    fn line_of(&self, span: &Range<usize>) -> usize {
        self.line_ends.partition_point(|end| *end < span.start).saturating_add(1)
    }

    pub(super) fn last_line(&self) -> usize {
        self.text.lines().count().max(1)
    }

    pub(super) fn problem(&mut self, line: usize, text: String) {
        self.problems.push(RulesProblem { file: self.file.to_owned(), line, text });
    }

    pub(super) const fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// The value, or every problem sorted by line.
    pub(super) fn finish<T>(mut self, value: Option<T>) -> Result<T, RulesError> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            Some(_) | None => {
                self.problems.sort();
                self.problems.dedup();
                Err(RulesError { problems: self.problems })
            }
        }
    }

    /// An entry for `table`. A key that is not in `fields` is a problem.
    pub(super) fn entry<'d>(
        &mut self,
        what: &'static str,
        line: usize,
        table: &'d DeTable<'t>,
        fields: &[&str],
    ) -> RulesEntry<'d, 't> {
        for key in table.keys().filter(|key| !fields.contains(&key.get_ref().as_ref())) {
            let line = self.line_of(&key.span());
            let all = fields.join(", ");
            self.problem(
                line,
                format!("{:?} is not a field of {what}; the fields are {all}", key.get_ref()),
            );
        }
        RulesEntry { what, line, table }
    }

    /// The tables written as `[[key]]`; empty if the key is absent.
    pub(super) fn tables<'d>(
        &mut self,
        parent: &RulesEntry<'d, 't>,
        key: &str,
        what: &'static str,
        fields: &[&str],
    ) -> Vec<RulesEntry<'d, 't>> {
        let Some(value) = parent.table.get(key) else { return Vec::new() };
        let mut entries = Vec::new();
        let items = value.get_ref().as_array();
        for item in items.into_iter().flat_map(|items| items.iter()) {
            let line = self.line_of(&item.span());
            match item.get_ref().as_table() {
                Some(table) => entries.push(self.entry(what, line, table, fields)),
                None => self.problem(line, format!("this is not {what}: begin it with [[{key}]]")),
            }
        }
        if items.is_none() {
            let line = self.line_of(&value.span());
            self.problem(
                line,
                format!("this is not {what}: begin it with [[…{key}]], in two brackets"),
            );
        }
        entries
    }

    /// A required text that is not blank.
    pub(super) fn text(
        &mut self,
        entry: &RulesEntry<'_, 't>,
        key: &str,
    ) -> Option<Located<String>> {
        let found = self.optional_text(entry, key);
        if found.is_none() && !entry.table.contains_key(key) {
            let what = entry.what;
            self.problem(entry.line, format!("{what} needs {key}: write {key} = \"…\" here"));
        }
        found
    }

    /// An optional text that is not blank.
    pub(super) fn optional_text(
        &mut self,
        entry: &RulesEntry<'_, 't>,
        key: &str,
    ) -> Option<Located<String>> {
        let value = entry.table.get(key)?;
        self.text_of(value, &format!("{key} of {}", entry.what))
    }

    fn text_of(&mut self, value: &Spanned<DeValue<'t>>, what: &str) -> Option<Located<String>> {
        let line = self.line_of(&value.span());
        match value.get_ref().as_str().map(str::trim) {
            Some("") => self.problem(line, format!("{what} is empty: write what it is")),
            Some(text) => return Some(Located { line, value: text.to_owned() }),
            None => self.problem(line, format!("{what} is not a text: put it in \"quotes\"")),
        }
        None
    }

    /// A list of texts with their lines; empty if the field is absent.
    pub(super) fn texts(&mut self, entry: &RulesEntry<'_, 't>, key: &str) -> Vec<Located<String>> {
        let Some(value) = entry.table.get(key) else { return Vec::new() };
        let what = entry.what;
        let Some(items) = value.get_ref().as_array() else {
            let line = self.line_of(&value.span());
            self.problem(line, format!("{key} of {what} is not a list: put it in [brackets]"));
            return Vec::new();
        };
        let what = format!("a line of {key} of {what}");
        items.iter().filter_map(|item| self.text_of(item, &what)).collect()
    }

    /// `true` or `false`; `false` if the field is absent.
    pub(super) fn flag(&mut self, entry: &RulesEntry<'_, 't>, key: &str) -> bool {
        let Some(value) = entry.table.get(key) else { return false };
        value.get_ref().as_bool().unwrap_or_else(|| {
            let line = self.line_of(&value.span());
            let what = entry.what;
            self.problem(line, format!("{key} of {what} is neither true nor false"));
            false
        })
    }

    /// A required whole number of 1 or more.
    pub(super) fn number(&mut self, entry: &RulesEntry<'_, 't>, key: &str) -> Option<u32> {
        let what = entry.what;
        let Some(value) = entry.table.get(key) else {
            self.problem(entry.line, format!("{what} needs {key}: write {key} = 1 here"));
            return None;
        };
        let number = value.get_ref().as_integer().and_then(|n| n.as_str().parse().ok());
        let number = number.filter(|number: &u32| *number > 0);
        if number.is_none() {
            let line = self.line_of(&value.span());
            self.problem(line, format!("{key} of {what} is not a whole number of 1 or more"));
        }
        number
    }

    /// An optional calendar date.
    pub(super) fn date(
        &mut self,
        entry: &RulesEntry<'_, 't>,
        key: &str,
    ) -> Option<jiff::civil::Date> {
        let value = entry.table.get(key)?;
        let date = value.get_ref().as_datetime().and_then(|date| date.to_string().parse().ok());
        if date.is_none() {
            let line = self.line_of(&value.span());
            let what = entry.what;
            self.problem(line, format!("{key} of {what} is not a date: write it like 2027-05-31"));
        }
        date
    }
}

impl RulesEntry<'_, '_> {
    /// The first line of the entry.
    pub(super) const fn line(&self) -> usize {
        self.line
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }
}
