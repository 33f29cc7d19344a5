//! Questions that need a decision: asked, and their answers held against the books.

use std::time::Duration;

use super::{Came, Player, Sent};
use crate::{
    answers::Told,
    books::{Promise, When},
    client::Door,
    issuers::stripe::{self, Reached},
    oracle::{Question, Verdict},
    report::{Answer, Kind, money},
    stories::Planned,
};

impl Player<'_> {
    /// Asks for a purchase or an increment of one.
    pub(super) async fn ask(
        &mut self,
        number: usize,
        purchase: &Planned,
        at: i64,
        amount_minor: i64,
        kind: Kind,
    ) -> anyhow::Result<Came> {
        let question = Question {
            number,
            person: purchase.person,
            card: purchase.card.state,
            shop: purchase.shop,
            amount_minor,
            is_amount_controllable: purchase.is_amount_controllable,
            fee_minor: 0,
            is_foreign: false,
            bought_at: self.played(number, purchase, at).file.authorisation.created,
        };
        let verdict = self.books.judge(&question, at);
        let connection = self.connection(purchase)?;
        let id = self.next_id("evt");
        let asked = &self.played(number, purchase, at).file.authorisation;
        let (object, question_number) = (asked.request(amount_minor), asked.history.len());
        let name = "issuing_authorization.request";
        let body = stripe::event(&id, name, &connection.api_version, at, &object, None).to_string();
        let (reply, latency) =
            self.client.post(connection, Door::Authorisations, at, &body).await?;
        let mut broken = Vec::new();
        let told = Told::read(connection, reply.as_ref(), &mut broken);
        let answer = told
            .as_ref()
            .map_or(Answer::Unusable, |told| told.answer(amount_minor, &self.books.currency));
        broken.extend(differs(&verdict, answer, told.as_ref(), &question, &self.books.currency));
        if !matches!(verdict, Verdict::Decline(_)) {
            self.report.count_agreed(answer == Answer::NotPaid);
        }
        if latency > Duration::from_millis(connection.deadline_ms) {
            broken.push(format!("answered after {} ms", latency.as_millis()));
        }
        let approved_minor = answer.approved_minor(amount_minor);
        if let Some(person) = question.person.filter(|_| approved_minor > 0) {
            let allowed = self.books.allowed_for(&question, at);
            let promise =
                Promise { question: question_number, amount_minor: approved_minor, allowed };
            let when = When { heard: at, bought: question.bought_at };
            self.books.approve(number, (person, purchase.shop), promise, when);
        }
        let outcome = match answer {
            Answer::Approved | Answer::Partial(_) => Reached::Approved,
            Answer::NotPaid => Reached::Declined,
            Answer::Stored | Answer::Unusable => Reached::Timeout,
        };
        let played = self.played(number, purchase, at);
        played.named.decision = told.as_ref().and_then(Told::decision).map(str::to_owned);
        played.file.answer(amount_minor, approved_minor, outcome, at);
        played.last_request =
            Some(Sent { body, amount_minor, reply: reply.map(|reply| reply.body) });
        let note = if approved_minor > 0 { self.pots(number) } else { String::new() };
        Ok(Came { kind, amount_minor, answer, told, latency, note, broken })
    }

    /// Asks the very same question again: the answer must be the same to the byte.
    pub(super) async fn ask_again(
        &mut self,
        number: usize,
        purchase: &Planned,
        at: i64,
    ) -> anyhow::Result<Option<Came>> {
        let last = self.played.get(&number).and_then(|played| played.last_request.clone());
        let Some(last) = last else { return Ok(None) };
        let connection = self.connection(purchase)?;
        let (reply, latency) =
            self.client.post(connection, Door::Authorisations, at, &last.body).await?;
        let mut broken = Vec::new();
        let told = Told::read(connection, reply.as_ref(), &mut broken);
        let answer = told
            .as_ref()
            .map_or(Answer::Unusable, |told| told.answer(last.amount_minor, &self.books.currency));
        let second = reply.map(|reply| reply.body);
        if second != last.reply {
            let was = last.reply.unwrap_or_default();
            broken.push(format!(
                "the same question was first answered {was}, then {}",
                second.unwrap_or_default()
            ));
        }
        Ok(Some(Came {
            kind: Kind::PurchaseAsked,
            amount_minor: last.amount_minor,
            answer,
            told,
            latency,
            note: "the answer had been lost".to_owned(),
            broken,
        }))
    }
}

/// How the answer differs from the verdict of the books; none when it does not.
fn differs(
    verdict: &Verdict,
    answer: Answer,
    told: Option<&Told>,
    question: &Question,
    currency: &str,
) -> Option<String> {
    let reason = told.and_then(Told::reason);
    if verdict.allows(answer, reason) {
        let is_named = told.is_some_and(|told| told.decision().is_some());
        return (!is_named).then(|| "the answer does not name its decision".to_owned());
    }
    let wanted = match verdict {
        Verdict::Approve => "approved".to_owned(),
        Verdict::Part(part) => format!("approved for {}", money(*part, currency)),
        Verdict::Decline(reasons) => {
            format!("not paid: {}", reasons.iter().copied().collect::<Vec<_>>().join(" or "))
        }
    };
    let got = match answer {
        Answer::Approved => "approved".to_owned(),
        Answer::Partial(part) => format!("approved for {}", money(part, currency)),
        Answer::NotPaid => format!("not paid: {}", reason.unwrap_or("no reason told")),
        Answer::Stored | Answer::Unusable => "no usable answer".to_owned(),
    };
    let part = if question.is_amount_controllable { ", part of it is possible" } else { "" };
    Some(format!(
        "expected {wanted}, got {got} (asked {}{part})",
        money(question.amount_minor, currency)
    ))
}
