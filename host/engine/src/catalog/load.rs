//! Loading: every tool of the manifest is read, compared with the lock, taken from the cache or
//! compiled, linked, and its functions made ready. All that is wrong is said in one run.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use super::unused_grants::{idle, idle_rights};
use super::{Catalog, Function, Lock, LockedTool, Tool, annotations, discover, reach};
use crate::capability::{PreparedGrants, SharedServices};
use crate::compile::{Cache, Docs, MOST_BYTES, Past, bounded, inspect};
use crate::gate::FunctionPolicy;
use crate::manifest::{Grants, Manifest, ToolSpec};
use crate::sandbox::{Prepared, PreparedFunction, Sandbox};
use crate::shares::Shares;
use crate::terms::{Definition, Fault, FunctionId, Listed, Wasi};

/// Long checks of one function's arguments and results that go on at once.
const JUDGES: u64 = 4;

/// Places for them, of which no caller takes more than half.
fn judges() -> Shares<Arc<str>> {
    Shares::with_most(JUDGES, JUDGES / 2)
}

/// What is wrong with a tool, with its line in the manifest.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Trouble {
    /// The line of the manifest, from 1.
    pub line: u32,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

/// A component that was read and compiled.
pub struct Loaded {
    /// Ready to run.
    pub prepared: Prepared,
    /// What it imports.
    pub imports: Vec<String>,
    /// What its author says of its functions.
    pub(super) docs: Docs,
}

/// Where components are found and kept.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// Relative component paths begin here: the manifest's folder.
    pub base: &'a Path,
    /// Compiled components.
    pub cache: &'a Cache,
    /// What the tools' powers work on.
    pub world: &'a SharedServices,
}

/// Loads every tool of the manifest, several at a time; `done` is told after each.
///
/// # Errors
///
/// All troubles of all tools.
pub fn load(
    sandbox: &Sandbox,
    manifest: &Manifest,
    lock: &Lock,
    places: Places<'_>,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Catalog, Vec<Trouble>> {
    let loading = load_each(&Catalog::default(), sandbox, manifest, lock, places, done);
    let troubles: Vec<Trouble> = loading.troubles().cloned().collect();
    match troubles.is_empty() {
        true => Ok(loading.catalog),
        false => Err(troubles),
    }
}

/// What could be loaded, and what not.
#[derive(Default)]
pub struct Loading {
    /// The tools that could. It knows which functions the others have.
    pub catalog: Catalog,
    /// What keeps tools from being loaded: each costs its own.
    pub left_out: Vec<Trouble>,
    /// What concerns more than one tool.
    pub shared: Vec<Trouble>,
}

impl Loading {
    /// All that is wrong.
    pub fn troubles(&self) -> impl Iterator<Item = &Trouble> {
        self.left_out.iter().chain(&self.shared)
    }
}

/// Loads what can be loaded, also for a host that runs: the components of `former` are taken from there.
pub fn load_each(
    former: &Catalog,
    sandbox: &Sandbox,
    manifest: &Manifest,
    lock: &Lock,
    places: Places<'_>,
    done: &(dyn Fn(&str) + Sync),
) -> Loading {
    let known = Known::of(former);
    let loaded = each(&manifest.tools, |spec| {
        let outcome = load_tool(sandbox, spec, lock, places, &known);
        done(&spec.name);
        outcome
    });
    let mut loading = Loading::default();
    for (one, spec) in loaded.into_iter().zip(&manifest.tools) {
        match one {
            Ok(functions) => insert(&mut loading.catalog, functions, &mut loading.shared),
            Err(more) => {
                loading.left_out.extend(more);
                loading.catalog.leave_out(spec, lock);
            }
        }
    }
    let idle = idle_rights(manifest, &loading.catalog, lock);
    loading.shared.extend(idle);
    loading
}

fn insert(catalog: &mut Catalog, functions: Vec<Function>, troubles: &mut Vec<Trouble>) {
    for function in functions {
        let tool = function.tool.clone();
        catalog.tools.insert(tool.spec.name.clone(), tool);
        let name = function.listed.agent_name.clone();
        if let Some(other) = catalog.functions.get(&name) {
            troubles.push(Trouble {
                line: function.tool.spec.line,
                message: format!(
                    "`{}` and `{}` are both `{name}` for agents; rename one tool",
                    function.listed.id, other.listed.id
                ),
            });
            continue;
        }
        catalog.functions.insert(name, Arc::new(function));
    }
}

fn load_tool(
    sandbox: &Sandbox,
    spec: &Arc<ToolSpec>,
    lock: &Lock,
    places: Places<'_>,
    known: &Known,
) -> Result<Vec<Function>, Vec<Trouble>> {
    let trouble = |message: String| {
        vec![Trouble {
            line: spec.line,
            message: format!("tool `{}`: {message}", spec.name),
        }]
    };
    let locked = lock.tools.get(&*spec.name).ok_or_else(|| {
        trouble("not in the lock file; look at it and run `toolhost lock`".into())
    })?;
    let bytes = read(&places.base.join(&spec.component)).map_err(trouble)?;
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    if digest != locked.digest {
        return Err(trouble(
            "its component changed since it was locked; see what changed with `toolhost lock`"
                .into(),
        ));
    }
    // These bytes were inspected when they were locked: what they import stands in the lock.
    let prepared = known
        .once((digest, spec.wasi), || {
            let for_engine = (sandbox, spec.wasi);
            prepare(for_engine, &bytes, digest, places.cache, Past::Heeded)
        })
        .map_err(trouble)?;
    let troubles = idle(spec, locked);
    if !troubles.is_empty() {
        return Err(troubles);
    }
    agrees(spec, locked, &prepared).map_err(trouble)?;
    let tool = Arc::new(Tool {
        spec: spec.clone(),
        digest: hex::encode(digest),
        prepared,
        imports: locked.imports.clone(),
    });
    let functions = locked.functions.iter().map(|definition| {
        let spec = spec.function(&definition.name).clone();
        let id = FunctionId {
            tool: tool.spec.name.clone(),
            function: definition.name.as_str().into(),
        };
        let definition = Arc::new(definition.clone());
        let component = *tool.prepared.digest();
        let policy = FunctionPolicy::new(id.clone(), component, spec.clone(), definition.clone());
        let ready = PreparedFunction::new(policy, places.world);
        Ok(Function {
            judges: judges(),
            reach: reach(&spec),
            ready: ready.map_err(|error| trouble(error.to_string()))?,
            listed: Listed {
                agent_name: id.agent_name(),
                annotations: annotations(definition.hints, &spec),
                definition,
                id,
            },
            tool: tool.clone(),
        })
    });
    functions.collect()
}

/// Whether a component that does not say itself what it offers has what the lock says.
fn agrees(spec: &ToolSpec, locked: &LockedTool, prepared: &Prepared) -> Result<(), String> {
    let same = if !spec.uses.is_empty() {
        discover::uses(spec, prepared).map_err(|fault| said(&fault))? == locked.functions
    } else if let Some(typed) = prepared.typed() {
        let has =
            |function: &Definition| typed.functions().any(|(name, _)| *name == *function.name);
        locked.functions.iter().all(has)
    } else {
        true
    };
    if same {
        return Ok(());
    }
    Err("its functions changed since it was locked; see what changed with `toolhost lock`".into())
}

/// Reads one component and compiles it for the engine of this generation, also one that did not
/// compile before.
///
/// # Errors
///
/// A sentence that says what is wrong with the file.
pub fn open_component(
    sandbox: &Sandbox,
    path: &Path,
    wasi: Wasi,
    cache: &Cache,
) -> Result<Loaded, String> {
    let bytes = read(path)?;
    let digest = Sha256::digest(&bytes).into();
    let imports = inspect(&bytes, wasi).map_err(|fault| said(&fault))?.imports;
    let prepared = prepare((sandbox, wasi), &bytes, digest, cache, Past::Forgotten)
        .map_err(|fault| said(&fault))?;
    Ok(Loaded {
        prepared,
        imports,
        docs: Docs::of(&bytes),
    })
}

/// The components of one load, by digest and engine: what several tools share is prepared once, and
/// there once.
struct Known(Mutex<HashMap<Which, Arc<OnceLock<Outcome>>>>);

/// A component by its digest, and the engine it is prepared for.
type Which = ([u8; 32], Wasi);

type Outcome = Result<Prepared, String>;

impl Known {
    fn of(former: &Catalog) -> Self {
        let known = former.tools().map(|tool| {
            let (prepared, wasi) = (tool.prepared.clone(), tool.spec.wasi);
            let component = (*prepared.digest(), wasi);
            (component, Arc::new(OnceLock::from(Ok(prepared))))
        });
        Self(Mutex::new(known.collect()))
    }

    fn once(&self, component: Which, prepare: impl FnOnce() -> Result<Prepared, Fault>) -> Outcome {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = Arc::clone(known.entry(component).or_default());
        drop(known);
        one.get_or_init(|| prepare().map_err(|fault| said(&fault)))
            .clone()
    }
}

fn prepare(
    (sandbox, wasi): (&Sandbox, Wasi),
    bytes: &[u8],
    digest: [u8; 32],
    cache: &Cache,
    past: Past,
) -> Result<Prepared, Fault> {
    let engine = sandbox.engine(wasi)?;
    let component = cache.component((engine, wasi), bytes, &digest, past)?;
    sandbox.prepare(&component, digest, wasi)
}

fn said(fault: &Fault) -> String {
    match &fault.detail {
        Some(detail) => format!("{} ({detail})", fault.say),
        None => fault.say.to_string(),
    }
}

/// Reads a component's file, and no more of it than is allowed: a file may grow while it is read,
/// and what is no ordinary file says nothing of its size.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let cannot =
        |error: io::Error| format!("its component {} cannot be read: {error}", path.display());
    let too_large = |bytes: u64| {
        format!(
            "its component {} has {bytes} bytes; {MOST_BYTES} are allowed",
            path.display()
        )
    };
    let (file, meta) = bounded::open(path).map_err(cannot)?;
    if meta.len() > MOST_BYTES {
        return Err(too_large(meta.len()));
    }
    bounded::read_open((file, meta), MOST_BYTES).map_err(cannot)
}

/// Asks every tool of the manifest what it is and offers, for a new lock.
///
/// # Errors
///
/// All troubles of all tools.
pub fn lock_tools(
    sandbox: &Sandbox,
    manifest: &Manifest,
    places: Places<'_>,
    runtime: &tokio::runtime::Handle,
    done: &(dyn Fn(&str) + Sync),
) -> Result<Lock, Vec<Trouble>> {
    let nothing =
        PreparedGrants::new("definitions", &Grants::default(), places.world).map_err(|error| {
            vec![Trouble {
                line: 1,
                message: error.to_string(),
            }]
        })?;
    let nothing = Arc::new(nothing);
    let asked = each(&manifest.tools, |spec| {
        let file = places.base.join(&spec.component);
        let outcome = open_component(sandbox, &file, spec.wasi, places.cache).and_then(|loaded| {
            let offered = discover::offer(sandbox, spec, &loaded, &nothing, runtime)
                .map_err(|fault| said(&fault))?;
            Ok(LockedTool {
                digest: *loaded.prepared.digest(),
                imports: loaded.imports,
                left_out: offered.left_out,
                functions: offered.functions,
            })
        });
        done(&spec.name);
        outcome
            .map(|locked| (spec.name.to_string(), locked))
            .map_err(|message| Trouble {
                line: spec.line,
                message: format!("tool `{}`: {message}", spec.name),
            })
    });
    let mut lock = Lock::default();
    let mut troubles = Vec::new();
    for one in asked {
        match one {
            Ok((name, locked)) => drop(lock.tools.insert(name, locked)),
            Err(trouble) => troubles.push(trouble),
        }
    }
    if troubles.is_empty() {
        Ok(lock)
    } else {
        Err(troubles)
    }
}

/// Does something for every tool, on all cores, and keeps the order.
fn each<T: Send>(tools: &[Arc<ToolSpec>], work: impl Fn(&Arc<ToolSpec>) -> T + Sync) -> Vec<T> {
    let workers = std::thread::available_parallelism()
        .map_or(1, std::num::NonZero::get)
        .min(tools.len());
    let next = AtomicUsize::new(0);
    let one_worker = || {
        let mut mine = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(tool) = tools.get(index) else {
                return mine;
            };
            mine.push((index, work(tool)));
        }
    };
    let mut all: Vec<(usize, T)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(one_worker)).collect();
        threads
            .into_iter()
            .flat_map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, value)| value).collect()
}

/// The path of a manifest's lock file: beside it, with the ending `.lock`.
#[must_use]
pub fn lock_path(manifest: &Path) -> PathBuf {
    manifest.with_extension("lock")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn g75_one_callers_long_checks_leave_places_for_anothers() {
        let (judges, ada, bob) = (judges(), "ada".into(), "bob".into());
        let wait = |caller| judges.wait(caller, 1).now_or_never();
        let held: Vec<_> = (0..10).filter_map(|_| wait(&ada)).collect();
        assert_eq!(held.len(), 2);
        assert!(wait(&bob).is_some());
    }
}
