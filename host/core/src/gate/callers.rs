//! Who may use what. Callers are known by a token, by the uid on the Unix socket, or by being on
//! standard input.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::manifest::{CallerSpec, Right};
use crate::terms::{Caller, FunctionId};

/// Proof that this process owns a state folder: whoever started it is its operator.
pub trait StateOwner {}

/// What a door saw of a caller.
#[derive(Debug, Clone, Copy)]
pub enum Credential<'a> {
    /// A bearer token.
    Token(&'a str),
    /// The uid of the process at the other end of a Unix socket.
    Uid(u32),
    /// It started this process and speaks through its standard input.
    Stdio,
}

/// Proof that somebody operates this host: it runs under his own user. An operator may be any caller
/// that he names; an agent is whom its credential says, so no agents' door can make a call as another:
///
/// ```no_run
/// # use toolhost_core::gate::{Callers, Operator};
/// # use toolhost_core::terms::Caller;
/// fn named(callers: &Callers, operator: &Operator) -> Option<Caller> {
///     callers.named(operator, "support")
/// }
/// ```
///
/// ```compile_fail,E0308
/// # use toolhost_core::gate::{Callers, Credential};
/// # use toolhost_core::terms::Caller;
/// fn named(callers: &Callers, agent: Credential<'_>) -> Option<Caller> {
///     callers.named(&agent, "support")
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Operator(());

impl Operator {
    /// Whoever is at the other end of the operators' socket, if that is the host's own user.
    #[must_use]
    pub fn at_socket(peer_uid: u32, own_uid: u32) -> Option<Self> {
        (peer_uid == own_uid).then_some(Self(()))
    }

    /// Whoever started the process that owns a state folder.
    #[must_use]
    pub const fn of(_: &impl StateOwner) -> Self {
        Self(())
    }
}

/// All callers of a manifest.
pub struct Callers {
    known: BTreeMap<Arc<str>, CallerSpec>,
    /// The uid of this host: whoever has it could have started the host himself.
    own_uid: u32,
}

/// The caller on standard input where the manifest names none.
pub(super) const LOCAL: &str = "local";

impl Callers {
    /// Callers of a manifest. Where it declares none there is one, `local`, which may use
    /// everything: `token_sha256` is of the token made for it.
    #[must_use]
    pub fn new(declared: &[CallerSpec], own_uid: u32, token_sha256: Option<[u8; 32]>) -> Self {
        let mut known: BTreeMap<Arc<str>, CallerSpec> = declared
            .iter()
            .map(|spec| (spec.name.clone(), spec.clone()))
            .collect();
        if declared.is_empty() {
            let everything = Right {
                line: 0,
                tool: None,
                function: None,
            };
            known.insert(
                LOCAL.into(),
                CallerSpec {
                    name: LOCAL.into(),
                    line: 0,
                    token_sha256: None,
                    uid: None,
                    stdio: true,
                    user: None,
                    concurrency: None,
                    may: vec![everything],
                },
            );
        }
        if let (Some(hash), Some(local)) = (token_sha256, known.get_mut(LOCAL)) {
            local.token_sha256.get_or_insert(hash);
        }
        Self { known, own_uid }
    }

    /// Who this is, if anybody.
    #[must_use]
    pub fn identify(&self, credential: Credential<'_>) -> Option<Caller> {
        let found = match credential {
            Credential::Token(token) => self.by_token(token),
            Credential::Uid(uid) => self
                .known
                .values()
                .find(|spec| spec.uid == Some(uid))
                .or_else(|| {
                    // Whoever has the host's own uid could have started it: the same as standard input.
                    (uid == self.own_uid).then(|| self.on_stdio()).flatten()
                }),
            Credential::Stdio => self.on_stdio(),
        };
        found.map(caller)
    }

    /// Every token is compared, each in constant time: the answer's delay tells nothing.
    fn by_token(&self, token: &str) -> Option<&CallerSpec> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for spec in self.known.values() {
            if let Some(expected) = &spec.token_sha256
                && bool::from(expected.ct_eq(&hash))
            {
                found = Some(spec);
            }
        }
        found
    }

    fn on_stdio(&self) -> Option<&CallerSpec> {
        self.known
            .values()
            .find(|spec| spec.stdio)
            .or_else(|| self.known.get(LOCAL))
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Caller> {
        self.known.values().map(caller)
    }

    /// The caller of this name, for an operator who calls as that one.
    #[must_use]
    pub fn named(&self, _: &Operator, name: &str) -> Option<Caller> {
        self.known.get(name).map(caller)
    }

    /// Whether a caller may use a function.
    #[must_use]
    pub fn may(&self, caller: &Caller, function: &FunctionId) -> bool {
        self.known
            .get(&caller.agent)
            .is_some_and(|spec| spec.may.iter().any(|right| covers(right, function)))
    }
}

fn caller(spec: &CallerSpec) -> Caller {
    Caller {
        agent: spec.name.clone(),
        user: spec.user.clone(),
    }
}

fn covers(right: &Right, id: &FunctionId) -> bool {
    right.tool.as_ref().is_none_or(|tool| *tool == id.tool)
        && right
            .function
            .as_ref()
            .is_none_or(|function| *function == id.function)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, may: &[(Option<&str>, Option<&str>)]) -> CallerSpec {
        CallerSpec {
            name: name.into(),
            line: 1,
            token_sha256: Some(Sha256::digest(name.as_bytes()).into()),
            uid: None,
            stdio: false,
            user: None,
            concurrency: None,
            may: may
                .iter()
                .map(|(tool, function)| Right {
                    line: 1,
                    tool: tool.map(Into::into),
                    function: function.map(Into::into),
                })
                .collect(),
        }
    }

    fn id(tool: &str, function: &str) -> FunctionId {
        FunctionId {
            tool: tool.into(),
            function: function.into(),
        }
    }

    fn agent(caller: Option<Caller>) -> Option<String> {
        caller.map(|caller| caller.agent.to_string())
    }

    #[test]
    fn rights_are_what_is_written() {
        let callers = Callers::new(
            &[spec("a", &[(Some("x"), Some("f")), (Some("y"), None)])],
            7,
            None,
        );
        let a = Caller {
            agent: "a".into(),
            user: None,
        };
        assert!(callers.may(&a, &id("x", "f")));
        assert!(!callers.may(&a, &id("x", "g")));
        assert!(callers.may(&a, &id("y", "anything")));
        assert!(!callers.may(
            &Caller {
                agent: "b".into(),
                user: None
            },
            &id("x", "f")
        ));
    }

    #[test]
    fn a_token_names_its_caller_and_nobody_else() {
        let callers = Callers::new(&[spec("a", &[]), spec("b", &[])], 7, None);
        assert_eq!(
            agent(callers.identify(Credential::Token("b"))).as_deref(),
            Some("b")
        );
        assert_eq!(agent(callers.identify(Credential::Token("c"))), None);
        assert_eq!(agent(callers.identify(Credential::Token(""))), None);
    }

    #[test]
    fn declared_callers_leave_no_room_for_local() {
        let callers = Callers::new(&[spec("a", &[])], 7, None);
        assert_eq!(agent(callers.identify(Credential::Stdio)), None);
        assert_eq!(agent(callers.identify(Credential::Uid(7))), None);
        let callers = Callers::new(&[], 7, None);
        assert_eq!(
            agent(callers.identify(Credential::Stdio)).as_deref(),
            Some("local")
        );
        assert_eq!(
            agent(callers.identify(Credential::Uid(7))).as_deref(),
            Some("local")
        );
        assert_eq!(agent(callers.identify(Credential::Uid(8))), None);
    }

    #[test]
    fn x78_only_the_hosts_own_user_is_an_operator() {
        assert!(Operator::at_socket(7, 7).is_some());
        for uid in [0, 6, 8, u32::MAX] {
            assert!(Operator::at_socket(uid, 7).is_none(), "{uid}");
        }
    }
}
