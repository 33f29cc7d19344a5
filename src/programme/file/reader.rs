//! Reads a TOML text field by field, so that every problem is found in one pass and has its line.
//!
//! An invalid field reads as `None`, like an absent one. Its problem is recorded, and
//! [`FileReader::finish`] returns no value if there are problems.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::money::{Currency, Money};

use super::problem::{FileProblem, FileProblems};

/// Maximum length of a name, in characters.
pub(super) const NAME_CHARS_MAX: usize = 100;
/// Maximum length of a reason or a story, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 1000;

/// The largest amount in a file, in minor units: the sum of a million of them stays below
/// [`i64::MAX`], so that no ledger overflows after a file was accepted.
pub(super) const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000;

/// A text that is being read, and its problems so far.
#[derive(Debug)]
pub(super) struct FileReader<'t> {
    text: &'t str,
    line_ends: Vec<usize>,
    is_stored: bool,
    problems: RefCell<Vec<FileProblem>>,
}

impl<'t> FileReader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let line_ends = text.match_indices('\n').map(|(at, _)| at).collect();
        Self { text, line_ends, is_stored: false, problems: RefCell::default() }
    }

    /// A reader for a stored text. It accepts lists of any length and duplicate limits, because
    /// stored data must stay readable.
    pub(super) fn stored(text: &'t str) -> Self {
        Self { is_stored: true, ..Self::new(text) }
    }

    /// Parses the TOML. Syntax errors end the reading, because one missing quote would cause many
    /// false problems.
    pub(super) fn table(&self) -> Option<DeTable<'t>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let line = self.line_of(&error.span().unwrap_or_default());
            let text = format!("this is not TOML: {}", error.message().trim());
            self.problem(line, "", text);
        }
        errors.is_empty().then(|| table.into_inner())
    }

    /// The whole text as one entry. A key that is not in `fields` is a problem.
    pub(super) fn root<'d>(&'d self, table: &'d DeTable<'d>, fields: &[&str]) -> FileEntry<'d> {
        let root = FileEntry { reader: self, place: String::new(), line: 1, table };
        root.refuse_unknown_fields(fields);
        root
    }

    /// The line of a span, from 1.
    fn line_of(&self, span: &Range<usize>) -> usize {
        self.line_ends.partition_point(|end| *end < span.start).saturating_add(1)
    }

    fn problem(&self, line: usize, place: &str, text: String) {
        self.problems.borrow_mut().push(FileProblem { line, place: place.to_owned(), text });
    }

    /// The value, or every problem sorted by line.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, FileProblems> {
        let mut problems = self.problems.into_inner();
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            Some(_) | None => {
                problems.sort();
                problems.dedup();
                Err(FileProblems { problems })
            }
        }
    }
}

/// A table of the text, with its name in problems and its first line.
#[derive(Debug, Clone)]
pub(super) struct FileEntry<'d> {
    reader: &'d FileReader<'d>,
    place: String,
    line: usize,
    table: &'d DeTable<'d>,
}

impl<'d> FileEntry<'d> {
    /// Reports a problem with `key`: on its line, or on the entry's first line if it is absent.
    pub(super) fn problem(&self, key: &str, text: impl Into<String>) {
        self.reader.problem(self.line_of(key), &self.place, text.into());
    }

    /// Whether the text comes from the store.
    pub(super) const fn is_stored(&self) -> bool {
        self.reader.is_stored
    }

    /// Reports that `key` is absent.
    pub(super) fn missing(&self, key: &str, example: &str) {
        self.reader.problem(
            self.line,
            &self.place,
            format!("{key} is missing: write {key} = {example} here"),
        );
    }

    fn refuse_unknown_fields(&self, fields: &[&str]) {
        for key in self.table.keys().filter(|key| !fields.contains(&key.get_ref().as_ref())) {
            let line = self.reader.line_of(&key.span());
            let all = fields.join(", ");
            let text = format!("{:?} is not a field here; the fields are {all}", key.get_ref());
            self.reader.problem(line, &self.place, text);
        }
    }

    pub(super) fn line_of(&self, key: &str) -> usize {
        self.table.get(key).map_or(self.line, |value| self.reader.line_of(&value.span()))
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(super) fn is_empty_list(&self, key: &str) -> bool {
        self.raw(key).and_then(DeValue::as_array).is_some_and(|items| items.is_empty())
    }

    fn raw(&self, key: &str) -> Option<&'d DeValue<'d>> {
        self.table.get(key).map(Spanned::get_ref)
    }

    /// The text of `key` without any check, for look-ups before it is validated.
    pub(super) fn raw_text(&self, key: &str) -> Option<&'d str> {
        self.raw(key).and_then(DeValue::as_str)
    }

    /// The text of `name` in each table under `key`. Reports no problems.
    pub(super) fn peek_texts(&self, key: &str, name: &str) -> Vec<&'d str> {
        let tables = self.raw(key).and_then(DeValue::as_array);
        let text = |item: &'d Spanned<DeValue<'d>>| {
            item.get_ref().as_table()?.get(name)?.get_ref().as_str()
        };
        tables.into_iter().flat_map(|items| items.iter()).filter_map(text).collect()
    }

    /// The text of `name` in the table under `key`, without outer spaces. Reports no problems.
    pub(super) fn peek_text(&self, key: &str, name: &str) -> Option<&'d str> {
        self.raw(key)?.as_table()?.get(name)?.get_ref().as_str().map(|text| text.trim_matches(' '))
    }

    fn child(&self, what: &str, value: &'d Spanned<DeValue<'d>>, fields: &[&str]) -> Option<Self> {
        let line = self.reader.line_of(&value.span());
        let gap = if self.place.is_empty() || what.is_empty() { "" } else { ", " };
        let place = format!("{}{gap}{what}", self.place);
        let Some(table) = value.get_ref().as_table() else {
            let all = fields.join(", ");
            let text = format!("this is not a table: give it the fields {all}");
            self.reader.problem(line, &place, text);
            return None;
        };
        let entry = Self { reader: self.reader, place, line, table };
        entry.refuse_unknown_fields(fields);
        Some(entry)
    }

    /// The table written as `[key]` or `key = { … }`, if present.
    pub(super) fn table(&self, key: &str, what: &str, fields: &[&str]) -> Option<Self> {
        self.table.get(key).and_then(|value| self.child(what, value, fields))
    }

    /// The tables written as `[[key]]` or `key = [{ … }]`. In problems each has its id or name,
    /// else its number.
    pub(super) fn tables(&self, key: &str, what: &str, fields: &[&str]) -> Vec<Self> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.problem(key, format!("{key} is not a list: begin each one with [[…{key}]]"));
            return Vec::new();
        };
        let numbered = items.iter().zip(1_usize..);
        let entry = |(item, number): (&'d Spanned<DeValue<'d>>, usize)| {
            let named = |key: &str| item.get_ref().as_table()?.get(key)?.get_ref().as_str();
            let name = ["id", "name"].into_iter().find(|key| fields.contains(key)).and_then(named);
            let called = match name {
                Some(name) => format!("{what} {:?}", shortened(name)),
                None => format!("{what} {number}"),
            };
            self.child(&called, item, fields)
        };
        numbered.filter_map(entry).collect()
    }

    /// Reports a `value` that an earlier entry has, with the line of that entry.
    pub(super) fn refuse_duplicate<K: Ord>(
        &self,
        key: &str,
        value: K,
        seen: &mut BTreeMap<K, usize>,
    ) {
        let line = self.line_of(key);
        if let Some(first) = seen.get(&value) {
            let text = format!("this {key} is already on line {first}: each needs its own");
            self.problem(key, text);
        } else {
            seen.insert(value, line);
        }
    }

    /// An optional text of up to `most` characters that is not blank.
    pub(super) fn optional_text(&self, key: &str, most: usize) -> Option<String> {
        let value = self.raw(key)?;
        let Some(text) = value.as_str() else {
            self.problem(key, format!("{key} is not a text: put it in \"quotes\""));
            return None;
        };
        self.checked_text(key, text, most)
    }

    fn checked_text(&self, key: &str, text: &str, most: usize) -> Option<String> {
        let text = text.trim_matches(' ');
        if text.chars().any(char::is_control) {
            let what = "a line break, a tab or another character that cannot be seen";
            self.problem(key, format!("{key} has {what}: take it out"));
        } else if text.trim().is_empty() {
            self.problem(key, format!("{key} is empty: write it, or take the field out"));
        } else if text.chars().count() > most {
            self.problem(key, format!("{key} is longer than {most} characters: shorten it"));
        } else {
            return Some(text.to_owned());
        }
        None
    }

    /// A required text of up to `most` characters.
    pub(super) fn text(&self, key: &str, most: usize) -> Option<String> {
        if !self.has(key) {
            self.missing(key, "\"…\"");
        }
        self.optional_text(key, most)
    }

    /// A list of texts; empty if the field is absent.
    pub(super) fn texts(&self, key: &str, most: usize) -> Vec<String> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let Some(items) = value.as_array() else {
            self.problem(key, format!("{key} is not a list: put it in [brackets]"));
            return Vec::new();
        };
        let text = |item: &Spanned<DeValue<'d>>| {
            let text = item.get_ref().as_str();
            if text.is_none() {
                self.problem(key, format!("{key} has something that is no text: use \"quotes\""));
            }
            text.and_then(|text| self.checked_text(key, text, most))
        };
        items.iter().filter_map(text).collect()
    }

    /// A required text parsed as a `T`, whose error says what to write instead.
    pub(super) fn parsed<T>(&self, key: &str) -> Option<T>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let text = self.text(key, TEXT_CHARS_MAX)?;
        let read = text.parse().map_err(|error| self.problem(key, format!("{key}: {error}")));
        read.ok()
    }

    /// One of `choices`, by its word. An absent field reads as `default`, if there is one.
    pub(super) fn word<T: Copy>(
        &self,
        key: &str,
        choices: &[T],
        word: fn(T) -> &'static str,
        default: Option<T>,
    ) -> Option<T> {
        let words = || {
            let words: Vec<_> = choices.iter().map(|c| format!("{:?}", word(*c))).collect();
            words.join(" or ")
        };
        if !self.has(key) {
            if default.is_none() {
                self.missing(key, &words());
            }
            return default;
        }
        let text = self.optional_text(key, TEXT_CHARS_MAX)?;
        let found = choices.iter().copied().find(|choice| word(*choice) == text);
        if found.is_none() {
            self.problem(key, format!("{key} is {:?}: write {}", shortened(&text), words()));
        }
        found
    }

    /// `true` or `false`; `false` if the field is absent.
    pub(super) fn flag(&self, key: &str) -> bool {
        let Some(value) = self.raw(key) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.problem(key, format!("{key} is neither true nor false, without quotes"));
            false
        })
    }

    /// A required whole number in `range`.
    pub(super) fn number(&self, key: &str, range: RangeInclusive<u32>) -> Option<u32> {
        let (least, most) = (range.start(), range.end());
        let Some(value) = self.raw(key) else {
            self.missing(key, &least.to_string());
            return None;
        };
        let decimal = value.as_integer().filter(|number| number.radix() == 10);
        let number = decimal.and_then(|number| number.as_str().parse().ok());
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let text =
                format!("{key} is not a whole number from {least} to {most}, without quotes");
            self.problem(key, text);
        }
        number
    }

    /// An optional calendar date.
    pub(super) fn optional_date(&self, key: &str) -> Option<Date> {
        let value = self.raw(key)?.as_datetime().filter(|value| value.time.is_none());
        let date = value.and_then(|value| value.to_string().parse().ok());
        if date.is_none() {
            self.problem(key, format!("{key} is not a date: write it like 2027-05-31, unquoted"));
        }
        date
    }

    /// A required calendar date.
    pub(super) fn date(&self, key: &str) -> Option<Date> {
        if !self.has(key) {
            self.missing(key, "2027-05-31");
        }
        self.optional_date(key)
    }

    /// An optional instant.
    pub(super) fn optional_instant(&self, key: &str) -> Option<Timestamp> {
        let value = self.raw(key)?.as_datetime().filter(|value| value.offset.is_some());
        let instant = value.and_then(|value| value.to_string().parse().ok());
        if instant.is_none() {
            let example = "2027-05-31T18:00:00Z";
            let text = format!("{key} is not a moment: write it like {example}, unquoted");
            self.problem(key, text);
        }
        instant
    }

    /// A required instant.
    pub(super) fn instant(&self, key: &str) -> Option<Timestamp> {
        if !self.has(key) {
            self.missing(key, "2027-05-31T18:00:00Z");
        }
        self.optional_instant(key)
    }

    /// A required time of day.
    pub(super) fn time(&self, key: &str) -> Option<Time> {
        let text = self.text(key, NAME_CHARS_MAX)?;
        let shaped = text.len() >= 5 && text.as_bytes().get(2) == Some(&b':');
        let time = shaped.then(|| text.parse().ok()).flatten();
        if time.is_none() {
            self.problem(key, format!("{key} is not a time of day: write it like \"06:00\""));
        }
        time
    }

    /// A required amount of at most [`AMOUNT_MINOR_MAX`]. `None` without a `currency`, which is
    /// reported as a problem of its own.
    pub(super) fn money(&self, key: &str, currency: Option<Currency>) -> Option<Money> {
        let Some(value) = self.raw(key) else {
            self.missing(key, "\"12.34\"");
            return None;
        };
        let Some(text) = value.as_str() else {
            self.problem(
                key,
                format!("{key} is not a text: write the amount in quotes, \"12.34\""),
            );
            return None;
        };
        let currency = currency?;
        let amount = Money::parse(text, currency)
            .map_err(|error| {
                let code = currency.code();
                self.problem(key, format!("{key} is no amount of {code}: {error}"));
            })
            .ok()?;
        if amount.minor() > AMOUNT_MINOR_MAX && !self.is_stored() {
            let most = Money::from_minor(AMOUNT_MINOR_MAX, currency);
            self.problem(key, format!("{key} is more than {most}: write a smaller amount"));
            return None;
        }
        Some(amount)
    }
}

/// All of the values, or `None` if one of them is `None`. Reads every value, so that every problem
/// is reported.
pub(super) fn all<T>(values: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    let values: Vec<_> = values.collect();
    values.into_iter().collect()
}

/// The first 60 characters of a text of any length.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}
