//! Text messages about lists and pauses, and the lines that describe the changes between two lists.
//! Text messages to the person name no shop and no kind of shop; those to a worker name nobody.

use fluent_bundle::FluentArgs;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::phrase::Phrase;
use super::{Words, sms};
use crate::domain::agreement::change::{ChangeDirection, EffectiveTerm, TermChange, TermKey};
use crate::domain::agreement::proposal::ConsentChannel;
use crate::domain::agreement::{Gate, Hours, Scope, Term, TermAnswer};
use crate::domain::money::limit::Limit;

macro_rules! list_notification {
    ($($(#[$doc:meta])* $variant:ident,)+) => {
        /// What people are notified of about a list or a pause.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ListNotification {
            $($(#[$doc])* $variant,)+
        }

        impl ListNotification {
            /// Every notification.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            const fn phrase(self) -> Phrase {
                match self {
                    $(Self::$variant => Phrase::$variant,)+
                }
            }
        }
    };
}

list_notification! {
    ListProposed,
    ListCountered,
    /// A yes was recorded for the person, who has not confirmed it.
    ListWrittenDown,
    /// Every side has consented, and the person's cooling time has begun.
    ListCools,
    ListStarted,
    ListRefused,
    ListTakenBack,
    ListRunOut,
    /// A law forced the change.
    ListForced,
    PauseBegun,
    PauseLifted,
    WorkerListProposed,
    WorkerListCountered,
    WorkerListCools,
    WorkerListStarted,
    WorkerListRefused,
    WorkerListTakenBack,
    WorkerListRunOut,
    WorkerListForced,
    /// The file of the programme proposes a list in the name of the worker.
    WorkerListFiled,
}

impl ListNotification {
    /// Whether the time in the message is the deadline for an answer.
    pub const fn has_deadline(self) -> bool {
        matches!(
            self,
            Self::ListProposed
                | Self::ListCountered
                | Self::WorkerListProposed
                | Self::WorkerListCountered
                | Self::WorkerListFiled
        )
    }

    /// The message kind, as stored.
    pub fn kind(self) -> &'static str {
        self.phrase().id()
    }
}

/// The parameters of a text. The notification decides which of them it needs.
#[derive(Debug, Clone, Copy)]
pub struct ListParameters<'a> {
    pub zone: &'a TimeZone,
    /// Who acted; empty if nobody did.
    pub name: &'a str,
    /// The instant that the text names: a deadline, an end or a start.
    pub at: Option<Timestamp>,
    /// The reason, as somebody wrote it; empty for none.
    pub words: &'a str,
}

/// The display names of scopes and pots.
pub trait DisplayNames {
    /// The name of a category, a code or a shop; none for other scopes or if it has no name.
    fn scope(&self, scope: &Scope) -> Option<String>;
    /// The name of a pot.
    fn pot(&self, pot: &crate::domain::id::PotId) -> String;
}

/// One line of "what changed", in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeLine {
    /// The part of the list that changes.
    pub key: TermKey,
    pub about: String,
    pub now: String,
    pub new: String,
    /// The direction of the change for the person.
    pub way: ChangeDirection,
    /// The direction in words.
    pub way_text: String,
}

impl Words {
    /// The text message about `notification`.
    pub fn list_notification(
        &self,
        notification: ListNotification,
        parameters: &ListParameters<'_>,
    ) -> String {
        let wording = |is_named: bool| {
            let mut args = FluentArgs::new();
            args.set("named", if is_named { "yes" } else { "no" });
            args.set("name", sms::transliterate(parameters.name));
            args.set("words", sms::transliterate(parameters.words));
            if let Some(at) = parameters.at {
                let local = parameters.zone.to_datetime(at);
                args.set("time", self.time(local.time()));
                args.set("date", self.short_date(local.date()));
            }
            self.fill(notification.phrase().id(), None, &args)
        };
        let named = wording(true);
        if sms::fits(&named) && !parameters.name.is_empty() { named } else { wording(false) }
    }

    /// Whether a comment is short enough for a text message that also has our words.
    pub fn is_short_enough(words: &str) -> bool {
        const SEPTETS_MAX: usize = 50;

        sms::septets(&sms::transliterate(words)).is_some_and(|septets| septets <= SEPTETS_MAX)
    }

    /// One line for each change: the term now, the new term, and the direction.
    pub fn change_lines(
        &self,
        changes: &[TermChange],
        names: &dyn DisplayNames,
    ) -> Vec<ChangeLine> {
        let line = |change: &TermChange| {
            let (now, new) = match &change.key {
                TermKey::Term(_) => (
                    self.effective(&change.effective_before),
                    self.effective(&change.effective_after),
                ),
                TermKey::Partial => {
                    let (no, yes) = (self.text(Phrase::AnswerNo), self.text(Phrase::AnswerYes));
                    if change.direction == ChangeDirection::Looser { (no, yes) } else { (yes, no) }
                }
                TermKey::PotOrder | TermKey::Pot(_) => {
                    (self.text(Phrase::AsItWas), self.text(Phrase::AsYouSee))
                }
            };
            let phrase = match change.direction {
                ChangeDirection::Looser => Phrase::WayMore,
                ChangeDirection::Tighter => Phrase::WayLess,
                ChangeDirection::Same => Phrase::WaySame,
                ChangeDirection::Mixed => Phrase::WayOther,
            };
            let about = self.about(&change.key, names);
            ChangeLine {
                key: change.key.clone(),
                about,
                now,
                new,
                way: change.direction,
                way_text: self.text(phrase),
            }
        };
        changes.iter().map(line).collect()
    }

    /// The display name of a part of the list.
    pub fn about(&self, key: &TermKey, names: &dyn DisplayNames) -> String {
        let scope = match key {
            TermKey::Partial => return self.text(Phrase::AboutPartial),
            TermKey::PotOrder => return self.text(Phrase::AboutPotOrder),
            TermKey::Pot(pot) => return names.pot(pot),
            TermKey::Term(scope) => scope,
        };
        let phrase = match scope {
            Scope::Shop(_) | Scope::OneShop(..) => Phrase::AboutShop,
            Scope::Code(_) | Scope::Category(_) => Phrase::AboutKind,
            Scope::EverythingElse => Phrase::AboutEverythingElse,
            Scope::Everything => Phrase::AboutEverything,
            Scope::Gate(Gate::Cash) => Phrase::AboutCash,
            Scope::Gate(Gate::CashBack) => Phrase::AboutCashBack,
            Scope::Gate(Gate::Online) => Phrase::AboutOnline,
            Scope::Gate(Gate::Abroad) => Phrase::AboutAbroad,
            Scope::Gate(Gate::Hours) => Phrase::AboutHours,
        };
        names.scope(scope).unwrap_or_else(|| self.text(phrase))
    }

    fn effective(&self, term: &EffectiveTerm) -> String {
        match term {
            EffectiveTerm::One(term) => self.term(term.as_ref()),
            EffectiveTerm::ByKind => self.text(Phrase::AnswerByKind),
        }
    }

    /// A term in words: "Yes, up to £30 a day", "Ask first", "No". `None` means a plain yes.
    pub fn term(&self, term: Option<&Term>) -> String {
        let Some(term) = term else { return self.text(Phrase::AnswerYes) };
        if let (Some(Hours { from, to }), TermAnswer::Ask | TermAnswer::No) =
            (term.hours(), term.answer())
        {
            let mut args = FluentArgs::new();
            args.set("from", self.time(from));
            args.set("to", self.time(to));
            return self.fill(Phrase::HoursOnly.id(), None, &args);
        }
        let answer = self.text(match term.answer() {
            TermAnswer::Yes => Phrase::AnswerYes,
            TermAnswer::Ask => Phrase::AnswerAsk,
            TermAnswer::No => Phrase::AnswerNo,
        });
        let limits = match term.answer() {
            TermAnswer::Yes => term.limits(),
            TermAnswer::Ask | TermAnswer::No => &[],
        };
        let parts = limits.iter().map(|limit| self.limit(limit));
        let parts: Vec<_> = std::iter::once(answer).chain(parts).collect();
        parts.join(&self.text(Phrase::Comma))
    }

    fn limit(&self, limit: &Limit) -> String {
        let mut args = FluentArgs::new();
        args.set("period", limit.period().map_or("purchase", |period| period.word()));
        let phrase = match limit {
            Limit::PerPurchase(most) | Limit::Amount { most, .. } => {
                args.set("amount", self.money(*most));
                Phrase::UpToAmount
            }
            Limit::Count { most, .. } => {
                args.set("limit", *most);
                Phrase::UpToTimes
            }
        };
        self.fill(phrase.id(), None, &args)
    }

    /// How somebody consented, for the text of the agreement.
    pub fn how_agreed(
        &self,
        name: &str,
        how: ConsentChannel,
        place: &str,
        minutes: u32,
        with: &str,
    ) -> String {
        let mut args = FluentArgs::new();
        args.set("name", name.to_owned());
        args.set("how", how.word());
        args.set("place", place.to_owned());
        args.set("minutes", minutes);
        args.set("accompanied", if with.is_empty() { "no" } else { "yes" });
        args.set("with", with.to_owned());
        self.fill(Phrase::HowAgreed.id(), None, &args)
    }
}
