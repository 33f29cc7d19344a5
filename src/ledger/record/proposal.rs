//! Stored rows of proposals and of the consents to them.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::agreement::{
    PotPlanRecord, hours_from_text, hours_text, limits_from_text, limits_text, pot_plan, pot_record,
};
use super::row::{CorruptRow, RowReader, Table, Value, columns, text_value};
use crate::domain::agreement::change::{List, TermKey};
use crate::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentChannel, ConsentGranularity, ConsentSession, ConsentSide,
    Proposal, ProposalKind, ProposalState,
};
use crate::domain::agreement::{Decider, Term, TermAnswer, TermDraft};
use crate::domain::id::{ProgrammeId, ProposalId};
use crate::domain::money::Currency;

/// One row per proposal. Its state is updated.
pub const PROPOSAL: Table = Table {
    name: "proposal",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "proposal_id", Text "kind",
        Number "base_version", Text "list", Text "words", Text "answers", Text "parts",
        Text "state", Text "proposed_by", Number "proposed_at", Number "not_before",
        Number "open_until", Number "ended_at", Number "version",
    ],
};

/// One row per proposal and consenting side.
pub const CONSENT: Table = Table {
    name: "consent",
    columns: columns![
        Key "programme_id", Key "budget_id", Key "proposal_id", Key "side", Text "member_id",
        Text "human_id", Text "answer", Text "parts", Text "how", Text "place", Number "minutes",
        Text "present", Number "confirmed_at", Number "said_at", Text "words",
    ],
};

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

/// The row of a proposal.
pub fn proposal_row(programme: &ProgrammeId, proposal: &Proposal) -> Vec<Value> {
    vec![
        text_value(programme),
        text_value(&proposal.budget),
        text_value(proposal.id),
        proposal.kind.word().into(),
        proposal.base_version.into(),
        list_text(&proposal.list).into(),
        proposal.words.as_str().into(),
        proposal.answers.map(|id| id.to_string()).into(),
        proposal.parts.word().into(),
        proposal.state.word().into(),
        text_value(&proposal.proposed_by),
        proposal.proposed_at.into(),
        proposal.not_before.into(),
        proposal.open_until.into(),
        proposal.ended_at.into(),
        proposal.version.into(),
    ]
}

/// Parses a proposal.
pub fn read_proposal(row: &[Value], currency: Currency) -> Result<Proposal, CorruptRow> {
    let mut reader = RowReader::new(&PROPOSAL, row);
    reader.skip(); // the programme
    let budget = reader.parsed()?;
    Ok(Proposal {
        budget,
        id: reader.parsed()?,
        kind: reader.word(ProposalKind::from_word)?,
        base_version: reader.integer()?,
        list: reader.word(|text| list_from_text(text, currency))?,
        words: reader.text()?.to_owned(),
        answers: reader.optional(RowReader::parsed)?,
        parts: reader.word(ConsentGranularity::from_word)?,
        state: reader.word(ProposalState::from_word)?,
        proposed_by: reader.parsed()?,
        proposed_at: reader.instant()?,
        not_before: reader.instant()?,
        open_until: reader.instant()?,
        ended_at: reader.optional(RowReader::instant)?,
        version: reader.optional(RowReader::integer)?,
    })
}

/// The row of a consent to a proposal.
pub fn consent_row(programme: &ProgrammeId, proposal: &Proposal, consent: &Consent) -> Vec<Value> {
    let parts = consent.parts.as_ref().map(|parts| {
        let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
        parts.join(" ")
    });
    vec![
        text_value(programme),
        text_value(&proposal.budget),
        text_value(proposal.id),
        consent.side.word().into(),
        text_value(&consent.member),
        text_value(&consent.human),
        consent.said.word().into(),
        parts.into(),
        consent.session.how.word().into(),
        consent.session.place.as_str().into(),
        consent.session.minutes.into(),
        consent.session.present.as_str().into(),
        consent.confirmed_at.into(),
        consent.said_at.into(),
        consent.words.as_str().into(),
    ]
}

/// Parses a consent, with the proposal that it is about.
pub fn read_consent(row: &[Value]) -> Result<(ProposalId, Consent), CorruptRow> {
    let mut reader = RowReader::new(&CONSENT, row);
    reader.skip(); // the programme
    reader.skip(); // the budget
    let proposal = reader.parsed()?;
    let parts = |text: &str| {
        text.split_ascii_whitespace()
            .map(|part| part.parse::<TermKey>().ok())
            .collect::<Option<_>>()
    };
    Ok((
        proposal,
        Consent {
            side: reader.word(ConsentSide::from_word)?,
            member: reader.parsed()?,
            human: reader.parsed()?,
            said: reader.word(ConsentAnswer::from_word)?,
            parts: reader.optional(|r| r.word::<BTreeSet<TermKey>>(parts))?,
            session: ConsentSession {
                how: reader.word(ConsentChannel::from_word)?,
                place: reader.text()?.to_owned(),
                minutes: reader.integer()?,
                present: reader.text()?.to_owned(),
            },
            confirmed_at: reader.optional(RowReader::instant)?,
            said_at: reader.instant()?,
            words: reader.text()?.to_owned(),
        },
    ))
}
