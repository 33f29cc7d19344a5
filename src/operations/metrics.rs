//! The metrics of the process, under names that other systems may rely on. No label holds data
//! about a person or a shop: every value of every label is known in advance.

use std::sync::LazyLock;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::domain::purchase::presentment::{EventBody, IssuerEvent};
use crate::issuers::{AuthorisationResponse, Verdict};

const DECISIONS: &str = "sayso_decisions_total";
const DECISION_SECONDS: &str = "sayso_decision_seconds";
const REFUSED: &str = "sayso_messages_refused_total";
const EVENTS: &str = "sayso_events_total";
const OUR_FAULT: &str = "sayso_our_fault_total";
const CONFLICTS: &str = "sayso_conflicts_total";
const RETRIES: &str = "sayso_retries_total";
const WITHDRAWALS: &str = "sayso_withdrawals_total";
const WITHDRAWALS_FAILED: &str = "sayso_withdrawals_failed_total";
const BREAKER: &str = "sayso_breaker_state";
const MARK_FAILURES: &str = "sayso_mark_failures_total";
const LOG_LINES_LOST: &str = "sayso_log_lines_lost_total";
const QUEUE_DEPTH: &str = "sayso_queue_depth";
const UPKEEP_FAILED: &str = "sayso_upkeep_failed_total";

/// Bucket bounds of the histogram of response times, in seconds. Closely spaced up to two seconds,
/// the time limit of issuers.
const BUCKETS_S: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 0.75, 1.0, 1.3, 1.6, 2.0, 3.0];

/// The one recorder of the process, installed on first use.
static RECORDER: LazyLock<PrometheusHandle> = LazyLock::new(|| {
    let buckets = Matcher::Full(DECISION_SECONDS.to_owned());
    let builder = PrometheusBuilder::new();
    let builder = builder.set_buckets_for_metric(buckets, &BUCKETS_S);
    // Only an empty list of buckets is refused, and this one is not empty.
    let recorder = builder.unwrap_or_else(|_| PrometheusBuilder::new()).build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::warn!("another recorder of metrics was there first; /metrics stays empty");
    }
    describe();
    handle
});

fn describe() {
    describe_counter!(DECISIONS, "Responses to authorisation requests, by outcome and reason.");
    describe_histogram!(
        DECISION_SECONDS,
        metrics::Unit::Seconds,
        "Time from the arrival of an authorisation request to its response."
    );
    describe_counter!(REFUSED, "Messages that were refused, by why.");
    describe_counter!(EVENTS, "Issuer events that were stored, by kind.");
    describe_counter!(
        OUR_FAULT,
        "Authorisation requests that were not decided or recorded in time, by why."
    );
    describe_counter!(CONFLICTS, "References that were sent again with other content.");
    describe_counter!(RETRIES, "Transactions that were retried after a conflict or an outage.");
    describe_counter!(
        WITHDRAWALS,
        "Approvals that were withdrawn because the issuer did not receive them."
    );
    describe_counter!(WITHDRAWALS_FAILED, "Withdrawals that could not be written and are retried.");
    describe_gauge!(BREAKER, "0: closed. 1: half-open. 2: open.");
    describe_counter!(MARK_FAILURES, "Failed writes of the mark beside the database.");
    describe_counter!(LOG_LINES_LOST, "Log lines that were dropped because the queue was full.");
    describe_gauge!(QUEUE_DEPTH, "Authorisation requests that wait for a lane.");
    describe_counter!(
        UPKEEP_FAILED,
        "Due rows that upkeep could not process; the next round retries."
    );
}

/// Installs the recorder. Counts made before this call are lost.
pub fn start() {
    LazyLock::force(&RECORDER);
}

/// Every metric in the text format of Prometheus. `queued` is the current depth of the queue.
pub fn render(queued: usize) -> String {
    gauge!(QUEUE_DEPTH).set(f64::from(u32::try_from(queued).unwrap_or(u32::MAX)));
    RECORDER.render()
}

/// Moves new samples into their histograms. To be called every few seconds.
pub fn run_upkeep() {
    RECORDER.run_upkeep();
}

/// Counts an authorisation response, and records that it took `took`.
pub fn record_answer(response: &AuthorisationResponse, took: Duration) {
    let (outcome, reason) = match response.verdict {
        Verdict::Approved { amount, asked } if amount.minor() < asked.minor() => ("part", "none"),
        Verdict::Approved { .. } => ("approved", "none"),
        Verdict::Declined { reason } => ("declined", reason.as_str()),
    };
    counter!(DECISIONS, "outcome" => outcome, "reason" => reason).increment(1);
    histogram!(DECISION_SECONDS).record(took);
}

/// Counts a message that was refused. `why` must be one of a fixed set of words.
pub fn record_refusal(why: &'static str) {
    counter!(REFUSED, "why" => why).increment(1);
}

/// Counts an issuer event that was stored.
pub fn record_event(event: &IssuerEvent) {
    let kind = match &event.body {
        EventBody::Snapshot(_) => "standing",
        EventBody::HoldChange(_) => "hold_change",
        EventBody::Presentment(presentment) => presentment.direction.word(),
        EventBody::Dispute(_) => "dispute",
        EventBody::Unclear { .. } => "unclear",
        EventBody::Other => "other",
    };
    counter!(EVENTS, "kind" => kind).increment(1);
}
