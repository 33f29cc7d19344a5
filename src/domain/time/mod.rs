//! Time in the programme's time zone: calendar periods and working hours.

pub mod period;
pub mod working_time;
