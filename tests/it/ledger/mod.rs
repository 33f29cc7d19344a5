//! The book of one budget: the transfers of each event, and the invariants after any events in any
//! order.

mod disputes;
mod events;
mod findings;
mod notices;
mod order;
mod postings;
mod properties;
mod purchase;
mod rows;
mod stages;
mod states;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;

use sayso::domain::agreement::{Agreement, Gate, Scope, Term, TermDraft};
use sayso::domain::decision::authorisation::{Presence, PurchaseKind};
use sayso::domain::id::{PermissionId, PostingId, PotId, PurchaseId};
use sayso::domain::money::Money;
use sayso::domain::money::limit::{Abroad, CountingAttributes, Limit, LimitUsage};
use sayso::domain::money::margin::{Margin, MarginPercent};
use sayso::domain::people::person::PersonState;
use sayso::domain::pot::{FundingSource, drain};
use sayso::domain::purchase::dispute::{DisputeFunds, DisputeOutcome, DisputeReport};
use sayso::domain::purchase::hold::Hold;
use sayso::domain::purchase::position::{MessageKind, MessagePosition};
use sayso::domain::purchase::presentment::AuthorisationStatus;
use sayso::domain::purchase::{
    ApprovedIncrement, CaptureAnomalies, IncrementState, IssuerSnapshot, MerchantDescriptor,
    Purchase,
};
use sayso::domain::shop::ShopIdentity;
use sayso::domain::time::period::Period;
use sayso::ledger::account::Account;
use sayso::ledger::book::{
    Book, BudgetOwner, LedgerError, PostingCause, PotBalance, Pots, PurchaseKey,
};
use sayso::ledger::posting::{ChainHead, PostingKind, Transfer};
use sayso::ledger::postings::{
    capture_transfers, dispute_transfers, hold_transfers, load_transfers, refund_transfers,
};
use sayso::ledger::record::purchase::{hold_rows, purchase_digest, purchase_row};
use sayso::ledger::record::row::Digest;

use crate::values::{
    a_draft, a_permission, a_pot, a_request, an_agreement, category, gbp, monday_morning, pot,
};

/// A book, with the messages about its purchases as the store and the lifecycle pass them on.
struct BookFixture {
    book: Book,
    postings: u128,
}

impl BookFixture {
    /// A budget with these pots, all from one stream, with this amount loaded into each.
    fn new(pots: &[(&str, i64)]) -> Self {
        let currency = gbp(0).currency();
        let budget = "dee".parse().unwrap();
        let mut book = Book::new("riverside".parse().unwrap(), budget, currency, ChainHead::START);
        book.owner = Some(BudgetOwner {
            name: "Dee".to_owned(),
            worker: "amina".to_owned(),
            state: PersonState::Active,
            agreement: Arc::new(counting_agreement(pots)),
            cards: Vec::new(),
        });
        let mut fixture = Self { book, postings: 0 };
        for (id, minor) in pots {
            let empty = PotBalance::empty("homes".parse().unwrap(), gbp(100_00));
            fixture.book.pots.0.insert(pot(id), empty);
            fixture.load(id, *minor);
        }
        fixture
    }

    fn load(&mut self, id: &str, minor: i64) {
        let cause = self.cause(PostingKind::Load);
        let load = load_transfers(&"homes".parse().unwrap(), &pot(id), gbp(minor));
        self.book.post(cause, load).unwrap();
        self.check();
    }

    fn cause(&mut self, kind: PostingKind) -> PostingCause {
        self.postings += 1;
        PostingCause {
            posting: PostingId::new(uuid::Uuid::from_u128(self.postings)),
            kind,
            subject: format!("event {}", self.postings),
            record: Digest::of_text(&self.postings.to_string()),
            moment: monday_morning(),
        }
    }

    /// Adds the purchase called `name`, unless it exists.
    fn add(&mut self, name: &str) {
        let key = key(name);
        let purchase = a_purchase(name);
        self.book.purchases.entry(key).or_insert(purchase);
    }

    fn purchase(&self, name: &str) -> &Purchase {
        &self.book.purchases[&key(name)]
    }

    /// Changes the purchase and checks all invariants. Returns the transfers as text.
    fn change(
        &mut self,
        name: &str,
        kind: PostingKind,
        act: impl FnOnce(&mut Purchase, &mut Pots) -> Result<Vec<Transfer>, LedgerError>,
    ) -> Vec<String> {
        self.add(name);
        let cause = self.cause(kind);
        self.book.change(&key(name), cause, act).unwrap();
        self.check();
        let posting = self.book.changes().postings.last().unwrap();
        posting.entry.transfers.iter().map(shown).collect()
    }

    /// What the pots have left, in the order in which they are drawn.
    fn sources(&self) -> Vec<FundingSource> {
        let plans = &self.book.agreement().unwrap().pots;
        let left = |id: &PotId| self.book.pots.left(id, self.book.currency);
        plans.iter().map(|p| FundingSource { pot: p.id.clone(), available: left(&p.id) }).collect()
    }

    /// The same for a known purchase, whose margin is available to an increment.
    fn sources_of(&self, name: &str) -> Vec<FundingSource> {
        let mut sources = self.sources();
        for part in self.purchase(name).margin_parts().unwrap() {
            let source = sources.iter_mut().find(|source| source.pot == part.pot).unwrap();
            source.available = source.available.checked_add(part.amount).unwrap();
        }
        sources
    }

    /// A message says that the merchant prices in another currency.
    fn apply_merchant_currency(&mut self, name: &str) -> Vec<String> {
        let sources = self.sources();
        self.change(name, PostingKind::StatusUpdate, |purchase, pots| {
            purchase.apply_merchant_currency("EUR".parse().unwrap());
            settle(purchase, pots, &sources)
        })
    }

    /// Approves `minor` more, as the response to the request of this sequence number.
    fn approve(&mut self, name: &str, sequence: u32, minor: i64) -> Vec<String> {
        self.approve_by(name, sequence, minor, None)
    }

    fn approve_by(
        &mut self,
        name: &str,
        sequence: u32,
        minor: i64,
        permission: Option<PermissionId>,
    ) -> Vec<String> {
        self.add(name);
        let state = IncrementState::Kept;
        let increment = ApprovedIncrement { sequence, amount: gbp(minor), permission, state };
        let margin = self.purchase(name).clone().margin_including(increment).unwrap();
        let wanted = gbp(minor).checked_add(margin).unwrap();
        let parts = drain(wanted, &self.sources_of(name)).unwrap();
        self.change(name, PostingKind::Decision, |purchase, pots| {
            purchase.increments.push(increment);
            hold_transfers(purchase, pots, &parts)
        })
    }

    /// The response to the request of this sequence number was too late.
    fn withdraw(&mut self, name: &str, sequence: u32) -> Vec<String> {
        self.change(name, PostingKind::Withdrawal, |purchase, pots| {
            for increment in purchase.increments.iter_mut().filter(|p| p.sequence == sequence) {
                increment.state = IncrementState::Withdrawn;
            }
            hold_transfers(purchase, pots, &[])
        })
    }

    /// A snapshot arrives from the issuer.
    fn hear(&mut self, name: &str, word: IssuerSnapshot) -> Vec<String> {
        let sources = self.sources();
        self.change(name, PostingKind::StatusUpdate, |purchase, pots| {
            purchase.apply_snapshot(word);
            settle(purchase, pots, &sources)
        })
    }

    /// The issuer reports that the hold changed by `by`.
    fn hold_changed(&mut self, name: &str, by: i64) -> Vec<String> {
        let sources = self.sources();
        self.change(name, PostingKind::StatusUpdate, |purchase, pots| {
            let told = if by < 0 { &mut purchase.lowered } else { &mut purchase.raised };
            *told = told.checked_add(gbp(by.abs())).unwrap();
            settle(purchase, pots, &sources)
        })
    }

    fn capture(&mut self, name: &str, minor: i64) -> Vec<String> {
        let others: Vec<_> = self.sources().into_iter().map(|source| source.pot).collect();
        self.change(name, PostingKind::Capture, |purchase, pots| {
            capture_transfers(purchase, pots, gbp(minor), &others)
        })
    }

    fn refund(&mut self, name: &str, minor: i64) -> Vec<String> {
        self.change(name, PostingKind::Refund, |purchase, pots| {
            refund_transfers(purchase, pots, gbp(minor))
        })
    }

    /// The issuer reports the status of a dispute about the purchase.
    fn dispute(&mut self, name: &str, report: &DisputeReport) -> Vec<String> {
        let others: Vec<_> = self.sources().into_iter().map(|source| source.pot).collect();
        self.change(name, PostingKind::Dispute, |purchase, pots| {
            purchase.apply_dispute(report);
            dispute_transfers(purchase, pots, &others)
        })
    }

    /// The gateway's own clock expires overdue holds, `days` days later.
    fn expire(&mut self, days: i64) {
        let later = SignedDuration::from_hours(24 * days);
        let now = monday_morning().at.checked_add(later).unwrap();
        for key in self.book.purchases.keys().cloned().collect::<Vec<_>>() {
            if !self.book.purchases[&key].is_expired(now) {
                continue;
            }
            let mut cause = self.cause(PostingKind::Expiry);
            cause.moment.at = now;
            let expire = |purchase: &mut Purchase, pots: &mut Pots| {
                purchase.expire();
                hold_transfers(purchase, pots, &[])
            };
            self.book.change(&key, cause, expire).unwrap();
            self.check();
        }
    }

    /// Loaded, held, spent and left of a pot.
    fn figures(&self, id: &str) -> [i64; 4] {
        let balance = &self.book.pots.0[&pot(id)];
        [balance.loaded, balance.held, balance.spent, balance.left].map(Money::minor)
    }

    /// Checks all invariants. Called after every step.
    fn check(&self) {
        self.check_chain();
        self.check_pots();
        self.check_purchases();
        self.check_counters();
        self.check_permissions();
    }

    fn check_chain(&self) {
        let mut head = ChainHead::START;
        for posting in &self.book.changes().postings {
            assert_eq!((posting.seq, posting.previous), (head.seq + 1, head.posting));
            assert_eq!(posting.hash, posting.hash_after(head.hash));
            head = posting.head();
        }
        assert_eq!(self.book.head(), head);
        let last = self.book.changes().postings.last();
        if let Some((id, digest)) = last.and_then(|posting| posting.entry.purchase) {
            let purchase = self.book.purchases.values().find(|p| p.id == id).unwrap();
            let row = purchase_row(&self.book.programme, purchase);
            let holds = hold_rows(&self.book.programme, purchase);
            assert_eq!(purchase_digest(&row, &holds), digest, "the chain vouches for the purchase");
        }
    }

    /// Balance of every account, from the transfers alone.
    fn accounts(&self) -> BTreeMap<Account, i64> {
        let mut accounts = BTreeMap::new();
        for transfer in self.book.changes().postings.iter().flat_map(|p| &p.entry.transfers) {
            *accounts.entry(transfer.from().clone()).or_default() -= transfer.amount().minor();
            *accounts.entry(transfer.to().clone()).or_default() += transfer.amount().minor();
        }
        accounts
    }

    fn check_pots(&self) {
        let accounts = self.accounts();
        let of = |account| accounts.get(&account).copied().unwrap_or(0);
        for (id, balance) in &self.book.pots.0 {
            let [loaded, held, spent, left] = self.figures(id.as_str());
            assert_eq!(left, of(Account::PotLeft(id.clone())), "{id}");
            assert_eq!(held, of(Account::PotHeld(id.clone())), "{id}");
            assert_eq!(loaded, held + spent + left, "{id}");
            assert_eq!(loaded, self.loaded_by_transfers(id), "{id}");
            assert_eq!(balance.allocated, gbp(100_00), "a promise that no posting touches");
            assert!(left >= 0 && held >= 0 && spent >= 0, "{id}: {balance:?}");
            let holds = || self.book.purchases.values().flat_map(|p| &p.holds);
            let here = |hold: &&Hold| hold.pot == *id;
            let held_for: i64 = holds().filter(here).map(|hold| hold.held.minor()).sum();
            let spent_on: i64 =
                holds().filter(here).map(|hold| hold.spent().unwrap().minor()).sum();
            assert_eq!((held_for, spent_on), (held, spent), "{id}");
        }
        let all = || self.book.purchases.values();
        let sum = |part: fn(&Purchase) -> Money| all().map(|p| part(p).minor()).sum::<i64>();
        assert_eq!(of(Account::Exposure), -sum(|p| p.exposure));
        assert_eq!(of(Account::Suspense), sum(|p| p.suspense));
        let clearing = Account::Clearing(a_request().connection);
        let given_back = sum(|p| p.refunded) + sum(|p| p.disputed) + sum(|p| p.recovered);
        assert_eq!(of(clearing), sum(|p| p.captured) - given_back);
        assert_eq!(of(Account::Disputed), sum(|p| p.disputed));
        assert_eq!(of(Account::Exchange), 0, "gains by exchange go through");
        assert_eq!(accounts.values().sum::<i64>(), 0);
    }

    fn loaded_by_transfers(&self, id: &PotId) -> i64 {
        let postings = &self.book.changes().postings;
        let transfers = postings.iter().flat_map(|posting| &posting.entry.transfers);
        let own = Account::PotLeft(id.clone());
        let by = |transfer: &Transfer| match (transfer.from(), transfer.to()) {
            (Account::StreamFunds(_) | Account::PotLeft(_) | Account::Exchange, to)
                if *to == own =>
            {
                1
            }
            (from, Account::PotLeft(_) | Account::Exchange) if *from == own => -1,
            (_, _) => 0,
        };
        transfers.map(|transfer| by(transfer) * transfer.amount().minor()).sum()
    }

    fn check_purchases(&self) {
        for purchase in self.book.purchases.values() {
            let held = purchase.held().unwrap().minor();
            let wanted = purchase.target_hold().unwrap().minor();
            assert!(held <= wanted, "{held} held, {wanted} wanted");
            let asked = purchase.requested_hold().unwrap().minor();
            assert!(
                asked <= wanted && (asked > 0 || wanted == 0),
                "{asked} asked, {wanted} wanted"
            );
            let committed = purchase.committed().unwrap().minor();
            assert_eq!(committed, held.min(asked) + purchase.captured.minor());
            let beyond: i64 =
                purchase.margin_parts().unwrap().iter().map(|p| p.amount.minor()).sum();
            assert_eq!(beyond, (held - asked).max(0), "what is held beyond, by pot");
            for hold in &purchase.holds {
                assert!(hold.held.minor() >= 0 && hold.refunded.minor() <= hold.captured.minor());
            }
            let given_back = purchase.refunded.minor() + purchase.recovered.minor();
            let spent: i64 = purchase.holds.iter().map(|h| h.spent().unwrap().minor()).sum();
            let exchange = purchase.exchange.as_ref().map_or(0, |part| part.amount.minor());
            assert_eq!(
                spent + purchase.exposure.minor() - purchase.suspense.minor() - exchange,
                purchase.captured.minor() - given_back,
                "{purchase:?}"
            );
            let excess = given_back - purchase.captured.minor() - exchange;
            assert_eq!(purchase.suspense.minor(), excess.max(0), "{purchase:?}");
            let most = purchase.margin.on(purchase.captured).unwrap().minor();
            assert!((0..=most).contains(&exchange), "{purchase:?}");
            assert_eq!(
                purchase.limit_back.minor(),
                given_back.min(purchase.captured.minor()),
                "limits follow the money: {purchase:?}"
            );
        }
    }

    /// A counter is the sum of the committed amounts less refunds, and the number of purchases with
    /// a committed amount.
    fn check_counters(&self) {
        for (key, used) in &self.book.counters {
            let mut expected = LimitUsage::nothing(gbp(0));
            for purchase in self.book.purchases.values() {
                let committed = purchase.committed().unwrap();
                if purchase.counted.counts_in(key) && committed.is_positive() {
                    let net = committed.checked_sub(purchase.limit_back).unwrap();
                    let part = purchase.counted.amount_counted_in(&key.scope, net).unwrap();
                    expected.amount = expected.amount.checked_add(part).unwrap();
                    expected.purchases += 1;
                }
            }
            assert_eq!(*used, expected, "{key:?}");
        }
    }

    /// A permission's uses are the purchases that it approved and that have a committed amount.
    fn check_permissions(&self) {
        for permission in &self.book.permissions {
            let is_used = |purchase: &&Purchase| {
                let by = |p: &ApprovedIncrement| {
                    p.permission == Some(permission.id) && p.state == IncrementState::Kept
                };
                purchase.committed().unwrap().is_positive() && purchase.increments.iter().any(by)
            };
            let used = self.book.purchases.values().filter(is_used).count();
            let used = i64::try_from(used).unwrap();
            assert_eq!(permission.uses_left + used, USES, "{}", permission.id);
        }
    }
}

/// How often each permission of the tests may be used.
const USES: i64 = 3;

fn key(name: &str) -> PurchaseKey {
    (a_request().connection, name.parse().unwrap())
}

fn shown(transfer: &Transfer) -> String {
    format!("{} -> {} {}", transfer.from(), transfer.to(), transfer.amount().minor())
}

/// Adjusts the hold to its target, as an issuer's message does.
fn settle(
    purchase: &mut Purchase,
    pots: &mut Pots,
    sources: &[FundingSource],
) -> Result<Vec<Transfer>, LedgerError> {
    let missing = purchase.target_hold()?.saturating_sub(purchase.held()?)?;
    let parts = drain(missing, sources)?;
    hold_transfers(purchase, pots, &parts)
}

/// An agreement with limits on everything, food and cash back, in every period.
fn counting_agreement(pots: &[(&str, i64)]) -> Agreement {
    let counting = |scope, limits| {
        let draft = a_draft(scope, sayso::domain::agreement::TermAnswer::Yes);
        Term::new(TermDraft { limits, ..draft }).unwrap()
    };
    let amount = |per| Limit::Amount { per, most: gbp(1_000_00) };
    let mut agreement = an_agreement();
    agreement.pots = pots.iter().map(|(id, _)| a_pot(id, "homes")).collect();
    agreement.terms = vec![
        counting(Scope::Everything, Period::ALL.iter().copied().map(amount).collect()),
        counting(
            Scope::Category(category("food")),
            vec![amount(Period::Week), Limit::Count { per: Period::Day, most: 9 }],
        ),
        counting(Scope::Gate(Gate::CashBack), vec![amount(Period::Day)]),
    ];
    agreement
}

/// A purchase without any message. `cash…` has £5.00 of cash back; `early…` was last week; in
/// another currency it has a margin of 7 %.
fn a_purchase(name: &str) -> Purchase {
    let number = name.bytes().fold(7, |sum, byte| sum * 31 + u128::from(byte));
    let cash_back = if name.starts_with("cash") { gbp(5_00) } else { gbp(0) };
    let days_ago = if name.starts_with("early") { 7 } else { 0 };
    let today = monday_morning().date;
    Purchase {
        id: PurchaseId::new(uuid::Uuid::from_u128(number)),
        budget: "dee".parse().unwrap(),
        connection: a_request().connection,
        reference: name.parse().unwrap(),
        card: a_request().card,
        currency: gbp(0).currency(),
        counted: CountingAttributes {
            on: today.checked_sub(SignedDuration::from_hours(24 * days_ago)).unwrap(),
            shop: ShopIdentity::of([a_request().merchant.shop_key()]),
            mcc: a_request().merchant.mcc(),
            category: category("food"),
            kind: PurchaseKind::Purchase,
            presence: Presence::InPerson,
            abroad: Abroad::No,
            cash_back,
            atm_fee: gbp(0),
            matched: Scope::Category(category("food")),
        },
        place: MerchantDescriptor::new("Corner Shop 12"),
        margin: Margin::agreed(MarginPercent::new(7).unwrap()),
        increments: Vec::new(),
        snapshot: None,
        raised: gbp(0),
        lowered: gbp(0),
        captured: gbp(0),
        refunded: gbp(0),
        holds: Vec::new(),
        exposure: gbp(0),
        suspense: gbp(0),
        disputes: Vec::new(),
        disputed: gbp(0),
        recovered: gbp(0),
        expires_at: None,
        limit_back: gbp(0),
        captured_elsewhere: gbp(0),
        exchange: None,
        merchant_sums: None,
        most_held: gbp(0),
        anomalies: CaptureAnomalies::default(),
    }
}

/// A snapshot `second` seconds after the first request, with this number of responses.
fn word(status: AuthorisationStatus, second: i64, answers: u32, event: &str) -> IssuerSnapshot {
    let at = monday_morning().at.checked_add(SignedDuration::from_secs(second)).unwrap();
    let over = u8::from(!matches!(status, AuthorisationStatus::Open { .. }));
    let reference = event.parse().unwrap();
    let kind = MessageKind::Updated;
    IssuerSnapshot {
        status,
        position: MessagePosition { at, kind, answers, listed: 0, over, reference },
    }
}

/// A report about the purchase's only dispute, `second` seconds after the request.
fn report(
    (outcome, funds): (DisputeOutcome, Option<DisputeFunds>),
    minor: i64,
    second: i64,
    event: &str,
) -> DisputeReport {
    let at = monday_morning().at.checked_add(SignedDuration::from_secs(second)).unwrap();
    let over = u8::from(outcome != DisputeOutcome::Open);
    DisputeReport {
        reference: "idp_1".parse().unwrap(),
        presentment: "ipi_1".parse().unwrap(),
        amount: gbp(minor),
        outcome,
        funds,
        position: MessagePosition {
            at,
            kind: MessageKind::Updated,
            answers: 0,
            listed: 0,
            over,
            reference: event.parse().unwrap(),
        },
    }
}

/// All combinations of outcome and money movement that a dispute's message may contain.
const DISPUTES: [(DisputeOutcome, Option<DisputeFunds>); 7] = [
    (DisputeOutcome::Open, None),
    (DisputeOutcome::Open, Some(DisputeFunds::Credited)),
    (DisputeOutcome::Won, None),
    (DisputeOutcome::Won, Some(DisputeFunds::Credited)),
    (DisputeOutcome::Lost, None),
    (DisputeOutcome::Lost, Some(DisputeFunds::TakenAgain)),
    (DisputeOutcome::Won, Some(DisputeFunds::TakenAgain)),
];

/// Closed, with this amount captured.
fn closed(claimed: i64) -> AuthorisationStatus {
    AuthorisationStatus::Closed { claimed: gbp(claimed) }
}

const fn open(total: Money) -> AuthorisationStatus {
    AuthorisationStatus::Open { total }
}

/// The permission of this number, which may be used [`USES`] times.
fn permission(number: u128) -> sayso::domain::ask::permission::Permission {
    sayso::domain::ask::permission::Permission {
        id: PermissionId::new(uuid::Uuid::from_u128(number)),
        uses_left: USES,
        ..a_permission()
    }
}
