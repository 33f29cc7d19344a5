//! Properties of every ask and every appeal over random values, without a clock or a database.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;
use sayso::domain::agreement::Scope;
use sayso::domain::ask::appeal;
use sayso::domain::ask::appeal::{
    Appeal, AppealFinding, AppealState, InterimGrant, InterimLimits, InterimMeasure, interim_cap,
};
use sayso::domain::ask::clock::{AskClock, OverdueStep, StaffAvailability};
use sayso::domain::ask::permission::{Grantor, Permission};
use sayso::domain::ask::{
    ActorIdentity, Ask, AskAnswer, AskKind, AskRefusalReason, AskReply, AskReplySubmission,
    AskReview, AskState, EscalationStep, GrantScope, PERMISSION_LIFETIME_MAX, Urgency,
};
use sayso::domain::id::{AppealId, AskId, PermissionId};
use sayso::domain::money::Money;
use sayso::domain::time::working_time::{WorkingHours, WorkingTime};

fn gbp(minor: i64) -> Money {
    Money::from_minor(minor, "GBP".parse().unwrap())
}

fn at(hours: i64) -> Timestamp {
    let monday: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
    monday + SignedDuration::from_hours(hours)
}

/// An account of one of three human beings. One of them has two accounts.
fn somebody() -> impl Strategy<Value = ActorIdentity> {
    let member = select(vec!["dee", "dee-works", "amina", "ruth"]);
    member.prop_map(|member| ActorIdentity {
        member: member.parse().unwrap(),
        human: member.split('-').next().unwrap().parse().unwrap(),
    })
}

fn any_ask() -> impl Strategy<Value = Ask> {
    let state = select(AskState::ALL.to_vec());
    let step = select(vec![EscalationStep::Worker, EscalationStep::Cover, EscalationStep::Manager]);
    let urgency = select(Urgency::ALL.to_vec());
    let looked = (any::<bool>(), somebody());
    let values = (somebody(), state, step, urgency, 1..500_00_i64, 1..100_i64, looked);
    values.prop_map(|(asked, state, step, urgency, amount, hours, (is_to_look_at, by))| {
        let is_open = matches!(state, AskState::Sent | AskState::Seen | AskState::TalkFirst);
        let answer = AskAnswer {
            by: Some(by),
            at: at(1),
            reason: None,
            words: None,
            up_to: None,
            scope: None,
            ends_at: None,
            permission: None,
            review_on: is_to_look_at.then_some(jiff::civil::date(2026, 11, 24)),
            review: None,
        };
        Ask {
            id: AskId::new(uuid::Uuid::nil()),
            budget: "dee".parse().unwrap(),
            kind: AskKind::OneTime,
            scope: Scope::EverythingElse,
            category: None,
            place: None,
            amount: gbp(amount),
            decision: None,
            refused_for: None,
            words: None,
            urgency,
            asked,
            asked_at: at(0),
            state,
            step: if is_open { step } else { EscalationStep::Decided },
            answer_by: at(hours.min(3)),
            decide_by: at(hours),
            answer: (!is_open).then_some(answer),
        }
    })
}

fn any_reply() -> impl Strategy<Value = AskReply> {
    let sum = prop_oneof![Just(None), (-5_00..600_00_i64).prop_map(|minor| Some(gbp(minor)))];
    let ends = prop_oneof![Just(None), (-10..1000_i64).prop_map(|hours| Some(at(hours)))];
    let reach = select(vec![GrantScope::Place, GrantScope::Group]);
    prop_oneof![
        (sum, reach, ends).prop_map(|(up_to, reach, ends_at)| AskReply::Yes {
            up_to,
            reach,
            ends_at
        }),
        select(AskRefusalReason::ALL.to_vec()).prop_map(AskReply::NotThisTime),
        (-10..120_i64).prop_map(|hours| AskReply::TalkFirst { by: at(hours) }),
    ]
}

/// A move of somebody who collects interim permissions.
#[derive(Debug, Clone, Copy)]
enum InterimMove {
    Appeal,
    Answer,
    Buy,
    Rest(i64),
}

fn any_interim_move() -> impl Strategy<Value = (Scope, i64, InterimMove)> {
    let scopes = ["category:food", "category:phone", "code:5541"];
    let scope = select(scopes.map(|scope| scope.parse::<Scope>().unwrap()).to_vec());
    let what = prop_oneof![
        4 => Just(InterimMove::Appeal),
        2 => Just(InterimMove::Buy),
        2 => Just(InterimMove::Answer),
        2 => (1..40_i64).prop_map(InterimMove::Rest),
    ];
    (scope, 1..60_00_i64, what)
}

/// An interim permission for a day.
fn an_interim(scope: Scope, cap: Money, hours: i64) -> Permission {
    let id = PermissionId::new(uuid::Uuid::nil());
    let (given_at, ends_at) = (at(hours), at(hours + 24));
    let (grantor, uses) = (Grantor::Programme, None);
    Permission { id, scope, cap, uses_left: 1, given_at, ends_at, grantor, uses }
}

proptest! {
    #[test]
    fn nobody_answers_their_own_and_no_no_is_without_a_reason_and_a_name(
        ask in any_ask(), by in somebody(), reply in any_reply(), hours in 0..200_i64,
        cooling_days in proptest::option::of(0..30_u32), another in any_reply(),
    ) {
        let given = AskReplySubmission {
            by: by.clone(),
            reply: &reply,
            words: None,
            at: at(hours),
            permission: PermissionId::new(uuid::Uuid::nil()),
            cooling_days,
            review_on: None,
        };
        let Ok((after, permission)) = ask.answered(&given) else { return Ok(()) };
        prop_assert!(after.is_same_answer(&given), "sent twice, it counts once");
        let permission_id = PermissionId::new(uuid::Uuid::max());
        let later =
            AskReplySubmission { at: at(hours + 5), permission: permission_id, ..given.clone() };
        prop_assert!(after.is_same_answer(&later), "whenever it is sent again");
        let told = AskReplySubmission { words: Some("Other words.".to_owned()), ..given.clone() };
        prop_assert!(!after.is_same_answer(&told));
        let other = if by.member.as_str() == "ruth" { "amina" } else { "ruth" };
        let other = ActorIdentity { member: other.parse().unwrap(), human: other.parse().unwrap() };
        let by_another = AskReplySubmission { by: other, ..given.clone() };
        prop_assert!(!after.is_same_answer(&by_another));
        // Another reply counts as the same only if it has exactly the same effect.
        let another = AskReplySubmission { reply: &another, ..given.clone() };
        if after.is_same_answer(&another) {
            let (same, as_much) = ask.answered(&another).unwrap();
            prop_assert_eq!(&same, &after);
            prop_assert_eq!(as_much, permission.clone());
        }
        prop_assert!(ask.is_open(), "what is decided stays decided");
        prop_assert_ne!(&by.human, &ask.asked.human);
        let answer = after.answer.as_ref().unwrap();
        prop_assert_eq!(answer.by.as_ref(), Some(&by));
        prop_assert_eq!(answer.reason.is_some(), after.state == AskState::NotThisTime);
        prop_assert_eq!(after.is_open(), after.state == AskState::TalkFirst);
        if after.is_open() {
            prop_assert!(after.answer_by > at(hours) && after.answer_by <= after.decide_by);
        }
        let is_yes = matches!(after.state, AskState::Yes | AskState::YesLess);
        prop_assert_eq!(permission.is_some(), is_yes);
        if let Some(permission) = permission {
            let cooled = SignedDuration::from_hours(24 * i64::from(cooling_days.unwrap_or(0)));
            prop_assert!(permission.cap.is_positive());
            prop_assert!(permission.cap.minor() <= ask.amount.minor());
            prop_assert!(permission.ends_at > at(hours) + cooled);
            prop_assert!(permission.ends_at <= at(hours) + cooled + PERMISSION_LIFETIME_MAX);
        }
    }

    #[test]
    fn nobody_looks_at_their_own_yes_and_a_look_changes_nothing_else(
        ask in any_ask(), by in somebody(),
    ) {
        let look = |hours| AskReview { by: by.clone(), at: at(hours), words: None };
        let Ok(after) = ask.with_review(look(50)) else { return Ok(()) };
        let answer = ask.answer.clone().unwrap();
        prop_assert_ne!(&by.human, &ask.asked.human);
        prop_assert_ne!(&by.human, &answer.by.as_ref().unwrap().human);
        prop_assert!(answer.review_on.is_some());
        let unlooked = AskAnswer { review: None, ..after.answer.clone().unwrap() };
        prop_assert_eq!(&Ask { answer: Some(unlooked), ..after.clone() }, &ask);
        prop_assert!(after.with_review(look(51)).is_err(), "once");
    }

    #[test]
    fn whoever_decided_or_wants_it_does_not_look_again(
        decided in somebody(), opened in somebody(), by in somebody(), words in "[ a-z]{0,4}",
        next_step in proptest::option::of("[ a-z]{0,4}"),
        state in select(AppealState::ALL.to_vec()),
    ) {
        let appeal = Appeal {
            id: AppealId::new(uuid::Uuid::nil()),
            budget: "dee".parse().unwrap(),
            about: appeal::AppealSubject::Ask(AskId::new(uuid::Uuid::nil())),
            decided_by: [decided.human.clone()].into(),
            words: None,
            opened: opened.clone(),
            opened_at: at(0),
            interim: InterimMeasure::AsItWas,
            permission: None,
            answer_by: at(3),
            state,
            outcome: None,
        };
        let finding = match &next_step {
            Some(next_step) => AppealFinding::Kept { next_step },
            None => AppealFinding::Changed,
        };
        let Ok(after) = appeal.answered(&by, finding, &words, at(1), None) else { return Ok(()) };
        prop_assert!(appeal.is_open() && !after.is_open());
        prop_assert!(by.human != decided.human && by.human != opened.human);
        let outcome = after.outcome.unwrap();
        prop_assert!(!outcome.words.trim().is_empty());
        let has_next_step = outcome.next_step.is_some_and(|step| !step.trim().is_empty());
        prop_assert_eq!(has_next_step, after.state == AppealState::Kept);
    }

    #[test]
    fn yeses_for_now_never_add_up_beyond_what_they_may(
        moves in proptest::collection::vec(any_interim_move(), 1..60),
        each in 0..40_00_i64, all in 0..80_00_i64,
    ) {
        let limits = InterimLimits { each: gbp(each), all: gbp(all) };
        let mut now = 0;
        let mut yeses: Vec<InterimGrant> = Vec::new();
        // Times and amounts of the purchases made with interim permissions.
        let mut bought: Vec<(i64, i64)> = Vec::new();
        for (scope, amount, what) in moves {
            match what {
                InterimMove::Rest(hours) => now += hours,
                InterimMove::Buy => {
                    let live = yeses.iter_mut().filter_map(|yes| yes.permission.as_mut());
                    if let Some(used) = live.into_iter().find(|p| p.is_live(at(now))) {
                        used.uses_left = 0;
                        bought.push((now, used.cap.minor()));
                    }
                }
                InterimMove::Answer => {
                    if let Some(yes) = yeses.iter_mut().find(|yes| yes.is_waiting) {
                        yes.is_waiting = false;
                        let permission = yes.permission.as_mut().unwrap();
                        permission.ends_at = permission.ends_at.min(at(now));
                    }
                }
                InterimMove::Appeal => {
                    let cap = interim_cap(&scope, gbp(amount), &yeses, limits, at(now)).unwrap();
                    let Some(cap) = cap else { continue };
                    prop_assert!(cap.is_positive() && cap.minor() <= amount.min(each));
                    yeses.push(InterimGrant {
                        is_waiting: true,
                        permission: Some(an_interim(scope, cap, now)),
                        given_at: at(now),
                    });
                }
            }
            let open: Vec<_> = yeses
                .iter()
                .filter(|yes| yes.permission.as_ref().unwrap().is_live(at(now)))
                .map(|yes| yes.permission.clone().unwrap())
                .collect();
            for (place, one) in open.iter().enumerate() {
                let twice = open.iter().skip(place + 1).any(|other| other.scope == one.scope);
                prop_assert!(!twice, "two for {}", one.scope);
            }
            let can_buy: i64 = open.iter().map(|permission| permission.cap.minor()).sum();
            let lately = |(when, _): &&(i64, i64)| now - *when < 24 * 6;
            let has_bought: i64 = bought.iter().filter(lately).map(|(_, sum)| sum).sum();
            prop_assert!(can_buy + has_bought <= all, "{can_buy} and {has_bought} of {all}");
        }
    }

    #[test]
    fn silence_is_a_yes_only_after_the_last_step_and_only_where_it_may_be(
        ask in any_ask(), now in 0..200_i64, most in 0..500_00_i64, is_barred: bool,
        cooling_days in proptest::option::of(0..30_u32), worker_is_away: bool, on_duty: bool,
    ) {
        let zone = TimeZone::get("Europe/London").unwrap();
        let hours = WorkingHours::default();
        let clock = AskClock {
            working: WorkingTime { hours: &hours, zone: &zone },
            answer_within: SignedDuration::from_hours(3),
        };
        let cover = StaffAvailability { worker_is_away, has_duty_cover: on_duty };
        let may_be = ask.may_approve_on_timeout(gbp(most), cooling_days, is_barred);
        match clock.overdue_step(&ask, at(now), cover, may_be) {
            OverdueStep::ApproveOnTimeout => {
                prop_assert!(at(now) >= ask.decide_by && ask.step == EscalationStep::Manager);
                prop_assert!(ask.amount.minor() <= most);
                prop_assert!(cooling_days.is_none() && !is_barred);
                let id = PermissionId::new(uuid::Uuid::nil());
                let (after, permission) = ask.approve_on_timeout(at(now), id);
                prop_assert_eq!(after.answer.unwrap().by, None);
                prop_assert_eq!((permission.cap, permission.uses_left), (ask.amount, 1));
            }
            // Whatever follows, somebody has a deadline in the future.
            OverdueStep::Escalate { answer_by, step } => {
                prop_assert!(step != EscalationStep::Worker && step != EscalationStep::Decided);
                prop_assert!(answer_by > at(now), "{:?}", answer_by);
            }
            OverdueStep::Remind { answer_by } => prop_assert!(answer_by > at(now)),
        }
    }
}
