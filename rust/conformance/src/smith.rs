//! Prints random valid modules of what profile det-1 has, one a line, in hexadecimal.
//!
//!     phase-smith SEED COUNT
//!
//! The same seed gives the same modules.

use std::io::{BufWriter, Write};
use std::process::ExitCode;

use arbitrary::Unstructured;
use wasm_smith::{Config, Module};

/// Bytes that one module is made of.
const MATERIAL_BYTES: usize = 4096;

/// SplitMix64 (Steele, Lea, Flood 2014): every seed is good, and close ones have nothing in common.
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

/// Half of the modules cannot trap and so run on; the others may, but begin with nothing in memory
/// and tables, since most random segments do not fit and then nothing runs.
fn config(traps: bool, start: bool) -> Config {
    Config {
        disallow_traps: !traps,
        allow_start_export: start,
        max_imports: 0,
        export_everything: true,
        min_funcs: 1,
        max_funcs: 8,
        min_exports: 1,
        min_memories: 1,
        max_memory32_bytes: 1 << 18,
        max_table_elements: 1_000,
        max_tables: 2,
        max_instructions: 300,
        max_globals: 8,
        max_data_segments: if traps { 0 } else { 4 },
        max_element_segments: if traps { 0 } else { 4 },
        // What det-1 does not have.
        simd_enabled: false,
        relaxed_simd_enabled: false,
        threads_enabled: false,
        tail_call_enabled: false,
        exceptions_enabled: false,
        memory64_enabled: false,
        gc_enabled: false,
        extended_const_enabled: false,
        wide_arithmetic_enabled: false,
        compact_imports_enabled: false,
        custom_page_sizes_enabled: false,
        ..Config::default()
    }
}

fn module(random: &mut SplitMix64) -> Option<Vec<u8>> {
    let material: Vec<u8> = (0..MATERIAL_BYTES / 8)
        .flat_map(|_| random.next().to_le_bytes())
        .collect();
    let mut source = Unstructured::new(&material);
    let traps = random.next() % 2 == 0;
    // What starts by itself often ends by itself, too, and leaves nothing to call.
    let start = random.next() % 4 == 0;
    Some(Module::new(config(traps, start), &mut source).ok()?.to_bytes())
}

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args().skip(1).flat_map(|text| text.parse()).collect();
    let [seed, count] = numbers[..] else {
        eprintln!("usage: phase-smith SEED COUNT");
        return ExitCode::from(2);
    };
    let mut random = SplitMix64(seed);
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut made = 0;
    while made < count {
        let Some(bytes) = module(&mut random) else {
            continue; // not enough material for this one
        };
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if writeln!(out, "{text}").is_err() {
            return ExitCode::FAILURE; // whoever reads has enough
        }
        made += 1;
    }
    ExitCode::SUCCESS
}
