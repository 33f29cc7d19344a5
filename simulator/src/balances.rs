//! Compares the balances that the gateway prints with the books.

use std::collections::BTreeSet;

use anyhow::Context as _;
use serde::Deserialize;

use crate::{
    books::{Books, PersonBook, PotBook},
    report::SimulationReport,
};

#[derive(Deserialize)]
struct BalancesDocument {
    programmes: Vec<ProgrammeBalances>,
}

#[derive(Deserialize)]
struct ProgrammeBalances {
    #[serde(rename = "programme")]
    id: String,
    currency: String,
    exposure_minor: i64,
    suspense_minor: i64,
    people: Vec<PersonBalances>,
}

#[derive(Deserialize)]
struct PersonBalances {
    #[serde(rename = "person")]
    id: String,
    #[serde(flatten)]
    figures: BalanceFigures,
    pots: Vec<PotBalances>,
}

#[derive(Deserialize)]
struct PotBalances {
    #[serde(rename = "pot")]
    id: String,
    #[serde(flatten)]
    figures: BalanceFigures,
}

#[expect(clippy::struct_field_names, reason = "the names and the unit are those of the document")]
#[derive(Clone, Copy, Default, Deserialize)]
struct BalanceFigures {
    allocated_minor: i64,
    loaded_minor: i64,
    held_minor: i64,
    spent_minor: i64,
    left_minor: i64,
}

impl BalanceFigures {
    fn of(pot: &PotBook) -> Self {
        Self {
            allocated_minor: pot.allocated_minor,
            loaded_minor: pot.loaded_minor,
            held_minor: pot.held_minor,
            spent_minor: pot.spent_minor,
            left_minor: pot.left_minor(),
        }
    }

    fn add(self, other: Self) -> Self {
        Self {
            allocated_minor: self.allocated_minor + other.allocated_minor,
            loaded_minor: self.loaded_minor + other.loaded_minor,
            held_minor: self.held_minor + other.held_minor,
            spent_minor: self.spent_minor + other.spent_minor,
            left_minor: self.left_minor + other.left_minor,
        }
    }

    fn named(self) -> [(&'static str, i64); 5] {
        [
            ("allocated", self.allocated_minor),
            ("loaded", self.loaded_minor),
            ("held", self.held_minor),
            ("spent", self.spent_minor),
            ("left", self.left_minor),
        ]
    }
}

/// Counts the compared figures and reports the differences.
struct BalanceComparison<'a> {
    report: &'a mut SimulationReport,
    count: usize,
}

impl BalanceComparison<'_> {
    fn figure(&mut self, name: &str, theirs: i64, ours: i64) {
        self.count += 1;
        if theirs != ours {
            self.report
                .fail_run(format!("{name} is {theirs}, and the books say {ours} (minor units)"));
        }
    }

    fn figures(&mut self, name: &str, theirs: BalanceFigures, ours: BalanceFigures) {
        for ((figure, theirs), (_, ours)) in theirs.named().into_iter().zip(ours.named()) {
            self.figure(&format!("{name}: {figure}"), theirs, ours);
        }
    }

    /// Reports names that only one side has.
    fn names<'a>(
        &mut self,
        what: &str,
        theirs: impl Iterator<Item = &'a str>,
        ours: impl Iterator<Item = &'a str>,
    ) {
        let (theirs, ours): (BTreeSet<_>, BTreeSet<_>) = (theirs.collect(), ours.collect());
        for name in ours.difference(&theirs) {
            self.report.fail_run(format!("{what} {name} is missing from the balances"));
        }
        for name in theirs.difference(&ours) {
            self.report.fail_run(format!("{what} {name} is not in the programme file"));
        }
    }
}

/// Compares every figure of the books' programme. Ignores other programmes in the document.
///
/// # Errors
/// When `json` is not a balances document. Differences are not errors: they go to the report.
pub(crate) fn compare(
    books: &Books,
    json: &str,
    report: &mut SimulationReport,
) -> anyhow::Result<()> {
    let document: BalancesDocument =
        serde_json::from_str(json).context("what the gateway printed is not its balances")?;
    let mut comparison = BalanceComparison { report, count: 0 };
    let found = document.programmes.iter().find(|p| p.id == books.programme);
    let Some(theirs) = found else {
        let what = format!("programme {} is missing from the balances", books.programme);
        comparison.report.fail_run(what);
        return Ok(());
    };
    if theirs.currency != books.currency {
        let what = format!("the currency is {}, and not {}", theirs.currency, books.currency);
        comparison.report.fail_run(what);
    }
    comparison.figure("exposure", theirs.exposure_minor, books.exposure_minor);
    comparison.figure("suspense", theirs.suspense_minor, books.suspense_minor);
    comparison.names(
        "person",
        theirs.people.iter().map(|person| person.id.as_str()),
        books.people.iter().map(|person| person.person.as_str()),
    );
    for ours in &books.people {
        if let Some(theirs) = theirs.people.iter().find(|person| person.id == ours.person) {
            compare_person(&mut comparison, theirs, ours);
        }
    }
    let count = comparison.count;
    report.balances_compared = Some(count);
    Ok(())
}

/// The first of one person's possible books whose pots equal the balances; without a match, the
/// first of all.
///
/// # Errors
/// When `json` is not a balances document.
pub(crate) fn best_matching<'a>(
    possible_books: &'a [Books],
    json: &str,
) -> anyhow::Result<Option<&'a Books>> {
    if possible_books.len() < 2 {
        return Ok(possible_books.first());
    }
    let document: BalancesDocument =
        serde_json::from_str(json).context("what the gateway printed is not its balances")?;
    let fits = |books: &&Books| {
        let theirs = document.programmes.iter().find(|p| p.id == books.programme);
        let ours = books.people.first();
        let Some((theirs, ours)) = theirs.zip(ours) else { return false };
        let Some(theirs) = theirs.people.iter().find(|person| person.id == ours.person) else {
            return false;
        };
        ours.pots.iter().all(|ours| {
            let pot = theirs.pots.iter().find(|pot| *pot.id == *ours.pot);
            pot.is_some_and(|pot| pot.figures.named() == BalanceFigures::of(ours).named())
        })
    };
    Ok(possible_books.iter().find(fits).or_else(|| possible_books.first()))
}

fn compare_person(
    comparison: &mut BalanceComparison<'_>,
    theirs: &PersonBalances,
    ours: &PersonBook,
) {
    comparison.names(
        &format!("{}'s pot", ours.person),
        theirs.pots.iter().map(|pot| pot.id.as_str()),
        ours.pots.iter().map(|pot| &*pot.pot),
    );
    let total = ours
        .pots
        .iter()
        .map(BalanceFigures::of)
        .fold(BalanceFigures::default(), BalanceFigures::add);
    comparison.figures(&ours.person, theirs.figures, total);
    for ours_pot in &ours.pots {
        if let Some(theirs) = theirs.pots.iter().find(|pot| *pot.id == *ours_pot.pot) {
            let name = format!("{}'s pot {}", ours.person, ours_pot.pot);
            comparison.figures(&name, theirs.figures, BalanceFigures::of(ours_pot));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn compared(change: impl Fn(&mut serde_json::Value)) -> SimulationReport {
        let text = include_str!("../../merchant-rules/demo.toml");
        let mut books = Books::open(&crate::programme::Programme::read(text).unwrap()).unwrap();
        books.people.truncate(1);
        books.people[0].pots.truncate(1);
        let figures = json!({
            "allocated_minor": 160_00, "loaded_minor": 40_00, "held_minor": 0, "spent_minor": 0,
            "left_minor": 40_00,
        });
        let mut pot = figures.clone();
        pot["pot"] = json!("pets");
        let mut dee = figures;
        dee["person"] = json!("dee");
        dee["pots"] = json!([pot]);
        let mut document = json!({ "programmes": [{
            "programme": "riverside", "currency": "GBP", "exposure_minor": 0, "suspense_minor": 0,
            "people": [dee],
        }] });
        change(&mut document);
        let mut report = SimulationReport::new(1, Duration::from_secs(2)).unwrap();
        compare(&books, &document.to_string(), &mut report).unwrap();
        report
    }

    #[test]
    fn equal_balances_are_clean() {
        let report = compared(|_| {});
        assert!(report.is_clean(), "{:?}", report.broken);
        assert_eq!(report.balances_compared, Some(12));
    }

    #[test]
    fn a_penny_in_any_figure_is_noticed() {
        for path in [
            "/programmes/0/exposure_minor",
            "/programmes/0/suspense_minor",
            "/programmes/0/people/0/held_minor",
            "/programmes/0/people/0/pots/0/left_minor",
            "/programmes/0/people/0/pots/0/spent_minor",
        ] {
            let report = compared(|document| *document.pointer_mut(path).unwrap() = json!(1));
            assert_eq!(report.broken.len(), 1, "{path}");
        }
    }

    #[test]
    fn a_missing_pot_person_or_programme_is_noticed() {
        let list = |path: &'static str| {
            compared(move |document| *document.pointer_mut(path).unwrap() = json!([]))
        };
        assert_eq!(list("/programmes").broken.len(), 1);
        assert_eq!(list("/programmes/0/people").broken.len(), 1);
        assert_eq!(list("/programmes/0/people/0/pots").broken.len(), 1);
    }
}
