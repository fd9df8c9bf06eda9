//! Copies wasmtime's C headers to the folder that CMake names in `PHASE_WASM_INCLUDE_OUT`.
//! Files are rewritten only when they differ, so that C++ sources are not rebuilt for nothing.
use std::{env, fs, io, path::Path};

fn copy_changed(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_changed(&entry.path(), &target)?;
        } else {
            let bytes = fs::read(entry.path())?;
            if fs::read(&target).ok().as_deref() != Some(bytes.as_slice()) {
                fs::write(&target, bytes)?;
            }
        }
    }
    Ok(())
}

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed=PHASE_WASM_INCLUDE_OUT");
    println!("cargo:rerun-if-changed=build.rs");
    let Ok(out) = env::var("PHASE_WASM_INCLUDE_OUT") else { return Ok(()) };
    // A removed build folder must bring the headers back even when nothing else changed.
    println!("cargo:rerun-if-changed={}", Path::new(&out).join("wasmtime.h").display());
    let include = env::var("DEP_WASMTIME_C_API_INCLUDE")
        .map_err(|_| io::Error::other("wasmtime-c-api-impl did not publish its include folder"))?;
    for folder in env::split_paths(&include) {
        copy_changed(&folder, Path::new(&out))?;
    }
    Ok(())
}
