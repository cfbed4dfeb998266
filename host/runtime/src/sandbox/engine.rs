//! The engines: what code they accept, how instances are laid out, and the clock that ends them.
//! There are two, alike but for one thing: a tool of WASI 0.3 needs the component model's async,
//! which is off for all others. The second is made when a tool first asks for it.

use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    Strategy, WasmFeatures,
};

use super::entry::Entry;
use super::state::StoreData;
use super::typed::Typed;
use crate::capability;
use crate::shares::{Lease, Shares};
use crate::terms::{Clock, Code, Fault, Wasi};

/// One tick of the epoch, the unit in which a guest's deadline is checked in its own code.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Calls that may run at once in one process, at the most; what the manifest grants is below it.
/// A slot is address space, not memory: 4 GiB each of 128 TiB.
pub(super) const MOST_CALLS: u32 = 1_000;

/// The same of tools of WASI 0.3, which callers share.
const MOST_V03_CALLS: u32 = 250;

/// Core instances and tables that a component may have: as many for each call, so that no call takes
/// another's. They cost nothing as long as they are not used.
pub(super) const INSTANCES_PER_CALL: u32 = 64;
pub(super) const TABLES_PER_CALL: u32 = 64;

/// Memories that a component may have. A slot is address space for each: there are [`MEMORIES`] for
/// each call, and more for components that are composed of many, which callers share.
pub(super) const MEMORIES_PER_CALL: u32 = 16;
const MEMORIES: u32 = 3;
const MORE_MEMORIES: u32 = 512;

/// Stacks of a call of WASI 0.3. Each component within a component can hold one while it waits, and has
/// a core instance for that: so no call takes another's.
const STACKS_PER_V03_CALL: u32 = INSTANCES_PER_CALL;

/// The sandbox: everything that is built once and shared by all calls.
pub struct Sandbox {
    clock: Clock,
    usual: Profile,
    v03: Arc<OnceLock<Result<Profile, Fault>>>,
    _ticker: Ticker,
}

/// One engine, and what its components are linked with.
struct Profile {
    engine: Engine,
    linker: Linker<StoreData>,
    more_memories: Shares<Arc<str>>,
    /// Slots for calls, where there are fewer than calls may run.
    slots: Option<Shares<Arc<str>>>,
}

impl Profile {
    fn new(wasi: Wasi) -> Result<Self, Fault> {
        let engine = Engine::new(&config(wasi)).map_err(|error| {
            let of = wasi.as_str();
            Fault::internal(format!(
                "the engine for WASI {of} cannot start on this machine: {error:#}"
            ))
        })?;
        let mut linker = Linker::new(&engine);
        capability::link(&mut linker, wasi)
            .map_err(|error| Fault::internal(format!("{error:#}")))?;
        Ok(Self {
            engine,
            linker,
            more_memories: Shares::new(MORE_MEMORIES.into()),
            slots: match wasi {
                Wasi::V02 => None,
                Wasi::V03 => Some(Shares::new(MOST_V03_CALLS.into())),
            },
        })
    }
}

/// A component ready to be instantiated: linked and checked, never run. Clones share its code.
#[derive(Clone)]
pub struct Prepared {
    pub(super) entry: Entry,
    digest: [u8; 32],
    wasi: Wasi,
    /// What a call takes of what callers share of the pool, and how much of it.
    shared: Vec<(Shares<Arc<str>>, u64)>,
}

impl Prepared {
    /// SHA-256 of the component's bytes.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The generation of WASI that it is linked with.
    pub(super) const fn wasi(&self) -> Wasi {
        self.wasi
    }

    /// Takes what the component needs of the pool beyond what there is for each call.
    pub(super) async fn room(&self, caller: &Arc<str>) -> Result<Vec<Lease<Arc<str>>>, Fault> {
        let mut room = Vec::new();
        for (shares, amount) in &self.shared {
            let lease = shares.wait(caller, *amount).await;
            room.push(lease.map_err(Fault::internal)?);
        }
        Ok(room)
    }

    /// The functions that the component's types give; none where it says itself what it offers.
    #[must_use]
    pub fn typed(&self) -> Option<&Typed> {
        self.entry.typed()
    }

    /// Whether it is a program, which the manifest has to describe.
    #[must_use]
    pub const fn is_command(&self) -> bool {
        self.entry.is_command()
    }
}

impl Sandbox {
    /// Builds the usual engine and links the capabilities. Calls are timed by this clock, and see it.
    ///
    /// # Errors
    ///
    /// When the machine cannot reserve the address space, or is not supported by Cranelift.
    pub fn new(clock: Clock) -> Result<Self, Fault> {
        let usual = Profile::new(Wasi::V02)?;
        let v03 = Arc::default();
        let ticker = Ticker::start(usual.engine.clone(), Arc::clone(&v03))
            .map_err(|error| Fault::internal(format!("the clock thread cannot start: {error}")))?;
        Ok(Self {
            usual,
            v03,
            clock,
            _ticker: ticker,
        })
    }

    /// By which calls are timed.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    fn profile(&self, wasi: Wasi) -> Result<&Profile, Fault> {
        match wasi {
            Wasi::V02 => Ok(&self.usual),
            Wasi::V03 => {
                let made = self.v03.get_or_init(|| Profile::new(wasi));
                made.as_ref().map_err(Fault::clone)
            }
        }
    }

    /// The engine for tools of this generation, for whoever compiles and caches components. That
    /// for WASI 0.3 is made when it is first asked for.
    ///
    /// # Errors
    ///
    /// When the machine cannot reserve the address space for it.
    pub fn engine(&self, wasi: Wasi) -> Result<&Engine, Fault> {
        self.profile(wasi).map(|profile| &profile.engine)
    }

    /// Links a component of this generation against the capabilities and sees how it is spoken to.
    ///
    /// # Errors
    ///
    /// `bad-component` when it imports what nobody provides, or misses a part of the contract.
    pub fn prepare(
        &self,
        component: &Component,
        digest: [u8; 32],
        wasi: Wasi,
    ) -> Result<Prepared, Fault> {
        let bad = |error: wasmtime::Error| {
            Fault::new(
                Code::BadComponent,
                format!("the component does not fit the host: {error:#}"),
            )
        };
        let profile = self.profile(wasi)?;
        let other = capability::variation(&profile.linker, component.engine(), component);
        let other = other.map_err(bad)?;
        let linker = other.as_ref().unwrap_or(&profile.linker);
        let pre = linker.instantiate_pre(component).map_err(bad)?;
        let entry = Entry::of(component.engine(), component, pre).map_err(bad)?;
        let memories = component.resources_required();
        let memories = memories.map_or(MEMORIES_PER_CALL, |needs| needs.num_memories);
        let more = memories.saturating_sub(MEMORIES);
        let slot = profile.slots.iter().map(|slots| (slots.clone(), 1));
        let more = (more > 0).then(|| (profile.more_memories.clone(), more.into()));
        Ok(Prepared {
            entry,
            digest,
            wasi,
            shared: slot.chain(more).collect(),
        })
    }
}

/// An engine that compiles for the sandbox's of this generation and runs nothing: the same settings
/// but for where instances are laid out, and for `alone`, which compiles on the calling thread only:
/// no native code knows of either.
///
/// # Errors
///
/// When this machine is not supported by Cranelift.
pub fn compiling_engine(wasi: Wasi, alone: bool) -> Result<Engine, String> {
    let mut code = code(wasi);
    code.parallel_compilation(!alone);
    Engine::new(&code).map_err(|error| format!("the compiler cannot start: {error:#}"))
}

fn config(wasi: Wasi) -> Config {
    let mut config = code(wasi);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(wasi)));
    config
}

/// What decides which code is accepted and what it is compiled to: the hardened profile of the
/// threat model, section 1.3. It is also the fast one.
fn code(wasi: Wasi) -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // The same input gives the same bits on every machine, so that a call can be replayed.
        .cranelift_nan_canonicalization(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .wasm_component_model(true)
        // On the wire a list of pairs.
        .wasm_component_model_map(true)
        // Most of this year's advisories were in what is switched off here. Tools of WASI 0.3 have
        // async functions, streams and futures: stackless ones, and none of what is still apart.
        .concurrency_support(wasi == Wasi::V03)
        .wasm_component_model_async(wasi == Wasi::V03)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        // Not with garbage collection, which is not built in: on by itself.
        .wasm_features(WasmFeatures::FUNCTION_REFERENCES, false)
        // What a component's own parts say to each other is copied by code that wasmtime makes and
        // that imports both memories: without this no component composed of several is accepted,
        // and QuickJS's are. A module may still define one memory only, see `pool`.
        .wasm_multi_memory(true)
        .wasm_tail_call(true)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16))
        .generate_address_map(false)
        .async_stack_zeroing(true);
    config
}

/// The pool's sizes are hard ceilings over all calls; the limits of one call are the meter's.
fn pool(wasi: Wasi) -> PoolingAllocationConfig {
    let (calls, stacks) = match wasi {
        Wasi::V02 => (MOST_CALLS, MOST_CALLS),
        Wasi::V03 => (MOST_V03_CALLS, MOST_V03_CALLS * STACKS_PER_V03_CALL),
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_core_instances(calls * INSTANCES_PER_CALL)
        .total_memories(calls * MEMORIES + MORE_MEMORIES)
        .total_tables(calls * TABLES_PER_CALL)
        .total_stacks(stacks)
        .max_core_instances_per_component(INSTANCES_PER_CALL)
        .max_memories_per_component(MEMORIES_PER_CALL)
        .max_tables_per_component(TABLES_PER_CALL)
        .max_tables_per_module(16)
        .max_memories_per_module(1)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(20_000)
        .max_memory_size(1 << 30)
        .max_unused_warm_slots(100)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(16 << 10)
        .async_stack_keep_resident(16 << 10)
        // Where the kernel can say which pages a guest touched, only those are cleaned.
        .pagemap_scan(Enabled::Auto);
    pool
}

/// The thread that advances the epoch. It stops with the sandbox.
struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Ticker {
    fn start(usual: Engine, v03: Arc<OnceLock<Result<Profile, Fault>>>) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("epoch".into()).spawn(move || {
            while stopped.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                usual.increment_epoch();
                if let Some(Ok(profile)) = v03.get() {
                    profile.engine.increment_epoch();
                }
            }
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use futures_util::FutureExt as _;

    use super::*;

    /// A component of so many memories, with one function.
    fn component(memories: usize) -> String {
        let more = "(core instance (instantiate $m))".repeat(memories - 1);
        format!(
            r#"(component
                (core module $m (memory (export "m") 1) (func (export "f")))
                (core instance $first (instantiate $m))
                {more}
                (func (export "f") (canon lift (core func $first "f"))))"#
        )
    }

    #[tokio::test]
    async fn g74_a_component_of_many_memories_leaves_room_for_others() {
        let sandbox = Sandbox::new(Clock::SYSTEM).unwrap();
        let engine = sandbox.engine(Wasi::V02).unwrap();
        let prepared = |memories| {
            let bytes = wat::parse_str(component(memories)).unwrap();
            let component = Component::new(engine, bytes).unwrap();
            sandbox.prepare(&component, [0; 32], Wasi::V02).unwrap()
        };
        let (ada, bob) = ("ada".into(), "bob".into());
        let usual = prepared(usize::try_from(MEMORIES).unwrap());
        assert!(usual.room(&ada).await.unwrap().is_empty());
        let many = prepared(usize::try_from(MEMORIES_PER_CALL).unwrap());
        let mut held = Vec::new();
        while let Some(room) = many.room(&ada).now_or_never() {
            held.extend(room.unwrap());
        }
        let sum: u64 = held.iter().map(Lease::amount).sum();
        assert!(sum > 0 && sum < u64::from(MORE_MEMORIES) * 2 / 3, "{sum}");
        assert!(many.room(&bob).now_or_never().is_some());
    }

    #[tokio::test]
    async fn g85_one_callers_calls_of_wasi_0_3_leave_slots_for_others() {
        let sandbox = Sandbox::new(Clock::SYSTEM).unwrap();
        let engine = sandbox.engine(Wasi::V03).unwrap();
        let bytes = wat::parse_str(component(1)).unwrap();
        let component = Component::new(engine, bytes).unwrap();
        let prepared = sandbox.prepare(&component, [0; 32], Wasi::V03).unwrap();
        let (ada, bob) = ("ada".into(), "bob".into());
        let mut held = Vec::new();
        while let Some(room) = prepared.room(&ada).now_or_never() {
            held.extend(room.unwrap());
        }
        assert_eq!(held.len(), usize::try_from(MOST_V03_CALLS).unwrap() / 2);
        assert!(prepared.room(&bob).now_or_never().is_some());
    }
}
