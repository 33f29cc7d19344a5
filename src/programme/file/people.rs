//! Reads people: their cards, pots and loads.

use std::collections::BTreeMap;

use crate::domain::id::{CardToken, ConnectionId, LoadId, PermissionId, PersonId, PotId};
use crate::domain::money::Money;
use crate::domain::people::person::PersonState;
use crate::domain::pot::PotPlan;
use crate::domain::pot::release::{ReleaseInterval, ReleaseSchedule};

use super::cards;
use super::reader::{FileEntry, NAME_CHARS_MAX, all};
use super::references::FileReferences;
use super::settings::phone;
use super::{Load, Person, Pot, terms};

const PERSON: [&str; 9] =
    ["id", "name", "worker", "phone", "state", "card", "pot", "agreement", "permission"];
const POT: [&str; 8] =
    ["id", "name", "stream", "allocated", "emergency", "only", "release", "loads"];
const RELEASE: [&str; 4] = ["at_once", "amount", "every", "from"];

/// Keys that must be unique across all people, with their lines.
#[derive(Default)]
struct DeclaredKeys {
    cards: BTreeMap<(ConnectionId, CardToken), usize>,
    permissions: BTreeMap<PermissionId, usize>,
}

/// Reads every person.
pub(super) fn read(root: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<Vec<Person>> {
    let mut seen = BTreeMap::new();
    let mut seen_elsewhere = DeclaredKeys::default();
    let entries = root.tables("person", "person", &PERSON);
    all(entries.into_iter().map(|entry| {
        let id = entry.parsed::<PersonId>("id");
        if let Some(id) = &id {
            entry.refuse_duplicate("id", id.clone(), &mut seen);
        }
        person(&entry, id, known, &mut seen_elsewhere)
    }))
}

fn person(
    entry: &FileEntry<'_>,
    id: Option<PersonId>,
    known: &FileReferences<'_>,
    seen: &mut DeclaredKeys,
) -> Option<Person> {
    let name = entry.text("name", NAME_CHARS_MAX);
    let worker = entry.parsed("worker");
    if worker.is_some() {
        known.refer_worker(entry);
    }
    let phone = phone(entry);
    let active = Some(PersonState::Active);
    let state = entry.word("state", PersonState::ALL, PersonState::word, active);
    let cards = entry.tables("card", "card", &cards::FIELDS);
    let cards = all(cards.iter().map(|entry| cards::card(entry, known, &mut seen.cards)));
    let mut seen_pots = BTreeMap::new();
    let pots = entry.tables("pot", "pot", &POT);
    let pots = all(pots.iter().map(|entry| pot(entry, known, &mut seen_pots)));
    let agreement = terms::agreement(entry, known);
    let permissions = terms::permissions(entry, known, &mut seen.permissions);
    Some(Person {
        id: id?,
        name: name?,
        worker: worker?,
        phone,
        state: state?,
        cards: cards?,
        pots: pots?,
        agreement,
        permissions: permissions?,
    })
}

fn pot(
    entry: &FileEntry<'_>,
    known: &FileReferences<'_>,
    seen: &mut BTreeMap<PotId, usize>,
) -> Option<Pot> {
    let id = entry.parsed::<PotId>("id");
    if let Some(id) = &id {
        entry.refuse_duplicate("id", id.clone(), seen);
    }
    let name = entry.text("name", NAME_CHARS_MAX);
    let stream = entry.parsed("stream");
    if stream.is_some() {
        known.refer_stream(entry);
    }
    let allocated = entry.money("allocated", known.currency);
    let emergency = entry.flag("emergency");
    let only = entry.has("only").then(|| known.categories(entry, "only"));
    if entry.is_empty_list("only") {
        entry.problem("only", "only is empty, so the pot could pay for nothing: take it out");
    }
    if emergency && only.is_none() {
        entry.problem(
            "emergency",
            "emergency money is for essentials: say which, such as only = [\"food\", \"health\"]",
        );
    }
    let release = entry.has("release").then(|| release(entry, known));
    let loads = loads(entry, known);
    if let (Some(allocated), Some(loads)) = (allocated, &loads) {
        let sum = Money::sum(allocated.currency(), loads.iter().map(|load| load.amount));
        if sum.as_ref().map_or(true, |sum| sum.minor() > allocated.minor()) {
            let sum = sum.map_or_else(|error| error.to_string(), |sum| sum.to_string());
            entry.problem(
                "loads",
                format!("the loads together are {sum}, above the {allocated} allocated"),
            );
        }
    }
    let release = match release {
        Some(release) => Some(release?),
        None => None,
    };
    let plan = PotPlan { id: id?, stream: stream?, name: name?, only, emergency, release };
    Some(Pot { plan, allocated: allocated?, loads: loads? })
}

/// The release schedule of a pot, such as
/// `release = { amount = "60.00", every = "week", from = 2027-01-04 }`.
fn release(pot: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<ReleaseSchedule> {
    let entry = pot.table("release", "release", &RELEASE)?;
    let at_once = if entry.has("at_once") {
        entry.money("at_once", known.currency)
    } else {
        known.currency.map(Money::zero)
    };
    let amount = entry.money("amount", known.currency);
    if amount.is_some_and(Money::is_zero) {
        entry.problem("amount", "amount is nothing: write how much comes each time");
    }
    let every = entry.word("every", ReleaseInterval::ALL, ReleaseInterval::word, None);
    let from = entry.date("from");
    ReleaseSchedule::new(at_once?, amount?, every?, from?)
}

fn loads(pot: &FileEntry<'_>, known: &FileReferences<'_>) -> Option<Vec<Load>> {
    let mut seen = BTreeMap::new();
    let load = |entry: FileEntry<'_>| {
        let id = entry.parsed::<LoadId>("id");
        if let Some(id) = &id {
            entry.refuse_duplicate("id", id.clone(), &mut seen);
        }
        let amount = entry.money("amount", known.currency);
        if amount.is_some_and(Money::is_zero) {
            entry.problem("amount", "amount is nothing: write how much is put in");
        }
        Some(Load { id: id?, amount: amount? })
    };
    let entries = pot.tables("loads", "load", &["id", "amount"]);
    all(entries.into_iter().map(load))
}
