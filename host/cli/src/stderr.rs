//! Standard error: one thread writes to it, and nobody else waits for whoever reads it. What that
//! thread has not written yet is bounded in bytes; what does not fit, or cannot be written, is lost
//! and counted, and the number is said as soon as something can be written again. So a pipe that
//! nobody reads, a full disk and a reader that has gone cost lines, never a call and never the end.
//!
//! It does not know what is said. `tracing-appender` does the like, but bounds lines instead of bytes,
//! and keeps what it lost to itself.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// What may wait to be written, in bytes: as much as the log may say at once.
const MOST: usize = 1 << 20;

/// How long to wait before it is tried again where the other side takes nothing now: whoever shares a
/// stream with this process may have made it non-blocking.
const AGAIN: Duration = Duration::from_millis(20);

/// Texts on their way to standard error, and the thread that writes them.
#[derive(Clone)]
pub(super) struct Stderr {
    shared: Arc<Shared>,
    /// How long whoever has to know that its text was written waits for that; for ever without.
    patience: Option<Duration>,
}

struct Shared {
    state: Mutex<State>,
    /// Something came or went.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    texts: VecDeque<String>,
    /// Of those that wait and of the one that is being written.
    bytes: usize,
    /// How many came, and how many of them were written or lost.
    came: u64,
    gone: u64,
    lost: Lost,
    /// The last one could not be written.
    is_broken: bool,
}

/// What nobody will read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// How many texts.
    pub(super) texts: u64,
    /// What was in them.
    pub(super) bytes: usize,
    /// What had come before the first of them.
    after: u64,
}

/// The one of this process, once it was opened.
static OPENED: OnceLock<Stderr> = OnceLock::new();

/// Gives standard error to its thread. `patience` is how long a command waits for its words to be
/// read; `notice` says that something was lost.
///
/// # Errors
///
/// When no thread can be started.
pub(super) fn open(
    patience: Option<Duration>,
    notice: impl Fn(Lost) -> String + Send + 'static,
) -> io::Result<&'static Stderr> {
    if OPENED.get().is_none() {
        // Not through the standard library's handle: it would keep its lock while nobody reads.
        let write = |bytes: &[u8]| Ok(rustix::io::write(rustix::stdio::stderr(), bytes)?);
        let stderr = Stderr::new(patience, write, notice)?;
        let _ = OPENED.set(stderr);
    }
    OPENED.get().ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Prints a text behind all that came before, and waits until it is written. False where standard
/// error was not given to its thread.
pub(super) fn print(text: &str) -> bool {
    OPENED.get().inspect(|one| one.print(text)).is_some()
}

/// Takes a text as it is and waits for nothing, once standard error was given to its thread.
pub(super) fn push(text: String) {
    if let Some(one) = OPENED.get() {
        one.push(text);
    }
}

/// Waits until all that came is written or lost, for so long at most.
pub(super) fn settle(within: Duration) {
    if let Some(one) = OPENED.get() {
        one.settle(Some(within));
    }
}

impl Stderr {
    pub(super) fn new(
        patience: Option<Duration>,
        write: impl FnMut(&[u8]) -> io::Result<usize> + Send + 'static,
        notice: impl Fn(Lost) -> String + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut place = Place {
            write,
            is_torn: false,
        };
        let own = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("stderr".to_owned())
            .spawn(move || own.write(&mut place, notice))?;
        Ok(Self { shared, patience })
    }

    /// Takes a text, its line's end included, and waits for nothing. One that has no room is counted.
    pub(super) fn push(&self, text: String) {
        self.shared.state().push(text);
        self.shared.changed.notify_all();
    }

    /// Takes a text when there is room for it, and waits until it is written.
    fn print(&self, text: &str) {
        let until = self.patience.map(|patience| Instant::now() + patience);
        let full = |state: &State| state.bytes > 0 && state.bytes + text.len() > MOST;
        let mut state = self.shared.wait(self.shared.state(), until, full);
        // A text that is longer than all that may wait does so alone: it is there already.
        if state.bytes == 0 {
            state.take(text.to_owned());
        } else {
            state.push(text.to_owned());
        }
        let this = state.came;
        self.shared.changed.notify_all();
        drop(self.shared.wait(state, until, |state| state.gone < this));
    }

    /// Waits until all that has come is written or lost, until the time is over.
    pub(super) fn settle(&self, within: Option<Duration>) {
        let until = within.map(|within| Instant::now() + within);
        let state = self.shared.state();
        let last = state.came;
        drop(self.shared.wait(state, until, |state| state.gone < last));
    }
}

impl State {
    fn push(&mut self, text: String) {
        if self.bytes + text.len() > MOST {
            self.lose(text.len(), self.came);
        } else {
            self.take(text);
        }
    }

    fn take(&mut self, text: String) {
        self.bytes += text.len();
        self.came += 1;
        self.texts.push_back(text);
    }

    /// `after` so many others.
    fn lose(&mut self, bytes: usize, after: u64) {
        if self.lost.texts == 0 || after < self.lost.after {
            self.lost.after = after;
        }
        self.lost.texts += 1;
        self.lost.bytes = self.lost.bytes.saturating_add(bytes);
    }

    /// What was lost, where it is its turn to be said: behind all that came before.
    fn unsaid(&self) -> Option<Lost> {
        // While nothing can be written it is tried with the next text only.
        let is_turn = self.gone >= self.lost.after && (!self.is_broken || !self.texts.is_empty());
        (self.lost.texts > 0 && is_turn).then_some(self.lost)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits as long as this holds, and until the time is over.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Option<Instant>,
        holds: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        while holds(&state) {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            state = match left {
                Some(Duration::ZERO) => return state,
                Some(left) => {
                    let woken = self.changed.wait_timeout(state, left);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let woken = self.changed.wait(state);
                    woken.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
        state
    }

    /// The thread: it ends with the process.
    fn write(
        &self,
        place: &mut Place<impl FnMut(&[u8]) -> io::Result<usize>>,
        notice: impl Fn(Lost) -> String,
    ) {
        loop {
            let idle = |state: &State| state.texts.is_empty() && state.unsaid().is_none();
            let mut state = self.wait(self.state(), None, idle);
            let lost = state.unsaid();
            // What was lost is said before what came after it.
            let text = match lost {
                Some(_) if !state.is_broken => None,
                _ => state.texts.pop_front(),
            };
            drop(state);
            let said = lost.is_none_or(|lost| place.write_whole(notice(lost).as_bytes()));
            let written = match &text {
                Some(text) => said && place.write_whole(text.as_bytes()),
                None => said,
            };
            self.wrote(lost.filter(|_| said), text, written);
        }
    }

    /// Keeps what became of a notice and of a text.
    fn wrote(&self, said: Option<Lost>, text: Option<String>, written: bool) {
        let mut state = self.state();
        state.is_broken = !written;
        if let Some(said) = said {
            state.lost.texts -= said.texts;
            state.lost.bytes -= said.bytes;
            state.lost.after = state.came;
        }
        if let Some(text) = text {
            state.bytes -= text.len();
            state.gone += 1;
            if !written {
                let after = state.gone;
                state.lose(text.len(), after);
            }
        }
        self.changed.notify_all();
    }
}

/// Where the thread writes to.
struct Place<W> {
    write: W,
    /// A line was begun and could not be written to its end.
    is_torn: bool,
}

impl<W: FnMut(&[u8]) -> io::Result<usize>> Place<W> {
    /// Writes a text behind the end of a line. Whether it is there. Why not does not matter: it is
    /// tried again with the next text, and there is nobody to tell.
    fn write_whole(&mut self, text: &[u8]) -> bool {
        if self.is_torn && write_all(&mut self.write, b"\n").is_err() {
            return false;
        }
        self.is_torn = false;
        match write_all(&mut self.write, text) {
            Ok(()) => true,
            Err((left, _)) => {
                self.is_torn = left < text.len();
                false
            }
        }
    }
}

/// Writes all of these bytes, or says how many could not be written and why. One that takes nothing
/// now is waited for.
pub(super) fn write_all(
    mut write: impl FnMut(&[u8]) -> io::Result<usize>,
    mut bytes: &[u8],
) -> Result<(), (usize, io::Error)> {
    while !bytes.is_empty() {
        match write(bytes) {
            Ok(0) => return Err((bytes.len(), io::ErrorKind::WriteZero.into())),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(AGAIN),
            Err(error) => return Err((bytes.len(), error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Something to write to: what is done with each write comes from the test.
    fn played() -> (Stderr, Sender<io::Result<usize>>, Receiver<String>) {
        let (answer, answers) = channel::<io::Result<usize>>();
        let (written, shown) = channel();
        let write = move |bytes: &[u8]| {
            let done = answers.recv().map_err(io::Error::other)?;
            let taken = done.map(|most| most.min(bytes.len()));
            if let Ok(taken) = taken {
                let _ = written.send(String::from_utf8(bytes[..taken].to_vec()).unwrap());
            }
            taken
        };
        let notice = |lost: Lost| format!("lost {} of {}\n", lost.texts, lost.bytes);
        let stderr = Stderr::new(Some(Duration::from_secs(20)), write, notice).unwrap();
        (stderr, answer, shown)
    }

    fn full() -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    #[test]
    fn x62_what_nobody_reads_is_bounded_and_counted_where_it_is_missing() {
        let (stderr, answer, shown) = played();
        stderr.push("first\n".to_owned());
        // Nobody reads: it waits in the write of the first one.
        let large = "x".repeat(MOST / 4);
        for _ in 0..7 {
            stderr.push(large.clone());
        }
        stderr.push("small\n".to_owned());
        for _ in 0..6 {
            answer.send(Ok(usize::MAX)).unwrap();
        }
        let written: Vec<String> = (0..6).map(|_| shown.recv().unwrap()).collect();
        assert_eq!(written[0], "first\n");
        assert!(written[1..4].iter().all(|text| *text == large));
        assert_eq!(written[4], format!("lost 4 of {}\n", 4 * large.len()));
        assert_eq!(written[5], "small\n");
    }

    #[test]
    fn x61_what_cannot_be_written_costs_its_lines_and_no_more() {
        let (stderr, answer, shown) = played();
        for text in ["torn\n", "gone\n", "again\n"] {
            stderr.push(text.to_owned());
        }
        // Half of the first, and the disk is full; the second one meets the same, and then there is room.
        for done in [Ok(2), full(), full(), Ok(99), Ok(99), Ok(99)] {
            answer.send(done).unwrap();
        }
        stderr.settle(None);
        drop(answer);
        let written: String = shown.iter().take(4).collect();
        assert_eq!(written, "to\nlost 2 of 10\nagain\n");
    }

    #[test]
    fn one_that_waits_for_its_words_has_them_written_in_their_turn() {
        let (stderr, answer, shown) = played();
        let again = Err(io::ErrorKind::WouldBlock.into());
        for done in [Ok(99), again, Ok(3), Ok(99)] {
            answer.send(done).unwrap();
        }
        stderr.push("before\n".to_owned());
        stderr.print("words\n");
        let written: Vec<String> = shown.try_iter().collect();
        assert_eq!(written, ["before\n", "wor", "ds\n"]);
    }
}
