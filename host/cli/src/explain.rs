//! `explain`: what a tool is granted, and which rule allows or denies a request, with its line.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::Setting;
use super::out;
use super::start::HostConfig;
use super::table::{bold, green, plain, red};
use crate::catalog::Lock;
use crate::egress;
use crate::egress::{
    Arguments, Explanation, OriginMiss, RawRequest, RawTarget, RequestContent, RuleMiss,
};
use crate::manifest::{FunctionSpec, ToolSpec};

/// A request as it is typed: what a guest would send, and the call that it would answer.
#[derive(clap::Args)]
pub(super) struct Typed {
    /// A request to judge: "GET https://host/path".
    #[arg(long, value_name = "REQUEST")]
    request: Option<String>,
    /// Its body: JSON, sent as application/json.
    #[arg(long, value_name = "JSON", requires = "request")]
    body: Option<String>,
    /// The arguments of the call that sends it, where rules compare with them.
    #[arg(long, value_name = "JSON", requires = "request")]
    arguments: Option<String>,
}

pub(super) fn explain(setting: &Setting, asked: &str, typed: &Typed) -> anyhow::Result<ExitCode> {
    let config = HostConfig::read(setting)?;
    let (tool, function) = asked
        .split_once('.')
        .map_or((asked, None), |(tool, function)| (tool, Some(function)));
    let spec = config
        .manifest
        .tools
        .iter()
        .find(|spec| &*spec.name == tool)
        .with_context(|| format!("the manifest has no [tool.{tool}]"))?;
    if let Some(function) = function {
        known(spec, &config.lock()?, function)?;
    }
    let sections = sections(spec, function);
    match &typed.request {
        Some(request) => judge(setting, &sections, request, typed),
        None => describe(setting, &sections),
    }
}

/// Says where a tool that is locked has no such function: a name of nothing has the tool's own rules.
fn known(spec: &ToolSpec, lock: &Lock, function: &str) -> anyhow::Result<()> {
    let Some(locked) = lock.tools.get(&*spec.name) else {
        return Ok(());
    };
    let names = locked.functions.iter().map(|found| found.name.as_str());
    if names.clone().any(|name| name == function) {
        return Ok(());
    }
    let names: Vec<&str> = names.take(20).collect();
    bail!(
        "the tool `{}` has no function `{function}`; it has {}",
        spec.name,
        names.join(", ")
    )
}

/// What is asked about: one function's section, or the tool's and those of its functions.
type Section = (String, Arc<FunctionSpec>);

fn sections(spec: &ToolSpec, function: Option<&str>) -> Vec<Section> {
    if let Some(name) = function {
        return vec![(format!("{}.{name}", spec.name), spec.function(name).clone())];
    }
    let all = (
        format!("{} (every function without a section)", spec.name),
        spec.all.clone(),
    );
    let own = spec
        .functions
        .iter()
        .map(|(name, section)| (format!("{}.{name}", spec.name), section.clone()));
    std::iter::once(all).chain(own).collect()
}

fn judge(
    setting: &Setting,
    sections: &[Section],
    request: &str,
    typed: &Typed,
) -> anyhow::Result<ExitCode> {
    let Some((method, url)) = request.trim().split_once(' ') else {
        bail!("write the request as a method and a URL: --request \"GET https://host/path\"");
    };
    let ask = RawRequest {
        method,
        target: RawTarget::Url(url.trim()),
    };
    let arguments = arguments(typed)?;
    let headers = match typed.body {
        Some(_) => vec![("content-type".to_owned(), b"application/json".to_vec())],
        None => Vec::new(),
    };
    let sent = RequestContent {
        headers: &headers,
        body: typed.body.as_deref().unwrap_or_default().as_bytes(),
        arguments: &arguments,
    };
    let explained: Vec<(&String, Explanation)> = sections
        .iter()
        .map(|(name, section)| {
            let grants = &section.grants.http;
            (name, egress::explain(grants, &ask, &sent))
        })
        .collect();
    if setting.json {
        let rows: Vec<Value> = explained
            .iter()
            .map(|(name, explanation)| as_json(name, explanation))
            .collect();
        out::json(&rows)?;
    } else {
        explained
            .iter()
            .for_each(|(name, explanation)| show(name, explanation));
    }
    let allowed = explained
        .iter()
        .any(|(_, explanation)| explanation.outcome.is_ok());
    Ok(if allowed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The arguments as a host would hand them to the guest.
fn arguments(typed: &Typed) -> anyhow::Result<Arguments> {
    let Some(text) = &typed.arguments else {
        return Ok(Arguments::default());
    };
    let read: serde_json::Map<String, Value> = serde_json::from_str(text)
        .context("write the arguments as a JSON object: --arguments '{\"to\": \"a@b.example\"}'")?;
    Ok(Arguments::new(Value::Object(read).to_string().into()))
}

fn as_json(name: &str, explanation: &Explanation) -> Value {
    let verdict = match &explanation.outcome {
        Ok(verdict) => {
            json!({ "allowed": true, "grant": verdict.grant().name, "rule": verdict.rule() })
        }
        Err(refusal) => json!({ "allowed": false, "why": refusal.say }),
    };
    json!({ "section": name, "verdict": verdict, "steps": explanation.steps })
}

fn show(name: &str, explanation: &Explanation) {
    say!("{}", bold(name));
    for step in &explanation.steps {
        let origin = match step.miss {
            None => green("fits"),
            Some(OriginMiss::Host) => plain("another host"),
            Some(OriginMiss::Scheme) => plain("another scheme"),
            Some(OriginMiss::Port) => plain("another port"),
        };
        say!(
            "  line {:>4}  grant {} ({}): {origin}",
            step.line,
            step.grant,
            step.origin
        );
        for rule in &step.rules {
            let fits = match rule.miss {
                None => green("allows it"),
                Some(RuleMiss::Method) => plain("another method"),
                Some(RuleMiss::Path) => plain("another path"),
                Some(RuleMiss::Query) => red("refuses the query"),
                Some(RuleMiss::Body) => red("refuses the body"),
            };
            say!(
                "  line {:>4}    {:<40} {fits}",
                rule.rule.line,
                rule.rule.text
            );
            if let Some(why) = &rule.why {
                say!("               {why}");
            }
        }
    }
    match &explanation.outcome {
        Ok(verdict) => say!(
            "  {} by grant {}, line {}: {}\n  (the host's addresses are judged when it is called)",
            green("allowed"),
            verdict.grant().name,
            verdict.rule().line,
            verdict.rule().text
        ),
        Err(refusal) => say!("  {} {}", red("denied"), refusal.say),
    }
}

fn describe(setting: &Setting, sections: &[Section]) -> anyhow::Result<ExitCode> {
    if setting.json {
        let rows: Vec<Value> = sections
            .iter()
            .map(|(name, section)| json!({ "section": name, "powers": powers(section) }))
            .collect();
        out::json(&rows)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (name, section) in sections {
        say!("{}", bold(name));
        let powers = powers(section);
        if powers.is_empty() {
            say!("  nothing: it can compute, and no more");
        }
        for (line, power) in powers {
            say!("  line {line:>4}  {power}");
        }
        let limits = &section.limits;
        say!(
            "  limits     fuel {}, memory {}, deadline {}, {} requests",
            super::table::grouped(limits.fuel),
            super::table::size(limits.memory),
            humantime::format_duration(limits.deadline),
            limits.requests
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// A section's powers, each with its line.
fn powers(section: &FunctionSpec) -> Vec<(u32, String)> {
    let grants = section.grants.each();
    grants.flat_map(|grant| grant.lines()).collect()
}
