//! Random moves of random people, in sequence. Invariants: no list loosens with one yes, no worker
//! tightens a list alone, nothing starts without an answer, and every pause ends.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp, ToSpan as _};
use sayso::domain::agreement::change::{List, changes};
use sayso::domain::agreement::proposal::{
    Consent, ConsentAnswer, ConsentGranularity, ConsentSide, Proposal, ProposalKind, ProposalState,
};
use sayso::domain::agreement::{Agreement, Decider, Scope, Term, TermAnswer, TermDraft};
use sayso::domain::card::CardState;
use sayso::domain::card::pause::{PAUSE_MAX, Pause};
use sayso::domain::id::{PauseId, ProposalId};
use sayso::domain::money::limit::Limit;
use sayso::domain::time::period::Period;
use sayso::merchant_rules::built_in;
use sayso::people::agreements::{
    DraftRequest, PauseRequest, ProposalAnswerRequest, ProposalChange, ProposalProgress,
    ProposalStage, adopt_draft, change_proposal, counter_propose, draft, lift, pause, propose,
    record_law,
};
use sayso::people::members::UseCaseError;
use sayso::store::VersionRow;

use super::fixture::{
    AgreementFixture, CURRENCY, a_session, answering, budget, cash, category, draft_of, forcing,
    gbp, id, proposing, riverside, with, without,
};
use super::probes::PurchaseProbe;
use crate::support::TestDatabase;
use crate::world::{demo_with_manager_above, purchase};

on_both_databases!(whatever_people_do_two_agree);

/// All accounts that make moves.
const PEOPLE: [&str; 9] =
    ["dee", "amina", "ruth", "dee-works", "amina-manages", "helen", "paul", "dora", "ben"];
/// The accounts whose consent most changes need, weighted.
const THREE: [&str; 5] = ["dee", "amina", "dee", "amina", "ruth"];
const SEEDS: u64 = 3;
const MOVES: usize = 170;

/// A small random number generator (splitmix64): the same seed gives the same moves.
struct SeededRandom(u64);

impl SeededRandom {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(sides).unwrap()).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }

    fn anybody(&mut self) -> &'static str {
        if self.roll(6) == 0 { self.pick(&PEOPLE) } else { self.pick(&THREE) }
    }

    /// A random valid term about one of a few scopes; the scope alone to remove its term.
    fn term(&mut self, now: &List) -> Result<Term, Scope> {
        let scopes = [
            cash(),
            category("alcohol"),
            category("phone"),
            category("fun"),
            Scope::EverythingElse,
            Scope::Everything,
            Scope::Code("5921".parse().unwrap()),
        ];
        let scope = self.pick(&scopes);
        if self.roll(5) == 0 {
            return Err(scope);
        }
        let answer =
            self.pick(&[TermAnswer::Yes, TermAnswer::Yes, TermAnswer::Ask, TermAnswer::No]);
        let answer = if scope == Scope::Everything { TermAnswer::Yes } else { answer };
        let sum = gbp(i64::try_from(self.roll(8)).unwrap() * 10_00);
        let limits = match self.roll(4) {
            0 => vec![Limit::PerPurchase(sum)],
            1 => vec![Limit::Amount { per: Period::Week, most: sum }],
            _ => Vec::new(),
        };
        let decides = match self.roll(6) {
            0 => Decider::Person,
            _ => now.term(&scope).map_or(Decider::Together, Term::decides),
        };
        let restricts = answer != TermAnswer::Yes || !limits.is_empty();
        let cooling = [None, None, None, None, Some(1), Some(3)];
        let cooling_days = self.pick(&cooling).filter(|_| restricts);
        let draft = TermDraft { limits, decides, cooling_days, ..draft_of(scope, answer) };
        Ok(Term::new(draft).unwrap())
    }

    /// A random valid list: some terms of `now` changed, removed or added.
    fn list(&mut self, now: &List) -> List {
        let mut list = now.clone();
        for _ in 0..=self.roll(3) {
            list = match self.term(now) {
                Ok(term) => with(&list, term),
                Err(scope) => without(&list, &scope),
            };
        }
        if self.roll(8) == 0 {
            list.pots.rotate_left(1);
        }
        if self.roll(12) == 0 {
            list.partial = !list.partial;
        }
        list
    }

    /// A stricter list, as most lists are that a law forces.
    fn stricter(&mut self, now: &List) -> List {
        let scope = category(self.pick(&["alcohol", "phone", "fun", "pubs", "gambling"]));
        let decides = now.term(&scope).map_or(Decider::Together, Term::decides);
        let cooling_days = now.term(&scope).and_then(Term::cooling_days);
        let no = TermDraft { decides, cooling_days, ..draft_of(scope, TermAnswer::No) };
        with(now, Term::new(no).unwrap())
    }

    /// A random reply to a proposal and its author, most often somebody whose answer is awaited.
    fn reply(
        &mut self,
        proposal: &Proposal,
        consents: &[Consent],
    ) -> (&'static str, ProposalReply) {
        let reply = match self.roll(14) {
            0 => ProposalReply::No,
            1 => ProposalReply::Counter,
            2 => ProposalReply::WriteDown,
            3 => ProposalReply::Confirm,
            4 => ProposalReply::Withdraw,
            _ => ProposalReply::Yes,
        };
        if self.roll(8) == 0 {
            return (self.pick(&PEOPLE), reply);
        }
        // An account that has answered yes changes its answer.
        if let Some(known) = consents.first().filter(|known| known.is_yes() && self.roll(9) == 0) {
            let who = PEOPLE.into_iter().find(|who| known.member.as_str() == *who).unwrap();
            return (
                who,
                self.pick(&[
                    ProposalReply::No,
                    ProposalReply::No,
                    ProposalReply::Counter,
                    ProposalReply::Withdraw,
                ]),
            );
        }
        let is_missing = |side| consents.iter().all(|c| c.side != side || !c.is_yes());
        if consents.iter().any(|consent| consent.confirmed_at.is_none()) {
            return (
                "dee",
                self.pick(&[
                    ProposalReply::Confirm,
                    ProposalReply::Confirm,
                    ProposalReply::Yes,
                    ProposalReply::No,
                ]),
            );
        }
        if proposal.kind != ProposalKind::Law && is_missing(ConsentSide::Person) {
            let by_amina = matches!(reply, ProposalReply::WriteDown | ProposalReply::Withdraw);
            return (if by_amina { "amina" } else { "dee" }, reply);
        }
        let cools = proposal.not_before > proposal.proposed_at;
        if proposal.kind == ProposalKind::Own || (cools && self.roll(2) == 0) {
            return ("dee", reply);
        }
        let worker = self.pick(&["amina", "amina", "amina", "amina", "dee-works", "ben"]);
        let manager = self.pick(&["ruth", "ruth", "ruth", "amina-manages"]);
        match (is_missing(ConsentSide::Worker), is_missing(ConsentSide::Manager)) {
            (true, true) => (self.pick(&[worker, worker, manager]), reply),
            (true, false) => (worker, reply),
            (false, _) => (manager, reply),
        }
    }
}

/// A reply to a proposal.
#[derive(Debug, Clone, Copy)]
enum ProposalReply {
    Yes,
    No,
    Counter,
    WriteDown,
    Confirm,
    Withdraw,
}

impl ProposalReply {
    const fn word(self) -> &'static str {
        match self {
            Self::Yes => "says yes",
            Self::No => "says no",
            Self::Counter => "counters",
            Self::WriteDown => "writes down",
            Self::Confirm => "confirms",
            Self::Withdraw => "takes back",
        }
    }
}

/// The state of the budget.
struct BudgetSituation {
    versions: Vec<VersionRow>,
    /// The kind of proposal that each version came from, by version number.
    kinds: BTreeMap<u32, ProposalKind>,
    waiting: Vec<(Proposal, Vec<Consent>)>,
    pauses: Vec<Pause>,
    cards: Vec<CardState>,
}

impl BudgetSituation {
    fn now(&self) -> &Agreement {
        &self.versions.last().unwrap().agreement
    }

    /// The list that two people last agreed on, replayed from the versions and their proposals.
    fn agreed_together(&self) -> List {
        let mut agreed = self.versions[0].agreement.list();
        for pair in self.versions.windows(2) {
            let (before, after) = (pair[0].agreement.list(), pair[1].agreement.list());
            if self.kinds.get(&pair[1].agreement.version) == Some(&ProposalKind::Own) {
                continue;
            }
            let scopes = before.terms.iter().chain(&after.terms).map(Term::scope);
            for scope in scopes.filter(|scope| before.term(scope) != after.term(scope)) {
                agreed = match after.term(scope) {
                    Some(term) => with(&agreed, term.clone()),
                    None => without(&agreed, scope),
                };
            }
            if before.partial != after.partial {
                agreed.partial = after.partial;
            }
        }
        agreed
    }
}

async fn whatever_people_do_two_agree(database: TestDatabase) {
    let file = demo_with_manager_above("50.00");
    let fixture = AgreementFixture::open_with(database, &file).await;
    let mut started = BTreeMap::new();
    let mut before = fixture.situation().await;
    for seed in 1..=SEEDS {
        let mut random = SeededRandom(seed);
        for step in 0..MOVES {
            let (who, what, done) = fixture.any_move(&mut random, &before).await;
            let after = fixture.situation().await;
            let place = format!("seed {seed}, step {step}, {who} {what}: {done:?}");
            let known = before.versions.len();
            assert_eq!(after.versions[..known], before.versions, "they stay readable: {place}");
            let start = match &done {
                Some(Ok(ProposalProgress { proposal, next: ProposalStage::Started(_) })) => {
                    Some(*proposal)
                }
                _ => None,
            };
            assert_eq!(after.versions.len(), known + usize::from(start.is_some()), "{place}");
            if let Some(proposal) = start {
                let kind = fixture.check_start(&after, proposal, who, &place).await;
                *started.entry(kind.word()).or_insert(0) += 1;
            }
            fixture.check_pauses(&after, step, &format!("{seed}x{step}"), &place).await;
            before = after;
        }
    }
    let all = started.values().sum::<usize>();
    assert!(all >= 30 && started.len() == 3, "the story is too dull: {started:?}");
    fixture.check_ends(&started).await;
    fixture.world.check().await;
}

type MoveResult = (&'static str, &'static str, Option<Result<ProposalProgress, UseCaseError>>);

impl AgreementFixture {
    async fn situation(&self) -> BudgetSituation {
        let mut tx = self.store().snapshot().await.unwrap();
        let (programme, budget, currency) = (riverside(), budget("dee"), CURRENCY.parse().unwrap());
        let versions = tx.versions_of(&programme, &budget, currency).await.unwrap();
        let every =
            tx.proposals_before(&programme, &budget, None, None, u32::MAX, currency).await.unwrap();
        let pauses = tx.pauses_of(&programme, &budget).await.unwrap();
        let cards = tx.cards_of(&programme, &budget).await.unwrap();
        tx.commit().await.unwrap();
        let cards = cards.iter().map(|card| card.status.at(self.now())).collect();
        let kind = |(proposal, _): &(Proposal, _)| Some((proposal.version?, proposal.kind));
        let kinds = every.iter().filter_map(kind).collect();
        let is_waiting = |proposal: &Proposal| {
            matches!(proposal.state, ProposalState::Draft | ProposalState::Open)
        };
        let waiting =
            every.into_iter().rev().filter(|(proposal, _)| is_waiting(proposal)).collect();
        BudgetSituation { versions, kinds, waiting, pauses, cards }
    }

    /// One move of one account, about a pending proposal if there is one. The outcome is `None`
    /// when the move concerns no list.
    async fn any_move(&self, random: &mut SeededRandom, situation: &BudgetSituation) -> MoveResult {
        let of = if situation.waiting.is_empty() { 9 } else { 24 };
        let cools = situation.waiting.iter().any(|(proposal, _)| proposal.not_before > self.now());
        match random.roll(of) {
            9..=15 if cools => (random.pick(&PEOPLE), "rests", self.rest(random, situation).await),
            0 | 1 => (random.pick(&PEOPLE), "rests", self.rest(random, situation).await),
            2 => self.any_pause(random, situation).await,
            3 => self.any_start(random, situation.now(), None).await,
            4..=8 => {
                let (who, list) = (random.anybody(), random.list(&situation.now().list()));
                let new = proposing(
                    list,
                    random.pick(&[ConsentGranularity::Whole, ConsentGranularity::Parts]),
                );
                let (acting, dee) = (self.as_(who), id("dee"));
                let done =
                    self.run(async |tx| propose(tx, self.context(), &acting, &dee, new).await);
                (who, "proposes", Some(done.await))
            }
            _ => {
                let open = situation
                    .waiting
                    .iter()
                    .rfind(|(proposal, _)| proposal.state == ProposalState::Open);
                let (proposal, consents) = match open {
                    Some(open) if random.roll(6) > 0 => open.clone(),
                    Some(_) | None => random.pick(&situation.waiting),
                };
                if proposal.state == ProposalState::Draft {
                    return self.any_start(random, situation.now(), Some(proposal.id)).await;
                }
                self.any_reply(random, situation.now(), &proposal, &consents).await
            }
        }
    }

    /// Advances the clock to where a change could start if silence counted as a yes.
    async fn rest(
        &self,
        random: &mut SeededRandom,
        situation: &BudgetSituation,
    ) -> Option<Result<ProposalProgress, UseCaseError>> {
        let cools = situation.waiting.iter().map(|(proposal, _)| proposal.not_before);
        let cools = cools.filter(|at| *at > self.now()).min().filter(|_| random.roll(4) > 0);
        match cools {
            Some(until) => self.world.set_time(&until.to_string()),
            None => self.world.advance_clock((random.pick(&[1, 26, 80, 200])).hours()),
        }
        self.world.upkeep().await;
        None
    }

    async fn any_pause(
        &self,
        random: &mut SeededRandom,
        situation: &BudgetSituation,
    ) -> MoveResult {
        let who = random.pick(&["amina", "ruth", "ruth", "dee", "dora", "ben", "amina-manages"]);
        let (acting, dee) = (self.as_(who), id("dee"));
        let is_on = |pause: &&Pause| pause.over_at() > self.now();
        if let Some(on) = situation.pauses.iter().find(is_on)
            && random.roll(2) == 0
        {
            let id: PauseId = on.id;
            let done = self.run(async |tx| lift(tx, self.context(), &acting, &dee, id).await).await;
            return (who, if done.is_ok() { "lifts" } else { "may not lift" }, None);
        }
        let hours = random.pick(&[0, 1, 30, 168, 169]);
        let pausing = PauseRequest {
            reason: "Someone has your PIN.".to_owned(),
            talk: self.talk("dee").await,
            until: self.now().checked_add(hours.hours()).unwrap(),
        };
        let done =
            self.run(async |tx| pause(tx, self.context(), &acting, &dee, pausing).await).await;
        (who, if done.is_ok() { "pauses" } else { "may not pause" }, None)
    }

    /// Starts a draft, adopts one, or records a list that a law forces.
    async fn any_start(
        &self,
        random: &mut SeededRandom,
        now: &Agreement,
        known: Option<ProposalId>,
    ) -> MoveResult {
        let who = random.anybody();
        let (acting, dee) = (self.as_(who), id("dee"));
        if let Some(known) = known {
            let (parts, session) = (ConsentGranularity::Whole, a_session());
            let done = self.run(async |tx| {
                adopt_draft(tx, self.context(), &acting, &dee, known, parts, session).await
            });
            return (who, "takes up", Some(done.await));
        }
        if random.roll(4) == 0 {
            let list = random.list(&now.list());
            let new = DraftRequest { list, words: "An idea.".to_owned() };
            let done =
                self.run(async |tx| draft(tx, self.context(), &acting, &dee, new).await).await;
            return (who, if done.is_ok() { "drafts" } else { "may not draft" }, None);
        }
        let list = if random.roll(4) > 0 {
            random.stricter(&now.list())
        } else {
            random.list(&now.list())
        };
        let new = forcing(list);
        let done =
            self.run(async |tx| record_law(tx, self.context(), &acting, &dee, new).await).await;
        (who, "forces", Some(done))
    }

    async fn any_reply(
        &self,
        random: &mut SeededRandom,
        now: &Agreement,
        proposal: &Proposal,
        consents: &[Consent],
    ) -> MoveResult {
        let (who, reply) = random.reply(proposal, consents);
        let (acting, dee, id) = (self.as_(who), id("dee"), proposal.id);
        let keys = changes(&now.list(), &proposal.list, built_in()).into_iter().map(|c| c.key);
        let some = proposal.parts == ConsentGranularity::Parts && random.roll(2) == 0;
        let parts = some.then(|| keys.filter(|_| random.roll(3) > 0).collect());
        let (context, session) = (self.context(), a_session());
        let list = random.list(&now.list());
        let done = self.run(async |tx| {
            let change = match reply {
                ProposalReply::Yes => {
                    let yes = ProposalAnswerRequest { parts, ..answering(ConsentAnswer::Yes) };
                    ProposalChange::Answer(yes)
                }
                ProposalReply::No => ProposalChange::Answer(answering(ConsentAnswer::No)),
                ProposalReply::Counter => {
                    let new = proposing(list, ConsentGranularity::Whole);
                    return counter_propose(tx, context, &acting, &dee, id, new).await;
                }
                ProposalReply::WriteDown => ProposalChange::RecordInPersonYes { parts, session },
                ProposalReply::Confirm => ProposalChange::Confirm,
                ProposalReply::Withdraw => ProposalChange::Withdraw,
            };
            change_proposal(tx, context, &acting, &dee, id, change).await
        });
        (who, reply.word(), Some(done.await))
    }

    /// Checks a version that has just started, with logic independent of the gateway's.
    async fn check_start(
        &self,
        situation: &BudgetSituation,
        proposal: ProposalId,
        who: &str,
        place: &str,
    ) -> ProposalKind {
        let [.., before, after] = situation.versions.as_slice() else { panic!("{place}") };
        let (before, after) = (before.agreement.list(), &after.agreement);
        let (proposal, consents) = self.read(proposal).await;
        assert!(
            consents.iter().all(|c| c.said == ConsentAnswer::Yes),
            "over somebody's no: {place}"
        );
        let earlier = self.said_before(proposal.id).await;
        let every = consents.iter().chain(&earlier).filter(|c| c.is_yes());
        for parts in every.filter_map(|consent| consent.parts.as_ref()) {
            let changed = changes(&before, &after.list(), built_in());
            let more: Vec<_> = changed.iter().filter(|c| !parts.contains(&c.key)).collect();
            assert!(more.is_empty(), "somebody never said yes to {more:?}: {place}");
        }
        assert_eq!(proposal.version, Some(after.version), "{place}");
        let is_yes = |c: &&Consent| c.said == ConsentAnswer::Yes && c.confirmed_at.is_some();
        let mut yes: Vec<&Consent> = consents.iter().filter(is_yes).collect();
        yes.sort_by_key(|consent| consent.side);
        let sides: Vec<_> = yes.iter().map(|consent| consent.side).collect();
        let mut humans: Vec<_> = yes.iter().map(|consent| consent.human.as_str()).collect();
        humans.sort_unstable();
        humans.dedup();
        assert_eq!(humans.len(), yes.len(), "one human being for two sides: {place}");
        assert!(yes.iter().any(|c| c.member.as_str() == who), "by nobody's word: {place}");
        assert!(!after.how.is_empty() && !after.agreed_by.is_empty(), "{place}");
        let list = after.list();
        assert_ne!(list, before, "{place}");
        let loosened: Vec<_> = PurchaseProbe::all()
            .into_iter()
            .filter(|p| p.is_paid(&list) && !p.is_paid(&before))
            .collect();
        if proposal.kind == ProposalKind::Law {
            assert!(loosened.is_empty(), "a law loosened {loosened:?}: {place}");
            assert_eq!(sides, [ConsentSide::Worker, ConsentSide::Manager], "{place}");
            assert!(self.told("dee", "person").await.iter().any(|(kind, _)| kind == "list-forced"));
            return ProposalKind::Law;
        }
        let person = yes.iter().find(|c| c.side == ConsentSide::Person);
        let person = person.unwrap_or_else(|| panic!("without the person: {place}"));
        assert_eq!(person.human.as_str(), "dee", "{place}");
        for probe in &loosened {
            let days = i32::try_from(probe.cooling_days(&before)).unwrap();
            let from = person.said_at.checked_add(SignedDuration::from_hours(i64::from(days) * 24));
            let again = person.confirmed_at.unwrap();
            assert!(from.unwrap() <= again && again <= self.now(), "{probe:?} by silence: {place}");
        }
        if !sides.contains(&ConsentSide::Worker) {
            assert_eq!(who, "dee", "the person's own, by somebody else: {place}");
            let agreed = situation.agreed_together();
            let stolen = loosened.iter().find(|probe| !probe.is_the_persons(&agreed));
            assert_eq!(stolen, None, "loosened with one yes: {before:?} {agreed:?} {place}");
            assert!(!list.partial || before.partial || agreed.partial, "{place}");
            for term in &list.terms {
                let known = before.term(term.scope());
                assert!(known.is_none_or(|known| known.decides() == term.decides()), "{place}");
            }
        }
        proposal.kind
    }

    /// A card is paused exactly while a pause is active, to the second: in its row, and for
    /// authorisations.
    async fn check_pauses(
        &self,
        situation: &BudgetSituation,
        step: usize,
        name: &str,
        place: &str,
    ) {
        let now = self.now();
        let is_on = |pause: &&Pause| {
            let end: Timestamp = pause.lifted_at.unwrap_or(pause.ends_at).min(pause.ends_at);
            pause.begins_at <= now && now < end
        };
        let on: Vec<_> = situation.pauses.iter().filter(is_on).collect();
        assert!(on.len() < 2, "{place}");
        assert!(on.iter().all(|p| p.ends_at.duration_since(p.begins_at) <= PAUSE_MAX), "{place}");
        let is_frozen = situation.cards.contains(&CardState::FrozenByStaff);
        assert_eq!(is_frozen, !on.is_empty(), "{on:?}: {place}");
        if step.is_multiple_of(4) {
            let answer = self.world.authorise(&purchase(name, 1)).await;
            assert_eq!(answer.reason() == "frozen_staff", is_frozen, "{answer:?}: {place}");
        }
    }

    /// Every ended proposal was ended by an answer, or has a notification that nobody answered.
    async fn check_ends(&self, started: &BTreeMap<&str, usize>) {
        let rows = |sql: &'static str| self.world.database.rows(sql);
        let refused = "SELECT p.proposal_id, COALESCE(c.human_id, '') \
                       FROM proposal p LEFT JOIN consent c \
                       ON c.programme_id = p.programme_id AND c.budget_id = p.budget_id \
                       AND c.proposal_id = p.proposal_id AND c.answer = 'no' \
                       WHERE p.state = 'refused'";
        for row in rows(refused).await {
            assert!(!row[1].is_empty(), "refused by nobody: {row:?}");
        }
        let restricts = "SELECT CAST(COUNT(*) AS TEXT) FROM term \
                         WHERE (answer <> 'yes' OR limits <> '') \
                         AND (COALESCE(reason, '') = '' OR review_on IS NULL)";
        assert_eq!(rows(restricts).await[0][0], "0", "a restriction without reason or review");
        let told = "SELECT CAST((SELECT COUNT(*) FROM message WHERE kind = 'pause-begun') - \
                    (SELECT COUNT(*) FROM pause) AS TEXT)";
        assert_eq!(rows(told).await[0][0], "0", "a pause that nobody was told of");
        // The run must contain a withdrawn yes, and a yes repeated for fewer parts.
        let changed = "SELECT CAST(COUNT(CASE WHEN c.answer = 'no' THEN 1 END) AS TEXT), \
                       CAST(COUNT(CASE WHEN c.answer = 'yes' AND c.parts IS NOT NULL \
                       AND c.parts <> COALESCE(r.parts, '') THEN 1 END) AS TEXT) \
                       FROM replaced_consent r JOIN consent c ON c.programme_id = r.programme_id \
                       AND c.budget_id = r.budget_id AND c.proposal_id = r.proposal_id \
                       AND c.side = r.side WHERE r.answer = 'yes' AND r.confirmed_at IS NOT NULL";
        let changed = &rows(changed).await[0];
        assert!(changed.iter().all(|count| count != "0"), "the story is too dull: {changed:?}");
        let ends = rows("SELECT DISTINCT state FROM proposal").await;
        for end in ["agreed", "countered", "refused", "run_out", "taken_up", "withdrawn"] {
            assert!(
                ends.iter().any(|row| row[0] == end),
                "nothing was {end}: {ends:?} {started:?}"
            );
        }
    }

    async fn said_before(&self, proposal: ProposalId) -> Vec<Consent> {
        let mut tx = self.store().snapshot().await.unwrap();
        let found = tx.replaced_consents(&riverside(), &budget("dee"), proposal).await.unwrap();
        tx.commit().await.unwrap();
        found
    }

    async fn read(&self, proposal: ProposalId) -> (Proposal, Vec<Consent>) {
        let mut tx = self.store().snapshot().await.unwrap();
        let currency = CURRENCY.parse().unwrap();
        let found = tx.proposal(&riverside(), &budget("dee"), proposal, currency).await;
        tx.commit().await.unwrap();
        found.unwrap().unwrap()
    }
}
