//! Texts about safety signals. The person and their worker read the same words.

use fluent_bundle::FluentArgs;
use jiff::tz::TimeZone;

use super::Words;
use super::phrase::Phrase;
use crate::domain::people::signal::Signal;

impl Words {
    /// The text about a signal.
    pub fn signal(&self, signal: &Signal, zone: &TimeZone) -> String {
        let mut args = FluentArgs::new();
        let phrase = match signal {
            Signal::NotPaid { times } => {
                args.set("times", *times);
                Phrase::SignalNotPaid
            }
            Signal::CashPressed { times } => {
                args.set("times", *times);
                Phrase::SignalCashPressed
            }
            Signal::UnlikeBefore { this_week, most_before } => {
                args.set("amount", self.money(*this_week));
                args.set("most", self.money(*most_before));
                Phrase::SignalUnlikeBefore
            }
            Signal::NotUsed { days } => {
                args.set("days", *days);
                Phrase::SignalNotUsed
            }
            Signal::CardElsewhere { since } => {
                args.set("date", self.short_date(zone.to_datetime(*since).date()));
                Phrase::SignalCardElsewhere
            }
        };
        self.fill(phrase.id(), None, &args)
    }
}
