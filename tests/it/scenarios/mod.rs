//! What must be survived, one test for each row of the list.

mod deadlines;
mod faults;
mod processes;
mod repeats;
