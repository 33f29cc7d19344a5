//! Stored rows: text and integers only.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::domain::money::{Currency, Money};

/// One value of a row. Instants are microseconds since 1970 UTC; everything else that is not an
/// integer is text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(i64),
    Null,
}

/// A table as defined for the store and the hash chain.
#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    /// The columns, in the order of the values in a row.
    pub columns: &'static [Column],
}

impl Table {
    /// The value of `row` in `column`.
    pub fn value<'r>(&self, row: &'r [Value], column: &str) -> Option<&'r Value> {
        let at = self.columns.iter().position(|known| known.name == column)?;
        row.get(at)
    }

    /// The text of `row` in `column`; empty if it has no text there.
    pub fn text<'r>(&self, row: &'r [Value], column: &str) -> &'r str {
        match self.value(row, column) {
            Some(Value::Text(text)) => text,
            Some(Value::Number(_) | Value::Null) | None => "",
        }
    }

    /// The number of `row` in `column`; 0 if it has no number there.
    pub fn number(&self, row: &[Value], column: &str) -> i64 {
        match self.value(row, column) {
            Some(Value::Number(number)) => *number,
            Some(Value::Text(_) | Value::Null) | None => 0,
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub kind: ColumnKind,
}

/// The kind of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Part of the primary key. Text.
    Key,
    Text,
    Number,
    /// Text that may be erased later, so row digests exclude it. Its own digest is in another
    /// column.
    Erasable,
    /// Text in a column added by a later version, after all others. A null value is not digested,
    /// so that older rows keep their digest.
    Added,
}

/// Declares the columns of a table, in order.
macro_rules! columns {
    ($($kind:ident $name:literal),+ $(,)?) => {
        &[$($crate::ledger::record::row::Column {
            name: $name,
            kind: $crate::ledger::record::row::ColumnKind::$kind,
        }),+]
    };
}
pub(crate) use columns;

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The hash before the first posting of every chain.
    pub const ZERO: Self = Self([0; 32]);

    /// The digest of the row's values, without erasable text.
    pub fn of_row(table: &Table, row: &[Value]) -> Self {
        let mut hasher = CanonicalHasher::new(table.name);
        hasher.row(table, row);
        hasher.finish()
    }

    /// The digest of one text.
    pub fn of_text(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    /// A UUID derived from the content: a `UUIDv8` of the first 16 bytes.
    pub fn uuid(self) -> uuid::Uuid {
        let mut bytes = [0; 16];
        for (byte, own) in bytes.iter_mut().zip(self.0) {
            *byte = own;
        }
        uuid::Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The digest of raw bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 64];
        // 32 bytes give 64 ASCII digits.
        let written = hex::encode_to_slice(self.0, &mut digits).ok();
        let text = written.and_then(|()| str::from_utf8(&digits).ok());
        f.write_str(text.unwrap_or_default())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        // Upper-case hex would store the same digest in other bytes, so a changed row could pass.
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(hex::FromHexError::InvalidStringLength);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes)?;
        Ok(Self(bytes))
    }
}

/// Feeds values to SHA-256 in an unambiguous form: each value has a tag, and each text is preceded
/// by its length.
#[derive(Debug)]
pub struct CanonicalHasher(Sha256);

impl CanonicalHasher {
    /// Starts with `domain`, so that rows of different tables never have the same digest.
    pub fn new(domain: &str) -> Self {
        let mut canonical = Self(Sha256::new());
        canonical.text(domain);
        canonical
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) {
        self.0.update([b't']);
        self.0.update(text.len().to_be_bytes());
        self.0.update(text.as_bytes());
    }

    /// Adds a whole number.
    pub fn number(&mut self, number: i64) {
        self.0.update([b'n']);
        self.0.update(number.to_be_bytes());
    }

    /// Adds a null value.
    pub fn null(&mut self) {
        self.0.update([b'-']);
    }

    /// Adds a digest.
    pub fn digest(&mut self, digest: Digest) {
        self.0.update([b'd']);
        self.0.update(digest.0);
    }

    /// Adds the values of `row`, except erasable ones and null values of added columns.
    pub fn row(&mut self, table: &Table, row: &[Value]) {
        for (column, value) in table.columns.iter().zip(row) {
            match value {
                _ if column.kind == ColumnKind::Erasable => {}
                Value::Null if column.kind == ColumnKind::Added => {}
                Value::Text(text) => self.text(text),
                Value::Number(number) => self.number(*number),
                Value::Null => self.null(),
            }
        }
    }

    /// The digest of everything added.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// A stored row whose content does not match its table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("table {table}, column {column}: {found:?} is not what belongs there (row {key})")]
pub struct CorruptRow {
    pub table: &'static str,
    pub column: &'static str,
    pub found: String,
    /// The primary key of the row, for the error message.
    pub key: String,
}

impl CorruptRow {
    /// The error for the value of `row` in `column`.
    pub fn new(table: &'static Table, row: &[Value], column: &'static str) -> Self {
        let found = table.value(row, column).map(describe).unwrap_or_default();
        Self { table: table.name, column, found, key: key_of(table, row) }
    }
}

/// Reads the values of one row in order.
#[derive(Debug)]
pub struct RowReader<'a> {
    table: &'static Table,
    row: &'a [Value],
    next: usize,
}

impl<'a> RowReader<'a> {
    /// Starts at the first column.
    pub const fn new(table: &'static Table, row: &'a [Value]) -> Self {
        Self { table, row, next: 0 }
    }

    fn take(&mut self) -> Option<&'a Value> {
        let value = self.row.get(self.next);
        self.next = self.next.saturating_add(1);
        value
    }

    /// Skips the next value.
    pub fn skip(&mut self) {
        self.take();
    }

    /// Reads a null value.
    pub fn expect_null(&mut self) -> Result<(), CorruptRow> {
        match self.take() {
            Some(Value::Null) => Ok(()),
            Some(Value::Text(_) | Value::Number(_)) | None => Err(self.corrupt()),
        }
    }

    /// The error for the value read last.
    pub fn corrupt(&self) -> CorruptRow {
        let at = self.next.saturating_sub(1);
        let column = self.table.columns.get(at).map_or("(too many)", |column| column.name);
        let found = self.row.get(at).map(describe).unwrap_or_default();
        CorruptRow { table: self.table.name, column, found, key: key_of(self.table, self.row) }
    }

    /// Reads a text.
    pub fn text(&mut self) -> Result<&'a str, CorruptRow> {
        match self.take() {
            Some(Value::Text(text)) => Ok(text),
            Some(Value::Number(_) | Value::Null) | None => Err(self.corrupt()),
        }
    }

    /// Reads an integer.
    pub fn number(&mut self) -> Result<i64, CorruptRow> {
        match self.take() {
            Some(Value::Number(number)) => Ok(*number),
            Some(Value::Text(_) | Value::Null) | None => Err(self.corrupt()),
        }
    }

    /// Reads an integer within the range of `T`.
    pub fn integer<T: TryFrom<i64>>(&mut self) -> Result<T, CorruptRow> {
        T::try_from(self.number()?).map_err(|_| self.corrupt())
    }

    /// Reads a text that parses as `T`.
    pub fn parsed<T: FromStr>(&mut self) -> Result<T, CorruptRow> {
        self.text()?.parse().map_err(|_| self.corrupt())
    }

    /// Reads a text that `read` accepts.
    pub fn word<T>(&mut self, read: impl FnOnce(&str) -> Option<T>) -> Result<T, CorruptRow> {
        read(self.text()?).ok_or_else(|| self.corrupt())
    }

    /// Reads an amount in `currency`, which may be negative.
    pub fn money(&mut self, currency: Currency) -> Result<Money, CorruptRow> {
        Ok(Money::from_minor(self.number()?, currency))
    }

    /// Reads an instant.
    pub fn instant(&mut self) -> Result<Timestamp, CorruptRow> {
        Timestamp::from_microsecond(self.number()?).map_err(|_| self.corrupt())
    }

    /// Reads a calendar date.
    pub fn date(&mut self) -> Result<Date, CorruptRow> {
        self.parsed()
    }

    /// Reads the next value with `read`; `None` if it is null.
    pub fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, CorruptRow>,
    ) -> Result<Option<T>, CorruptRow> {
        if matches!(self.row.get(self.next), Some(Value::Null)) {
            self.take();
            Ok(None)
        } else {
            read(self).map(Some)
        }
    }
}

/// The primary key of `row`, for error messages.
pub fn key_of(table: &Table, row: &[Value]) -> String {
    let keys = table.columns.iter().zip(row).filter(|(column, _)| column.kind == ColumnKind::Key);
    keys.map(|(_, value)| describe(value)).collect::<Vec<_>>().join("/")
}

fn describe(value: &Value) -> String {
    match value {
        Value::Text(text) => text.chars().take(100).collect(),
        Value::Number(number) => number.to_string(),
        Value::Null => "nothing".to_owned(),
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<Money> for Value {
    fn from(amount: Money) -> Self {
        Self::Number(amount.minor())
    }
}

impl From<Timestamp> for Value {
    fn from(at: Timestamp) -> Self {
        Self::Number(at.as_microsecond())
    }
}

impl From<Digest> for Value {
    fn from(digest: Digest) -> Self {
        Self::Text(digest.to_string())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Serialises to JSON, so that many rows are passed to a database in one text.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_i64(*number),
            Self::Null => serializer.serialize_none(),
        }
    }
}

/// Deserialises from the JSON in which SQLite returns rows.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl Visitor<'_> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a whole number or nothing")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        Ok(text.into())
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::from).map_err(E::custom)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
}

/// A text value from the `Display` form of `value`.
pub fn text_value(value: impl fmt::Display) -> Value {
    Value::Text(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table =
        Table { name: "t", columns: columns![Key "a", Text "b", Number "c", Erasable "d"] };

    #[test]
    fn every_value_changes_the_digest_but_erasable_text() {
        let row = |b: &str, c: i64, d: Option<&str>| {
            Digest::of_row(&TABLE, &["a".into(), b.into(), c.into(), d.into()])
        };
        assert_ne!(row("b", 1, None), row("c", 1, None));
        assert_ne!(row("b", 1, None), row("b", 2, None));
        assert_eq!(row("b", 1, None), row("b", 1, Some("Corner Shop")));
    }

    #[test]
    fn a_column_that_was_added_changes_no_digest_before_it_is_filled() {
        const LATER: Table = Table {
            name: "t",
            columns: columns![Key "a", Text "b", Number "c", Erasable "d", Added "e"],
        };
        let before: [Value; 4] = ["a".into(), "b".into(), 1_i64.into(), Value::Null];
        let after = |e: Option<&str>| Digest::of_row(&LATER, &[&before[..], &[e.into()]].concat());
        assert_eq!(after(None), Digest::of_row(&TABLE, &before));
        assert_ne!(after(Some("")), after(None));
        assert_ne!(after(Some("5")), after(Some("6")));
    }

    #[test]
    fn values_cannot_slide_into_each_other() {
        let row = |a: &str, b: &str| Digest::of_row(&TABLE, &[a.into(), b.into(), Value::Null]);
        assert_ne!(row("ab", "c"), row("a", "bc"));
        assert_ne!(
            Digest::of_row(&TABLE, &["1".into(), Value::Null]),
            Digest::of_row(&TABLE, &["1".into(), "".into()])
        );
    }
}
