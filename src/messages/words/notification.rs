//! Text messages about asks, appeals, cards, helpers and pots. Those to the person name no shop,
//! and those to a worker name nobody, because others may see them arrive.

use fluent_bundle::FluentArgs;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::phrase::Phrase;
use super::{Words, sms};
use crate::domain::ask::{AskRefusalReason, NotAskableError, OPEN_ASKS_MAX};
use crate::domain::money::Money;

/// What people are notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notification {
    AskSent,
    AskLate,
    AskLateAgain,
    AskPassedOn,
    AskYes,
    AskYesLess,
    /// A yes that takes effect after the cooling time of a block that the person set on themselves.
    AskYesLater,
    AskYesBySilence,
    AskNotThisTime,
    AskTalkFirst,
    ShopFixed,
    Suggestion,
    AppealSent,
    AppealSentWithYes,
    AppealYes,
    AppealChanged,
    AppealKept,
    AppealLate,
    CustodyChanged,
    WorkerWaiting,
    WorkerLateAsk,
    WorkerMissed,
    WorkerTakenBack,
    WorkerShopFixed,
    WorkerReview,
    WorkerSilence,
    WorkerAppeal,
    WorkerAppealLate,
    WorkerAppealDone,
    WorkerQuietWord,
    WorkerCardElsewhere,
    WorkerCardBack,
    CardFrozenFor,
    CardLost,
    HelperChosen,
    HelperGone,
    /// A programme's file adds a helper, an advocate or a planner.
    HelperFiled,
    /// A programme's file adds an account that speaks for the person.
    AccountFiled,
    /// New merchant rules move codes out of a category of the person's list, or into one.
    CodesMoved,
    HeldBack,
    HeldBackUntil,
    HeldBackFree,
    /// The person asked for the money back, and their cooling time has begun.
    HeldBackCools,
    WorkerCardFrozen,
    WorkerCardUnfrozen,
    WorkerCardLost,
}

impl Notification {
    /// Every notification.
    pub const ALL: &[Self] = &[
        Self::AskSent,
        Self::AskLate,
        Self::AskLateAgain,
        Self::AskPassedOn,
        Self::AskYes,
        Self::AskYesLess,
        Self::AskYesLater,
        Self::AskYesBySilence,
        Self::AskNotThisTime,
        Self::AskTalkFirst,
        Self::ShopFixed,
        Self::Suggestion,
        Self::AppealSent,
        Self::AppealSentWithYes,
        Self::AppealYes,
        Self::AppealChanged,
        Self::AppealKept,
        Self::AppealLate,
        Self::CustodyChanged,
        Self::WorkerWaiting,
        Self::WorkerLateAsk,
        Self::WorkerMissed,
        Self::WorkerTakenBack,
        Self::WorkerShopFixed,
        Self::WorkerReview,
        Self::WorkerSilence,
        Self::WorkerAppeal,
        Self::WorkerAppealLate,
        Self::WorkerAppealDone,
        Self::WorkerQuietWord,
        Self::WorkerCardElsewhere,
        Self::WorkerCardBack,
        Self::CardFrozenFor,
        Self::CardLost,
        Self::HelperChosen,
        Self::HelperGone,
        Self::HelperFiled,
        Self::AccountFiled,
        Self::CodesMoved,
        Self::HeldBack,
        Self::HeldBackUntil,
        Self::HeldBackFree,
        Self::HeldBackCools,
        Self::WorkerCardFrozen,
        Self::WorkerCardUnfrozen,
        Self::WorkerCardLost,
    ];

    const fn phrase(self) -> Phrase {
        match self {
            Self::AskSent => Phrase::AskSent,
            Self::AskLate => Phrase::AskLate,
            Self::AskLateAgain => Phrase::AskLateAgain,
            Self::AskPassedOn => Phrase::AskPassedOn,
            Self::AskYes => Phrase::AskYes,
            Self::AskYesLess => Phrase::AskYesLess,
            Self::AskYesLater => Phrase::AskYesLater,
            Self::AskYesBySilence => Phrase::AskYesBySilence,
            Self::AskNotThisTime => Phrase::AskNotThisTime,
            Self::AskTalkFirst => Phrase::AskTalkFirst,
            Self::ShopFixed => Phrase::ShopFixed,
            Self::Suggestion => Phrase::Suggestion,
            Self::AppealSent => Phrase::AppealSent,
            Self::AppealSentWithYes => Phrase::AppealSentWithYes,
            Self::AppealYes => Phrase::AppealYes,
            Self::AppealChanged => Phrase::AppealChanged,
            Self::AppealKept => Phrase::AppealKept,
            Self::AppealLate => Phrase::AppealLate,
            Self::CustodyChanged => Phrase::CustodyChanged,
            Self::WorkerWaiting => Phrase::WorkerWaiting,
            Self::WorkerLateAsk => Phrase::WorkerLateAsk,
            Self::WorkerMissed => Phrase::WorkerMissed,
            Self::WorkerTakenBack => Phrase::WorkerTakenBack,
            Self::WorkerShopFixed => Phrase::WorkerShopFixed,
            Self::WorkerReview => Phrase::WorkerReview,
            Self::WorkerSilence => Phrase::WorkerSilence,
            Self::WorkerAppeal => Phrase::WorkerAppeal,
            Self::WorkerAppealLate => Phrase::WorkerAppealLate,
            Self::WorkerAppealDone => Phrase::WorkerAppealDone,
            Self::WorkerQuietWord => Phrase::WorkerQuietWord,
            Self::WorkerCardElsewhere => Phrase::WorkerCardElsewhere,
            Self::WorkerCardBack => Phrase::WorkerCardBack,
            Self::CardFrozenFor => Phrase::CardFrozenFor,
            Self::CardLost => Phrase::CardLost,
            Self::HelperChosen => Phrase::HelperChosen,
            Self::HelperGone => Phrase::HelperGone,
            Self::HelperFiled => Phrase::HelperFiled,
            Self::AccountFiled => Phrase::AccountFiled,
            Self::CodesMoved => Phrase::CodesMoved,
            Self::HeldBack => Phrase::HeldBack,
            Self::HeldBackUntil => Phrase::HeldBackUntil,
            Self::HeldBackFree => Phrase::HeldBackFree,
            Self::HeldBackCools => Phrase::HeldBackCools,
            Self::WorkerCardFrozen => Phrase::WorkerCardFrozen,
            Self::WorkerCardUnfrozen => Phrase::WorkerCardUnfrozen,
            Self::WorkerCardLost => Phrase::WorkerCardLost,
        }
    }

    /// Whether the time in the message is a deadline: the recipient must act by then, or can act
    /// only until then.
    pub const fn has_deadline(self) -> bool {
        matches!(
            self,
            Self::AskYes
                | Self::AskYesLess
                | Self::AskYesBySilence
                | Self::AppealYes
                | Self::WorkerWaiting
                | Self::WorkerLateAsk
                | Self::WorkerAppeal
                | Self::WorkerAppealLate
        )
    }

    /// The message kind, as stored.
    pub fn kind(self) -> &'static str {
        self.phrase().id()
    }
}

/// Who must answer next, for texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignee<'a> {
    Named(&'a str),
    Duty,
    Manager,
}

/// The parameters of a text. The notification decides which of them it needs.
#[derive(Debug, Clone, Copy)]
pub struct NotificationParameters<'a> {
    pub zone: &'a TimeZone,
    /// Who acted, or the helper or pot that the notification is about.
    pub name: Option<&'a str>,
    /// Who must answer next.
    pub assignee: Option<Assignee<'a>>,
    /// The instant that the text names: a deadline, an end or a start.
    pub at: Option<Timestamp>,
    pub on: Option<Date>,
    pub amount: Option<Money>,
    pub reason: Option<AskRefusalReason>,
    /// The comment of the account that acted.
    pub words: Option<&'a str>,
}

impl<'a> NotificationParameters<'a> {
    /// Parameters with only the time zone.
    pub const fn new(zone: &'a TimeZone) -> Self {
        Self {
            zone,
            name: None,
            assignee: None,
            at: None,
            on: None,
            amount: None,
            reason: None,
            words: None,
        }
    }
}

impl Words {
    /// The text message about `notification`: with the comment if it fits, and without names if the
    /// text does not fit otherwise.
    pub fn notification(
        &self,
        notification: Notification,
        parameters: &NotificationParameters<'_>,
    ) -> String {
        let full = self.notification_wording(notification, parameters, false);
        let said = parameters.words.map(|words| {
            let mut args = FluentArgs::new();
            args.set("text", full.clone());
            args.set("words", sms::transliterate(words));
            self.fill(Phrase::Said.id(), None, &args)
        });
        let wordings = said.into_iter().chain([full]);
        wordings
            .into_iter()
            .find(|text| sms::fits(text))
            .unwrap_or_else(|| self.notification_wording(notification, parameters, true))
    }

    /// The reason of a refused ask, in one sentence.
    pub fn no_reason(&self, reason: AskRefusalReason) -> String {
        self.text(match reason {
            AskRefusalReason::Law => Phrase::NoReasonLaw,
            AskRefusalReason::Purpose => Phrase::NoReasonPurpose,
            AskRefusalReason::OverSum => Phrase::NoReasonOverSum,
            AskRefusalReason::Safety => Phrase::NoReasonSafety,
            AskRefusalReason::Money => Phrase::NoReasonMoney,
        })
    }

    /// Why something cannot be asked for, and what helps.
    pub fn cannot_ask(&self, why: NotAskableError, worker_name: &str) -> String {
        let mut args = FluentArgs::new();
        args.set("worker", worker_name.to_owned());
        let phrase = match why {
            NotAskableError::FunderRule => Phrase::CannotAskFunderRule,
            NotAskableError::MixUp => Phrase::CannotAskMixUp,
            NotAskableError::Card => Phrase::CannotAskCard,
            NotAskableError::NoMoney => Phrase::CannotAskNoMoney,
        };
        self.fill(phrase.id(), None, &args)
    }

    /// The reply to the quiet word: the same as to any text that is not a command.
    pub fn quiet_word_reply(&self) -> String {
        self.text(Phrase::DullReply)
    }

    /// Says that [`OPEN_ASKS_MAX`] asks are open, which is the most.
    pub fn too_many_asks(&self) -> String {
        let mut args = FluentArgs::new();
        args.set("most", OPEN_ASKS_MAX);
        self.fill(Phrase::TooManyAsks.id(), None, &args)
    }

    fn notification_wording(
        &self,
        notification: Notification,
        parameters: &NotificationParameters<'_>,
        is_minimal: bool,
    ) -> String {
        let mut args = FluentArgs::new();
        args.set("named", if is_minimal { "no" } else { "yes" });
        args.set("name", sms::transliterate(parameters.name.unwrap_or_default()));
        let team = || self.text(Phrase::SomeTeam);
        let assignee = match parameters.assignee {
            Some(Assignee::Named(name)) if !is_minimal && !name.is_empty() => {
                sms::transliterate(name)
            }
            Some(Assignee::Named(_)) | None => team(),
            Some(Assignee::Duty) => self.text(Phrase::DutyTeam),
            Some(Assignee::Manager) => self.text(Phrase::SomeManager),
        };
        args.set("who", assignee);
        if let Some(at) = parameters.at {
            let local = parameters.zone.to_datetime(at);
            args.set("time", self.time(local.time()));
            args.set("date", self.short_date(local.date()));
        }
        if let Some(on) = parameters.on {
            args.set("date", self.short_date(on));
        }
        if let Some(amount) = parameters.amount {
            args.set("amount", self.money(amount));
        }
        if let Some(reason) = parameters.reason {
            args.set("reason", self.no_reason(reason));
        }
        self.fill(notification.phrase().id(), None, &args)
    }
}
