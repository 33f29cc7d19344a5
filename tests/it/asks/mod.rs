//! Asks over a whole gateway: asked, answered, and tried again at the till.

mod answers;
mod clocks;
mod town;
