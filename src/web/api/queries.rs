//! The queries that some addresses take.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Which of the purchases.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PurchasesQuery {
    /// How many items at most.
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
    /// Why somebody else than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    pub(super) reason: Option<String>,
    /// Only those of this state, or of this outcome.
    pub(super) state: Option<String>,
    /// Only those of this kind of shop: the word of a category.
    pub(super) category: Option<String>,
    /// Only those that count on this day or later.
    #[param(format = Date)]
    pub(super) from: Option<String>,
    /// Only those that count on this day or earlier.
    #[param(format = Date)]
    pub(super) to: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LookReasonQuery {
    /// Why somebody else than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    pub(super) reason: Option<String>,
}

/// What a term is about: one of the three.
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
    /// Why somebody else than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct DateRangeQuery {
    /// The first day; left out, it is the first of this month.
    #[param(format = Date)]
    pub(super) from: Option<String>,
    /// The last day; left out, it is today.
    #[param(format = Date)]
    pub(super) to: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionQuery {
    /// Which version; left out, it is the one in force.
    #[param(minimum = 1)]
    pub(super) version: Option<u32>,
}

/// Which page of which line.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct QueueQuery {
    /// `waiting` for an answer, which it is when left out; or `to_look_at`: yeses that were given out
    /// of hours, or by the programme's own rule, and that nobody has looked at.
    #[param(inline)]
    pub(super) list: Option<AskQueue>,
    /// How many items at most.
    #[param(minimum = 1, maximum = 100)]
    pub(super) limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub(super) cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = List)]
pub(super) enum AskQueue {
    Waiting,
    ToLookAt,
}
