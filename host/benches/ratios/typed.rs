//! A function by its types, JSON text in and out, against what an embedder writes by hand: bindings
//! that know the types at compile time, and serde between them and the text. Both call the same
//! component on the same engine, in a fresh instance.

use std::time::Instant;

use serde::{Deserialize, Serialize};
use toolhost_core::terms::{Clock, Wasi};
use toolhost_runtime::sandbox::{Sandbox, Typed, TypedFunction};
use wasmtime::Engine;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentType, InstancePre, Lift, Linker, Lower, Val,
};

use crate::inside::{State, store};
use crate::stage::Stage;
use crate::stats::Pairs;

/// As the bindings' macros have it.
#[derive(ComponentType, Lift, Lower, Serialize, Deserialize)]
#[component(record)]
struct Point {
    x: i32,
    label: Option<String>,
}

const ROUNDS: usize = 30;
/// The longest answer, in bytes.
const MOST: u64 = 64 << 20;

pub(crate) fn functions(stage: &Stage) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let sandbox = Sandbox::new(Clock::SYSTEM).unwrap();
    let engine = sandbox.engine(Wasi::default()).unwrap();
    let pit = Pit::new(engine, stage);
    let points = (0..10_000).map(|x| Point {
        x,
        label: (x % 3 != 0).then(|| format!("place number {x}")),
    });
    let points = Points {
        points: points.collect(),
    };
    let texts = [
        ("add", r#"{"a":40,"b":2}"#.to_owned(), 200, "<= 2"),
        ("echo of 1 KB", text(1 << 10), 200, "<= 2"),
        ("echo of 1 MB", text(1 << 20), 5, "<= 1.5"),
        (
            "a list of 10,000 records",
            serde_json::to_string(&points).unwrap(),
            3,
            "<= 1.5",
        ),
    ];
    runtime.block_on(async {
        for (name, text, calls, asked) in texts {
            let (mut pairs, mut bare) = (Pairs::default(), Pairs::default());
            let arguments = pit.arguments(name, &text);
            for _ in 0..ROUNDS {
                let start = Instant::now();
                for _ in 0..calls {
                    pit.ours(name, &text).await;
                }
                let ours = start.elapsed();
                let start = Instant::now();
                for _ in 0..calls {
                    pit.by_hand(name, &text).await;
                }
                let each =
                    |spent: std::time::Duration| spent.as_secs_f64() * 1e6 / f64::from(calls);
                let by_hand = start.elapsed();
                pairs.push(each(ours), each(by_hand));
                let start = Instant::now();
                for _ in 0..calls {
                    pit.bare(name, &arguments).await;
                }
                bare.push(each(start.elapsed()), each(by_hand));
            }
            pairs.print(&format!("by types: {name}"), "us", asked);
            bare.print("  of it the engine's dynamic values", "us", "");
        }
    });
}

fn text(bytes: usize) -> String {
    serde_json::to_string(&Text {
        text: "a line of text, with \"quotes\"\n".repeat(bytes / 30),
    })
    .unwrap()
}

#[derive(Serialize, Deserialize)]
struct Text {
    text: String,
}

#[derive(Serialize, Deserialize)]
struct Points {
    points: Vec<Point>,
}

#[derive(Deserialize)]
struct Add {
    a: i32,
    b: i32,
}

#[derive(Serialize)]
struct Answer<T> {
    result: T,
}

struct Pit {
    engine: Engine,
    pre: InstancePre<State>,
    exports: [ComponentExportIndex; 3],
    typed: Typed,
}

impl Pit {
    fn new(engine: &Engine, stage: &Stage) -> Self {
        let component = Component::from_file(engine, stage.guests.join("types.wasm")).unwrap();
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        let pre = linker.instantiate_pre(&component).unwrap();
        let echo = component.get_export_index(None, "test:types/echo@1.2.0");
        let of = |interface: Option<&ComponentExportIndex>, name: &str| {
            component.get_export_index(interface, name).unwrap()
        };
        let add = of(None, "add");
        let (text, points) = (
            of(echo.as_ref(), "echo-text"),
            of(echo.as_ref(), "echo-points"),
        );
        Self {
            engine: engine.clone(),
            exports: [add, text, points],
            pre,
            typed: Typed::of(engine, &component),
        }
    }

    fn function(&self, name: &str) -> &TypedFunction {
        let function = match name {
            "add" => "add",
            "a list of 10,000 records" => "echo_points",
            _ => "echo_text",
        };
        self.typed.get(function).unwrap()
    }

    fn arguments(&self, name: &str, text: &str) -> Vec<Val> {
        self.function(name).arguments(text).unwrap()
    }

    async fn ours(&self, name: &str, text: &str) {
        let arguments = self.arguments(name, text);
        let results = self.bare(name, &arguments).await;
        let output = self.function(name).answer(&results, MOST).unwrap().unwrap();
        assert!(output.structured.unwrap().len() + 20 >= text.len() || name == "add");
    }

    /// The call alone, its values made before and not written.
    async fn bare(&self, name: &str, arguments: &[Val]) -> Vec<Val> {
        let function = self.function(name);
        let mut results = function.results();
        let mut store = store(&self.engine);
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let export = instance.get_func(&mut store, function.index()).unwrap();
        export
            .call_async(&mut store, arguments, &mut results)
            .await
            .unwrap();
        results
    }

    async fn by_hand(&self, name: &str, text: &str) {
        let [add, echo, points] = self.exports;
        let answer = match name {
            "add" => {
                let Add { a, b } = serde_json::from_str(text).unwrap();
                self.called(add, (a, b), i32::into_answer).await
            }
            "a list of 10,000 records" => {
                let given: Points = serde_json::from_str(text).unwrap();
                self.called(points, (given.points,), Vec::<Point>::into_answer)
                    .await
            }
            _ => {
                let given: Text = serde_json::from_str(text).unwrap();
                self.called(echo, (given.text,), String::into_answer).await
            }
        };
        assert!(answer.len() + 20 >= text.len() || name == "add");
    }

    async fn called<P, R>(
        &self,
        export: ComponentExportIndex,
        arguments: P,
        answer: fn(R) -> String,
    ) -> String
    where
        P: wasmtime::component::ComponentNamedList + Lower + Send + Sync + 'static,
        R: Lift + Send + Sync + 'static,
    {
        let mut store = store(&self.engine);
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let function = instance
            .get_typed_func::<P, (R,)>(&mut store, export)
            .unwrap();
        let (result,) = function.call_async(&mut store, arguments).await.unwrap();
        answer(result)
    }
}

trait IntoAnswer: Serialize + Sized {
    fn into_answer(self) -> String {
        serde_json::to_string(&Answer { result: self }).unwrap()
    }
}

impl<T: Serialize> IntoAnswer for T {}
