//! One case, run: a host of its own around the one engine, a call through it, and what is there
//! afterwards. It judges nothing that the host judges.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::call::{Host, Request, Snapshot};
use crate::capability::{SharedServices, kv};
use crate::catalog::{self, Lock, LockedTool, Places, Trouble};
use crate::egress::ParsedRequest;
use crate::gate::{Callers, Operator};
use crate::manifest::Manifest;
use crate::quota::Quota;
use crate::sandbox::Lanes;
use crate::terms::{Bill, Caller, Clock, Door, Fault, HttpTarget, Outcome, Target, Verdict};
use toolhost_ledger::state::{Role, StateLock};
use toolhost_ledger::{self, Attempted, Filter, Header, Ledger, Mode};
use toolhost_outbound::dial::Dialer;
use toolhost_outbound::secret::{Secret, Secrets};

use super::super::authoring::AuthoringEnv;
use super::exchange::List;
use super::file::{Case, Failure};
use super::find::Found;
use super::fixture::{self, Fixture};
use super::grants::{Granted, Need, Source};
use super::judge::{self, Difference};

/// The longest time that filling or reading a bucket may take.
const STORE: Duration = Duration::from_secs(30);

/// What all cases share.
pub(super) struct CaseRunner<'a> {
    authoring: AuthoringEnv,
    component: PathBuf,
    name: String,
    locked: LockedTool,
    source: &'a Source,
}

/// A case that was run.
pub(super) struct Done {
    /// What is not as it has to be. Empty: it passed.
    pub(super) differences: Vec<Difference>,
    /// What the call used; nothing where there was no call.
    pub(super) bill: Option<Bill>,
    /// What it needs of the outside, and which grant gives it.
    pub(super) needs: Vec<Need>,
}

impl Done {
    fn unrun(differences: Vec<Difference>) -> Self {
        Self {
            differences,
            bill: None,
            needs: Vec::new(),
        }
    }
}

/// How a call ended, and what it left behind.
struct CaseResult {
    ended: Result<Outcome, Fault>,
    bill: Bill,
    /// As the ledger has them.
    attempts: Vec<Attempted>,
}

impl<'a> CaseRunner<'a> {
    /// Compiles the component and asks it what it offers.
    pub(super) fn new(found: &Found, source: &'a Source) -> anyhow::Result<Self> {
        let authoring = AuthoringEnv::open()?;
        let mut manifest = source.bare()?;
        for tool in &mut manifest.tools {
            Arc::make_mut(tool).component.clone_from(&found.component);
        }
        let mut lock = authoring.lock(&manifest)?;
        let (name, locked) = lock
            .tools
            .pop_first()
            .ok_or_else(|| anyhow::anyhow!("the tool was not locked"))?;
        Ok(Self {
            authoring,
            component: found.component.clone(),
            name,
            locked,
            source,
        })
    }

    /// Runs one case.
    ///
    /// # Errors
    ///
    /// Where the machine does not let it; whatever the tool does is part of what was done.
    pub(super) async fn run(&self, case: &Case) -> anyhow::Result<Done> {
        let functions = &self.locked.functions;
        if functions.iter().all(|one| one.name != case.function) {
            let names: Vec<&str> = functions.iter().map(|one| one.name.as_str()).collect();
            let said = format!(
                "the tool has no function `{}`; it has {}",
                case.function,
                names.join(", ")
            );
            return Ok(Done::unrun(vec![Difference::plain(said)]));
        }
        let granted = match self.source.granted(case, &self.component)? {
            Ok(granted) => granted,
            Err(missing) => return Ok(Done::unrun(missing)),
        };
        let stage = Fixture::set(case, &granted)?;
        let list = Arc::new(List::new(&case.http)?);
        let world = world(&stage, &granted.manifest, list.clone())?;
        let caller = Caller {
            agent: "local".into(),
            user: None,
        };
        for grant in &granted.spec.grants.kv {
            let Some(bucket) = case.kv.get(&*grant.name) else {
                continue;
            };
            let entries = bucket.entries.iter();
            let entries = entries.map(|(key, content)| (key.clone(), content.bytes().to_owned()));
            let end = Instant::now() + STORE;
            kv::fill(&world.store, grant, &caller, entries.collect(), end).await?;
        }
        let ran = match self.call(case, &granted, &world, &stage).await? {
            Ok(ran) => ran,
            Err(troubles) => {
                let said = troubles
                    .into_iter()
                    .map(|one| Difference::plain(one.to_string()));
                return Ok(Done::unrun(said.collect()));
            }
        };
        let mut differences = judge::judge(case, &ran.ended);
        let requests = requests(case, &list, &ran.attempts, self.source);
        differences.extend(requests.differences);
        differences.extend(stage.differences()?);
        for grant in &granted.spec.grants.kv {
            let Some(bucket) = case.kv.get(&*grant.name) else {
                continue;
            };
            let end = Instant::now() + STORE;
            let there = kv::contents(&world.store, grant, &caller, end).await?;
            let wanted = fixture::expected(&bucket.entries, &bucket.after, &bucket.gone);
            let name = |key: &str| format!("kv {}[{key:?}]", grant.name);
            differences.extend(fixture::compare(&wanted, &there, name));
        }
        let mut needs = requests.needs;
        needs.extend(granted.needs);
        Ok(Done {
            differences,
            bill: Some(ran.bill),
            needs,
        })
    }

    async fn call(
        &self,
        case: &Case,
        granted: &Granted,
        world: &SharedServices,
        stage: &Fixture,
    ) -> anyhow::Result<Result<CaseResult, Vec<Trouble>>> {
        let lock = Lock {
            tools: BTreeMap::from([(self.name.clone(), self.locked.clone())]),
        };
        let manifest = &granted.manifest;
        let places = Places {
            base: stage.path(),
            cache: &self.authoring.cache,
            world,
        };
        let loaded = catalog::load(&self.authoring.sandbox, manifest, &lock, places, &|_| {});
        let catalog = match loaded {
            Ok(catalog) => catalog,
            Err(troubles) => return Ok(Err(troubles)),
        };
        let callers = Callers::new(&[], rustix::process::geteuid().as_raw(), None);
        let header = Header {
            host_version: env!("CARGO_PKG_VERSION"),
            mode: Mode::Dev,
            manifest: "",
        };
        let state = StateLock::take(stage.path(), Role::Call)?;
        let caller = callers.named(&Operator::of(&state), "local");
        let caller = caller.ok_or_else(|| anyhow::anyhow!("there is no caller `local`"))?;
        let ledger = Ledger::open(state, &header, Clock::SYSTEM)?;
        let folder = stage.path().join("ledger");
        let lanes = (self.authoring.sandbox.clone(), Lanes::for_one()?);
        let snapshot = Snapshot::new(callers, catalog, Mode::Dev);
        let host = Arc::new(Host::new(snapshot, Quota::new(manifest), lanes, ledger));
        let request = Request {
            caller,
            door: Door::Cli,
            function: format!("{}_{}", granted.tool.name, case.function),
            arguments: arguments(case),
            progress: None,
        };
        let (released, bill) = host.call_with_bill(request).await;
        host.stop().await?;
        let shown = toolhost_ledger::show(&folder, &Filter::default())?;
        let attempts = shown.calls.into_iter().flat_map(|call| call.attempts);
        Ok(Ok(CaseResult {
            ended: released.map(|release| release.into_outcome()),
            bill,
            attempts: attempts.collect(),
        }))
    }
}

fn arguments(case: &Case) -> Map<String, Value> {
    let json = case.arguments.as_ref().map(|json| &json.0);
    json.and_then(Value::as_object).cloned().unwrap_or_default()
}

/// A world of this case alone: made-up credentials, folders of its own, and a list for a network.
fn world(stage: &Fixture, manifest: &Manifest, list: Arc<List>) -> anyhow::Result<SharedServices> {
    let secret = |name: &Arc<str>| {
        let value = format!("the-value-of-{name}").into_bytes();
        Ok((name.clone(), Secret::new(value)?))
    };
    let secrets = manifest
        .secrets
        .keys()
        .map(secret)
        .collect::<anyhow::Result<Secrets>>()?;
    Ok(SharedServices::new(
        Arc::new(Dialer::answered_by(list)),
        Arc::new(secrets),
        stage.path(),
        stage.path(),
        Clock::SYSTEM,
    ))
}

/// What came of the requests.
struct Requests {
    differences: Vec<Difference>,
    needs: Vec<Need>,
}

/// Joins what the exchanges saw with what the record has: a request that was refused never came to
/// an exchange.
fn requests(case: &Case, list: &List, attempts: &[Attempted], source: &Source) -> Requests {
    let outside = list.outside();
    let mut differences: Vec<Difference> = outside
        .unexpected
        .into_iter()
        .map(|asked| Difference::plain(format!("no exchange is for the request {asked}")))
        .collect();
    let mut refused: Vec<(&HttpTarget, &str)> = Vec::new();
    let mut needs = Vec::new();
    for attempt in attempts {
        let Target::Http(to) = &attempt.to else {
            continue;
        };
        let rule = match &attempt.verdict {
            Verdict::Refused { why, .. } => {
                refused.push((to, why));
                continue;
            }
            Verdict::Allowed(rule) => rule,
        };
        let by = format!("http.{}, line {}", rule.grant, rule.line);
        let by = matches!(source, Source::Written(_)).then_some(by);
        let need = Need {
            what: to.asked(),
            by,
        };
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    for exchange in outside
        .unused
        .into_iter()
        .filter_map(|at| case.http.get(at))
    {
        let wanted = &exchange.request;
        let denied = exchange.fails == Some(Failure::Denied);
        let found = refused.iter().position(|(to, _)| is_of(to, &wanted.asked));
        let found = found.map(|at| refused.remove(at));
        match found {
            Some(_) if denied => {}
            Some((_, why)) => differences.push(Difference::plain(format!(
                "tool.toml does not grant it: {} ({why})",
                wanted.text,
            ))),
            None if denied => differences.push(Difference::plain(format!(
                "the request {} was not refused: it was not made, or it is granted",
                wanted.text
            ))),
            None => differences.push(Difference::plain(format!(
                "the request {} was not made",
                wanted.text
            ))),
        }
    }
    for (to, why) in refused.into_iter().filter(|(to, _)| to.host.is_some()) {
        differences.push(Difference::plain(format!(
            "no exchange is for the request {}, which was refused: {why}",
            to.asked(),
        )));
    }
    Requests { differences, needs }
}

/// Whether an attempt is what an exchange is about; the record has no query.
fn is_of(to: &HttpTarget, asked: &ParsedRequest) -> bool {
    to.method == asked.method.as_str()
        && to.scheme.as_deref() == Some(asked.origin.scheme.as_str())
        && to.host == Some(asked.origin.host_text())
        && to.port == Some(asked.origin.port)
        && to.path.as_deref() == Some(asked.path.as_str())
}
