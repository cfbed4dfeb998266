//! What every measurement starts from: guests built, a manifest and its lock, a host process.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The host's binary.
pub(crate) const TOOLHOST: &str = env!("CARGO_BIN_EXE_toolhost");

/// A folder with a manifest of two tools: `test`, the twin of the reference's echo, and `rogue`.
pub(crate) struct Stage {
    pub(crate) folder: PathBuf,
    pub(crate) guests: PathBuf,
}

const TOOLS: [&str; 6] = ["fetch", "files", "table", "jq", "github", "orders"];

impl Stage {
    pub(crate) fn set() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .unwrap();
        let target = Path::new(TOOLHOST).ancestors().nth(2).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root).env("CARGO_TARGET_DIR", target);
        cargo.args([
            "build",
            "--quiet",
            "--profile",
            "guest",
            "--target",
            "wasm32-wasip2",
        ]);
        for guest in ["echo", "everything", "rogue", "types"] {
            cargo.args(["--package", &format!("guest-{guest}")]);
        }
        for tool in TOOLS {
            cargo.args(["--package", &format!("tool-{tool}")]);
        }
        assert!(cargo.status().unwrap().success(), "the guests do not build");
        let folder = std::env::temp_dir().join(format!("toolhost-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let stage = Self {
            folder,
            guests: target.join("wasm32-wasip2/guest"),
        };
        stage.manifest("toolhost", &stage.echo_and_rogue());
        stage
    }

    /// The two tools of most measurements.
    pub(crate) fn echo_and_rogue(&self) -> String {
        let test = self.tool("test", "echo");
        let rogue = self.tool("rogue", "rogue");
        let limits =
            "limits = { fuel = 1_000_000_000_000, deadline = \"10m\", concurrency = 64 }\n";
        format!("{test}{rogue}{limits}")
    }

    pub(crate) fn tool(&self, name: &str, guest: &str) -> String {
        format!(
            "[tool.{name}]\ncomponent = {:?}\n",
            self.guests.join(guest).with_extension("wasm")
        )
    }

    /// Writes a manifest and locks it.
    pub(crate) fn manifest(&self, name: &str, tools: &str) {
        self.manifest_for(Path::new(TOOLHOST), name, tools);
    }

    /// The same with another build of the program.
    pub(crate) fn manifest_for(&self, program: &Path, name: &str, tools: &str) {
        let text = format!(
            "schema = 1\n[host]\nstate = \"{name}.state\"\nagents = [\"unix:{name}.sock/agent.sock\", \"http://127.0.0.1:0\"]\nconcurrency = 256\n{tools}"
        );
        std::fs::write(self.path(name), text).unwrap();
        let locked = Command::new(program)
            .arg("-m")
            .arg(self.path(name))
            .arg("lock")
            .output()
            .unwrap();
        assert!(
            locked.status.success(),
            "{}",
            String::from_utf8_lossy(&locked.stderr)
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name).with_extension("toml")
    }

    /// The tools that are shipped.
    pub(crate) fn six(&self) -> String {
        TOOLS.iter().map(|tool| self.tool(tool, tool)).collect()
    }

    /// Starts a host on its doors.
    pub(crate) fn serve(&self, name: &str) -> Served {
        self.serve_with(Path::new(TOOLHOST), name)
    }

    /// The same with another build of the program.
    pub(crate) fn serve_with(&self, program: &Path, name: &str) -> Served {
        let mut child = Command::new(program)
            .arg("-m")
            .arg(self.path(name))
            .arg("serve")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let http = loop {
            let line = lines.next().unwrap().unwrap();
            if let Some((_, address)) = line.split_once("http://") {
                break address.trim_end_matches("/mcp").trim().to_owned();
            }
        };
        std::thread::spawn(move || for _ in lines {});
        let token = std::fs::read_to_string(self.folder.join(format!("{name}.state/agents/token")))
            .unwrap();
        let unix = self.folder.join(format!("{name}.sock/agent.sock"));
        Served {
            child,
            http,
            unix,
            token: token.trim().to_owned(),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A host process, or the reference's.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) http: String,
    pub(crate) unix: PathBuf,
    pub(crate) token: String,
}

impl Served {
    /// The reference: the protocol library with a native echo, in a process of its own.
    pub(crate) fn bare(stage: &Stage) -> Self {
        let unix = stage.folder.join("bare.sock");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["bare", "listen"])
            .arg(&unix)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            child,
            http: line.trim().to_owned(),
            unix,
            token: String::new(),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
