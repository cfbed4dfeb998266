//! How a component is spoken to: by the contract of `toolhost:tool/tools`, as a command, or by the
//! types of whatever it exports.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, ComponentExportIndex, InstancePre};
use wasmtime::{Engine, Store};
use wasmtime_wasi::I32Exit;

use super::lanes::step_aside;
use super::run::{fault, reasons, stopped};
use super::state::StoreData;
use super::typed::{Budget, Stop, Typed, TypedFunction};
use crate::capability::{BoundPre, answer_in_terms, tools};
use crate::gate::Permit;
use crate::terms::{Fault, GuestAnswer};

/// The interface that says what a tool is.
const CONTRACT: &str = "toolhost:tool/tools@0.1.0";
/// The interface of programs, of either generation of WASI.
const COMMANDS: [&str; 2] = ["wasi:cli/run@0.2.0", "wasi:cli/run@0.3.0"];

/// The longest text of arguments, in bytes, that is made into values where the call is.
const LONG_TEXT: usize = 64 << 10;

/// How much of a result, in fuel, is written where the call is: some thousand values.
const LONG: u64 = 500_000;

/// How long the next calls of a caller begin aside when one of its calls gave back more. The engine
/// takes a result over at once, which is some milliseconds for the largest: so a caller's calls do
/// that to others now and then, not one after the other.
const AWAY: Duration = Duration::from_millis(250);

/// What a guest answered, or why its answer is none.
pub(super) type Answer = Result<GuestAnswer, Fault>;

/// A component's entry.
#[derive(Clone)]
pub(super) enum Entry {
    /// It was written for this host.
    Contract(BoundPre<StoreData>),
    /// It was not.
    Foreign(Foreign),
}

/// A component that knows nothing of this host.
#[derive(Clone)]
pub(super) struct Foreign {
    pre: InstancePre<StoreData>,
    typed: Arc<Typed>,
    /// Where a program starts.
    run: Option<ComponentExportIndex>,
}

impl Entry {
    pub(super) fn of(
        engine: &Engine,
        component: &Component,
        pre: InstancePre<StoreData>,
    ) -> wasmtime::Result<Self> {
        if component.get_export_index(None, CONTRACT).is_some() {
            return Ok(Self::Contract(BoundPre::new(pre)?));
        }
        let run = COMMANDS
            .into_iter()
            .find_map(|command| component.get_export_index(None, command));
        Ok(Self::Foreign(Foreign {
            pre,
            typed: Arc::new(Typed::of(engine, component)),
            run: run.and_then(|run| component.get_export_index(Some(&run), "run")),
        }))
    }

    pub(super) fn engine(&self) -> &Engine {
        match self {
            Self::Contract(pre) => pre.engine(),
            Self::Foreign(foreign) => foreign.pre.engine(),
        }
    }

    /// The functions that its types give, where it is spoken to by them.
    pub(super) fn typed(&self) -> Option<&Typed> {
        match self {
            Self::Contract(_) => None,
            Self::Foreign(foreign) => Some(&foreign.typed),
        }
    }

    /// Whether it is a program.
    pub(super) const fn is_command(&self) -> bool {
        match self {
            Self::Contract(_) => false,
            Self::Foreign(foreign) => foreign.run.is_some(),
        }
    }

    /// Runs the permitted function in a fresh instance.
    pub(super) async fn call(
        &self,
        store: &mut Store<StoreData>,
        permit: &Permit,
    ) -> wasmtime::Result<Answer> {
        match self {
            Self::Contract(pre) => {
                let tool = pre.instantiate_async(&mut *store).await?;
                let function = &permit.function().function;
                let exported = tool.toolhost_tool_tools();
                let answer = exported.call_call(store, function, permit.arguments());
                Ok(Ok(answer_in_terms(answer.await?)))
            }
            Self::Foreign(foreign) if permit.spec().grants.command.is_some() => {
                foreign.run(store).await
            }
            Self::Foreign(foreign) => foreign.call(store, permit).await,
        }
    }
}

impl Foreign {
    /// What the component's types say that it offers.
    pub(super) fn definitions(&self) -> Result<Vec<tools::Definition>, Fault> {
        self.typed.definitions()
    }

    async fn call(
        &self,
        store: &mut Store<StoreData>,
        permit: &Permit,
    ) -> wasmtime::Result<Answer> {
        let Some(function) = self.typed.get(&permit.function().function) else {
            return Ok(Err(Fault::internal(
                "the lock names a function that the component does not have",
            )));
        };
        let (limits, deadline) = (&permit.spec().limits, permit.deadline());
        let account = store.data().guest.account().clone();
        let clock = store.data().guest.clock();
        let end = (deadline, clock);
        let text = permit.arguments();
        if text.len() > LONG_TEXT {
            step_aside(Duration::ZERO).await;
        }
        let given = Budget::new(store.get_fuel()?, end, &account);
        let arguments = function.read(text, &given);
        store.set_fuel(given.left())?;
        if let Some(why) = given.stopped() {
            return Ok(Err(stopped(why, limits)));
        }
        let arguments = match arguments {
            Ok(arguments) => arguments,
            Err(fault) => return Ok(Err(fault)),
        };
        // Before the guest runs, for it is all that bounds what its result is made into.
        if let Some(counted) = function.counted(limits.host_memory.saturating_sub(account.held())) {
            store.set_hostcall_fuel(usize::try_from(counted).unwrap_or(usize::MAX));
        }
        let mut results = function.results();
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let export = instance.get_func(&mut *store, function.index());
        let Some(export) = export else {
            return Ok(Err(Fault::internal("an export is gone")));
        };
        let called = export.call_async(&mut *store, &arguments, &mut results);
        if let Err(error) = called.await {
            if !TypedFunction::is_answer(&results) {
                return Err(error);
            }
            // It has answered, and trapped while it cleared up behind itself.
            store.data_mut().after = Some(fault(&error, store, limits).code);
            tracing::debug!(error = reasons(&error), "a guest trapped after its answer");
        }
        drop((arguments, given));

        let fuel = store.get_fuel()?;
        let write = |pause: u64| {
            let budget = Budget::new(fuel, end, &account).pausing(pause);
            let answer = function.write(&results, limits.output, &budget);
            (answer, budget.stopped(), budget.left())
        };
        let mut written = write(LONG);
        if written.1 == Some(Stop::Long) {
            step_aside(AWAY).await;
            written = write(u64::MAX);
        }
        let (answer, why, left) = written;
        store.set_fuel(left)?;
        Ok(match why {
            Some(why) => Err(stopped(why, limits)),
            None => answer,
        })
    }

    async fn run(&self, store: &mut Store<StoreData>) -> wasmtime::Result<Answer> {
        let Some(run) = self.run else {
            return Ok(Err(Fault::internal("the component is no command")));
        };
        let instance = self.pre.instantiate_async(&mut *store).await?;
        let run = instance.get_typed_func::<(), (Result<(), ()>,)>(&mut *store, run)?;
        let exit = match run.call_async(&mut *store, ()).await {
            Ok((Ok(()),)) => 0,
            Ok((Err(()),)) => 1,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(code)) => *code,
                None => return Err(error),
            },
        };
        Ok(store.data().guest.ended(exit))
    }
}
