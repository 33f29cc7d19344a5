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
    let (mut letters, mut words, mut said) = (0, 0, 0);
    for (_, text) in all_news(&some_particular(&zone, "Amina", 12_00)) {
        assert!(text.ends_with('.') && !text.contains(['{', '\n', '!']), "{text}");
        for sentence in sentences(&text) {
            let length = sentence.split_whitespace().count();
            assert!(length <= 15, "{length} words: {sentence}");
            letters += sentence.chars().filter(|letter| letter.is_alphanumeric()).count();
            words += length;
            said += 1;
        }
        for word in text.to_lowercase().split(|letter: char| !letter.is_alphanumeric()) {
            assert!(!BANNED.iter().any(|banned| word.starts_with(banned)), "{word:?} in: {text}");
        }
        for word in text.split(|letter: char| !letter.is_alphanumeric()) {
            let shouts = word.len() > 2 && word.chars().all(|letter| letter.is_ascii_uppercase());
            assert!(!shouts || COMMANDS.contains(&word), "{word} in: {text}");
        }
    }
    let index = (471 * letters / words + 50 * words / said).saturating_sub(2143);
    assert!(index <= 500, "{index}");
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
        for word in text.to_lowercase().split(|letter: char| !letter.is_alphanumeric()) {
            assert!(!BANNED.iter().any(|banned| word.starts_with(banned)), "{word:?} in: {text}");
        }
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
