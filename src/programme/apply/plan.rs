//! The stored state before a file is applied, what the file changes in it, and what does not fit.
//! Everything is read without a lock, so [`super::person`] checks a person's list again under the
//! lock.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::list::{ListChange, list_change, parties_to};
use super::meaning::{Meaning, MeaningChanges};
use super::secrets::SecretChanges;
use super::{ApplyError, ParsedFile, every};
use crate::domain::id::{BudgetId, CardToken, ConnectionId, PotId};
use crate::domain::time::period::Moment;
use crate::ledger::book::{LedgerError, PotBalance};
use crate::platform::ids::NewIds;
use crate::programme::accounts::Accounts;
use crate::programme::file::{self, Person, ProgrammeFile, Settings};
use crate::programme::file_messages::FileMessages;
use crate::programme::filed_state::{filed_state, refused_state, unreachable_shops};
use crate::store::{CardRow, NewMessage, PersonRow, ProgrammeRow, Store, Tx};

/// How many new people one transaction writes. More than one, because no authorisation waits for a
/// new person's budget; and few, because on SQLite every other write waits for the transaction.
const NEW_PEOPLE_PER_BATCH: usize = 10;

/// The stored state of a programme, compared with a file.
pub(super) struct ApplyPlan<'a> {
    pub(super) parsed: &'a ParsedFile,
    pub(super) now: Timestamp,
    /// The settings in force: the stored row, and the same row parsed.
    pub(super) in_force: Option<ProgrammeRow>,
    pub(super) settings_before: Option<Settings>,
    /// The version of the settings that the file puts in force.
    pub(super) version: u32,
    pub(super) secrets: SecretChanges,
    pub(super) accounts: Accounts,
    meaning: MeaningChanges,
    /// The people whom the file changes.
    pub(super) changed: Vec<&'a Person>,
    /// The people who change, as they were in the last applied file.
    before: BTreeMap<BudgetId, Person>,
    people: BTreeSet<BudgetId>,
    cards: BTreeMap<(ConnectionId, CardToken), CardRow>,
}

impl<'a> ApplyPlan<'a> {
    pub(super) async fn of(
        store: &Store,
        parsed: &'a ParsedFile,
        now: Timestamp,
    ) -> Result<Self, ApplyError> {
        let file = &parsed.file;
        let id = &file.settings.id;
        let in_force = store.programme(id, None).await?;
        let read = |row: &ProgrammeRow| file::parse_settings(&row.settings, &every);
        let settings_before = in_force.as_ref().map(read).transpose().map_err(ApplyError::File)?;
        let stored = store.secrets(Timestamp::MIN).await?;
        let mut tx = store.snapshot().await?;
        let people = tx.people(id).await?;
        let cards = tx.every_card(id).await?;
        let meaning = match in_force.as_ref().zip(settings_before.as_ref()) {
            Some(before) if parsed.version_after(in_force.as_ref()) != before.0.version => {
                let (settings, rules) = (&file.settings, &parsed.rules);
                MeaningChanges::of(&mut tx, before, &Meaning { settings, rules }).await?
            }
            Some(_) | None => MeaningChanges::default(),
        };
        tx.commit().await?;
        let mut plan = Self {
            parsed,
            meaning,
            now,
            version: parsed.version_after(in_force.as_ref()),
            secrets: SecretChanges::of(file, stored, settings_before.as_ref(), now),
            accounts: Accounts::read(store, id).await?,
            changed: Vec::new(),
            before: BTreeMap::new(),
            people: people.iter().map(|row| row.person_id.clone()).collect(),
            cards: cards
                .into_iter()
                .map(|c| ((c.connection_id.clone(), c.token.clone()), c))
                .collect(),
            in_force,
            settings_before,
        };
        plan.find_changed(&people)?;
        Ok(plan)
    }

    fn find_changed(&mut self, people: &[PersonRow]) -> Result<(), ApplyError> {
        let known: BTreeMap<_, _> = people.iter().map(|row| (&row.person_id, row)).collect();
        let file = &self.parsed.file;
        let start = |settings: &Settings| settings.start.clone();
        let has_other_start = self.settings_before.as_ref().map(start).as_deref()
            != Some(file.settings.start.as_slice());
        for person in &file.people {
            let row = known.get(&BudgetId::of(&person.id));
            let is_same = row.is_some_and(|row| row.plan == file::write_person(person));
            if is_same && !(has_other_start && person.is_on_start_list()) {
                continue;
            }
            self.changed.push(person);
            if let Some((row, settings)) = row.zip(self.settings_before.as_ref()) {
                let before = file::parse_person(&row.plan, settings, &every);
                self.before.insert(row.person_id.clone(), before.map_err(ApplyError::File)?);
            }
        }
        Ok(())
    }

    /// Whether the file equals the stored state.
    pub(super) fn is_unchanged(&self) -> bool {
        let is_same = self.in_force.as_ref().is_some_and(|row| row.version == self.version);
        is_same
            && self.changed.is_empty()
            && !self.secrets.is_changed
            && !self.accounts.is_changed(&self.parsed.file)
    }

    /// The people who change, in batches of one transaction each: new people together, known people
    /// one by one, because a transaction locks their budgets on PostgreSQL.
    pub(super) fn batches(&self) -> Vec<Vec<&'a Person>> {
        let is_new = |person: &&&Person| !self.is_known(&BudgetId::of(&person.id));
        let new: Vec<_> = self.changed.iter().filter(is_new).copied().collect();
        let known =
            self.changed.iter().filter(|person| !is_new(person)).map(|person| vec![*person]);
        new.chunks(NEW_PEOPLE_PER_BATCH).map(<[_]>::to_vec).chain(known).collect()
    }

    /// Whether an earlier file contained this person.
    pub(super) fn is_known(&self, budget: &BudgetId) -> bool {
        self.people.contains(budget)
    }

    /// The person in the last applied file, with the settings of that time.
    pub(super) fn before(&self, budget: &BudgetId) -> Option<(&Person, &Settings)> {
        self.before.get(budget).zip(self.settings_before.as_ref())
    }

    /// Messages to people about accounts that the file adds for them, and about codes that leave or
    /// join a category of their list. New people get no message, because a human tells them about
    /// their first money.
    pub(super) fn messages(&self, ids: &NewIds) -> Vec<NewMessage> {
        let writer = FileMessages { ids, now: self.now, settings: self.settings() };
        let added = self.accounts.added(&self.parsed.file);
        let known = added.filter(|(person, _)| self.is_known(&BudgetId::of(person)));
        let accounts = known.map(|(person, member)| writer.account_added(person, member));
        let moved =
            self.meaning.moved.iter().map(|(budget, names)| writer.codes_moved(budget, names));
        accounts.chain(moved).collect()
    }

    pub(super) fn settings(&self) -> &'a Settings {
        &self.parsed.file.settings
    }

    pub(super) fn moment(&self) -> Moment {
        Moment::new(self.now, &self.settings().zone)
    }

    /// Every conflict between the file and the stored state, as messages for an operator.
    pub(super) async fn refusals(&self, store: &Store) -> Result<Vec<String>, ApplyError> {
        let file = &self.parsed.file;
        let mut refusals = unreachable_shops(self.parsed.rules.shops(), &file.settings.shops);
        refusals.extend(self.secrets.refusals.iter().cloned());
        refusals.extend(self.changed_currency());
        refusals.extend(self.removed_people(file));
        refusals.extend(self.removed_cards(file));
        refusals.extend(self.refused_card_changes());
        refusals.extend(self.accounts.refusals(file));
        refusals.extend(self.meaning.refusals.iter().cloned());
        let mut tx = store.snapshot().await?;
        for person in &self.changed {
            refusals.extend(self.refuse_person(&mut tx, person).await?);
        }
        tx.commit().await?;
        Ok(refusals)
    }

    fn changed_currency(&self) -> Option<String> {
        let before = self.settings_before.as_ref()?.currency;
        let is_other = before != self.settings().currency;
        is_other.then(|| {
            format!(
                "programme {}: its money is in {}; a programme keeps its currency",
                self.settings().id,
                before.code()
            )
        })
    }

    /// Stored people whom the file omits. It is refused, because their budgets would stay in use
    /// although no file shows them.
    fn removed_people(&self, file: &ProgrammeFile) -> Vec<String> {
        let named: BTreeSet<_> =
            file.people.iter().map(|person| BudgetId::of(&person.id)).collect();
        let lost = self.people.difference(&named);
        lost.map(|budget| {
            format!(
                "person {budget}: they are here, but not in the file; keep them in it, with \
                 state = \"ended\" if their budget has ended"
            )
        })
        .collect()
    }

    fn removed_cards(&self, file: &ProgrammeFile) -> Vec<String> {
        let cards = file.people.iter().flat_map(|person| &person.cards);
        let named: BTreeSet<_> = cards.map(|card| (&card.connection, &card.token)).collect();
        let lost = self.cards.values().filter(|c| !named.contains(&(&c.connection_id, &c.token)));
        lost.map(|card| {
            format!(
                "person {}, card {}: it is here, but not in the file; keep it in it, with \
                 state = \"lost\" or \"replaced\"",
                card.budget_id, card.token
            )
        })
        .collect()
    }

    /// Refuses a card of another person, and each change of state that [`refused_state`] rules out.
    fn refused_card_changes(&self) -> Vec<String> {
        let mut refusals = Vec::new();
        for person in &self.changed {
            let budget = BudgetId::of(&person.id);
            let before = self.before.get(&budget);
            for card in &person.cards {
                let known = self.cards.get(&(card.connection.clone(), card.token.clone()));
                let refusal = match known {
                    Some(known) if known.budget_id != budget => {
                        Some(format!("it is {}'s; a card never changes hands", known.budget_id))
                    }
                    Some(known) => {
                        let now = known.status().lasting_state();
                        let is_told_anew = filed_state(card, before) != Some(card.state);
                        let why = refused_state(Some(now), card.state);
                        why.filter(|_| is_told_anew && now != card.state).map(str::to_owned)
                    }
                    None if before.is_some() => refused_state(None, card.state).map(str::to_owned),
                    None => None,
                };
                let refusal =
                    refusal.map(|why| format!("person {budget}, card {}: {why}", card.token));
                refusals.extend(refusal);
            }
        }
        refusals
    }

    /// Conflicts in one person's part of the file.
    async fn refuse_person(&self, tx: &mut Tx, person: &Person) -> Result<Vec<String>, ApplyError> {
        let id = &self.settings().id;
        let budget = BudgetId::of(&person.id);
        let pots = tx.pots_of(id, &budget).await?;
        let now = tx.agreement_in_force(id, &budget, self.settings().currency).await?;
        let mut refusals = removed_pots(person, &pots);
        refusals.extend(reduced_pots(person, &pots));
        for pot in &person.pots {
            let known = now.as_ref().and_then(|now| now.pots.iter().find(|p| p.id == pot.plan.id));
            let is_new = known.is_none_or(|plan| plan.release != pot.plan.release);
            let balance = pots.get(&pot.plan.id).filter(|_| is_new);
            if let Some(balance) = balance {
                refusals.extend(self.release_behind_spending(person, pot, balance)?);
            }
            for load in &pot.loads {
                let posted = tx.load_amount(id, &budget, &pot.plan.id, &load.id).await?;
                if posted.is_some_and(|posted| posted != load.amount.minor()) {
                    refusals.push(format!(
                        "person {budget}, pot {}, load {}: it was posted with another amount; \
                         a load never changes, add another one",
                        pot.plan.id, load.id
                    ));
                }
            }
        }
        match list_change(self, person, now.as_deref()) {
            Ok(ListChange { start, propose: Some(next) }) => {
                if let Some(now) = start.as_ref().or(now.as_deref()) {
                    let parties = parties_to(tx, self, person, now, &next).await?;
                    refusals.extend(parties.err().map(|why| format!("person {budget}: {why}")));
                }
            }
            Ok(ListChange { start: _, propose: None }) => {}
            Err(why) => refusals.push(format!("person {budget}: {why}")),
        }
        Ok(refusals)
    }

    /// Refuses a new release schedule that has released less than the pot has spent and holds,
    /// because nothing could be paid until the schedule has caught up.
    fn release_behind_spending(
        &self,
        person: &Person,
        pot: &file::Pot,
        balance: &PotBalance,
    ) -> Result<Option<String>, LedgerError> {
        let Some(release) = &pot.plan.release else { return Ok(None) };
        let put_in = balance.funded()?;
        let unreleased = release.unreleased(put_in, self.moment().date)?;
        if balance.left.minor() >= unreleased.minor() {
            return Ok(None);
        }
        let gone = put_in.checked_sub(balance.left)?;
        Ok(Some(format!(
            "person {}, pot {}: {gone} of it is gone already, more than release lets out; write \
             at_once = \"{}\" in it, and what is left comes in stages",
            person.id,
            pot.plan.id,
            gone.major()
        )))
    }
}

fn removed_pots(person: &Person, before: &BTreeMap<PotId, PotBalance>) -> Vec<String> {
    let mut refusals = Vec::new();
    for (id, balance) in before {
        // A pot of the person's own is part of an agreed pot and is removed with it.
        let own = balance.own.goal.as_ref();
        let of = own.map_or(id, |goal| &goal.of);
        let kept = person.pots.iter().find(|pot| pot.plan.id == *of);
        let refusal = match kept {
            _ if own.is_some() && person.pots.iter().any(|pot| pot.plan.id == *id) => {
                "that is a pot of their own; give this one another id".to_owned()
            }
            None if balance.left.is_positive() || balance.held.is_positive() => {
                format!("there is still {} in it; keep {of} in the file", balance.left)
            }
            Some(pot) if pot.plan.stream != balance.stream => {
                format!("its money comes from {}; a pot keeps its stream", balance.stream)
            }
            Some(_) | None => continue,
        };
        refusals.push(format!("person {}, pot {id}: {refusal}", person.id));
    }
    refusals
}

/// Refuses a lower allocation, because only the person can give up what was promised to them.
fn reduced_pots(person: &Person, before: &BTreeMap<PotId, PotBalance>) -> Vec<String> {
    let mut refusals = Vec::new();
    for pot in &person.pots {
        let known = before.get(&pot.plan.id);
        let Some(known) = known.filter(|known| pot.allocated.minor() < known.allocated.minor())
        else {
            continue;
        };
        refusals.push(format!(
            "person {}, pot {}: {} was promised to them; a file gives more, and takes nothing back",
            person.id, pot.plan.id, known.allocated
        ));
    }
    refusals
}
