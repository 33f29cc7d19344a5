//! Files and secrets at rest: the key, sealed rows, the mark of the last posting.

pub(super) mod files;
pub(super) mod key_file;
pub(super) mod mark;
pub(super) mod sealing;
