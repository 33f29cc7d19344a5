//! Answers: recorded at the issuer, compared with the recorded past, and reported.

use anyhow::Context as _;

use super::{PersonRunner, delivery::DeliveryResult, messages::OutgoingMessage};
use crate::{
    differences::Difference,
    issuers::stripe::RequestOutcome,
    oracle::ExpectedDecision,
    report::{ResponseOutcome, money},
    storm::plan::DeliveryMode,
};

impl PersonRunner {
    /// Compares the answer with the recorded outcome of a recorded purchase.
    pub(super) fn compare_with_past(&self, outgoing: &OutgoingMessage, result: &DeliveryResult) {
        let Some(life) = self.script.lives.get(outgoing.life) else { return };
        let Some(past) = life.past else { return };
        let is_approved = result.answer.approved_minor(outgoing.amount_minor) > 0;
        if result.answer != ResponseOutcome::Unusable && is_approved != past.was_approved {
            self.shared.differ(&Difference {
                line: past.line,
                shop: life.shop.name,
                amount_minor: outgoing.amount_minor,
                currency: &self.shared.programme.currency,
                was_approved: past.was_approved,
                answer: result.answer,
                reason: result.reason.as_deref(),
            });
        }
    }

    /// Records the response in the issuer's record. Without a usable response the issuer decides by
    /// itself and reports that.
    pub(super) async fn record_answer(
        &mut self,
        outgoing: &OutgoingMessage,
        result: &DeliveryResult,
    ) -> anyhow::Result<()> {
        let at = self.shared.now();
        let approves = self.life(outgoing.life)?.approves_without_us;
        let issuer_record =
            self.issuer_records.get_mut(&outgoing.life).context("a life without its file")?;
        let asked = outgoing.amount_minor;
        match result.answer {
            ResponseOutcome::Approved | ResponseOutcome::Partial(_)
                if result.is_answer_received =>
            {
                issuer_record.answer(
                    asked,
                    result.answer.approved_minor(asked),
                    RequestOutcome::Approved,
                    at,
                );
                return Ok(());
            }
            ResponseOutcome::NotPaid
                if result.is_answer_received && result.reason.as_deref() != Some("our_fault") =>
            {
                issuer_record.answer(asked, 0, RequestOutcome::Declined, at);
                return Ok(());
            }
            ResponseOutcome::Unusable if result.is_answer_received => {
                issuer_record.answer(asked, 0, RequestOutcome::Declined, at);
            }
            ResponseOutcome::Approved
            | ResponseOutcome::Partial(_)
            | ResponseOutcome::NotPaid
            | ResponseOutcome::Stored
            | ResponseOutcome::Unusable => {
                let stood_in = if approves {
                    (asked, RequestOutcome::StoodIn)
                } else {
                    (0, RequestOutcome::Timeout)
                };
                issuer_record.answer(asked, stood_in.0, stood_in.1, at);
            }
        }
        if let Some(message) = issuer_record.confirm(at) {
            let told = self.event(outgoing.life, message, DeliveryMode::Plain)?;
            Box::pin(self.send(vec![told])).await?;
        }
        Ok(())
    }

    /// Counts the answers, and reports what is wrong with them. `expected` are the decisions that
    /// no order of the messages explains.
    pub(super) fn report(
        &self,
        outgoing: &[OutgoingMessage],
        result: &[DeliveryResult],
        expected: Option<Vec<ExpectedDecision>>,
    ) {
        let mut what = Vec::new();
        for (outgoing, result) in outgoing.iter().zip(result) {
            let reason = result.reason.as_deref();
            self.shared.count(outgoing.kind, result.answer, reason, result.latency);
            for broken in &result.broken {
                what.push(format!("{}: {broken}", self.describe(outgoing)));
            }
        }
        if let Some(expected) = expected {
            let asked: Vec<_> = outgoing
                .iter()
                .zip(result)
                .map(|(outgoing, result)| {
                    let reason = result.reason.as_deref().unwrap_or_default();
                    let answer = describe_answer(result.answer);
                    format!("{} was answered {answer} {reason}", self.describe(outgoing))
                })
                .collect();
            what.push(format!(
                "no order explains it: {}; expected {}",
                asked.join(", and "),
                expected.iter().map(describe).collect::<Vec<_>>().join(", and ")
            ));
        }
        for what in what {
            self.shared.fail_step(format!("{}, move {}: {what}", self.name, self.moves_made));
        }
    }

    fn describe(&self, outgoing: &OutgoingMessage) -> String {
        let life = self.script.lives.get(outgoing.life);
        let authorisation = self
            .issuer_records
            .get(&outgoing.life)
            .map(|issuer_record| issuer_record.authorisation.id.as_str());
        let part = life.filter(|life| life.is_amount_controllable).map_or("", |_| " or part of it");
        format!(
            "{} of {}{part} at {} ({}, {})",
            outgoing.kind,
            money(outgoing.amount_minor, &self.shared.programme.currency),
            life.map_or("", |life| life.shop.name),
            life.map_or("", |life| life.story),
            authorisation.unwrap_or_default(),
        )
    }
}

/// Formats an answer like [`describe`] formats an expected decision, so that the two are
/// comparable.
fn describe_answer(answer: ResponseOutcome) -> String {
    match answer {
        ResponseOutcome::Partial(part) => format!("approved for {part}"),
        ResponseOutcome::Approved
        | ResponseOutcome::NotPaid
        | ResponseOutcome::Stored
        | ResponseOutcome::Unusable => answer.to_string(),
    }
}

fn describe(expected: &ExpectedDecision) -> String {
    match expected {
        ExpectedDecision::Approve => "approved".to_owned(),
        ExpectedDecision::Part(part) => format!("approved for {part}"),
        ExpectedDecision::Decline(reasons) => {
            format!("not paid: {}", reasons.iter().copied().collect::<Vec<_>>().join(" or "))
        }
    }
}
