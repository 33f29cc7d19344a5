//! An ask: a person requests a one-time OK for something that the list does not allow.
//!
//! All state transitions of an ask are here; its deadlines are computed by its
//! [clock].

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
use crate::domain::shop::merchant::{Category, MerchantRules};
use crate::domain::stored_enum::stored_enum;

/// How many asks of one person may be open at the same time.
pub const OPEN_ASKS_MAX: usize = 3;
/// How long a one-time OK lasts by default.
pub const DEFAULT_PERMISSION_LIFETIME: SignedDuration = SignedDuration::from_hours(48);
/// The longest lifetime that an answer may set.
pub const PERMISSION_LIFETIME_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);
/// The categories of [`Urgency::Essential`]: nobody should have to wait for them.
const ESSENTIALS: [&str; 5] = ["food", "energy", "health", "around", "phone"];

stored_enum!(
    /// The kind of an ask.
    AskKind {
        OneTime => "one_time",
        /// The shop's MCC puts it into the wrong category.
        WrongGroup => "wrong_group",
    }
);

stored_enum!(
    /// The state of an ask.
    AskState {
        Sent => "sent",
        Seen => "seen",
        /// Staff want to talk before they answer, at a time that they have named.
        TalkFirst => "talk_first",
        Yes => "yes",
        /// Approved, with a lower cap than was asked for.
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
    /// Whether an ask can wait.
    Urgency {
        /// Food, energy, health, getting around, the phone: answered the same day.
        Essential => "essential",
        Ordinary => "ordinary",
    }
);

stored_enum!(
    /// Why an ask was refused. Poor value for money is deliberately not among the reasons.
    AskRefusalReason {
        /// The law, or a rule that came with this money.
        Law => "law_of_money",
        /// No pot pays for such things.
        Purpose => "not_in_purpose",
        /// It exceeds a sum that the person and the worker agreed.
        OverSum => "over_agreed_sum",
        /// A recorded safety talk speaks against it.
        Safety => "safety_record",
        /// There is not enough money for it.
        Money => "not_enough_money",
    }
);

impl Urgency {
    /// The urgency of an ask for `category`; ordinary if the category is not known.
    pub fn of(category: Option<&Category>) -> Self {
        let is_essential = category.is_some_and(|category| ESSENTIALS.contains(&category.as_str()));
        if is_essential { Self::Essential } else { Self::Ordinary }
    }
}

/// The account that acted, and the human being who used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActorIdentity {
    pub member: MemberId,
    pub human: HumanId,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    pub id: AskId,
    pub budget: BudgetId,
    pub kind: AskKind,
    /// What it is for.
    pub scope: Scope,
    /// The category of the shop, if known.
    pub category: Option<Category>,
    /// The shop's name as its terminal sent it, if known.
    pub place: Option<String>,
    /// The highest amount of the purchase.
    pub amount: Money,
    /// The declined authorisation request that the ask is about, if any; `refused_for` is why.
    pub decision: Option<DecisionId>,
    pub refused_for: Option<ReasonCode>,
    /// The person's own words, which are optional.
    pub words: Option<String>,
    pub urgency: Urgency,
    pub asked: ActorIdentity,
    pub asked_at: Timestamp,
    pub state: AskState,
    pub step: EscalationStep,
    /// When it escalates to the next step.
    pub answer_by: Timestamp,
    /// The final deadline, at which the last step ends.
    pub decide_by: Timestamp,
    pub answer: Option<AskAnswer>,
}

/// An answer to an ask, or the wish to talk first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskAnswer {
    /// None when the programme's rule or timeout approved it.
    pub by: Option<ActorIdentity>,
    pub at: Timestamp,
    pub reason: Option<AskRefusalReason>,
    pub words: Option<String>,
    /// The approved cap, scope and end, and the permission created; none unless approved.
    pub up_to: Option<Money>,
    pub scope: Option<Scope>,
    pub ends_at: Option<Timestamp>,
    pub permission: Option<PermissionId>,
    /// When an approval is reviewed that was given out of hours or by the programme's own rule.
    pub review_on: Option<Date>,
    /// The review, once it is done.
    pub review: Option<AskReview>,
}

/// A review of an approval that was given out of hours or by the programme's own rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskReview {
    pub by: ActorIdentity,
    pub at: Timestamp,
    pub words: Option<String>,
}

/// Why an approval cannot be reviewed, or not by this human being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AskReviewError {
    #[error("there is nothing to look at")]
    Nothing,
    #[error("somebody has looked at it")]
    Looked,
    #[error("whoever asked or answered does not look at it")]
    Own,
}

/// What an approval covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantScope {
    /// What was asked for: usually one shop.
    Place,
    /// The whole category of that shop.
    Group,
}

/// The content of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskReply {
    Yes {
        /// The cap, at most the amount of the ask; none for that amount.
        up_to: Option<Money>,
        reach: GrantScope,
        /// None for [`DEFAULT_PERMISSION_LIFETIME`].
        ends_at: Option<Timestamp>,
    },
    NotThisTime(AskRefusalReason),
    TalkFirst {
        by: Timestamp,
    },
}

/// Why an answer is invalid or cannot be given.
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

/// An answer as it is submitted.
#[derive(Debug, Clone)]
pub struct AskReplySubmission<'a> {
    pub by: ActorIdentity,
    pub reply: &'a AskReply,
    pub words: Option<String>,
    pub at: Timestamp,
    /// The identifier of the permission that an approval creates.
    pub permission: PermissionId,
    /// For how many days a block that the person set on themselves still holds after an approval.
    pub cooling_days: Option<u32>,
    /// When an approval is reviewed that is given out of hours; none within hours.
    pub review_on: Option<Date>,
}

impl Ask {
    /// What it is for.
    pub const fn wanted(&self) -> AskSubject<'_> {
        let Self { scope, category, refused_for, .. } = self;
        AskSubject { scope, category: category.as_ref(), refused_for: *refused_for }
    }

    /// Whether it waits for an answer.
    pub const fn is_open(&self) -> bool {
        matches!(self.state, AskState::Sent | AskState::Seen | AskState::TalkFirst)
    }

    /// The ask after somebody who may answer has opened it; none unless it was unseen.
    pub fn seen(&self) -> Option<Self> {
        (self.state == AskState::Sent).then(|| Self { state: AskState::Seen, ..self.clone() })
    }

    /// The ask after the person has withdrawn it; none if it is not open.
    pub fn taken_back(&self) -> Option<Self> {
        let over =
            Self { state: AskState::TakenBack, step: EscalationStep::Decided, ..self.clone() };
        self.is_open().then_some(over)
    }

    /// The ask after somebody has passed it on to the manager; none if it is not open or is the
    /// manager's already. The deadlines stay, because they were promised to the person.
    pub fn escalated(&self) -> Option<Self> {
        let passed = Self { step: EscalationStep::Manager, ..self.clone() };
        (self.is_open() && self.step != EscalationStep::Manager).then_some(passed)
    }

    /// The ask after an answer, and the permission if it was approved.
    ///
    /// # Errors
    ///
    /// [`AskReplyError`]: the answer is invalid, the ask is not open, or the asker answers it.
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

    /// The ask after another human being has reviewed its approval. Only the review is added:
    /// however late, it does not revoke the permission.
    ///
    /// # Errors
    ///
    /// [`AskReviewError`]: no review is needed, it is done, or the reviewer asked or answered.
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

    /// Whether the ask may be approved without an answer, up to `most`, the programme's setting. A
    /// timeout lifts neither a block that the person set on themselves nor a rule that came with
    /// the money (`is_barred`).
    pub fn may_approve_on_timeout(
        &self,
        most: Money,
        cooling_days: Option<u32>,
        is_barred: bool,
    ) -> bool {
        self.amount.minor() <= most.minor() && cooling_days.is_none() && !is_barred
    }

    /// The ask after a timeout has approved it, and its permission.
    pub fn approve_on_timeout(&self, at: Timestamp, id: PermissionId) -> (Self, Permission) {
        let permission = Permission {
            id,
            scope: self.scope.clone(),
            cap: self.amount,
            uses_left: 1,
            given_at: at,
            ends_at: at.checked_add(DEFAULT_PERMISSION_LIFETIME).unwrap_or(Timestamp::MAX),
            grantor: Grantor::Programme,
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

    /// Whether `given` repeats the recorded answer exactly, so that a retry is idempotent.
    pub fn is_same_answer(&self, given: &AskReplySubmission<'_>) -> bool {
        let Some(answer) = &self.answer else { return false };
        let is_same = match given.reply {
            AskReply::Yes { up_to, reach, ends_at } => {
                let is_yes = matches!(self.state, AskState::Yes | AskState::YesLess);
                is_yes && self.grants_the_same(answer, given, (*up_to, *reach, *ends_at))
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

    /// Whether an approval with these terms would have created the permission in `answer`.
    fn grants_the_same(
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
    if ends_at <= effective_from || ends_at > after(PERMISSION_LIFETIME_MAX) {
        return Err(AskReplyError::Ends);
    }
    Ok(Permission {
        id: given.permission,
        scope,
        cap,
        uses_left: 1,
        given_at: given.at,
        ends_at,
        grantor: Grantor::People,
        uses: Some(PermissionUsage::none(cap.currency())),
    })
}

/// When a permission that is given at `at` starts to lift a block that the person set on
/// themselves.
pub fn effective_from(at: Timestamp, cooling_days: Option<u32>) -> Timestamp {
    let hours = i64::from(cooling_days.unwrap_or_default()).saturating_mul(24);
    at.checked_add(SignedDuration::from_hours(hours)).unwrap_or(Timestamp::MAX)
}

/// Why an ask is not possible. This is not a refusal, because no ask was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAskableError {
    /// The law or the funder forbids it: nobody in the programme can lift that.
    #[error("the rule came with the money")]
    FunderRule,
    /// A fault of the terminal or of ours: trying again helps.
    #[error("it was a mix-up; trying again helps")]
    MixUp,
    /// The card, the person or the programme cannot pay now: an OK could not be used.
    #[error("the card cannot be used now")]
    Card,
    /// An OK adds no money.
    #[error("a one-time OK adds no money")]
    NoMoney,
}

/// The reason that an ask after a decline for `reasons` is about: the first one that an OK lifts.
///
/// # Errors
///
/// [`NotAskableError`] when an OK lifts none of them, or one of them rules an ask out.
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

/// What an ask is for, as far as it is known.
#[derive(Debug, Clone, Copy)]
pub struct AskSubject<'a> {
    pub scope: &'a Scope,
    pub category: Option<&'a Category>,
    pub refused_for: Option<ReasonCode>,
}

/// The longest cooling time, in days, of the person's blocks on themselves that an approval of
/// `ask` would lift; none without such a block.
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
