//! Pauses between the transactions of an application, in which other processes write.
//!
//! SQLite has one writer and no queue for it. A process that finds the file locked tries again
//! after 1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50 and then every 100 milliseconds, until its
//! `busy_timeout` is over. If transactions followed each other without a gap, it would find the
//! file locked again and again, and a gateway would decline because it cannot record its decision.
//! PostgreSQL needs no pause, because a transaction locks only the rows of its own people there.

use std::time::Duration;

use tokio::time::sleep;

use crate::store::{Dialect, Store};

/// How many times as long as the last transaction a pause takes. With 2, the file is free for at
/// least two thirds of the time, so that each attempt of another process succeeds with that
/// probability, and a dozen attempts within `busy_timeout` hardly ever all fail.
const PAUSE_FACTOR: u32 = 2;

/// The shortest pause: as long as the longest of another process's first four waits (1, 2, 5 and 10
/// milliseconds), so that one of its first attempts falls into a pause however short the
/// transactions are.
///
/// It is the larger part of what a long file costs: a changed person takes about 4 milliseconds and
/// this pause, so 5,000 of them take a little more than a minute instead of 20 seconds.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// Pauses after a transaction that was open for `held`.
pub(super) async fn give_way(store: &Store, held: Duration) {
    if store.dialect() == Dialect::Sqlite {
        sleep(pause_after(held)).await;
    }
}

fn pause_after(held: Duration) -> Duration {
    held.saturating_mul(PAUSE_FACTOR).max(SHORTEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::pause_after;

    #[test]
    fn a_pause_is_longer_than_the_transaction_before_it() {
        let pause = |held| pause_after(Duration::from_millis(held)).as_millis();
        assert_eq!([0, 4, 5, 6, 40].map(pause), [10, 10, 10, 12, 80]);
    }
}
