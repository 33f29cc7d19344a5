//! An ask: a person wants a one-time OK for something that the list does not allow by itself.
//!
//! What can become of an ask is decided here and nowhere else; when its time runs out is said by
//! its [clock](crate::domain::ask::clock).
pub mod appeal;
pub mod clock;
pub mod permission;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use crate::domain::agreement::{Agreement, Gate, Scope, Term};
use crate::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use crate::domain::decision::reason_code::ReasonCode;
use crate::domain::id::{AskId, BudgetId, DecisionId, HumanId, MemberId, PermissionId};
use crate::domain::money::Money;
use crate::domain::people::role::stored_enum;
use crate::domain::shop::merchant::{Category, MerchantRules};

/// How many asks of one person may wait at the same time.
pub const MAX_OPEN_ASKS: usize = 3;
/// How long a one-time OK works, unless somebody says otherwise.
pub const DEFAULT_PERMISSION_LIFETIME: SignedDuration = SignedDuration::from_hours(48);
/// The longest that somebody can say.
pub const MAX_PERMISSION_LIFETIME: SignedDuration = SignedDuration::from_hours(31 * 24);
/// What nobody should have to wait for.
const ESSENTIALS: [&str; 5] = ["food", "energy", "health", "around", "phone"];

stored_enum!(
    /// What kind of ask it is.
    AskKind {
        OneTime => "one_time",
        /// The card company says that the shop is something that it is not.
        WrongGroup => "wrong_group",
    }
);

stored_enum!(
    /// How far it has come.
    AskState {
        Sent => "sent",
        Seen => "seen",
        /// Somebody wants to talk before they answer, at a time that they have said.
        TalkFirst => "talk_first",
        Yes => "yes",
        /// Yes, but up to less than was asked.
        YesLess => "yes_less",
        NotThisTime => "not_this_time",
        TakenBack => "taken_back",
    }
);

stored_enum!(
    /// Whose turn it is to answer.
    EscalationStep {
        Worker => "worker",
        Cover => "cover",
        Manager => "manager",
        Decided => "decided",
    }
);

stored_enum!(
    /// Whether it can wait.
    Urgency {
        /// Food, energy, health, getting around, the phone: answered the same day.
        Essential => "essential",
        Ordinary => "ordinary",
    }
);

stored_enum!(
    /// Why not this time. That somebody finds it poor value is no reason.
    AskRefusalReason {
        /// The law, or the rule that came with this money.
        Law => "law_of_money",
        /// No pot is for such things.
        Purpose => "not_in_purpose",
        /// It is over a sum that the two agreed.
        OverSum => "over_agreed_sum",
        /// A recorded talk about safety speaks against it.
        Safety => "safety_record",
        /// There is not enough money for it.
        Money => "not_enough_money",
    }
);

impl Urgency {
    /// Whether something of this kind can wait.
    pub fn of(category: Option<&Category>) -> Self {
        let is_essential = category.is_some_and(|category| ESSENTIALS.contains(&category.as_str()));
        if is_essential { Self::Essential } else { Self::Ordinary }
    }
}

/// Somebody who acted: by which account, and which human being that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorIdentity {
    pub member: MemberId,
    pub human: HumanId,
}

/// One ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub id: AskId,
    pub budget: BudgetId,
    pub kind: AskKind,
    /// What it is for.
    pub scope: Scope,
    /// The group of the shop, if it is known.
    pub category: Option<Category>,
    /// The shop as the till spelled it, if it is known.
    pub place: Option<String>,
    /// Up to how much.
    pub amount: Money,
    /// The purchase that was not paid, if it is about one, and why it was not.
    pub decision: Option<DecisionId>,
    pub refused_for: Option<ReasonCode>,
    /// What the person wants to say. They do not have to.
    pub words: Option<String>,
    pub urgency: Urgency,
    pub asked: ActorIdentity,
    pub asked_at: Timestamp,
    pub state: AskState,
    pub step: EscalationStep,
    /// When it passes on by itself.
    pub answer_by: Timestamp,
    /// When the last step ends.
    pub decide_by: Timestamp,
    pub answer: Option<AskAnswer>,
}

/// An answer that was given, or that somebody wants to talk first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskAnswer {
    /// None when nobody answered, and the programme had said that it is a yes then.
    pub by: Option<ActorIdentity>,
    pub at: Timestamp,
    pub reason: Option<AskRefusalReason>,
    pub words: Option<String>,
    /// Up to how much it is a yes, for what and until when, and the permission that it became.
    pub up_to: Option<Money>,
    pub scope: Option<Scope>,
    pub ends_at: Option<Timestamp>,
    pub permission: Option<PermissionId>,
    /// When an answer out of hours is looked at again.
    pub review_on: Option<Date>,
    /// Who has looked at it then.
    pub review: Option<AskReview>,
}

/// A look at a yes that was given out of hours, or by the programme's own rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskReview {
    pub by: ActorIdentity,
    pub at: Timestamp,
    pub words: Option<String>,
}

/// Why there is nothing to look at for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskReviewError {
    #[error("there is nothing to look at")]
    Nothing,
    #[error("somebody has looked at it")]
    Looked,
    #[error("whoever asked or answered does not look at it")]
    Own,
}

/// How far a yes reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantScope {
    /// What was asked for: mostly one shop.
    Place,
    /// The whole group of that shop.
    Group,
}

/// What somebody answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskReply {
    Yes {
        /// Less than was asked; none is all of it.
        up_to: Option<Money>,
        reach: GrantScope,
        /// None is as long as usual.
        ends_at: Option<Timestamp>,
    },
    NotThisTime(AskRefusalReason),
    TalkFirst {
        by: Timestamp,
    },
}

/// Why an answer is none, or cannot be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskReplyError {
    #[error("nobody answers their own question")]
    OwnAsk,
    #[error("this has been answered")]
    Decided,
    #[error("a yes can be up to what was asked, and above nothing")]
    NotUpTo,
    #[error("nobody knows the group of this shop; say yes to the shop")]
    NoGroup,
    #[error("the OK must end after it starts, and within 31 days")]
    Ends,
    #[error("the talk must be from now on, and before somebody else has to decide")]
    TalkTime,
}

/// Who answers what, when.
#[derive(Debug, Clone)]
pub struct AskReplySubmission<'a> {
    pub by: ActorIdentity,
    pub reply: &'a AskReply,
    pub words: Option<String>,
    pub at: Timestamp,
    /// The permission that a yes becomes.
    pub permission: PermissionId,
    /// For how many days a block that the person set on themselves outlasts a yes.
    pub cooling_days: Option<u32>,
    /// When an answer out of hours is looked at again.
    pub review_on: Option<Date>,
}

impl Ask {
    /// What it is for.
    pub const fn wanted(&self) -> AskSubject<'_> {
        let Self { scope, category, refused_for, .. } = self;
        AskSubject { scope, category: category.as_ref(), refused_for: *refused_for }
    }

    /// Whether an answer is still waited for.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, AskState::Sent | AskState::Seen | AskState::TalkFirst)
    }

    /// Somebody who may answer has opened it; none if they had before.
    pub fn seen(&self) -> Option<Self> {
        (self.state == AskState::Sent).then(|| Self { state: AskState::Seen, ..self.clone() })
    }

    /// The person takes it back; none if it has been answered.
    pub fn taken_back(&self) -> Option<Self> {
        let over =
            Self { state: AskState::TakenBack, step: EscalationStep::Decided, ..self.clone() };
        self.is_open().then_some(over)
    }

    /// Somebody leaves the answer to the manager. What the person was promised stays promised.
    pub fn escalated(&self) -> Option<Self> {
        let passed = Self { step: EscalationStep::Manager, ..self.clone() };
        (self.is_open() && self.step != EscalationStep::Manager).then_some(passed)
    }

    /// The ask after an answer, and the permission that a yes is.
    pub fn answered(
        &self,
        given: &AskReplySubmission<'_>,
    ) -> Result<(Self, Option<Permission>), AskReplyError> {
        if given.by.human == self.asked.human {
            return Err(AskReplyError::OwnAsk);
        }
        if !self.is_open() {
            return Err(AskReplyError::Decided);
        }
        let mut answer = AskAnswer {
            by: Some(given.by.clone()),
            at: given.at,
            reason: None,
            words: given.words.clone(),
            up_to: None,
            scope: None,
            ends_at: None,
            permission: None,
            review_on: None,
            review: None,
        };
        match given.reply {
            AskReply::Yes { up_to, reach, ends_at } => {
                let scope = self.scope_of(*reach)?;
                let cap = self.cap(*up_to)?;
                let permission = permission(given, scope, cap, *ends_at)?;
                answer.up_to = Some(cap);
                answer.scope = Some(permission.scope.clone());
                answer.ends_at = Some(permission.ends_at);
                answer.permission = Some(permission.id);
                answer.review_on = given.review_on;
                let is_less = cap.minor() < self.amount.minor();
                let state = if is_less { AskState::YesLess } else { AskState::Yes };
                Ok((self.decided(state, answer), Some(permission)))
            }
            AskReply::NotThisTime(reason) => {
                answer.reason = Some(*reason);
                Ok((self.decided(AskState::NotThisTime, answer), None))
            }
            AskReply::TalkFirst { by } => {
                if *by <= given.at || *by > self.decide_by {
                    return Err(AskReplyError::TalkTime);
                }
                let state = AskState::TalkFirst;
                let answer_by = *by;
                Ok((Self { state, answer_by, answer: Some(answer), ..self.clone() }, None))
            }
        }
    }

    /// The ask after somebody else has looked at a yes. Nothing but that changes: a look, however
    /// late, switches nothing off.
    pub fn with_review(&self, look: AskReview) -> Result<Self, AskReviewError> {
        let answer = self.answer.as_ref().filter(|answer| answer.review_on.is_some());
        let answer = answer.ok_or(AskReviewError::Nothing)?;
        if answer.review.is_some() {
            return Err(AskReviewError::Looked);
        }
        let human = &look.by.human;
        let has_answered = answer.by.as_ref().is_some_and(|by_whom| by_whom.human == *human);
        if has_answered || *human == self.asked.human {
            return Err(AskReviewError::Own);
        }
        let review = Some(look);
        Ok(Self { answer: Some(AskAnswer { review, ..answer.clone() }), ..self.clone() })
    }

    /// Whether nobody's answer may be a yes here, up to `most` by the programme's own word. Silence
    /// lifts neither what the person has set on themselves nor what came with the money.
    pub fn may_approve_on_timeout(
        &self,
        most: Money,
        cooling_days: Option<u32>,
        is_barred: bool,
    ) -> bool {
        self.amount.minor() <= most.minor() && cooling_days.is_none() && !is_barred
    }

    /// The yes that comes of nobody answering.
    pub fn approve_on_timeout(&self, at: Timestamp, id: PermissionId) -> (Self, Permission) {
        let permission = Permission {
            id,
            scope: self.scope.clone(),
            cap: self.amount,
            uses_left: 1,
            given_at: at,
            ends_at: at.checked_add(DEFAULT_PERMISSION_LIFETIME).unwrap_or(Timestamp::MAX),
            giver: Grantor::Programme,
            uses: Some(PermissionUsage::none(self.amount.currency())),
        };
        let answer = AskAnswer {
            by: None,
            at,
            reason: None,
            words: None,
            up_to: Some(self.amount),
            scope: Some(permission.scope.clone()),
            ends_at: Some(permission.ends_at),
            permission: Some(id),
            review_on: None,
            review: None,
        };
        (self.decided(AskState::Yes, answer), permission)
    }

    /// Whether `given` is what has been answered already, to the last word: sent twice, it counts
    /// once.
    pub fn is_same_answer(&self, given: &AskReplySubmission<'_>) -> bool {
        let Some(answer) = &self.answer else { return false };
        let is_same = match given.reply {
            AskReply::Yes { up_to, reach, ends_at } => {
                let is_yes = matches!(self.state, AskState::Yes | AskState::YesLess);
                is_yes && self.is_yes_of(answer, given, (*up_to, *reach, *ends_at))
            }
            AskReply::NotThisTime(reason) => {
                self.state == AskState::NotThisTime && answer.reason == Some(*reason)
            }
            AskReply::TalkFirst { by } => {
                self.state == AskState::TalkFirst && self.answer_by == *by
            }
        };
        is_same && answer.by.as_ref() == Some(&given.by) && answer.words == given.words
    }

    /// Whether a yes with these terms would have become the permission that `answer` became.
    fn is_yes_of(
        &self,
        answer: &AskAnswer,
        given: &AskReplySubmission<'_>,
        (up_to, reach, ends_at): (Option<Money>, GrantScope, Option<Timestamp>),
    ) -> bool {
        let given = AskReplySubmission { at: answer.at, ..given.clone() };
        let (Ok(scope), Ok(cap)) = (self.scope_of(reach), self.cap(up_to)) else { return false };
        permission(&given, scope, cap, ends_at).is_ok_and(|permission| {
            answer.up_to == Some(permission.cap)
                && answer.scope.as_ref() == Some(&permission.scope)
                && answer.ends_at == Some(permission.ends_at)
        })
    }

    fn decided(&self, state: AskState, answer: AskAnswer) -> Self {
        Self { state, step: EscalationStep::Decided, answer: Some(answer), ..self.clone() }
    }

    fn scope_of(&self, reach: GrantScope) -> Result<Scope, AskReplyError> {
        match (reach, &self.category) {
            (GrantScope::Place, _) => Ok(self.scope.clone()),
            (GrantScope::Group, Some(category)) => Ok(Scope::Category(category.clone())),
            (GrantScope::Group, None) => Err(AskReplyError::NoGroup),
        }
    }

    fn cap(&self, up_to: Option<Money>) -> Result<Money, AskReplyError> {
        let cap = up_to.unwrap_or(self.amount);
        let is_fair = cap.is_positive()
            && cap.currency() == self.amount.currency()
            && cap.minor() <= self.amount.minor();
        if is_fair { Ok(cap) } else { Err(AskReplyError::NotUpTo) }
    }
}

fn permission(
    given: &AskReplySubmission<'_>,
    scope: Scope,
    cap: Money,
    ends_at: Option<Timestamp>,
) -> Result<Permission, AskReplyError> {
    let effective_from = effective_from(given.at, given.cooling_days);
    let after = |span| effective_from.checked_add(span).unwrap_or(Timestamp::MAX);
    let ends_at = ends_at.unwrap_or_else(|| after(DEFAULT_PERMISSION_LIFETIME));
    if ends_at <= effective_from || ends_at > after(MAX_PERMISSION_LIFETIME) {
        return Err(AskReplyError::Ends);
    }
    Ok(Permission {
        id: given.permission,
        scope,
        cap,
        uses_left: 1,
        given_at: given.at,
        ends_at,
        giver: Grantor::People,
        uses: Some(PermissionUsage::none(cap.currency())),
    })
}

/// From when a permission that is given at `at` lifts a block that the person set on themselves.
pub fn effective_from(at: Timestamp, cooling_days: Option<u32>) -> Timestamp {
    let hours = i64::from(cooling_days.unwrap_or_default()).saturating_mul(24);
    at.checked_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX)
}

/// Why something cannot be asked for. It is no refusal: nothing was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAskableError {
    /// The law or the funder: nobody here can lift it.
    #[error("the rule came with the money")]
    FunderRule,
    /// The till's mistake, or ours: trying again helps.
    #[error("it was a mix-up; trying again helps")]
    MixUp,
    /// The card, the person or the programme: an OK would not be used.
    #[error("the card cannot be used now")]
    Card,
    /// An OK adds no money.
    #[error("a one-time OK adds no money")]
    NoMoney,
}

/// What can be asked for after a refusal for `reasons`: the first one that an OK lifts.
pub fn askable(reasons: &[ReasonCode]) -> Result<ReasonCode, NotAskableError> {
    use ReasonCode as R;

    let mut lifted = None;
    let mut lacks_money = false;
    for reason in reasons {
        match reason {
            R::FunderRule => return Err(NotAskableError::FunderRule),
            R::Conflict | R::OurFault => return Err(NotAskableError::MixUp),
            R::UnknownCard
            | R::NotStarted
            | R::FrozenSelf
            | R::FrozenStaff
            | R::CardLost
            | R::OldCard
            | R::Expired
            | R::Ended
            | R::Paused
            | R::OtherCurrency => return Err(NotAskableError::Card),
            R::NoMoney | R::NotYet => lacks_money = true,
            R::PlaceOff
            | R::CategoryOff
            | R::CategoryAsk
            | R::Unsorted
            | R::CashOff
            | R::CashBackOff
            | R::OnlineOff
            | R::AbroadOff
            | R::Hours
            | R::OkUsed
            | R::OkHeld
            | R::OkOver
            | R::OkSmall
            | R::OverPurchase
            | R::OverPeriod
            | R::TooMany => lifted = lifted.or(Some(*reason)),
        }
    }
    let otherwise = if lacks_money { NotAskableError::NoMoney } else { NotAskableError::Card };
    lifted.ok_or(otherwise)
}

/// What somebody wants to buy, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub struct AskSubject<'a> {
    pub scope: &'a Scope,
    pub category: Option<&'a Category>,
    pub refused_for: Option<ReasonCode>,
}

/// For how many days a block that the person set on themselves outlasts a yes to what is wanted.
pub fn cooling_days(
    agreement: &Agreement,
    rules: &MerchantRules,
    ask: AskSubject<'_>,
) -> Option<u32> {
    let gate = match ask.refused_for {
        Some(ReasonCode::CashOff) => Some(Gate::Cash),
        Some(ReasonCode::CashBackOff) => Some(Gate::CashBack),
        Some(ReasonCode::OnlineOff) => Some(Gate::Online),
        Some(ReasonCode::AbroadOff) => Some(Gate::Abroad),
        Some(ReasonCode::Hours) => Some(Gate::Hours),
        Some(_) | None => None,
    };
    let over = [ReasonCode::OverPurchase, ReasonCode::OverPeriod, ReasonCode::TooMany];
    let everything = ask.refused_for.filter(|reason| over.contains(reason));
    let asked: Vec<_> = ask.scope.shops().collect();
    let is_about = |scope: &Scope| match scope {
        Scope::Shop(_) | Scope::OneShop(..) => scope.shops().any(|shop| asked.contains(&shop)),
        Scope::Code(code) => {
            *scope == *ask.scope || ask.category == Some(rules.category_of(Some(*code)))
        }
        Scope::Category(category) => ask.category == Some(category),
        Scope::Everything => everything.is_some(),
        Scope::Gate(about) => gate == Some(*about),
        Scope::EverythingElse => false,
    };
    let is_kind = |scope: &Scope| {
        matches!(scope, Scope::Shop(_) | Scope::OneShop(..) | Scope::Code(_) | Scope::Category(_))
    };
    let scopes = || agreement.terms.iter().map(Term::scope);
    let is_else = !scopes().any(|scope| is_kind(scope) && is_about(scope));
    let is_met = |term: &&Term| {
        let scope = term.scope();
        if *scope == Scope::EverythingElse { is_else } else { is_about(scope) }
    };
    agreement.terms.iter().filter(is_met).filter_map(Term::cooling_days).max()
}
