//! Deadlines of asks: by when each escalation step answers, and what follows if it does not.
//!
//! An ask is answered within three working hours, an essential one on the same day. Otherwise it
//! escalates to covering staff, then to a manager, and it is decided within 72 hours. A programme
//! may promise less time, never more. An overdue ask escalates by itself; it never lapses, and
//! silence never refuses it.

use jiff::{SignedDuration, Timestamp};

use crate::domain::ask::{Ask, EscalationStep, Urgency};
use crate::domain::time::working_time::WorkingTime;

/// The longest answer time that a programme may promise, in working hours.
pub const ANSWER_HOURS_MAX: u32 = 3;
/// The final deadline of an ordinary ask, counted from when it was sent.
pub const DECISION_DEADLINE: SignedDuration = SignedDuration::from_hours(72);
/// The least time that all steps of an essential ask have together, because it may be sent just
/// before midnight.
const MIN_ESSENTIAL_TIME: SignedDuration = SignedDuration::from_hours(3);
/// The time that is reserved for each later step.
const MIN_STEP_TIME: SignedDuration = SignedDuration::from_hours(1);
/// The time that the manager has if their step begins after the final deadline.
const GRACE: SignedDuration = SignedDuration::from_mins(30);
/// The longest time between reminders of an overdue answer.
const REMINDER_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

/// The answer times that a programme promises, in its own working time.
#[derive(Debug, Clone, Copy)]
pub struct AskClock<'a> {
    pub working: WorkingTime<'a>,
    /// In working hours.
    pub answer_within: SignedDuration,
}

/// Who can answer in place of the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaffAvailability {
    /// The worker is away, and somebody covers for them.
    pub worker_is_away: bool,
    /// Somebody is on duty for the whole programme.
    pub has_duty_cover: bool,
}

impl StaffAvailability {
    /// Whether anybody can.
    pub const fn is_there(self) -> bool {
        self.worker_is_away || self.has_duty_cover
    }
}

/// The current step, its deadline, and the final deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskDeadlines {
    pub step: EscalationStep,
    pub answer_by: Timestamp,
    pub decide_by: Timestamp,
}

/// What follows when a step has missed its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverdueStep {
    /// The next step has its turn, or the manager has until the final deadline.
    Escalate { step: EscalationStep, answer_by: Timestamp },
    /// The final deadline has passed, and the programme approves such an ask without an answer.
    ApproveOnTimeout,
    /// The final deadline has passed and only a human being can decide: the manager is reminded.
    Remind { answer_by: Timestamp },
}

impl AskClock<'_> {
    /// The deadlines of an ask that is sent at `at`.
    ///
    /// The worker answers first, with two exceptions. Covering staff answer first if the worker is
    /// away, or if the ask is essential and sent out of hours while somebody is on duty. The
    /// manager answers first if the ask is essential and sent out of hours, nobody is on duty, and
    /// no working day ends before midnight.
    pub fn begin(&self, at: Timestamp, urgency: Urgency, cover: StaffAvailability) -> AskDeadlines {
        let decide_by = self.decide_by(at, urgency);
        let is_out_of_hours = urgency == Urgency::Essential && !self.working.is_open(at);
        let step = match (cover.worker_is_away, is_out_of_hours) {
            (true, _) => EscalationStep::Cover,
            (false, true) if cover.has_duty_cover => EscalationStep::Cover,
            (false, true) if self.working.end_of_working_day(at) > self.working.end_of_day(at) => {
                EscalationStep::Manager
            }
            (false, _) => EscalationStep::Worker,
        };
        let answer_by = self.answer_by(step, at, urgency, decide_by);
        let answer_by = match urgency {
            Urgency::Essential => answer_by.min(self.working.end_of_day(at)),
            Urgency::Ordinary => answer_by,
        };
        AskDeadlines { step, answer_by, decide_by }
    }

    /// What follows at `now` for an ask whose step has missed its deadline. `silence_is_yes` says
    /// whether the programme approves this ask without an answer.
    pub fn overdue_step(
        &self,
        ask: &Ask,
        now: Timestamp,
        cover: StaffAvailability,
        silence_is_yes: bool,
    ) -> OverdueStep {
        let step = match ask.step {
            EscalationStep::Worker if cover.is_there() => EscalationStep::Cover,
            EscalationStep::Worker
            | EscalationStep::Cover
            | EscalationStep::Manager
            | EscalationStep::Decided => EscalationStep::Manager,
        };
        if step == EscalationStep::Cover {
            let answer_by = self.answer_by(step, now, ask.urgency, ask.decide_by);
            if answer_by > now {
                return OverdueStep::Escalate { step, answer_by };
            }
        }
        let is_over = now >= ask.decide_by;
        match (is_over, ask.step == EscalationStep::Manager) {
            (false, _) => {
                OverdueStep::Escalate { step: EscalationStep::Manager, answer_by: ask.decide_by }
            }
            // The manager has not been asked yet, so they get a grace period.
            (true, false) => OverdueStep::Escalate {
                step: EscalationStep::Manager,
                answer_by: later(now, GRACE),
            },
            (true, true) if silence_is_yes => OverdueStep::ApproveOnTimeout,
            (true, true) => OverdueStep::Remind { answer_by: self.next_reminder(now) },
        }
    }

    /// When the next reminder of an overdue answer is due.
    pub fn next_reminder(&self, now: Timestamp) -> Timestamp {
        self.working.after(now, self.answer_within).min(later(now, REMINDER_INTERVAL))
    }

    /// The final deadline of an ask or appeal that is sent at `at`.
    pub fn decide_by(&self, at: Timestamp, urgency: Urgency) -> Timestamp {
        match urgency {
            Urgency::Ordinary => later(at, DECISION_DEADLINE),
            Urgency::Essential => self.working.end_of_day(at).max(later(at, MIN_ESSENTIAL_TIME)),
        }
    }

    fn answer_by(
        &self,
        step: EscalationStep,
        from: Timestamp,
        urgency: Urgency,
        decide_by: Timestamp,
    ) -> Timestamp {
        let in_working_hours = self.working.after(from, self.answer_within);
        let promised = match (step, urgency) {
            (EscalationStep::Worker | EscalationStep::Cover, Urgency::Ordinary) => in_working_hours,
            (EscalationStep::Worker, Urgency::Essential) => {
                in_working_hours.min(self.working.end_of_working_day(from))
            }
            (EscalationStep::Cover, Urgency::Essential) => later(from, MIN_STEP_TIME),
            (EscalationStep::Manager | EscalationStep::Decided, _) => decide_by,
        };
        let steps_after = match step {
            EscalationStep::Worker => 2,
            EscalationStep::Cover => 1,
            EscalationStep::Manager | EscalationStep::Decided => 0,
        };
        let reserved = MIN_STEP_TIME.saturating_mul(steps_after);
        promised.min(decide_by.checked_sub(reserved).unwrap_or(decide_by))
    }
}

fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
