//! One static library with wasmtime's C API in it. No logic of ours lives here.
//!
//! The re-export is load-bearing: without it the linker keeps none of wasmtime's symbols.
pub use wasmtime_c_api;
