//! Applying a programme's file: all of it or nothing, any number of times.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::accounts;
use super::added::money_added;
use super::file::{self, FileProblems, Load, Person, ProgrammeFile, Settings};
use super::listed::{
    agreement_of, as_named_in, permission, person_row, shops_that_are_missed, standing_of,
};
use super::secrets::secrets_to_store;
use super::version::{StartError, start_version};
use crate::domain::agreement::Agreement;
use crate::domain::id::{BudgetId, PostingId, PotId, ProgrammeId};
use crate::domain::merchant::{Category, MerchantRules};
use crate::domain::money::Money;
use crate::domain::period::Moment;
use crate::ids::NewIds;
use crate::ledger::book::{Book, Cause, LedgerError, PotBalance};
use crate::ledger::posting::PostingKind;
use crate::ledger::postings::loaded;
use crate::record::own_pot::own_pot_text;
use crate::record::row::{Digest, Value, shown};
use crate::rules::{self, RulesError, RulesTexts};
use crate::store::{
    Additions, BookWanted, CardRow, LOAD, ProgrammeRow, SecretRow, Store, StoreError, Tx,
    pot_plan_digest,
};

/// Why a file was not applied. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error("the merchant rules have mistakes:\n{0}")]
    Rules(RulesError),
    #[error("{0}")]
    File(FileProblems),
    #[error("the file does not fit what is already here:\n{}", .0.join("\n"))]
    Refused(Vec<String>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl From<StartError> for ApplyError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Store(error) => Self::Store(error),
            StartError::Ledger(error) => Self::Ledger(error),
        }
    }
}

/// What applying a file changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    pub programme: ProgrammeId,
    /// The version of the settings in force.
    pub version: u32,
    pub people: usize,
    /// How many agreements started a new version.
    pub agreements: usize,
    /// How many loads were posted; those that were posted before are not posted again.
    pub loads: usize,
}

/// Creates or updates a programme from its file and the merchant rules it goes by.
///
/// Applying the same file again changes nothing. Every budget of the programme is locked first,
/// so that no decision is made half on old and half on new rules.
pub async fn apply(
    store: &Store,
    ids: &NewIds,
    now: Timestamp,
    text: &str,
    rules: impl Into<RulesTexts<'_>> + Send,
) -> Result<Applied, ApplyError> {
    let texts = rules.into();
    let rules = rules::read(texts, &[]).map_err(ApplyError::Rules)?;
    let file = file::parse(text, &rules).map_err(ApplyError::File)?;
    let rules = rules::read(texts, &file.settings.shops).map_err(ApplyError::Rules)?;
    let mut tx = store.begin().await?;
    let mut work = Work {
        file: &file,
        rules: &rules,
        ids,
        now,
        refusals: shops_that_are_missed(rules.shops(), &file.settings.shops),
        settings_before: None,
        known: BTreeMap::new(),
    };
    tx.lock_programme(&file.settings.id).await?;
    let stored = store.secrets(Timestamp::MIN).await?;
    let secrets = secrets_to_store(&file.settings, &stored, now, &mut work.refusals);
    let version = work.put_settings(&mut tx, texts, store).await?;
    work.put_people(&mut tx, &secrets).await?;
    work.refusals.extend(accounts::put(&mut tx, &file).await?);
    let mut applied = Applied {
        programme: file.settings.id.clone(),
        version,
        people: file.people.len(),
        agreements: 0,
        loads: 0,
    };
    for person in &file.people {
        work.put_person(&mut tx, person, &mut applied).await?;
    }
    if !work.refusals.is_empty() {
        return Err(ApplyError::Refused(work.refusals));
    }
    tx.commit().await?;
    Ok(applied)
}

/// One application of one file.
struct Work<'a> {
    file: &'a ProgrammeFile,
    rules: &'a MerchantRules,
    ids: &'a NewIds,
    now: Timestamp,
    refusals: Vec<String>,
    /// The settings and the people as the file said them when it was applied last.
    settings_before: Option<Settings>,
    known: BTreeMap<BudgetId, Person>,
}

impl Work<'_> {
    const fn settings(&self) -> &Settings {
        &self.file.settings
    }

    async fn put_settings(
        &mut self,
        tx: &mut Tx,
        texts: RulesTexts<'_>,
        store: &Store,
    ) -> Result<u32, ApplyError> {
        let file = self.file;
        let id = &file.settings.id;
        let settings = file::write_settings(self.settings());
        let in_force = tx.programme_version(id).await?;
        let known = match in_force {
            Some(version) => store.programme(id, Some(version)).await?,
            None => None,
        };
        if let Some(row) = &known {
            let every = |_: &Category| true;
            let before = file::parse_settings(&row.settings, &every).map_err(ApplyError::File)?;
            let before = &*self.settings_before.insert(before);
            let is_same = row.settings == settings
                && row.rules == texts.categories
                && row.shops.as_deref() == texts.shops;
            if is_same {
                return Ok(row.version);
            }
            if before.currency != self.file.settings.currency {
                let text = format!(
                    "programme {id}: its money is in {}; a programme keeps its currency",
                    before.currency.code()
                );
                self.refusals.push(text);
            }
        }
        let version = in_force.unwrap_or(0).saturating_add(1);
        let row = ProgrammeRow {
            version,
            settings,
            rules: texts.categories.to_owned(),
            shops: texts.shops.map(str::to_owned),
        };
        let id = self.settings().id.clone();
        tx.put_programme(&id, &row, self.now).await?;
        Ok(version)
    }

    async fn put_people(&mut self, tx: &mut Tx, secrets: &[SecretRow]) -> Result<(), ApplyError> {
        let settings = self.settings();
        let id = settings.id.clone();
        let connections: Vec<_> =
            settings.connections.iter().map(|c| (c.id.clone(), c.issuer.clone())).collect();
        if !tx.put_connections(&id, &connections, secrets).await? {
            self.refusals.push(format!(
                "programme {id}: one of its connections has the name of another programme's; \
                 names of connections are unique here"
            ));
        }
        let mut budgets = vec![BudgetId::house()];
        budgets.extend(self.file.people.iter().map(|person| BudgetId::of(&person.id)));
        tx.add_budgets(&id, &budgets, self.file.settings.currency).await?;
        self.known = self.people_before(tx, &id).await?;
        let people: Vec<_> = self.file.people.iter().map(person_row).collect();
        tx.put_people(&id, &people).await?;
        self.refuse_lost(tx, &id).await?;
        self.put_cards(tx, &id).await
    }

    /// The people as the file said them when it was applied last.
    async fn people_before(
        &self,
        tx: &mut Tx,
        id: &ProgrammeId,
    ) -> Result<BTreeMap<BudgetId, Person>, ApplyError> {
        let mut people = BTreeMap::new();
        let Some(settings) = &self.settings_before else { return Ok(people) };
        for row in tx.people(id).await? {
            let person = file::parse_person(&row.plan, settings, &|_: &Category| true);
            people.insert(row.budget, person.map_err(ApplyError::File)?);
        }
        Ok(people)
    }

    /// A person or a card that is no longer in the file would go on working unseen.
    async fn refuse_lost(&mut self, tx: &mut Tx, id: &ProgrammeId) -> Result<(), ApplyError> {
        for budget in tx.budgets_of(id).await? {
            let person = budget.person();
            let is_kept = person.is_none_or(|id| self.file.people.iter().any(|p| p.id == id));
            if !is_kept {
                self.refusals.push(format!(
                    "person {budget}: they are here, but not in the file; \
                     keep them in it, with state = \"ended\" if their budget has ended"
                ));
            }
        }
        for known in tx.every_card(id).await? {
            let mut cards = self.file.people.iter().flat_map(|person| &person.cards);
            let is_kept = cards.any(|c| c.connection == known.connection && c.token == known.token);
            if !is_kept {
                self.refusals.push(format!(
                    "person {}, card {}: it is here, but not in the file; \
                     keep it in it, with state = \"lost\" or \"replaced\"",
                    known.budget, known.token
                ));
            }
        }
        Ok(())
    }

    async fn put_cards(&mut self, tx: &mut Tx, id: &ProgrammeId) -> Result<(), ApplyError> {
        let every = tx.every_card(id).await?;
        let pauses = tx.pauses_on(id, self.now).await?;
        let mut cards: Vec<CardRow> = Vec::new();
        for person in &self.file.people {
            for card in &person.cards {
                let budget = BudgetId::of(&person.id);
                let known =
                    every.iter().find(|c| c.connection == card.connection && c.token == card.token);
                cards.push(CardRow {
                    connection: card.connection.clone(),
                    token: card.token.clone(),
                    last_four: card.last_four.clone(),
                    standing: standing_of(card, known, self.known.get(&budget))
                        .under(pauses.get(&budget).copied(), self.now),
                    budget,
                });
            }
        }
        for known in &every {
            let is_same =
                |card: &&CardRow| card.connection == known.connection && card.token == known.token;
            if let Some(new) = cards.iter().find(is_same)
                && new.budget != known.budget
            {
                self.refusals.push(format!(
                    "person {}, card {}: it is {}'s; a card never changes hands",
                    new.budget, new.token, known.budget
                ));
            }
        }
        tx.put_cards(id, &cards).await?;
        Ok(())
    }

    async fn put_person(
        &mut self,
        tx: &mut Tx,
        person: &Person,
        applied: &mut Applied,
    ) -> Result<(), ApplyError> {
        let programme = self.settings().id.clone();
        let budget = BudgetId::of(&person.id);
        let before = tx.pots_of(&programme, &budget).await?;
        self.refuse_lost_pots(person, &before);
        for pot in &person.pots {
            let empty = PotBalance::empty(pot.plan.stream.clone(), pot.allocated);
            tx.put_pot(&programme, &budget, &pot.plan.id, &empty).await?;
        }
        for draft in &person.permissions {
            let permission = permission(&programme, &budget, draft, self.rules.shops());
            tx.add_permission(&programme, &budget, &permission).await?;
        }
        let wanted = BookWanted {
            programme: programme.clone(),
            budget: budget.clone(),
            purchases: BTreeSet::new(),
        };
        let fresh = crate::store::Agreements::default();
        let mut books = tx.open_books(&[wanted], &fresh).await?;
        let Some(open) = books.get_mut(&programme, &budget) else {
            return Err(StoreError::Contended("budget").into());
        };
        let book = &mut open.book;
        self.post_pots(book, person, &before)?;
        self.refuse_stages_that_are_gone(book, person)?;
        if let Some(agreement) = self.changed_agreement(book, person) {
            let moment = Moment::new(self.now, &self.settings().zone);
            start_version(tx, book, &agreement, None, self.rules, self.ids, moment).await?;
            applied.agreements = applied.agreements.saturating_add(1);
        }
        // Somebody who is new here hears of their money from a person.
        let is_known = self.known.contains_key(&budget);
        let mut added = Money::zero(self.settings().currency);
        for pot in &person.pots {
            for load in &pot.loads {
                if self.post_load(tx, book, &pot.plan.id, load).await? {
                    applied.loads = applied.loads.saturating_add(1);
                    added = added.checked_add(load.amount).map_err(LedgerError::from)?;
                }
            }
        }
        let is_told = is_known && added.is_positive();
        let messages = is_told.then(|| money_added(self.ids, self.now, &programme, &budget, added));
        let messages = messages.into_iter().collect();
        tx.close_books(&books.all(), &Additions { messages, ..Additions::default() }).await?;
        Ok(())
    }

    fn refuse_lost_pots(&mut self, person: &Person, before: &BTreeMap<PotId, PotBalance>) {
        for (id, balance) in before {
            // A pot of the person's own goes with the agreed one that it is part of.
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
            self.refusals.push(format!("person {}, pot {id}: {refusal}", person.id));
        }
    }

    /// Stages that are agreed for a pot in use let nothing out until they have caught up with what
    /// is gone: nobody means that.
    fn refuse_stages_that_are_gone(
        &mut self,
        book: &Book,
        person: &Person,
    ) -> Result<(), LedgerError> {
        let today = Moment::new(self.now, &self.settings().zone).date;
        let known = book.agreement().map_or(&[][..], |agreement| &agreement.pots);
        for pot in &person.pots {
            let id = &pot.plan.id;
            let before = known.iter().find(|plan| plan.id == *id);
            let is_new = before.is_none_or(|plan| plan.release != pot.plan.release);
            let balance = book.pots.0.get(id).filter(|_| is_new);
            let Some((release, balance)) = pot.plan.release.as_ref().zip(balance) else { continue };
            let put_in = balance.put_in()?;
            let unreleased = release.unreleased(put_in, today)?;
            if balance.left.minor() < unreleased.minor() {
                let gone = put_in.checked_sub(balance.left)?;
                self.refusals.push(format!(
                    "person {}, pot {id}: {gone} of it is gone already, more than release lets \
                     out; write at_once = \"{}\" in it, and what is left comes in stages",
                    person.id,
                    gone.major()
                ));
            }
        }
        Ok(())
    }

    fn cause(&self, kind: PostingKind, subject: String, record: Digest) -> Cause {
        Cause {
            posting: PostingId::new(self.ids.next(self.now)),
            kind,
            subject,
            record,
            moment: Moment::new(self.now, &self.settings().zone),
        }
    }

    /// Links a posting for every pot that is new or has another sum allocated.
    fn post_pots(
        &self,
        book: &mut Book,
        person: &Person,
        before: &BTreeMap<PotId, PotBalance>,
    ) -> Result<(), LedgerError> {
        for pot in &person.pots {
            let id = &pot.plan.id;
            let known = before.get(id);
            if known.is_some_and(|known| known.allocated == pot.allocated) {
                continue;
            }
            let (stream, allocated) = (pot.plan.stream.as_str(), pot.allocated);
            let own = known.and_then(|known| own_pot_text(&known.own));
            let digest = pot_plan_digest(&book.programme, &book.budget, id, stream, allocated, own);
            book.post(self.cause(PostingKind::Pot, id.to_string(), digest), Vec::new())?;
        }
        Ok(())
    }

    /// The next version of the person's agreement, if the file says something else than when it was
    /// applied last. What two people have agreed since then stays.
    fn changed_agreement(&mut self, book: &Book, person: &Person) -> Option<Agreement> {
        let today = Moment::new(self.now, &self.settings().zone).date;
        let now = book.agreement();
        let shops = self.rules.shops();
        let next = agreement_of(person, self.settings(), now, today, Some(shops));
        let Some(now) = now else { return self.new_list(next) };
        if (Agreement { version: now.version, ..next.clone() }) == *now {
            return None;
        }
        let before = self.known.get(&book.budget).zip(self.settings_before.as_ref());
        let Some((before, settings)) = before else { return self.new_list(next) };
        // As it stands in the file: whichever shop a name means by now, the list is unchanged.
        let written = agreement_of(person, self.settings(), Some(now), today, None);
        let last = agreement_of(before, settings, Some(now), today, None);
        if written == last {
            return None;
        }
        let last = as_named_in(now, last, before.terms(&settings.start));
        let is_in_force = (Agreement { version: now.version, ..last.clone() }) == *now;
        // While somebody's own list is in force, a new start list is not about them.
        let is_start = before.agreement.is_none() && person.agreement.is_none();
        if is_in_force {
            return self.new_list(next);
        }
        if is_start && next.pots == last.pots {
            return None;
        }
        self.refusals.push(format!(
            "person {}: its list was changed here and in the file; version {}, agreed on {} by {}, \
             is in force; sayso programme show {} writes it: make your change there",
            person.id,
            now.version,
            now.agreed_on,
            now.agreed_by.join(" and "),
            self.settings().id
        ));
        None
    }

    /// Refuses a list with two terms about one shop, whose names may differ.
    fn new_list(&mut self, next: Agreement) -> Option<Agreement> {
        let mut seen = BTreeSet::new();
        for term in &next.terms {
            if !seen.insert(term.scope()) {
                let shop = term.scope().shops().next();
                let shop = shop.and_then(|key| self.rules.shops().with_key(&key));
                self.refusals.push(format!(
                    "person {}: two terms of their list are about {}; keep one",
                    next.budget,
                    shop.map_or("the same shop", |shop| &shop.name)
                ));
                return None;
            }
        }
        Some(next)
    }

    /// Posts a load that was not posted before; says whether it was new.
    async fn post_load(
        &mut self,
        tx: &mut Tx,
        book: &mut Book,
        pot: &PotId,
        load: &Load,
    ) -> Result<bool, ApplyError> {
        let posted = tx.load_amount(&book.programme, &book.budget, pot, &load.id).await?;
        if let Some(posted) = posted {
            if posted != load.amount.minor() {
                self.refusals.push(format!(
                    "person {}, pot {pot}, load {}: it was posted with another amount; \
                     a load never changes, add another one",
                    book.budget, load.id
                ));
            }
            return Ok(false);
        }
        let row: Vec<Value> = vec![
            shown(&book.programme),
            shown(&book.budget),
            shown(pot),
            shown(&load.id),
            load.amount.currency().code().into(),
            load.amount.into(),
            self.now.into(),
        ];
        let digest = Digest::of_row(&LOAD, &row);
        let cause = self.cause(PostingKind::Load, format!("{pot}/{}", load.id), digest);
        let stream = book.pots.0.get(pot).map(|balance| balance.stream.clone());
        let stream = stream.ok_or_else(|| LedgerError::NoSuchPot(pot.clone()))?;
        book.post(cause, loaded(&stream, pot, load.amount))?;
        tx.add_load(row).await?;
        Ok(true)
    }
}
