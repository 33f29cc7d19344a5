//! The lives of purchases: the sequence of authorisation requests and events about each of them.

use super::plan::{RequestAmount, ScriptBuilder, StormAction};
use crate::{
    issuers::{issuer_record::AmountShare, stripe::ForeignCurrency},
    programme::Card,
    shops::{self, Shop},
};

/// The number of kinds of lives.
#[cfg(test)]
pub(super) const STORIES: usize = 29;

/// How many purchases a life consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PurchaseCount {
    One,
    Two,
}

/// Plans one life, or two concurrent ones where there is a second number.
pub(super) fn plan_life(
    builder: &mut ScriptBuilder<'_>,
    number: usize,
    has_second: bool,
) -> PurchaseCount {
    match builder.random_between(0, 139) {
        0..40 => plain(builder, number),
        40..46 => claimed_below(builder, number),
        46..52 => claimed_above(builder, number),
        52..57 => two_parcels(builder, number),
        57..62 => increments(builder, number),
        62..66 => shrinking_order(builder, number),
        66..72 => given_back(builder, number),
        72..76 => up_again(builder, number),
        76..80 => expired(builder, number),
        80..83 => charged_unasked(builder, number),
        83..89 => refunded(builder, number),
        89..91 => refunded_before_the_claim(builder, number),
        91..95 => cash(builder, number),
        95..98 => fuel(builder, number),
        98..101 => hotel(builder, number),
        101..104 => foreign(builder, number),
        104..106 => card_check(builder, number),
        106..108 => refused_by_issuer(builder, number),
        108..110 => nobodys_card(builder, number),
        110..112 => charged_although_refused(builder, number),
        112..116 => snapshots_in_one_second(builder, number),
        132..137 if has_second => {
            tried_again(builder, number);
            return PurchaseCount::Two;
        }
        116..119 => told_after_the_claim(builder, number),
        119..122 => refunded_at_another_rate(builder, number),
        122..125 => bought_and_brought_back(builder, number),
        125..127 => cash_with_a_fee(builder, number),
        127..132 if has_second => {
            mislinked_refund(builder, number);
            return PurchaseCount::Two;
        }
        _ if has_second => {
            race(builder, number);
            return PurchaseCount::Two;
        }
        _ => plain(builder, number),
    }
    PurchaseCount::One
}

/// A shop of any kind, everyday ones more often.
fn a_shop(builder: &mut ScriptBuilder<'_>) -> &'static Shop {
    let few: [&'static Shop; 13] = [
        &shops::NEXT_DOOR,
        &shops::OFF_LICENCE,
        &shops::BETTING_SHOP,
        &shops::UNSORTED,
        &shops::BUS,
        &shops::BIKE_HIRE,
        &shops::GYM,
        &shops::THEORY_TEST,
        &shops::COURSE,
        &shops::FURNITURE,
        &shops::STREAMING,
        &shops::BOOKS_ONLINE,
        &shops::DINER_ABROAD,
    ];
    let many: [&'static [Shop]; 11] = [
        &shops::NEWSAGENTS,
        &shops::SUPERMARKETS,
        &shops::SUPERMARKETS,
        &shops::LAUNDERETTES,
        &shops::VETS,
        &shops::PHONE_SHOPS,
        &shops::MARKET_STALLS,
        &shops::CAFES,
        &shops::DIY_SHOPS,
        &shops::CHEMISTS,
        &shops::SHOE_SHOPS,
    ];
    let group = if builder.one_in(4) { None } else { builder.pick(&many) };
    let shop = match group {
        Some(group) => group.get(usize::try_from(builder.random_between(0, 1)).unwrap_or(0)),
        None => builder.pick(&few),
    };
    shop.unwrap_or(&shops::BUS)
}

/// A purchase at a till: the authorisation request and the issuer's report of its outcome.
fn buy(builder: &mut ScriptBuilder<'_>, number: usize, story: &'static str) -> usize {
    let shop = a_shop(builder);
    let amount = if builder.one_in(12) {
        builder.random_between(30_00, 90_00)
    } else {
        builder.random_between(1, 18_00)
    };
    buy_at(builder, number, story, shop, amount)
}

fn buy_at(
    builder: &mut ScriptBuilder<'_>,
    number: usize,
    story: &'static str,
    shop: &'static Shop,
    amount: i64,
) -> usize {
    let life = builder.life(number, story, shop);
    builder.push_request(life, RequestAmount::Exactly(amount));
    builder.push_event(life, StormAction::Confirm);
    life
}

fn claimed(builder: &mut ScriptBuilder<'_>, life: usize, share: AmountShare) {
    builder.wait(4);
    builder.push_event(life, StormAction::Capture(share));
    builder.push_event(life, StormAction::Close);
}

fn plain(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "plain");
    claimed(builder, life, AmountShare::All);
}

fn claimed_below(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "claimed below");
    let less = builder.random_between(1, 2_00);
    claimed(builder, life, AmountShare::Less(less));
}

fn claimed_above(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "claimed above");
    let more = builder.random_between(1, 6_00);
    claimed(builder, life, AmountShare::More(more));
}

fn two_parcels(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "two parcels");
    builder.wait(2);
    builder.push_event(life, StormAction::Capture(AmountShare::Half));
    claimed(builder, life, AmountShare::All);
}

fn increments(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "increments");
    for _ in 0..builder.random_between(1, 3) {
        builder.wait(2);
        let more = builder.random_between(1, 6_00);
        builder.push_request(life, RequestAmount::Exactly(more));
        builder.push_event(life, StormAction::Confirm);
    }
    claimed(builder, life, AmountShare::All);
}

fn shrinking_order(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "a shrinking order");
    builder.wait(2);
    let less = builder.random_between(1, 5_00);
    builder.push_event(life, StormAction::Lower(less));
    claimed(builder, life, AmountShare::All);
}

fn given_back(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "given back");
    builder.wait(3);
    builder.push_event(life, StormAction::Reverse);
}

/// A reversed hold that is authorised again, or restored by the issuer.
fn up_again(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "up again");
    builder.wait(2);
    builder.push_event(life, StormAction::Reverse);
    builder.wait(3);
    let amount = builder.random_between(1, 9_00);
    if builder.one_in(2) {
        builder.push_event(life, StormAction::Revive(amount));
    } else {
        builder.push_request(life, RequestAmount::Exactly(amount));
        builder.push_event(life, StormAction::Confirm);
    }
    claimed(builder, life, AmountShare::All);
}

fn expired(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "expired, then claimed");
    builder.wait(6);
    builder.push_event(life, StormAction::Expire);
    if !builder.one_in(3) {
        builder.wait(6);
        builder.push_event(life, StormAction::Capture(AmountShare::All));
    }
}

fn charged_unasked(builder: &mut ScriptBuilder<'_>, number: usize) {
    let shop = a_shop(builder);
    let life = builder.life(number, "charged unasked", shop);
    let amount = builder.random_between(1, 12_00);
    builder.push_event(life, StormAction::ForceUnlinked(amount));
}

/// Refunds: half, all, twice, too much, or without naming a purchase.
fn refunded(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "refunded");
    claimed(builder, life, AmountShare::All);
    builder.wait(5);
    let refund = match builder.random_between(0, 4) {
        0 => StormAction::RefundUnlinked(builder.random_between(1, 9_00)),
        1 => StormAction::Refund(AmountShare::More(builder.random_between(1, 3_00))),
        2 => StormAction::Refund(AmountShare::All),
        _ => StormAction::Refund(AmountShare::Half),
    };
    builder.push_event(life, refund);
    if builder.one_in(2) {
        builder.wait(3);
        builder.push_event(life, StormAction::Refund(AmountShare::Half));
    }
}

/// The capture is delayed, so that the refund arrives before it.
fn refunded_before_the_claim(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy(builder, number, "refunded before the claim");
    builder.push_late_event(life, StormAction::Capture(AmountShare::All));
    builder.push_event(life, StormAction::Refund(AmountShare::All));
    builder.push_event(life, StormAction::Close);
}

fn cash(builder: &mut ScriptBuilder<'_>, number: usize) {
    let notes = builder.random_between(1, 6) * 5_00;
    let life = buy_at(builder, number, "cash", &shops::CASH_MACHINE, notes);
    claimed(builder, life, AmountShare::All);
}

/// The request is for one pound, because the price of the fuel is not known yet.
fn fuel(builder: &mut ScriptBuilder<'_>, number: usize) {
    let pump = &shops::PETROL_PUMP;
    let life = buy_at(builder, number, "fuel", pump, 1_00);
    let total = builder.random_between(5_00, 40_00);
    if builder.one_in(2) {
        builder.push_event(life, StormAction::Finalise(total));
        claimed(builder, life, AmountShare::All);
    } else {
        claimed(builder, life, AmountShare::More(total));
    }
}

/// Increments for each night. The capture comes days later, and the hold may have expired by then.
fn hotel(builder: &mut ScriptBuilder<'_>, number: usize) {
    let night = builder.random_between(8_00, 20_00);
    let life = buy_at(builder, number, "hotel", &shops::HOTEL, night);
    for _ in 0..builder.random_between(0, 3) {
        builder.wait(4);
        builder.push_request(life, RequestAmount::Exactly(night));
        builder.push_event(life, StormAction::Confirm);
    }
    builder.wait(8);
    if builder.one_in(2) {
        builder.push_event(life, StormAction::Expire);
    }
    claimed(builder, life, AmountShare::All);
}

/// The exchange rate differs on the day of the capture.
fn foreign(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = builder.life(number, "foreign", &shops::DINER_ABROAD);
    if let Some(life) = builder.life_mut(life) {
        life.foreign_currency = Some(ForeignCurrency { currency: "eur", rate_percent: 117 });
    }
    let amount = builder.random_between(2_00, 15_00);
    builder.push_request(life, RequestAmount::Exactly(amount));
    builder.push_event(life, StormAction::Confirm);
    if builder.one_in(3) {
        let more = builder.random_between(1, 4_00);
        builder.push_request(life, RequestAmount::Exactly(more));
        builder.push_event(life, StormAction::Confirm);
    }
    let difference = builder.random_between(1, 60);
    let share = if builder.one_in(2) {
        AmountShare::More(difference)
    } else {
        AmountShare::Less(difference)
    };
    claimed(builder, life, share);
}

fn card_check(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = builder.life(number, "card check", &shops::STREAMING);
    builder.push_request(life, RequestAmount::Exactly(0));
    builder.push_event(life, StormAction::Confirm);
}

fn refused_by_issuer(builder: &mut ScriptBuilder<'_>, number: usize) {
    let shop = a_shop(builder);
    let life = builder.life(number, "refused by the issuer", shop);
    let amount = builder.random_between(1, 20_00);
    builder.push_event(life, StormAction::Refuse(amount));
}

fn nobodys_card(builder: &mut ScriptBuilder<'_>, number: usize) {
    let shop = a_shop(builder);
    let life = builder.life(number, "nobody's card", shop);
    if let Some(life) = builder.life_mut(life) {
        life.card = Card { connection: life.card.connection.clone(), ..Card::unissued() };
        // The issuer's own approval of an unknown card would be nobody's money.
        life.approves_without_us = false;
    }
    let amount = builder.random_between(1, 20_00);
    builder.push_request(life, RequestAmount::Exactly(amount));
    builder.push_event(life, StormAction::Confirm);
}

/// A request that is captured regardless of the answer.
fn charged_although_refused(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = buy_at(builder, number, "charged although refused", &shops::BETTING_SHOP, 7_00);
    builder.wait(3);
    let amount = builder.random_between(1, 7_00);
    builder.push_event(life, StormAction::Force(amount));
}

/// Two concurrent requests with money for one.
fn race(builder: &mut ScriptBuilder<'_>, number: usize) {
    let shop = &shops::BUS;
    let one = builder.life(number, "race", shop);
    let other = builder.life(number + 1, "race", shop);
    builder.race(one, other, RequestAmount::MostOfBalance);
    for life in [one, other] {
        builder.push_plain_event(life, StormAction::Confirm);
        builder.push_plain_event(life, StormAction::Reverse);
    }
}

/// Snapshots with the same timestamp, sent in any order.
fn snapshots_in_one_second(builder: &mut ScriptBuilder<'_>, number: usize) {
    let shop = a_shop(builder);
    let life = builder.life(number, "many snapshots in one second", shop);
    if let Some(life) = builder.life_mut(life) {
        life.reuses_timestamps = true;
    }
    let amount = builder.random_between(5_00, 15_00);
    builder.push_request(life, RequestAmount::Exactly(amount));
    builder.push_late_event(life, StormAction::Confirm);
    let less = builder.random_between(1, 3_00);
    builder.push_event(life, StormAction::Lower(less));
    if builder.one_in(2) {
        let more = builder.random_between(1, 2_00);
        builder.push_request(life, RequestAmount::Exactly(more));
        builder.push_event(life, StormAction::Confirm);
    }
    if builder.one_in(3) {
        builder.push_event(life, StormAction::Reverse);
    } else {
        builder.push_event(life, StormAction::Capture(AmountShare::All));
        builder.push_event(life, StormAction::Close);
    }
}

/// The issuer approves by itself, and its report arrives after the capture.
fn told_after_the_claim(builder: &mut ScriptBuilder<'_>, number: usize) {
    let shop = a_shop(builder);
    let life = builder.life(number, "told after the claim", shop);
    let amount = builder.random_between(1, 15_00);
    builder.push_plain_event(life, StormAction::StandIn(amount));
    builder.push_late_event(life, StormAction::Confirm);
    builder.wait(2);
    builder.push_event(life, StormAction::Capture(AmountShare::All));
    builder.push_event(life, StormAction::Close);
}

/// A full refund in the shop's own currency at another exchange rate.
fn refunded_at_another_rate(builder: &mut ScriptBuilder<'_>, number: usize) {
    let life = builder.life(number, "refunded at another rate", &shops::DINER_ABROAD);
    if let Some(life) = builder.life_mut(life) {
        life.foreign_currency = Some(ForeignCurrency { currency: "eur", rate_percent: 117 });
    }
    let amount = builder.random_between(4_00, 15_00);
    builder.push_request(life, RequestAmount::Exactly(amount));
    builder.push_event(life, StormAction::Confirm);
    claimed(builder, life, AmountShare::All);
    builder.wait(3);
    let more = builder.random_between(-1_00, 1_50);
    builder.push_event(life, StormAction::RefundAtAnotherRate(more));
}

/// A refund on the day of the purchase frees that day's limit; a later one does not.
fn bought_and_brought_back(builder: &mut ScriptBuilder<'_>, number: usize) {
    let shop = builder.pick(&[&shops::SUPERMARKETS[0], &shops::NEWSAGENTS[0], &shops::CAFES[0]]);
    let amount = builder.random_between(6_00, 20_00);
    let shop = shop.unwrap_or(&shops::SUPERMARKETS[0]);
    let life = buy_at(builder, number, "bought and brought back", shop, amount);
    builder.push_event(life, StormAction::Capture(AmountShare::All));
    builder.push_event(life, StormAction::Close);
    builder.wait(1);
    let share = if builder.one_in(2) { AmountShare::All } else { AmountShare::Half };
    builder.push_event(life, StormAction::Refund(share));
}

/// The shop retries a purchase, and captures at most one of the two.
fn tried_again(builder: &mut ScriptBuilder<'_>, number: usize) {
    let shop = builder.pick(&[&shops::DIY_SHOPS[0], &shops::DIY_SHOPS[1], &shops::DINER_ABROAD]);
    let shop = shop.unwrap_or(&shops::DIY_SHOPS[0]);
    let mut tries = Vec::new();
    for number in [number, number + 1] {
        let amount = builder.random_between(3_00, 14_00);
        tries.push(buy_at(builder, number, "tried twice", shop, amount));
        builder.wait(1);
    }
    for life in tries {
        builder.wait(2);
        let act = if builder.one_in(2) {
            StormAction::Reverse
        } else {
            StormAction::Capture(AmountShare::All)
        };
        builder.push_event(life, act);
    }
}

/// A withdrawal with the machine's own fee, which does not count as cash.
fn cash_with_a_fee(builder: &mut ScriptBuilder<'_>, number: usize) {
    let fee = builder.random_between(1, 3) * 50;
    let notes = builder.random_between(1, 5) * 5_00;
    let life = builder.life(number, "cash with a fee", &shops::CASH_MACHINE);
    if let Some(life) = builder.life_mut(life) {
        life.fee_minor = fee;
    }
    builder.push_request(life, RequestAmount::Exactly(notes + fee));
    builder.push_event(life, StormAction::Confirm);
    claimed(builder, life, AmountShare::All);
}

/// The issuer links a refund to another purchase than the one it is for.
fn mislinked_refund(builder: &mut ScriptBuilder<'_>, number: usize) {
    let named = buy(builder, number, "named by another's refund");
    claimed(builder, named, AmountShare::All);
    let life = buy(builder, number + 1, "refunded as another");
    claimed(builder, life, AmountShare::All);
    builder.wait(2);
    builder.push_event(life, StormAction::RefundMislinked(named));
}
