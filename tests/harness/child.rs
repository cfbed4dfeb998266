//! The program itself, as its operator runs it.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;
use toolhost_ledger::{self, Filter};

use super::site::manifest;
use super::{Site, Speaker, cache_folder};

/// A folder that the program runs in.
pub(crate) struct Program {
    pub(crate) site: Site,
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    /// What it printed, as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl Program {
    /// With the guests at hand, a manifest, and its lock.
    pub(crate) fn new(text: &str) -> Self {
        Self::at(Site::new(), text)
    }

    /// In a folder that was made ready. The components come compiled, as at every start but the
    /// first.
    pub(crate) fn at(site: Site, text: &str) -> Self {
        site.write("toolhost.toml", format!("schema = 1\n{text}"));
        let lock = match site.lock(&manifest(text)) {
            Ok(lock) => lock,
            Err(troubles) => panic!("{troubles:#?}"),
        };
        site.write("toolhost.lock", lock.text().expect("a lock"));
        bring_compiled(&site.path(".toolhost/compiled"));
        Self { site }
    }

    /// In a folder with a manifest that may be anything, and no lock.
    pub(crate) fn unlocked(site: Site, text: &str) -> Self {
        site.write("toolhost.toml", text);
        bring_compiled(&site.path(".toolhost/compiled"));
        Self { site }
    }

    /// In a folder without a manifest.
    pub(crate) fn bare(site: Site) -> Self {
        bring_compiled(&site.path(".toolhost/compiled"));
        Self { site }
    }

    /// A run of the program, to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_toolhost"));
        command
            .current_dir(self.site.path(""))
            .args(arguments)
            .env_remove("TOOLHOST_LOG")
            // Authors' commands keep what they compile with the user, not with a manifest.
            .env(
                "XDG_CACHE_HOME",
                cache_folder().with_file_name("tests-user"),
            )
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(&self.command(arguments).output().expect("a run"))
    }

    /// Runs the program with nobody reading its standard output.
    pub(crate) fn run_unread(&self, arguments: &[&str]) -> Ended {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let child = self
            .command(arguments)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn();
        ended(&child.expect("a start").wait_with_output().expect("a run"))
    }

    /// Runs the program to its end, with a variable.
    pub(crate) fn run_with(&self, variable: (&str, &str), arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.env(variable.0, variable.1);
        ended(&command.output().expect("a run"))
    }
}

/// How it ended.
pub(crate) fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn bring_compiled(to: &Path) {
    let folder = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(to);
    folder.expect("a folder");
    let compiled = std::fs::read_dir(cache_folder()).into_iter().flatten();
    for file in compiled {
        let file = file.expect("a compiled component").path();
        // With the key, without which none of them would be believed.
        let known = ["cwasm", "key"].map(|end| Some(end.as_ref()));
        if !known.contains(&file.extension()) {
            continue;
        }
        let copy = to.join(file.file_name().expect("a name"));
        std::fs::copy(&file, &copy).expect("a copy");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&copy, mode).expect("a mode");
    }
}

/// The program while it serves. It is killed with this value.
pub(crate) struct Serving {
    pub(crate) child: Child,
    log: mpsc::UnboundedReceiver<String>,
}

impl Program {
    /// Opens the doors, and waits until they are open.
    pub(crate) async fn serve(&self) -> Serving {
        let mut serving = self.start(&["serve"]);
        serving.says("functions, ledger segment").await;
        serving
    }

    /// Waits until the host that runs here has admitted a call of this function.
    pub(crate) async fn admitted(&self, function: &str) {
        let filter = Filter {
            function: Some(function.to_owned()),
            ..Filter::default()
        };
        let folder = self.site.path(".toolhost/ledger");
        while toolhost_ledger::show(&folder, &filter)
            .expect("a ledger")
            .calls
            .is_empty()
        {
            tokio::task::yield_now().await;
        }
    }

    /// Starts the program with pipes on all its streams.
    pub(crate) fn start(&self, arguments: &[&str]) -> Serving {
        serving(self.command(arguments))
    }

    /// Opens the doors of a host whose files may not grow beyond so many blocks of 512 bytes: a disk
    /// that is full for this process alone.
    pub(crate) async fn serve_on_a_small_disk(&self, blocks: u32) -> Serving {
        let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let program = self.command(&["serve"]);
        let mut command = Command::new("/bin/sh");
        command
            .current_dir(self.site.path(""))
            .args(["-c", &script])
            .arg(program.get_program())
            .args(program.get_args())
            .env_remove("TOOLHOST_LOG");
        let mut serving = serving(command);
        serving.says("functions, ledger segment").await;
        serving
    }

    /// Starts the program with pipes on all its streams, and with a variable.
    pub(crate) fn start_with(&self, variable: (&str, &str), arguments: &[&str]) -> Serving {
        let mut command = self.command(arguments);
        command.env(variable.0, variable.1);
        serving(command)
    }
}

/// Starts it with pipes on all its streams.
fn serving(mut command: Command) -> Serving {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .spawn()
        .expect("a process");
    let log = child.stderr.take().expect("its log");
    let mut lines = BufReader::new(log).lines();
    let (sender, log) = mpsc::unbounded_channel();
    // Read whether or not the test wants to know: a full pipe would hold the program up.
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            // Nobody may want it any more; it is read all the same.
            let _ = sender.send(line);
        }
    });
    Serving { child, log }
}

impl Serving {
    /// Waits for a line of the log.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let mut said = Vec::new();
        while let Some(line) = self.log.recv().await {
            if line.contains(words) {
                return line;
            }
            said.push(line);
        }
        panic!("the log ended without {words:?}: {said:#?}")
    }

    /// Speaks lines on its standard input and output.
    pub(crate) fn speaker(&mut self) -> Speaker<ChildStdout, ChildStdin> {
        let output = self.child.stdout.take().expect("its output");
        let input = self.child.stdin.take().expect("its input");
        Speaker::new(output, input)
    }

    /// What the kernel says of its memory, in bytes: `VmRSS` is what it holds, `VmHWM` the most it
    /// ever held.
    pub(crate) fn memory(&self, which: &str) -> u64 {
        let status = std::fs::read_to_string(self.proc("status")).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix(which));
        let kib = line.and_then(|line| {
            line.trim_matches([':', ' ', '\t', 'k', 'B'])
                .parse::<u64>()
                .ok()
        });
        kib.expect("a size") << 10
    }

    /// Counts its highest memory, `VmHWM`, anew from here on.
    pub(crate) fn forget_peak(&self) {
        std::fs::write(self.proc("clear_refs"), "5").expect("its peak to be forgotten");
    }

    /// How many files, sockets and pipes it holds open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(self.proc("fd"))
            .expect("its descriptors")
            .count()
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        std::fs::read_dir(self.proc("task"))
            .expect("its threads")
            .count()
    }

    fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.child.id().expect("it runs"))
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        let id = id
            .and_then(rustix::process::Pid::from_raw)
            .expect("a process");
        rustix::process::kill_process(id, signal).expect("a signal");
    }
}
