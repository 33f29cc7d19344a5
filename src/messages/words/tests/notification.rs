//! Tests of the texts about asks and appeals.

use super::*;
use crate::domain::ask::AskRefusalReason;

/// The text of every notification.
fn all_news(parameters: &NotificationParameters<'_>) -> Vec<(Notification, String)> {
    let notification = |notification: &Notification| {
        (*notification, Words::english().notification(*notification, parameters))
    };
    Notification::ALL.iter().map(notification).collect()
}

fn some_particular<'a>(
    zone: &'a TimeZone,
    name: &'a str,
    amount: i64,
) -> NotificationParameters<'a> {
    NotificationParameters {
        name: Some(name),
        assignee: Some(Assignee::Named(name)),
        at: Some("2026-09-30T11:45:00Z".parse().unwrap()),
        amount: Some(gbp(amount)),
        reason: Some(AskRefusalReason::Purpose),
        ..NotificationParameters::new(zone)
    }
}

#[test]
fn news_is_one_text_message_that_the_person_can_read() {
    let zone = london();
    let mut texts = Vec::new();
    for (_, text) in all_news(&some_particular(&zone, "Amina", 12_00)) {
        assert!(text.ends_with('.') && !text.contains(['{', '\n', '!']), "{text}");
        assert_plain(&text);
        assert_calm(&text, &[]);
        texts.push(text);
    }
    assert_readable(&texts);
    for name in ["Christopher-James Maximilienne", "أمينة"] {
        for (notification, text) in all_news(&some_particular(&zone, name, WORST)) {
            assert!(sms::fits(&text), "{notification:?}: {text}");
        }
    }
}

#[test]
fn signals_are_short_and_blame_nobody() {
    use crate::domain::people::signal::Signal;
    let since = "2026-09-30T11:45:00Z".parse().unwrap();
    for signal in [
        Signal::NotPaid { times: 12 },
        Signal::CashPressed { times: 3 },
        Signal::UnlikeBefore { this_week: gbp(WORST), most_before: gbp(WORST) },
        Signal::NotUsed { days: 30 },
        Signal::CardElsewhere { since },
    ] {
        let text = Words::english().signal(&signal, &london());
        assert!(text.ends_with('.') && !text.contains(['{', '\n', '!']), "{text}");
        for sentence in sentences(&text) {
            assert!(sentence.split_whitespace().count() <= 15, "{sentence}");
        }
        assert_plain(&text);
    }
}

#[test]
fn an_answer_is_told_with_who_how_much_and_until_when() {
    let zone = london();
    let dee = some_particular(&zone, "Amina", 85_00);
    let words = Words::english();
    for (notification, expected) in [
        (
            Notification::AskSent,
            "We asked Amina. You will hear by 12:45pm on Wed 30 September. \
             You do not need to do anything.",
        ),
        (
            Notification::AskYes,
            "Amina said yes. You can spend up to £85. \
             It works one time, until 12:45pm on Wed 30 September. Try your card again.",
        ),
        (
            Notification::AskNotThisTime,
            "Amina said not this time. Your money here is for other things. \
             Reply LOOK to have someone else look at it.",
        ),
        (Notification::WorkerWaiting, "One person is waiting, until 12:45pm on Wed 30 September."),
    ] {
        assert_eq!(words.notification(notification, &dee), expected);
    }
    let said = NotificationParameters { words: Some("Ask me about the second-hand one."), ..dee };
    assert_eq!(
        words.notification(Notification::AskNotThisTime, &said),
        "Amina said not this time. Your money here is for other things. Reply LOOK to have \
         someone else look at it. They said: Ask me about the second-hand one."
    );
    let manager = NotificationParameters { assignee: Some(Assignee::Manager), ..dee };
    assert!(
        words.notification(Notification::AskLate, &manager).contains("We asked our manager now.")
    );
}
