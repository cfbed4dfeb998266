//! Where a tool's component lies: where it is, if that is beside the manifest, else in `tools`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Where a component comes to lie.
pub(super) struct Place {
    /// As the manifest has it.
    pub(super) written: String,
    /// The file.
    file: PathBuf,
    /// It has to be brought there.
    elsewhere: bool,
}

/// A component that is there, but not yet under its name.
pub(super) struct Beside {
    now: PathBuf,
    then: Option<PathBuf>,
}

/// A component under its name, which goes away again unless it is to stay.
pub(super) struct Kept {
    /// None where it lay there before.
    file: Option<PathBuf>,
}

impl Place {
    pub(super) fn of(
        component: &Path,
        base: &Path,
        name: &str,
        made: bool,
    ) -> anyhow::Result<Self> {
        let real = fs::canonicalize(component)
            .with_context(|| format!("cannot read {}", component.display()))?;
        // A folder that is not there yet has nothing in it.
        let within = fs::canonicalize(base).ok().and_then(|base| {
            let inner = real.strip_prefix(base).ok()?;
            Some(inner.to_str()?.to_owned())
        });
        if let (Some(written), false) = (within, made) {
            let elsewhere = false;
            return Ok(Self {
                written,
                file: real,
                elsewhere,
            });
        }
        let written = format!("tools/{name}.wasm");
        let file = base.join(&written);
        if file.symlink_metadata().is_ok() {
            bail!(
                "{} is there already; move it away, or choose another name with --name",
                file.display()
            );
        }
        let elsewhere = true;
        Ok(Self {
            written,
            file,
            elsewhere,
        })
    }

    /// The file that will be written; none where the component lies in its place already.
    pub(super) fn new_file(&self) -> Option<&Path> {
        self.elsewhere.then_some(&*self.file)
    }

    /// Brings the component, under a name that nobody uses.
    pub(super) fn bring(&self, bytes: &[u8]) -> anyhow::Result<Beside> {
        if !self.elsewhere {
            return Ok(Beside {
                now: self.file.clone(),
                then: None,
            });
        }
        let folder = self.file.parent().unwrap_or(&self.file);
        let cannot = || format!("cannot write {}", self.file.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        let now = self
            .file
            .with_extension(format!("wasm.{}", std::process::id()));
        let beside = Beside {
            now,
            then: Some(self.file.clone()),
        };
        fs::write(&beside.now, bytes).with_context(cannot)?;
        Ok(beside)
    }
}

impl Beside {
    /// Gives it its name, which nothing else may have got meanwhile.
    pub(super) fn keep(self) -> anyhow::Result<Kept> {
        if let Some(then) = &self.then {
            fs::hard_link(&self.now, then)
                .with_context(|| format!("cannot write {}", then.display()))?;
        }
        Ok(Kept {
            file: self.then.clone(),
        })
    }
}

impl Kept {
    /// It is where it belongs.
    pub(super) fn stay(mut self) {
        self.file = None;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            let _ = fs::remove_file(file);
        }
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It has its name by now, or what it was brought for did not come about.
        if self.then.is_some() {
            let _ = fs::remove_file(&self.now);
        }
    }
}
