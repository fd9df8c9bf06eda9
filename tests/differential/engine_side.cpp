#include "engine_side.h"

#include <ostream>

#include "worker/wasm/engine_config.h"

namespace phase {
namespace {

std::uint64_t fuel_left(wasmtime_context_t* context) {
  std::uint64_t left = 0;
  EXPECT_EQ(wasmtime_context_get_fuel(context, &left), nullptr);
  return left;
}

/// What a trap or an error says; both are freed. Nothing: there is none.
std::optional<Came::Kind> why(wasmtime_error_t* error, wasm_trap_t* trap) {
  std::optional<Came::Kind> out;
  if (error != nullptr) {
    out = Came::Kind::refused;
    wasmtime_error_delete(error);
  }
  if (trap != nullptr) {
    wasmtime_trap_code_t code = 0;
    const bool known = wasmtime_trap_code(trap, &code);
    out = Came::Kind::trapped;
    if (known && code == WASMTIME_TRAP_CODE_OUT_OF_FUEL) out = Came::Kind::out_of_fuel;
    if (known && code == WASMTIME_TRAP_CODE_STACK_OVERFLOW) out = Came::Kind::out_of_stack;
    wasm_trap_delete(trap);
  }
  return out;
}

wasm_trap_t* print(void*, wasmtime_caller_t*, const wasmtime_val_t*, std::size_t, wasmtime_val_t*,
                   std::size_t) {
  return nullptr;
}

/// The engine's, and what externref needs besides, which jobs never have.
wasm_config_t* config_of(const worker::EngineSettings& settings) {
  wasm_config_t* out = worker::make_engine_config(settings);
  wasmtime_config_gc_support_set(out, true);
  return out;
}

wasmtime_val_t value_of(wasmtime_context_t* context, std::uint64_t from,
                        const wasm_valtype_t* type) {
  wasmtime_val_t out{};
  switch (wasm_valtype_kind(type)) {
    case WASM_I32:
      out.kind = WASMTIME_I32;
      out.of.i32 = static_cast<std::int32_t>(from);
      break;
    case WASM_I64:
      out.kind = WASMTIME_I64;
      out.of.i64 = static_cast<std::int64_t>(from);
      break;
    case WASM_F32: {
      out.kind = WASMTIME_F32;
      const auto bits = static_cast<std::uint32_t>(from);
      std::copy_n(reinterpret_cast<const char*>(&bits), sizeof bits,
                  reinterpret_cast<char*>(&out.of.f32));
      break;
    }
    case WASM_F64: {
      out.kind = WASMTIME_F64;
      const std::uint64_t bits = from;
      std::copy_n(reinterpret_cast<const char*>(&bits), sizeof bits,
                  reinterpret_cast<char*>(&out.of.f64));
      break;
    }
    case WASM_EXTERNREF:
      out.kind = WASMTIME_EXTERNREF;
      wasmtime_externref_set_null(&out.of.externref);
      if (from != 0) {
        EXPECT_TRUE(wasmtime_externref_new(context, reinterpret_cast<void*>(from), nullptr,
                                           &out.of.externref));
      }
      break;
    default:
      out.kind = WASMTIME_FUNCREF;
      wasmtime_funcref_set_null(&out.of.funcref);
      break;
  }
  return out;
}

}  // namespace

void PrintTo(const Came& came, std::ostream* out) {
  constexpr const char* kKinds[] = {"returned", "trapped", "out of fuel", "out of stack",
                                    "refused"};
  *out << kKinds[static_cast<int>(came.kind)] << " with";
  for (const std::uint64_t bits : came.results) *out << " 0x" << std::hex << bits << std::dec;
  *out << ", fuel " << came.fuel;
}

Came::Kind kind_of(reference::Stop stop) {
  if (stop == reference::Stop::returned) return Came::Kind::returned;
  if (stop == reference::Stop::fuel) return Came::Kind::out_of_fuel;
  return stop == reference::Stop::stack ? Came::Kind::out_of_stack : Came::Kind::trapped;
}

EngineSide::EngineSide(const worker::EngineSettings& settings)
    : engine_(wasm_engine_new_with_config(config_of(settings))),
      store_(wasmtime_store_new(engine_, nullptr, nullptr)),
      context_(wasmtime_store_context(store_)),
      linker_(wasmtime_linker_new(engine_)) {
  wasmtime_linker_allow_shadowing(linker_, true);
  refuel();
  add_spectest();
}

/// One more than may be used: the engine stops when nothing is left.
void EngineSide::refuel() {
  EXPECT_EQ(wasmtime_context_set_fuel(context_, fuel_ + 1), nullptr);
}

EngineSide::~EngineSide() {
  wasmtime_linker_delete(linker_);
  wasmtime_store_delete(store_);
  wasm_engine_delete(engine_);
}

/// A module of text stands in for the host's things: it exports them under their names.
void EngineSide::add_spectest() {
  constexpr std::string_view kText = R"((module
    (func (export "print")) (func (export "print_i32") (param i32))
    (func (export "print_i64") (param i64)) (func (export "print_f32") (param f32))
    (func (export "print_f64") (param f64)) (func (export "print_i32_f32") (param i32 f32))
    (func (export "print_f64_f64") (param f64 f64))
    (global (export "global_i32") i32 (i32.const 666))
    (global (export "global_i64") i64 (i64.const 666))
    (global (export "global_f32") f32 (f32.const 666.6))
    (global (export "global_f64") f64 (f64.const 666.6))
    (table (export "table") 10 20 funcref)
    (memory (export "memory") 1 2)))";
  wasm_byte_vec_t binary;
  ASSERT_EQ(wasmtime_wat2wasm(kText.data(), kText.size(), &binary), nullptr);
  const Bytes bytes(binary.data, binary.data + binary.size);
  wasm_byte_vec_delete(&binary);
  ASSERT_EQ(instantiate(bytes, ""), Came::Kind::returned);
  register_as("spectest", "");
  // A function of a module costs fuel to enter, a host's does not.
  for (const auto& [name, letters] : std::map<std::string, std::string>{{"print", ""},
                                                                        {"print_i32", "i"},
                                                                        {"print_i64", "I"},
                                                                        {"print_f32", "f"},
                                                                        {"print_f64", "F"},
                                                                        {"print_i32_f32", "if"},
                                                                        {"print_f64_f64", "FF"}}) {
    std::vector<wasm_valtype_t*> types;
    for (const char letter : letters) {
      types.push_back(wasm_valtype_new(letter == 'i'   ? WASM_I32
                                       : letter == 'I' ? WASM_I64
                                       : letter == 'f' ? WASM_F32
                                                       : WASM_F64));
    }
    wasm_valtype_vec_t parameters, results;
    wasm_valtype_vec_new(&parameters, types.size(), types.data());
    wasm_valtype_vec_new_empty(&results);
    wasm_functype_t* type = wasm_functype_new(&parameters, &results);
    EXPECT_EQ(wasmtime_linker_define_func(linker_, "spectest", 8, name.data(), name.size(), type,
                                          print, nullptr, nullptr),
              nullptr);
    wasm_functype_delete(type);
  }
}

Came::Kind EngineSide::instantiate(ByteView bytes, const std::string& name) {
  wasmtime_module_t* module = nullptr;
  if (wasmtime_error_t* error = wasmtime_module_new(engine_, bytes.data(), bytes.size(), &module)) {
    wasmtime_error_delete(error);
    if (!name.empty()) named_.erase(name);
    last_.reset();
    return Came::Kind::refused;
  }
  refuel();
  wasmtime_instance_t made;
  wasm_trap_t* trap = nullptr;
  wasmtime_error_t* error = wasmtime_linker_instantiate(linker_, context_, module, &made, &trap);
  wasmtime_module_delete(module);
  if (const auto ended = why(error, trap)) return *ended;
  last_ = made;
  if (!name.empty()) named_[name] = made;
  return Came::Kind::returned;
}

const wasmtime_instance_t* EngineSide::instance(const std::string& name) const {
  if (name.empty()) return last_ ? &*last_ : nullptr;
  const auto found = named_.find(name);
  return found == named_.end() ? nullptr : &found->second;
}

bool EngineSide::has(const std::string& name) const {
  return instance(name) != nullptr;
}

void EngineSide::register_as(const std::string& import_name, const std::string& name) {
  const wasmtime_instance_t* of = instance(name);
  if (of == nullptr) return;
  EXPECT_EQ(wasmtime_linker_define_instance(linker_, context_, import_name.data(),
                                            import_name.size(), of),
            nullptr);
}

std::uint64_t EngineSide::bits(const wasmtime_val_t& value) const {
  std::uint64_t out = 0;
  switch (value.kind) {
    case WASMTIME_I32:
      return static_cast<std::uint32_t>(value.of.i32);
    case WASMTIME_I64:
      return static_cast<std::uint64_t>(value.of.i64);
    case WASMTIME_F32:
      std::copy_n(reinterpret_cast<const char*>(&value.of.f32), 4, reinterpret_cast<char*>(&out));
      return out;
    case WASMTIME_F64:
      std::copy_n(reinterpret_cast<const char*>(&value.of.f64), 8, reinterpret_cast<char*>(&out));
      return out;
    case WASMTIME_EXTERNREF: {
      if (wasmtime_externref_is_null(&value.of.externref)) return 0;
      return reinterpret_cast<std::uintptr_t>(
          wasmtime_externref_data(context_, &value.of.externref));
    }
    default:
      return wasmtime_funcref_is_null(&value.of.funcref) ? 0 : 1;
  }
}

Came EngineSide::call(const std::string& name, const std::string& exported,
                      const std::vector<std::uint64_t>& arguments) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context_, instance(name), exported.data(), exported.size(),
                                    &item)) {
    return {};
  }
  wasm_functype_t* type = wasmtime_func_type(context_, &item.of.func);
  const wasm_valtype_vec_t* wanted = wasm_functype_params(type);
  std::vector<wasmtime_val_t> values;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    values.push_back(value_of(context_, arguments[i], wanted->data[i]));
  }
  std::vector<wasmtime_val_t> results(wasm_functype_results(type)->size);
  wasm_functype_delete(type);
  refuel();
  wasm_trap_t* trap = nullptr;
  wasmtime_error_t* error = wasmtime_func_call(
      context_, &item.of.func, values.data(), values.size(), results.data(), results.size(), &trap);
  wasmtime_extern_delete(&item);
  if (const auto ended = why(error, trap)) return {*ended, {}, 0};
  Came out{Came::Kind::returned, {}, fuel_ + 1 - fuel_left(context_)};
  if (out.fuel > fuel_) return {Came::Kind::out_of_fuel, {}, 0};  // since the engine looked last
  for (const wasmtime_val_t& value : results) out.results.push_back(bits(value));
  return out;
}

std::optional<std::uint64_t> EngineSide::global(const std::string& name,
                                                const std::string& exported) {
  wasmtime_extern_t item;
  if (!wasmtime_instance_export_get(context_, instance(name), exported.data(), exported.size(),
                                    &item) ||
      item.kind != WASMTIME_EXTERN_GLOBAL) {
    return std::nullopt;
  }
  wasmtime_val_t value;
  wasmtime_global_get(context_, &item.of.global, &value);
  return bits(value);
}

Bytes EngineSide::memory(const std::string& exported) {
  wasmtime_extern_t item;
  if (!last_ ||
      !wasmtime_instance_export_get(context_, &*last_, exported.data(), exported.size(), &item) ||
      item.kind != WASMTIME_EXTERN_MEMORY) {
    return {};
  }
  const std::uint8_t* data = wasmtime_memory_data(context_, &item.of.memory);
  return {data, data + wasmtime_memory_data_size(context_, &item.of.memory)};
}

}  // namespace phase
