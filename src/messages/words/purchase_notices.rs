//! Texts about a purchase after its authorisation: notices, and its state for pages. A text message
//! names neither a shop nor a kind of shop, because others may see it arrive.

use fluent_bundle::FluentArgs;
use jiff::civil::Date;

use super::phrase::Phrase;
use super::{
    Audience, DetailLevel, NotificationContext, PurchaseContext, PurchaseEvent, Words, sms,
};
use crate::domain::decision::reason::DeclineReason;
use crate::domain::money::Money;
use crate::domain::purchase::issuer_decline::{IssuerDecline, IssuerDeclineReason};
use crate::domain::purchase::notice::PurchaseNotice;

/// The state of a purchase, with what its text needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurchaseStateDetails {
    /// The issuer declined it, with a reason.
    RefusedByIssuer(IssuerDecline),
    /// Our approval was withdrawn, because the issuer did not receive it in time.
    Withdrawn,
    /// A hold of `amount`, until a date if the issuer gives one.
    Held {
        amount: Money,
        until: Option<Date>,
    },
    /// The hold was lowered to `amount`, and `rest` was released.
    Lowered {
        amount: Money,
        rest: Money,
    },
    Captured {
        amount: Money,
    },
    /// The shop reversed its hold.
    Released {
        amount: Money,
    },
    Expired {
        amount: Money,
    },
    HeldWithoutUs {
        amount: Money,
    },
    CapturedWithoutUs {
        amount: Money,
    },
    /// `amount` of the captured `took` was refunded.
    Refunded {
        took: Money,
        amount: Money,
    },
    /// A refund without a capture.
    RefundWithoutPurchase {
        amount: Money,
    },
    /// A refund that matches no purchase.
    InSuspense {
        amount: Money,
    },
    Disputed {
        took: Money,
        amount: Money,
    },
    DisputeWon {
        took: Money,
        amount: Money,
    },
    DisputeLost {
        took: Money,
        amount: Money,
    },
}

impl PurchaseNotice {
    /// The message kind, as stored.
    pub fn kind(&self) -> &'static str {
        self.phrase_and_amounts().0.id()
    }

    /// The message, its amount, and its second amount if it has one.
    const fn phrase_and_amounts(&self) -> (Phrase, Money, Option<Money>) {
        match *self {
            Self::RefusedByIssuer(refused) => (Phrase::IssuerRefused, refused.asked, None),
            Self::Kept { amount } => (Phrase::KeptAside, amount, None),
            Self::HeldWithoutApproval { amount } => (Phrase::KeptWithoutUs, amount, None),
            Self::Lowered { keeps, freed } => (Phrase::Lowered, keeps, Some(freed)),
            Self::GivenBack { freed } => (Phrase::GivenBack, freed, None),
            Self::HoldExpired { freed } => (Phrase::RanOut, freed, None),
            Self::CapturedLess { took, freed } => (Phrase::TookLess, took, Some(freed)),
            Self::CapturedMore { took, asked } => (Phrase::TookMore, took, Some(asked)),
            Self::PaidAfterAll { took } => (Phrase::PaidAfterAll, took, None),
            Self::StoppedCardPaid { amount } => (Phrase::StoppedCardPaid, amount, None),
            Self::MoneyBack { amount } => (Phrase::MoneyBack, amount, None),
            Self::RefundUnmatched { amount } => (Phrase::MoneyAside, amount, None),
            Self::DisputeOpened { amount } => (Phrase::DisputeOpened, amount, None),
            Self::DisputeWon { amount } => (Phrase::DisputeWon, amount, None),
            Self::DisputeLost { amount } => (Phrase::DisputeLost, amount, None),
        }
    }
}

impl PurchaseNotice {
    /// The amount of the notice, and its second amount if it has one.
    pub const fn amounts(&self) -> (Money, Option<Money>) {
        let (_, amount, other) = self.phrase_and_amounts();
        (amount, other)
    }
}

impl Words {
    /// The text message about `notice`.
    pub fn notice(
        &self,
        notice: &PurchaseNotice,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        if let PurchaseNotice::RefusedByIssuer(refused) = notice {
            return self.issuer_refused_text(*refused, purchase_context);
        }
        let (phrase, amount, other) = notice.phrase_and_amounts();
        self.amount_text(
            phrase,
            Audience::Person,
            (amount, other),
            NotificationContext::Push,
            purchase_context,
        )
    }

    /// The message to duty staff that a stopped card was paid with.
    pub fn stopped_card_paid(&self) -> String {
        self.text(Phrase::DutyStoppedCardPaid)
    }

    /// The text message about money that was added.
    pub fn money_added(&self, amount: Money) -> String {
        let mut args = FluentArgs::new();
        args.set("amount", self.money(amount));
        self.fill(Phrase::MoneyAdded.id(), None, &args)
    }

    /// The whole text message about a purchase that the issuer declined.
    fn issuer_refused_text(
        &self,
        refused: IssuerDecline,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        let purchase_context =
            PurchaseContext { amount: refused.asked, place: None, ..*purchase_context };
        if refused.why == IssuerDeclineReason::OurFault {
            return self.text_message(&DeclineReason::OurFault, &purchase_context);
        }
        let context = NotificationContext::Push(DetailLevel::Full);
        let mut args = self.issuer_decline_args(refused, context, &purchase_context);
        let why = self.fill(Phrase::IssuerRefused.id(), Some(Audience::Person.text()), &args);
        args.set("next", self.issuer_refused_next(refused.why));
        args.set("why", why);
        let text = self.fill(Phrase::NotPaidText.id(), None, &args);
        if sms::fits(&text) { text } else { self.text(Phrase::NotPaidShort) }
    }

    /// What the person can do about a decline by the issuer.
    pub fn issuer_refused_next(&self, why: IssuerDeclineReason) -> String {
        let mut args = FluentArgs::new();
        args.set("why", why.word());
        self.fill(Phrase::IssuerRefusedNext.id(), None, &args)
    }

    /// The state of a purchase, for a page. `purchase_context` has the requested amount.
    pub fn purchase_state(
        &self,
        end: &PurchaseStateDetails,
        audience: Audience,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        let page = |phrase, amount| {
            self.amount_text(
                phrase,
                audience,
                (amount, None),
                |_| NotificationContext::Page(audience),
                purchase_context,
            )
        };
        let asked = || page(Phrase::AskedFor, purchase_context.amount);
        let after = |first: String, then: String| format!("{first} {then}");
        match *end {
            PurchaseStateDetails::RefusedByIssuer(refused) => {
                let first = page(Phrase::NotPaidAtAll, refused.asked);
                let args = self.issuer_decline_args(
                    refused,
                    NotificationContext::Page(audience),
                    purchase_context,
                );
                let why = self.fill(Phrase::IssuerRefused.id(), Some(audience.text()), &args);
                if audience == Audience::Person { after(first, why) } else { why }
            }
            PurchaseStateDetails::Withdrawn => {
                let why = self.why(&DeclineReason::OurFault, audience, purchase_context);
                if audience == Audience::Person {
                    after(page(Phrase::NotPaidAtAll, purchase_context.amount), why)
                } else {
                    why
                }
            }
            PurchaseStateDetails::Held { amount, until } => {
                self.event(PurchaseEvent::KeptAside { amount, until }, audience, purchase_context)
            }
            PurchaseStateDetails::Lowered { amount, rest } => {
                let phrase_and_amounts = (amount, Some(rest));
                let page = |_| NotificationContext::Page(audience);
                after(
                    asked(),
                    self.amount_text(
                        Phrase::Lowered,
                        audience,
                        phrase_and_amounts,
                        page,
                        purchase_context,
                    ),
                )
            }
            PurchaseStateDetails::Captured { amount } => page(Phrase::Captured, amount),
            PurchaseStateDetails::Released { amount } => {
                after(asked(), page(Phrase::GivenBack, amount))
            }
            PurchaseStateDetails::Expired { amount } => {
                after(asked(), page(Phrase::RanOut, amount))
            }
            PurchaseStateDetails::HeldWithoutUs { amount } => page(Phrase::KeptWithoutUs, amount),
            PurchaseStateDetails::CapturedWithoutUs { amount } => {
                page(Phrase::PaidAfterAll, amount)
            }
            PurchaseStateDetails::Refunded { took, amount } => {
                after(page(Phrase::Captured, took), page(Phrase::MoneyBack, amount))
            }
            PurchaseStateDetails::RefundWithoutPurchase { amount } => {
                page(Phrase::MoneyBack, amount)
            }
            PurchaseStateDetails::InSuspense { amount } => page(Phrase::MoneyAside, amount),
            PurchaseStateDetails::Disputed { took, amount } => {
                after(page(Phrase::Captured, took), page(Phrase::DisputeOpened, amount))
            }
            PurchaseStateDetails::DisputeWon { took, amount } => {
                after(page(Phrase::Captured, took), page(Phrase::DisputeWon, amount))
            }
            PurchaseStateDetails::DisputeLost { took, amount } => {
                after(page(Phrase::Captured, took), page(Phrase::DisputeLost, amount))
            }
        }
    }

    /// A text with one or two amounts.
    fn amount_text(
        &self,
        phrase: Phrase,
        audience: Audience,
        (amount, other): (Money, Option<Money>),
        context: impl Fn(DetailLevel) -> NotificationContext,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        let context = context(DetailLevel::Full);
        let mut args = self.common_args(context, purchase_context);
        args.set("amount", self.money(amount));
        if let Some(other) = other {
            args.set("rest", self.money(other));
        }
        self.set_end(&mut args, context, None);
        self.fill(phrase.id(), Some(audience.text()), &args)
    }

    fn issuer_decline_args(
        &self,
        refused: IssuerDecline,
        context: NotificationContext,
        purchase_context: &PurchaseContext<'_>,
    ) -> FluentArgs<'static> {
        let mut args = self.common_args(context, purchase_context);
        args.set("amount", self.money(refused.asked));
        args.set("why", refused.why.word());
        args.set("asked-us", if refused.was_approved_by_us { "yes" } else { "no" });
        args
    }
}
