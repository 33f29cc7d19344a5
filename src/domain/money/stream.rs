//! A funding stream: who pays, and what the law or the funder says it may never buy.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::domain::id::StreamId;
use crate::domain::shop::merchant::Category;

/// Where money comes from. No agreement or permission can lift what a stream may never buy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    pub id: StreamId,
    pub name: String,
    pub funder: String,
    /// Categories that this money may never buy.
    pub never: BTreeSet<Category>,
    /// The last day on which this money can be spent.
    pub ends_on: Option<Date>,
    /// Whether this money must go before any other, whatever order the person chose.
    pub drains_first: bool,
}

impl Stream {
    /// Whether this money may pay for `category` on `date`.
    pub fn may_buy(&self, category: &Category, date: Date) -> bool {
        !self.never.contains(category) && self.ends_on.is_none_or(|last| date <= last)
    }
}
