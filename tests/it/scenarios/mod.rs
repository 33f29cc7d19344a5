//! Failure scenarios, one test for each, over real HTTP against a whole gateway, and verified at
//! the end. The numbers are those of the project's table of scenarios.

mod answers;
mod applications;
mod attacks;
mod claims;
mod clocks;
mod crashes;
mod deadlines;
mod disputes;
mod explained;
mod faults;
pub(crate) mod gateway;
mod hangups;
mod heard;
mod holds;
mod links;
mod lives;
mod margins;
mod marks;
mod money;
mod overload;
mod own_pots;
mod processes;
mod repeats;
mod seals;
mod stages;
mod tenants;
mod tills;
mod tokens;
mod told;
mod unreadable;
pub(crate) mod upgrade;
mod upkeep;
