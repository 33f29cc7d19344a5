//! Response bodies for proposals, drafts and the changes that they make to a list.

use serde::Serialize;
use utoipa::ToSchema;

use super::agreement::TermBody;
use crate::domain::agreement::change::ChangeDirection;
use crate::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentChannel, ConsentGranularity, ConsentSide, Proposal,
    ProposalKind, ProposalState,
};
use crate::domain::people::role::Role;
use crate::messages::words::ChangeLine;
use crate::people::agreements::{ProposalProgress, ProposalStage};
use crate::people::members::GrantedAccess;

/// What happens next to a proposal.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ProposalNext {
    /// A yes is missing.
    Waits,
    /// The waiting time runs.
    Cools,
    Started,
    Ended,
}

/// The state of a proposal after a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ChangeOutcome {
    proposal: String,
    /// `waits`: for a yes; `cools`: the waiting time runs.
    next: ProposalNext,
    /// The sides whose yes is missing.
    waits_for: Vec<ConsentSide>,
    /// The earliest moment at which the person can say yes again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, format = "date-time")]
    from: Option<String>,
    /// The version that came into force.
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
                let waits_for = sides.into_iter().collect();
                Self { waits_for, ..body(ProposalNext::Waits) }
            }
            ProposalStage::CoolingOff(from) => {
                Self { from: Some(from.to_string()), ..body(ProposalNext::Cools) }
            }
            ProposalStage::Started(version) => {
                Self { version: Some(version), ..body(ProposalNext::Started) }
            }
            ProposalStage::Ended(_) => body(ProposalNext::Ended),
        }
    }
}

/// A proposed next version of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProposalBody {
    proposal: String,
    kind: ProposalKind,
    /// The version that it changes.
    changes_version: u32,
    /// The reason. Empty for others than the person if the person decides it alone.
    words: String,
    state: ProposalState,
    /// Whether a part of it can be agreed.
    in_parts: bool,
    proposed_by: String,
    #[schema(format = "date-time")]
    proposed_at: String,
    /// The earliest start, because the person chose a waiting time.
    #[schema(format = "date-time")]
    not_before: String,
    /// If nobody answers by then, nothing changes.
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

/// The answer of one side.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConsentBody {
    side: ConsentSide,
    by: String,
    said: ConsentAnswer,
    how: ConsentChannel,
    place: String,
    minutes: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    present: String,
    /// The words that came with the answer.
    #[serde(skip_serializing_if = "String::is_empty")]
    words: String,
    /// The parts that were agreed, if not all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parts: Option<Vec<String>>,
    /// Whether it counts. An answer that was written down for the person counts once they confirm
    /// it.
    confirmed: bool,
    #[schema(format = "date-time")]
    at: String,
}

/// Whether the reasons of proposals of `kind` are kept from this account: nobody else has to weigh
/// what the person decides alone.
const fn hides_reasons(kind: ProposalKind, access: &GrantedAccess) -> bool {
    matches!(kind, ProposalKind::Own) && !matches!(access.actor.member.role, Role::Person)
}

impl ConsentBody {
    /// A consent to a proposal of `kind`.
    pub(super) fn of(consent: Consent, kind: ProposalKind, access: &GrantedAccess) -> Self {
        let words = if hides_reasons(kind, access) { String::new() } else { consent.words };
        let parts = consent.parts.map(|parts| parts.iter().map(ToString::to_string).collect());
        Self {
            side: consent.side,
            by: consent.member.to_string(),
            said: consent.said,
            how: consent.session.how,
            place: consent.session.place,
            minutes: consent.session.minutes,
            present: consent.session.present,
            words,
            parts,
            confirmed: consent.confirmed_at.is_some(),
            at: consent.said_at.to_string(),
        }
    }
}

impl ProposalBody {
    pub(super) fn of(
        (proposal, consents): (Proposal, Vec<Consent>),
        access: &GrantedAccess,
    ) -> Self {
        let (state, kind) = (proposal.state_at(access.at), proposal.kind);
        let words = if hides_reasons(kind, access) { String::new() } else { proposal.words };
        let said = |consent| ConsentBody::of(consent, kind, access);
        Self {
            proposal: proposal.id.to_string(),
            kind,
            changes_version: proposal.base_version,
            state,
            words,
            in_parts: proposal.parts == ConsentGranularity::Parts,
            proposed_by: proposal.proposed_by.to_string(),
            proposed_at: proposal.proposed_at.to_string(),
            not_before: proposal.not_before.to_string(),
            open_until: proposal.open_until.to_string(),
            answers: proposal.answers.map(|id| id.to_string()),
            version: proposal.version,
            said: consents.into_iter().map(said).collect(),
        }
    }
}

/// A proposal with all answers and changes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProposalInFull {
    #[serde(flatten)]
    pub(super) proposal: ProposalBody,
    /// Earlier answers that the side has since replaced.
    pub(super) said_before: Vec<ConsentBody>,
    /// What would change, in plain words.
    pub(super) lines: Vec<ChangeLineBody>,
    pub(super) terms: Vec<TermBody>,
}

/// One changed line of the list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LineBody)]
pub(super) struct ChangeLineBody {
    /// The part of the list, as answers name it in `parts`.
    part: String,
    about: String,
    now: String,
    new: String,
    /// The direction of the change for the person.
    way: ChangeDirection,
    way_words: String,
}

impl From<ChangeLine> for ChangeLineBody {
    fn from(line: ChangeLine) -> Self {
        let ChangeLine { key, about, now, new, way, way_text } = line;
        Self { part: key.to_string(), about, now, new, way, way_words: way_text }
    }
}

/// A saved draft.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drafted)]
pub(super) struct DraftBody {
    pub(super) proposal: String,
}
