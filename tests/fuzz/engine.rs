//! Seeds, mutants, and what is kept of a try. It knows no parser.
//!
//! There is no coverage to steer by on stable Rust, so a target says of each try what it came to; an
//! input that comes to something new is mutated further, like one that reaches a new line would be.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mutatis::Session;

use crate::harness::checkout;

/// The longest that one try may take; a hundred times what the slowest takes.
pub(super) const SLOWEST: Duration = Duration::from_secs(10);

/// Mutants of a run that was given no time.
const BRIEF: u64 = 2_000;

/// Inputs that are mutated, at the most.
const POOL: usize = 4_096;

/// The longest input.
const LONGEST: usize = 64 << 10;

/// Bytes that one mutation of the library sees; it looks at each of them.
const WINDOW: usize = 32;

/// How long a run is, from `TOOLHOST_FUZZ_SECONDS`; without it a run is brief, and the same each time.
fn seconds() -> Option<u64> {
    let text = std::env::var("TOOLHOST_FUZZ_SECONDS").ok()?;
    Some(text.parse().expect("TOOLHOST_FUZZ_SECONDS is a number"))
}

/// One parser under foreign bytes.
pub(super) struct Target<'a> {
    /// Its name: that of its test, and of its folder in the corpus.
    pub(super) name: &'static str,
    /// Real inputs beside the corpus.
    pub(super) seeds: Vec<Vec<u8>>,
    /// What its language is made of.
    pub(super) words: &'a [&'a str],
    /// Takes an input, panics where a claim does not hold, and says in a few words what it came to.
    pub(super) check: &'a dyn Fn(&[u8]) -> String,
}

/// Runs a target, and fails with its first finding, which is kept as a file.
pub(super) fn run(target: &Target<'_>) {
    let mut run = Run::new(target);
    let seeds = run.seeds();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    for seed in seeds {
        run.attempt(seed);
    }
    let begin = Instant::now();
    let (most, time) = match seconds() {
        Some(seconds) => (u64::MAX, Duration::from_secs(seconds)),
        None => (BRIEF, Duration::MAX),
    };
    let mut shown = begin;
    for n in 0..most {
        let now = Instant::now();
        if now.duration_since(begin) >= time {
            break;
        }
        if now.duration_since(shown) >= Duration::from_secs(30) {
            shown = now;
            run.show(n);
        }
        let mutant = run.mutant();
        run.attempt(mutant);
    }
    run.show(run.tries);
    // Mutants that all come to the same would mean that nothing was mutated, or nothing looked at.
    let kinds = run.kinds.len();
    assert!(kinds > 3, "{}: only {kinds} kinds of answers", target.name);
}

struct Run<'a> {
    target: &'a Target<'a>,
    pool: Vec<Vec<u8>>,
    kinds: HashSet<u64>,
    session: Session,
    tries: u64,
    slowest: Duration,
    watch: Watch,
}

impl<'a> Run<'a> {
    fn new(target: &'a Target<'a>) -> Self {
        let seed = match seconds() {
            None => 0x9e37_79b9,
            Some(_) => std::time::UNIX_EPOCH
                .elapsed()
                .map_or(1, |time| time.as_secs()),
        };
        println!("fuzz {}: seed {seed}", target.name);
        Self {
            target,
            pool: Vec::new(),
            kinds: HashSet::new(),
            session: Session::new().seed(seed),
            tries: 0,
            slowest: Duration::ZERO,
            watch: Watch::start(target.name),
        }
    }

    /// The target's own seeds, then its corpus.
    fn seeds(&self) -> Vec<Vec<u8>> {
        let folder = checkout().join("tests/fuzz/corpus").join(self.target.name);
        let files = std::fs::read_dir(folder).into_iter().flatten();
        let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
        files.sort();
        let corpus = files
            .iter()
            .map(|file| std::fs::read(file).expect("a seed"));
        self.target.seeds.iter().cloned().chain(corpus).collect()
    }

    fn show(&self, tries: u64) {
        println!(
            "fuzz {}: {tries} tries, 0 findings, {} kinds of answers, slowest {:?}",
            self.target.name,
            self.kinds.len(),
            self.slowest
        );
    }

    fn attempt(&mut self, input: Vec<u8>) {
        self.tries += 1;
        self.watch.begin(&input);
        let begin = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| (self.target.check)(&input)));
        self.slowest = self.slowest.max(begin.elapsed());
        self.watch.end();
        match ended {
            Ok(kind) => {
                let mut hasher = DefaultHasher::new();
                kind.hash(&mut hasher);
                if self.kinds.insert(hasher.finish()) || self.pool.is_empty() {
                    self.keep(input);
                }
            }
            Err(_) => {
                let file = self.watch.keep(&input);
                panic!(
                    "fuzz {}: {} tries, 1 finding, kept in {}",
                    self.target.name,
                    self.tries,
                    file.display()
                );
            }
        }
    }

    fn keep(&mut self, input: Vec<u8>) {
        if self.pool.len() < POOL {
            self.pool.push(input);
        } else {
            let place = self.below(POOL);
            self.pool[place] = input;
        }
    }

    fn pick(&mut self) -> Vec<u8> {
        let place = self.below(self.pool.len());
        self.pool[place].clone()
    }

    fn mutant(&mut self) -> Vec<u8> {
        let mut bytes = self.pick();
        let times = self.below(6) + 1;
        for _ in 0..times {
            self.mutate(&mut bytes);
        }
        bytes.truncate(LONGEST);
        bytes
    }

    /// One change: the library's in some bytes, a word of the language, or part of another input.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let upto = (at + self.below(WINDOW)).min(bytes.len());
        match self.below(5) {
            0 | 1 => {
                let mut window = bytes[at..upto].to_vec();
                // It has no mutation left only where there is nothing to change.
                let _ = self.session.mutate(&mut window);
                bytes.splice(at..upto, window);
            }
            2 => {
                let words = self.target.words;
                let word = words[self.below(words.len())];
                let end = if self.below(2) == 0 { at } else { upto };
                bytes.splice(at..end, word.bytes());
            }
            3 => {
                let other = self.pick();
                let from = self.below(other.len() + 1);
                let part = &other[from..(from + self.below(256)).min(other.len())];
                bytes.splice(at..upto, part.iter().copied());
            }
            _ => {
                let part = bytes[at..upto].to_vec();
                let times = 1 << self.below(8);
                let many: Vec<u8> = part.into_iter().cycle().take(times * (upto - at)).collect();
                bytes.splice(at..at, many);
            }
        }
    }

    /// A number from 0 to below `end`, which is at least 1.
    fn below(&mut self, end: usize) -> usize {
        let number: u32 = self.session.generate().expect("a number");
        usize::try_from(number).expect("fits") % end
    }
}

/// Keeps the input of the try that runs where the end of the process cannot take it, and ends the
/// process when a try does not end.
struct Watch {
    name: &'static str,
    folder: PathBuf,
    /// Milliseconds since the start at which the try began; 0 while none runs.
    began: Arc<AtomicU64>,
    start: Instant,
    long: bool,
}

impl Watch {
    fn start(name: &'static str) -> Self {
        let folder = findings();
        std::fs::create_dir_all(&folder).expect("the folder of findings");
        let watch = Self {
            name,
            folder,
            began: Arc::default(),
            start: Instant::now(),
            long: seconds().is_some(),
        };
        let (began, start) = (Arc::downgrade(&watch.began), watch.start);
        let look = move || {
            while let Some(began) = began.upgrade() {
                let began = Duration::from_millis(began.load(Ordering::Relaxed));
                if !began.is_zero() && start.elapsed().saturating_sub(began) > SLOWEST {
                    eprintln!(
                        "fuzz {name}: a try does not end; its input is kept as running-{name}"
                    );
                    std::process::abort();
                }
                std::thread::sleep(Duration::from_millis(500));
            }
        };
        std::thread::spawn(look);
        watch
    }

    fn running(&self) -> PathBuf {
        self.folder.join(format!("running-{}", self.name))
    }

    /// A brief run is the same each time: an input that ends the process is found by a long one.
    fn begin(&self, input: &[u8]) {
        if self.long {
            std::fs::write(self.running(), input).expect("the running input");
        }
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began.store(now.max(1), Ordering::Relaxed);
    }

    fn end(&self) {
        self.began.store(0, Ordering::Relaxed);
    }

    fn keep(&self, input: &[u8]) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        let file = self
            .folder
            .join(format!("{}-{:016x}", self.name, hasher.finish()));
        std::fs::write(&file, input).expect("the finding");
        file
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Only a long run has it.
        let _ = std::fs::remove_file(self.running());
    }
}

/// Where findings are kept: beside what cargo builds.
fn findings() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_toolhost"));
    let target = program.ancestors().nth(2).expect("a folder of profiles");
    target.join("fuzz-findings")
}

/// What a target stands for, told of one that has a fault.
#[test]
fn a_planted_fault_is_found_and_its_input_kept() {
    let check = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("[[x"), "planted");
        format!(
            "{} {}",
            text.matches('[').count().min(9),
            text.contains('x')
        )
    };
    let target = Target {
        name: "planted",
        seeds: vec![b"a [ b ] c".to_vec()],
        words: &["x", "]"],
        check: &check,
    };
    let found = catch_unwind(AssertUnwindSafe(|| run(&target)));
    let panic = found.expect_err("the fault is found");
    let said = panic.downcast_ref::<String>().expect("a sentence");
    let (_, file) = said.split_once("kept in ").expect("a file");
    let input = std::fs::read(file).expect("the input");
    assert!(String::from_utf8_lossy(&input).contains("[[x"));
    std::fs::remove_file(file).expect("it was there");
}
