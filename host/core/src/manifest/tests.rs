//! What good manifests mean, and what holds for every bad one. The texts of the problems stand
//! beside their fixtures, in `tests/cases/manifest/bad`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use url::Host;

use super::*;
use crate::egress::{Auth, HttpGrant, Network, PathSegment, Scheme};
use crate::grants::DirAccess;
use crate::grants::KvGrant;
use crate::grants::Level;

const EVERYTHING: &str = include_str!("../../../../tests/cases/manifest/good/everything.toml");
const FUNCTION_GRANTS: &str =
    include_str!("../../../../tests/cases/manifest/good/function_grants.toml");
const DOTTED: &str = include_str!("../../../../tests/cases/manifest/good/dotted_and_inline.toml");

fn good(text: &str) -> Manifest {
    parse("toolhost.toml", text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn bad(text: &str) -> Problems {
    parse("toolhost.toml", text).unwrap_err()
}

fn messages(text: &str) -> Vec<String> {
    bad(text)
        .iter()
        .map(|problem| problem.message().to_owned())
        .collect()
}

fn tool<'m>(manifest: &'m Manifest, name: &str) -> &'m ToolSpec {
    manifest
        .tools
        .iter()
        .find(|tool| *tool.name == *name)
        .unwrap()
}

fn http<'f>(function: &'f FunctionSpec, name: &str) -> &'f HttpGrant {
    function
        .grants
        .http
        .iter()
        .find(|grant| *grant.name == *name)
        .unwrap()
}

fn rules(grant: &HttpGrant) -> Vec<&str> {
    grant.allow.iter().map(|rule| &*rule.text).collect()
}

/// The line of the fixture that starts with `start`, counted by the test itself.
fn line(text: &str, start: &str) -> u32 {
    let index = text
        .lines()
        .position(|line| line.starts_with(start))
        .unwrap();
    u32::try_from(index).unwrap() + 1
}

#[test]
fn nothing_said_means_the_defaults() {
    let manifest = good("schema = 1\n[tool.hello]\ncomponent = 'hello.wasm'\n");
    let host = &manifest.host;
    assert_eq!(host.state, Path::new(".toolhost"));
    assert_eq!(
        host.unix.as_deref(),
        Some(Path::new(".toolhost/agents/agent.sock"))
    );
    assert_eq!(host.http, Some("127.0.0.1:7420".parse().unwrap()));
    assert_eq!((host.concurrency, host.queue), (64, 256));
    assert_eq!(host.message, 4 << 20);
    assert!(manifest.callers.is_empty() && manifest.secrets.is_empty());
    let hello = tool(&manifest, "hello");
    assert_eq!(hello.component, Path::new("hello.wasm"));
    assert_eq!(hello.line, 2);
    assert_eq!(hello.function("any").limits, Limits::DEFAULT);
    assert_eq!(hello.function("any").grants, Grants::default());
}

#[test]
fn the_host_is_as_written() {
    let host = good(EVERYTHING).host;
    assert_eq!(host.state, Path::new("var/toolhost"));
    assert_eq!(host.unix.as_deref(), Some(Path::new("var/agent.sock")));
    assert_eq!(host.http, Some("[::1]:0".parse().unwrap()));
    assert_eq!((host.concurrency, host.queue), (100, 0));
    assert_eq!(host.message, 8 << 20);
}

#[test]
fn doors_are_where_the_state_is_unless_they_are_said() {
    let host = good("schema = 1\nhost.state = '/var/lib/toolhost'").host;
    assert_eq!(
        host.unix.as_deref(),
        Some(Path::new("/var/lib/toolhost/agents/agent.sock"))
    );
    let host = good("schema = 1\nhost.agents = ['http://127.0.0.1:1']").host;
    assert_eq!(
        (host.unix, host.http),
        (None, Some("127.0.0.1:1".parse().unwrap()))
    );
    let host = good("schema = 1\nhost.agents = []").host;
    assert_eq!((host.unix, host.http), (None, None));
}

#[test]
fn limits_are_inherited_from_all_to_tool_to_function() {
    let manifest = good(EVERYTHING);
    let all = Limits {
        memory: 128 << 20,
        host_memory: 24 << 20,
        fuel: 10_000_000_000,
        deadline: Duration::from_secs(90),
        concurrency: 8,
        output: 1 << 20,
        table_elements: 20_000,
        instances: 32,
        handles: 1_000,
        resources: 256,
        requests: 16,
        request_body: 65_536,
        response_body: 3 << 19,
        log: 64 << 10,
    };
    let github = tool(&manifest, "github");
    let of_tool = Limits {
        deadline: Duration::from_secs(20),
        ..all
    };
    assert_eq!(github.function("search_issues").limits, of_tool);
    let of_function = Limits {
        deadline: Duration::from_secs(30),
        requests: 0,
        ..all
    };
    assert_eq!(github.function("create_comment").limits, of_function);
    let orders = tool(&manifest, "orders");
    let of_tool = Limits {
        memory: 1 << 30,
        ..all
    };
    assert_eq!(orders.function("note").limits, of_tool);
}

#[test]
fn secrets_are_places() {
    let secrets = good(EVERYTHING).secrets;
    let source = |name: &str| secrets.get(name).unwrap().place.clone();
    assert_eq!(secrets.len(), 4);
    assert_eq!(
        source("github"),
        SecretPlace::Env("GITHUB_TOKEN".to_owned())
    );
    assert_eq!(
        source("shop-password"),
        SecretPlace::File("secrets/shop".into())
    );
    assert_eq!(
        source("map_key"),
        SecretPlace::Command(CommandSpec {
            program: "vault".into(),
            arguments: ["kv", "get", "-field=key", "secret/map"]
                .map(str::to_owned)
                .to_vec(),
            timeout: Duration::from_secs(5),
            ttl: Duration::from_secs(900),
        })
    );
    assert!(!secrets.values().any(|spec| spec.accept_short));
    let github = secrets.get("github").unwrap();
    assert_eq!(github.line, line(EVERYTHING, "[secret.github]"));
}

#[test]
fn callers_are_as_written() {
    let callers = good(EVERYTHING).callers;
    let names: Vec<&str> = callers.iter().map(|caller| &*caller.name).collect();
    assert_eq!(names, ["build", "desk", "local", "support"]);
    let [build, desk, local, support] = &callers[..] else {
        panic!("{callers:?}")
    };
    assert_eq!((build.uid, build.stdio), (Some(1000), false));
    assert_eq!((desk.uid, desk.stdio), (None, true));
    assert_eq!(
        (local.uid, local.stdio, local.token_sha256),
        (None, false, None)
    );
    let hash = support.token_sha256.unwrap();
    assert_eq!((hash[0], hash[31]), (0x9f, 0x08));
    assert_eq!(support.user.as_deref(), Some("Ada Lovelace"));
    assert_eq!(support.line, line(EVERYTHING, "[caller.support]"));
    let may = |caller: &CallerSpec| -> Vec<String> {
        let right = |right: &Right| format!("{:?} {:?}", right.tool, right.function);
        caller.may.iter().map(right).collect()
    };
    assert_eq!(may(build), ["None None"]);
    let rights = [
        r#"Some("github") Some("search_issues")"#,
        r#"Some("orders") None"#,
    ];
    assert_eq!(may(support), rights);
}

#[test]
fn http_grants_are_as_written() {
    let manifest = good(EVERYTHING);
    let orders = tool(&manifest, "orders").function("look_up");
    let shop = http(orders, "shop");
    assert_eq!(shop.line, line(EVERYTHING, "[tool.orders.http.shop]"));
    assert_eq!(shop.origin.scheme, Scheme::Http);
    assert_eq!(
        shop.origin.host,
        Host::<String>::Ipv4([127, 0, 0, 1].into())
    );
    assert_eq!(shop.origin.port, 8080);
    let address = std::net::Ipv4Addr::new(127, 0, 0, 0).into();
    assert_eq!(shop.private, [Network { address, prefix: 8 }]);
    let basic = Auth::Basic {
        user: "host".to_owned(),
        secret: "shop-password".into(),
    };
    assert_eq!(shop.auth, Some(basic));
    let exactly = |text: &str| PathSegment::Exactly(text.to_owned());
    assert_eq!(shop.allow[0].path, [exactly("orders"), PathSegment::Any]);
    assert_eq!(
        shop.allow[0].line,
        line(EVERYTHING, "allow = [\"GET /orders/*\", \"POST")
    );
    assert_eq!(shop.allow[2].method, "PROPFIND");
    let map = http(orders, "map");
    assert_eq!(map.origin.to_string(), "https://map.example.com:8443");
    assert_eq!(
        map.allow[0].path,
        [exactly("~user"), exactly("a%2Ab"), PathSegment::Rest]
    );
    let query = Auth::Query {
        name: "key".to_owned(),
        secret: "map_key".into(),
    };
    assert_eq!(map.auth, Some(query));
    let weather = http(orders, "weather");
    assert_eq!(weather.origin.port, 443);
    let name = ::http::HeaderName::from_static("x-api-key");
    assert_eq!(
        weather.auth,
        Some(Auth::Header {
            name,
            secret: "weather".into()
        })
    );
}

#[test]
fn a_function_has_its_tools_grants_and_its_own() {
    let manifest = good(EVERYTHING);
    let github = tool(&manifest, "github");
    let read = ["GET /search/issues", "GET /repos/acme/*/issues/**"];
    assert_eq!(rules(http(github.function("search_issues"), "api")), read);
    let create = http(github.function("create_comment"), "api");
    assert_eq!(
        rules(create),
        [read[0], read[1], "POST /repos/acme/*/issues/*/comments"]
    );
    assert_eq!(
        create.auth,
        Some(Auth::Bearer {
            secret: "github".into()
        })
    );
    assert_eq!(
        github.all.grants.log.map(|log| log.level),
        Some(Level::Info)
    );
    let log = github.function("create_comment").grants.log;
    assert_eq!(log.map(|log| log.level), Some(Level::Debug));

    let orders = tool(&manifest, "orders");
    let names = |function: &str| -> Vec<Arc<str>> {
        let grants = &orders.function(function).grants;
        let http = grants.http.iter().map(|grant| Arc::clone(&grant.name));
        http.chain(grants.dir.iter().map(|grant| Arc::clone(&grant.name)))
            .collect()
    };
    assert_eq!(names("refund").join(" "), "map shop weather catalogue");
    assert_eq!(names("note").join(" "), "map shop weather catalogue notes");
    assert_eq!(
        names("look_up").join(" "),
        "archive map shop weather catalogue"
    );
    let note = &orders.function("note").grants;
    let notes = &note.dir[1];
    assert_eq!(
        (&*notes.guest, notes.access),
        ("/notes", DirAccess::ReadWrite)
    );
    assert_eq!(notes.host, Path::new("notes"));
    let quota = (notes.quota.bytes, notes.quota.files, notes.quota.handles);
    assert_eq!(quota, (1 << 30, 500, 8));
    assert_eq!(
        (note.dir[0].quota.files, note.dir[0].quota.handles),
        (10_000, 10_000)
    );
    let env: Vec<_> = note
        .env
        .iter()
        .map(|env| (&*env.name, &*env.value))
        .collect();
    assert_eq!(env, [("LANG", ""), ("NOTES", "/notes"), ("SHOP", "main")]);
    assert_eq!(orders.function("refund").grants.env.len(), 2);
}

#[test]
fn a_grant_may_leave_its_rules_to_the_functions() {
    let manifest = good(FUNCTION_GRANTS);
    let issues = tool(&manifest, "issues");
    let api = |function: &str| rules(http(issues.function(function), "api")).join(", ");
    assert_eq!(api("read"), "GET /issues/*");
    assert_eq!(api("write"), "GET /issues/*, POST /issues/*/comments");
    assert_eq!(api("another"), "");
    assert_eq!(
        issues.function("write").limits.deadline,
        Duration::from_millis(500)
    );
}

#[test]
fn dotted_keys_and_inline_tables_say_the_same() {
    let manifest = good(DOTTED);
    let hello = tool(&manifest, "hello");
    assert_eq!(
        http(&hello.all, "web").origin.to_string(),
        "https://example.com"
    );
    assert_eq!(hello.all.limits.memory, 16 << 20);
    assert_eq!(hello.function("greet").limits.fuel, 1);
    assert_eq!(hello.function("greet").grants, hello.all.grants);
}

#[test]
fn problems_can_be_read_by_a_program() {
    let problems = bad("schema = 1\n\n[limits]\nmemory = '1MiB'\nfule = 5\noutput = 'no'\n");
    let list: Vec<_> = problems
        .iter()
        .map(|p| (p.line(), p.column(), p.message(), p.hint()))
        .collect();
    let unknown = (5, 1, "unknown key `fule`", Some("did you mean `fuel`?"));
    let boundless = (
        6,
        10,
        "`output` cannot be without a bound",
        Some("the most is 64MiB"),
    );
    assert_eq!(list, [unknown, boundless]);
    let json = serde_json::to_value(problems.iter().next()).unwrap();
    let expected = serde_json::json!({
        "line": 5, "column": 1, "message": "unknown key `fule`", "hint": "did you mean `fuel`?",
    });
    assert_eq!(json, expected);
}

#[test]
fn the_file_name_cannot_command_the_terminal() {
    let problems = parse("a\u{1b}[2Jb.toml", "schema = 1\nx = 1").unwrap_err();
    assert_eq!(problems.file_name(), "a\\u{1b}[2Jb.toml");
    assert!(
        problems
            .to_string()
            .ends_with("1 problem in a\\u{1b}[2Jb.toml")
    );
}

#[test]
fn a_text_that_is_too_long_is_one_problem() {
    let text = format!("schema = 1\n#{}\n", "x".repeat(LONGEST));
    assert_eq!(
        messages(&text),
        [format!(
            "the manifest has {} bytes, at most 1048576 are read",
            text.len()
        )]
    );
    let text = format!("schema = 1\n#{}\n", "x".repeat(LONGEST - 13));
    assert_eq!(text.len(), LONGEST);
    good(&text);
}

/// Many problems, on many lines or on one, and nesting that would overflow a stack.
#[test]
fn the_worst_text_is_answered() {
    let room = 1 << 16;
    let on_one_line: String = (0..room / 8).map(|n| format!("{n}=1,")).collect();
    let texts = [
        ("a=1\n".repeat(room), 1_000),
        ("[a]\n".repeat(room), 1_000),
        ("[a]\na=1\n".repeat(room), 1_000),
        ("=\n".repeat(room), 1_000),
        (format!("host={{{on_one_line}}}"), 1_000),
        (format!("host={}", "[".repeat(room)), 100),
        (format!("host={}", "{a=".repeat(room)), 100),
        (format!("host.{}a=1", "a.".repeat(room)), 1),
    ];
    for (text, most) in texts {
        let text = format!("schema = 1\n{text}");
        let count = bad(&text).iter().count();
        assert!(
            (1..=most).contains(&count),
            "{count} for {:?}",
            text.get(..40)
        );
    }
}

/// A directory that lies in the host's state is the host's, also where the state is all around it.
#[test]
fn the_state_is_sheltered_wherever_it_is() {
    let with = |state: &str, dir: &str| {
        let grant = format!("host = '{dir}'\nguest = '/d'\naccess = 'read'\n");
        let text = format!(
            "schema = 1\nhost.state = '{state}'\n[tool.t]\ncomponent = 't.wasm'\n[tool.t.dir.d]\n{grant}"
        );
        parse("toolhost.toml", &text).is_err()
    };
    for (state, dir) in [
        (".", "notes"),
        ("a/b", "a"),
        ("a/b", "a/b/c"),
        ("/s", "/s/./x/.."),
        ("..", "."),
    ] {
        assert!(with(state, dir), "{state} {dir}");
    }
    for (state, dir) in [("a/b", "a/bc"), ("a", "b"), ("/s", "/t"), ("a/../b", "a")] {
        assert!(!with(state, dir), "{state} {dir}");
    }
}

#[test]
fn buckets_and_configuration_are_as_written() {
    const STORAGE: &str = include_str!("../../../../tests/cases/manifest/good/storage.toml");
    let manifest = good(STORAGE);
    let notes = tool(&manifest, "notes");
    let buckets = |function: &str| -> Vec<String> {
        let grants = &notes.function(function).grants.kv;
        let shown = grants.iter().map(|grant| {
            let apart = if grant.per_caller { " apart" } else { "" };
            let KvGrant { owner, name, .. } = grant;
            format!("{owner}/{name} {} {}{apart}", grant.bytes, grant.keys)
        });
        shown.collect()
    };
    let of_tool = ["notes/drafts 65536 1 apart", "notes/seen 1048576 1000"];
    assert_eq!(buckets("list"), of_tool);
    let own = "notes.add/own 1073741824 1000000";
    assert_eq!(buckets("add"), [of_tool[0], own, of_tool[1]]);
    let own = "notes.remove/own 2 1";
    assert_eq!(buckets("remove"), [of_tool[0], own, of_tool[1]]);
    let seen = &notes.all.grants.kv[1];
    assert_eq!(seen.line, line(STORAGE, "[tool.notes.kv.seen]"));

    let config = |function: &str| -> Vec<(String, String)> {
        let grants = notes.function(function).grants.config.iter();
        let pairs = grants.map(|grant| (grant.key.clone(), grant.value.clone()));
        pairs.collect()
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let of_tool = [
        pair("empty", ""),
        pair("log level", "debug"),
        pair("region", "eu"),
    ];
    assert_eq!(config("list"), of_tool);
    assert_eq!(config("add").last(), Some(&pair("source", "form")));
}

const CLOSED: &str = include_str!("../../../../tests/cases/manifest/good/closed_rules.toml");
const EGRESS: &str = include_str!("../../../../tests/cases/manifest/good/egress.toml");

#[test]
fn a_rule_in_its_long_form_is_closed() {
    use crate::egress::{BodyRule, ContentRule, Field, JsonRule, QueryRule, Scalar, Test};

    let manifest = good(CLOSED);
    let api = http(tool(&manifest, "mail").function("any"), "api");
    let content = |index: usize| ContentRule::clone(api.allow[index].content.as_ref().unwrap());
    let nothing = QueryRule::Only(BTreeMap::new());
    assert_eq!(
        (content(0).query, content(0).body),
        (nothing.clone(), BodyRule::Empty)
    );
    assert_eq!(&*api.allow[0].text, "GET /status");
    assert_eq!(api.allow[0].line, line(CLOSED, "rule = \"GET /status\""));

    let QueryRule::Only(parameters) = content(1).query else {
        panic!("{:?}", content(1))
    };
    assert_eq!(parameters.keys().collect::<Vec<_>>(), ["page", "q", "sort"]);
    assert!(parameters["q"].required && !parameters["page"].required);
    assert_eq!(parameters["q"].test, Test::Any);

    let BodyRule::Json(JsonRule::Object(fields)) = content(2).body else {
        panic!("{:?}", content(2))
    };
    let value = |test| {
        JsonRule::Value(Field {
            required: false,
            test,
        })
    };
    let to = Field {
        required: true,
        test: Test::Equals("recipient".into()),
    };
    assert_eq!(fields["to"], JsonRule::Value(to));
    let urgent = vec![
        Scalar::Flag(false),
        Scalar::Integer(0),
        Scalar::Text("no".to_owned()),
    ];
    assert_eq!(fields["urgent"], value(Test::OneOf(urgent)));
    assert_eq!(fields["text"], value(Test::Any));
    let meta = JsonRule::Object([("a/b".to_owned(), value(Test::Any))].into());
    assert_eq!(fields["meta"], meta);
    let JsonRule::List(each) = &fields["cc"] else {
        panic!("{fields:?}")
    };
    assert!(matches!(&**each, JsonRule::Object(fields) if fields.contains_key("address")));

    // Alternatives: the same path, another shape.
    assert_eq!(content(3).query, QueryRule::Any);
    assert_eq!(
        (content(4).query, content(4).body),
        (nothing, BodyRule::Any)
    );
}

#[test]
fn a_grant_leaves_the_host_as_it_says_or_as_all_do() {
    use crate::egress::{ClientFiles, TlsFiles, Way};

    let manifest = good(EGRESS);
    assert_eq!(manifest.host.dns, Some("10.0.0.53:53".parse().unwrap()));
    let look_up = tool(&manifest, "orders").function("look_up");
    let way = |name: &str| {
        look_up
            .grants
            .http
            .iter()
            .find(|grant| &*grant.name == name)
            .unwrap()
    };
    let at = |text: &str| Some(text.to_owned());
    let proxy = |way: &Way| way.proxy.as_ref().map(ToString::to_string);
    let files = |ca: &str, certificate: &str, key: &str| TlsFiles {
        ca: Some(ca.into()),
        client: Some(ClientFiles {
            certificate: certificate.into(),
            key: key.into(),
        }),
    };
    let all = files("certs/ca.pem", "certs/client.pem", "certs/client.key");
    for (name, through, tls, redirects) in [
        ("map", at("https://proxy.internal:3128"), all.clone(), 3),
        // The proxy speaks TLS, so the same files hold.
        ("plain", at("https://proxy.internal:3128"), all.clone(), 0),
        // What is this side of the proxy is reached directly.
        ("shop", None, TlsFiles::default(), 0),
        (
            "bank",
            None,
            files("certs/bank.pem", "certs/bank.pem", "/etc/toolhost/bank.key"),
            0,
        ),
        ("partner", at("http://10.0.0.9:8080"), all, 1),
    ] {
        let grant = way(name);
        assert_eq!(proxy(&grant.way), through, "{name}");
        assert_eq!(grant.way.tls, tls, "{name}");
        assert_eq!(grant.redirects, redirects, "{name}");
    }
}

#[test]
fn a_part_is_what_its_author_may_say() {
    let part = "[secret.shop]\nenv = \"SHOP\"\n[tool.orders]\ncomponent = \"orders.wasm\"\n\
                [tool.orders.http.api]\nurl = \"https://shop.example\"\nallow = [\"GET /a\"]\n\
                auth = { bearer = \"shop\" }\n";
    let read = parse_part("tool.toml", part).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(tool(&read, "orders").line, 3);
    for operators in [
        "schema = 1\n",
        "[host]\nqueue = 1\n",
        "[limits]\nfuel = 1\n",
    ] {
        let text = format!("{operators}[tool.orders]\ncomponent = \"orders.wasm\"\n");
        let problems = parse_part("tool.toml", &text).unwrap_err();
        let said = problems.to_string();
        assert!(said.contains("unknown key"), "{said}");
        assert_eq!(problems.iter().count(), 1, "{said}");
    }
    let caller = "[caller.support]\nstdio = true\nmay = [\"*\"]\n";
    assert!(parse_part("tool.toml", caller).is_err());
}

#[test]
fn x57_rights_are_bounded_and_each_is_looked_up_once() {
    let text = |rights: &[String]| {
        format!(
            "schema = 1\n[caller.a]\nstdio = true\nmay = [{}]\n[tool.t]\ncomponent = 't.wasm'\n[tool.u]\ncomponent = 'u.wasm'\n",
            rights.join(", ")
        )
    };
    let right = |name: &str| format!("\"{name}\"");
    let many: Vec<String> = (0..4_096).map(|at| right(&format!("t.f{at}"))).collect();
    assert_eq!(good(&text(&many)).callers[0].may.len(), 4_096);
    let more: Vec<String> = (0..4_097).map(|at| right(&format!("t.f{at}"))).collect();
    let said = messages(&text(&more)).join("\n");
    assert!(said.contains("`may` has 4097 rights"), "{said}");
    let idle = ["t.a", "u.a", "t.a", "t.*", "t.*", "u.b"].map(right);
    let said = messages(&text(&idle)).join("; ");
    assert_eq!(
        said,
        "`t.a` adds nothing; `t.a` adds nothing; `t.*` adds nothing"
    );
    let idle = ["*", "t.*", "*", "u.b"].map(right);
    let said = messages(&text(&idle)).join("; ");
    assert_eq!(
        said,
        "`t.*` adds nothing; `*` adds nothing; `u.b` adds nothing"
    );
}
