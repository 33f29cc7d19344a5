//! How much help the person wants with their money: theirs to choose.

use axum::extract::State;
use axum::response::Response;
use jiff::civil::Date;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::asked::{Asked, Nothing, Place, Sent, named, words};
use super::deed::{Deed, Done, act};
use super::document::{KeyHeader, Problems};
use super::proposals::{ChangeOutcome, desk};
use super::proposed::{NewSession, wrong};
use crate::domain::agreement::proposal::Session;
use crate::domain::id::PersonId;
use crate::domain::money::Money;
use crate::people::agreements::{Help, choose_help};
use crate::people::members::{ActError, Acting};
use crate::store::Tx;
use crate::web::Edge;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<Edge> {
    OpenApiRouter::default().routes(routes!(choose))
}

/// How much help.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "help", rename_all = "snake_case", deny_unknown_fields)]
enum NewHelp {
    /// I do it. What was agreed with the worker stays as it is.
    Alone {
        #[schema(min_length = 1, max_length = 500)]
        words: String,
        session: NewSession,
    },
    /// What costs more than a sum needs a one-time OK.
    Together {
        /// In minor units.
        #[schema(minimum = 1)]
        above: i64,
        /// For how many days the choice outlasts a wish to take it back.
        #[schema(maximum = 365)]
        cooling_days: u32,
        /// When the two look at it again.
        #[schema(format = Date, value_type = String)]
        review_on: Date,
        #[schema(min_length = 1, max_length = 500)]
        words: String,
        session: NewSession,
    },
}

/// The most days that a choice outlasts a wish to take it back.
const COOLING_DAYS_MOST: u32 = 365;

struct ChooseHelp {
    person: PersonId,
    help: Help,
    words: String,
    session: Session,
}

impl Deed for ChooseHelp {
    async fn run(&self, tx: &mut Tx, api: &Api, acting: &Acting) -> Result<Done, ActError> {
        let (words, session) = (self.words.clone(), self.session.clone());
        let chosen =
            choose_help(tx, desk(api), acting, &self.person, self.help, words, session).await?;
        Ok(Done::ok(&ChangeOutcome::from(chosen)))
    }
}

/// Choose how much help I want
///
/// More help starts at once, less after the time that the person chose themselves.
#[utoipa::path(
    post, path = "/people/{person}/help", tag = "agreement",
    params(("person" = String, Path), KeyHeader), request_body = NewHelp,
    responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn choose(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    _: Asked<Nothing>,
    Sent { key, body }: Sent<NewHelp>,
) -> Result<Response, ApiError> {
    let person = named(&person, "person")?;
    let currency = api.programme(&acting.programme).await?.settings.currency;
    let (help, said, session) = match body {
        NewHelp::Alone { words, session } => (Help::Alone, words, session),
        NewHelp::Together { above, cooling_days, review_on, words, session } => {
            if above < 1 {
                return Err(wrong("above", "choose a sum"));
            }
            if cooling_days > COOLING_DAYS_MOST {
                return Err(wrong("cooling_days", "choose a year at most"));
            }
            let above = Money::from_minor(above, currency);
            (Help::Together { above, cooling_days, review_on }, words, session)
        }
    };
    let (words, session) = (words("words", &said)?, session.read()?);
    act(&api, acting, key, ChooseHelp { person, help, words, session }).await
}
