//! Sends authorisation requests, and compares the responses with the books.

use std::time::Duration;

use super::{Player, SentMessage, StepResult};
use crate::{
    answers::StripeResponse,
    books::{AuthorisationApproval, PurchaseReference, PurchaseTimes},
    client::GatewayEndpoint,
    issuers::stripe::{self, RequestOutcome},
    oracle::{AuthorisationRequest, ExpectedDecision},
    report::{MessageKind, ResponseOutcome, money},
    stories::PlannedPurchase,
};

impl Player<'_> {
    /// Requests an authorisation or an increment.
    pub(super) async fn request_authorisation(
        &mut self,
        number: usize,
        purchase: &PlannedPurchase,
        at: i64,
        amount_minor: i64,
        kind: MessageKind,
    ) -> anyhow::Result<StepResult> {
        let request = AuthorisationRequest {
            number,
            person: purchase.person,
            card: purchase.card.state,
            shop: purchase.shop,
            amount_minor,
            is_amount_controllable: purchase.is_amount_controllable,
            fee_minor: 0,
            is_foreign: false,
            bought_at: self.played(number, purchase, at).issuer_record.authorisation.created,
        };
        let expected = self.books.decide(&request, at);
        let connection = self.connection(purchase)?;
        let id = self.next_id("evt");
        let asked = &self.played(number, purchase, at).issuer_record.authorisation;
        let (object, request_number) = (asked.request(amount_minor), asked.history.len());
        let name = "issuing_authorization.request";
        let body = stripe::event(&id, name, &connection.api_version, at, &object, None).to_string();
        let (reply, latency) =
            self.client.post(connection, GatewayEndpoint::Authorisations, at, &body).await?;
        let mut broken = Vec::new();
        let response = StripeResponse::read(connection, reply.as_ref(), &mut broken);
        let answer = response.as_ref().map_or(ResponseOutcome::Unusable, |response| {
            response.answer(amount_minor, &self.books.currency)
        });
        broken.extend(describe_difference(
            &expected,
            answer,
            response.as_ref(),
            &request,
            &self.books.currency,
        ));
        if !matches!(expected, ExpectedDecision::Decline(_)) {
            self.report.count_agreed(answer == ResponseOutcome::NotPaid);
        }
        if latency > Duration::from_millis(connection.deadline_ms) {
            broken.push(format!("answered after {} ms", latency.as_millis()));
        }
        let approved_minor = answer.approved_minor(amount_minor);
        if let Some(person) = request.person.filter(|_| approved_minor > 0) {
            let allowed = self.books.permission_for(&request, at);
            let approval =
                AuthorisationApproval { request_number, amount_minor: approved_minor, allowed };
            let when = PurchaseTimes { received_at: at, bought_at: request.bought_at };
            let on = PurchaseReference { number, person, shop: purchase.shop, when };
            self.books.approve(on, approval);
        }
        let outcome = match answer {
            ResponseOutcome::Approved | ResponseOutcome::Partial(_) => RequestOutcome::Approved,
            ResponseOutcome::NotPaid => RequestOutcome::Declined,
            ResponseOutcome::Stored | ResponseOutcome::Unusable => RequestOutcome::Timeout,
        };
        let played = self.played(number, purchase, at);
        played.references.decision =
            response.as_ref().and_then(StripeResponse::decision).map(str::to_owned);
        played.issuer_record.answer(amount_minor, approved_minor, outcome, at);
        played.last_request =
            Some(SentMessage { body, amount_minor, reply: reply.map(|reply| reply.body) });
        let note = if approved_minor > 0 { self.pots(number) } else { String::new() };
        Ok(StepResult { kind, amount_minor, answer, response, latency, note, broken })
    }

    /// Sends the last request again. The response must be identical to the byte.
    pub(super) async fn repeat_authorisation(
        &mut self,
        number: usize,
        purchase: &PlannedPurchase,
        at: i64,
    ) -> anyhow::Result<Option<StepResult>> {
        let last = self.played.get(&number).and_then(|played| played.last_request.clone());
        let Some(last) = last else { return Ok(None) };
        let connection = self.connection(purchase)?;
        let (reply, latency) =
            self.client.post(connection, GatewayEndpoint::Authorisations, at, &last.body).await?;
        let mut broken = Vec::new();
        let response = StripeResponse::read(connection, reply.as_ref(), &mut broken);
        let answer = response.as_ref().map_or(ResponseOutcome::Unusable, |response| {
            response.answer(last.amount_minor, &self.books.currency)
        });
        let second = reply.map(|reply| reply.body);
        if second != last.reply {
            let was = last.reply.unwrap_or_default();
            broken.push(format!(
                "the same question was first answered {was}, then {}",
                second.unwrap_or_default()
            ));
        }
        Ok(Some(StepResult {
            kind: MessageKind::PurchaseAsked,
            amount_minor: last.amount_minor,
            answer,
            response,
            latency,
            note: "the answer had been lost".to_owned(),
            broken,
        }))
    }
}

/// How the response differs from the books' decision; `None` when it does not.
fn describe_difference(
    expected: &ExpectedDecision,
    answer: ResponseOutcome,
    response: Option<&StripeResponse>,
    request: &AuthorisationRequest,
    currency: &str,
) -> Option<String> {
    let reason = response.and_then(StripeResponse::reason);
    if expected.accepts(answer, reason) {
        let is_named = response.is_some_and(|response| response.decision().is_some());
        return (!is_named).then(|| "the answer does not name its decision".to_owned());
    }
    let wanted = match expected {
        ExpectedDecision::Approve => "approved".to_owned(),
        ExpectedDecision::Part(part) => format!("approved for {}", money(*part, currency)),
        ExpectedDecision::Decline(reasons) => {
            format!("not paid: {}", reasons.iter().copied().collect::<Vec<_>>().join(" or "))
        }
    };
    let got = match answer {
        ResponseOutcome::Approved => "approved".to_owned(),
        ResponseOutcome::Partial(part) => format!("approved for {}", money(part, currency)),
        ResponseOutcome::NotPaid => format!("not paid: {}", reason.unwrap_or("no reason told")),
        ResponseOutcome::Stored | ResponseOutcome::Unusable => "no usable answer".to_owned(),
    };
    let part = if request.is_amount_controllable { ", part of it is possible" } else { "" };
    Some(format!(
        "expected {wanted}, got {got} (asked {}{part})",
        money(request.amount_minor, currency)
    ))
}
