//! Records: one declaration of a table's columns, from which its rows are selected, read, digested
//! and written.
//!
//! `record!` declares a struct whose fields are the columns of a table, or of what a query
//! selects from it. The names of the columns, the select list, the reader and the writer follow
//! from the fields, so that a column is added in one place, and two columns of different types
//! cannot be swapped.

use crate::ledger::record::column::ColumnValue;
use crate::ledger::record::row::{Column, ColumnKind, CorruptRow, RowReader, Table, Value};

/// A struct whose fields are the columns of a table, in order; declared by `record!`.
pub trait Record: Sized {
    /// The text columns of the primary key that the record has.
    const KEY: &'static [&'static str];
    const TABLE: &'static Table;

    /// The values of the columns.
    fn row(&self) -> Vec<Value>;

    /// As [`Record::row`], without copies of the texts.
    fn into_row(self) -> Vec<Value>;

    /// Reads the columns.
    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow>;

    /// Reads a row of [`Self::TABLE`].
    fn from_row(row: &[Value]) -> Result<Self, CorruptRow> {
        Self::read(&mut RowReader::new(Self::TABLE, row))
    }

    /// The error for the value of `column`, when it does not match the other columns.
    fn corrupt(&self, column: &'static str) -> CorruptRow {
        CorruptRow::new(Self::TABLE, &self.row(), column)
    }
}

/// Declares a struct that is a [`Record`]: its documentation, visibility and name, the table, the
/// columns of the primary key, and the columns with their types.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident in $table:literal key($($key:ident),* $(,)?) {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$field_meta])* $field_vis $field: $type),+
        }

        impl $crate::ledger::record::table::Record for $name {
            const KEY: &'static [&'static str] = &[$(stringify!($key)),*];
            const TABLE: &'static $crate::ledger::record::row::Table =
                &$crate::ledger::record::row::Table {
                    name: $table,
                    columns: &[$($crate::ledger::record::table::column::<$type>(
                        stringify!($field),
                        <Self as $crate::ledger::record::table::Record>::KEY,
                    )),+],
                };

            fn row(&self) -> Vec<$crate::ledger::record::row::Value> {
                vec![$($crate::ledger::record::column::ColumnValue::value(&self.$field)),+]
            }

            fn into_row(self) -> Vec<$crate::ledger::record::row::Value> {
                vec![$($crate::ledger::record::column::ColumnValue::into_value(self.$field)),+]
            }

            fn read(
                reader: &mut $crate::ledger::record::row::RowReader<'_>,
            ) -> Result<Self, $crate::ledger::record::row::CorruptRow> {
                Ok(Self {
                    $($field: $crate::ledger::record::column::ColumnValue::read(reader)?),+
                })
            }
        }
    };
}
pub(crate) use record;

/// The column `name` of values of type `T`; a text among `keys` is part of the primary key.
pub const fn column<T: ColumnValue>(name: &'static str, keys: &[&'static str]) -> Column {
    let kind = match T::KIND {
        ColumnKind::Text if contains(keys, name) => ColumnKind::Key,
        kind @ (ColumnKind::Key
        | ColumnKind::Text
        | ColumnKind::Number
        | ColumnKind::Erasable
        | ColumnKind::Added) => kind,
    };
    Column { name, kind }
}

/// `keys.contains(&name)`, for constants.
const fn contains(keys: &[&str], name: &str) -> bool {
    match keys {
        [] => false,
        [first, rest @ ..] => is_equal(first.as_bytes(), name.as_bytes()) || contains(rest, name),
    }
}

const fn is_equal(one: &[u8], other: &[u8]) -> bool {
    match (one, other) {
        ([], []) => true,
        ([first, rest @ ..], [second, others @ ..]) => *first == *second && is_equal(rest, others),
        (_, _) => false,
    }
}

/// A record for tests: those of the declaration here, and those of the SQL that is made from it.
#[cfg(test)]
pub(crate) mod example {
    use crate::domain::id::PersonId;

    record! {
        pub(crate) struct Note in "note" key(person_id) {
            pub(super) person_id: PersonId,
            pub(super) words: String,
            pub(super) pages: Option<i64>,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::example::Note;
    use super::*;

    #[test]
    fn the_fields_are_the_columns() {
        let note = Note { person_id: "dee".parse().unwrap(), words: "hello".into(), pages: None };
        assert_eq!(note.row(), ["dee".into(), "hello".into(), Value::Null]);
        assert_eq!(note.clone().into_row(), note.row());
        assert_eq!(Note::from_row(&note.row()), Ok(note));
        let kinds = Note::TABLE.columns.iter().map(|column| column.kind);
        assert_eq!(
            kinds.collect::<Vec<_>>(),
            [ColumnKind::Key, ColumnKind::Text, ColumnKind::Number]
        );
    }
}
