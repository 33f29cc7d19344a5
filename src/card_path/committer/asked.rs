//! Questions on their way to a commit, and what becomes of those that nobody waits for any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::claim::Claim;
use super::lane::halves;
use super::late::Late;
use crate::card_path::authorise::{Answered, Question, our_fault};
use crate::card_path::issuers::{Told, Verdict};
use crate::domain::id::{ConnectionId, IssuerReference, ProgrammeId};

/// A question on its way to a commit.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) claim: Arc<Claim>,
    pub(super) reply: oneshot::Sender<Told>,
}

/// Questions that are committed together.
#[derive(Debug)]
pub(super) struct Group {
    asked: Vec<Asked>,
    /// How often it was tried again.
    pub(super) tries: u32,
    /// Whether a commit of it may have gone through without our knowing.
    pub(super) is_in_doubt: bool,
}

impl Group {
    /// Takes the questions that somebody still waits for.
    pub(super) fn claim(asked: Vec<Asked>) -> Self {
        let asked = asked.into_iter().filter(|asked| asked.claim.take()).collect();
        Self { asked, tries: 0, is_in_doubt: false }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    pub(super) const fn len(&self) -> usize {
        self.asked.len()
    }

    pub(super) fn questions(&self) -> Vec<Question> {
        self.asked.iter().map(|asked| asked.question.clone()).collect()
    }

    /// Forgets the questions whose time has run out: nothing of them is written, so the lane is
    /// free for those that can still be answered. What may be written already must be withdrawn.
    pub(super) fn leave_out_given_up(&mut self, late: &mut Late) {
        let (given_up, waiting) =
            std::mem::take(&mut self.asked).into_iter().partition(|a| a.claim.is_given_up());
        self.asked = waiting;
        if self.is_in_doubt {
            late.add(questions(given_up));
        }
    }

    pub(super) fn halves(self) -> [Self; 2] {
        let Self { asked, tries: _, is_in_doubt } = self;
        halves(asked).map(|asked| Self { asked, tries: 0, is_in_doubt })
    }

    /// Sends the answers of a commit. Approvals that nobody heard must be withdrawn; what somebody
    /// has heard now must not be any more.
    pub(super) fn deliver(self, answers: &[Answered], late: &mut Late) {
        let mut heard = BTreeSet::new();
        let mut unheard = Vec::new();
        for (asked, answered) in self.asked.into_iter().zip(answers) {
            if answered.is_conflict {
                metrics::counter!("sayso_conflicts_total").increment(1);
            }
            let is_approved = matches!(answered.told.verdict, Verdict::Approved { .. });
            let Asked { question, claim, reply } = asked;
            // A handler that is dropped in this very moment can give up no more, nor hear it.
            let is_heard = claim.answer() && reply.send(answered.told).is_ok();
            if is_approved && is_heard {
                heard.insert(key(&question));
            } else if is_approved {
                unheard.push(question);
            }
        }
        // A repeat in the same batch may have heard what the first was too late for.
        unheard.retain(|question| !heard.contains(&key(question)));
        let withdrawn = u64::try_from(unheard.len()).unwrap_or(u64::MAX);
        metrics::counter!("sayso_withdrawals_total").increment(withdrawn);
        late.spare(&heard);
        late.add(unheard);
    }

    /// Answers that nothing could be recorded. What may be written all the same must be withdrawn.
    pub(super) fn refuse(self, late: &mut Late) {
        if self.is_in_doubt {
            late.add(self.questions());
        }
        for asked in self.asked {
            asked.refuse();
        }
    }
}

impl Asked {
    fn refuse(self) {
        // Whoever gave up was told and counted already.
        if self.claim.answer() {
            metrics::counter!("sayso_our_fault_total", "why" => "not_recorded").increment(1);
            // Nothing is promised, so it does not matter whether it is heard.
            let _ = self.reply.send(our_fault());
        }
    }
}

/// What names a question.
pub(super) type Key = (ProgrammeId, ConnectionId, IssuerReference);

pub(super) fn key(question: &Question) -> Key {
    let request = &question.request;
    (request.programme.clone(), request.connection.clone(), request.reference.clone())
}

fn questions(asked: Vec<Asked>) -> Vec<Question> {
    asked.into_iter().map(|asked| asked.question).collect()
}
