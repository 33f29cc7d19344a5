//! Shared values for tests of the core: each is valid, and is changed in one place by a test.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;

use sayso::domain::agreement::{Agreement, Decider, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use sayso::domain::card::CardState;
use sayso::domain::decision::authorisation::{
    AuthorisationRequest, CardholderFacts, Facts, PartialApproval, Presence, ProgrammeFacts,
    ProgrammeState, PurchaseContinuation, PurchaseKind,
};
use sayso::domain::decision::decide::VERSION;
use sayso::domain::id::{PermissionId, PotId, StreamId};
use sayso::domain::money::Money;
use sayso::domain::money::limit::Limit;
use sayso::domain::money::margin::MarginPercent;
use sayso::domain::money::stream::Stream;
use sayso::domain::people::person::PersonState;
use sayso::domain::pot::PotPlan;
use sayso::domain::shop::home::HomeCountries;
use sayso::domain::shop::merchant::{Category, Mcc, Merchant};
use sayso::domain::time::period::Moment;

/// An amount in pence.
pub(crate) fn gbp(minor: i64) -> Money {
    Money::from_minor(minor, "GBP".parse().unwrap())
}

/// JSON, or nearly, that is no amount in whole pence up to the largest one.
pub(crate) const ODD_AMOUNTS: [&str; 21] = [
    "-1",
    "12.5",
    "1250.0",
    "1e3",
    "1E3",
    "1e309",
    "NaN",
    "Infinity",
    "\"12.3\"",
    "\"1250\"",
    "01250",
    "+1250",
    "null",
    "true",
    "[1250]",
    "100000000001",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-0.0",
    "0",
];

pub(crate) fn pot(id: &str) -> PotId {
    id.parse().unwrap()
}

pub(crate) fn category(name: &str) -> Category {
    Category::parse(name).unwrap()
}

/// Monday, 23 November 2026, 08:30 in London.
pub(crate) fn monday_morning() -> Moment {
    Moment {
        at: "2026-11-23T08:30:00Z".parse().unwrap(),
        date: Date::constant(2026, 11, 23),
        time: jiff::civil::time(8, 30, 0, 0),
    }
}

/// £10.00 at a corner shop, in person, without partial approval.
pub(crate) fn a_request() -> AuthorisationRequest {
    AuthorisationRequest {
        programme: "riverside".parse().unwrap(),
        connection: "riverside-stripe".parse().unwrap(),
        reference: "iauth_1:0".parse().unwrap(),
        purchase: "iauth_1".parse().unwrap(),
        sequence: 0,
        card: "ic_dee".parse().unwrap(),
        amount: gbp(10_00),
        bought_at: None,
        cash_back: gbp(0),
        atm_fee: gbp(0),
        transaction_amount: gbp(10_00),
        has_unread_price: false,
        kind: PurchaseKind::Purchase,
        presence: Presence::InPerson,
        partial: PartialApproval::NotAllowed,
        merchant: Merchant::new(Some(Mcc::parse("5411").unwrap()), "Corner Shop 12")
            .in_country("GB"),
    }
}

/// Food, an active card, an agreement that allows everything, and £60.00 in one pot.
pub(crate) fn some_facts() -> Facts {
    Facts {
        rules_version: VERSION,
        moment: monday_morning(),
        programme: ProgrammeFacts {
            version: 1,
            state: ProgrammeState::Running,
            currency: "GBP".parse().unwrap(),
            home: HomeCountries::of("GB"),
            streams: Arc::new(vec![a_stream("homes")]),
        },
        holder: Some(CardholderFacts {
            card: CardState::Active,
            person: PersonState::Active,
            agreement: Arc::new(an_agreement()),
        }),
        counts_on: monday_morning().date,
        category: category("food"),
        also: Vec::new(),
        shop: None,
        unknown_country: None,
        permissions: Vec::new(),
        held_here: BTreeSet::new(),
        counters: BTreeMap::new(),
        pots: BTreeMap::from([(pot("week"), gbp(60_00).into())]),
        margin: gbp(0),
        exchange: MarginPercent::NONE,
        continues: PurchaseContinuation::Nothing,
        original_attributes: None,
    }
}

/// A stream without funder rules.
pub(crate) fn a_stream(id: &str) -> Stream {
    Stream {
        id: id.parse().unwrap(),
        name: "Homes grant".to_owned(),
        funder: "Riverside Council".to_owned(),
        never: BTreeSet::new(),
        ends_on: None,
        drains_first: false,
    }
}

/// One pot, and one term that allows everything else.
pub(crate) fn an_agreement() -> Agreement {
    Agreement {
        budget: "dee".parse().unwrap(),
        version: 3,
        agreed_on: Date::constant(2026, 11, 16),
        agreed_by: vec!["Dee".to_owned(), "Amina".to_owned()],
        how: "In the hostel office.".to_owned(),
        partial: false,
        terms: vec![yes(Scope::EverythingElse)],
        pots: vec![a_pot("week", "homes")],
    }
}

/// A pot that pays for every category.
pub(crate) fn a_pot(id: &str, stream: &str) -> PotPlan {
    let stream: StreamId = stream.parse().unwrap();
    let name = id.to_owned();
    PotPlan { id: pot(id), stream, name, only: None, emergency: false, release: None }
}

/// A term with everything that a restriction requires.
pub(crate) fn a_draft(scope: Scope, answer: TermAnswer) -> TermDraft {
    TermDraft {
        scope,
        answer,
        limits: Vec::new(),
        hours: None,
        decides: Decider::Together,
        reason: Some("Agreed together.".to_owned()),
        review_on: Some(Date::constant(2027, 2, 16)),
        cooling_days: None,
    }
}

pub(crate) fn yes(scope: Scope) -> Term {
    Term::new(a_draft(scope, TermAnswer::Yes)).unwrap()
}

pub(crate) fn ask(scope: Scope) -> Term {
    Term::new(a_draft(scope, TermAnswer::Ask)).unwrap()
}

pub(crate) fn no(scope: Scope) -> Term {
    Term::new(a_draft(scope, TermAnswer::No)).unwrap()
}

/// A term that allows up to `limit`.
pub(crate) fn limited(scope: Scope, limit: Limit) -> Term {
    Term::new(TermDraft { limits: vec![limit], ..a_draft(scope, TermAnswer::Yes) }).unwrap()
}

/// A permission for food up to £20.00, given half an hour ago, until tonight.
pub(crate) fn a_permission() -> Permission {
    Permission {
        id: PermissionId::new(uuid::Uuid::from_u128(1)),
        scope: Scope::Category(category("food")),
        cap: gbp(20_00),
        uses_left: 1,
        given_at: "2026-11-23T08:00:00Z".parse().unwrap(),
        ends_at: "2026-11-23T23:59:00Z".parse().unwrap(),
        grantor: Grantor::People,
        uses: Some(PermissionUsage::none(gbp(0).currency())),
    }
}
