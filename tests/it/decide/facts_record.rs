//! The stored form of a decision's facts: what is written of each optional field, and what is read
//! back, older forms included.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::Date;
use serde_json::{Value, json};

use sayso::domain::agreement::Scope;
use sayso::domain::ask::permission::{Grantor, Permission, PermissionUsage};
use sayso::domain::card::CardState;
use sayso::domain::decision::authorisation::{
    CardholderFacts, Facts, KnownShop, Presence, ProgrammeFacts, ProgrammeState,
    PurchaseContinuation, PurchaseKind,
};
use sayso::domain::money::limit::{Abroad, CounterKey, CountingAttributes, LimitUsage};
use sayso::domain::money::margin::MarginPercent;
use sayso::domain::people::person::PersonState;
use sayso::domain::pot::PotFunds;
use sayso::domain::shop::ShopIdentity;
use sayso::domain::shop::home::UnknownCountry;
use sayso::domain::shop::merchant::Mcc;
use sayso::domain::time::period::Period;
use sayso::ledger::record::facts::{FactsRecord, ReplayVersions, UnreadableFacts};

use crate::values::{a_permission, an_agreement, category, gbp, monday_morning, pot, some_facts};

/// The record of [`least_facts`].
const LEAST: &str = concat!(
    r#"{"at":"2026-11-23T08:30:00Z","date":"2026-11-23","time":"08:30:00","#,
    r#""programme_version":7,"category":"food"}"#,
);

const PERMISSION: &str = "okay_00000000000000000000000000000001";

/// Facts of the first version of the rules, without any optional value.
fn least_facts() -> Facts {
    let mut facts = some_facts();
    facts.rules_version = 1;
    facts.programme.version = 7;
    facts.holder = None;
    facts.pots = BTreeMap::new();
    facts
}

fn counting_attributes() -> CountingAttributes {
    CountingAttributes {
        on: Date::constant(2026, 11, 21),
        shop: ShopIdentity::default(),
        mcc: None,
        category: category("alcohol"),
        kind: PurchaseKind::Purchase,
        presence: Presence::InPerson,
        abroad: Abroad::No,
        cash_back: gbp(0),
        atm_fee: gbp(0),
        matched: Scope::EverythingElse,
    }
}

fn shop() -> ShopIdentity {
    ShopIdentity::printed("Corner Shop 12")
}

/// The programme and the agreement that `facts` refer to. The programme is in its other state now,
/// because the state does not belong to a version.
fn versions(facts: &Facts) -> ReplayVersions {
    let state = match facts.programme.state {
        ProgrammeState::Running => ProgrammeState::Paused,
        ProgrammeState::Paused => ProgrammeState::Running,
    };
    ReplayVersions {
        programme: ProgrammeFacts { state, ..facts.programme.clone() },
        agreement: facts.holder.as_ref().map(|holder| Arc::clone(&holder.agreement)),
    }
}

fn record(value: &Value) -> FactsRecord {
    FactsRecord::from_text(&value.to_string()).unwrap()
}

/// The record of [`least_facts`] with further fields.
fn least_with(fields: &Value) -> Value {
    let mut record: Value = serde_json::from_str(LEAST).unwrap();
    record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    record
}

/// Facts that differ from [`least_facts`] by `change` are written as these further fields, and
/// nothing else; and they are read back.
fn assert_written(fields: &Value, change: impl FnOnce(&mut Facts)) {
    let mut facts = least_facts();
    change(&mut facts);
    let text = FactsRecord::new(&facts).to_text();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), least_with(fields), "{fields}");
    let read = FactsRecord::from_text(&text).unwrap().facts(versions(&facts)).unwrap();
    assert_eq!(read, facts, "{fields}");
}

#[test]
fn facts_without_optional_values_are_written_with_five_fields() {
    assert_eq!(FactsRecord::new(&least_facts()).to_text(), LEAST);
    assert_written(&json!({}), |_| {});
}

#[test]
fn each_optional_value_is_written_only_if_present() {
    assert_written(&json!({"rules": 2}), |facts| facts.rules_version = 2);
    assert_written(&json!({"paused": true}), |facts| {
        facts.programme.state = ProgrammeState::Paused;
    });
    let holder = json!({"holder": {"card": "lost", "person": "ended", "agreement": 3}});
    assert_written(&holder, |facts| {
        let (card, person) = (CardState::Lost, PersonState::Ended);
        let agreement = Arc::new(an_agreement());
        facts.holder = Some(CardholderFacts { card, person, agreement });
    });
    assert_written(&json!({"counts_on": "2026-11-22"}), |facts| {
        facts.counts_on = Date::constant(2026, 11, 22);
    });
    assert_written(&json!({"unknown_country": "abroad"}), |facts| {
        facts.unknown_country = Some(UnknownCountry::Abroad);
    });
    assert_written(&json!({"also": ["alcohol", "fuel"]}), |facts| {
        facts.also = vec![category("alcohol"), category("fuel")];
    });
    assert_written(&json!({"shops": "table 4", "shop": shop().to_string()}), |facts| {
        facts.shop = Some(KnownShop { identity: shop(), table: "table 4".to_owned() });
    });
    assert_written(&json!({"shops": "table 4"}), |facts| {
        let identity = ShopIdentity::default();
        facts.shop = Some(KnownShop { identity, table: "table 4".to_owned() });
    });
    assert_written(&json!({"counters": [["category:food", "week", "2026-11-23", 1250, 3]]}), |f| {
        let (scope, period) = (Scope::Category(category("food")), Period::Week);
        let key = CounterKey { scope, period, first_day: Date::constant(2026, 11, 23) };
        f.counters.insert(key, LimitUsage { amount: gbp(12_50), purchases: 3 });
    });
    assert_written(&json!({"margin": 70}), |facts| facts.margin = gbp(70));
    assert_written(&json!({"exchange": 7}), |facts| {
        facts.exchange = MarginPercent::new(7).unwrap();
    });
    assert_written(&json!({"so_far": [1200, "2026-11-21"]}), |facts| {
        let counted_on = Date::constant(2026, 11, 21);
        facts.continues = PurchaseContinuation::Open { so_far: gbp(12_00), counted_on };
    });
    assert_written(&json!({"anothers": true}), |facts| {
        facts.continues = PurchaseContinuation::OtherPerson;
    });
}

#[test]
fn each_pot_is_written_with_what_is_known_of_it() {
    assert_written(&json!({"left": [["week", 0]]}), |facts| {
        facts.pots.insert(pot("week"), gbp(0).into());
    });
    let several = json!({
        "left": [["own-1", 500], ["rent", 4000], ["week", 6000]],
        "loaded": [["week", 10000]],
        "held_back": [["rent", 150]],
        "own": [["own-1", "week"]],
    });
    assert_written(&several, |facts| {
        facts.pots = BTreeMap::from([
            (pot("own-1"), PotFunds { part_of: Some(pot("week")), ..gbp(5_00).into() }),
            (pot("rent"), PotFunds { held_back: Some(gbp(1_50)), ..gbp(40_00).into() }),
            (pot("week"), PotFunds { loaded: Some(gbp(100_00)), ..gbp(60_00).into() }),
        ]);
    });
}

#[test]
fn each_permission_is_written_with_what_is_known_of_it() {
    let least = json!({
        "id": PERMISSION,
        "scope": "category:food",
        "cap": 2000,
        "uses_left": 1,
        "given_at": "2026-11-23T08:00:00Z",
        "ends_at": "2026-11-23T23:59:00Z",
    });
    let with = |fields: Value| {
        let mut permission = least.clone();
        permission.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"permissions": [permission]})
    };
    let unrecorded = || Permission { uses: None, ..a_permission() };
    let given = |permission: Permission| |facts: &mut Facts| facts.permissions = vec![permission];
    assert_written(&with(json!({})), given(unrecorded()));
    assert_written(&with(json!({"giver": "programme"})), {
        given(Permission { grantor: Grantor::Programme, ..unrecorded() })
    });
    assert_written(&with(json!({"uses_left": -1})), {
        given(Permission { uses_left: -1, ..unrecorded() })
    });
    assert_written(&with(json!({"open": 0})), given(a_permission()));
    let used = |open, captured| {
        let uses = PermissionUsage { open: gbp(open), open_at: BTreeMap::new(), captured };
        Permission { uses: Some(uses), ..a_permission() }
    };
    assert_written(&with(json!({"open": 1250})), given(used(12_50, 0)));
    assert_written(&with(json!({"open": 0, "captured": 2})), given(used(0, 2)));
    assert_written(&with(json!({"open": 1250, "here": true})), |facts| {
        facts.permissions = vec![used(12_50, 0)];
        facts.held_here = BTreeSet::from([a_permission().id]);
    });
}

#[test]
fn the_attributes_that_a_purchase_began_with_are_written_with_what_is_known_of_them() {
    let least = json!({
        "on": "2026-11-21",
        "category": "alcohol",
        "kind": "purchase",
        "presence": "in_person",
        "matched": "everything_else",
    });
    assert_written(&json!({"begun_as": least}), |facts| {
        facts.original_attributes = Some(counting_attributes());
    });
    let most = json!({
        "on": "2026-11-21",
        "shop": shop().to_string(),
        "mcc": "5411",
        "category": "alcohol",
        "kind": "cash",
        "presence": "remote",
        "abroad": true,
        "cash_back": 500,
        "atm_fee": 175,
        "matched": "category:food",
    });
    assert_written(&json!({"begun_as": most}), |facts| {
        facts.original_attributes = Some(CountingAttributes {
            shop: shop(),
            mcc: Some(Mcc::parse("5411").unwrap()),
            kind: PurchaseKind::Cash,
            presence: Presence::Remote,
            abroad: Abroad::Yes,
            cash_back: gbp(5_00),
            atm_fee: gbp(1_75),
            matched: Scope::Category(category("food")),
            ..counting_attributes()
        });
    });
}

#[test]
fn a_record_tells_which_versions_and_which_moment_it_is_about() {
    let least = record(&least_with(&json!({})));
    assert_eq!(least.rules_version(), 1);
    assert_eq!(least.programme_version(), 7);
    assert_eq!(least.agreement_version(), None);
    assert_eq!(least.moment(), monday_morning());
    assert_eq!(least.so_far(gbp(0).currency()), None);
    assert_eq!(least.unknown_country().unwrap(), None);
    let holder = json!({"card": "active", "person": "active", "agreement": 3});
    let more = json!({
        "rules": 2, "holder": holder, "so_far": [1200, "2026-11-21"], "unknown_country": "home",
    });
    let more = record(&least_with(&more));
    assert_eq!(more.rules_version(), 2);
    assert_eq!(more.agreement_version(), Some(3));
    assert_eq!(more.so_far(gbp(0).currency()), Some(gbp(12_00)));
    assert_eq!(more.unknown_country().unwrap(), Some(UnknownCountry::Home));
}

#[test]
fn there_is_no_holder_without_both_the_record_and_the_agreement() {
    let holder = json!({"holder": {"card": "active", "person": "active", "agreement": 3}});
    let [without, with] = [json!({}), holder].map(|fields| record(&least_with(&fields)));
    let replayed = |record: &FactsRecord, agreement: bool| {
        let agreement = agreement.then(|| Arc::new(an_agreement()));
        let versions = ReplayVersions { agreement, ..versions(&least_facts()) };
        record.facts(versions).unwrap().holder
    };
    assert_eq!(replayed(&without, false), None);
    assert_eq!(replayed(&without, true), None);
    assert_eq!(replayed(&with, false), None);
    assert!(replayed(&with, true).is_some());
}

#[test]
fn another_persons_purchase_never_continues_even_with_an_amount_so_far() {
    let fields = json!({"so_far": [1200, "2026-11-21"], "anothers": true});
    let facts = record(&least_with(&fields)).facts(versions(&least_facts())).unwrap();
    assert_eq!(facts.continues, PurchaseContinuation::OtherPerson);
}

#[test]
fn what_we_never_wrote_is_refused_with_its_field() {
    let most = least_with(&json!({
        "holder": {"card": "active", "person": "active", "agreement": 3},
        "unknown_country": "home",
        "also": ["alcohol"],
        "shops": "table 4",
        "shop": shop().to_string(),
        "permissions": [{
            "id": PERMISSION,
            "scope": "category:food",
            "cap": 2000,
            "uses_left": 1,
            "given_at": "2026-11-23T08:00:00Z",
            "ends_at": "2026-11-23T23:59:00Z",
            "giver": "programme",
            "here": true,
        }],
        "counters": [["category:food", "week", "2026-11-23", 1250, 3]],
        "left": [["own-1", 500]],
        "own": [["own-1", "week"]],
        "exchange": 25,
        "begun_as": {
            "on": "2026-11-21",
            "shop": shop().to_string(),
            "mcc": "5411",
            "category": "alcohol",
            "kind": "cash",
            "presence": "remote",
            "matched": "category:food",
        },
    }));
    let read = |value: &Value| {
        let agreement = Some(Arc::new(an_agreement()));
        record(value).facts(ReplayVersions { agreement, ..versions(&least_facts()) })
    };
    read(&most).unwrap();
    for (field, place) in [
        ("card", "/holder/card"),
        ("person", "/holder/person"),
        ("category", "/category"),
        ("also", "/also/0"),
        ("shop", "/shop"),
        ("unknown_country", "/unknown_country"),
        ("permission", "/permissions/0/id"),
        ("scope", "/permissions/0/scope"),
        ("giver", "/permissions/0/giver"),
        ("scope", "/counters/0/0"),
        ("period", "/counters/0/1"),
        ("pot", "/left/0/0"),
        ("pot", "/own/0/1"),
        ("shop", "/begun_as/shop"),
        ("mcc", "/begun_as/mcc"),
        ("category", "/begun_as/category"),
        ("kind", "/begun_as/kind"),
        ("presence", "/begun_as/presence"),
        ("matched", "/begun_as/matched"),
    ] {
        let mut wrong = most.clone();
        *wrong.pointer_mut(place).unwrap() = json!("a b?");
        let refused = read(&wrong).unwrap_err().to_string();
        assert_eq!(refused, format!("{field} is \"a b?\", which is nothing we ever wrote"));
    }
    let mut wrong = most;
    wrong["exchange"] = json!(26);
    let refused = read(&wrong).unwrap_err().to_string();
    assert_eq!(refused, "exchange is \"26\", which is nothing we ever wrote");
}

#[test]
fn text_of_another_form_is_refused() {
    let least: Value = serde_json::from_str(LEAST).unwrap();
    let mut texts = vec![String::new(), "xyzzy".to_owned(), "{}".to_owned()];
    for field in ["at", "date", "time", "programme_version", "category"] {
        let mut without = least.clone();
        without.as_object_mut().unwrap().remove(field);
        texts.push(without.to_string());
    }
    texts.push(least_with(&json!({"rules": "2"})).to_string());
    for text in texts {
        let refused = FactsRecord::from_text(&text);
        assert!(matches!(refused, Err(UnreadableFacts::Json(_))), "{text}");
    }
}
