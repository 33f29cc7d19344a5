//! A violated term or limit, and the order in which the reasons of violations take precedence.

use crate::programme::Term;

/// A term or a limit that the purchase violates.
pub(super) struct TermViolation<'a> {
    pub(super) check: CheckStage,
    pub(super) reason: &'static str,
    pub(super) term: &'a Term,
    /// The part of the requested amount that the violation leaves; `None` when no part is possible.
    pub(super) leaves_minor: Option<i64>,
}

/// Stages of the check, in the order in which their reasons take precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CheckStage {
    List,
    Limits,
}
