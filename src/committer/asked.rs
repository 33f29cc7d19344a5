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
    /// Takes the questions that somebody still waits for. Repeats of what is yet to be withdrawn are
    /// refused: an approval that they heard would be withdrawn with it.
    pub(super) fn claim(asked: Vec<Asked>, late: &[Question]) -> Self {
        let pending: BTreeSet<_> = late.iter().map(key).collect();
        let mut claimed = Vec::with_capacity(asked.len());
        for asked in asked.into_iter().filter(|asked| asked.claim.take()) {
            if pending.contains(&key(&asked.question)) {
                asked.refuse();
            } else {
                claimed.push(asked);
            }
        }
        Self { asked: claimed, tries: 0, is_in_doubt: false }
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
    pub(super) fn leave_out_given_up(&mut self, late: &mut Vec<Question>) {
        let is_in_doubt = self.is_in_doubt;
        self.asked.retain(|asked| {
            let is_waiting = !asked.claim.is_given_up();
            if !is_waiting && is_in_doubt {
                late.push(asked.question.clone());
            }
            is_waiting
        });
    }

    pub(super) fn halves(self) -> [Self; 2] {
        let Self { asked, tries: _, is_in_doubt } = self;
        halves(asked).map(|asked| Self { asked, tries: 0, is_in_doubt })
    }

    /// Sends the answers of a commit. Approvals that nobody heard are added to `late`.
    pub(super) fn deliver(self, answers: &[Answered], late: &mut Vec<Question>) {
        let mut heard = BTreeSet::new();
        let mut unheard = Vec::new();
        for (asked, answered) in self.asked.into_iter().zip(answers) {
            if answered.is_conflict {
                metrics::counter!("sayso_conflicts_total").increment(1);
            }
            let is_approved = matches!(answered.told.verdict, Verdict::Approved { .. });
            if asked.claim.answer() {
                if is_approved {
                    heard.insert(key(&asked.question));
                }
                // The handler waits until its deadline, and after it when the claim is answered.
                let _ = asked.reply.send(answered.told);
            } else if is_approved {
                unheard.push(asked.question);
            }
        }
        // A repeat in the same batch may have heard what the first was too late for.
        unheard.retain(|question| !heard.contains(&key(question)));
        let withdrawn = u64::try_from(unheard.len()).unwrap_or(u64::MAX);
        metrics::counter!("sayso_withdrawals_total").increment(withdrawn);
        late.extend(unheard);
    }

    /// Answers that nothing could be recorded. What may be written all the same must be withdrawn.
    pub(super) fn refuse(self, late: &mut Vec<Question>) {
        for asked in self.asked {
            if self.is_in_doubt {
                late.push(asked.question.clone());
            }
            asked.refuse();
        }
    }
}

impl Asked {
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
