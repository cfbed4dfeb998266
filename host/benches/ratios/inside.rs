//! One call inside the process: everything the host does against the bare engine.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use toolhost_core::gate::Callers;
use toolhost_core::quota::Quota;
use toolhost_core::terms::{Caller, Clock, Door, Outcome, Wasi};
use toolhost_engine::call::{Host, Request, Snapshot};
use toolhost_engine::catalog::{self, Places};
use toolhost_ledger::state::{Role, StateLock};
use toolhost_ledger::{Header, Ledger, Mode};
use toolhost_outbound::dial::Dialer;
use toolhost_outbound::secret::Secrets;
use toolhost_runtime::capability::{BoundPre, SharedServices};
use toolhost_runtime::compile::{Cache, CompileLimits, Compiler};
use toolhost_runtime::sandbox::{Lanes, Sandbox};
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, Linker, ResourceTable, ResourceType};
use wasmtime::{Engine, Store, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

use crate::drive::ECHO;
use crate::stage::Stage;
use crate::stats::{Pairs, median};

const ROUNDS: usize = 40;

/// A function to call.
pub(crate) struct Subject<'a> {
    /// The manifest that has its tool.
    pub(crate) manifest: &'a str,
    pub(crate) tool: &'a str,
    pub(crate) function: &'a str,
    pub(crate) arguments: &'a str,
    /// Whether it gives a result, and not an error of the tool's own.
    pub(crate) succeeds: bool,
    /// The tool's component.
    pub(crate) component: &'a Path,
    /// Calls in a batch.
    pub(crate) calls: u32,
}

pub(crate) fn call(stage: &Stage) {
    let subject = Subject {
        manifest: "toolhost",
        tool: "test",
        function: "echo",
        arguments: ECHO,
        succeeds: true,
        component: &stage.guests.join("echo.wasm"),
        calls: 500,
    };
    let what = "a call in the process, against the raw call";
    compare(stage, &subject, what, "<= 1.8");
}

pub(crate) fn compare(stage: &Stage, subject: &Subject<'_>, what: &str, asked: &str) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let sandbox = Arc::new(Sandbox::new(Clock::SYSTEM).unwrap());
    let raw = Raw::new(sandbox.engine(Wasi::default()).unwrap(), subject.component);
    let host = host(stage, sandbox, subject.manifest);
    let (mut turns, mut batches) = (Pairs::default(), Pairs::default());
    runtime.block_on(async {
        raw.calls(subject, subject.calls).await;
        ours(&host, subject, subject.calls).await;
        for _ in 0..ROUNDS {
            // Call by call: both find the processor and its caches as the other left them.
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for _ in 0..subject.calls {
                a.push(ours(&host, subject, 1).await);
                b.push(raw.calls(subject, 1).await);
            }
            turns.push(median(&mut a), median(&mut b));
            batches.push(
                ours(&host, subject, subject.calls).await,
                raw.calls(subject, subject.calls).await,
            );
        }
    });
    turns.print(what, "us", asked);
    batches.print(&format!("  in batches of {}", subject.calls), "us", asked);
}

/// Microseconds of a call through the whole host.
async fn ours(host: &Arc<Host>, subject: &Subject<'_>, calls: u32) -> f64 {
    let caller = Caller {
        agent: "local".into(),
        user: None,
    };
    let Value::Object(arguments) = serde_json::from_str(subject.arguments).unwrap() else {
        panic!()
    };
    let function = format!("{}_{}", subject.tool, subject.function);
    let start = Instant::now();
    for _ in 0..calls {
        let request = Request {
            caller: caller.clone(),
            door: Door::Cli,
            function: function.clone(),
            arguments: arguments.clone(),
            progress: None,
        };
        let released = host.call(request).await.unwrap();
        let succeeded = matches!(released.outcome(), Outcome::Output(_));
        assert_eq!(succeeded, subject.succeeds);
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
}

fn host(stage: &Stage, sandbox: Arc<Sandbox>, manifest: &str) -> Arc<Host> {
    let path = stage.path(manifest);
    let manifest =
        toolhost_core::manifest::parse("toolhost.toml", &std::fs::read_to_string(&path).unwrap())
            .unwrap();
    let lock =
        catalog::Lock::parse(&std::fs::read_to_string(catalog::lock_path(&path)).unwrap()).unwrap();
    let compiler = Compiler::program(crate::stage::TOOLHOST.into(), CompileLimits::DEFAULT);
    let cache = Cache::open(stage.folder.join("inside.compiled"), compiler).unwrap();
    let world = SharedServices::new(
        Arc::new(Dialer::new()),
        Arc::new(Secrets::default()),
        &stage.folder,
        &stage.folder,
        Clock::SYSTEM,
    );
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
    let state = StateLock::take(&stage.folder.join("inside"), Role::Call).unwrap();
    let ledger = Ledger::open(state, &header, Clock::SYSTEM).unwrap();
    let lanes = Lanes::for_many().unwrap();
    Arc::new(Host::new(
        Snapshot::new(Callers::new(&[], 0, None), catalog, Mode::Dev),
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
    http: (WasiHttpCtx, NoNetwork),
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

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let (ctx, hooks) = &mut self.http;
        WasiHttpCtxView {
            hooks,
            table: &mut self.table,
            ctx,
        }
    }
}

/// For components that import HTTP and do not use it here.
struct NoNetwork;

type Trailing = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for NoNetwork {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Trailing,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Trailing), Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

/// A fresh store, as an embedder makes one.
pub(crate) fn store(engine: &Engine) -> Store<State> {
    let state = State {
        wasi: WasiCtx::builder().build(),
        http: (WasiHttpCtx::new(), NoNetwork),
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

/// What no engine has by itself, for components that import it and do not use it here.
fn forbid(linker: &mut Linker<State>, engine: &Engine, component: &Component) {
    let own = [
        "toolhost:",
        "wasi:config/",
        "wasi:keyvalue/",
        "wasi:logging/",
    ];
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(instance) = import.ty else {
            continue;
        };
        if !own.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let mut linked = linker.instance(name).unwrap();
        for (name, export) in instance.exports(engine) {
            match export.ty {
                ComponentItem::ComponentFunc(_) => linked
                    .func_new(name, |_, _, _, _| wasmtime::bail!("it is not there"))
                    .unwrap(),
                ComponentItem::Resource(_) => linked
                    .resource(name, ResourceType::host::<()>(), |_, _| Ok(()))
                    .unwrap(),
                _ => {}
            }
        }
    }
}

impl Raw {
    fn new(engine: &Engine, component: &Path) -> Self {
        let component = Component::from_file(engine, component).unwrap();
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
        forbid(&mut linker, engine, &component);
        let pre = BoundPre::new(linker.instantiate_pre(&component).unwrap()).unwrap();
        Self {
            engine: engine.clone(),
            pre,
        }
    }

    async fn calls(&self, subject: &Subject<'_>, calls: u32) -> f64 {
        let start = Instant::now();
        for _ in 0..calls {
            let mut store = store(&self.engine);
            let tool = self.pre.instantiate_async(&mut store).await.unwrap();
            let tools = tool.toolhost_tool_tools();
            let answer = tools.call_call(&mut store, subject.function, subject.arguments);
            assert_eq!(answer.await.unwrap().is_ok(), subject.succeeds);
        }
        start.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    }
}
