//! Plays a card issuer against a running gateway, and keeps its own books.
//!
//! The simulator knows what the issuer publishes and what the programme file contains. It shares no
//! code with the gateway, because it is the independent witness that the gateway is checked
//! against. A play consists of
//!
//! 1. `stories`: a plan of moves, made from the seed alone;
//! 2. `play`: computes each expected answer from the books, sends the message and compares;
//! 3. [`books`] (with `oracle`): the expected state of every pot after each message;
//! 4. [`report`]: counts, latencies and every broken expectation.
//!
//! | Module | Holds |
//! | --- | --- |
//! | [`programme`] | the programme file, parsed with the simulator's own types |
//! | `shops` | the merchants of the stories |
//! | `issuers` | messages formatted and signed as the issuer does |
//! | `client` | the HTTP client |
//! | `balances` | the comparison with the balances that the gateway prints |

mod answers;
mod balances;
pub mod books;
mod categories;
mod client;
mod currency;
mod differences;
mod issuers;
mod oracle;
mod play;
pub mod population;
pub mod programme;
pub mod recorded;
pub mod report;
mod shop_identity;
mod shops;
mod stories;
pub mod storm;

pub use differences::Differences;
pub use play::{ClockMode, PlayConfig, PlayOutcome, SetTime, SignIn, TokenFuture, play, year};
pub use report::{MessageKind, PlayStep, ResponseOutcome, SimulationReport, StoryTime};
