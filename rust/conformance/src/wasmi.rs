//! Another interpreter for figures: runs `_start` of a WASI module that only writes, and prints the
//! seconds it took, compiling included.
//!
//!     phase-wasmi MODULE.wasm

use std::process::ExitCode;
use std::time::Instant;

use wasmi::{Caller, Engine, Extern, Linker, Module, Store};

const MODULE: &str = "wasi_snapshot_preview1";

/// Adds up what is written; the bytes go nowhere.
fn fd_write(mut caller: Caller<'_, ()>, _fd: i32, vectors: i32, count: i32, written: i32) -> i32 {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return 8; // badf
    };
    let mut total = 0u32;
    for number in 0..count {
        let mut length = [0; 4];
        let at = (vectors + 8 * number + 4) as usize;
        if memory.read(&caller, at, &mut length).is_err() {
            return 21; // fault
        }
        total += u32::from_le_bytes(length);
    }
    match memory.write(&mut caller, written as usize, &total.to_le_bytes()) {
        Ok(()) => 0,
        Err(_) => 21,
    }
}

fn run(path: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let bytes = std::fs::read(path)?;
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "proc_exit", |_code: i32| {})?;
    let began = Instant::now();
    let module = Module::new(&engine, &bytes)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate_and_start(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&store, "_start")?;
    start.call(&mut store, ())?;
    Ok(began.elapsed().as_secs_f64())
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: phase-wasmi MODULE.wasm");
        return ExitCode::from(2);
    };
    match run(&path) {
        Ok(seconds) => {
            println!("{seconds}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{path}: {why}");
            ExitCode::FAILURE
        }
    }
}
