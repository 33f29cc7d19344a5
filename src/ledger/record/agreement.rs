//! Stored rows of agreements, their terms and their pots.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::column::ColumnValue;
use super::row::{CanonicalHasher, ColumnKind, CorruptRow, Digest, RowReader, Value};
use super::table::{Record, record};
use crate::domain::agreement::{Agreement, Decider, Hours, Scope, Term, TermAnswer, TermDraft};
use crate::domain::id::{BudgetId, ProgrammeId};
use crate::domain::money::limit::Limit;
use crate::domain::money::{Currency, Money};
use crate::domain::pot::PotPlan;
use crate::domain::pot::release::{ReleaseInterval, ReleaseSchedule};
use crate::domain::shop::merchant::Category;
use crate::domain::time::period::Period;

record! {
    /// A version of an agreement, without its terms. Immutable.
    pub struct AgreementRow in "agreement" key(programme_id, budget_id) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub version: u32,
        agreed_on: Date,
        agreed_by: Lines,
        how: String,
        partial: YesNo,
        /// A JSON array of [`PotPlanRecord`].
        pots: String,
        pub started_at: Timestamp,
    }
}

record! {
    /// A term of a version. Immutable.
    pub struct TermRow in "term" key(programme_id, budget_id) {
        pub programme_id: ProgrammeId,
        pub budget_id: BudgetId,
        pub version: u32,
        pub position: i64,
        scope: Scope,
        answer: TermAnswer,
        /// In the form of [`limits_text`].
        limits: String,
        hours: Option<Hours>,
        decides: Decider,
        reason: Option<String>,
        review_on: Option<Date>,
        cooling_days: Option<u32>,
    }
}

/// Texts without line breaks, stored as the lines of one text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lines(Vec<String>);

impl ColumnValue for Lines {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        self.0.join("\n").into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        Ok(Self(reader.text()?.lines().map(str::to_owned).collect()))
    }
}

/// Stored as `yes` or `no`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct YesNo(bool);

impl ColumnValue for YesNo {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        if self.0 { "yes" } else { "no" }.into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.word(|word| match word {
            "yes" => Some(Self(true)),
            "no" => Some(Self(false)),
            _ => None,
        })
    }
}

impl ColumnValue for Hours {
    const KIND: ColumnKind = ColumnKind::Text;

    fn value(&self) -> Value {
        hours_text(*self).into()
    }

    fn read(reader: &mut RowReader<'_>) -> Result<Self, CorruptRow> {
        reader.word(hours_from_text)
    }
}

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

impl AgreementRow {
    fn new(programme: &ProgrammeId, agreement: &Agreement, started_at: Timestamp) -> Self {
        let pots: Vec<_> = agreement.pots.iter().map(pot_record).collect();
        Self {
            programme_id: programme.clone(),
            budget_id: agreement.budget.clone(),
            version: agreement.version,
            agreed_on: agreement.agreed_on,
            agreed_by: Lines(agreement.agreed_by.clone()),
            how: agreement.how.clone(),
            partial: YesNo(agreement.partial),
            pots: serde_json::to_string(&pots).unwrap_or_default(),
            started_at,
        }
    }

    /// The agreement with `terms`, which are in order.
    pub fn agreement(
        self,
        terms: Vec<TermRow>,
        currency: Currency,
    ) -> Result<Agreement, CorruptRow> {
        let pots = pots_from_text(&self.pots, currency).ok_or_else(|| self.corrupt("pots"))?;
        let terms = terms.into_iter().map(|term| term.term(currency)).collect::<Result<_, _>>()?;
        Ok(Agreement {
            budget: self.budget_id,
            version: self.version,
            agreed_on: self.agreed_on,
            agreed_by: exact(self.agreed_by.0),
            how: self.how,
            partial: self.partial.0,
            terms: exact(terms),
            pots: exact(pots),
        })
    }

    /// The digest that the chain records when the agreement with `terms` starts.
    pub fn digest(&self, terms: &[TermRow]) -> Digest {
        agreement_digest(&self.row(), &terms.iter().map(Record::row).collect::<Vec<_>>())
    }
}

impl TermRow {
    fn new(programme: &ProgrammeId, agreement: &Agreement, position: i64, term: &Term) -> Self {
        Self {
            programme_id: programme.clone(),
            budget_id: agreement.budget.clone(),
            version: agreement.version,
            position,
            scope: term.scope().clone(),
            answer: term.answer(),
            limits: limits_text(term.limits()),
            hours: term.hours(),
            decides: term.decides(),
            reason: term.reason().map(str::to_owned),
            review_on: term.review_on(),
            cooling_days: term.cooling_days(),
        }
    }

    fn term(self, currency: Currency) -> Result<Term, CorruptRow> {
        let limits = limits_from_text(&self.limits, currency);
        let draft = TermDraft {
            limits: exact(limits.ok_or_else(|| self.corrupt("limits"))?),
            scope: self.scope,
            answer: self.answer,
            hours: self.hours,
            decides: self.decides,
            reason: self.reason,
            review_on: self.review_on,
            cooling_days: self.cooling_days,
        };
        Term::new(draft).map_err(|error| CorruptRow {
            table: Self::TABLE.name,
            column: "cooling_days",
            found: error.to_string(),
            key: format!("{}/{}", self.programme_id, self.budget_id),
        })
    }
}

/// The row of one version, and the rows of its terms.
pub fn agreement_rows(
    programme: &ProgrammeId,
    agreement: &Agreement,
    started_at: Timestamp,
) -> (AgreementRow, Vec<TermRow>) {
    let term = |(position, term)| TermRow::new(programme, agreement, position, term);
    let terms = (0..).zip(&agreement.terms).map(term).collect();
    (AgreementRow::new(programme, agreement, started_at), terms)
}

/// Parses one version from its row and the rows of its terms, in order.
pub fn read_agreement(
    row: &[Value],
    terms: &[Vec<Value>],
    currency: Currency,
) -> Result<Agreement, CorruptRow> {
    let row = AgreementRow::from_row(row)?;
    let terms = terms.iter().map(|term| TermRow::from_row(term)).collect::<Result<_, _>>()?;
    row.agreement(terms, currency)
}

/// Drops spare capacity, because thousands of agreements stay in memory and never grow.
fn exact<T>(mut values: Vec<T>) -> Vec<T> {
    values.shrink_to_fit();
    values
}

/// The digest that the chain records when an agreement starts: its row and the rows of its terms.
pub fn agreement_digest(agreement: &[Value], terms: &[Vec<Value>]) -> Digest {
    let mut canonical = CanonicalHasher::new("agreement with terms");
    canonical.row(AgreementRow::TABLE, agreement);
    for term in terms {
        canonical.row(TermRow::TABLE, term);
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
