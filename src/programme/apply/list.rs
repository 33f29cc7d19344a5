//! What a file changes in a person's list. It starts the first one, and what the programme alone
//! says; everything else becomes a proposal, because it takes the yeses of two people.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::survey::Survey;
use super::{ApplyError, Waiting};
use crate::domain::agreement::{Agreement, Decider, Term};
use crate::domain::change::{Change, List, ListError, changes};
use crate::domain::id::{ActId, BudgetId, MessageId, ProposalId};
use crate::domain::proposal::{
    Consent, How, Kind, NOT_AGAIN_FOR, OPEN_FOR, Parts, Proposal, Said, Session, Side, Standard,
    State, is_same_again,
};
use crate::domain::recipient::Recipient;
use crate::domain::role::{Member, MemberState, Role};
use crate::ids::NewIds;
use crate::programme::file::{AgreementDraft, Person};
use crate::programme::listed::{agreement_of, as_named_in};
use crate::record::particulars::Particulars;
use crate::store::{ActRow, Additions, NewMessage, StoreError, Tx};
use crate::words::{ListNews, ListParticular, Words};

/// The most characters of what is kept of a file's own words.
const WORDS_MOST: usize = 500;

/// What becomes of a list.
pub(super) enum ListChange {
    None,
    /// It starts: nobody has agreed another one, or nothing of what was agreed differs.
    Start(Agreement),
    /// It takes yeses.
    Propose(List),
}

/// What `person` says of their list, beside the list in force. The error says why it cannot be.
///
/// What two people have agreed since the file was applied last stays.
pub(super) fn list_change(
    survey: &Survey<'_>,
    person: &Person,
    now: Option<&Agreement>,
) -> Result<ListChange, String> {
    let budget = BudgetId::of(&person.id);
    let today = survey.moment().date;
    let shops = survey.reading.rules.shops();
    let next = agreement_of(person, survey.settings(), now, today, Some(shops));
    one_term_for_each_shop(survey, &next)?;
    nothing_for_the_worker_alone(&next, now)?;
    let Some(now) = now else { return Ok(ListChange::Start(next)) };
    if next.list().says_the_same_as(&now.list()) {
        return Ok(ListChange::None);
    }
    let Some((before, settings)) = survey.before(&budget) else {
        return Ok(ListChange::Propose(next.list()));
    };
    // As it stands in the file: whichever shop a name means by now, the list is unchanged.
    let written = agreement_of(person, survey.settings(), Some(now), today, None);
    let last = agreement_of(before, settings, Some(now), today, None);
    if written.list().says_the_same_as(&last.list()) {
        return Ok(ListChange::None);
    }
    let last = as_named_in(now, last, before.terms(&settings.start), shops);
    let is_start = before.agreement.is_none() && person.agreement.is_none();
    if !last.list().says_the_same_as(&now.list()) {
        // While somebody's own list is in force, a new start list is not about them.
        if is_start && next.pots == last.pots {
            return Ok(ListChange::None);
        }
        return Err(format!(
            "the list in force is not what the file said last: version {}, agreed on {} by {}; \
             sayso programme show {} writes it: make your change there",
            now.version,
            now.agreed_on,
            now.agreed_by.join(" and "),
            survey.settings().id
        ));
    }
    if is_start {
        return Ok(ListChange::Start(next));
    }
    let planned = with_pots_of(now.list(), &next.list());
    if planned.pots.len() != now.pots.len() || planned.pots != now.pots {
        return Ok(ListChange::Start(Agreement {
            version: next.version,
            pots: planned.pots,
            ..now.clone()
        }));
    }
    Ok(ListChange::Propose(next.list()))
}

/// `now` with the pots that `next` adds, and without those that it takes away: money is planned in
/// the file. What is agreed about the pots that stay, and their order, is as it was.
fn with_pots_of(mut now: List, next: &List) -> List {
    now.pots.retain(|pot| next.pots.iter().any(|new| new.id == pot.id));
    for pot in &next.pots {
        if now.pots.iter().all(|known| known.id != pot.id) {
            now.pots.push(pot.clone());
        }
    }
    now
}

/// Refuses a list with two terms about one shop, whose names may differ.
fn one_term_for_each_shop(survey: &Survey<'_>, next: &Agreement) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let Some(term) = next.terms.iter().find(|term| !seen.insert(term.scope())) else {
        return Ok(());
    };
    let shop = term.scope().shops().next();
    let shop = shop.and_then(|key| survey.reading.rules.shops().with_key(&key));
    let shop = shop.map_or("the same shop", |shop| &shop.name);
    Err(format!("two terms of their list are about {shop}; keep one"))
}

/// Refuses what only the worker would decide: nothing of a list changes without its person.
fn nothing_for_the_worker_alone(next: &Agreement, now: Option<&Agreement>) -> Result<(), String> {
    let is_new = |term: &&Term| now.is_none_or(|now| !now.terms.contains(term));
    let mut alone = next.terms.iter().filter(|term| term.decides() == Decider::Worker);
    match alone.find(is_new) {
        Some(term) => Err(ListError::WorkerAlone(term.scope().clone()).to_string()),
        None => Ok(()),
    }
}

/// Who says yes on either side.
struct Accounts<'a> {
    person: &'a Member,
    worker: &'a Member,
}

impl<'a> Accounts<'a> {
    fn of(survey: &Survey<'a>, person: &Person) -> Result<Self, String> {
        let members = &survey.reading.file.members;
        let active = |role: Role| {
            let is_it = move |m: &&Member| m.role == role && m.state == MemberState::Active;
            members.iter().filter(is_it)
        };
        let own = active(Role::Person).find(|m| m.person.as_ref() == Some(&person.id));
        let named = |m: &&Member| {
            let draft = person.agreement.as_ref();
            draft.is_some_and(|draft| draft.agreed_by.contains(&m.name))
        };
        let theirs = |m: &&Member| m.worker.as_ref() == Some(&person.worker);
        let may = |m: &&Member| !m.conflicts.contains(&person.id);
        let worker = active(Role::Worker).filter(may).find(|m| theirs(m) && named(m));
        let worker = worker.or_else(|| active(Role::Worker).filter(may).find(theirs));
        let two = "a list that is in force changes with the yes of two people";
        let own = own.ok_or_else(|| format!("{two}: add an account of theirs ([[member]])"))?;
        let worker =
            worker.ok_or_else(|| format!("{two}: add an account of their worker ([[member]])"))?;
        if own.human == worker.human {
            return Err(format!("{two}, and these two accounts are one human being's"));
        }
        Ok(Self { person: own, worker })
    }
}

/// Why the list cannot be proposed now; none when it can.
pub(super) async fn refuse_proposal(
    tx: &mut Tx,
    survey: &Survey<'_>,
    person: &Person,
    now: &Agreement,
    next: &List,
) -> Result<Option<String>, ApplyError> {
    let budget = BudgetId::of(&person.id);
    let told = |why: String| Some(format!("person {budget}: {why}"));
    if let Err(why) = Accounts::of(survey, person) {
        return Ok(told(why));
    }
    let currency = survey.settings().currency;
    if let Err(error) = next.check(&now.list(), currency) {
        return Ok(told(error.to_string()));
    }
    let programme = &survey.settings().id;
    let waiting = tx.open_proposals(programme, &budget, currency).await?;
    let in_the_way = waiting.iter().find(|other| {
        other.state_at(survey.now) == State::Open
            && other.kind == Kind::Together
            && other.base_version == now.version
    });
    if let Some(other) = in_the_way {
        return Ok(told(format!(
            "another change of their list waits for an answer: {}; it must end first",
            other.id
        )));
    }
    let rules = &survey.reading.rules;
    let proposed = changes(&now.list(), next, rules);
    let since = survey.now.checked_sub(NOT_AGAIN_FOR).unwrap_or(Timestamp::MIN);
    for refused in tx.refused_proposals(programme, &budget, since, currency).await? {
        let base = tx.read_agreement(programme, &budget, refused.base_version, currency).await?;
        if is_same_again(&changes(&base.list(), &refused.list, rules), &proposed) {
            let days = NOT_AGAIN_FOR.as_hours().div_euclid(24);
            return Ok(told(format!(
                "there was a no to the same change of their list; wait {days} days after it"
            )));
        }
    }
    Ok(None)
}

/// Proposes `next` for the worker, whose yes it is. Where the file tells of a talk, what the person
/// said is written down too, and counts when they confirm it.
pub(super) async fn propose(
    tx: &mut Tx,
    survey: &Survey<'_>,
    ids: &NewIds,
    person: &Person,
    now: &Agreement,
    next: List,
    additions: &mut Additions,
) -> Result<Result<Waiting, String>, ApplyError> {
    if let Some(why) = refuse_proposal(tx, survey, person, now, &next).await? {
        return Ok(Err(why));
    }
    let accounts = match Accounts::of(survey, person) {
        Ok(accounts) => accounts,
        Err(why) => return Ok(Err(why)),
    };
    let filing = Filing { survey, ids, person, accounts };
    let weighed = filing.weigh(tx, now, &next).await?;
    let mut sides = weighed.standard().sides(Kind::Together);
    let cooling = weighed.standard().cooling();
    let not_before = survey.now.checked_add(cooling).unwrap_or(Timestamp::MAX);
    let proposal = Proposal {
        id: ProposalId::new(ids.next(survey.now)),
        budget: BudgetId::of(&person.id),
        kind: Kind::Together,
        base_version: now.version,
        list: next,
        words: filing.words(),
        answers: None,
        parts: Parts::Parts,
        state: State::Open,
        proposed_by: filing.accounts.worker.id.clone(),
        proposed_at: survey.now,
        not_before,
        open_until: not_before.checked_add(OPEN_FOR).unwrap_or(Timestamp::MAX),
        ended_at: None,
        version: None,
    };
    sides.remove(&Side::Worker);
    filing.write(tx, &proposal, &sides, additions).await?;
    Ok(Ok(Waiting { person: person.id.clone(), proposal: proposal.id, sides }))
}

/// What a change comes to, beside the list in force and beside what was agreed together.
struct Weighed {
    changes: Vec<Change>,
    since_agreed: Vec<Change>,
    own_so_far: Vec<Change>,
    manager_above: Option<crate::domain::money::Money>,
}

impl Weighed {
    fn standard(&self) -> Standard<'_> {
        Standard {
            changes: &self.changes,
            since_agreed: &self.since_agreed,
            own_so_far: &self.own_so_far,
            manager_above: self.manager_above,
        }
    }
}

/// A change of a list that a file brings.
struct Filing<'a> {
    survey: &'a Survey<'a>,
    ids: &'a NewIds,
    person: &'a Person,
    accounts: Accounts<'a>,
}

impl Filing<'_> {
    async fn weigh(
        &self,
        tx: &mut Tx,
        now: &Agreement,
        next: &List,
    ) -> Result<Weighed, StoreError> {
        let settings = self.survey.settings();
        let rules = &self.survey.reading.rules;
        let now = now.list();
        let budget = BudgetId::of(&self.person.id);
        let agreed = tx.agreed_list(&settings.id, &budget, settings.currency).await?;
        let agreed = agreed.unwrap_or_else(|| now.clone());
        Ok(Weighed {
            changes: changes(&now, next, rules),
            since_agreed: changes(&agreed, next, rules),
            own_so_far: changes(&agreed, &now, rules),
            manager_above: settings.manager_above,
        })
    }

    /// The file's own words about the talk, if it tells of one that it had not told of before.
    fn talk(&self) -> Option<&AgreementDraft> {
        let draft = self.person.agreement.as_ref()?;
        let before = self.survey.before(&BudgetId::of(&self.person.id));
        let before = before.and_then(|(person, _)| person.agreement.as_ref());
        let is_same = before.is_some_and(|before| {
            (before.agreed_on, &before.agreed_by, &before.how)
                == (draft.agreed_on, &draft.agreed_by, &draft.how)
        });
        (!is_same).then_some(draft)
    }

    fn words(&self) -> String {
        let how = self.person.agreement.as_ref().map(|draft| draft.how.as_str());
        shortened(how.filter(|how| !how.trim().is_empty()).unwrap_or("The programme's file."))
    }

    fn consent(&self, side: Side, member: &Member, confirmed_at: Option<Timestamp>) -> Consent {
        let draft = self.person.agreement.as_ref();
        let place = draft.map_or_else(String::new, |draft| shortened(&draft.how));
        Consent {
            side,
            member: member.id.clone(),
            human: member.human.clone(),
            said: Said::Yes,
            parts: None,
            session: Session {
                how: How::InPerson,
                place: if place.trim().is_empty() {
                    "The programme's file.".to_owned()
                } else {
                    place
                },
                minutes: 0,
                present: draft.map_or_else(String::new, |d| shortened(&d.agreed_by.join(", "))),
            },
            confirmed_at,
            said_at: self.survey.now,
        }
    }

    async fn write(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        sides: &BTreeSet<Side>,
        additions: &mut Additions,
    ) -> Result<(), StoreError> {
        let (programme, now) = (&self.survey.settings().id, self.survey.now);
        let Accounts { person, worker } = &self.accounts;
        tx.add_proposal(programme, proposal).await?;
        tx.add_consent(programme, proposal, &self.consent(Side::Worker, worker, Some(now))).await?;
        let is_written_down = self.talk().is_some();
        if is_written_down {
            tx.add_consent(programme, proposal, &self.consent(Side::Person, person, None)).await?;
        }
        let act = ActRow {
            budget: proposal.budget.clone(),
            id: ActId::new(self.ids.next(now)),
            member: worker.id.clone(),
            kind: "list_proposed".to_owned(),
            subject: proposal.id.to_string(),
            detail: "by the programme's file".to_owned(),
            acted_at: now,
        };
        tx.add_acts(programme, &[act]).await?;
        let to_person =
            if is_written_down { ListNews::ListWrittenDown } else { ListNews::ListProposed };
        additions.messages.push(self.message(proposal, Recipient::Person, to_person));
        let filed = ListNews::WorkerListFiled;
        additions.messages.push(self.message(proposal, Recipient::Worker, filed));
        if sides.contains(&Side::Manager) {
            let asked = ListNews::WorkerListProposed;
            additions.messages.push(self.message(proposal, Recipient::Manager, asked));
        }
        Ok(())
    }

    fn message(&self, proposal: &Proposal, recipient: Recipient, news: ListNews) -> NewMessage {
        let (settings, now) = (self.survey.settings(), self.survey.now);
        let (name, until) = (self.accounts.worker.name.as_str(), proposal.open_until);
        let particular = ListParticular { zone: &settings.zone, name, at: Some(until), words: "" };
        NewMessage {
            id: MessageId::new(self.ids.next(now)),
            programme: settings.id.clone(),
            budget: proposal.budget.clone(),
            kind: news.kind(),
            subject: proposal.id.to_string(),
            body: Words::english().list_news(news, &particular),
            created_at: now,
            recipient,
            facts: Particulars::default().text("by", name).text("at", until.to_string()).to_text(),
            matter: None,
        }
    }
}

fn shortened(words: &str) -> String {
    words.trim().chars().filter(|c| *c != '\0').take(WORDS_MOST).collect()
}
