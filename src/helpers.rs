//! Helpers and advocates: chosen by the person, who ticks what they see, and takes it back.
