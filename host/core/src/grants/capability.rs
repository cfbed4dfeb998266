//! What a capability and its grants say of themselves, so that whoever lists, checks or explains them
//! need not know which they are.
//!
//! It names no capability; the list of them is in `registry`.

use crate::terms::Reach;

/// A capability as it is listed. Interfaces are named without their versions: `wasi:http/types`.
pub struct Capability {
    /// Its name, which is its key in a manifest where something of it can be granted.
    pub name: &'static str,
    /// The packages and interfaces that are imported for it, provided or not.
    pub(super) imports: &'static [&'static str],
    /// The interfaces that it links, each with a series of versions: releases of WASI 0.2 are
    /// compatible with each other, drafts only with themselves.
    pub(super) provides: &'static [(&'static str, &'static str)],
    /// What it links besides for a tool of WASI 0.3.
    pub(super) provides_v03: &'static [(&'static str, &'static str)],
    /// How it is granted; none where every guest has it.
    pub grant: Option<Granting>,
}

/// How something of a capability is granted.
pub struct Granting {
    /// A grant is of use to whoever imports one of these interfaces.
    pub(super) needs: &'static [&'static str],
    /// What a guest finds behind its imports.
    pub finds: &'static str,
    /// What it is for, for whoever decides on it.
    pub purpose: &'static str,
    /// A grant as a manifest has it; `{}` is the tool.
    pub example: &'static str,
}

impl Capability {
    /// Whether an import is for it.
    pub(super) fn is_for(&self, import: &str) -> bool {
        let name = interface(import);
        let package = name.split('/').next().unwrap_or(name);
        let mut imports = self.imports.iter();
        imports.any(|own| *own == name || *own == package)
    }

    /// Whether one of these imports can use a grant of it.
    #[must_use]
    pub fn is_usable(&self, imports: &[String]) -> bool {
        let needs = self.grant.as_ref().map(|grant| grant.needs);
        let needs = needs.unwrap_or_default();
        let mut imports = imports.iter();
        imports.any(|import| needs.contains(&interface(import)))
    }
}

/// An import without its version.
fn interface(import: &str) -> &str {
    import.split('@').next().unwrap_or(import)
}

/// One grant, whichever capability it is of.
pub trait Grant {
    /// What it is a grant of.
    fn capability(&self) -> &'static Capability;

    /// Its line in the manifest, from 1.
    fn line(&self) -> u32;

    /// How far it lets a call reach.
    fn reach(&self) -> Reach;

    /// Where it stands within its section: `dir.data`, or `env`, which has many.
    fn path(&self) -> String {
        self.capability().name.to_owned()
    }

    /// The shortest that says what it is.
    fn brief(&self) -> String;

    /// All that it grants, each with its line.
    fn lines(&self) -> Vec<(u32, String)> {
        vec![(self.line(), self.brief())]
    }

    /// What the tool does with it, for whoever decides on it.
    fn asks(&self) -> String;
}
