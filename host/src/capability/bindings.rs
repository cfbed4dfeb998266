//! The host's side of `toolhost:tool`, generated from `wit/`. WASI's own interfaces come from
//! wasmtime-wasi and are not generated here.

#![allow(missing_docs, reason = "the contract's own documentation is in `wit/`")]

wasmtime::component::bindgen!({
    inline: "
        package toolhost:host;
        world bound {
            import wasi:logging/logging@0.1.0-draft;
            import toolhost:tool/http@0.1.0;
            import toolhost:tool/progress@0.1.0;
            export toolhost:tool/tools@0.1.0;
        }
    ",
    path: "../wit",
    imports: {
        "toolhost:tool/http.send": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});
