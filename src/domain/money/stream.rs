//! Funding streams: who pays, and which categories the law or the funder excludes.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::domain::id::StreamId;
use crate::domain::shop::merchant::Category;

/// A source of funds. No agreement or permission can lift its excluded categories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    pub id: StreamId,
    pub name: String,
    pub funder: String,
    /// Categories that this stream may never pay for.
    pub never: BTreeSet<Category>,
    /// The last local day on which this stream can be spent; `None` for no end.
    pub ends_on: Option<Date>,
    /// Whether pots of this stream drain before all others, regardless of the person's order.
    pub drains_first: bool,
}

impl Stream {
    /// Whether this stream may pay for `category` on `date`.
    pub fn may_buy(&self, category: &Category, date: Date) -> bool {
        !self.never.contains(category) && self.ends_on.is_none_or(|last| date <= last)
    }
}
