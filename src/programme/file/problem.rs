//! Problems in a programme's file.

use std::fmt;

/// One problem: its line, its subject, and how to correct it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileProblem {
    /// Counted from 1.
    pub line: usize,
    /// The subject, such as `person "dee", term 3`; empty for the file as a whole.
    pub place: String,
    /// What is wrong, and how to correct it.
    pub text: String,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, place, text } = self;
        let gap = if place.is_empty() { "" } else { ": " };
        write!(f, "line {line}: {place}{gap}{text}")
    }
}

/// Every problem of a file at once, so that they can be corrected in one go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct FileProblems {
    /// At least one, sorted by line.
    pub problems: Vec<FileProblem>,
}
