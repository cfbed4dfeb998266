//! The list of capabilities: what may be granted, what is made ready of it, what a call has of each, and
//! how they are linked. A capability that is not in this list does not exist.
//!
//! It alone names them all; what they do and what they are lent is not in here.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use wasmtime::Engine;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_wasi::cli::WasiCliCtxView;
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::context::CallContext;
use super::seam::{Behind, Seam};
use super::{clock, command, config, dir, env, http, kv, log, progress, random, streams};
use crate::grants::Grants;
use crate::shares::{Account, Holding};
use crate::terms::{Clock, Code, Fault, GuestAnswer, Wasi};
use toolhost_outbound::dial::Dialer;
use toolhost_outbound::http::Outbound;
use toolhost_outbound::secret::{Patterns, PatternsError, SecretPatterns, Secrets};
use toolhost_store::{OpenError, Store};

/// What all calls of the process share.
#[derive(Clone)]
pub struct SharedServices {
    /// The only way out to the network.
    pub dialer: Arc<Dialer>,
    /// The operator's secrets, by name.
    pub secrets: Arc<Secrets>,
    /// Where the `dir` grants' folders are.
    pub folders: dir::Folders,
    /// Where the `kv` grants' buckets are.
    pub store: Store,
}

impl SharedServices {
    /// With these ways out. Directories are relative to `base`; the store is in the folder `state`, and
    /// is opened when the first grant needs it.
    #[must_use]
    pub fn new(
        dialer: Arc<Dialer>,
        secrets: Arc<Secrets>,
        base: &Path,
        state: &Path,
        clock: Clock,
    ) -> Self {
        Self {
            dialer,
            secrets,
            folders: dir::Folders::new(base, clock),
            store: Store::new(state, clock),
        }
    }

    /// For a process that only looks: whoever owns the state folder may be at work in it.
    #[must_use]
    pub fn looking(mut self) -> Self {
        self.store = self.store.looked_at();
        self
    }

    /// Goes on with what counts over all calls: the accounts of directories and the store.
    pub fn go_on_from(&mut self, former: &Self) {
        self.folders = self.folders.sharing(&former.folders);
        self.store = former.store.clone();
    }

    /// What a tool of this name has kept beyond its calls, in words, if there is anything.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub async fn left_by(
        &self,
        tool: &str,
        deadline: Instant,
    ) -> Result<Option<String>, kv::ContentsError> {
        let left = kv::left_by(&self.store, tool, deadline).await?;
        Ok(left.map(|left| left.to_string()))
    }
}

/// Why grants cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The credentials they use cannot be searched for in answers.
    #[error("its credentials: {0}")]
    Credentials(#[from] PatternsError),
    /// Their buckets cannot be reached.
    #[error("its buckets: {0}")]
    Buckets(#[from] OpenError),
}

/// What all calls of one function share: its grants, made ready once.
pub struct PreparedGrants {
    /// `tool.function`.
    function: Arc<str>,
    grants: Grants,
    outbound: Arc<Outbound>,
    shelf: Arc<dir::LazyDirs>,
    kv: Arc<kv::Buckets>,
}

impl PreparedGrants {
    /// Makes the grants of this function ready: by its name it is known again after a reload. Where there are buckets among them this opens their file, and blocks.
    ///
    /// # Errors
    ///
    /// [`PrepareError`] says what cannot be used.
    pub fn new(
        function: &str,
        grants: &Grants,
        services: &SharedServices,
    ) -> Result<Self, PrepareError> {
        let outbound = Outbound::new(
            function,
            grants.http.clone(),
            services.secrets.clone(),
            services.dialer.clone(),
        )?;
        Ok(Self {
            function: function.into(),
            grants: grants.clone(),
            outbound: Arc::new(outbound),
            shelf: Arc::new(dir::LazyDirs::new(&grants.dir, &services.folders)),
            kv: Arc::new(kv::Buckets::new(&grants.kv, &services.store)?),
        })
    }

    /// Whether something that it grants cannot be had: a directory, or a credential.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        self.shelf.is_lacking() || self.outbound.is_lacking()
    }

    /// The function that they are made ready for, as `tool.function`.
    #[must_use]
    pub const fn function(&self) -> &Arc<str> {
        &self.function
    }

    /// The credentials that they use, to be taken out of whatever leaves a call.
    #[must_use]
    pub fn credentials(&self) -> &Arc<SecretPatterns> {
        self.outbound.credentials()
    }

    /// What has to be taken out of whatever leaves a call: the credentials that the grants of its
    /// function use, and used within the hour, whichever setup a call began with.
    #[must_use]
    pub fn patterns(&self) -> Patterns {
        self.outbound.patterns()
    }
}

/// The powers of one guest: the data of its store.
pub struct GuestState {
    /// What every answer to it from outside passes.
    seam: Seam,
    account: Account,
    /// For the tables of its resources and handles, however many there are.
    _tables: Holding,
    table: ResourceTable,
    wasi: WasiCtx,
    dir: dir::State,
    http: http::State,
    kv: kv::State,
    grants: Arc<PreparedGrants>,
    log: log::State,
    progress: progress::State,
    command: Option<command::State>,
    clock: Clock,
}

impl GuestState {
    /// Builds exactly what these grants and this call are.
    ///
    /// # Errors
    ///
    /// When the call's arguments make no command line.
    pub fn new(grants: &Arc<PreparedGrants>, context: &CallContext<'_>) -> Result<Self, Fault> {
        let tables = context.account.hold(context.limits.tables()).map_err(|_| {
            Fault::new(
                Code::OutOfHostMemory,
                "The tool's limit `host_memory` is too small for its own tables. Its operator should raise it.",
            )
        })?;
        let granted = &grants.grants;
        let log = log::State::new(granted.log, context);
        let mut wasi = WasiCtx::builder();
        // Sockets are refused before the system makes one: what it would say of it no recording could.
        wasi.allow_tcp(false).allow_udp(false);
        clock::grant(&mut wasi, context.clock);
        random::grant(&mut wasi);
        env::grant(&mut wasi, &granted.env);
        log.grant_stdio(&mut wasi);
        let command = granted.command.as_ref();
        let command = command
            .map(|grant| command::State::new(grant, context, &mut wasi))
            .transpose()?;

        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(context.limits.resources).unwrap_or(usize::MAX));
        Ok(Self {
            seam: Seam::new(context),
            account: context.account.clone(),
            _tables: tables,
            table,
            wasi: wasi.build(),
            dir: dir::State::new(&grants.shelf, context),
            http: http::State::new(&grants.outbound, context),
            kv: kv::State::new(&grants.kv, context),
            grants: grants.clone(),
            log,
            progress: progress::State::new(context),
            command,
            clock: context.clock,
        })
    }
}

/// A store's data that holds a guest's state.
pub trait HasGuestState: Send + 'static {
    /// The guest's state.
    fn guest_state(&mut self) -> &mut GuestState;
}

impl<T: HasGuestState + WasiHttpView> http::HasHttp for T {
    fn parts(&mut self) -> (&Seam, &mut http::State, &mut ResourceTable) {
        let guest = self.guest_state();
        (&guest.seam, &mut guest.http, &mut guest.table)
    }
}

/// Links every capability. What a call is not granted is linked all the same: there it is empty,
/// or refuses. A guest of WASI 0.3 finds 0.2 beside it: the standard libraries still ask for that.
///
/// # Errors
///
/// Only when two capabilities claim the same interface: a defect.
pub fn link<T: HasGuestState + WasiView + WasiHttpView>(
    linker: &mut Linker<T>,
    wasi: Wasi,
) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    linker.allow_shadowing(true);
    clock::link(linker, clocks)?;
    random::link(linker, randomness)?;
    env::link(linker, environment)?;
    streams::link(linker, io)?;
    linker.allow_shadowing(false);
    dir::link(linker, files)?;
    http::link(linker)?;
    if wasi == Wasi::V03 {
        wasmtime_wasi::p3::cli::add_to_linker(linker)?;
        wasmtime_wasi::p3::clocks::add_to_linker(linker)?;
        wasmtime_wasi::p3::random::add_to_linker(linker)?;
        wasmtime_wasi::p3::sockets::add_to_linker(linker)?;
        dir::link_p3(linker, dirs)?;
        http::link_p3(linker)?;
    }
    kv::link(linker, buckets)?;
    config::link(linker, configuration)?;
    log::link(linker, messages)?;
    progress::link(linker, reports)
}

/// The linker for a component that has another form of an interface in mind than others that name it:
/// drafts have changed without a change of their version. None for all others.
///
/// # Errors
///
/// Only when the other form cannot be linked: a defect.
pub fn variation<T: HasGuestState>(
    linker: &Linker<T>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<Option<Linker<T>>> {
    kv::variation(linker, engine, component, buckets)
}

fn clocks<T: HasGuestState>(data: &mut T) -> clock::Clocks<'_> {
    let guest = data.guest_state();
    Behind {
        seam: &guest.seam,
        live: WasiClocksCtxView {
            ctx: guest.wasi.clocks(),
            table: &mut guest.table,
        },
    }
}

fn randomness<T: HasGuestState>(data: &mut T) -> random::Random<'_> {
    let guest = data.guest_state();
    Behind {
        seam: &guest.seam,
        live: guest.wasi.random(),
    }
}

fn io<T: HasGuestState>(data: &mut T) -> streams::Streams<'_> {
    let guest = data.guest_state();
    Behind {
        seam: &guest.seam,
        live: &mut guest.table,
    }
}

fn environment<T: HasGuestState>(data: &mut T) -> env::Environment<'_> {
    let guest = data.guest_state();
    Behind {
        seam: &guest.seam,
        live: WasiCliCtxView {
            ctx: guest.wasi.cli(),
            table: &mut guest.table,
        },
    }
}

fn configuration<T: HasGuestState>(data: &mut T) -> config::Values<'_> {
    let guest = data.guest_state();
    Behind {
        seam: &guest.seam,
        live: &guest.grants.grants.config,
    }
}

fn dirs<T: HasGuestState>(data: &mut T) -> dir::Dirs<'_> {
    let guest = data.guest_state();
    dir::Dirs {
        state: &mut guest.dir,
        table: &mut guest.table,
    }
}

fn messages<T: HasGuestState>(data: &mut T) -> log::Messages<'_> {
    let guest = data.guest_state();
    Behind {
        seam: &guest.seam,
        live: &mut guest.log,
    }
}

fn reports<T: HasGuestState>(data: &mut T) -> progress::Reports<'_> {
    let guest = data.guest_state();
    Behind {
        seam: &guest.seam,
        live: &mut guest.progress,
    }
}

fn files<T: HasGuestState>(data: &mut T) -> dir::Files<'_> {
    let guest = data.guest_state();
    Behind {
        seam: &guest.seam,
        live: dir::Dirs {
            state: &mut guest.dir,
            table: &mut guest.table,
        },
    }
}

fn buckets<T: HasGuestState>(data: &mut T) -> kv::View<'_> {
    let guest = data.guest_state();
    kv::View {
        seam: &guest.seam,
        state: &mut guest.kv,
        table: &mut guest.table,
    }
}

impl GuestState {
    /// What the host holds for this call outside of the guest's own memory. Whoever is about to
    /// allocate something whose size the guest or its upstream has a say in holds it here first;
    /// where that is refused, the error ends the call as `out-of-host-memory`.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// What time it is for this call.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// What wasmtime-wasi works on.
    pub fn wasi(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }

    /// What wasmtime-wasi-http works on.
    pub fn wasi_http(&mut self) -> WasiHttpCtxView<'_> {
        self.http.view(&mut self.table)
    }

    /// What the guest last said on stderr, where the log does not have it. Free of secrets.
    #[must_use]
    pub fn last_words(&self) -> String {
        match &self.command {
            Some(command) => self.log.clean(command.complaint()),
            None => self.log.last_words(),
        }
    }

    /// Whether it is a program, whose standard error is for those who called it.
    #[must_use]
    pub const fn is_program(&self) -> bool {
        self.command.is_some()
    }

    /// What a program that ended with this exit code has answered.
    ///
    /// # Errors
    ///
    /// It printed too much, or not what the manifest says; `internal` where it was never started.
    pub fn ended(&self, exit: i32) -> Result<GuestAnswer, Fault> {
        match &self.command {
            Some(command) => command.ended(exit),
            None => Err(Fault::internal("a program ended that was not started")),
        }
    }
}
