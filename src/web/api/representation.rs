//! JSON representation of values: money in minor units, times in UTC, lists in pages.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::money::Money;
use crate::web::problem::ApiError;

/// Number of items of a page by default.
const PAGE_SIZE_DEFAULT: u32 = 50;
/// Maximum number of items of a page.
const PAGE_SIZE_MAX: u32 = 100;

/// An amount of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct MoneyBody {
    /// In minor units, such as pence.
    amount: i64,
    /// A currency code (ISO 4217).
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
    /// The `cursor` of the next page; null on the last page.
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of `items`, which are up to `page_size` + 1 rows, so that a further page is known to
    /// exist; `key` gives the cursor after a row.
    pub(super) fn from_rows<I>(
        mut items: Vec<I>,
        page_size: u32,
        key: impl Fn(&I) -> String,
        show: impl FnMut(I) -> T,
    ) -> Self {
        let page_size = usize::try_from(page_size).unwrap_or(usize::MAX);
        let has_more = items.len() > page_size;
        items.truncate(page_size);
        let last = items.last().filter(|_| has_more).map(key);
        let next_cursor = last.map(|key| BASE64_URL_SAFE_NO_PAD.encode(key));
        Self { data: items.into_iter().map(show).collect(), next_cursor }
    }
}

impl<T> Page<T> {
    /// A page of `data`; `next` is the cursor of the next page.
    pub(super) fn with_next(data: Vec<T>, next: Option<String>) -> Self {
        Self { data, next_cursor: next.map(|key| BASE64_URL_SAFE_NO_PAD.encode(key)) }
    }
}

/// Size and start of a page.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// Maximum number of items; left out: 50.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    cursor: Option<String>,
}

impl PageQuery {
    pub(super) fn page_size(&self) -> Result<u32, ApiError> {
        page_size(self.limit)
    }

    pub(super) fn parse_cursor<T: std::str::FromStr>(&self) -> Result<Option<T>, ApiError> {
        parse_cursor(self.cursor.as_deref())
    }
}

/// The requested number of items, or the default.
///
/// # Errors
///
/// [`ApiError::Malformed`] when it is not 1 to 100.
pub(super) fn page_size(limit: Option<u32>) -> Result<u32, ApiError> {
    let page_size = limit.unwrap_or(PAGE_SIZE_DEFAULT);
    if (1..=PAGE_SIZE_MAX).contains(&page_size) {
        Ok(page_size)
    } else {
        Err(ApiError::Malformed { field: "limit", what: format!("use 1 to {PAGE_SIZE_MAX}") })
    }
}

/// Decodes a cursor.
///
/// # Errors
///
/// [`ApiError::Malformed`] when it is not a cursor of this list.
pub(super) fn parse_cursor<T: std::str::FromStr>(
    cursor: Option<&str>,
) -> Result<Option<T>, ApiError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let text = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
    let key = text.and_then(|text| text.parse().ok());
    let what = || "use the next_cursor of the page before".to_owned();
    key.map(Some).ok_or_else(|| ApiError::Malformed { field: "cursor", what: what() })
}

/// Parses a date parameter; `fallback` if it is left out.
///
/// # Errors
///
/// [`ApiError::Malformed`] when it is not a date as `YYYY-MM-DD`.
pub(super) fn parse_day_or(
    field: &'static str,
    text: Option<&str>,
    fallback: Date,
) -> Result<Date, ApiError> {
    Ok(parse_day(field, text)?.unwrap_or(fallback))
}

/// Parses an optional date parameter.
///
/// # Errors
///
/// [`ApiError::Malformed`] when it is not a date as `YYYY-MM-DD`.
pub(super) fn parse_day(field: &'static str, text: Option<&str>) -> Result<Option<Date>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let is_plain = text.len() == 10;
    let date = text.parse::<Date>().ok().filter(|_| is_plain);
    let what = || "write it like 2026-11-23".to_owned();
    date.map(Some).ok_or_else(|| ApiError::Malformed { field, what: what() })
}
