//! What is wrong in a programme's file.

use std::fmt;

/// One thing that is wrong: on which line, with what, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileProblem {
    /// Counted from 1.
    pub line: usize,
    /// What it is about, such as `person "dee", term 3`; empty for the file as a whole.
    pub place: String,
    /// What is wrong and what to do about it.
    pub text: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, place, text } = self;
        let gap = if place.is_empty() { "" } else { ": " };
        write!(f, "line {line}: {place}{gap}{text}")
    }
}

/// Every problem of a file at once, so that a person can fix them in one go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct FileProblems {
    /// At least one, by line.
    pub problems: Vec<FileProblem>,
}
