//! The clock of asks: by when each step answers, and what follows when it does not.
//!
//! An ask is answered within three working hours, for essentials the same day; then it goes to
//! cover, then to a manager, and it is decided by 72 hours. A programme may promise less, never
//! more. A late ask steps up by itself; it never just passes, and silence is never a no.

use jiff::{SignedDuration, Timestamp};

use crate::domain::ask::{Ask, Step, Urgency};
use crate::domain::time::working_time::WorkingTime;

/// The longest that a programme may promise for an answer, in working hours.
pub const ANSWER_HOURS_MOST: u32 = 3;
/// When an ask is decided at the latest.
pub const DECIDED_WITHIN: SignedDuration = SignedDuration::from_hours(72);
/// The least time that all steps together have: somebody may ask just before midnight.
const ESSENTIALS_LEAST: SignedDuration = SignedDuration::from_hours(3);
/// What is kept for each later step.
const STEP_LEAST: SignedDuration = SignedDuration::from_hours(1);
/// What a step still has that begins too late.
const GRACE: SignedDuration = SignedDuration::from_mins(30);
/// How often a manager who does not answer is told again, at the least.
const TOLD_AGAIN: SignedDuration = SignedDuration::from_hours(24);

/// A programme's promise, in its own working time.
#[derive(Debug, Clone, Copy)]
pub struct AskClock<'a> {
    pub working: WorkingTime<'a>,
    /// In working hours.
    pub answer_within: SignedDuration,
}

/// Who is there to answer beside the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cover {
    /// The worker is away, and somebody covers for them.
    pub worker_is_away: bool,
    /// Somebody is on the programme's duty.
    pub somebody_is_on_duty: bool,
}

impl Cover {
    /// Whether anybody is there.
    pub const fn is_there(self) -> bool {
        self.worker_is_away || self.somebody_is_on_duty
    }
}

/// Whose turn it is, by when, and when all turns are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Promise {
    pub step: Step,
    pub answer_by: Timestamp,
    pub decide_by: Timestamp,
}

/// What follows when a step has not answered in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Late {
    /// Somebody else's turn, or the manager's last hours.
    StepUp { step: Step, answer_by: Timestamp },
    /// The last step is over too, and the programme has said that it is a yes then.
    YesBySilence,
    /// The last step is over, and only a human being can decide: it is told again.
    TellAgain { answer_by: Timestamp },
}

impl AskClock<'_> {
    /// What is promised to somebody who asks at `at`.
    pub fn begin(&self, at: Timestamp, urgency: Urgency, cover: Cover) -> Promise {
        let decide_by = self.decide_by(at, urgency);
        let is_out_of_hours = urgency == Urgency::Essential && !self.working.is_open(at);
        let step = match (cover.worker_is_away, is_out_of_hours) {
            (true, _) => Step::Cover,
            (false, true) if cover.somebody_is_on_duty => Step::Cover,
            (false, true) if self.working.end_of_working_day(at) > self.working.end_of_day(at) => {
                Step::Manager
            }
            (false, _) => Step::Worker,
        };
        let answer_by = self.answer_by(step, at, urgency, decide_by);
        let answer_by = match urgency {
            Urgency::Essential => answer_by.min(self.working.end_of_day(at)),
            Urgency::Ordinary => answer_by,
        };
        Promise { step, answer_by, decide_by }
    }

    /// What follows at `now`, when the ask's step has run out.
    pub fn late(&self, ask: &Ask, now: Timestamp, cover: Cover, silence_is_yes: bool) -> Late {
        let step = match ask.step {
            Step::Worker if cover.is_there() => Step::Cover,
            Step::Worker | Step::Cover | Step::Manager | Step::Decided => Step::Manager,
        };
        if step == Step::Cover {
            let answer_by = self.answer_by(step, now, ask.urgency, ask.decide_by);
            if answer_by > now {
                return Late::StepUp { step, answer_by };
            }
        }
        let is_over = now >= ask.decide_by;
        match (is_over, ask.step == Step::Manager) {
            (false, _) => Late::StepUp { step: Step::Manager, answer_by: ask.decide_by },
            // Nobody has asked the manager yet: they get a moment.
            (true, false) => Late::StepUp { step: Step::Manager, answer_by: later(now, GRACE) },
            (true, true) if silence_is_yes => Late::YesBySilence,
            (true, true) => Late::TellAgain { answer_by: self.told_again(now) },
        }
    }

    /// When somebody who has not decided in time is told again.
    pub fn told_again(&self, now: Timestamp) -> Timestamp {
        self.working.after(now, self.answer_within).min(later(now, TOLD_AGAIN))
    }

    /// When everything about something that was asked at `at` is decided.
    pub fn decide_by(&self, at: Timestamp, urgency: Urgency) -> Timestamp {
        match urgency {
            Urgency::Ordinary => later(at, DECIDED_WITHIN),
            Urgency::Essential => self.working.end_of_day(at).max(later(at, ESSENTIALS_LEAST)),
        }
    }

    fn answer_by(
        &self,
        step: Step,
        from: Timestamp,
        urgency: Urgency,
        decide_by: Timestamp,
    ) -> Timestamp {
        let in_working_hours = self.working.after(from, self.answer_within);
        let wanted = match (step, urgency) {
            (Step::Worker | Step::Cover, Urgency::Ordinary) => in_working_hours,
            (Step::Worker, Urgency::Essential) => {
                in_working_hours.min(self.working.end_of_working_day(from))
            }
            (Step::Cover, Urgency::Essential) => later(from, STEP_LEAST),
            (Step::Manager | Step::Decided, _) => decide_by,
        };
        let steps_after = match step {
            Step::Worker => 2,
            Step::Cover => 1,
            Step::Manager | Step::Decided => 0,
        };
        let kept = STEP_LEAST.saturating_mul(steps_after);
        wanted.min(decide_by.checked_sub(kept).unwrap_or(decide_by))
    }
}

fn later(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
