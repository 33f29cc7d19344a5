//! Golden facts: recorded decisions of every version of the rules with their outcomes. A change of
//! `decide` that changes an old outcome fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};

use sayso::domain::agreement::Agreement;
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, Decision, Facts, ProgrammeFacts, ProgrammeState,
};
use sayso::domain::decision::decide::{VERSION, decide};
use sayso::domain::decision::reason_code::ReasonCode;
use sayso::domain::id::DecisionId;
use sayso::domain::money::stream::Stream;
use sayso::domain::shop::home::HomeCountries;
use sayso::ledger::record::agreement::{agreement_rows, read_agreement};
use sayso::ledger::record::decision::{
    DecisionRow, NewDecision, RecordedDecision, content_digest, read_decision,
};
use sayso::ledger::record::facts::{FactsRecord, ReplayVersions};
use sayso::ledger::record::row::Value;
use sayso::ledger::record::table::Record;

use super::properties::{any_facts, any_request};
use super::reasons::cases;
use crate::values::a_stream;

/// How many of the golden facts are random, in addition to the smallest cause of every reason.
const DRAWN: usize = 100;

/// A decision with everything that its replay needs, as stored.
#[derive(Debug, Serialize, Deserialize)]
struct Golden {
    decision: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agreement: Option<(Vec<Value>, Vec<Vec<Value>>)>,
    programme: GoldenProgramme,
}

/// The programme settings that a decision depends on.
#[derive(Debug, Serialize, Deserialize)]
struct GoldenProgramme {
    currency: String,
    country: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    home_countries: Vec<String>,
    streams: Vec<GoldenStream>,
}

#[derive(Debug, Serialize, Deserialize)]
struct GoldenStream {
    id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    never: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_on: Option<jiff::civil::Date>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    drains_first: bool,
}

impl GoldenStream {
    fn new(stream: &Stream) -> Self {
        Self {
            id: stream.id.to_string(),
            never: stream.never.iter().map(ToString::to_string).collect(),
            ends_on: stream.ends_on,
            drains_first: stream.drains_first,
        }
    }

    fn stream(&self) -> Stream {
        Stream {
            never: self.never.iter().map(|name| name.parse().unwrap()).collect(),
            ends_on: self.ends_on,
            drains_first: self.drains_first,
            ..a_stream(&self.id)
        }
    }
}

impl GoldenProgramme {
    fn new(programme: &ProgrammeFacts) -> Self {
        Self {
            currency: programme.currency.code().to_owned(),
            country: programme.home.country.clone(),
            home_countries: programme.home.others.clone(),
            streams: programme.streams.iter().map(GoldenStream::new).collect(),
        }
    }

    fn facts(&self, version: u32) -> ProgrammeFacts {
        ProgrammeFacts {
            version,
            state: ProgrammeState::Running,
            currency: self.currency.parse().unwrap(),
            home: HomeCountries {
                others: self.home_countries.clone(),
                ..HomeCountries::of(&self.country)
            },
            streams: Arc::new(self.streams.iter().map(GoldenStream::stream).collect()),
        }
    }
}

impl Golden {
    /// Records the decision that `facts` lead to.
    fn new(number: u128, request: &AuthorisationRequest, facts: &Facts) -> Self {
        let decision = decide(request, facts);
        let record = NewDecision {
            id: DecisionId::new(uuid::Uuid::from_u128(number)),
            content: content_digest(request),
            budget: &"dee".parse().unwrap(),
            request,
            facts,
            decision: &decision,
        };
        let agreement = facts.holder.as_ref().map(|holder| &*holder.agreement);
        let rows = |agreement: &Agreement| {
            let (row, terms) = agreement_rows(&request.programme, agreement, facts.moment.at);
            (row.into_row(), terms.into_iter().map(Record::into_row).collect())
        };
        Self {
            decision: record.row(),
            agreement: agreement.map(rows),
            programme: GoldenProgramme::new(&facts.programme),
        }
    }

    fn recorded(&self) -> RecordedDecision {
        // A column that was added later is null in older records.
        let mut row = self.decision.clone();
        row.resize(DecisionRow::TABLE.columns.len(), Value::Null);
        read_decision(&row).unwrap()
    }

    fn facts(&self, record: &FactsRecord) -> Facts {
        let programme = self.programme.facts(record.programme_version());
        let agreement = self
            .agreement
            .as_ref()
            .map(|(row, terms)| Arc::new(read_agreement(row, terms, programme.currency).unwrap()));
        record.facts(ReplayVersions { programme, agreement }).unwrap()
    }
}

fn path(version: u32) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/decisions");
    folder.join(format!("rules-{version}.jsonl"))
}

fn golden(version: u32) -> Vec<Golden> {
    let text = fs::read_to_string(path(version)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn this_version_of_the_rules_has_golden_facts() {
    if !path(VERSION).exists() {
        write();
        panic!("the rules have a new version: look at its golden facts, and keep them");
    }
}

#[test]
fn every_version_of_the_rules_still_gives_the_answers_that_it_gave() {
    for version in 1..=VERSION {
        for (line, golden) in golden(version).iter().enumerate() {
            let place = format!("rules-{version}.jsonl, line {}", line + 1);
            let recorded = golden.recorded();
            let record = FactsRecord::from_text(&recorded.facts).unwrap();
            assert_eq!(record.rules_version(), version, "{place}");
            let request = recorded.request().unwrap();
            assert_eq!(content_digest(&request), recorded.content, "{place}");
            let facts = golden.facts(&record);
            let answer = recorded.recorded_answer().unwrap();
            assert_eq!(decide(&request, &facts), answer, "{place}: {facts:#?}");
        }
    }
}

#[test]
fn the_golden_facts_of_every_version_cover_its_reasons() {
    // A failure of our own is never a decision.
    let not_decided = BTreeMap::from([
        (1, vec![ReasonCode::OkHeld, ReasonCode::OurFault]),
        (2, vec![ReasonCode::OurFault]),
    ]);
    for version in 1..=VERSION {
        let mut told = BTreeSet::new();
        let mut approved = 0;
        for golden in golden(version) {
            match golden.recorded().recorded_answer().unwrap() {
                Decision::Approve(_) => approved += 1,
                Decision::Decline(reasons) => drop(told.insert(reasons.first.code())),
            }
        }
        let missing: Vec<_> =
            ReasonCode::ALL.iter().copied().filter(|code| !told.contains(code)).collect();
        assert_eq!(missing, not_decided[&version], "version {version}");
        assert!(approved >= 10, "version {version}: {approved}");
    }
}

/// Writes the golden facts of a version that has none. Existing ones never change.
fn write() {
    let mut runner = TestRunner::deterministic();
    let mut all: Vec<_> = cases().into_iter().map(|(request, facts, _)| (request, facts)).collect();
    for _ in 0..DRAWN {
        let request = any_request().new_tree(&mut runner).unwrap().current();
        let facts = any_facts().new_tree(&mut runner).unwrap().current();
        all.push((request, facts));
    }
    let line = |(number, (request, facts)): (u128, &(AuthorisationRequest, Facts))| {
        serde_json::to_string(&Golden::new(number, request, facts)).unwrap() + "\n"
    };
    let text: String = (1..).zip(&all).map(line).collect();
    fs::create_dir_all(path(VERSION).parent().unwrap()).unwrap();
    fs::write(path(VERSION), text).unwrap();
}
