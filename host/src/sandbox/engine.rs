//! The one engine: what code it accepts, how instances are laid out, and the clock that ends them.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use wasmtime::component::{Component, Linker};
use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
    Strategy, WasmFeatures,
};

use super::state::Running;
use crate::capability::{self, BoundPre};
use crate::terms::{Code, Fault};

/// One tick of the epoch, the unit in which a guest's deadline is checked in its own code.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Calls that may run at once in one process, at the most; what the manifest grants is below it.
/// A slot is address space, not memory: 4 GiB each of 128 TiB.
pub(super) const MOST_CALLS: u32 = 1_000;

/// Core instances that one component may have when all slots are taken: a Python component has 14.
const INSTANCES_PER_CALL: u32 = 16;

/// The sandbox: everything that is built once and shared by all calls.
pub struct Sandbox {
    engine: Engine,
    linker: Linker<Running>,
    _ticker: Ticker,
}

/// A component ready to be instantiated: linked and checked, never run. Clones share its code.
#[derive(Clone)]
pub struct Prepared {
    pub(super) pre: BoundPre<Running>,
    digest: [u8; 32],
}

impl Prepared {
    /// SHA-256 of the component's bytes.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 32] {
        &self.digest
    }
}

impl Sandbox {
    /// Builds the engine and links the capabilities.
    ///
    /// # Errors
    ///
    /// When the machine cannot reserve the address space, or is not supported by Cranelift.
    pub fn new() -> Result<Self, Fault> {
        let engine = Engine::new(&config()).map_err(|error| {
            Fault::internal(format!(
                "the engine cannot start on this machine: {error:#}"
            ))
        })?;
        let mut linker = Linker::new(&engine);
        capability::link(&mut linker).map_err(|error| Fault::internal(format!("{error:#}")))?;
        let ticker = Ticker::start(engine.clone())
            .map_err(|error| Fault::internal(format!("the clock thread cannot start: {error}")))?;
        Ok(Self {
            engine,
            linker,
            _ticker: ticker,
        })
    }

    /// The engine, for whoever compiles and caches components.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Links a component against the capabilities and checks that it is a tool.
    ///
    /// # Errors
    ///
    /// `bad-component` when it imports what nobody provides or does not export `toolhost:tool/tools`.
    pub fn prepare(&self, component: &Component, digest: [u8; 32]) -> Result<Prepared, Fault> {
        let bad = |error: wasmtime::Error| {
            Fault::new(
                Code::BadComponent,
                format!("the component does not fit the host: {error:#}"),
            )
        };
        let pre = self.linker.instantiate_pre(component).map_err(bad)?;
        let pre = BoundPre::new(pre).map_err(bad)?;
        Ok(Prepared { pre, digest })
    }
}

/// An engine that compiles for the sandbox's and runs nothing: the same settings but for where
/// instances are laid out, which no native code knows.
///
/// # Errors
///
/// When this machine is not supported by Cranelift.
pub fn compiling_engine() -> Result<Engine, String> {
    Engine::new(&code()).map_err(|error| format!("the compiler cannot start: {error:#}"))
}

fn config() -> Config {
    let mut config = code();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool()));
    config
}

/// What decides which code is accepted and what it is compiled to: the hardened profile of the
/// threat model, section 1.3. It is also the fast one.
fn code() -> Config {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // The same input gives the same bits on every machine, so that a call can be replayed.
        .cranelift_nan_canonicalization(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .wasm_component_model(true)
        // Most of this year's advisories were in what is switched off here.
        .concurrency_support(false)
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
fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MOST_CALLS)
        .total_core_instances(MOST_CALLS * INSTANCES_PER_CALL)
        .total_memories(MOST_CALLS * 3)
        .total_tables(MOST_CALLS * 4)
        .total_stacks(MOST_CALLS)
        .max_core_instances_per_component(64)
        .max_memories_per_component(16)
        .max_tables_per_component(64)
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
    fn start(engine: Engine) -> std::io::Result<Self> {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = thread::Builder::new().name("epoch".into()).spawn(move || {
            while stopped.recv_timeout(TICK) == Err(mpsc::RecvTimeoutError::Timeout) {
                engine.increment_epoch();
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
