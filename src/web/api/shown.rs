//! How values are shown: money in minor units, times in UTC, lists by the page.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::money::Money;
use crate::web::problem::ApiError;

/// How many items a page has, where nobody says.
const PAGE: u32 = 50;
/// The most items of a page.
const PAGE_MOST: u32 = 100;

/// An amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct MoneyBody {
    /// In minor units: pence of a pound.
    amount: i64,
    /// ISO 4217.
    currency: &'static str,
}

impl MoneyBody {
    /// The amount in minor units.
    pub(super) const fn minor(self) -> i64 {
        self.amount
    }
}

impl From<Money> for MoneyBody {
    fn from(money: Money) -> Self {
        Self { amount: money.minor(), currency: money.currency().code() }
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    data: Vec<T>,
    /// What to ask for the next page with; null on the last one.
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of `items`, of which one more than `wanted` was looked for; `key` says where the next
    /// page begins.
    pub(super) fn of<I>(
        mut items: Vec<I>,
        wanted: u32,
        key: impl Fn(&I) -> String,
        show: impl FnMut(I) -> T,
    ) -> Self {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let has_more = items.len() > wanted;
        items.truncate(wanted);
        let last = items.last().filter(|_| has_more).map(key);
        let next_cursor = last.map(|key| BASE64_URL_SAFE_NO_PAD.encode(key));
        Self { data: items.into_iter().map(show).collect(), next_cursor }
    }
}

impl<T> Page<T> {
    /// A page of `data`; `next` is where the next one begins.
    pub(super) fn behind(data: Vec<T>, next: Option<String>) -> Self {
        Self { data, next_cursor: next.map(|key| BASE64_URL_SAFE_NO_PAD.encode(key)) }
    }
}

/// Which page of a list.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// How many items at most.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    cursor: Option<String>,
}

impl PageQuery {
    pub(super) fn wanted(&self) -> Result<u32, ApiError> {
        wanted(self.limit)
    }

    pub(super) fn after<T: std::str::FromStr>(&self) -> Result<Option<T>, ApiError> {
        after(self.cursor.as_deref())
    }
}

/// How many items are wanted.
pub(super) fn wanted(limit: Option<u32>) -> Result<u32, ApiError> {
    let wanted = limit.unwrap_or(PAGE);
    if (1..=PAGE_MOST).contains(&wanted) {
        Ok(wanted)
    } else {
        Err(ApiError::Malformed { field: "limit", what: format!("use 1 to {PAGE_MOST}") })
    }
}

/// Where a page begins.
pub(super) fn after<T: std::str::FromStr>(cursor: Option<&str>) -> Result<Option<T>, ApiError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let text = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.and_then(|text| text.parse().ok());
    let what = || "use the next_cursor of the page before".to_owned();
    key.map(Some).ok_or_else(|| ApiError::Malformed { field: "cursor", what: what() })
}

/// Reads a day of a query; left out, it is `usual`.
pub(super) fn day(field: &'static str, text: Option<&str>, usual: Date) -> Result<Date, ApiError> {
    Ok(day_if_any(field, text)?.unwrap_or(usual))
}

/// Reads a day of a query, if there is one.
pub(super) fn day_if_any(
    field: &'static str,
    text: Option<&str>,
) -> Result<Option<Date>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let is_plain = text.len() == 10;
    let date = text.parse::<Date>().ok().filter(|_| is_plain);
    let what = || "write it like 2026-11-23".to_owned();
    date.map(Some).ok_or_else(|| ApiError::Malformed { field, what: what() })
}
