//! The stored form of a permission's open holds by shop.

use std::collections::BTreeMap;

use crate::ledger::record::column::ColumnValue;
use crate::ledger::record::row::{ColumnKind, CorruptRow, RowReader, Value};

/// The number of purchases with an open hold, by shop.
impl ColumnValue for BTreeMap<String, u32> {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        open_at_text(self).into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.word(open_at_from_text)
    }
}

/// The stored form, such as `2*286a… 91ff…;1*`: the number of purchases, and the shop's keys.
pub fn open_at_text(open_at: &BTreeMap<String, u32>) -> String {
    let text = |(shop, purchases): (&String, &u32)| format!("{purchases}*{shop}");
    open_at.iter().map(text).collect::<Vec<_>>().join(";")
}

/// Parses the output of [`open_at_text`]; `None` if the text is not in that form.
pub fn open_at_from_text(text: &str) -> Option<BTreeMap<String, u32>> {
    let parts = text.split(';').filter(|part| !part.is_empty());
    let part = |part: &str| {
        let (purchases, shop) = part.split_once('*')?;
        Some((shop.to_owned(), purchases.parse().ok()?))
    };
    parts.map(part).collect()
}
