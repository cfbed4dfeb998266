//! What the world's names mean, and who asked for them: one table, which the name server answers
//! from, or a resolver in its place.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use toolhost_outbound::resolve::{Addresses, LookupPlace, Resolve};

/// How a name is answered.
#[derive(Debug, Clone)]
pub(super) enum Say {
    /// With its addresses.
    Addresses(Vec<IpAddr>),
    /// With a chain of other names, the last of which has these addresses.
    Chain(Vec<String>, Vec<IpAddr>),
    /// There is no such name.
    Unknown,
    /// The server fails.
    Failing,
    /// Not at all.
    Silence,
    /// "Ask by TCP", and there one byte in a second.
    Slow,
    /// "Ask by TCP", and there with its addresses.
    Truncated(Vec<IpAddr>),
    /// "Ask by TCP", and there the connection is closed.
    CutOff,
    /// With its addresses, as the answer to another question.
    WrongId(Vec<IpAddr>),
    /// With as much text as fits into an answer, and nothing else.
    Huge,
    /// With bytes that are no answer.
    Garbage,
}

/// The names of one world. Names that it does not know do not exist.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    table: Arc<Mutex<Table>>,
}

#[derive(Debug, Default)]
struct Table {
    /// What is said in turn; the last is said for ever.
    says: HashMap<String, Vec<Say>>,
    /// How often each kind of record was asked for.
    turns: HashMap<(String, bool), usize>,
    asked: Vec<String>,
}

impl Names {
    /// Gives a name its addresses.
    pub(super) fn set(&self, name: &str, addresses: &[&str]) {
        self.script(name, vec![Say::Addresses(ips(addresses))]);
    }

    /// Says what a name is answered with, in turn.
    pub(super) fn script(&self, name: &str, says: Vec<Say>) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.turns.retain(|(known, _), _| known != name);
        table.says.insert(name.to_owned(), says);
    }

    /// Takes a question down, and says how it is answered.
    pub(super) fn ask(&self, name: &str, v6: bool) -> Say {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        table.asked.push(name.to_owned());
        let turn = table.turns.entry((name.to_owned(), v6)).or_default();
        let now = *turn;
        *turn += 1;
        let says = table.says.get(name).map(Vec::as_slice).unwrap_or_default();
        says.get(now)
            .or(says.last())
            .cloned()
            .unwrap_or(Say::Unknown)
    }

    /// Who was asked for since the last time, without repetitions of one name in a row.
    pub(super) fn asked(&self) -> Vec<String> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut asked = std::mem::take(&mut table.asked);
        asked.dedup();
        asked
    }

    /// How many lookups there were of a name: its IPv4 addresses are asked for once in each.
    pub(super) fn lookups(&self, name: &str) -> usize {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let turns = table.turns.get(&(name.to_owned(), false));
        turns.copied().unwrap_or(0)
    }
}

/// Addresses, as they are written.
pub(super) fn ips(texts: &[&str]) -> Vec<IpAddr> {
    let parse = |text: &&str| {
        text.parse()
            .unwrap_or_else(|_| panic!("no address: {text}"))
    };
    texts.iter().map(parse).collect()
}

/// The table as the host's resolver, where there is no namespace to have a name server in.
impl Resolve for Names {
    fn resolve(&self, name: String, _: LookupPlace) -> Addresses {
        let name = name.trim_end_matches('.').to_owned();
        let (v4, v6) = (self.ask(&name, false), self.ask(&name, true));
        Box::pin(async move {
            drop(v6);
            match v4 {
                Say::Addresses(found) | Say::Chain(_, found) | Say::Truncated(found)
                    if !found.is_empty() =>
                {
                    Ok(found)
                }
                Say::Silence | Say::Slow | Say::WrongId(_) => std::future::pending().await,
                _ => Err(io::Error::other("no such name")),
            }
        })
    }
}
