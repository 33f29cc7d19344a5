//! Roles, capabilities, and the one table of which role has which capability.

use crate::domain::id::{HumanId, MemberId, PersonId, WorkerId};
use crate::domain::stored_enum::stored_enum;

stored_enum!(
    /// What an account is for. A human being with two roles has two accounts.
    Role {
        /// The cardholder, whose money it is.
        Person => "person",
        /// Chosen by the person; may do what the person ticked.
        Helper => "helper",
        /// Speaks for the person; need not see any purchases.
        Advocate => "advocate",
        /// From outside the programme; may draft a list, never activate one.
        Planner => "planner",
        Worker => "worker",
        /// Stands in for absent workers while on duty.
        Duty => "duty",
        Manager => "manager",
        Finance => "finance",
        /// Runs the service; sees no money and no purchases.
        Operator => "operator",
        /// Reads everything and changes nothing.
        Auditor => "auditor",
    }
);

stored_enum!(
    /// What an account may do. Each value guards at least one use case.
    Capability {
        /// Read balances and pots.
        SeeBudget => "see_budget",
        /// Read the agreed list.
        SeeList => "see_list",
        /// Read the totals spent per category of shop.
        SeeTotals => "see_totals",
        /// Read single purchases.
        SeePurchase => "see_purchase",
        /// Read the recorded actions and views.
        SeeTimeline => "see_timeline",
        /// Draft a change of the list without proposing it.
        Draft => "draft",
        /// Propose a change of the list to the other side.
        Propose => "propose",
        /// Give the person's yes or no to a change.
        AgreeAsPerson => "agree_as_person",
        /// Give the worker's yes or no to a change.
        AgreeAsWorker => "agree_as_worker",
        /// Give the manager's yes or no: required above a sum that the programme sets, and for what
        /// a law forces.
        AgreeAsManager => "agree_as_manager",
        /// Pause all spending for safety, for a limited time and with a reason.
        Pause => "pause",
        /// Freeze the person's card.
        Freeze => "freeze",
        /// Unfreeze the person's card.
        Unfreeze => "unfreeze",
        /// Report a card as lost or stolen; it never works again.
        ReportLost => "report_lost",
        /// Send an ask: for a one-time OK, or because a shop is in the wrong category.
        Ask => "ask",
        /// Answer an ask, up to the account's own limit.
        AnswerAsk => "answer_ask",
        /// Appeal: ask that somebody else reviews a decision.
        Appeal => "appeal",
        /// Answer an appeal against somebody else's decision.
        AnswerAppeal => "answer_appeal",
        /// Order the pots, hold some money back, move money between own pots of one stream.
        SteerMoney => "steer_money",
        /// Choose helpers and what they may do.
        ChooseHelpers => "choose_helpers",
        /// Write and publish the spending guide.
        PublishGuide => "publish_guide",
    }
);

stored_enum!(
    /// What the person can tick for a helper or an advocate.
    Delegation {
        Balance => "balance",
        List => "list",
        Totals => "totals",
        Purchases => "purchases",
        Freeze => "freeze",
        Draft => "draft",
        Appeal => "appeal",
    }
);

/// The budgets on which a role may use a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessScope {
    Never,
    /// The account's own budget.
    Own,
    /// The budget of the account's person, if that person ticked this.
    Ticked(Delegation),
    /// The budget of the account's person, whatever is ticked.
    Chosen,
    /// The budgets of the people in the account's own caseload and in those of workers it covers
    /// for.
    Caseload,
    /// Every budget of the programme while on duty; otherwise those of the workers it covers for.
    OnDuty,
    /// Every budget of the programme.
    Programme,
}

impl Role {
    /// The budgets on which this role may use `act`. The only such table: pages, routes and tests
    /// read it.
    pub const fn access_scope(self, act: Capability) -> AccessScope {
        use AccessScope::{Caseload, Chosen, Never, OnDuty, Own, Programme};
        const BALANCE: AccessScope = AccessScope::Ticked(Delegation::Balance);
        const LIST: AccessScope = AccessScope::Ticked(Delegation::List);
        const TOTALS: AccessScope = AccessScope::Ticked(Delegation::Totals);
        const PURCHASES: AccessScope = AccessScope::Ticked(Delegation::Purchases);
        const FREEZE: AccessScope = AccessScope::Ticked(Delegation::Freeze);
        const DRAFT: AccessScope = AccessScope::Ticked(Delegation::Draft);
        const APPEAL: AccessScope = AccessScope::Ticked(Delegation::Appeal);

        // In the order of [`Role::ALL`]: person, helper, advocate, planner, worker, duty, manager,
        // finance, operator, auditor.
        let row = match act {
            Capability::SeeBudget => [
                Own, BALANCE, BALANCE, Never, Caseload, OnDuty, Programme, Programme, Never,
                Programme,
            ],
            Capability::SeeList => {
                [Own, LIST, LIST, LIST, Caseload, OnDuty, Programme, Never, Never, Programme]
            }
            Capability::SeeTotals => [
                Own, TOTALS, TOTALS, Never, Caseload, OnDuty, Programme, Programme, Never,
                Programme,
            ],
            Capability::SeePurchase => [
                Own, PURCHASES, PURCHASES, Never, Caseload, OnDuty, Programme, Never, Never,
                Programme,
            ],
            Capability::SeeTimeline => {
                [Own, Never, Never, Never, Caseload, OnDuty, Programme, Never, Never, Programme]
            }
            Capability::Draft => {
                [Own, DRAFT, DRAFT, Chosen, Caseload, Never, Programme, Never, Never, Never]
            }
            Capability::Propose => {
                [Own, Never, Never, Never, Caseload, Never, Programme, Never, Never, Never]
            }
            Capability::AgreeAsPerson
            | Capability::Unfreeze
            | Capability::ReportLost
            | Capability::Ask
            | Capability::SteerMoney
            | Capability::ChooseHelpers => {
                [Own, Never, Never, Never, Never, Never, Never, Never, Never, Never]
            }
            Capability::AgreeAsWorker => {
                [Never, Never, Never, Never, Caseload, Never, Never, Never, Never, Never]
            }
            Capability::AgreeAsManager | Capability::PublishGuide => {
                [Never, Never, Never, Never, Never, Never, Programme, Never, Never, Never]
            }
            Capability::Pause | Capability::AnswerAsk | Capability::AnswerAppeal => {
                [Never, Never, Never, Never, Caseload, OnDuty, Programme, Never, Never, Never]
            }
            Capability::Freeze => {
                [Own, FREEZE, FREEZE, Never, Never, Never, Never, Never, Never, Never]
            }
            Capability::Appeal => {
                [Own, APPEAL, Chosen, Never, Never, Never, Never, Never, Never, Never]
            }
        };
        let [person, helper, advocate, planner, worker, duty, manager, finance, operator, auditor] =
            row;
        match self {
            Self::Person => person,
            Self::Helper => helper,
            Self::Advocate => advocate,
            Self::Planner => planner,
            Self::Worker => worker,
            Self::Duty => duty,
            Self::Manager => manager,
            Self::Finance => finance,
            Self::Operator => operator,
            Self::Auditor => auditor,
        }
    }

    /// Whether the account belongs to one person's budget: as that person, or to help them.
    pub const fn has_person(self) -> bool {
        matches!(self, Self::Person | Self::Helper | Self::Advocate | Self::Planner)
    }

    /// Whether the person chooses the account and what it may do.
    pub const fn is_chosen(self) -> bool {
        matches!(self, Self::Helper | Self::Advocate)
    }

    /// Whether reading single purchases requires a reason, which the person can read later.
    pub const fn requires_view_reason(self) -> bool {
        matches!(self, Self::Worker | Self::Duty | Self::Manager | Self::Auditor)
    }

    /// Whether this role sees people's names; if not, it sees identifiers only.
    pub const fn sees_names(self) -> bool {
        !matches!(self, Self::Finance | Self::Operator)
    }
}

/// An account of a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: MemberId,
    pub human: HumanId,
    pub name: String,
    pub role: Role,
    /// The person whose account it is or whom it helps; see [`Role::has_person`].
    pub person: Option<PersonId>,
    /// What the person has ticked for this account.
    pub sees: Vec<Delegation>,
    /// The worker in the programme's file who uses this account.
    pub worker: Option<WorkerId>,
    /// The highest ask that the account may approve, in minor units; none for the programme's
    /// default.
    pub answer_limit_minor: Option<i64>,
    /// People about whom the account may not decide, because of a link outside work.
    pub conflicts: Vec<PersonId>,
    pub state: MemberState,
}

impl Member {
    /// The person in whose name the account may act: its own person, while it is active.
    pub fn speaks_for(&self) -> Option<&PersonId> {
        let speaks = self.role == Role::Person && self.state == MemberState::Active;
        self.person.as_ref().filter(|_| speaks)
    }
}

stored_enum!(
    /// Whether an account may be used.
    MemberState {
        Active => "active",
        Ended => "ended",
    }
);

/// An account with the duties that it has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub member: Member,
    /// Whether it is on duty for the whole programme now.
    pub is_on_duty: bool,
    /// The workers it covers for now.
    pub covers: Vec<WorkerId>,
}

/// The budget that an account wants to act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTarget {
    pub person: PersonId,
    /// The worker of the person.
    pub worker: WorkerId,
}

/// The budgets on which an account may use a capability.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BudgetFilter {
    NoBudgets,
    OnePerson(PersonId),
    /// The budgets of these workers' people.
    Caseloads(Vec<WorkerId>),
    AllBudgets,
}

/// Why an account may not do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessDenied {
    /// The account has no capability on the budget. Reported as if it did not exist, so that its
    /// existence is not revealed.
    #[error("there is no such thing here")]
    NotThere,
    #[error("this account may not do that")]
    NotAllowed,
}

impl Actor {
    /// Checks that this account may use `act` on `subject`.
    ///
    /// # Errors
    ///
    /// [`AccessDenied::NotThere`] when it has no capability on that budget at all,
    /// [`AccessDenied::NotAllowed`] when it has others.
    pub fn may(&self, act: Capability, subject: &AccessTarget) -> Result<(), AccessDenied> {
        if self.reaches(act, subject) {
            Ok(())
        } else if Capability::ALL.iter().any(|seen| self.reaches(*seen, subject)) {
            Err(AccessDenied::NotAllowed)
        } else {
            Err(AccessDenied::NotThere)
        }
    }

    fn reaches(&self, act: Capability, subject: &AccessTarget) -> bool {
        match self.whose(act) {
            BudgetFilter::NoBudgets => false,
            BudgetFilter::OnePerson(person) => person == subject.person,
            BudgetFilter::Caseloads(workers) => workers.contains(&subject.worker),
            BudgetFilter::AllBudgets => true,
        }
    }

    /// The budgets on which this account may use `act`; none for an ended account.
    pub fn whose(&self, act: Capability) -> BudgetFilter {
        let member = &self.member;
        if member.state == MemberState::Ended {
            return BudgetFilter::NoBudgets;
        }
        let own = || member.person.clone().map_or(BudgetFilter::NoBudgets, BudgetFilter::OnePerson);
        match member.role.access_scope(act) {
            AccessScope::Own | AccessScope::Chosen => own(),
            AccessScope::Ticked(tick) if member.sees.contains(&tick) => own(),
            AccessScope::Never | AccessScope::Ticked(_) => BudgetFilter::NoBudgets,
            AccessScope::Caseload => {
                BudgetFilter::Caseloads(member.worker.iter().chain(&self.covers).cloned().collect())
            }
            AccessScope::OnDuty if self.is_on_duty => BudgetFilter::AllBudgets,
            AccessScope::OnDuty => BudgetFilter::Caseloads(self.covers.clone()),
            AccessScope::Programme => BudgetFilter::AllBudgets,
        }
    }

    /// Whether this account must leave decisions about `person` to somebody else.
    pub fn has_conflict(&self, person: &PersonId) -> bool {
        self.member.conflicts.contains(person)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(role: Role) -> Actor {
        let member = Member {
            id: "someone".parse().unwrap(),
            human: "someone".parse().unwrap(),
            name: "Someone".to_owned(),
            role,
            person: None,
            sees: Vec::new(),
            worker: None,
            answer_limit_minor: None,
            conflicts: Vec::new(),
            state: MemberState::Active,
        };
        Actor { member, is_on_duty: false, covers: Vec::new() }
    }

    fn dee() -> AccessTarget {
        AccessTarget { person: "dee".parse().unwrap(), worker: "amina".parse().unwrap() }
    }

    #[test]
    fn only_the_person_agrees_as_the_person_asks_and_steers() {
        for act in [Capability::AgreeAsPerson, Capability::Ask, Capability::SteerMoney] {
            let may: Vec<_> = Role::ALL
                .iter()
                .filter(|role| role.access_scope(act) != AccessScope::Never)
                .collect();
            assert_eq!(may, [&Role::Person], "{act:?}");
        }
    }

    #[test]
    fn what_is_not_yours_is_not_there() {
        let mut worker = actor(Role::Worker);
        worker.member.worker = Some("ben".parse().unwrap());
        assert_eq!(worker.may(Capability::SeeBudget, &dee()), Err(AccessDenied::NotThere));
        worker.covers.push("amina".parse().unwrap());
        assert_eq!(worker.may(Capability::SeeBudget, &dee()), Ok(()));
        assert_eq!(worker.may(Capability::AgreeAsPerson, &dee()), Err(AccessDenied::NotAllowed));
        worker.member.state = MemberState::Ended;
        assert_eq!(worker.may(Capability::SeeBudget, &dee()), Err(AccessDenied::NotThere));
    }

    #[test]
    fn a_helper_sees_what_is_ticked() {
        let mut helper = actor(Role::Helper);
        helper.member.person = Some("dee".parse().unwrap());
        assert_eq!(helper.may(Capability::SeeBudget, &dee()), Err(AccessDenied::NotThere));
        helper.member.sees = vec![Delegation::Balance];
        assert_eq!(helper.may(Capability::SeeBudget, &dee()), Ok(()));
        assert_eq!(helper.may(Capability::SeePurchase, &dee()), Err(AccessDenied::NotAllowed));
    }

    #[test]
    fn duty_reaches_everybody_while_it_lasts() {
        let mut duty = actor(Role::Duty);
        assert_eq!(duty.may(Capability::AnswerAsk, &dee()), Err(AccessDenied::NotThere));
        duty.is_on_duty = true;
        assert_eq!(duty.may(Capability::AnswerAsk, &dee()), Ok(()));
        assert_eq!(duty.may(Capability::Propose, &dee()), Err(AccessDenied::NotAllowed));
    }
}
