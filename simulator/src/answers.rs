//! The gateway's responses to authorisation requests, parsed as the issuer parses them.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    client::GatewayReply, currency, oracle::ExpectedDecision, programme::Connection,
    report::ResponseOutcome,
};

/// Stripe's view of the response to an authorisation request.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StripeResponse {
    approved: bool,
    amount: Option<i64>,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

impl StripeResponse {
    /// Parses a reply. Appends every violation of the protocol to `broken`.
    pub(crate) fn read(
        connection: &Connection,
        reply: Option<&GatewayReply>,
        broken: &mut Vec<String>,
    ) -> Option<Self> {
        let Some(reply) = reply else {
            broken.push("there was no answer".to_owned());
            return None;
        };
        if reply.api_version.as_deref() != Some(connection.api_version.as_str()) {
            broken.push(format!(
                "the stripe-version header is {:?}, and not {}",
                reply.api_version, connection.api_version
            ));
        }
        if reply.status != 200 {
            broken.push(format!("answered {}: {}", reply.status, reply.body));
            return None;
        }
        serde_json::from_str(&reply.body)
            .inspect_err(|error| broken.push(format!("{error} in the answer {}", reply.body)))
            .ok()
    }

    /// The outcome for a request of `asked_minor` minor units of `currency`.
    pub(crate) fn answer(&self, asked_minor: i64, currency: &str) -> ResponseOutcome {
        match (self.approved, self.amount.map(|theirs| currency::from_stripe(theirs, currency))) {
            (false, _) => ResponseOutcome::NotPaid,
            (true, Some(part)) if part != asked_minor => ResponseOutcome::Partial(part),
            (true, _) => ResponseOutcome::Approved,
        }
    }

    pub(crate) fn reason(&self) -> Option<&str> {
        self.metadata.get("reason").map(String::as_str)
    }

    /// The gateway's identifier of its decision.
    pub(crate) fn decision(&self) -> Option<&str> {
        self.metadata.get("decision").map(String::as_str)
    }
}

impl ExpectedDecision {
    /// Whether the answer matches the expectation. A decline may give any one of the expected
    /// reasons.
    pub(crate) fn accepts(&self, answer: ResponseOutcome, reason: Option<&str>) -> bool {
        match (self, answer) {
            (Self::Approve, ResponseOutcome::Approved) => true,
            (Self::Part(ours), ResponseOutcome::Partial(theirs)) => *ours == theirs,
            (Self::Decline(reasons), ResponseOutcome::NotPaid) => {
                reason.is_some_and(|reason| reasons.contains(reason))
            }
            (Self::Approve | Self::Part(_) | Self::Decline(_), _) => false,
        }
    }

    /// The approved amount of a request for `asked_minor`, in minor units.
    pub(crate) fn approved_minor(&self, asked_minor: i64) -> i64 {
        match self {
            Self::Approve => asked_minor,
            Self::Part(part) => *part,
            Self::Decline(_) => 0,
        }
    }
}

impl ResponseOutcome {
    /// The amount that the issuer may hold for a request of `asked_minor`, in minor units.
    pub(crate) fn approved_minor(self, asked_minor: i64) -> i64 {
        match self {
            Self::Approved => asked_minor,
            Self::Partial(part) => part,
            Self::NotPaid | Self::Stored | Self::Unusable => 0,
        }
    }
}
