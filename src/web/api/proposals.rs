//! Changes of a list: proposed by one side and agreed by both, or by the person alone where they
//! decide alone.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::action::{ActionContext, ActionResult, ApiAction, ApiPost, ApiResponse, Caller};
use super::agreement::TermBody;
use super::asks::{EmptyRequest, optional_words};
use super::change_request::{NewChange, NewSession, ParsedChange, invalid_field, term_keys};
use super::document::{IdempotencyKeyHeader, Problems};
use super::extract::{ApiPath, ApiQuery, NoParameters, check_words, parse_id};
use super::guide::current_guide;
use super::proposal_views::{
    ChangeLineBody, ChangeOutcome, ConsentBody, DraftBody, ProposalBody, ProposalInFull,
};
use super::representation::{Page, PageQuery};
use super::shops::shop_scopes;
use crate::domain::agreement::change::List;
use crate::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentGranularity, ConsentSession, Proposal,
};
use crate::domain::id::{BudgetId, PersonId, ProposalId};
use crate::domain::people::role::Capability;
use crate::people::agreements;
use crate::people::agreements::{DraftRequest, LawRequest, ProposalAnswerRequest, ProposalChange};
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

/// Applies `change` to the list in force. Locks the budget first, so that the list cannot change
/// meanwhile.
///
/// # Errors
///
/// [`UseCaseError::Conflict`] when another version is in force than the one that `change` is for.
async fn changed_list(
    tx: &mut Tx,
    api: &Api,
    principal: &Principal,
    person: &PersonId,
    change: &ParsedChange,
    act: Capability,
) -> Result<List, UseCaseError> {
    let budget = BudgetId::of(person);
    tx.lock_budget(&principal.programme, &budget).await?;
    // Checked first, so that an account without permission does not learn which version is in
    // force.
    principal.admit(tx, act, person).await?;
    let currency = api.directory.latest_or_load(&principal.programme).await?.settings.currency;
    let now = tx.agreement_in_force(&principal.programme, &budget, currency).await?;
    let now = now.ok_or(UseCaseError::NotFound("list"))?;
    if now.version == change.version {
        change.apply_to(&now.list())
    } else {
        Err(UseCaseError::Conflict(format!("version {} is in force by now", now.version)))
    }
}

async fn read_change(
    Caller { api, principal, .. }: &Caller,
    person: &PersonId,
    change: &NewChange,
) -> Result<ParsedChange, ApiError> {
    change.check_bounds()?;
    let programme = api.programme(&principal.programme).await?;
    let words = check_words("words", change.words())?;
    let bought = shop_scopes(api, principal, person, change.bought(), &words).await?;
    change.read(programme.settings.currency, programme.rules.shops(), &bought)
}

struct Propose {
    person: PersonId,
    change: ParsedChange,
}

impl ApiAction for Propose {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let (person, change) = (&self.person, &self.change);
        let list = changed_list(tx, api, principal, person, change, Capability::Propose).await?;
        let request = change.proposing(list);
        let outcome = agreements::propose(tx, api.context(), principal, person, request).await?;
        Ok(ApiResponse::created(&ChangeOutcome::from(outcome)))
    }
}

/// Propose a change of the list
///
/// A change that the person decides alone starts at once, or after the waiting time that they
/// chose.
#[utoipa::path(
    post, path = "/people/{person}/proposals", tag = "agreement",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewChange,
    responses((status = 201, body = ChangeOutcome), Problems)
)]
async fn propose(
    ApiPost { caller, path: person, body }: ApiPost<String, NewChange>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let change = read_change(&caller, &person, &body).await?;
    caller.perform(Propose { person, change }).await
}

/// Proposals and drafts, the newest first
///
/// A draft is seen by its author, and by those who could propose it.
#[utoipa::path(
    get, path = "/people/{person}/proposals", tag = "agreement",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<ProposalBody>), Problems)
)]
async fn list_proposals(
    State(api): State<Api>,
    principal: Principal,
    ApiPath(person): ApiPath<String>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> Result<Json<Page<ProposalBody>>, ApiError> {
    let (page_size, before) = (query.page_size()?, query.parse_cursor()?);
    let currency = api.programme(&principal.programme).await?.settings.currency;
    let person = parse_id(&person, "person")?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeList, &person).await?;
    let (id, budget) = (&access.programme, &access.budget);
    let limit = page_size.saturating_add(1);
    let drafts_by = (!access.may(Capability::Propose)).then_some(&principal.member);
    let found = tx.proposals_before(id, budget, before, drafts_by, limit, currency).await?;
    tx.commit().await?;
    let key = |(proposal, _): &(Proposal, Vec<Consent>)| proposal.id.to_string();
    Ok(Json(Page::from_rows(found, page_size, key, |found| ProposalBody::of(found, &access))))
}

/// One proposal, with what would change in plain words
#[utoipa::path(
    get, path = "/people/{person}/proposals/{proposal}", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path)),
    responses((status = 200, body = ProposalInFull), Problems)
)]
async fn one_proposal(
    State(api): State<Api>,
    principal: Principal,
    ApiPath((person, proposal)): ApiPath<(String, String)>,
    _: ApiQuery<NoParameters>,
) -> Result<Json<ProposalInFull>, ApiError> {
    let (person, id) = (parse_id(&person, "person")?, parse_id(&proposal, "proposal")?);
    let programme = api.programme(&principal.programme).await?;
    let (mut tx, access) = api.begin_read(&principal, Capability::SeeList, &person).await?;
    let (currency, budget) = (programme.settings.currency, &access.budget);
    let found = tx.proposal(&access.programme, budget, id, currency).await?;
    // Proposing is consenting, so a proposal without any consent is a draft, even after it ended.
    let is_visible = |(proposal, consents): &(Proposal, Vec<Consent>)| {
        !consents.is_empty()
            || proposal.proposed_by == access.actor.member.id
            || access.may(Capability::Propose)
    };
    let found = found.filter(is_visible).ok_or(ApiError::NotFound("proposal"))?;
    let difference =
        agreements::proposed(&mut tx, &programme, &principal, &person, &found.0).await?;
    let before = tx.replaced_consents(&access.programme, budget, id).await?;
    let guide = current_guide(&mut tx, &access.programme).await?;
    tx.commit().await?;
    let term = |term| TermBody::of(term, &programme, &guide);
    let terms = found.0.list.terms.iter().map(term).collect();
    let kind = found.0.kind;
    let said = |consent| ConsentBody::of(consent, kind, &access);
    Ok(Json(ProposalInFull {
        proposal: ProposalBody::of(found, &access),
        said_before: before.into_iter().map(said).collect(),
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
    /// The parts that are agreed; left out: all. When the person says yes again after a waiting
    /// time, they can agree to fewer parts than before, but not to more; left out: the same parts.
    /// A no refuses all of it.
    #[schema(nullable = false)]
    parts: Option<Vec<String>>,
    session: NewSession,
    /// An optional explanation.
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

/// A change of a proposal.
struct ChangeProposal {
    person: PersonId,
    proposal: ProposalId,
    change: ProposalChange,
}

impl ApiAction for ChangeProposal {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let (person, id, change) = (&self.person, self.proposal, self.change.clone());
        let outcome =
            agreements::change_proposal(tx, api.context(), principal, person, id, change).await?;
        Ok(ApiResponse::ok(&ChangeOutcome::from(outcome)))
    }
}

/// Say yes or no to a change
///
/// A yes can become a no until the change starts. The same answer sent twice counts once; a
/// different one gets 409 with the existing answer.
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/answer", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = NewAnswerToChange, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn answer(
    ApiPost { caller, path: (person, id), body }: ApiPost<(String, String), NewAnswerToChange>,
) -> Result<Response, ApiError> {
    let (person, proposal) = (parse_id(&person, "person")?, parse_id(&id, "proposal")?);
    let change = ProposalChange::Answer(body.read()?);
    caller.perform(ChangeProposal { person, proposal, change }).await
}

struct CounterPropose {
    person: PersonId,
    proposal: ProposalId,
    change: ParsedChange,
}

impl ApiAction for CounterPropose {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let (person, change) = (&self.person, &self.change);
        let list = changed_list(tx, api, principal, person, change, Capability::Propose).await?;
        let (context, request) = (api.context(), change.proposing(list));
        let id = self.proposal;
        let outcome =
            agreements::counter_propose(tx, context, principal, person, id, request).await?;
        Ok(ApiResponse::created(&ChangeOutcome::from(outcome)))
    }
}

/// Answer a proposal with a counter-proposal
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/counter", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = NewChange, responses((status = 201, body = ChangeOutcome), Problems)
)]
async fn counter(
    ApiPost { caller, path: (person, proposal), body }: ApiPost<(String, String), NewChange>,
) -> Result<Response, ApiError> {
    let proposal = parse_id(&proposal, "proposal")?;
    let person = parse_id(&person, "person")?;
    let change = read_change(&caller, &person, &body).await?;
    caller.perform(CounterPropose { person, proposal, change }).await
}

/// The yes that the person gave in a meeting.
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
    ApiPost { caller, path: (person, id), body }: ApiPost<(String, String), NewWrittenConsent>,
) -> Result<Response, ApiError> {
    let (parts, session) = (term_keys(body.parts.as_ref())?, body.session.read()?);
    let (person, proposal) = (parse_id(&person, "person")?, parse_id(&id, "proposal")?);
    let change = ProposalChange::RecordInPersonYes { parts, session };
    caller.perform(ChangeProposal { person, proposal, change }).await
}

/// Confirm the yes that was written down for me
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/confirm", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyRequest, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn confirm(
    ApiPost { caller, path: (person, proposal), .. }: ApiPost<(String, String), EmptyRequest>,
) -> Result<Response, ApiError> {
    let (person, proposal) = (parse_id(&person, "person")?, parse_id(&proposal, "proposal")?);
    caller.perform(ChangeProposal { person, proposal, change: ProposalChange::Confirm }).await
}

/// Withdraw a proposal of one's own side, or one's own draft
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/withdraw", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = EmptyRequest, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn withdraw(
    ApiPost { caller, path: (person, proposal), .. }: ApiPost<(String, String), EmptyRequest>,
) -> Result<Response, ApiError> {
    let (person, proposal) = (parse_id(&person, "person")?, parse_id(&proposal, "proposal")?);
    caller.perform(ChangeProposal { person, proposal, change: ProposalChange::Withdraw }).await
}

struct SaveDraft {
    person: PersonId,
    change: ParsedChange,
}

impl ApiAction for SaveDraft {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let (person, change) = (&self.person, &self.change);
        let list = changed_list(tx, api, principal, person, change, Capability::Draft).await?;
        let draft = DraftRequest { list, words: change.words.clone() };
        let proposal = agreements::draft(tx, api.context(), principal, person, draft).await?;
        Ok(ApiResponse::created(&DraftBody { proposal: proposal.to_string() }))
    }
}

/// Save a draft, which nobody has to answer
#[utoipa::path(
    post, path = "/people/{person}/drafts", tag = "agreement",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewChange,
    responses((status = 201, body = DraftBody), Problems)
)]
async fn draft(
    ApiPost { caller, path: person, body }: ApiPost<String, NewChange>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let change = read_change(&caller, &person, &body).await?;
    caller.perform(SaveDraft { person, change }).await
}

/// How the one who takes up a draft agreed to it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TakenUp)]
struct NewDraftAdoption {
    session: NewSession,
}

struct AdoptDraft {
    person: PersonId,
    proposal: ProposalId,
    session: ConsentSession,
}

impl ApiAction for AdoptDraft {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let (parts, session) = (ConsentGranularity::Whole, self.session.clone());
        let (context, person, id) = (api.context(), &self.person, self.proposal);
        let outcome =
            agreements::adopt_draft(tx, context, principal, person, id, parts, session).await?;
        Ok(ApiResponse::ok(&ChangeOutcome::from(outcome)))
    }
}

/// Turn a draft into a proposal of one's own
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/take-up", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), IdempotencyKeyHeader),
    request_body = NewDraftAdoption, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn take_up(
    ApiPost { caller, path: (person, proposal), body }: ApiPost<(String, String), NewDraftAdoption>,
) -> Result<Response, ApiError> {
    let (person, proposal) = (parse_id(&person, "person")?, parse_id(&proposal, "proposal")?);
    let session = body.session.read()?;
    caller.perform(AdoptDraft { person, proposal, session }).await
}

struct RecordForcedChange {
    person: PersonId,
    change: ParsedChange,
}

impl ApiAction for RecordForcedChange {
    async fn run(&self, ActionContext { tx, api, principal }: ActionContext<'_>) -> ActionResult {
        let (person, change) = (&self.person, &self.change);
        let list = changed_list(tx, api, principal, person, change, Capability::SeeList).await?;
        let (words, session) = (change.words.clone(), change.session.clone());
        let request = LawRequest { list, words, session };
        let outcome = agreements::record_law(tx, api.context(), principal, person, request).await?;
        Ok(ApiResponse::created(&ChangeOutcome::from(outcome)))
    }
}

/// Record a change that a law forces
///
/// It starts once another human being, a manager, has said yes to it. It can only make a list
/// stricter.
#[utoipa::path(
    post, path = "/people/{person}/forced-changes", tag = "agreement",
    params(("person" = String, Path), IdempotencyKeyHeader), request_body = NewChange,
    responses((status = 201, body = ChangeOutcome), Problems)
)]
async fn force(
    ApiPost { caller, path: person, body }: ApiPost<String, NewChange>,
) -> Result<Response, ApiError> {
    let person = parse_id(&person, "person")?;
    let change = read_change(&caller, &person, &body).await?;
    caller.perform(RecordForcedChange { person, change }).await
}
