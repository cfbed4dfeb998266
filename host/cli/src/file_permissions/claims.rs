//! Whose ground a manifest stands on: which files and folders are the operator's own, what tools are
//! granted, and who may come to the socket.
//!
//! What is on the list of the operator's own belongs on `manifest::shelter`'s too.

use std::path::Path;
use std::sync::Arc;

use super::{FilePermissions, Given, Kept, Owner, inspect};
use crate::capability::dir;
use crate::diagnostics::Diagnostics;
use crate::egress_setup;
use crate::grants;
use crate::manifest::{CallerSpec, SecretPlace};
use crate::start::{HostConfig, is_path, private_folder};
use toolhost_doors::Audience;
use toolhost_ledger::Mode;

impl HostConfig {
    /// What is wrong with the ground: others can change it. Where the state folder is missing it is made,
    /// so that nobody else makes it.
    pub(crate) fn exposed_files(&self) -> Diagnostics {
        let mut wrong = Diagnostics::of(self);
        wrong.stage(private_folder(&self.state()));
        self.judge_file_permissions(&mut wrong);
        wrong
    }

    /// Refuses to stand on such ground, where nothing may be made.
    pub(crate) fn refuse_exposed_files(&self) -> anyhow::Result<()> {
        let mut wrong = Diagnostics::of(self);
        self.judge_file_permissions(&mut wrong);
        wrong.into_result()
    }

    /// Notes everything that is wrong with the ground.
    pub(crate) fn judge_file_permissions(&self, wrong: &mut Diagnostics) {
        let exposed = self.whose();
        for problem in inspect(&exposed.kept, &exposed.given, exposed.owner) {
            wrong.add(None, problem);
        }
        if let Some((line, problem)) = self.out_of_reach() {
            wrong.add(line, problem);
        }
    }

    fn whose(&self) -> FilePermissions {
        let owner = Owner {
            user: rustix::process::geteuid().as_raw(),
            group: (self.mode() == Mode::Dev).then(|| rustix::process::getegid().as_raw()),
        };
        FilePermissions {
            kept: self.kept(),
            given: self.given(),
            owner,
        }
    }

    /// The judge of every granted directory that is opened.
    pub(crate) fn judge(&self) -> dir::Judge {
        let exposed = self.whose();
        Arc::new(move |path, opened| exposed.judge(path, opened))
    }

    /// Who comes to the socket: other users, where some of them are callers.
    pub(crate) fn audience(&self) -> Audience {
        match self.foreign_caller() {
            Some(_) => Audience::Others,
            None => Audience::Own,
        }
    }

    /// A caller that is known by another user than the host's.
    pub(crate) fn foreign_caller(&self) -> Option<&CallerSpec> {
        let own = rustix::process::geteuid().as_raw();
        let mut callers = self.manifest.callers.iter();
        callers.find(|caller| caller.uid.is_some_and(|uid| uid != own))
    }

    /// Why a caller could not come to the socket.
    fn out_of_reach(&self) -> Option<(u32, String)> {
        let (caller, socket) = (self.foreign_caller()?, self.socket()?);
        let say = format!(
            "[caller.{}] is another user, who cannot come to a socket in the state folder. Give it a folder of its own: [host] agents = [\"unix:/run/toolhost/agent.sock\"]",
            caller.name
        );
        socket
            .starts_with(self.state())
            .then_some((caller.line, say))
    }

    /// What is the operator's.
    fn kept(&self) -> Vec<Kept> {
        let state = self.state();
        let mut kept = vec![
            Kept::unchanged("the manifest", self.path.clone()),
            Kept::unchanged("the lock", self.lock_path()),
            Kept::private("the ledger", state.join("ledger")),
            Kept::private("the token", self.token_file()),
            Kept::private("the state folder", state),
        ];
        if let Some(folder) = self.admin_socket().parent() {
            let what = "the folder of the operators' socket";
            kept.push(Kept::private(what, folder.to_owned()));
        }
        if let Some(folder) = self.socket().as_deref().and_then(Path::parent) {
            kept.push(Kept::unchanged("the socket's folder", folder.to_owned()));
        }
        // Their bytes are pinned by the lock.
        kept.extend(self.manifest.tools.iter().map(|tool| {
            let what = format!("the component of the tool `{}`", tool.name);
            Kept::pinned(what, self.base.join(&tool.component))
        }));
        let keys = egress_setup::keys(&self.manifest);
        for path in egress_setup::paths(&self.manifest) {
            let what = "a certificate or key of `[host.egress]` or of a grant";
            let keep = match keys.contains(path) {
                true => Kept::secret,
                false => Kept::unchanged,
            };
            kept.push(keep(what.to_owned(), self.base.join(path)));
        }
        for (name, spec) in &self.manifest.secrets {
            match &spec.place {
                // Which other users may read it is judged when it is read.
                SecretPlace::File(path) => {
                    let what = format!("the secret `{name}`");
                    kept.push(Kept::secret(what, self.base.join(path)));
                }
                SecretPlace::Command(command) if is_path(&command.program) => {
                    let what = format!("the program that prints the secret `{name}`");
                    kept.push(Kept::unchanged(what, self.base.join(&command.program)));
                }
                SecretPlace::Command(_) | SecretPlace::Env(_) => {}
            }
        }
        kept
    }

    /// What tools are granted.
    fn given(&self) -> Vec<Given> {
        let mut given: Vec<Given> = Vec::new();
        let tools = self.manifest.tools.iter();
        let sections = tools.flat_map(|tool| {
            let sections = std::iter::once(&tool.all).chain(tool.functions.values());
            sections.map(move |section| (tool, section))
        });
        for (number, (tool, section)) in sections.enumerate() {
            for grant in &section.grants.dir {
                let what = format!("`{}` of the tool `{}`", grant.name, tool.name);
                let path = self.base.join(&grant.host);
                let writable = grant.access == grants::DirAccess::ReadWrite;
                let known = given.iter_mut().find(|known| {
                    known.what == what && known.path == path && known.writable == writable
                });
                match known {
                    Some(known) => known.sections.push(number),
                    None => given.push(Given {
                        what,
                        path,
                        writable,
                        sections: vec![number],
                    }),
                }
            }
        }
        given
    }
}
