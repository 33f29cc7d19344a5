//! How much help the person wants with their money, which only they choose.

use axum::response::Response;
use jiff::civil::Date;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::action::{ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse};
use super::change_request::{NewSession, invalid_field};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{check_words, parse_id};
use super::proposal_views::ChangeOutcome;
use crate::domain::agreement::proposal::ConsentSession;
use crate::domain::id::PersonId;
use crate::domain::money::Money;
use crate::people::agreements::{HelpLevel, choose_help};
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default().routes(routes!(choose))
}

/// How much help the person wants.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "help", rename_all = "snake_case", deny_unknown_fields)]
enum NewHelp {
    /// No help. What was agreed with the worker stays as it is.
    Alone {
        #[schema(min_length = 1, max_length = 500)]
        words: String,
        session: NewSession,
    },
    /// Every purchase above an amount needs a one-time OK.
    Together {
        /// In minor units.
        #[schema(minimum = 1)]
        above: i64,
        /// For how many days the choice still holds after the person asks to undo it.
        #[schema(maximum = 365)]
        cooling_days: u32,
        /// When the person and the worker review it.
        #[schema(format = Date, value_type = String)]
        review_on: Date,
        #[schema(min_length = 1, max_length = 500)]
        words: String,
        session: NewSession,
    },
}

/// Maximum of `cooling_days`.
const COOLING_DAYS_MAX: u32 = 365;

struct ChooseHelp {
    person: PersonId,
    help: HelpLevel,
    words: String,
    session: ConsentSession,
}

impl ApiAction for ChooseHelp {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let (words, session) = (self.words.clone(), self.session.clone());
        let chosen =
            choose_help(tx, api.context(), principal, &self.person, self.help, words, session)
                .await?;
        Ok(ApiResponse::ok(&ChangeOutcome::from(chosen)))
    }
}

/// Choose how much help I want
///
/// More help starts at once; less help starts after the waiting time that the person chose.
#[utoipa::path(
    post, path = "/people/{person}/help", tag = "agreement",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewHelp,
    responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn choose(
    ApiPost { caller, path: person, body }: ApiPost<String, NewHelp>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let programme = caller.api.programme(&caller.principal.programme).await?;
    let currency = programme.settings.currency;
    let (help, said, session) = match body {
        NewHelp::Alone { words, session } => (HelpLevel::Alone, words, session),
        NewHelp::Together { above, cooling_days, review_on, words, session } => {
            if above < 1 {
                return Err(invalid_field("above", "choose a sum"));
            }
            if cooling_days > COOLING_DAYS_MAX {
                return Err(invalid_field("cooling_days", "choose a year at most"));
            }
            let above = Money::from_minor(above, currency);
            (HelpLevel::Together { above, cooling_days, review_on }, words, session)
        }
    };
    let (words, session) = (check_words("words", &said)?, session.read()?);
    caller.perform(ChooseHelp { person, help, words, session }).await
}
