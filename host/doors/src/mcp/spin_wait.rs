//! A client that asks again as soon as it is answered is waited for awake. Going to sleep between
//! two such messages, and being woken on a processor that slept too, costs more than most calls.
//!
//! It is tried only while it pays: a client whose next message once did not come in time has to
//! show the habit anew. An agent that thinks between two calls never does.

use std::time::{Duration, Instant};

use tokio::io::AsyncRead;

/// The reading half of a connection.
pub(crate) trait MessageSource: AsyncRead + Send + Unpin + 'static {
    /// Whether there is something to read by now, asked without waiting.
    fn has_more(&mut self) -> bool {
        false
    }
}

/// How long to stay awake at most: about as long as a call takes. The other connections of this
/// thread wait as long.
const LONGEST: Duration = Duration::from_micros(25);

/// A message that came within this time was asked for at once, even where this side slept.
const AT_ONCE: Duration = Duration::from_micros(80);

/// So many messages in a row that were asked for at once are a habit.
const HABIT: u32 = 32;

/// What is known of a client's habits.
#[derive(Debug, Default)]
pub(super) struct Awake {
    at_once: u32,
}

impl Awake {
    /// Waits for a moment, where that has paid lately.
    pub(super) fn wait(&mut self, source: &mut impl MessageSource) {
        if self.at_once < HABIT {
            return;
        }
        let start = Instant::now();
        while !source.has_more() {
            if start.elapsed() > LONGEST {
                self.at_once = 0;
                return;
            }
            std::hint::spin_loop();
        }
    }

    /// Takes note of how long a message was waited for.
    pub(super) fn note(&mut self, waited: Duration) {
        self.at_once = if waited < AT_ONCE {
            self.at_once.saturating_add(1)
        } else {
            0
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has more when it was asked so many times; nothing ever comes where it is `None`.
    struct Asked {
        times: u32,
        more_at: Option<u32>,
    }

    impl AsyncRead for Asked {
        fn poll_read(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
            _: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::task::Poll::Pending
        }
    }

    impl MessageSource for Asked {
        fn has_more(&mut self) -> bool {
            self.times += 1;
            self.more_at.is_some_and(|at| self.times >= at)
        }
    }

    #[test]
    fn only_a_habit_is_waited_for_and_only_while_it_pays() {
        let mut awake = Awake::default();
        let mut source = Asked {
            times: 0,
            more_at: Some(2),
        };
        for _ in 0..HABIT {
            awake.wait(&mut source);
            assert_eq!(source.times, 0);
            awake.note(Duration::from_micros(10));
        }
        awake.wait(&mut source);
        assert_eq!(source.times, 2);
        awake.note(Duration::from_micros(10));
        source.more_at = None;
        awake.wait(&mut source);
        let times = source.times;
        assert!(times > 2);
        awake.note(Duration::from_micros(10));
        awake.wait(&mut source);
        assert_eq!(source.times, times, "it did not pay the last time");
    }

    #[test]
    fn who_thinks_in_between_has_no_habit() {
        let mut awake = Awake::default();
        let mut source = Asked {
            times: 0,
            more_at: Some(1),
        };
        for _ in 0..3 {
            (1..HABIT).for_each(|_| awake.note(Duration::from_micros(10)));
            awake.note(Duration::from_millis(1));
            awake.wait(&mut source);
        }
        assert_eq!(source.times, 0);
    }
}
