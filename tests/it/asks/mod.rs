//! Asks against a whole gateway: asked, answered, and retried at the till.

mod answers;
mod appealable;
mod appeals;
mod bounds;
mod clocks;
mod gateways;
mod inbox;
mod interim;
mod over_http;
mod properties;
mod queues;
mod safety;
mod signals;
mod stands;
pub(crate) mod town;
mod working_time;
mod year;
