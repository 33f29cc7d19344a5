//! Group commit: whatever has queued while the previous commit was in flight is decided together
//! and committed once. Nothing is answered before its commit returned.

mod queue;
mod round;

pub use queue::{Committer, CommitterSettings, Health, NotStored};
