//! What the person typed: commands, flags, tables, exit codes. It reads and writes the files that
//! the rooms below do not know of.

// Only `out` prints, and not with these.
#![cfg_attr(
    not(test),
    deny(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)
)]

#[macro_use]
mod out;

mod add;
mod author;
mod authoring;
mod bar;
mod cases;
mod check;
mod connect;
mod demo;
mod diagnostics;
mod egress_setup;
mod explain;
mod file_permissions;
mod inspect;
mod ledger;
mod log;
mod look;
mod one_call;
mod owner;
mod reload;
mod secrets;
mod serve;
mod start;
mod stderr;
mod stop;
mod table;
mod watch;
mod written;

pub use add::asked_section;
pub use cases::count_cases;

use std::backtrace::Backtrace;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Parser, Subcommand};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing::level_filters::LevelFilter;

use toolhost_core::{egress, gate, grants, manifest, quota, terms};
use toolhost_engine::{call, catalog};
use toolhost_runtime::{capability, compile, sandbox};

use crate::terms::Wasi;

/// Runs AI agents' tools as WebAssembly components: granted, bounded, recorded, billed.
#[derive(Parser)]
#[command(name = "toolhost", version, max_term_width = 100)]
struct Typed {
    /// The manifest.
    #[arg(
        long,
        short,
        global = true,
        default_value = "toolhost.toml",
        value_name = "FILE"
    )]
    manifest: PathBuf,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Open the agents' doors and serve until stopped.
    Serve {
        /// Speak MCP on standard input and output instead. Where a host already runs on this
        /// state folder, be a bridge to it.
        #[arg(long)]
        stdio: bool,
        /// Load manifest, lock, components and certificates anew when one of them changes, as SIGHUP
        /// does at any time. A bridge watches nothing: its host does.
        #[arg(long)]
        watch: bool,
    },
    /// Check manifest, lock and components; say what each tool asks for and what it gets.
    Check,
    /// List the tools' functions.
    List {
        /// Only what this caller may use.
        #[arg(long, value_name = "NAME")]
        caller: Option<String>,
    },
    /// Call one function as an agent would. Where a host runs, it makes the call.
    Call {
        /// The function: `tool.function`.
        function: String,
        /// Its arguments: a JSON object.
        #[arg(default_value = "{}")]
        arguments: String,
        /// Show what the call used.
        #[arg(long)]
        bill: bool,
        /// Be this caller.
        #[arg(long, default_value = "local", value_name = "NAME")]
        caller: String,
    },
    /// Have the host that runs load its manifest anew: what changed, or all that is wrong with it.
    Reload,
    /// Say whether the host that runs can run calls.
    Health,
    /// Say what a tool is granted, and which rule allows or denies a request.
    Explain {
        /// The tool, or `tool.function`.
        tool: String,
        #[command(flatten)]
        typed: explain::Typed,
    },
    /// Pin what each tool is and offers, showing what changed.
    Lock,
    /// Look at the record of calls.
    Ledger {
        #[command(subcommand)]
        command: ledger::LedgerCommand,
    },
    /// Print how to connect an agent.
    Connect {
        /// Which agent.
        client: connect::Client,
        /// Connect over HTTP instead of starting a process.
        #[arg(long)]
        http: bool,
    },
    /// Make a project for a new tool.
    New {
        /// What it is called: a folder, and the tool in the manifest.
        name: String,
        /// The language it is written in.
        #[arg(long, value_enum, default_value = "rust")]
        lang: author::Language,
    },
    /// Build the component of a project, and check it as the host will.
    Build {
        /// The project's folder.
        #[arg(default_value = ".")]
        folder: PathBuf,
        /// Build anew whenever a source changes.
        #[arg(long)]
        watch: bool,
    },
    /// Say what a component is, what it asks for, what it offers, and what would be refused of it.
    Inspect {
        /// The component, or any other file.
        file: PathBuf,
    },
    /// Write a component's section into the manifest, showing what it asks for, and lock it.
    Add(add::Typed),
    /// Run a tool's cases, `cases/*.toml`, in the sandbox, with a list of answers for a network.
    Test(cases::Typed),
    /// Build the tools of this checkout and show what the host does with them.
    Demo,
    /// Compile standard input, for the host itself: it starts this program again to do so.
    #[command(hide = true)]
    CompileChild {
        /// Processor time, in seconds.
        #[arg(long)]
        cpu: u64,
        /// What may be allocated, in bytes.
        #[arg(long)]
        memory: u64,
        /// For which engine. Without it: a component of a program of WASI preview 1.
        #[arg(long, value_parser = generation)]
        wasi: Option<Wasi>,
        /// On one thread.
        #[arg(long)]
        alone: bool,
    },
}

fn generation(text: &str) -> Result<Wasi, String> {
    Wasi::named(text).ok_or_else(|| format!("{text} is no generation of WASI"))
}

/// What every command gets.
#[derive(Clone)]
struct Setting {
    manifest: PathBuf,
    json: bool,
    /// How far work has come is shown. A host that serves has its log for that.
    progress: bool,
}

/// Runs the program. 0: it did what was asked; 1: the answer is no; 2: it could not.
#[must_use]
pub fn run() -> ExitCode {
    let typed = match Typed::try_parse() {
        Ok(typed) => typed,
        Err(error) => return unparsed(&error),
    };
    // Before there is a second thread: walls are put around this one.
    if let Command::CompileChild {
        cpu,
        memory,
        wasi,
        alone,
    } = typed.command
    {
        return compile::compile_child(cpu, memory, wasi, alone);
    }
    let (default, patience) = match typed.command {
        Command::Serve { .. } => (LevelFilter::INFO, Some(PATIENCE)),
        // What is refused on purpose is shown in its tables.
        Command::Demo | Command::Test(_) => (LevelFilter::ERROR, None),
        _ => (LevelFilter::WARN, None),
    };
    if let Err(error) = log::begin(default, patience) {
        tell!("cannot write to standard error: {error}");
        return ExitCode::from(2);
    }
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("{panic}");
        if tracing::enabled!(tracing::Level::DEBUG) {
            tracing::debug!("where it panicked:\n{}", Backtrace::force_capture());
        }
    }));
    // However this ends, also in a panic.
    let _last_lines = LastLines;
    let setting = Setting {
        manifest: typed.manifest,
        json: typed.json,
        progress: !matches!(typed.command, Command::Serve { .. }),
    };
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let done = runtime.block_on(async {
                // A file that may not grow is an error of the write, not the end of the process. It is
                // caught, not ignored: programs that are started would inherit that.
                let _too_large = signal(SignalKind::from_raw(libc::SIGXFSZ));
                dispatch(&setting, typed.command).await
            });
            // A blocked read of standard input must not keep the process.
            runtime.shutdown_background();
            done
        });
    match done {
        Ok(code) => code,
        Err(error) => {
            if say_why(&error, setting.json).is_err() {
                tell!("{error:#}");
            }
            ExitCode::from(2)
        }
    }
}

/// Says why a command could not do what it was asked. It is no line of the log, which would filter it and
/// cut it short, and it looks like one where programs read them.
fn say_why(error: &anyhow::Error, json: bool) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Line {
        timestamp: String,
        level: &'static str,
        target: &'static str,
        message: String,
    }
    match (json, log::is_json()) {
        (true, _) => tell!("{}", out::json_text(&diagnostics::for_programs(error))?),
        (false, true) => out::json_note(&Line {
            timestamp: humantime::format_rfc3339_micros(SystemTime::now()).to_string(),
            level: "ERROR",
            target: module_path!(),
            message: format!("{error:#}"),
        })?,
        (false, false) => tell!("{error:#}"),
    }
    Ok(())
}

/// How long a host that serves waits for its own last words to be read. A command waits as any other
/// does: whoever started it reads them when there is time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Has the log's last lines written when it goes.
struct LastLines;

impl Drop for LastLines {
    fn drop(&mut self) {
        log::finish();
    }
}

async fn dispatch(setting: &Setting, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve { stdio, watch } => serve::serve(setting, stdio, watch).await,
        Command::Check => check::check(setting).await,
        Command::List { caller } => look::list(setting, caller.as_deref()).await,
        Command::Call {
            function,
            arguments,
            bill,
            caller,
        } => one_call::call(setting, &function, &arguments, bill, &caller).await,
        Command::Reload => owner::reload(setting).await,
        Command::Health => owner::health(setting).await,
        Command::Explain { tool, typed } => explain::explain(setting, &tool, &typed),
        Command::Lock => look::lock(setting).await,
        Command::Ledger { command } => ledger::ledger(setting, command).await,
        Command::Connect { client, http } => connect::connect(setting, client, http),
        Command::New { name, lang } => author::new(setting, &name, lang),
        Command::Build { folder, watch } => author::build(setting, &folder, watch).await,
        Command::Inspect { file } => inspect::inspect(setting, &file).await,
        Command::Add(typed) => add::add(setting, &typed).await,
        Command::Test(typed) => cases::test(setting, &typed).await,
        Command::Demo => demo::demo(setting).await,
        Command::CompileChild { .. } => anyhow::bail!("compiling begins before anything else does"),
    }
}

/// Says what is wrong with what was typed, or what was asked about it: it quotes arguments.
fn unparsed(error: &clap::Error) -> ExitCode {
    if error.exit_code() == 0 {
        // Help and version are the program's own words, with styles of clap's.
        return match error.print() {
            Err(error) if out::unprinted(&error) != 0 => ExitCode::from(2),
            _ => ExitCode::SUCCESS,
        };
    }
    tell!("{}", error.render().to_string().trim_end());
    ExitCode::from(2)
}
