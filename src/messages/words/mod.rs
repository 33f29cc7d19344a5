//! Texts for people: why a purchase was declined, what was paid, and what happened afterwards.
//!
//! One catalogue per language; most texts have one wording per [`Audience`]. [`Words::why`] words a
//! reason for a page, [`Words::text_message`] and [`Words::text_reply`] for a phone. This module
//! also decides who may read what: texts for the worker and finance never name a shop, those for
//! finance no kind of shop and no person, and a text message that we start names neither a shop nor
//! a sensitive kind of shop.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use unic_langid::LanguageIdentifier;

use crate::domain::decision::authorisation::{Approval, PointOfSale};
use crate::domain::decision::reason::DeclineReason;
use crate::domain::id::PotId;
use crate::domain::money::Money;
use crate::domain::pot::PotPart;

pub use list::{ChangeLine, DisplayNames, ListNotification, ListParameters};
pub use notification::{Assignee, Notification, NotificationParameters};
use phrase::Phrase;
pub use purchase_notices::PurchaseStateDetails;

mod format;
mod list;
mod notification;
#[expect(dead_code, reason = "the build script reads the lists in it")]
mod phrase;
mod purchase_notices;
mod reason_args;
mod signals;
mod sms;
#[cfg(test)]
mod tests;

/// Who reads a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Person,
    Worker,
    Finance,
}

impl Audience {
    /// The attribute of a catalogue message that holds the wording.
    const fn text(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Worker => "worker",
            Self::Finance => "finance",
        }
    }
}

/// What the texts need to know about one purchase. Names are display names.
#[derive(Debug, Clone, Copy)]
pub struct PurchaseContext<'a> {
    pub person_name: &'a str,
    pub worker_name: &'a str,
    /// The requested amount.
    pub amount: Money,
    /// The amount approved before, if the request was an increment.
    pub so_far: Option<Money>,
    /// For such an increment, how much more would be approved.
    pub rest: Option<Money>,
    /// The shop; none when it is unknown or must not be named: in a text message that we start, and
    /// when the person chose quiet texts.
    pub place: Option<&'a str>,
    /// The category's display name, from the merchant rules: "Food and corner shops".
    pub category_name: &'a str,
    /// Whether the category says something private about the person, by the merchant rules.
    pub is_sensitive: bool,
    /// Whether somebody else has the card. Texts then leave out its last four digits.
    pub hides_card: bool,
    /// Whether it is a bill of an app shop, which comes from abroad wherever the buyer is.
    pub is_app_bill: bool,
    /// Where the person pays, and what would be approved there if the decline is about amounts
    /// only.
    pub till: PointOfSale,
    pub payable: Option<Money>,
    /// The last four digits of the card that was used.
    pub card_last_four: &'a str,
    /// The last four digits of the replacement card, if there is one.
    pub new_card_last_four: Option<&'a str>,
    /// The programme's time zone.
    pub zone: &'a TimeZone,
    /// The names of the person's pots: "pets", "your week".
    pub pot_names: &'a BTreeMap<PotId, String>,
}

impl<'a> PurchaseContext<'a> {
    /// A context with little more than the amount, for texts that name neither a shop or its kind
    /// nor a card.
    pub const fn bare(
        amount: Money,
        zone: &'a TimeZone,
        pot_names: &'a BTreeMap<PotId, String>,
    ) -> Self {
        Self {
            person_name: "",
            worker_name: "",
            amount,
            so_far: None,
            rest: None,
            place: None,
            category_name: "",
            is_sensitive: true,
            hides_card: true,
            is_app_bill: false,
            till: PointOfSale::Nobody,
            payable: None,
            card_last_four: "",
            new_card_last_four: None,
            zone,
            pot_names,
        }
    }
}

/// What happens to a purchase after it was approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PurchaseEvent {
    /// A hold was placed; `until` is its last day, if the issuer states one.
    KeptAside { amount: Money, until: Option<Date> },
    /// The shop captured the money.
    Captured { amount: Money },
    /// A hold was reversed or expired.
    GivenBack { amount: Money },
    /// The shop refunded money.
    MoneyBack { amount: Money },
}

/// The catalogue of one language.
pub struct Words {
    bundle: FluentBundle<FluentResource>,
}

static ENGLISH: LazyLock<Words> = LazyLock::new(|| Words::new("en-GB", include_str!("en.ftl")));

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Words").field("languages", &self.bundle.locales).finish_non_exhaustive()
    }
}

impl Words {
    /// The English catalogue, parsed on first use.
    pub fn english() -> &'static Self {
        &ENGLISH
    }

    /// Why a purchase was declined, for a page. [`Words::what_next`] says what can be done about
    /// it.
    pub fn why(
        &self,
        reason: &DeclineReason,
        audience: Audience,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        let context = NotificationContext::Page(audience);
        self.fill(
            &message_id(reason),
            Some(audience.text()),
            &self.reason_args(reason, context, purchase_context),
        )
    }

    /// The first thing that the person can do now: "Reply ASK to …".
    pub fn what_next(
        &self,
        reason: &DeclineReason,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        let args =
            self.reason_args(reason, NotificationContext::Page(Audience::Person), purchase_context);
        self.fill(&message_id(reason), Some("next"), &args)
    }

    /// The whole text message about a decline. It names no shop and no sensitive kind of shop,
    /// because others may see it arrive.
    pub fn text_message(
        &self,
        reason: &DeclineReason,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        self.first_that_fits(
            Phrase::NotPaidText,
            reason,
            NotificationContext::Push,
            purchase_context,
        )
    }

    /// The whole text message that answers WHY. It names the shop, if `purchase_context` does.
    pub fn text_reply(
        &self,
        reason: &DeclineReason,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        self.first_that_fits(
            Phrase::NotPaidReply,
            reason,
            NotificationContext::Reply,
            purchase_context,
        )
    }

    /// The text message about any purchase, for a person who chose quiet texts.
    pub fn quiet_text(&self, purchase_context: &PurchaseContext<'_>) -> String {
        let args =
            [purchase_context.worker_name.to_owned(), self.text(Phrase::SomeWorker)].map(|name| {
                let mut args = FluentArgs::new();
                args.set("worker", sms::transliterate(&name));
                args
            });
        let [named, unnamed] = args.map(|args| self.fill(Phrase::Quiet.id(), None, &args));
        if sms::fits(&named) { named } else { unnamed }
    }

    /// What was paid, and from which pots. A partial approval, an account verification, and a
    /// margin for exchange-rate changes have wordings of their own.
    pub fn paid(
        &self,
        approval: &Approval,
        audience: Audience,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        let rest = purchase_context.amount.checked_sub(approval.amount).ok();
        let rest = rest.filter(|rest| rest.is_positive() && approval.amount.is_positive());
        let phrase = match rest {
            _ if approval.amount.is_zero() => Phrase::CheckedCard,
            Some(_) => Phrase::PaidPart,
            None => Phrase::Paid,
        };
        let mut args = self.common_args(NotificationContext::Page(audience), purchase_context);
        let parts: Vec<_> =
            approval.parts.iter().map(|part| self.part(part, purchase_context)).collect();
        args.set("paid", self.money(approval.amount));
        if let Some(rest) = rest {
            args.set("rest", self.money(rest));
        }
        args.set("pots", approval.parts.len());
        if let [part] = approval.parts.as_slice() {
            args.set("pot", self.pot_name(part, purchase_context));
        }
        args.set("parts", parts.join(&self.text(Phrase::Comma)));
        let paid = self.fill(phrase.id(), Some(audience.text()), &args);
        let Some(margin) = approval.margin().ok().filter(|margin| margin.is_positive()) else {
            return paid;
        };
        args.set("margin", self.money(margin));
        let kept = self.fill(Phrase::MarginKept.id(), Some(audience.text()), &args);
        format!("{paid} {kept}")
    }

    /// What happened after an approval, in one line, with the amount of the event.
    pub fn event(
        &self,
        event: PurchaseEvent,
        audience: Audience,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        let (phrase, amount, until) = match event {
            PurchaseEvent::KeptAside { amount, until } => (Phrase::KeptAside, amount, until),
            PurchaseEvent::Captured { amount } => (Phrase::Captured, amount, None),
            PurchaseEvent::GivenBack { amount } => (Phrase::GivenBack, amount, None),
            PurchaseEvent::MoneyBack { amount } => (Phrase::MoneyBack, amount, None),
        };
        let context = NotificationContext::Page(audience);
        let mut args = self.common_args(context, purchase_context);
        args.set("amount", self.money(amount));
        self.set_end(&mut args, context, until);
        self.fill(phrase.id(), Some(audience.text()), &args)
    }

    /// Parses the `catalogue` of a language, named by its BCP 47 tag.
    fn new(language: &str, catalogue: &str) -> Self {
        // An unknown tag only affects the plural rules.
        let language = language.parse::<LanguageIdentifier>().unwrap_or_default();
        // The build script parses the same text and fails on errors, so there are none here.
        let resource = FluentResource::try_new(catalogue.to_owned())
            .unwrap_or_else(|(resource, _errors)| resource);
        let mut bundle = FluentBundle::new_concurrent(vec![language]);
        // Text messages have no isolation marks in their alphabet; pages use `<bdi>` instead.
        bundle.set_use_isolating(false);
        bundle.add_resource_overriding(resource);
        Self { bundle }
    }

    /// The most detailed wording that fits into one text message.
    ///
    /// Leaves out the place first, then the kind of place, then the worker's name and other words
    /// that the catalogue marks as optional; last the reason itself, which WHY and a call still
    /// give.
    fn first_that_fits(
        &self,
        frame: Phrase,
        reason: &DeclineReason,
        context: fn(DetailLevel) -> NotificationContext,
        purchase_context: &PurchaseContext<'_>,
    ) -> String {
        DetailLevel::ALL
            .into_iter()
            .map(|detail| {
                let mut args = self.reason_args(reason, context(detail), purchase_context);
                let why = self.fill(&message_id(reason), Some(Audience::Person.text()), &args);
                let next = self.fill(&message_id(reason), Some("next"), &args);
                args.set("why", why);
                args.set("next", next);
                self.fill(frame.id(), None, &args)
            })
            .find(|text| sms::fits(text))
            .unwrap_or_else(|| self.text(Phrase::NotPaidShort))
    }

    /// The arguments of every text.
    fn common_args(
        &self,
        context: NotificationContext,
        purchase_context: &PurchaseContext<'_>,
    ) -> FluentArgs<'static> {
        let name = |name: &str| context.name(name);
        let mut args = FluentArgs::new();
        args.set("amount", self.money(purchase_context.amount));
        args.set("currency", purchase_context.amount.currency().code());
        if context.audience() == Audience::Finance {
            return args;
        }
        args.set("person", name(purchase_context.person_name));
        let worker = match context.detail() {
            DetailLevel::Minimal => self.text(Phrase::SomeWorker),
            DetailLevel::Full | DetailLevel::NoPlace | DetailLevel::NoCategory => {
                name(purchase_context.worker_name)
            }
        };
        args.set("worker", worker);
        args.set("card-named", if purchase_context.hides_card { "no" } else { "yes" });
        args.set("ending", purchase_context.card_last_four.to_owned());
        args.set("app-bill", if purchase_context.is_app_bill { "yes" } else { "no" });
        let till = match (purchase_context.till, purchase_context.payable) {
            (PointOfSale::Pump, Some(_)) => "pump",
            (PointOfSale::Counter, Some(_)) => "counter",
            (PointOfSale::Nobody, _) | (_, None) => "nobody",
        };
        args.set("till", till);
        args.set("some-payable", yes_if_some(purchase_context.payable));
        if let Some(payable) = purchase_context.payable {
            args.set("payable", self.money(payable));
        }
        args.set("replaced", yes_if_some(purchase_context.new_card_last_four));
        if let Some(ending) = purchase_context.new_card_last_four {
            args.set("new-ending", ending.to_owned());
        }
        let place = purchase_context.place.filter(|_| context.may_name_place());
        args.set("place-told", yes_if_some(place));
        if let Some(place) = place {
            args.set("place", name(place));
        }
        if context.may_name_category(purchase_context) {
            args.set("kind", "named");
            args.set("category", name(purchase_context.category_name));
        } else {
            args.set("kind", "hidden");
        }
        args.set("room", if context.detail() == DetailLevel::Minimal { "tight" } else { "ample" });
        args
    }

    /// Sets the last day of a term or a permission and the day after it, or that it has no end.
    fn set_end(
        &self,
        args: &mut FluentArgs<'static>,
        context: NotificationContext,
        until: Option<Date>,
    ) {
        let days = until.and_then(|until| until.tomorrow().ok().map(|after| (until, after)));
        args.set("ends", yes_if_some(days));
        if let Some((until, after)) = days {
            args.set("until", self.date_for(context, until));
            args.set("after", self.date_for(context, after));
        }
    }

    fn date_for(&self, context: NotificationContext, date: Date) -> String {
        match context {
            NotificationContext::Page(_) => self.date(date),
            NotificationContext::Push(_) | NotificationContext::Reply(_) => self.short_date(date),
        }
    }

    fn part(&self, part: &PotPart, purchase_context: &PurchaseContext<'_>) -> String {
        let mut args = FluentArgs::new();
        args.set("part", self.money(part.amount));
        args.set("pot", self.pot_name(part, purchase_context));
        self.fill(Phrase::FromPot.id(), None, &args)
    }

    fn pot_name(&self, part: &PotPart, purchase_context: &PurchaseContext<'_>) -> String {
        let name = purchase_context.pot_names.get(&part.pot);
        name.cloned().unwrap_or_else(|| self.text(Phrase::SomePot))
    }

    /// A text without arguments.
    fn text(&self, phrase: Phrase) -> String {
        self.fill(phrase.id(), None, &FluentArgs::new())
    }

    /// A text with its arguments. Nothing is missing at run time, because the build script checks
    /// that every catalogue has every text, and the tests check the arguments.
    fn fill(&self, id: &str, text: Option<&str>, args: &FluentArgs<'_>) -> String {
        let pattern = self.bundle.get_message(id).and_then(|message| match text {
            Some(text) => message.get_attribute(text).map(|attribute| attribute.value()),
            None => message.value(),
        });
        debug_assert!(pattern.is_some(), "no text {id} {text:?}");
        let Some(pattern) = pattern else { return String::new() };
        let mut errors = Vec::new();
        let filled = self.bundle.format_pattern(pattern, Some(args), &mut errors).into_owned();
        debug_assert!(errors.is_empty(), "{id} {text:?}: {errors:?}");
        filled
    }
}

/// Where a text is read, by whom, and with how much detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotificationContext {
    Page(Audience),
    /// A text message that we start; others may see it arrive.
    Push(DetailLevel),
    /// A text message that answers the person.
    Reply(DetailLevel),
}

/// How much detail fits into a text message, from most to least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DetailLevel {
    Full,
    NoPlace,
    NoCategory,
    Minimal,
}

impl DetailLevel {
    const ALL: [Self; 4] = [Self::Full, Self::NoPlace, Self::NoCategory, Self::Minimal];
}

impl NotificationContext {
    const fn audience(self) -> Audience {
        match self {
            Self::Page(audience) => audience,
            Self::Push(_) | Self::Reply(_) => Audience::Person,
        }
    }

    const fn detail(self) -> DetailLevel {
        match self {
            Self::Page(_) => DetailLevel::Full,
            Self::Push(detail) | Self::Reply(detail) => detail,
        }
    }

    /// Workers see totals and no shops. Where a recorded reason gives them access to a shop, the
    /// page shows it beside this text.
    fn may_name_place(self) -> bool {
        match self {
            Self::Page(audience) => audience == Audience::Person,
            Self::Push(_) => false,
            Self::Reply(detail) => detail < DetailLevel::NoPlace,
        }
    }

    fn may_name_category(self, purchase_context: &PurchaseContext<'_>) -> bool {
        match self {
            Self::Page(Audience::Person) => true,
            Self::Page(Audience::Worker) => !purchase_context.is_sensitive,
            Self::Page(Audience::Finance) => false,
            Self::Push(detail) => {
                detail < DetailLevel::NoCategory && !purchase_context.is_sensitive
            }
            Self::Reply(detail) => detail < DetailLevel::NoCategory,
        }
    }

    /// `name` in characters that the medium can show.
    fn name(self, name: &str) -> String {
        match self {
            Self::Page(_) => name.to_owned(),
            Self::Push(_) | Self::Reply(_) => sms::transliterate(name),
        }
    }
}

/// The id of the message of a reason in the catalogues.
fn message_id(reason: &DeclineReason) -> String {
    reason.code().as_str().replace('_', "-")
}

const fn yes_if_some<T: Copy>(value: Option<T>) -> &'static str {
    match value {
        Some(_) => "yes",
        None => "no",
    }
}
