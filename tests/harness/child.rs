//! The program itself, as its operator runs it.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::site::manifest;
use super::{Site, cache_folder};

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

    /// A run of the program, to be started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_toolhost"));
        command
            .current_dir(self.site.path(""))
            .args(arguments)
            .env_remove("TOOLHOST_LOG")
            .stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(&self.command(arguments).output().expect("a run"))
    }

    /// Runs the program to its end, with a variable.
    pub(crate) fn run_with(&self, variable: (&str, &str), arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.env(variable.0, variable.1);
        ended(&command.output().expect("a run"))
    }
}

fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().expect("an exit code"),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn bring_compiled(to: &Path) {
    let folder = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(to);
    folder.expect("a folder");
    let compiled = std::fs::read_dir(cache_folder()).into_iter().flatten();
    for file in compiled {
        let file = file.expect("a compiled component").path();
        if file.extension() != Some("cwasm".as_ref()) {
            continue;
        }
        let copy = to.join(file.file_name().expect("a name"));
        std::fs::copy(&file, &copy).expect("a copy");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&copy, mode).expect("a mode");
    }
}
