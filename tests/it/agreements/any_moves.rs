//! Random moves of random people, one after the other: whatever they do, no list loosens with one
//! yes, no worker tightens alone, and nothing starts by silence.

use jiff::ToSpan as _;
use sayso::agreements::{Draft, draft};
use sayso::agreements::{Next, Outcome, confirm, counter, force, take_up, write_down};
use sayso::domain::agreement::{Agreement, Answer, Decider, Scope, Term, TermDraft};
use sayso::domain::change::{Change, Key, List, changes};
use sayso::domain::id::ProposalId;
use sayso::domain::limit::Limit;
use sayso::domain::period::Period;
use sayso::domain::proposal::{Consent, Kind, Parts, Proposal, Said, Side};
use sayso::members::ActError;
use sayso::rules::built_in;

use super::village::{
    CURRENCY, Village, a_session, budget, cash, category, draft_of, gbp, id, proposing, riverside,
    with, without,
};
use crate::support::TestDatabase;
use crate::world::{DEMO, patient};

on_both_databases!(whatever_people_do_two_agree);

/// Those who agree most of the time come more often, so that the story goes on.
const PEOPLE: [&str; 17] = [
    "dee",
    "dee",
    "dee",
    "dee",
    "amina",
    "amina",
    "amina",
    "amina",
    "ruth",
    "ruth",
    "dee-works",
    "amina-manages",
    "helen",
    "paul",
    "ben",
    "dora",
    "dee",
];
const SEEDS: u64 = 5;
const MOVES: usize = 220;

/// A small generator of numbers (splitmix64): the same seed plays the same story.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }

    /// Any list that can be said: one or two terms of `now` changed, taken out or added.
    fn list(&mut self, now: &List) -> List {
        let mut list = now.clone();
        for _ in 0..=self.roll(2) {
            let scopes = [
                cash(),
                category("alcohol"),
                category("phone"),
                category("fun"),
                Scope::EverythingElse,
                Scope::Everything,
                Scope::Code("5921".parse().unwrap()),
            ];
            let scope = self.pick(&scopes).clone();
            if self.roll(5) == 0 {
                list = without(&list, &scope);
                continue;
            }
            let answer = *self.pick(&[Answer::Yes, Answer::Ask, Answer::No]);
            let answer = if scope == Scope::Everything { Answer::Yes } else { answer };
            let sum = gbp(i64::try_from(self.roll(8)).unwrap() * 10_00);
            let limits = match self.roll(4) {
                0 => vec![Limit::PerPurchase(sum)],
                1 => vec![Limit::Amount { per: Period::Week, most: sum }],
                _ => Vec::new(),
            };
            let decides = match self.roll(6) {
                0 => Decider::Person,
                1 => Decider::Worker,
                _ => now.term(&scope).map_or(Decider::Together, Term::decides),
            };
            let restricts = answer != Answer::Yes || !limits.is_empty();
            let cooling = [None, None, Some(1), Some(3)];
            let cooling_days = self.pick(&cooling).filter(|_| restricts);
            let draft = TermDraft { limits, decides, cooling_days, ..draft_of(scope, answer) };
            list = with(&list, Term::new(draft).unwrap());
        }
        if self.roll(8) == 0 {
            list.pots.rotate_left(1);
        }
        list
    }
}

async fn whatever_people_do_two_agree(database: TestDatabase) {
    let file =
        patient(DEMO).replace("country = \"GB\"", "country = \"GB\"\nmanager_above = \"50.00\"");
    let village = Village::open_with(database, &file).await;
    let mut started = 0;
    for seed in 1..=SEEDS {
        let mut dice = Dice(seed);
        let mut known = Vec::new();
        for step in 0..MOVES {
            let before = village.versions("dee").await;
            let who = *dice.pick(&PEOPLE);
            let done = village.any_move(&mut dice, who, &mut known).await;
            let after = village.versions("dee").await;
            let place = format!("seed {seed}, step {step}, {who}: {done:?}");
            assert_eq!(after[..before.len()], before, "versions stay readable: {place}");
            let is_start = matches!(&done, Some(Ok(Outcome { next: Next::Started(_), .. })));
            assert_eq!(after.len(), before.len() + usize::from(is_start), "{place}");
            if let (true, Some(Ok(outcome))) = (is_start, &done) {
                known.push(outcome.proposal);
                village.check_start(&after, outcome.proposal, who, &place).await;
                started += 1;
            }
        }
    }
    assert!(started > 5, "only {started} versions started: the story is too dull");
    village.world.check().await;
}

impl Village {
    /// One move of one member. None when only time passed.
    async fn any_move(
        &self,
        dice: &mut Dice,
        who: &str,
        known: &mut Vec<ProposalId>,
    ) -> Option<Result<Outcome, ActError>> {
        let now = self.in_force("dee").await.list();
        let (acting, dee) = (self.as_(who), id("dee"));
        let parts = if dice.roll(2) == 0 { Parts::Whole } else { Parts::Parts };
        let list = dice.list(&now);
        let proposal = known.last().copied().unwrap_or(
            known
                .first()
                .copied()
                .unwrap_or_else(|| "prop_00000000000000000000000000000001".parse().unwrap()),
        );
        let proposal =
            if dice.roll(5) == 0 && !known.is_empty() { *dice.pick(known) } else { proposal };
        let done = match dice.roll(14) {
            0 | 1 => self.propose_in(who, "dee", list, parts).await,
            2..=6 => {
                let said = if dice.roll(9) == 0 { Said::No } else { Said::Yes };
                let some = dice.roll(8) == 0;
                let keys = changes(&now, &list, built_in()).into_iter().map(|c| c.key);
                let parts = some.then(|| keys.take(1).collect());
                let answering =
                    sayso::agreements::Answering { parts, ..super::village::answering(said) };
                self.answer_with(who, "dee", proposal, answering).await
            }
            7 => {
                let new = proposing(list, parts);
                self.run(async |tx| counter(tx, self.desk(), &acting, &dee, proposal, new).await)
                    .await
            }
            8 => {
                let session = a_session();
                self.run(async |tx| {
                    write_down(tx, self.desk(), &acting, &dee, proposal, None, session).await
                })
                .await
            }
            9 => self.run(async |tx| confirm(tx, self.desk(), &acting, &dee, proposal).await).await,
            10 if dice.roll(2) == 0 => {
                let new = proposing(list, Parts::Whole);
                self.run(async |tx| force(tx, self.desk(), &acting, &dee, new).await).await
            }
            10 | 12 => {
                let new = Draft { list, words: "An idea.".to_owned() };
                let drafted =
                    self.run(async |tx| draft(tx, self.desk(), &acting, &dee, new).await).await;
                known.extend(drafted.ok());
                return None;
            }
            11 => {
                let session = a_session();
                self.run(async |tx| {
                    take_up(tx, self.desk(), &acting, &dee, proposal, parts, session).await
                })
                .await
            }
            _ => {
                let hours = [1, 30, 80, 200];
                self.world.pass((*dice.pick(&hours)).hours());
                self.world.upkeep().await;
                return None;
            }
        };
        if let Ok(Outcome { proposal, next: Next::Waits(_) | Next::Cools(_) }) = &done {
            known.push(*proposal);
        }
        Some(done)
    }

    /// Looks at a version that has just started with eyes of its own.
    async fn check_start(
        &self,
        versions: &[Agreement],
        proposal: ProposalId,
        who: &str,
        place: &str,
    ) {
        let [.., before, after] = versions else { panic!("{place}") };
        let (proposal, consents) = self.read(proposal).await;
        assert_eq!(proposal.version, Some(after.version), "{place}");
        let mut yes: Vec<&Consent> = consents.iter().filter(|c| c.is_yes()).collect();
        yes.sort_by_key(|consent| consent.side);
        let sides: Vec<_> = yes.iter().map(|consent| consent.side).collect();
        let mut humans: Vec<_> = yes.iter().map(|consent| consent.human.as_str()).collect();
        humans.sort_unstable();
        humans.dedup();
        assert_eq!(humans.len(), yes.len(), "one human being for two sides: {place}");
        assert!(!after.how.is_empty() && !after.agreed_by.is_empty(), "{place}");
        let changed = changes(&before.list(), &after.list(), built_in());
        assert!(!changed.is_empty(), "{place}");
        let loosened: Vec<&Change> = changed.iter().filter(|c| c.direction.loosens()).collect();
        if proposal.kind == Kind::Law {
            assert!(loosened.is_empty(), "a law loosened something: {place}");
            assert_eq!(sides, [Side::Worker, Side::Manager], "{place}");
            return;
        }
        assert!(sides.contains(&Side::Person), "without the person: {place}");
        let person = yes.iter().find(|c| c.side == Side::Person).unwrap();
        assert_eq!(person.human.as_str(), "dee", "{place}");
        if !sides.contains(&Side::Worker) {
            assert!(matches!(who, "dee"), "the person's own, by somebody else: {place}");
            let agreed = self.agreed_together(versions).await;
            for change in loosened {
                let Key::Term(scope) = &change.key else { panic!("{change:?}: {place}") };
                assert!(
                    is_own_to_loosen(&agreed, &after.list(), scope),
                    "loosened with one yes: {change:?}: {place}"
                );
            }
        }
        let cools = changed.iter().filter(|c| c.direction.loosens()).map(|c| c.cooling_days).max();
        let waited = self.now().duration_since(proposal.proposed_at).as_hours();
        assert!(waited >= 24 * i64::from(cools.unwrap_or(0)), "not cooled: {place}");
    }

    /// What was last agreed by two, replayed from the versions and what each came from.
    async fn agreed_together(&self, versions: &[Agreement]) -> List {
        let sql = "SELECT CAST(version AS TEXT), kind FROM proposal \
                   WHERE budget_id = 'dee' AND version IS NOT NULL";
        let rows = self.world.database.rows(sql).await;
        let is_own =
            |version: u32| rows.iter().any(|row| row[0] == version.to_string() && row[1] == "own");
        let mut agreed = versions[0].list();
        for pair in versions.windows(2) {
            let (before, after) = (pair[0].list(), pair[1].list());
            if !is_own(pair[1].version) {
                for change in changes(&before, &after, built_in()) {
                    if let Key::Term(scope) = &change.key {
                        agreed = match after.term(scope) {
                            Some(term) => with(&agreed, term.clone()),
                            None => without(&agreed, scope),
                        };
                    }
                }
            }
        }
        agreed
    }

    async fn read(&self, proposal: ProposalId) -> (Proposal, Vec<Consent>) {
        let mut tx = self.store().snapshot().await.unwrap();
        let currency = CURRENCY.parse().unwrap();
        let found = tx.proposal(&riverside(), &budget("dee"), proposal, currency).await;
        tx.commit().await.unwrap();
        found.unwrap().unwrap()
    }
}

/// Whether the person alone may go as far as `next` says about `scope`: they decide about it as
/// agreed, or it is no looser than what was agreed.
fn is_own_to_loosen(agreed: &List, next: &List, scope: &Scope) -> bool {
    let covering = agreed.term(scope).or_else(|| match scope {
        Scope::Code(_) => agreed.term(&category("alcohol")).or(agreed.term(&Scope::EverythingElse)),
        Scope::Category(_) => agreed.term(&Scope::EverythingElse),
        Scope::Shop(_) | Scope::EverythingElse | Scope::Gate(_) | Scope::Everything => None,
    });
    let decides_alone = covering.is_some_and(|term| term.decides() == Decider::Person);
    let beyond = changes(agreed, next, built_in());
    let beyond = beyond.iter().find(|change| change.key == Key::Term(scope.clone()));
    decides_alone || beyond.is_none_or(|change| !change.direction.loosens())
}
