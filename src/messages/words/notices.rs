//! What is told about a purchase after the answer, and how a purchase stands. A text names neither
//! a shop nor a kind of shop, because anybody may see it arrive.

use fluent_bundle::FluentArgs;
use jiff::civil::Date;

use super::phrase::Phrase;
use super::{Audience, Event, Room, Situation, Telling, Words, sms};
use crate::domain::decision::reason::DeclineReason;
use crate::domain::money::Money;
use crate::domain::purchase::issuer_refusal::{IssuerRefusal, IssuerRefused};
use crate::domain::purchase::notice::PurchaseNotice;

/// How a purchase stands, with what its words need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoryEnd {
    /// The card company refused it, and says why.
    RefusedByIssuer(IssuerRefused),
    /// Our approval came too late.
    TakenBack,
    /// Money is kept aside for it until a date, if there is one.
    Held {
        amount: Money,
        until: Option<Date>,
    },
    /// Less is kept aside than was asked.
    Lowered {
        amount: Money,
        rest: Money,
    },
    Taken {
        amount: Money,
    },
    /// The shop gave it up.
    NotTaken {
        amount: Money,
    },
    RanOut {
        amount: Money,
    },
    HeldWithoutUs {
        amount: Money,
    },
    TakenWithoutUs {
        amount: Money,
    },
    /// This much of what was taken came back.
    CameBack {
        took: Money,
        amount: Money,
    },
    /// It came back, and nothing had been taken.
    MoneyBack {
        amount: Money,
    },
    /// It came back, and belongs to no purchase.
    Aside {
        amount: Money,
    },
    Disputed {
        took: Money,
        amount: Money,
    },
    Won {
        took: Money,
        amount: Money,
    },
    Lost {
        took: Money,
        amount: Money,
    },
}

impl PurchaseNotice {
    /// The kind of the message, as it is stored.
    pub fn kind(&self) -> &'static str {
        self.figures().0.id()
    }

    /// The message, the amount that it is about, and the other one.
    const fn figures(&self) -> (Phrase, Money, Option<Money>) {
        match *self {
            Self::RefusedByIssuer(refused) => (Phrase::IssuerRefused, refused.asked, None),
            Self::Kept { amount } => (Phrase::KeptAside, amount, None),
            Self::KeptWithoutUs { amount } => (Phrase::KeptWithoutUs, amount, None),
            Self::Lowered { keeps, freed } => (Phrase::Lowered, keeps, Some(freed)),
            Self::GivenBack { freed } => (Phrase::GivenBack, freed, None),
            Self::RanOut { freed } => (Phrase::RanOut, freed, None),
            Self::TookLess { took, freed } => (Phrase::TookLess, took, Some(freed)),
            Self::TookMore { took, asked } => (Phrase::TookMore, took, Some(asked)),
            Self::PaidAfterAll { took } => (Phrase::PaidAfterAll, took, None),
            Self::StoppedCardPaid { amount } => (Phrase::StoppedCardPaid, amount, None),
            Self::MoneyBack { amount } => (Phrase::MoneyBack, amount, None),
            Self::MoneyAside { amount } => (Phrase::MoneyAside, amount, None),
            Self::DisputeOpened { amount } => (Phrase::DisputeOpened, amount, None),
            Self::DisputeWon { amount } => (Phrase::DisputeWon, amount, None),
            Self::DisputeLost { amount } => (Phrase::DisputeLost, amount, None),
        }
    }
}

impl PurchaseNotice {
    /// The amount that it is about, and the other one.
    pub const fn amounts(&self) -> (Money, Option<Money>) {
        let (_, amount, other) = self.figures();
        (amount, other)
    }
}

impl Words {
    /// The text message about what happened to a purchase.
    pub fn notice(&self, notice: &PurchaseNotice, situation: &Situation<'_>) -> String {
        if let PurchaseNotice::RefusedByIssuer(refused) = notice {
            return self.issuer_refused_text(*refused, situation);
        }
        let (phrase, amount, other) = notice.figures();
        self.told(phrase, Audience::Person, (amount, other), Telling::Started, situation)
    }

    /// What whoever is on duty hears of a card that was stopped and paid with.
    pub fn stopped_card_paid(&self) -> String {
        self.text(Phrase::DutyStoppedCardPaid)
    }

    /// The text message about money that was added.
    pub fn money_added(&self, amount: Money) -> String {
        let mut args = FluentArgs::new();
        args.set("amount", self.money(amount));
        self.fill(Phrase::MoneyAdded.id(), None, &args)
    }

    /// The whole text message about a purchase that the card company refused.
    fn issuer_refused_text(&self, refused: IssuerRefused, situation: &Situation<'_>) -> String {
        let situation = Situation { amount: refused.asked, place: None, ..*situation };
        if refused.why == IssuerRefusal::OurFault {
            return self.text_message(&DeclineReason::OurFault, &situation);
        }
        let telling = Telling::Started(Room::Ample);
        let mut args = self.refused_args(refused, telling, &situation);
        let why = self.fill(Phrase::IssuerRefused.id(), Some(Audience::Person.text()), &args);
        args.set("next", self.issuer_refused_next(refused.why));
        args.set("why", why);
        let text = self.fill(Phrase::NotPaidText.id(), None, &args);
        if sms::fits(&text) { text } else { self.text(Phrase::NotPaidShort) }
    }

    /// What the person can do when the card company refused.
    pub fn issuer_refused_next(&self, why: IssuerRefusal) -> String {
        let mut args = FluentArgs::new();
        args.set("why", why.word());
        self.fill(Phrase::IssuerRefusedNext.id(), None, &args)
    }

    /// How a purchase stands, for a page. `situation` says what was asked.
    pub fn story_end(
        &self,
        end: &StoryEnd,
        audience: Audience,
        situation: &Situation<'_>,
    ) -> String {
        let page = |phrase, amount| {
            self.told(phrase, audience, (amount, None), |_| Telling::Page(audience), situation)
        };
        let asked = || page(Phrase::AskedFor, situation.amount);
        let after = |first: String, then: String| format!("{first} {then}");
        match *end {
            StoryEnd::RefusedByIssuer(refused) => {
                let first = page(Phrase::NotPaidAtAll, refused.asked);
                let args = self.refused_args(refused, Telling::Page(audience), situation);
                let why = self.fill(Phrase::IssuerRefused.id(), Some(audience.text()), &args);
                if audience == Audience::Person { after(first, why) } else { why }
            }
            StoryEnd::TakenBack => {
                let why = self.why(&DeclineReason::OurFault, audience, situation);
                if audience == Audience::Person {
                    after(page(Phrase::NotPaidAtAll, situation.amount), why)
                } else {
                    why
                }
            }
            StoryEnd::Held { amount, until } => {
                self.event(Event::KeptAside { amount, until }, audience, situation)
            }
            StoryEnd::Lowered { amount, rest } => {
                let figures = (amount, Some(rest));
                let page = |_| Telling::Page(audience);
                after(asked(), self.told(Phrase::Lowered, audience, figures, page, situation))
            }
            StoryEnd::Taken { amount } => page(Phrase::Captured, amount),
            StoryEnd::NotTaken { amount } => after(asked(), page(Phrase::GivenBack, amount)),
            StoryEnd::RanOut { amount } => after(asked(), page(Phrase::RanOut, amount)),
            StoryEnd::HeldWithoutUs { amount } => page(Phrase::KeptWithoutUs, amount),
            StoryEnd::TakenWithoutUs { amount } => page(Phrase::PaidAfterAll, amount),
            StoryEnd::CameBack { took, amount } => {
                after(page(Phrase::Captured, took), page(Phrase::MoneyBack, amount))
            }
            StoryEnd::MoneyBack { amount } => page(Phrase::MoneyBack, amount),
            StoryEnd::Aside { amount } => page(Phrase::MoneyAside, amount),
            StoryEnd::Disputed { took, amount } => {
                after(page(Phrase::Captured, took), page(Phrase::DisputeOpened, amount))
            }
            StoryEnd::Won { took, amount } => {
                after(page(Phrase::Captured, took), page(Phrase::DisputeWon, amount))
            }
            StoryEnd::Lost { took, amount } => {
                after(page(Phrase::Captured, took), page(Phrase::DisputeLost, amount))
            }
        }
    }

    /// A text with an amount and perhaps another one.
    fn told(
        &self,
        phrase: Phrase,
        audience: Audience,
        (amount, other): (Money, Option<Money>),
        telling: impl Fn(Room) -> Telling,
        situation: &Situation<'_>,
    ) -> String {
        let telling = telling(Room::Ample);
        let mut args = self.common_args(telling, situation);
        args.set("amount", self.money(amount));
        if let Some(other) = other {
            args.set("rest", self.money(other));
        }
        self.set_end(&mut args, telling, None);
        self.fill(phrase.id(), Some(audience.text()), &args)
    }

    fn refused_args(
        &self,
        refused: IssuerRefused,
        telling: Telling,
        situation: &Situation<'_>,
    ) -> FluentArgs<'static> {
        let mut args = self.common_args(telling, situation);
        args.set("amount", self.money(refused.asked));
        args.set("why", refused.why.word());
        args.set("asked-us", if refused.is_after_our_yes { "yes" } else { "no" });
        args
    }
}
