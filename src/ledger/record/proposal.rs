//! Stored rows of proposals and of the consents to them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::agreement::{
    PotPlanRecord, hours_from_text, hours_text, limits_from_text, limits_text, pot_plan, pot_record,
};
use super::column::ColumnValue;
use super::row::{ColumnKind, CorruptRow, RowReader, Value};
use super::table::{Record, record};
use crate::domain::agreement::change::{List, TermKey};
use crate::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentChannel, ConsentGranularity, ConsentSession, ConsentSide,
    Proposal, ProposalKind, ProposalState,
};
use crate::domain::agreement::{Decider, Term, TermAnswer, TermDraft};
use crate::domain::id::{BudgetId, HumanId, MemberId, ProgrammeId, ProposalId};
use crate::domain::money::Currency;

record! {
    /// A proposal. Its state is updated.
    pub struct ProposalRow in "proposal" key(programme_id, budget_id, proposal_id) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        proposal_id: ProposalId,
        kind: ProposalKind,
        base_version: u32,
        /// In the form of [`list_text`].
        list: String,
        words: String,
        answers: Option<ProposalId>,
        parts: ConsentGranularity,
        state: ProposalState,
        proposed_by: MemberId,
        proposed_at: Timestamp,
        not_before: Timestamp,
        open_until: Timestamp,
        ended_at: Option<Timestamp>,
        version: Option<u32>,
    }
}

record! {
    /// The consent of one side to a proposal.
    pub struct ConsentRow in "consent" key(programme_id, budget_id, proposal_id, side) {
        programme_id: ProgrammeId,
        budget_id: BudgetId,
        pub proposal_id: ProposalId,
        side: ConsentSide,
        member_id: MemberId,
        human_id: HumanId,
        answer: ConsentAnswer,
        parts: Option<BTreeSet<TermKey>>,
        how: ConsentChannel,
        place: String,
        minutes: u32,
        present: String,
        confirmed_at: Option<Timestamp>,
        said_at: Timestamp,
        words: String,
    }
}

/// Stored as one text with a space between two keys.
impl ColumnValue for BTreeSet<TermKey> {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        self.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ").into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.word(|keys| keys.split_ascii_whitespace().map(|key| key.parse().ok()).collect())
    }
}

#[derive(Serialize, Deserialize)]
struct ListRecord {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
    terms: Vec<TermRecord>,
    pots: Vec<PotPlanRecord>,
}

#[derive(Serialize, Deserialize)]
struct TermRecord {
    on: String,
    answer: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    limits: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hours: Option<String>,
    decides: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    review_on: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cooling_days: Option<u32>,
}

/// The stored form of a list, as JSON.
pub fn list_text(list: &List) -> String {
    let term = |term: &Term| TermRecord {
        on: term.scope().to_string(),
        answer: term.answer().word().to_owned(),
        limits: limits_text(term.limits()),
        hours: term.hours().map(hours_text),
        decides: term.decides().word().to_owned(),
        reason: term.reason().map(str::to_owned),
        review_on: term.review_on(),
        cooling_days: term.cooling_days(),
    };
    let record = ListRecord {
        partial: list.partial,
        terms: list.terms.iter().map(term).collect(),
        pots: list.pots.iter().map(pot_record).collect(),
    };
    // A struct of strings and numbers always serialises.
    serde_json::to_string(&record).unwrap_or_default()
}

/// Parses a stored list.
pub fn list_from_text(text: &str, currency: Currency) -> Option<List> {
    let record: ListRecord = serde_json::from_str(text).ok()?;
    let term = |record: TermRecord| {
        let hours = match record.hours {
            Some(hours) => Some(hours_from_text(&hours)?),
            None => None,
        };
        Term::new(TermDraft {
            scope: record.on.parse().ok()?,
            answer: TermAnswer::from_word(&record.answer)?,
            limits: limits_from_text(&record.limits, currency)?,
            hours,
            decides: Decider::from_word(&record.decides)?,
            reason: record.reason,
            review_on: record.review_on,
            cooling_days: record.cooling_days,
        })
        .ok()
    };
    Some(List {
        partial: record.partial,
        terms: record.terms.into_iter().map(term).collect::<Option<_>>()?,
        pots: record.pots.into_iter().map(|pot| pot_plan(pot, currency)).collect::<Option<_>>()?,
    })
}

impl ProposalRow {
    /// The row of `proposal`.
    pub fn new(programme: &ProgrammeId, proposal: &Proposal) -> Self {
        Self {
            programme_id: programme.clone(),
            budget_id: proposal.budget.clone(),
            proposal_id: proposal.id,
            kind: proposal.kind,
            base_version: proposal.base_version,
            list: list_text(&proposal.list),
            words: proposal.words.clone(),
            answers: proposal.answers,
            parts: proposal.parts,
            state: proposal.state,
            proposed_by: proposal.proposed_by.clone(),
            proposed_at: proposal.proposed_at,
            not_before: proposal.not_before,
            open_until: proposal.open_until,
            ended_at: proposal.ended_at,
            version: proposal.version,
        }
    }

    /// The proposal.
    pub fn proposal(self, currency: Currency) -> Result<Proposal, CorruptRow> {
        let list = list_from_text(&self.list, currency).ok_or_else(|| self.corrupt("list"))?;
        Ok(Proposal {
            id: self.proposal_id,
            budget: self.budget_id,
            kind: self.kind,
            base_version: self.base_version,
            list,
            words: self.words,
            answers: self.answers,
            parts: self.parts,
            state: self.state,
            proposed_by: self.proposed_by,
            proposed_at: self.proposed_at,
            not_before: self.not_before,
            open_until: self.open_until,
            ended_at: self.ended_at,
            version: self.version,
        })
    }
}

impl ConsentRow {
    /// The row of `consent` to `proposal`.
    pub fn new(programme: &ProgrammeId, proposal: &Proposal, consent: &Consent) -> Self {
        let ConsentSession { how, place, minutes, present } = consent.session.clone();
        Self {
            programme_id: programme.clone(),
            budget_id: proposal.budget.clone(),
            proposal_id: proposal.id,
            side: consent.side,
            member_id: consent.member.clone(),
            human_id: consent.human.clone(),
            answer: consent.said,
            parts: consent.parts.clone(),
            how,
            place,
            minutes,
            present,
            confirmed_at: consent.confirmed_at,
            said_at: consent.said_at,
            words: consent.words.clone(),
        }
    }
}

impl From<ConsentRow> for Consent {
    fn from(row: ConsentRow) -> Self {
        Self {
            side: row.side,
            member: row.member_id,
            human: row.human_id,
            said: row.answer,
            parts: row.parts,
            session: ConsentSession {
                how: row.how,
                place: row.place,
                minutes: row.minutes,
                present: row.present,
            },
            words: row.words,
            confirmed_at: row.confirmed_at,
            said_at: row.said_at,
        }
    }
}
