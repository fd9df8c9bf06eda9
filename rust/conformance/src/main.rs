//! Writes a specification test (`.wast`) as a script of one command a line.
//!
//!     phase-conformance FILE.wast > FILE.script
//!
//! | line | meaning |
//! |------|---------|
//! | `module LINE NAME BYTES` | instantiate; `-` for no name |
//! | `register LINE TEXT NAME` | exports are importable under this name |
//! | `malformed LINE BYTES`, `invalid LINE BYTES` | must not decode, must not validate |
//! | `unlinkable LINE BYTES` | must not link |
//! | `uninstantiable LINE BYTES` | must trap while it is instantiated |
//! | `action LINE ACTION` | must return |
//! | `return LINE ACTION = VALUE…` | must return these |
//! | `trap LINE ACTION`, `exhaustion LINE ACTION` | must trap; must reach a limit |
//! | `text LINE` | about the text format: nothing to do |
//!
//! ACTION is `invoke NAME TEXT VALUE…` or `get NAME TEXT`; BYTES and TEXT are hexadecimal (`-` when
//! empty); VALUE is `i32:BITS`, `i64:BITS`, `f32:BITS`, `f64:BITS`, `null`, `extern:N`, `func`, or,
//! as a result, `f32:canonical`, `f32:arithmetic` and so for f64.

use std::fmt::Write as _;
use std::process::ExitCode;

use wast::core::{NanPattern, WastArgCore, WastRetCore};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::token::Id;
use wast::{QuoteWat, Wast, WastArg, WastDirective, WastExecute, WastInvoke, WastRet};

type Result<T> = std::result::Result<T, String>;

fn hex(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "-".into();
    }
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn name(id: Option<Id<'_>>) -> String {
    id.map_or("-".into(), |id| hex(id.name().as_bytes()))
}

fn argument(value: &WastArg<'_>) -> Result<String> {
    let WastArg::Core(value) = value else {
        return Err("an argument of a component".into());
    };
    Ok(match value {
        WastArgCore::I32(v) => format!("i32:{:x}", *v as u32),
        WastArgCore::I64(v) => format!("i64:{:x}", *v as u64),
        WastArgCore::F32(v) => format!("f32:{:x}", v.bits),
        WastArgCore::F64(v) => format!("f64:{:x}", v.bits),
        WastArgCore::RefNull(_) => "null".into(),
        WastArgCore::RefExtern(v) => format!("extern:{v:x}"),
        other => return Err(format!("argument {other:?}")),
    })
}

fn nan<T>(kind: &str, pattern: &NanPattern<T>, bits: impl Fn(&T) -> String) -> String {
    match pattern {
        NanPattern::CanonicalNan => format!("{kind}:canonical"),
        NanPattern::ArithmeticNan => format!("{kind}:arithmetic"),
        NanPattern::Value(value) => format!("{kind}:{}", bits(value)),
    }
}

fn result(value: &WastRet<'_>) -> Result<String> {
    let WastRet::Core(value) = value else {
        return Err("a result of a component".into());
    };
    Ok(match value {
        WastRetCore::I32(v) => format!("i32:{:x}", *v as u32),
        WastRetCore::I64(v) => format!("i64:{:x}", *v as u64),
        WastRetCore::F32(v) => nan("f32", v, |v| format!("{:x}", v.bits)),
        WastRetCore::F64(v) => nan("f64", v, |v| format!("{:x}", v.bits)),
        WastRetCore::RefNull(_) => "null".into(),
        WastRetCore::RefExtern(Some(v)) => format!("extern:{v:x}"),
        WastRetCore::RefFunc(None) => "func".into(),
        other => return Err(format!("result {other:?}")),
    })
}

fn invoke(call: &WastInvoke<'_>) -> Result<String> {
    let mut out = format!("invoke {} {}", name(call.module), hex(call.name.as_bytes()));
    for value in &call.args {
        out += " ";
        out += &argument(value)?;
    }
    Ok(out)
}

fn action(what: &WastExecute<'_>) -> Result<String> {
    match what {
        WastExecute::Invoke(call) => invoke(call),
        WastExecute::Get { module, global, .. } => {
            Ok(format!("get {} {}", name(*module), hex(global.as_bytes())))
        }
        WastExecute::Wat(_) => Err("a module where an action is expected".into()),
    }
}

/// Nothing when the module has no binary form: it is a test of the text format.
fn about(kind: &str, line: usize, mut module: QuoteWat<'_>) -> String {
    match module.encode() {
        Ok(bytes) => format!("{kind} {line} {}", hex(&bytes)),
        Err(_) => format!("text {line}"),
    }
}

fn command(directive: WastDirective<'_>, line: usize) -> Result<String> {
    Ok(match directive {
        WastDirective::Module(mut module) => {
            let id = name(module.name());
            let bytes = module.encode().map_err(|e| e.to_string())?;
            format!("module {line} {id} {}", hex(&bytes))
        }
        WastDirective::Register { name: text, module, .. } => {
            format!("register {line} {} {}", hex(text.as_bytes()), name(module))
        }
        WastDirective::AssertMalformed { module, .. } => about("malformed", line, module),
        WastDirective::AssertInvalid { module, .. } => about("invalid", line, module),
        WastDirective::AssertUnlinkable { module, .. } => {
            about("unlinkable", line, QuoteWat::Wat(module))
        }
        WastDirective::AssertTrap { exec: WastExecute::Wat(module), .. } => {
            about("uninstantiable", line, QuoteWat::Wat(module))
        }
        WastDirective::AssertTrap { exec, .. } => format!("trap {line} {}", action(&exec)?),
        WastDirective::AssertExhaustion { call, .. } => {
            format!("exhaustion {line} {}", invoke(&call)?)
        }
        WastDirective::Invoke(call) => format!("action {line} {}", invoke(&call)?),
        WastDirective::AssertReturn { exec, results, .. } => {
            let mut out = format!("return {line} {} =", action(&exec)?);
            for value in &results {
                out += " ";
                out += &result(value)?;
            }
            out
        }
        _ => return Err("a directive of a later specification".into()),
    })
}

fn script(path: &str) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|e| e.to_string())?;
    let mut lexer = Lexer::new(&text);
    lexer.allow_confusing_unicode(true); // one test is about names of just that
    let buffer = ParseBuffer::new_with_lexer(lexer).map_err(|e| e.to_string())?;
    let wast = parser::parse::<Wast<'_>>(&buffer).map_err(|e| e.to_string())?;
    let mut out = String::new();
    for directive in wast.directives {
        let line = directive.span().linecol_in(&text).0 + 1;
        let one = command(directive, line).map_err(|why| format!("line {line}: {why}"))?;
        out += &one;
        out.push('\n');
    }
    Ok(out)
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: phase-conformance FILE.wast");
        return ExitCode::from(2);
    };
    match script(&path) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{path}: {why}");
            ExitCode::FAILURE
        }
    }
}
