//! Components written by hand, for what no compiler would make: definitions that are not sound, and
//! bodies that do one exact thing.

use std::fmt::Write as _;

/// What such a component says of one of its functions, unsound or not.
#[derive(Clone)]
pub(crate) struct Words {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) input: String,
    pub(crate) output: Option<String>,
}

/// A sound definition of a function that takes anything.
pub(crate) fn definition(name: &str) -> Words {
    Words {
        name: name.to_owned(),
        description: "Does one exact thing.".to_owned(),
        input: r#"{"type":"object"}"#.to_owned(),
        output: None,
    }
}

/// Where the definitions begin in memory; what is before them is free.
const BASE: usize = 1 << 10;

/// A component with these definitions, these imports, and this body of `call`, whose parameters are
/// `$name $name_len $arguments $arguments_len` and whose result is a pointer to the answer.
pub(crate) fn component(definitions: &[Words], imports: &str, body: &str) -> Vec<u8> {
    Handmade {
        imports,
        body,
        ..Handmade::default()
    }
    .build(definitions)
}

/// A component part by part. Its first 1,024 bytes of memory are free and zero: a pointer to
/// [`EMPTY`] is an honest answer with nothing in it.
pub(crate) struct Handmade<'a> {
    /// What stands first in the component: imports, and components within it.
    pub(crate) imports: &'a str,
    /// Core functions made of imports: what `with` names. The memory is `$e`'s.
    pub(crate) lowered: &'a str,
    /// Core imports of the module, each from `host`.
    pub(crate) from_host: &'a str,
    /// What `host` is: `(export "now" (func $now))`.
    pub(crate) host: &'a str,
    /// More of the module.
    pub(crate) module: &'a str,
    /// The body of `call`.
    pub(crate) body: &'a str,
    /// Options of `call` as it is lifted, its string encoding for one.
    pub(crate) options: &'a str,
    /// The body of `realloc`, whose fourth parameter is the size; the usual one where it is empty.
    pub(crate) realloc: &'a str,
    /// Imports of the module that holds the memory, each from `host`.
    pub(crate) memory_imports: &'a str,
    /// Pages of memory beyond those that are needed.
    pub(crate) pages: usize,
}

/// Where an answer of zeroes is: one that went well and has nothing in it.
pub(crate) const EMPTY: &str = "(i32.const 768)";

/// Gives out memory from `$free` on, growing it where it must.
const REALLOC: &str = r#"
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (block $fits
        (br_if $fits (i32.le_u (global.get $free) (i32.shl (memory.size) (i32.const 16))))
        (br_if $fits (i32.ne (memory.grow (i32.add (i32.shr_u (local.get 3) (i32.const 16)) (i32.const 1))) (i32.const -1)))
        (unreachable))
      (local.get $at)"#;

impl Default for Handmade<'_> {
    fn default() -> Self {
        Self {
            imports: "",
            lowered: "",
            from_host: "",
            host: "",
            module: "",
            body: EMPTY,
            options: "",
            realloc: REALLOC,
            memory_imports: "",
            pages: 0,
        }
    }
}

impl Handmade<'_> {
    /// Its bytes, with these definitions.
    pub(crate) fn build(&self, definitions: &[Words]) -> Vec<u8> {
        let memory = Memory::of(definitions);
        let pages = memory.bytes.len() / (64 << 10) + 2 + self.pages;
        let free = (BASE + memory.bytes.len()).next_multiple_of(8);
        let host = format!("(with \"host\" (instance {}))", self.host);
        let early = if self.memory_imports.is_empty() {
            ("", "")
        } else {
            (self.lowered, host.as_str())
        };
        let late = if self.memory_imports.is_empty() {
            self.lowered
        } else {
            ""
        };
        let text = TEMPLATE
            .replace("{imports}", self.imports)
            .replace("{early}", early.0)
            .replace("{early_with}", early.1)
            .replace("{lowered}", late)
            .replace("{with}", &host)
            .replace("{memory_imports}", self.memory_imports)
            .replace("{from_host}", self.from_host)
            .replace("{module}", self.module)
            .replace("{body}", self.body)
            .replace("{options}", self.options)
            .replace("{realloc}", self.realloc)
            .replace("{pages}", &pages.to_string())
            .replace("{free}", &free.to_string())
            .replace("{list}", &memory.list.to_string())
            .replace("{data}", &memory.escaped());
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// The definitions as the canonical ABI lays them out.
struct Memory {
    bytes: Vec<u8>,
    list: usize,
}

impl Memory {
    fn of(definitions: &[Words]) -> Self {
        let mut memory = Self {
            bytes: Vec::new(),
            list: 0,
        };
        let records: Vec<Vec<u8>> = definitions.iter().map(|one| memory.record(one)).collect();
        let at = memory.put(&records.concat());
        let list = [word(at), word(definitions.len())].concat();
        memory.list = memory.put(&list);
        memory
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let room = self.bytes.len().next_multiple_of(8);
        self.bytes.resize(room, 0);
        self.bytes.extend(bytes);
        BASE + room
    }

    fn text(&mut self, text: &str) -> Vec<u8> {
        let at = self.put(text.as_bytes());
        [word(at), word(text.len())].concat()
    }

    fn record(&mut self, one: &Words) -> Vec<u8> {
        let none = vec![0_u8; 12];
        let output = match &one.output {
            None => none.clone(),
            Some(schema) => [word(1), self.text(schema)].concat(),
        };
        let hints = vec![0_u8; 8];
        [
            self.text(&one.name),
            none,
            self.text(&one.description),
            self.text(&one.input),
            output,
            hints,
        ]
        .concat()
    }

    fn escaped(&self) -> String {
        self.bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "\\{byte:02x}").expect("a string takes it");
            text
        })
    }
}

fn word(number: usize) -> Vec<u8> {
    let number = u32::try_from(number).expect("a pointer of 32 bits");
    number.to_le_bytes().to_vec()
}

/// The interface's types are said three times: as they are, as the inner component imports them, and
/// as it exports them; a component may export only functions of types that it exports.
const TEMPLATE: &str = r#"(component
  {imports}
  {early}
  (core module $memory
    {memory_imports}
    (memory (export "memory") {pages})
    (global $free (mut i32) (i32.const {free}))
    (data (i32.const 1024) "{data}")
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      {realloc}))
  (core instance $e (instantiate $memory {early_with}))
  {lowered}
  (core module $m
    (import "env" "memory" (memory 1))
    {from_host}
    {module}
    (func (export "definitions") (result i32) (i32.const {list}))
    (func $deep (param i32) (result i32)
      (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
    (func (export "call") (param $name i32) (param $name_len i32) (param $arguments i32) (param $arguments_len i32) (result i32)
      {body}))
  (core instance $i (instantiate $m (with "env" (instance $e)) {with}))
  (type $hints (record (field "read-only" (option bool)) (field "destructive" (option bool)) (field "idempotent" (option bool)) (field "open-world" (option bool))))
  (type $definition (record (field "name" string) (field "title" (option string)) (field "description" string) (field "input-schema" string) (field "output-schema" (option string)) (field "hints" $hints)))
  (type $blob (record (field "mime-type" string) (field "data" (list u8)) (field "uri" (option string))))
  (type $link (record (field "uri" string) (field "name" string) (field "description" (option string)) (field "mime-type" (option string))))
  (type $content (variant (case "text" string) (case "blob" $blob) (case "link" $link)))
  (type $output (record (field "structured" (option string)) (field "contents" (list $content))))
  (type $tool-error (record (field "code" string) (field "message" string) (field "retry-after" (option u32)) (field "data" (option string))))
  (func $definitions (result (list $definition))
    (canon lift (core func $i "definitions") (memory $e "memory") (realloc (func $e "realloc"))))
  (func $call (param "name" string) (param "arguments" string) (result (result $output (error $tool-error)))
    (canon lift (core func $i "call") (memory $e "memory") (realloc (func $e "realloc")) {options}))
  (component $shim
    (type $hints- (record (field "read-only" (option bool)) (field "destructive" (option bool)) (field "idempotent" (option bool)) (field "open-world" (option bool))))
    (import "hints" (type $hints (eq $hints-)))
    (type $definition- (record (field "name" string) (field "title" (option string)) (field "description" string) (field "input-schema" string) (field "output-schema" (option string)) (field "hints" $hints)))
    (import "definition" (type $definition (eq $definition-)))
    (type $blob- (record (field "mime-type" string) (field "data" (list u8)) (field "uri" (option string))))
    (import "blob" (type $blob (eq $blob-)))
    (type $link- (record (field "uri" string) (field "name" string) (field "description" (option string)) (field "mime-type" (option string))))
    (import "link" (type $link (eq $link-)))
    (type $content- (variant (case "text" string) (case "blob" $blob) (case "link" $link)))
    (import "content" (type $content (eq $content-)))
    (type $output- (record (field "structured" (option string)) (field "contents" (list $content))))
    (import "output" (type $output (eq $output-)))
    (type $tool-error- (record (field "code" string) (field "message" string) (field "retry-after" (option u32)) (field "data" (option string))))
    (import "tool-error" (type $tool-error (eq $tool-error-)))
    (import "definitions" (func $definitions (result (list $definition))))
    (import "call" (func $call (param "name" string) (param "arguments" string) (result (result $output (error $tool-error)))))
    (export $hints+ "hints" (type $hints-))
    (type $definition+- (record (field "name" string) (field "title" (option string)) (field "description" string) (field "input-schema" string) (field "output-schema" (option string)) (field "hints" $hints+)))
    (export $definition+ "definition" (type $definition+-))
    (export $blob+ "blob" (type $blob-))
    (export $link+ "link" (type $link-))
    (type $content+- (variant (case "text" string) (case "blob" $blob+) (case "link" $link+)))
    (export $content+ "content" (type $content+-))
    (type $output+- (record (field "structured" (option string)) (field "contents" (list $content+))))
    (export $output+ "output" (type $output+-))
    (export $tool-error+ "tool-error" (type $tool-error-))
    (export "definitions" (func $definitions) (func (result (list $definition+))))
    (export "call" (func $call) (func (param "name" string) (param "arguments" string) (result (result $output+ (error $tool-error+))))))
  (instance $tools (instantiate $shim
    (with "hints" (type $hints)) (with "definition" (type $definition))
    (with "blob" (type $blob)) (with "link" (type $link)) (with "content" (type $content))
    (with "output" (type $output)) (with "tool-error" (type $tool-error))
    (with "definitions" (func $definitions)) (with "call" (func $call))))
  (export "toolhost:tool/tools@0.1.0" (instance $tools)))
"#;
