//! Asks over a whole gateway: asked, answered, and tried again at the till.

mod answers;
mod appeals;
mod bounds;
mod clocks;
mod gateways;
mod over_http;
mod properties;
mod queues;
mod safety;
mod signals;
pub(crate) mod town;
mod working_time;
mod year;
