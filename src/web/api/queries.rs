//! Query parameters of more than one endpoint.

use serde::Deserialize;
use utoipa::IntoParams;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct LookReasonQuery {
    /// Why a reader other than the person looks. The person can read it.
    #[param(min_length = 1, max_length = 500)]
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct VersionQuery {
    /// The version; left out: the one in force.
    #[param(minimum = 1)]
    pub(super) version: Option<u32>,
}
