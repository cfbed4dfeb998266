//! One call inside the process: everything the host does against the bare engine.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Map, Value};
use toolhost::call::{Host, Request, Setup};
use toolhost::capability::http::Secrets;
use toolhost::capability::service::dial::Dialer;
use toolhost::capability::{BoundPre, World, dir, kv};
use toolhost::catalog::{self, Cache, CompileLimits, Compiler, Places};
use toolhost::gate::Callers;
use toolhost::ledger::{Header, Ledger, Mode};
use toolhost::quota::Quota;
use toolhost::sandbox::{Lanes, Sandbox};
use toolhost::terms::{Caller, Door, Outcome, Wasi};
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::drive::ECHO;
use crate::stage::Stage;
use crate::stats::{Pairs, median};

const ROUNDS: usize = 40;
const CALLS: u32 = 500;

pub(crate) fn call(stage: &Stage) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let sandbox = Arc::new(Sandbox::new().unwrap());
    let raw = Raw::new(sandbox.engine(Wasi::default()).unwrap(), stage);
    let host = host(stage, sandbox);
    let Value::Object(arguments) = serde_json::from_str(ECHO).unwrap() else {
        panic!()
    };
    let (mut turns, mut batches) = (Pairs::default(), Pairs::default());
    runtime.block_on(async {
        raw.calls(CALLS).await;
        ours(&host, &arguments, CALLS).await;
        for _ in 0..ROUNDS {
            // Call by call: both find the processor and its caches as the other left them.
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for _ in 0..CALLS {
                a.push(ours(&host, &arguments, 1).await);
                b.push(raw.calls(1).await);
            }
            turns.push(median(&mut a), median(&mut b));
            batches.push(ours(&host, &arguments, CALLS).await, raw.calls(CALLS).await);
        }
    });
    turns.print(
        "a call in the process, against the raw call",
        "us",
        "<= 1.8",
    );
    batches.print("  in batches of 500", "us", "");
}

/// Microseconds of a call through the whole host.
async fn ours(host: &Arc<Host>, arguments: &Map<String, Value>, calls: u32) -> f64 {
    let caller = Caller {
        agent: "local".into(),
        user: None,
    };
    let start = Instant::now();
    for _ in 0..calls {
        let request = Request {
            caller: caller.clone(),
            door: Door::Cli,
            function: "test_echo".to_owned(),
            arguments: arguments.clone(),
            progress: None,
        };
        let released = host.call(request).await.unwrap();
        assert!(matches!(released.outcome(), Outcome::Output(_)));
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

fn host(stage: &Stage, sandbox: Arc<Sandbox>) -> Arc<Host> {
    let path = stage.path("toolhost");
    let manifest =
        toolhost::manifest::parse("toolhost.toml", &std::fs::read_to_string(&path).unwrap())
            .unwrap();
    let lock =
        catalog::Lock::parse(&std::fs::read_to_string(catalog::lock_path(&path)).unwrap()).unwrap();
    let compiler = Compiler::program(crate::stage::TOOLHOST.into(), CompileLimits::DEFAULT);
    let cache = Cache::open(stage.folder.join("inside.compiled"), compiler).unwrap();
    let world = World {
        dialer: Arc::new(Dialer::new()),
        secrets: Arc::new(Secrets::default()),
        folders: dir::Folders::new(&stage.folder),
        kv: kv::Place::new(stage.folder.join("kv.sqlite")),
    };
    let places = Places {
        base: &stage.folder,
        cache: &cache,
        world: &world,
    };
    let catalog = catalog::load(&sandbox, &manifest, &lock, places, &|_| {}).unwrap();
    let header = Header {
        host_version: "bench",
        mode: Mode::Dev,
        manifest: "",
    };
    let ledger = Ledger::open(
        &stage.folder.join("inside.ledger"),
        &header,
        std::time::SystemTime::now,
    )
    .unwrap();
    let lanes = Lanes::new().unwrap();
    Arc::new(Host::new(
        Setup::new(Callers::new(&[], 0, None), catalog, Mode::Dev),
        Quota::new(&manifest),
        (sandbox, lanes),
        ledger,
    ))
}

/// What an embedder does at the least: a fresh store with fuel, epoch and a limiter, a fresh
/// instance from a linked component, one call through generated bindings.
struct Raw {
    engine: Engine,
    pre: BoundPre<State>,
}

pub(crate) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    limits: StoreLimits,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// A fresh store, as an embedder makes one.
pub(crate) fn store(engine: &Engine) -> Store<State> {
    let state = State {
        wasi: WasiCtx::builder().build(),
        table: ResourceTable::new(),
        limits: StoreLimitsBuilder::new().memory_size(64 << 20).build(),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    store.set_fuel(5_000_000_000).unwrap();
    store.fuel_async_yield_interval(Some(100_000)).unwrap();
    store.set_epoch_deadline(1_000);
    store
}

impl Raw {
    fn new(engine: &Engine, stage: &Stage) -> Self {
        let component = Component::from_file(engine, stage.guests.join("everything.wasm")).unwrap();
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        linker.define_unknown_imports_as_traps(&component).unwrap();
        let pre = BoundPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self {
            engine: engine.clone(),
            pre,
        }
    }

    async fn calls(&self, calls: u32) -> f64 {
        let start = Instant::now();
        for _ in 0..calls {
            let mut store = store(&self.engine);
            let tool = self.pre.instantiate_async(&mut store).await.unwrap();
            let output = tool
                .toolhost_tool_tools()
                .call_call(&mut store, "echo", ECHO)
                .await
                .unwrap();
            assert!(output.is_ok());
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    }
}
