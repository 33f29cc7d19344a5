//! Changing a list: proposed by one, agreed by both, or by the person alone where it is theirs.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::agreement::TermBody;
use super::asked::{Asked, Nothing, Place, Sent, named};
use super::asks::{Plain, some_words};
use super::deed::{Deed, Done, act};
use super::document::{KeyHeader, Problems};
use super::guide::guide_now;
use super::proposed::{ChangeWanted, NewChange, NewSession, keys, wrong};
use super::shops::shops_of;
use super::shown::{Page, PageQuery};
use crate::domain::agreement::change::List;
use crate::domain::agreement::proposal::{Consent, Parts, Proposal, Said, Session, Side};
use crate::domain::id::{BudgetId, PersonId, ProposalId};
use crate::domain::people::role::Act;
use crate::messages::words::ChangeLine;
use crate::people::agreements;
use crate::people::agreements::{Answering, Desk, Draft, Next, Outcome};
use crate::people::members::{ActError, Acting};
use crate::store::Tx;
use crate::web::Edge;
use crate::web::problem::ApiError;

pub(super) fn router() -> OpenApiRouter<Edge> {
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

pub(super) fn desk(api: &Api) -> Desk<'_> {
    Desk { directory: &api.directory, ids: &api.ids }
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

impl From<Outcome> for ChangeOutcome {
    fn from(outcome: Outcome) -> Self {
        let body = |next| Self {
            proposal: outcome.proposal.to_string(),
            next,
            waits_for: Vec::new(),
            from: None,
            version: None,
        };
        match outcome.next {
            Next::Waits(sides) => {
                let waits_for = sides.into_iter().map(Side::word).collect();
                Self { waits_for, ..body("waits") }
            }
            Next::Cools(from) => Self { from: Some(from.to_string()), ..body("cools") },
            Next::Started(version) => Self { version: Some(version), ..body("started") },
            Next::Ended(_) => body("ended"),
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
    fn of((proposal, consents): (Proposal, Vec<Consent>), acting: &Acting) -> Self {
        Self {
            proposal: proposal.id.to_string(),
            kind: proposal.kind.word(),
            changes_version: proposal.base_version,
            state: proposal.state_at(acting.at).word(),
            words: proposal.words,
            in_parts: proposal.parts == Parts::Parts,
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
    lines: Vec<LineBody>,
    terms: Vec<TermBody>,
}

/// One line of what changes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineBody {
    /// The part of the list, as answers name it.
    part: String,
    about: String,
    now: String,
    new: String,
    /// `more`, `less`, `same` or `other`.
    way: &'static str,
    way_words: String,
}

impl From<ChangeLine> for LineBody {
    fn from(line: ChangeLine) -> Self {
        let ChangeLine { key, about, now, new, way, way_text } = line;
        Self { part: key.to_string(), about, now, new, way, way_words: way_text }
    }
}

/// What is done with a next list.
enum Move {
    Propose(ChangeWanted),
    Counter(ProposalId, ChangeWanted),
    Draft(ChangeWanted),
    Force(ChangeWanted),
    TakeUp(ProposalId, Session),
    Answer(ProposalId, Answering),
    WriteDown(ProposalId, Answering),
    Confirm(ProposalId),
    Withdraw(ProposalId),
}

struct MoveList {
    person: PersonId,
    to: Move,
}

impl Deed for MoveList {
    async fn run(&self, tx: &mut Tx, api: &Api, acting: &Acting) -> Result<Done, ActError> {
        let Self { person, to } = self;
        let desk = desk(api);
        let outcome = match to {
            Move::Propose(wanted) => {
                let new =
                    wanted.proposing(changed(tx, api, acting, person, wanted, Act::Propose).await?);
                agreements::propose(tx, desk, acting, person, new).await?
            }
            Move::Counter(id, wanted) => {
                let new =
                    wanted.proposing(changed(tx, api, acting, person, wanted, Act::Propose).await?);
                agreements::counter(tx, desk, acting, person, *id, new).await?
            }
            Move::Force(wanted) => {
                let new =
                    wanted.proposing(changed(tx, api, acting, person, wanted, Act::SeeList).await?);
                agreements::force(tx, desk, acting, person, new).await?
            }
            Move::Draft(wanted) => {
                let list = changed(tx, api, acting, person, wanted, Act::Draft).await?;
                let draft = Draft { list, words: wanted.words.clone() };
                let proposal = agreements::draft(tx, desk, acting, person, draft).await?;
                return Ok(Done::created(&Drafted { proposal: proposal.to_string() }));
            }
            Move::TakeUp(id, session) => {
                let (parts, session) = (Parts::Whole, session.clone());
                agreements::take_up(tx, desk, acting, person, *id, parts, session).await?
            }
            Move::Answer(id, answering) => {
                agreements::answer(tx, desk, acting, person, *id, answering.clone()).await?
            }
            Move::WriteDown(id, Answering { parts, session, .. }) => {
                let (parts, session) = (parts.clone(), session.clone());
                agreements::write_down(tx, desk, acting, person, *id, parts, session).await?
            }
            Move::Confirm(id) => agreements::confirm(tx, desk, acting, person, *id).await?,
            Move::Withdraw(id) => agreements::withdraw(tx, desk, acting, person, *id).await?,
        };
        let body = ChangeOutcome::from(outcome);
        let is_new = matches!(to, Move::Propose(_) | Move::Counter(..) | Move::Force(_));
        Ok(if is_new { Done::created(&body) } else { Done::ok(&body) })
    }
}

/// The list that is wanted, made from the list in force: under the lock, so that it is still that.
async fn changed(
    tx: &mut Tx,
    api: &Api,
    acting: &Acting,
    person: &PersonId,
    wanted: &ChangeWanted,
    act: Act,
) -> Result<List, ActError> {
    let budget = BudgetId::of(person);
    tx.lock_budget(&acting.programme, &budget).await?;
    // Whoever may not do it does not learn which version is in force.
    acting.admit(tx, act, person).await?;
    let currency = api.directory.at_hand(&acting.programme).await?.settings.currency;
    let now = tx.agreement_in_force(&acting.programme, &budget, currency).await?;
    let now = now.ok_or(ActError::NotThere("list"))?;
    if now.version == wanted.version {
        wanted.of(&now.list())
    } else {
        Err(ActError::Conflict(format!("version {} is in force by now", now.version)))
    }
}

async fn move_list(
    api: &Api,
    acting: Acting,
    person: &str,
    key: super::asked::Key,
    to: Move,
) -> Result<Response, ApiError> {
    let person = named(person, "person")?;
    act(api, acting, key, MoveList { person, to }).await
}

async fn wanted(
    api: &Api,
    acting: &Acting,
    person: &str,
    change: &NewChange,
) -> Result<ChangeWanted, ApiError> {
    change.is_bounded()?;
    let programme = api.programme(&acting.programme).await?;
    let bought = shops_of(api, acting, person, change.bought()).await?;
    change.read(programme.settings.currency, programme.rules.shops(), &bought)
}

/// A draft that was kept.
#[derive(Debug, Serialize, ToSchema)]
struct Drafted {
    proposal: String,
}

/// Propose a change of the list
///
/// What is the person's own starts at once, or when their own time to wait has passed.
#[utoipa::path(
    post, path = "/people/{person}/proposals", tag = "agreement",
    params(("person" = String, Path), KeyHeader), request_body = NewChange,
    responses((status = 201, body = ChangeOutcome), Problems)
)]
async fn propose(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    _: Asked<Nothing>,
    Sent { key, body }: Sent<NewChange>,
) -> Result<Response, ApiError> {
    let wanted = wanted(&api, &acting, &person, &body).await?;
    move_list(&api, acting, &person, key, Move::Propose(wanted)).await
}

/// Proposals and drafts, the newest first
#[utoipa::path(
    get, path = "/people/{person}/proposals", tag = "agreement",
    params(("person" = String, Path), PageQuery),
    responses((status = 200, body = Page<ProposalBody>), Problems)
)]
async fn list_proposals(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<Page<ProposalBody>>, ApiError> {
    let (wanted, before) = (query.wanted()?, query.after()?);
    let currency = api.programme(&acting.programme).await?.settings.currency;
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeeList, &named(&person, "person")?).await?;
    let (id, budget) = (&admitted.programme, &admitted.budget);
    let most = wanted.saturating_add(1);
    let found = tx.proposals_before(id, budget, before, most, currency).await?;
    tx.commit().await?;
    let key = |(proposal, _): &(Proposal, Vec<Consent>)| proposal.id.to_string();
    Ok(Json(Page::of(found, wanted, key, |found| ProposalBody::of(found, &acting))))
}

/// One proposal: what would change, in plain words
#[utoipa::path(
    get, path = "/people/{person}/proposals/{proposal}", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path)),
    responses((status = 200, body = ProposalInFull), Problems)
)]
async fn one_proposal(
    State(api): State<Api>,
    acting: Acting,
    Place((person, proposal)): Place<(String, String)>,
    _: Asked<Nothing>,
) -> Result<Json<ProposalInFull>, ApiError> {
    let (person, id) = (named(&person, "person")?, named(&proposal, "proposal")?);
    let programme = api.programme(&acting.programme).await?;
    let mut tx = api.store.snapshot().await?;
    let admitted = acting.see(&mut tx, Act::SeeList, &person).await?;
    let (currency, budget) = (programme.settings.currency, &admitted.budget);
    let found = tx.proposal(&admitted.programme, budget, id, currency).await?;
    let found = found.ok_or(ApiError::NotFound("proposal"))?;
    let difference = agreements::proposed(&mut tx, &programme, &acting, &person, &found.0).await?;
    let before = tx.replaced_consents(&admitted.programme, budget, id).await?;
    let guide = guide_now(&mut tx, &admitted.programme).await?;
    tx.commit().await?;
    let term = |term| TermBody::of(term, &programme, &guide);
    let terms = found.0.list.terms.iter().map(term).collect();
    Ok(Json(ProposalInFull {
        proposal: ProposalBody::of(found, &acting),
        said_before: before.into_iter().map(ConsentBody::from).collect(),
        lines: difference.lines.into_iter().map(LineBody::from).collect(),
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
    fn read(&self) -> Result<Answering, ApiError> {
        let said = Said::from_word(&self.say);
        Ok(Answering {
            said: said.ok_or_else(|| wrong("say", "say yes or no"))?,
            parts: keys(self.parts.as_ref())?,
            session: self.session.read()?,
            words: some_words(self.words.as_deref())?.unwrap_or_default(),
        })
    }
}

/// Say yes or no to a change
///
/// A yes can become a no until the change starts. The same answer sent twice is one answer; another one
/// gets 409, with the answer that stands.
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/answer", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), KeyHeader),
    request_body = NewAnswerToChange, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn answer(
    State(api): State<Api>,
    acting: Acting,
    Place((person, proposal)): Place<(String, String)>,
    _: Asked<Nothing>,
    Sent { key, body }: Sent<NewAnswerToChange>,
) -> Result<Response, ApiError> {
    let to = Move::Answer(named(&proposal, "proposal")?, body.read()?);
    move_list(&api, acting, &person, key, to).await
}

/// Answer a proposal with another one
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/counter", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), KeyHeader),
    request_body = NewChange, responses((status = 201, body = ChangeOutcome), Problems)
)]
async fn counter(
    State(api): State<Api>,
    acting: Acting,
    Place((person, proposal)): Place<(String, String)>,
    _: Asked<Nothing>,
    Sent { key, body }: Sent<NewChange>,
) -> Result<Response, ApiError> {
    let id = named(&proposal, "proposal")?;
    let wanted = wanted(&api, &acting, &person, &body).await?;
    move_list(&api, acting, &person, key, Move::Counter(id, wanted)).await
}

/// What the person said when they were together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WrittenDown {
    #[schema(nullable = false)]
    parts: Option<Vec<String>>,
    session: NewSession,
}

/// Write down the person's yes, for them to confirm
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/written-down", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), KeyHeader),
    request_body = WrittenDown, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn write_down(
    State(api): State<Api>,
    acting: Acting,
    Place((person, proposal)): Place<(String, String)>,
    _: Asked<Nothing>,
    Sent { key, body }: Sent<WrittenDown>,
) -> Result<Response, ApiError> {
    let answering = Answering {
        said: Said::Yes,
        parts: keys(body.parts.as_ref())?,
        session: body.session.read()?,
        words: String::new(),
    };
    let to = Move::WriteDown(named(&proposal, "proposal")?, answering);
    move_list(&api, acting, &person, key, to).await
}

/// Confirm what was written down for me
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/confirm", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), KeyHeader),
    request_body = Plain, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn confirm(
    State(api): State<Api>,
    acting: Acting,
    Place((person, proposal)): Place<(String, String)>,
    _: Asked<Nothing>,
    Sent { key, body: Plain {} }: Sent<Plain>,
) -> Result<Response, ApiError> {
    let to = Move::Confirm(named(&proposal, "proposal")?);
    move_list(&api, acting, &person, key, to).await
}

/// Take back what one's own side proposed, or one's own draft
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/withdraw", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), KeyHeader),
    request_body = Plain, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn withdraw(
    State(api): State<Api>,
    acting: Acting,
    Place((person, proposal)): Place<(String, String)>,
    _: Asked<Nothing>,
    Sent { key, body: Plain {} }: Sent<Plain>,
) -> Result<Response, ApiError> {
    let to = Move::Withdraw(named(&proposal, "proposal")?);
    move_list(&api, acting, &person, key, to).await
}

/// Keep a draft that nobody is asked about
#[utoipa::path(
    post, path = "/people/{person}/drafts", tag = "agreement",
    params(("person" = String, Path), KeyHeader), request_body = NewChange,
    responses((status = 201, body = Drafted), Problems)
)]
async fn draft(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    _: Asked<Nothing>,
    Sent { key, body }: Sent<NewChange>,
) -> Result<Response, ApiError> {
    let wanted = wanted(&api, &acting, &person, &body).await?;
    move_list(&api, acting, &person, key, Move::Draft(wanted)).await
}

/// How a draft is made one's own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TakenUp {
    session: NewSession,
}

/// Make a draft a proposal of one's own
#[utoipa::path(
    post, path = "/people/{person}/proposals/{proposal}/take-up", tag = "agreement",
    params(("person" = String, Path), ("proposal" = String, Path), KeyHeader),
    request_body = TakenUp, responses((status = 200, body = ChangeOutcome), Problems)
)]
async fn take_up(
    State(api): State<Api>,
    acting: Acting,
    Place((person, proposal)): Place<(String, String)>,
    _: Asked<Nothing>,
    Sent { key, body }: Sent<TakenUp>,
) -> Result<Response, ApiError> {
    let to = Move::TakeUp(named(&proposal, "proposal")?, body.session.read()?);
    move_list(&api, acting, &person, key, to).await
}

/// Record what a law forces
///
/// It starts when another human being, a manager, has said yes to it. It can only make a list stricter.
#[utoipa::path(
    post, path = "/people/{person}/forced-changes", tag = "agreement",
    params(("person" = String, Path), KeyHeader), request_body = NewChange,
    responses((status = 201, body = ChangeOutcome), Problems)
)]
async fn force(
    State(api): State<Api>,
    acting: Acting,
    Place(person): Place<String>,
    _: Asked<Nothing>,
    Sent { key, body }: Sent<NewChange>,
) -> Result<Response, ApiError> {
    let wanted = wanted(&api, &acting, &person, &body).await?;
    move_list(&api, acting, &person, key, Move::Force(wanted)).await
}
