//! Query parameters of the endpoints.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Filters and page of a list of purchases.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PurchasesQuery {
    /// Maximum number of items; left out: 50.
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    pub(super) cursor: Option<String>,
    /// Why a reader other than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    pub(super) reason: Option<String>,
    /// Only purchases with this state or outcome.
    pub(super) state: Option<String>,
    /// Only purchases at this kind of shop: the word of a category.
    pub(super) category: Option<String>,
    /// Only purchases that count on this day or later.
    #[param(format = Date)]
    pub(super) from: Option<String>,
    /// Only purchases that count on this day or earlier.
    #[param(format = Date)]
    pub(super) to: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LookReasonQuery {
    /// Why a reader other than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    pub(super) reason: Option<String>,
}

/// What a term is about: exactly one of `on`, `shop` and `bought`.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct TermScopeQuery {
    /// `category:food`, `code:5541`, `gate:cash`, `everything_else`, `shop:` and a key.
    #[param(min_length = 1, max_length = 200)]
    pub(super) on: Option<String>,
    /// The name of a shop.
    #[param(min_length = 1, max_length = 500)]
    pub(super) shop: Option<String>,
    /// A purchase (`pur_…` or `dec_…`) at the shop.
    #[param(min_length = 1, max_length = 200)]
    pub(super) bought: Option<String>,
    /// Why a reader other than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DateRangeQuery {
    /// The first day; left out: the first day of this month.
    #[param(format = Date)]
    pub(super) from: Option<String>,
    /// The last day; left out: today.
    #[param(format = Date)]
    pub(super) to: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionQuery {
    /// The version; left out: the one in force.
    #[param(minimum = 1)]
    pub(super) version: Option<u32>,
}

/// List and page of a queue.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueQuery {
    /// `waiting` (if left out): asks that wait for an answer; `to_look_at`: yeses that were given
    /// out of hours, or by the programme's own rule, and that nobody has reviewed.
    #[param(inline)]
    pub(super) list: Option<AskQueue>,
    /// Maximum number of items; left out: 50.
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: Option<u32>,
    /// The `next_cursor` of the previous page.
    pub(super) cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = List)]
pub(super) enum AskQueue {
    Waiting,
    ToLookAt,
}
