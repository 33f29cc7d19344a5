//! Plays a card issuer against a running gateway, and keeps its own books.
//!
//! The simulator knows what the issuer publishes and what the programme file says, and nothing of
//! the gateway's own code: it is the witness that the gateway is checked against. One play is
//!
//! 1. `stories`: a plan of moves, made from the seed alone;
//! 2. `play`: each move is judged by the books, signed, sent, and its answer compared;
//! 3. [`books`] (with `oracle`): what must be true of every pot after each message;
//! 4. [`report`]: what was answered, how fast, and every broken expectation.
//!
//! | Module | Holds |
//! | --- | --- |
//! | [`programme`] | the programme file, read with structs of our own |
//! | `shops` | the merchants of the stories |
//! | `issuers` | messages spelled and signed as the issuer does |
//! | `client` | the one HTTP client |
//! | `balances` | the comparison with what the gateway says it holds |

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
