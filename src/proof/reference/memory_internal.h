// memory_internal.h — operators on memory and tables (WebAssembly 2.0 §4.4.6, §4.4.7).
#pragma once

#include "proof/reference/handler_internal.h"

namespace phase::reference {

/// [offset, offset + count) is inside of `length`.
constexpr bool inside(u64 offset, u64 count, u64 length) {
  return offset <= length && count <= length - offset;
}

/// The bytes an access means, or null after a trap. Pops the address.
inline uint8_t* accessed(Machine& machine, u32 bytes) {
  const u64 offset = *machine.pc++;
  const u64 at = static_cast<u32>(machine.pop()) + offset;  // 33 bits at most
  const Memory& memory = *machine.instance->memory;
  if (!inside(at, bytes, memory.length())) {
    machine.end(Stop::out_of_bounds_memory);
    return nullptr;
  }
  return memory.bytes + at;
}

/// Little-endian, whatever the machine is.
template <typename T>
T load_bytes(const uint8_t* from) {
  T out = 0;
  for (u32 i = 0; i < sizeof(T); ++i) out |= static_cast<T>(static_cast<T>(from[i]) << (8 * i));
  return out;
}
template <typename T>
void store_bytes(uint8_t* to, T value) {
  for (u32 i = 0; i < sizeof(T); ++i) to[i] = static_cast<uint8_t>(value >> (8 * i));
}

/// Loads a Stored and extends it to a To: by its sign where Stored's twin Signed is given.
template <typename Stored, typename To, typename Signed = Stored>
void load(Machine& machine, u32 /*a*/) {
  const uint8_t* from = accessed(machine, sizeof(Stored));
  if (from == nullptr) return;
  machine.push(static_cast<To>(static_cast<Signed>(load_bytes<Stored>(from))));
}
template <typename Stored>
void store(Machine& machine, u32 /*a*/) {
  const auto value = static_cast<Stored>(machine.pop());
  uint8_t* to = accessed(machine, sizeof(Stored));
  if (to != nullptr) store_bytes<Stored>(to, value);
}

/// 0x28 to 0x3E.
inline constexpr Handler kAccesses[] = {
    load<u32, u32>,
    load<u64, u64>,
    load<u32, u32>,
    load<u64, u64>,
    load<uint8_t, u32, int8_t>,
    load<uint8_t, u32>,
    load<uint16_t, u32, int16_t>,
    load<uint16_t, u32>,
    load<uint8_t, u64, int8_t>,
    load<uint8_t, u64>,
    load<uint16_t, u64, int16_t>,
    load<uint16_t, u64>,
    load<u32, u64, s32>,
    load<u32, u64>,
    store<u32>,
    store<u64>,
    store<u32>,
    store<u64>,
    store<uint8_t>,
    store<uint16_t>,
    store<uint8_t>,
    store<uint16_t>,
    store<u32>,
};

inline void memory_size(Machine& machine, u32 /*a*/) {
  machine.push(machine.instance->memory->pages);
}

inline void memory_grow(Machine& machine, u32 /*a*/) {
  Memory& memory = *machine.instance->memory;
  Slot& top = machine.top[-1];
  const auto more = static_cast<u32>(top);
  if (more > memory.pages_max - memory.pages) {
    top = kRefused;
    return;
  }
  top = memory.pages;
  memory.pages += more;
}

/// Three operands of a bulk operator: where to, where from (or what), how many.
struct Bulk {
  u32 to, from, count;
};
/// Pops them; what grows with the count is paid for here (spec/fuel.md §2).
inline Bulk bulk_of(Machine& machine) {
  const auto count = static_cast<u32>(machine.pop());
  const auto from = static_cast<u32>(machine.pop());
  const auto to = static_cast<u32>(machine.pop());
  machine.fuel -= count;
  return {to, from, count};
}

/// Copies between places that may overlap.
template <typename T>
void move_all(T* to, const T* from, u32 count) {
  if (to <= from) {
    for (u32 i = 0; i < count; ++i) to[i] = from[i];
  } else {
    for (u32 i = count; i > 0; --i) to[i - 1] = from[i - 1];
  }
}

inline void memory_init(Machine& machine, u32 /*a*/) {
  const DataSegment& data = machine.instance->data[*machine.pc++];
  const Bulk what = bulk_of(machine);
  const Memory& memory = *machine.instance->memory;
  if (!inside(what.from, what.count, data.length) ||
      !inside(what.to, what.count, memory.length())) {
    return machine.end(Stop::out_of_bounds_memory);
  }
  move_all(memory.bytes + what.to, data.bytes + what.from, what.count);
}

inline void data_drop(Machine& machine, u32 /*a*/) {
  machine.instance->data[*machine.pc++].length = 0;
}

inline void memory_copy(Machine& machine, u32 /*a*/) {
  const Bulk what = bulk_of(machine);
  const Memory& memory = *machine.instance->memory;
  if (!inside(what.from, what.count, memory.length()) ||
      !inside(what.to, what.count, memory.length())) {
    return machine.end(Stop::out_of_bounds_memory);
  }
  move_all(memory.bytes + what.to, memory.bytes + what.from, what.count);
}

inline void memory_fill(Machine& machine, u32 /*a*/) {
  const Bulk what = bulk_of(machine);
  const Memory& memory = *machine.instance->memory;
  if (!inside(what.to, what.count, memory.length())) {
    return machine.end(Stop::out_of_bounds_memory);
  }
  for (u32 i = 0; i < what.count; ++i) memory.bytes[what.to + i] = static_cast<uint8_t>(what.from);
}

inline void table_get(Machine& machine, u32 /*a*/) {
  const Table& table = *machine.instance->tables[*machine.pc++];
  Slot& top = machine.top[-1];
  const auto index = static_cast<u32>(top);
  if (index >= table.size) return machine.end(Stop::out_of_bounds_table);
  top = table.elements[index];
}

inline void table_set(Machine& machine, u32 /*a*/) {
  const Table& table = *machine.instance->tables[*machine.pc++];
  const Slot value = machine.pop();
  const auto index = static_cast<u32>(machine.pop());
  if (index >= table.size) return machine.end(Stop::out_of_bounds_table);
  table.elements[index] = value;
}

inline void table_size(Machine& machine, u32 /*a*/) {
  machine.push(machine.instance->tables[*machine.pc++]->size);
}

inline void table_grow(Machine& machine, u32 /*a*/) {
  Table& table = *machine.instance->tables[*machine.pc++];
  const auto more = static_cast<u32>(machine.pop());
  Slot& top = machine.top[-1];
  const Slot value = top;
  machine.fuel -= more;
  if (more > table.size_max - table.size) {
    top = kRefused;
    return;
  }
  top = table.size;
  for (u32 i = 0; i < more; ++i) table.elements[table.size + i] = value;
  table.size += more;
}

inline void table_fill(Machine& machine, u32 /*a*/) {
  const Table& table = *machine.instance->tables[*machine.pc++];
  const auto count = static_cast<u32>(machine.pop());
  const Slot value = machine.pop();
  const auto to = static_cast<u32>(machine.pop());
  machine.fuel -= count;
  if (!inside(to, count, table.size)) return machine.end(Stop::out_of_bounds_table);
  for (u32 i = 0; i < count; ++i) table.elements[to + i] = value;
}

inline void table_copy(Machine& machine, u32 /*a*/) {
  const Table& to = *machine.instance->tables[*machine.pc++];
  const Table& from = *machine.instance->tables[*machine.pc++];
  const Bulk what = bulk_of(machine);
  if (!inside(what.from, what.count, from.size) || !inside(what.to, what.count, to.size)) {
    return machine.end(Stop::out_of_bounds_table);
  }
  move_all(to.elements + what.to, from.elements + what.from, what.count);
}

inline void table_init(Machine& machine, u32 /*a*/) {
  const ElementSegment& segment = machine.instance->elements[*machine.pc++];
  const Table& table = *machine.instance->tables[*machine.pc++];
  const Bulk what = bulk_of(machine);
  if (!inside(what.from, what.count, segment.length) || !inside(what.to, what.count, table.size)) {
    return machine.end(Stop::out_of_bounds_table);
  }
  move_all(table.elements + what.to, segment.references + what.from, what.count);
}

inline void elem_drop(Machine& machine, u32 /*a*/) {
  machine.instance->elements[*machine.pc++].length = 0;
}

}  // namespace phase::reference
