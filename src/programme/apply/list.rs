//! Changes that a programme's file makes to a person's list.
//!
//! A first list, a changed start list, and added or removed pots start at once. Every other change
//! becomes a proposal, because it needs the consent of two people.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::plan::ApplyPlan;
use super::{ApplyError, PendingProposal};
use crate::domain::agreement::change::{List, ListError, changes};
use crate::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentChannel, ConsentGranularity, ConsentRequirements,
    ConsentSession, ConsentSide, PROPOSAL_LIFETIME, Proposal, ProposalKind, ProposalState,
};
use crate::domain::agreement::{Agreement, Decider, Term};
use crate::domain::id::{ActId, BudgetId, MessageId, ProposalId};
use crate::domain::people::recipient::Recipient;
use crate::domain::people::role::{Member, MemberState, Role};
use crate::domain::pot::PotPlan;
use crate::ledger::record::message_parameters::MessageParameters;
use crate::messages::words::{ListNotification, ListParameters, Words};
use crate::platform::ids::NewIds;
use crate::programme::file::{AgreementDraft, Person};
use crate::programme::filed_state::{agreement_of, with_shops_of};
use crate::programme::proposal_conflicts::ProposalSlot;
use crate::store::{ActRow, NewMessage, PendingWrites, StoreError, Tx};

/// Maximum length of the words that are kept from a file, in characters.
const FILE_WORDS_CHARS_MAX: usize = 500;

/// What a file changes in one person's list.
#[derive(Default)]
pub(super) struct ListChange {
    /// The version to start at once: a first list, a changed start list, or added or removed pots.
    pub(super) start: Option<Agreement>,
    /// The list to propose after that, because it needs the consent of two people.
    pub(super) propose: Option<List>,
}

impl ListChange {
    fn start(agreement: Agreement) -> Self {
        Self { start: Some(agreement), propose: None }
    }
}

/// Compares the list of `person` in the file with `now`, the list in force.
///
/// What two people have agreed since the file was last applied stays in force.
///
/// # Errors
///
/// Says why the file's list cannot be used: two terms about one shop, a new term that only the
/// worker decides, or a change based on a list that is no longer in force.
pub(super) fn list_change(
    plan: &ApplyPlan<'_>,
    person: &Person,
    now: Option<&Agreement>,
) -> Result<ListChange, String> {
    let budget = BudgetId::of(&person.id);
    let today = plan.moment().date;
    let shops = plan.parsed.rules.shops();
    let next = agreement_of(person, plan.settings(), now, today, Some(shops));
    refuse_duplicate_shops(plan, &next)?;
    refuse_worker_only_terms(&next, now)?;
    let Some(now) = now else { return Ok(ListChange::start(next)) };
    if next.list().has_same_content(&now.list()) {
        return Ok(ListChange::default());
    }
    let Some((before, settings)) = plan.before(&budget) else {
        return Ok(ListChange { start: None, propose: Some(next.list()) });
    };
    // Compared as written, because a shop's name may resolve to another shop by now.
    let written = agreement_of(person, plan.settings(), Some(now), today, None);
    let last = agreement_of(before, settings, Some(now), today, None);
    if written.list().has_same_content(&last.list()) {
        return Ok(ListChange::default());
    }
    let last = with_shops_of(now, last, before.terms(&settings.start), shops);
    let is_start = before.agreement.is_none() && person.agreement.is_none();
    if !last.list().has_same_content(&now.list()) {
        // A new start list does not concern a person whose own list is in force.
        if is_start && next.pots == last.pots {
            return Ok(ListChange::default());
        }
        return Err(format!(
            "the list in force is not what the file said last: version {}, agreed on {} by {}; \
             sayso programme show {} writes it: make your change there",
            now.version,
            now.agreed_on,
            now.agreed_by.join(" and "),
            plan.settings().id
        ));
    }
    if is_start {
        return Ok(ListChange::start(next));
    }
    let planned = with_pots_of(now.list(), &next.list());
    let is_agreed = next.list().has_same_content(&planned);
    let starts = planned.pots != now.pots;
    Ok(ListChange {
        start: starts.then(|| Agreement {
            version: next.version,
            pots: planned.pots,
            ..now.clone()
        }),
        propose: (!is_agreed).then(|| next.list()),
    })
}

/// `now` with the pots that `next` adds and without those that it removes, because the file plans
/// the money. The pots that stay keep their plans and their relative order.
fn with_pots_of(mut now: List, next: &List) -> List {
    let place = |pot: &PotPlan| next.pots.iter().position(|new| new.id == pot.id);
    now.pots.retain(|pot| place(pot).is_some());
    let is_in_order = now.pots.iter().map(place).is_sorted();
    let is_new = |pot: &&PotPlan| now.pots.iter().all(|known| known.id != pot.id);
    let new: Vec<_> = next.pots.iter().filter(is_new).cloned().collect();
    now.pots.extend(new);
    if is_in_order {
        now.pots.sort_by_key(place);
    }
    now
}

/// Refuses a list with two terms about one shop; different names may resolve to the same shop.
fn refuse_duplicate_shops(plan: &ApplyPlan<'_>, next: &Agreement) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let Some(term) = next.terms.iter().find(|term| !seen.insert(term.scope())) else {
        return Ok(());
    };
    let shop = term.scope().shops().next();
    let shop = shop.and_then(|key| plan.parsed.rules.shops().with_key(&key));
    let shop = shop.map_or("the same shop", |shop| &shop.name);
    Err(format!("two terms of their list are about {shop}; keep one"))
}

/// Refuses a new term that only the worker decides, because a list never changes without its
/// person.
fn refuse_worker_only_terms(next: &Agreement, now: Option<&Agreement>) -> Result<(), String> {
    let is_new = |term: &&Term| now.is_none_or(|now| !now.terms.contains(term));
    let mut alone = next.terms.iter().filter(|term| term.decides() == Decider::Worker);
    match alone.find(is_new) {
        Some(term) => Err(ListError::WorkerAlone(term.scope().clone()).to_string()),
        None => Ok(()),
    }
}

/// The accounts of the two people who agree a list.
pub(super) struct Parties<'a> {
    person: &'a Member,
    worker: &'a Member,
}

impl<'a> Parties<'a> {
    fn of(plan: &ApplyPlan<'a>, person: &Person) -> Result<Self, String> {
        let members = &plan.parsed.file.members;
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

/// The two people who must consent to `next`. The inner error says why it cannot be proposed now.
pub(super) async fn parties_to<'a>(
    tx: &mut Tx,
    plan: &'a ApplyPlan<'_>,
    person: &Person,
    now: &Agreement,
    next: &List,
) -> Result<Result<Parties<'a>, String>, ApplyError> {
    let settings = plan.settings();
    let (now_list, currency) = (now.list(), settings.currency);
    let parties = match Parties::of(plan, person) {
        Ok(parties) => parties,
        Err(why) => return Ok(Err(why)),
    };
    if let Err(error) = next.check(&now_list, currency) {
        return Ok(Err(error.to_string()));
    }
    let (budget, rules) = (&BudgetId::of(&person.id), &plan.parsed.rules);
    let proposal_slot =
        ProposalSlot { programme: &settings.id, budget, currency, rules, at: plan.now };
    let mut conflict = proposal_slot.open_conflict(tx, ProposalKind::Together, now.version).await?;
    if conflict.is_none() {
        conflict = proposal_slot.recent_refusal(tx, &changes(&now_list, next, rules)).await?;
    }
    Ok(conflict.map_or(Ok(parties), |why| Err(why.to_string())))
}

/// Proposes `next` in the worker's name and records the worker's consent. If the file reports a new
/// talk, the person's consent is recorded too, and takes effect when they confirm it.
pub(super) async fn propose(
    tx: &mut Tx,
    filed: &FiledProposal<'_>,
    now: &Agreement,
    next: List,
    pending_writes: &mut PendingWrites,
) -> Result<PendingProposal, StoreError> {
    let FiledProposal { plan, ids, person, .. } = filed;
    let standard = filed.standard(tx, &now.list(), &next).await?;
    let mut sides = standard.required_sides(ProposalKind::Together);
    let not_before = plan.now.checked_add(standard.cooling()).unwrap_or(Timestamp::MAX);
    let proposal = Proposal {
        id: ProposalId::new(ids.next(plan.now)),
        budget: BudgetId::of(&person.id),
        kind: ProposalKind::Together,
        base_version: now.version,
        list: next,
        words: filed.words(),
        answers: None,
        parts: ConsentGranularity::Parts,
        state: ProposalState::Open,
        proposed_by: filed.parties.worker.id.clone(),
        proposed_at: plan.now,
        not_before,
        open_until: not_before.checked_add(PROPOSAL_LIFETIME).unwrap_or(Timestamp::MAX),
        ended_at: None,
        version: None,
    };
    sides.remove(&ConsentSide::Worker);
    filed.write(tx, &proposal, &sides, pending_writes).await?;
    Ok(PendingProposal { person: person.id.clone(), proposal: proposal.id, sides })
}

/// A change of a list that comes from a file.
pub(super) struct FiledProposal<'a> {
    pub(super) plan: &'a ApplyPlan<'a>,
    pub(super) ids: &'a NewIds,
    pub(super) person: &'a Person,
    pub(super) parties: Parties<'a>,
}

impl FiledProposal<'_> {
    async fn standard(
        &self,
        tx: &mut Tx,
        now: &List,
        next: &List,
    ) -> Result<ConsentRequirements, StoreError> {
        let settings = self.plan.settings();
        let budget = BudgetId::of(&self.person.id);
        let agreed = tx.agreed_list(&settings.id, &budget, settings.currency).await?;
        let agreed = agreed.as_ref().unwrap_or(now);
        let rules = &self.plan.parsed.rules;
        Ok(ConsentRequirements::of(now, agreed, next, rules, settings.manager_above))
    }

    /// The agreement in the file, if the talk that it reports is new since the file was last
    /// applied.
    fn talk(&self) -> Option<&AgreementDraft> {
        let draft = self.person.agreement.as_ref()?;
        let before = self.plan.before(&BudgetId::of(&self.person.id));
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

    fn consent(
        &self,
        side: ConsentSide,
        member: &Member,
        confirmed_at: Option<Timestamp>,
    ) -> Consent {
        let draft = self.person.agreement.as_ref();
        let place = draft.map_or_else(String::new, |draft| shortened(&draft.how));
        Consent {
            side,
            member: member.id.clone(),
            human: member.human.clone(),
            said: ConsentAnswer::Yes,
            parts: None,
            session: ConsentSession {
                how: ConsentChannel::InPerson,
                place: if place.trim().is_empty() {
                    "The programme's file.".to_owned()
                } else {
                    place
                },
                minutes: 0,
                present: draft.map_or_else(String::new, |d| shortened(&d.agreed_by.join(", "))),
            },
            words: String::new(),
            confirmed_at,
            said_at: self.plan.now,
        }
    }

    async fn write(
        &self,
        tx: &mut Tx,
        proposal: &Proposal,
        sides: &BTreeSet<ConsentSide>,
        pending_writes: &mut PendingWrites,
    ) -> Result<(), StoreError> {
        let (programme, now) = (&self.plan.settings().id, self.plan.now);
        let Parties { person, worker } = &self.parties;
        tx.add_proposal(programme, proposal).await?;
        tx.add_consent(programme, proposal, &self.consent(ConsentSide::Worker, worker, Some(now)))
            .await?;
        let is_written_down = self.talk().is_some();
        if is_written_down {
            tx.add_consent(programme, proposal, &self.consent(ConsentSide::Person, person, None))
                .await?;
        }
        let act = ActRow {
            programme_id: programme.clone(),
            budget_id: proposal.budget.clone(),
            act_id: ActId::new(self.ids.next(now)),
            member_id: worker.id.clone(),
            kind: "list_proposed".to_owned(),
            subject: proposal.id.to_string(),
            detail: "by the programme's file".to_owned(),
            acted_at: now,
        };
        tx.add_acts(&[act]).await?;
        let to_person = if is_written_down {
            ListNotification::ListWrittenDown
        } else {
            ListNotification::ListProposed
        };
        pending_writes.messages.push(self.message(proposal, Recipient::Person, to_person));
        let filed = ListNotification::WorkerListFiled;
        pending_writes.messages.push(self.message(proposal, Recipient::Worker, filed));
        if sides.contains(&ConsentSide::Manager) {
            let asked = ListNotification::WorkerListProposed;
            pending_writes.messages.push(self.message(proposal, Recipient::Manager, asked));
        }
        Ok(())
    }

    fn message(
        &self,
        proposal: &Proposal,
        recipient: Recipient,
        notification: ListNotification,
    ) -> NewMessage {
        let (settings, now) = (self.plan.settings(), self.plan.now);
        let (name, until) = (self.parties.worker.name.as_str(), proposal.open_until);
        let parameters = ListParameters { zone: &settings.zone, name, at: Some(until), words: "" };
        NewMessage {
            id: MessageId::new(self.ids.next(now)),
            programme: settings.id.clone(),
            budget: proposal.budget.clone(),
            kind: notification.kind(),
            subject: proposal.id.to_string(),
            body: Words::english().list_notification(notification, &parameters),
            created_at: now,
            recipient,
            facts: MessageParameters::default()
                .text("by", name)
                .text("at", until.to_string())
                .to_text(),
            thread: None,
            due_at: Some(until).filter(|_| notification.has_deadline()),
        }
    }
}

fn shortened(words: &str) -> String {
    words.trim().chars().filter(|c| *c != '\0').take(FILE_WORDS_CHARS_MAX).collect()
}
