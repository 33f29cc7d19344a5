//! Questions on their way to a commit, and what becomes of those that nobody waits for any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::claim::Claim;
use super::lane::halves;
use crate::authorise::{Answered, Question, our_fault};
use crate::domain::id::{ConnectionId, IssuerReference, ProgrammeId};
use crate::issuers::{Told, Verdict};

/// A question on its way to a commit.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) claim: Arc<Claim>,
    pub(super) reply: oneshot::Sender<Told>,
}

/// Who waits for the answer to a question.
#[derive(Debug)]
struct Waiting {
    claim: Arc<Claim>,
    reply: oneshot::Sender<Told>,
}

/// Questions that are committed together.
#[derive(Debug)]
pub(super) struct Group {
    questions: Vec<Question>,
    /// One for each question.
    waiting: Vec<Waiting>,
    /// How often it was tried again.
    pub(super) tries: u32,
    /// Whether a commit of it may have gone through without our knowing.
    pub(super) is_in_doubt: bool,
}

impl Group {
    /// Takes the questions that somebody still waits for. Repeats of what is yet to be withdrawn are
    /// refused: an approval that they heard would be withdrawn with it.
    pub(super) fn claim(asked: Vec<Asked>, late: &[Question]) -> Self {
        let pending: BTreeSet<_> = late.iter().map(key).collect();
        let mut claimed = Self {
            questions: Vec::with_capacity(asked.len()),
            waiting: Vec::with_capacity(asked.len()),
            tries: 0,
            is_in_doubt: false,
        };
        for asked in asked.into_iter().filter(|asked| asked.claim.take()) {
            let Asked { question, claim, reply } = asked;
            let waiting = Waiting { claim, reply };
            if !pending.is_empty() && pending.contains(&key(&question)) {
                waiting.refuse();
            } else {
                claimed.questions.push(question);
                claimed.waiting.push(waiting);
            }
        }
        claimed
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.questions.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.questions.len()
    }

    pub(super) fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Forgets the questions whose time has run out: nothing of them is written, so the lane is
    /// free for those that can still be answered. What may be written already must be withdrawn.
    pub(super) fn leave_out_given_up(&mut self, late: &mut Vec<Question>) {
        if !self.waiting.iter().any(|waiting| waiting.claim.is_given_up()) {
            return;
        }
        let questions = std::mem::take(&mut self.questions);
        for (question, waiting) in questions.into_iter().zip(std::mem::take(&mut self.waiting)) {
            if !waiting.claim.is_given_up() {
                self.questions.push(question);
                self.waiting.push(waiting);
            } else if self.is_in_doubt {
                late.push(question);
            }
        }
    }

    pub(super) fn halves(self) -> [Self; 2] {
        let Self { questions, waiting, tries: _, is_in_doubt } = self;
        let half = |(questions, waiting)| Self { questions, waiting, tries: 0, is_in_doubt };
        let [first, second] = halves(questions);
        let [first_waiting, second_waiting] = halves(waiting);
        [(first, first_waiting), (second, second_waiting)].map(half)
    }

    /// Sends the answers of a commit. Approvals that nobody heard are added to `late`.
    pub(super) fn deliver(self, answers: &[Answered], late: &mut Vec<Question>) {
        let mut heard = Vec::new();
        let mut unheard = Vec::new();
        let asked = self.questions.into_iter().zip(self.waiting);
        for ((question, waiting), answered) in asked.zip(answers) {
            if answered.is_conflict {
                metrics::counter!("sayso_conflicts_total").increment(1);
            }
            let is_approved = matches!(answered.told.verdict, Verdict::Approved { .. });
            if waiting.claim.answer() {
                if is_approved {
                    heard.push(question);
                }
                // The handler waits until its deadline, and after it when the claim is answered.
                let _ = waiting.reply.send(answered.told);
            } else if is_approved {
                unheard.push(question);
            }
        }
        if unheard.is_empty() {
            return;
        }
        // A repeat in the same batch may have heard what the first was too late for.
        let heard: BTreeSet<_> = heard.iter().map(key).collect();
        unheard.retain(|question| !heard.contains(&key(question)));
        let withdrawn = u64::try_from(unheard.len()).unwrap_or(u64::MAX);
        metrics::counter!("sayso_withdrawals_total").increment(withdrawn);
        late.extend(unheard);
    }

    /// Answers that nothing could be recorded. What may be written all the same must be withdrawn.
    pub(super) fn refuse(self, late: &mut Vec<Question>) {
        if self.is_in_doubt {
            late.extend(self.questions);
        }
        for waiting in self.waiting {
            waiting.refuse();
        }
    }
}

impl Waiting {
    fn refuse(self) {
        // Whoever gave up was told and counted already.
        if self.claim.answer() {
            metrics::counter!("sayso_our_fault_total", "why" => "not_recorded").increment(1);
            let _ = self.reply.send(our_fault());
        }
    }
}

fn key(question: &Question) -> (ProgrammeId, ConnectionId, IssuerReference) {
    let request = &question.request;
    (request.programme.clone(), request.connection.clone(), request.reference.clone())
}
