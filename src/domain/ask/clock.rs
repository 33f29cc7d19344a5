//! The clock of asks: by when each step answers, and what follows when it does not.
//!
//! An ask is answered within three working hours, for essentials the same day; then it goes to
//! cover, then to a manager, and it is decided by 72 hours. A programme may promise less, never
//! more. A late ask steps up by itself; it never just passes, and silence is never a no.

use jiff::{SignedDuration, Timestamp};

use crate::domain::ask::{Ask, EscalationStep, Urgency};
use crate::domain::time::working_time::WorkingTime;

/// The longest that a programme may promise for an answer, in working hours.
pub const MAX_ANSWER_HOURS: u32 = 3;
/// When an ask is decided at the latest.
pub const DECISION_DEADLINE: SignedDuration = SignedDuration::from_hours(72);
/// The least time that all steps together have: somebody may ask just before midnight.
const MIN_ESSENTIAL_TIME: SignedDuration = SignedDuration::from_hours(3);
/// What is kept for each later step.
const MIN_STEP_TIME: SignedDuration = SignedDuration::from_hours(1);
/// What a step still has that begins too late.
const GRACE: SignedDuration = SignedDuration::from_mins(30);
/// How often a manager who does not answer is told again, at the least.
const REMINDER_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

/// A programme's promise, in its own working time.
#[derive(Debug, Clone, Copy)]
pub struct AskClock<'a> {
    pub working: WorkingTime<'a>,
    /// In working hours.
    pub answer_within: SignedDuration,
}

/// Who is there to answer beside the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StaffAvailability {
    /// The worker is away, and somebody covers for them.
    pub worker_is_away: bool,
    /// Somebody is on the programme's duty.
    pub has_duty_cover: bool,
}

impl StaffAvailability {
    /// Whether anybody is there.
    pub const fn is_there(self) -> bool {
        self.worker_is_away || self.has_duty_cover
    }
}

/// Whose turn it is, by when, and when all turns are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskDeadlines {
    pub step: EscalationStep,
    pub answer_by: Timestamp,
    pub decide_by: Timestamp,
}

/// What follows when a step has not answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OverdueStep {
    /// Somebody else's turn, or the manager's last hours.
    Escalate { step: EscalationStep, answer_by: Timestamp },
    /// The last step is over too, and the programme has said that it is a yes then.
    ApproveOnTimeout,
    /// The last step is over, and only a human being can decide: it is told again.
    Remind { answer_by: Timestamp },
}

impl AskClock<'_> {
    /// What is promised to somebody who asks at `at`.
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

    /// What follows at `now`, when the ask's step has run out.
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
            // Nobody has asked the manager yet: they get a moment.
            (true, false) => OverdueStep::Escalate {
                step: EscalationStep::Manager,
                answer_by: later(now, GRACE),
            },
            (true, true) if silence_is_yes => OverdueStep::ApproveOnTimeout,
            (true, true) => OverdueStep::Remind { answer_by: self.next_reminder(now) },
        }
    }

    /// When somebody who has not decided in time is told again.
    pub fn next_reminder(&self, now: Timestamp) -> Timestamp {
        self.working.after(now, self.answer_within).min(later(now, REMINDER_INTERVAL))
    }

    /// When everything about something that was asked at `at` is decided.
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
        let wanted = match (step, urgency) {
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
        let kept = MIN_STEP_TIME.saturating_mul(steps_after);
        wanted.min(decide_by.checked_sub(kept).unwrap_or(decide_by))
    }
}

fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
