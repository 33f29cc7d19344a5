//! Stored rows of agreements, their terms and their pots.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::row::{
    CanonicalHasher, CorruptRow, Digest, RowReader, Table, Value, columns, text_value,
};
use crate::domain::agreement::{Agreement, Decider, Hours, Scope, Term, TermAnswer, TermDraft};
use crate::domain::id::{BudgetId, ProgrammeId};
use crate::domain::money::limit::Limit;
use crate::domain::money::{Currency, Money};
use crate::domain::pot::PotPlan;
use crate::domain::pot::release::{ReleaseInterval, ReleaseSchedule};
use crate::domain::shop::merchant::Category;
use crate::domain::time::period::Period;

/// One row per agreement version. Immutable.
pub const AGREEMENT: Table = Table {
    name: "agreement",
    columns: columns![
        Key "programme_id", Key "budget_id", Number "version", Text "agreed_on", Text "agreed_by",
        Text "how", Text "partial", Text "pots", Number "started_at",
    ],
};

/// One row per term of a version. Immutable.
pub const TERM: Table = Table {
    name: "term",
    columns: columns![
        Key "programme_id", Key "budget_id", Number "version", Number "position", Text "scope",
        Text "answer", Text "limits", Text "hours", Text "decides", Text "reason",
        Text "review_on", Number "cooling_days",
    ],
};

#[derive(Serialize, Deserialize)]
pub(super) struct PotPlanRecord {
    id: String,
    stream: String,
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    emergency: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<ReleaseRecord>,
}

#[derive(Serialize, Deserialize)]
struct ReleaseRecord {
    #[serde(default, skip_serializing_if = "is_nothing")]
    at_once: i64,
    amount: i64,
    every: String,
    from: Date,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes what it skips by reference")]
const fn is_nothing(minor: &i64) -> bool {
    *minor == 0
}

/// The row of one version, and the rows of its terms.
pub fn agreement_rows(
    programme: &ProgrammeId,
    agreement: &Agreement,
    started_at: jiff::Timestamp,
) -> (Vec<Value>, Vec<Vec<Value>>) {
    let pots: Vec<_> = agreement.pots.iter().map(pot_record).collect();
    let row = vec![
        text_value(programme),
        text_value(&agreement.budget),
        agreement.version.into(),
        text_value(agreement.agreed_on),
        agreement.agreed_by.join("\n").into(),
        agreement.how.as_str().into(),
        if agreement.partial { "yes" } else { "no" }.into(),
        serde_json::to_string(&pots).unwrap_or_default().into(),
        started_at.into(),
    ];
    let terms = (0_i64..).zip(&agreement.terms).map(|(position, term)| {
        vec![
            text_value(programme),
            text_value(&agreement.budget),
            agreement.version.into(),
            position.into(),
            text_value(term.scope()),
            term.answer().word().into(),
            limits_text(term.limits()).into(),
            term.hours().map(hours_text).into(),
            term.decides().word().into(),
            term.reason().into(),
            term.review_on().map(|date| date.to_string()).into(),
            term.cooling_days().into(),
        ]
    });
    (row, terms.collect())
}

/// Parses one version from its row and the rows of its terms, in order.
pub fn read_agreement(
    row: &[Value],
    terms: &[Vec<Value>],
    currency: Currency,
) -> Result<Agreement, CorruptRow> {
    let mut reader = RowReader::new(&AGREEMENT, row);
    let _programme: ProgrammeId = reader.parsed()?;
    let budget: BudgetId = reader.parsed()?;
    let version = reader.integer()?;
    let agreed_on = reader.date()?;
    let agreed_by = exact(reader.text()?.lines().map(str::to_owned).collect());
    let how = reader.text()?.to_owned();
    let partial = reader.word(|word| match word {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    })?;
    let pots = exact(reader.word(|text| pots_from_text(text, currency))?);
    let terms = terms.iter().map(|row| read_term(row, currency)).collect::<Result<_, _>>()?;
    let terms = exact(terms);
    Ok(Agreement { budget, version, agreed_on, agreed_by, how, partial, terms, pots })
}

fn read_term(row: &[Value], currency: Currency) -> Result<Term, CorruptRow> {
    let mut reader = RowReader::new(&TERM, row);
    let _programme: ProgrammeId = reader.parsed()?;
    let _budget: BudgetId = reader.parsed()?;
    let _version = reader.number()?;
    let _position = reader.number()?;
    let scope: Scope = reader.parsed()?;
    let draft = TermDraft {
        scope,
        answer: reader.word(TermAnswer::from_word)?,
        limits: exact(reader.word(|text| limits_from_text(text, currency))?),
        hours: reader.optional(|r| r.word(hours_from_text))?,
        decides: reader.word(Decider::from_word)?,
        reason: reader.optional(RowReader::text)?.map(str::to_owned),
        review_on: reader.optional(RowReader::date)?,
        cooling_days: reader.optional(RowReader::integer)?,
    };
    Term::new(draft).map_err(|_| reader.corrupt())
}

/// Drops spare capacity, because thousands of agreements stay in memory and never grow.
fn exact<T>(mut values: Vec<T>) -> Vec<T> {
    values.shrink_to_fit();
    values
}

/// The digest that the chain records when an agreement starts: its row and the rows of its terms.
pub fn agreement_digest(agreement: &[Value], terms: &[Vec<Value>]) -> Digest {
    let mut canonical = CanonicalHasher::new("agreement with terms");
    canonical.row(&AGREEMENT, agreement);
    for term in terms {
        canonical.row(&TERM, term);
    }
    canonical.finish()
}

/// The stored form, such as `purchase:1000 week:2000 week*3`: minor units after a colon, a count
/// after a star.
pub(super) fn limits_text(limits: &[Limit]) -> String {
    let text = |limit: &Limit| match limit {
        Limit::PerPurchase(most) => format!("purchase:{}", most.minor()),
        Limit::Amount { per, most } => format!("{}:{}", per.word(), most.minor()),
        Limit::Count { per, most } => format!("{}*{most}", per.word()),
    };
    limits.iter().map(text).collect::<Vec<_>>().join(" ")
}

pub(super) fn limits_from_text(text: &str, currency: Currency) -> Option<Vec<Limit>> {
    let limit = |text: &str| {
        if let Some((period, count)) = text.split_once('*') {
            let per = Period::from_word(period)?;
            return Some(Limit::Count { per, most: count.parse().ok()? });
        }
        let (period, minor) = text.split_once(':')?;
        let most = Money::from_minor(minor.parse().ok()?, currency);
        if period == "purchase" {
            return Some(Limit::PerPurchase(most));
        }
        Some(Limit::Amount { per: Period::from_word(period)?, most })
    };
    text.split_ascii_whitespace().map(limit).collect()
}

pub(super) fn hours_text(hours: Hours) -> String {
    format!("{} {}", hours.from, hours.to)
}

pub(super) fn hours_from_text(text: &str) -> Option<Hours> {
    let (from, to) = text.split_once(' ')?;
    Some(Hours { from: from.parse().ok()?, to: to.parse().ok()? })
}

pub(super) fn pot_record(pot: &PotPlan) -> PotPlanRecord {
    let only = pot.only.as_ref();
    PotPlanRecord {
        id: pot.id.to_string(),
        stream: pot.stream.to_string(),
        name: pot.name.clone(),
        only: only.map(|only| only.iter().map(ToString::to_string).collect()),
        emergency: pot.emergency,
        release: pot.release.as_ref().map(|release| ReleaseRecord {
            at_once: release.at_once().minor(),
            amount: release.amount().minor(),
            every: release.every().word().to_owned(),
            from: release.from(),
        }),
    }
}

fn pots_from_text(text: &str, currency: Currency) -> Option<Vec<PotPlan>> {
    let records: Vec<PotPlanRecord> = serde_json::from_str(text).ok()?;
    records.into_iter().map(|record| pot_plan(record, currency)).collect()
}

/// Parses a pot plan; `None` if any field is invalid.
pub(super) fn pot_plan(record: PotPlanRecord, currency: Currency) -> Option<PotPlan> {
    let only = match record.only {
        None => None,
        Some(only) => {
            let parse = |text: String| Category::parse(&text).ok();
            Some(only.into_iter().map(parse).collect::<Option<_>>()?)
        }
    };
    Some(PotPlan {
        id: record.id.parse().ok()?,
        stream: record.stream.parse().ok()?,
        name: record.name,
        only,
        emergency: record.emergency,
        release: match record.release {
            None => None,
            Some(release) => Some(read_release(&release, currency)?),
        },
    })
}

fn read_release(record: &ReleaseRecord, currency: Currency) -> Option<ReleaseSchedule> {
    let money = |minor| Money::from_minor(minor, currency);
    let every = ReleaseInterval::from_word(&record.every)?;
    ReleaseSchedule::new(money(record.at_once), money(record.amount), every, record.from)
}
