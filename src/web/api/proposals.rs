//! Changing a list: proposed by one, agreed by both, or by the person alone where it is theirs.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{ApiAction, ApiResponse, perform};
use super::agreement::TermBody;
use super::asks::{EmptyRequest, optional_words};
use super::change_request::{NewChange, NewSession, ParsedChange, invalid_field, term_keys};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiJson, ApiPath, ApiQuery, NoParameters, parse_id};
use super::guide::current_guide;
use super::representation::{Page, PageQuery};
use super::shops::shop_scopes;
use crate::domain::agreement::change::List;
use crate::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentGranularity, ConsentSession, ConsentSide, Proposal,
};
use crate::domain::id::{BudgetId, PersonId, ProposalId};
use crate::domain::people::role::Capability;
use crate::messages::words::ChangeLine;
use crate::people::agreements;
use crate::people::agreements::{
    DraftRequest, ProposalAnswerRequest, ProposalProgress, ProposalStage, UseCaseContext,
};
use crate::people::members::{Principal, UseCaseError};
use crate::store::Tx;
use crate::web::AppState;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::default()
        .routes(routes!(list_proposals, propose))
        .routes(routes!(one_proposal))
        .routes(routes!(answer))
        .routes(routes!(counter))
        .routes(routes!(write_down))
        .routes(routes!(confirm))
        .routes(routes!(withdraw))
        .routes(routes!(draft))
        .routes(routes!(take_up))
        .routes(routes!(force))
}

pub(super) fn context(api: &Api) -> UseCaseContext<'_> {
    UseCaseContext { directory: &api.directory, ids: &api.ids }
}

/// What came of a move.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangeOutcome {
    proposal: String,
    /// `waits`, `cools`, `started` or `ended`.
    next: &'static str,
    /// Whose yes is missing.
    waits_for: Vec<&'static str>,
    /// From when the person can say yes again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    from: Option<String>,
    /// The version that started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<u32>,
}

impl From<ProposalProgress> for ChangeOutcome {
    fn from(outcome: ProposalProgress) -> Self {
        let body = |next| Self {
            proposal: outcome.proposal.to_string(),
            next,
            waits_for: Vec::new(),
            from: None,
            version: None,
        };
        match outcome.next {
            ProposalStage::AwaitingConsent(sides) => {
                let waits_for = sides.into_iter().map(ConsentSide::word).collect();
                Self { waits_for, ..body("waits") }
            }
            ProposalStage::CoolingOff(from) => {
                Self { from: Some(from.to_string()), ..body("cools") }
            }
            ProposalStage::Started(version) => Self { version: Some(version), ..body("started") },
            ProposalStage::Ended(_) => body("ended"),
        }
    }
}

/// A next list that somebody proposed.
#[derive(Debug, Serialize, ToSchema)]
struct ProposalBody {
    proposal: String,
    /// `together`, `own` or `law`.
    kind: &'static str,
    /// The version that it changes.
    changes_version: u32,
    words: String,
    /// `draft`, `open`, `agreed`, `refused`, `countered`, `withdrawn`, `run_out` or `taken_up`.
    state: &'static str,
    /// Whether a part of it can be agreed.
    in_parts: bool,
    proposed_by: String,
    #[schema(format = "date-time")]
    proposed_at: String,
    /// Before this it cannot start: the person's own time to wait runs.
    #[schema(format = "date-time")]
    not_before: String,
    /// If nobody answers until then, nothing changes.
    #[schema(format = "date-time")]
    open_until: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    answers: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<u32>,
    said: Vec<ConsentBody>,
}

/// What one side said.
#[derive(Debug, Serialize, ToSchema)]
struct ConsentBody {
    /// `person`, `worker` or `manager`.
    side: &'static str,
    by: String,
    /// `yes` or `no`.
    said: &'static str,
    how: &'static str,
    place: String,
    minutes: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    present: String,
    /// What they wanted to say with it.
    #[serde(skip_serializing_if = "String::is_empty")]
    words: String,
    /// What of it was agreed, if not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parts: Option<Vec<String>>,
    /// Whether it counts: what was written down for somebody does when they confirm it.
    confirmed: bool,
    #[schema(format = "date-time")]
    at: String,
}

impl From<Consent> for ConsentBody {
    fn from(consent: Consent) -> Self {
        let parts = consent.parts.map(|parts| parts.iter().map(ToString::to_string).collect());
        Self {
            side: consent.side.word(),
            by: consent.member.to_string(),
            said: consent.said.word(),
            how: consent.session.how.word(),
            place: consent.session.place,
            minutes: consent.session.minutes,
            present: consent.session.present,
            words: consent.words,
            parts,
            confirmed: consent.confirmed_at.is_some(),
            at: consent.said_at.to_string(),
        }
    }
}

impl ProposalBody {
    fn of((proposal, consents): (Proposal, Vec<Consent>), acting: &Principal) -> Self {
        Self {
            proposal: proposal.id.to_string(),
            kind: proposal.kind.word(),
            changes_version: proposal.base_version,
            state: proposal.state_at(acting.at).word(),
            words: proposal.words,
            in_parts: proposal.parts == ConsentGranularity::Parts,
            proposed_by: proposal.proposed_by.to_string(),
            proposed_at: proposal.proposed_at.to_string(),
            not_before: proposal.not_before.to_string(),
            open_until: proposal.open_until.to_string(),
            answers: proposal.answers.map(|id| id.to_string()),
            version: proposal.version,
            said: consents.into_iter().map(ConsentBody::from).collect(),
        }
    }
}

/// A proposal with all that it says.
#[derive(Debug, Serialize, ToSchema)]
struct ProposalInFull {
    #[serde(flatten)]
    proposal: ProposalBody,
    /// What a side said before it said something else.
    said_before: Vec<ConsentBody>,
    /// What would change, in plain words.
    lines: Vec<ChangeLineBody>,
    terms: Vec<TermBody>,
}

/// One line of what changes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineBody)]
pub(super) struct ChangeLineBody {
    /// The part of the list, as answers name it.
    part: String,
    about: String,
    now: String,
    new: String,
    /// `more`, `less`, `same` or `other`.
    way: &'static str,
    way_words: String,
}

impl From<ChangeLine> for ChangeLineBody {
    fn from(line: ChangeLine) -> Self {
        let ChangeLine { key, about, now, new, way, way_text } = line;
        Self { part: key.to_string(), about, now, new, way, way_words: way_text }
    }
}

/// What is done with a next list.
enum ProposalCommand {
    Propose(ParsedChange),
    Counter(ProposalId, ParsedChange),
    Draft(ParsedChange),
    Force(ParsedChange),
    TakeUp(ProposalId, ConsentSession),
    Answer(ProposalId, ProposalAnswerRequest),
    WriteDown(ProposalId, ProposalAnswerRequest),
    Confirm(ProposalId),
    Withdraw(ProposalId),
}

struct ProposalAction {
    person: PersonId,
    command: ProposalCommand,
}

impl ApiAction for ProposalAction {
    async fn run(
        &self,
        tx: &mut Tx,
        api: &Api,
        acting: &Principal,
    ) -> Result<ApiResponse, UseCaseError> {
        let Self { person, command } = self;
        let context = context(api);
        let outcome = match command {
            ProposalCommand::Propose(change) => {
                let new = change.proposing(
                    changed_list(tx, api, acting, person, change, Capability::Propose).await?,
                );
                agreements::propose(tx, context, acting, person, new).await?
            }
            ProposalCommand::Counter(id, change) => {
                let new = change.proposing(
                    changed_list(tx, api, acting, person, change, Capability::Propose).await?,
                );
                agreements::counter_propose(tx, context, acting, person, *id, new).await?
            }
            ProposalCommand::Force(change) => {
                let new = change.proposing(
                    changed_list(tx, api, acting, person, change, Capability::SeeList).await?,
                );
                agreements::record_law(tx, context, acting, person, new).await?
            }
            ProposalCommand::Draft(change) => {
                let list = changed_list(tx, api, acting, person, change, Capability::Draft).await?;
                let draft = DraftRequest { list, words: change.words.clone() };
                let proposal = agreements::draft(tx, context, acting, person, draft).await?;
                return Ok(ApiResponse::created(&DraftBody { proposal: proposal.to_string() }));
            }
            ProposalCommand::TakeUp(id, session) => {
                let (parts, session) = (ConsentGranularity::Whole, session.clone());
                agreements::adopt_draft(tx, context, acting, person, *id, parts, session).await?
            }
            ProposalCommand::Answer(id, answering) => {
                agreements::answer(tx, context, acting, person, *id, answering.clone()).await?
            }
            ProposalCommand::WriteDown(id, ProposalAnswerRequest { parts, session, .. }) => {
                let (parts, session) = (parts.clone(), session.clone());
                agreements::record_in_person_answer(
                    tx, context, acting, person, *id, parts, session,
                )
                .await?
            }
            ProposalCommand::Confirm(id) => {
                agreements::confirm(tx, context, acting, person, *id).await?
            }
            ProposalCommand::Withdraw(id) => {
                agreements::withdraw(tx, context, acting, person, *id).await?
            }
        };
        let body = ChangeOutcome::from(outcome);
        let is_new = matches!(
            command,
            ProposalCommand::Propose(_) | ProposalCommand::Counter(..) | ProposalCommand::Force(_)
        );
        Ok(if is_new { ApiResponse::created(&body) } else { ApiResponse::ok(&body) })
    }
}

/// The list that is wanted, made from the list in force: under the lock, so that it is still that.
async fn changed_list(
    tx: &mut Tx,
    api: &Api,
    acting: &Principal,
    person: &PersonId,
    change: &ParsedChange,
    act: Capability,
) -> Result<List, UseCaseError> {
    let budget = BudgetId::of(person);
    tx.lock_budget(&acting.programme, &budget).await?;
    // Whoever may not do it does not learn which version is in force.
    acting.admit(tx, act, person).await?;
    let currency = api.directory.latest_or_load(&acting.programme).await?.settings.currency;
    let now = tx.agreement_in_force(&acting.programme, &budget, currency).await?;
    let now = now.ok_or(UseCaseError::NotFound("list"))?;
    if now.version == change.version {
        change.apply_to(&now.list())
    } else {
        Err(UseCaseError::Conflict(format!("version {} is in force by now", now.version)))
    }
}

async fn perform_command(
    api: &Api,
    acting: Principal,
    person: &str,
    key: super::extract::RequestFingerprint,
    command: ProposalCommand,
) -> Result<Response, ApiError> {
    let person = parse_id(person, "person")?;
    perform(api, acting, key, ProposalAction { person, command }).await
}

async fn read_change(
    api: &Api,
    acting: &Principal,
    person: &str,
    change: &NewChange,
) -> Result<ParsedChange, ApiError> {
    change.check_bounds()?;
    let programme = api.programme(&acting.programme).await?;
    let bought = shop_scopes(api, acting, person, change.bought()).await?;
    change.read(programme.settings.currency, programme.rules.shops(), &bought)
}

/// A draft that was kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drafted)]
struct DraftBody {
    proposal: String,
}

/// Propose a change of the list
///
/// What is the person's own starts at once, or when their own time to wait has passed.
#[utoipa::path(
    post, path = "/people/{person}/proposals", tag = "agreement",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewChange,
    responses((status = 201, body = ChangeOutcome), Problems)
)]
async fn propose(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<NewChange>,
) -> Result<Response, ApiError> {
    let change = read_change(&api, &acting, &person, &body).await?;
    perform_command(&api, acting, &person, key, ProposalCommand::Propose(change)).await
}

/// Proposals and drafts, the newest first
#[utoipa::path(
    get, path = "/people/{person}/proposals", tag = "agreement",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<ProposalBody>), Problems)
)]
async fn list_proposals(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<ProposalBody>>, ApiError> {
    let (page_size, before) = (query.page_size()?, query.parse_cursor()?);
    let currency = api.programme(&acting.programme).await?.settings.currency;
    let mut tx = api.store.snapshot().await?;
    let access =
        acting.admit_to_read(&mut tx, Capability::SeeList, &parse_id(&person, "person")?).await?;
    let (id, budget) = (&access.programme, &access.budget);
    let limit = page_size.saturating_add(1);
    let found = tx.proposals_before(id, budget, before, limit, currency).await?;
    tx.commit().await?;
    let key = |(proposal, _): &(Proposal, Vec<Consent>)| proposal.id.to_string();
    Ok(Json(Page::from_rows(found, page_size, key, |found| ProposalBody::of(found, &acting))))
}

/// One proposal: what would change, in plain words
#[utoipa::path(
    get, path = "/people/{person}/proposals/{proposal}", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path)),
    responses((status = 200, body = ProposalInFull), Problems)
)]
async fn one_proposal(
    State(api): State<Api>,
    acting: Principal,
    ApiPath((person, proposal)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<ProposalInFull>, ApiError> {
    let (person, id) = (parse_id(&person, "person")?, parse_id(&proposal, "proposal")?);
    let programme = api.programme(&acting.programme).await?;
    let mut tx = api.store.snapshot().await?;
    let access = acting.admit_to_read(&mut tx, Capability::SeeList, &person).await?;
    let (currency, budget) = (programme.settings.currency, &access.budget);
    let found = tx.proposal(&access.programme, budget, id, currency).await?;
    let found = found.ok_or(ApiError::NotFound("proposal"))?;
    let difference = agreements::proposed(&mut tx, &programme, &acting, &person, &found.0).await?;
    let before = tx.replaced_consents(&access.programme, budget, id).await?;
    let guide = current_guide(&mut tx, &access.programme).await?;
    tx.commit().await?;
    let term = |term| TermBody::of(term, &programme, &guide);
    let terms = found.0.list.terms.iter().map(term).collect();
    Ok(Json(ProposalInFull {
        proposal: ProposalBody::of(found, &acting),
        said_before: before.into_iter().map(ConsentBody::from).collect(),
        lines: difference.lines.into_iter().map(ChangeLineBody::from).collect(),
        terms,
    }))
}

/// An answer to a proposal.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAnswerToChange {
    /// `yes` or `no`.
    #[schema(pattern = "^(yes|no)$")]
    say: String,
    /// What of it is agreed; left out, all of it. Said again after a time to wait, it can be less than
    /// the first time, never more; left out, it is the same. A no is to all of it.
    #[schema(nullable = false)]
    parts: Option<Vec<String>>,
    session: NewSession,
    /// Nobody has to say why.
    #[schema(nullable = false, min_length = 1, max_length = 500)]
    words: Option<String>,
}

impl NewAnswerToChange {
    fn read(&self) -> Result<ProposalAnswerRequest, ApiError> {
        let said = ConsentAnswer::from_word(&self.say);
        Ok(ProposalAnswerRequest {
            said: said.ok_or_else(|| invalid_field("say", "say yes or no"))?,
            parts: term_keys(self.parts.as_ref())?,
            session: self.session.read()?,
            words: optional_words(self.words.as_deref())?.unwrap_or_default(),
        })
    }
}

/// Say yes or no to a change
///
/// A yes can become a no until the change starts. The same answer sent twice is one answer; another one
/// gets 409, with the answer that stands.
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/answer", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = NewAnswerToChange, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn answer(
    State(api): State<Api>,
    acting: Principal,
    ApiPath((person, proposal)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<NewAnswerToChange>,
) -> Result<Response, ApiError> {
    let command = ProposalCommand::Answer(parse_id(&proposal, "proposal")?, body.read()?);
    perform_command(&api, acting, &person, key, command).await
}

/// Answer a proposal with another one
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/counter", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = NewChange, responses((status = 201, body = ChangeOutcome), Problems)
)]
async fn counter(
    State(api): State<Api>,
    acting: Principal,
    ApiPath((person, proposal)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<NewChange>,
) -> Result<Response, ApiError> {
    let id = parse_id(&proposal, "proposal")?;
    let change = read_change(&api, &acting, &person, &body).await?;
    perform_command(&api, acting, &person, key, ProposalCommand::Counter(id, change)).await
}

/// What the person said when they were together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WrittenDown)]
struct NewWrittenConsent {
    #[schema(nullable = false)]
    parts: Option<Vec<String>>,
    session: NewSession,
}

/// Write down the person's yes, for them to confirm
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/written-down", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = NewWrittenConsent, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn write_down(
    State(api): State<Api>,
    acting: Principal,
    ApiPath((person, proposal)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<NewWrittenConsent>,
) -> Result<Response, ApiError> {
    let answering = ProposalAnswerRequest {
        said: ConsentAnswer::Yes,
        parts: term_keys(body.parts.as_ref())?,
        session: body.session.read()?,
        words: String::new(),
    };
    let command = ProposalCommand::WriteDown(parse_id(&proposal, "proposal")?, answering);
    perform_command(&api, acting, &person, key, command).await
}

/// Confirm what was written down for me
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/confirm", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyRequest, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn confirm(
    State(api): State<Api>,
    acting: Principal,
    ApiPath((person, proposal)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body: EmptyRequest {} }: ApiJson<EmptyRequest>,
) -> Result<Response, ApiError> {
    let command = ProposalCommand::Confirm(parse_id(&proposal, "proposal")?);
    perform_command(&api, acting, &person, key, command).await
}

/// Take back what one's own side proposed, or one's own draft
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/withdraw", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyRequest, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn withdraw(
    State(api): State<Api>,
    acting: Principal,
    ApiPath((person, proposal)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body: EmptyRequest {} }: ApiJson<EmptyRequest>,
) -> Result<Response, ApiError> {
    let command = ProposalCommand::Withdraw(parse_id(&proposal, "proposal")?);
    perform_command(&api, acting, &person, key, command).await
}

/// Keep a draft that nobody is asked about
#[utoipa::path(
    post, path = "/people/{person}/drafts", tag = "agreement",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewChange,
    responses((status = 201, body = DraftBody), Problems)
)]
async fn draft(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<NewChange>,
) -> Result<Response, ApiError> {
    let change = read_change(&api, &acting, &person, &body).await?;
    perform_command(&api, acting, &person, key, ProposalCommand::Draft(change)).await
}

/// How a draft is made one's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TakenUp)]
struct NewDraftAdoption {
    session: NewSession,
}

/// Make a draft a proposal of one's own
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/take-up", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = NewDraftAdoption, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn take_up(
    State(api): State<Api>,
    acting: Principal,
    ApiPath((person, proposal)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<NewDraftAdoption>,
) -> Result<Response, ApiError> {
    let command = ProposalCommand::TakeUp(parse_id(&proposal, "proposal")?, body.session.read()?);
    perform_command(&api, acting, &person, key, command).await
}

/// Record what a law forces
///
/// It starts when another human being, a manager, has said yes to it. It can only make a list stricter.
#[utoipa::path(
    post, path = "/people/{person}/forced-changes", tag = "agreement",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewChange,
    responses((status = 201, body = ChangeOutcome), Problems)
)]
async fn force(
    State(api): State<Api>,
    acting: Principal,
    ApiPath(person): ApiPath<String>,
    _: ApiQuery<NoParameters>,
    ApiJson { key, body }: ApiJson<NewChange>,
) -> Result<Response, ApiError> {
    let change = read_change(&api, &acting, &person, &body).await?;
    perform_command(&api, acting, &person, key, ProposalCommand::Force(change)).await
}
