//! What every capability is lent: the state of one call, and the one list that links them. A capability that is not in this list does not exist.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::Engine;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtxView, WasiHttpView};

use super::attempts::AttemptLog;
use super::service::database::{Database, OpenError};
use super::service::dial::Dialer;
use super::service::secret::{Patterns, PatternsError, Secrets};
use super::{clock, command, config, dir, env, http, kv, log, progress, random, tools};
use crate::shares::{Account, Exceeded, Holding};
use crate::terms::{Caller, Code, Fault, Limits, Progress, Wasi};

/// Powers, by capability. Empty is what a tool has when the manifest grants nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    /// Where requests may go.
    pub http: Vec<Arc<http::HttpGrant>>,
    /// Which directories exist.
    pub dir: Vec<dir::DirGrant>,
    /// Which variables exist.
    pub env: Vec<env::EnvGrant>,
    /// Which buckets exist.
    pub kv: Vec<kv::KvGrant>,
    /// Which configuration values exist.
    pub config: Vec<config::ConfigGrant>,
    /// Whether log messages are kept.
    pub log: Option<log::LogGrant>,
    /// How the function is a use of a program, where it is one.
    pub command: Option<Arc<command::CommandGrant>>,
}

/// What all calls of the process share.
#[derive(Clone)]
pub struct World {
    /// The only way out to the network.
    pub dialer: Arc<Dialer>,
    /// The operator's secrets, by name.
    pub secrets: Arc<Secrets>,
    /// Where the `dir` grants' folders are.
    pub folders: dir::Folders,
    /// Where the `kv` grants' buckets are.
    pub kv: kv::Place,
}

/// Why grants cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum EquipError {
    /// The credentials they use cannot be searched for in answers.
    #[error("its credentials: {0}")]
    Credentials(#[from] PatternsError),
    /// Their buckets cannot be reached.
    #[error("its buckets: {0}")]
    Buckets(#[from] OpenError),
}

/// What all calls of one function share: its grants, made ready once.
pub struct Equipment {
    /// `tool.function`.
    pub(super) function: Arc<str>,
    pub(super) grants: Grants,
    pub(super) outlet: Arc<http::Outlet>,
    pub(super) shelf: dir::Shelf,
    pub(super) kv: Option<Arc<Database>>,
}

impl Equipment {
    /// Makes the grants of this function ready: by its name it is known again after a reload. Where there are buckets among them this opens their file, and blocks.
    ///
    /// # Errors
    ///
    /// [`EquipError`] says what cannot be used.
    pub fn new(function: &str, grants: &Grants, world: &World) -> Result<Self, EquipError> {
        let outlet = http::Outlet::new(
            function,
            grants.http.clone(),
            world.secrets.clone(),
            world.dialer.clone(),
        )?;
        let kv = match grants.kv.is_empty() {
            true => None,
            false => Some(world.kv.database()?),
        };
        Ok(Self {
            function: function.into(),
            grants: grants.clone(),
            outlet: Arc::new(outlet),
            shelf: dir::Shelf::new(&grants.dir, &world.folders),
            kv,
        })
    }

    /// Whether something that it grants cannot be had: a directory, or a credential.
    #[must_use]
    pub fn is_lacking(&self) -> bool {
        self.shelf.is_lacking() || self.outlet.is_lacking()
    }

    /// What has to be taken out of whatever leaves a call: the credentials that the grants of its
    /// function use, and used within the hour, whichever setup a call began with.
    #[must_use]
    pub fn patterns(&self) -> Patterns {
        self.outlet.patterns()
    }
}

/// What one call gets; the guest's powers are built from nothing else.
pub struct Charter<'a> {
    /// The powers.
    pub equipment: &'a Arc<Equipment>,
    /// Their bounds.
    pub limits: &'a Limits,
    /// What the call was given, a JSON object: rules may compare with it.
    pub arguments: &'a Arc<str>,
    /// When everything has to be over.
    pub deadline: Instant,
    /// Who asked; nobody, where a component is asked what it is.
    pub caller: Option<&'a Caller>,
    /// Where progress goes, when the agent asked for it.
    pub progress: Option<tokio::sync::mpsc::Sender<Progress>>,
}

/// The powers of one guest: the data of its store.
pub struct Powers {
    account: Account,
    /// For the tables of its resources and handles, however many there are.
    _tables: Holding,
    table: ResourceTable,
    wasi: WasiCtx,
    dir: dir::State,
    http: http::State,
    kv: kv::State,
    equipment: Arc<Equipment>,
    log: log::State,
    progress: progress::State,
    command: Option<command::State>,
}

impl Powers {
    /// Builds exactly what the charter says.
    ///
    /// # Errors
    ///
    /// When the call's arguments make no command line.
    pub fn new(charter: Charter<'_>, attempts: &AttemptLog) -> Result<Self, Fault> {
        let equipment = charter.equipment;
        let account = Account::new(charter.limits.host_memory);
        let tables = account.hold(charter.limits.tables()).map_err(|_| {
            Fault::new(
                Code::OutOfHostMemory,
                "The tool's limit `host_memory` is too small for its own tables. Its operator should raise it.",
            )
        })?;
        let log = log::State::new(&charter, attempts);
        let mut wasi = WasiCtx::builder();
        clock::grant(&mut wasi);
        random::grant(&mut wasi);
        env::grant(&mut wasi, &equipment.grants.env);
        log.grant_stdio(&mut wasi);
        let command = equipment.grants.command.as_ref();
        let command = command
            .map(|grant| command::State::new(grant, &charter, &mut wasi, &account))
            .transpose()?;

        let mut table = ResourceTable::new();
        table.set_max_capacity(usize::try_from(charter.limits.resources).unwrap_or(usize::MAX));
        let http = http::State::new(&charter, attempts, &account);
        let kv = kv::State::new(&charter, attempts, &account);
        let dir = dir::State::new(&charter, attempts, &account);
        Ok(Self {
            account,
            _tables: tables,
            table,
            wasi: wasi.build(),
            dir,
            http,
            kv,
            equipment: equipment.clone(),
            log,
            progress: progress::State::new(charter.progress, equipment.clone(), attempts),
            command,
        })
    }
}

/// A store's data that holds a guest's powers.
pub trait Holder: Send + 'static {
    /// The guest's powers.
    fn powers(&mut self) -> &mut Powers;
}

/// Links every capability. What a call is not granted is linked all the same: there it is empty,
/// or refuses. A guest of WASI 0.3 finds 0.2 beside it: the standard libraries still ask for that.
///
/// # Errors
///
/// Only when two capabilities claim the same interface: a defect.
pub fn link<T: Holder + WasiView + WasiHttpView>(
    linker: &mut Linker<T>,
    wasi: Wasi,
) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    dir::link(linker)?;
    http::link(linker)?;
    if wasi == Wasi::V03 {
        wasmtime_wasi::p3::cli::add_to_linker(linker)?;
        wasmtime_wasi::p3::clocks::add_to_linker(linker)?;
        wasmtime_wasi::p3::random::add_to_linker(linker)?;
        wasmtime_wasi::p3::sockets::add_to_linker(linker)?;
        dir::link_p3(linker)?;
        http::link_p3(linker)?;
    }
    kv::link(linker)?;
    config::link(linker)?;
    log::link(linker)?;
    progress::link(linker)
}

/// The linker for a component that has another form of an interface in mind than others that name it:
/// drafts have changed without a change of their version. None for all others.
///
/// # Errors
///
/// Only when the other form cannot be linked: a defect.
pub fn variation<T: Holder>(
    linker: &Linker<T>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<Option<Linker<T>>> {
    kv::variation(linker, engine, component)
}

impl Powers {
    /// What the host holds for this call outside of the guest's own memory. Whoever is about to
    /// allocate something whose size the guest or its upstream has a say in holds it here first;
    /// where that is refused, the error ends the call as `out-of-host-memory`.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
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

    pub(super) fn dirs(&mut self) -> dir::Dirs<'_> {
        dir::Dirs {
            state: &mut self.dir,
            table: &mut self.table,
        }
    }

    /// Holds room for what is about to be added to a resource of `wasi:http`.
    pub(super) fn keep_http(&mut self, more: u64) -> Result<(), Exceeded> {
        self.http.keep(&mut self.table, more)
    }

    pub(super) fn http(&mut self) -> &mut http::State {
        &mut self.http
    }

    pub(super) fn kv(&mut self) -> kv::View<'_> {
        kv::View {
            state: &mut self.kv,
            table: &mut self.table,
        }
    }

    pub(super) fn config(&self) -> &[config::ConfigGrant] {
        &self.equipment.grants.config
    }

    pub(super) fn log(&mut self) -> &mut log::State {
        &mut self.log
    }

    pub(super) fn progress(&mut self) -> &mut progress::State {
        &mut self.progress
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
    pub fn ended(&self, exit: i32) -> Result<Result<tools::Output, tools::ToolError>, Fault> {
        match &self.command {
            Some(command) => command.ended(exit),
            None => Err(Fault::internal("a program ended that was not started")),
        }
    }
}
