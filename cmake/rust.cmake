# The two Rust archives. Compiled crates are kept in one folder that may live outside the tree and serves every
# checkout (PHASE_RUST_TARGET_DIR); the archives themselves belong to this build folder, so that another checkout
# never changes what is linked here.
#   phase::rust_wasm   wasmtime's C API; linked by src/worker/wasm only
#   phase::rust_net    libp2p behind rust/net/include/phase_net.h; linked by src/peer only

set(PHASE_RUST_TARGET_DIR "$ENV{PHASE_RUST_TARGET_DIR}" CACHE PATH "where cargo keeps compiled crates")
if(NOT PHASE_RUST_TARGET_DIR)
  set(PHASE_RUST_TARGET_DIR "${CMAKE_SOURCE_DIR}/rust/target" CACHE PATH "where cargo keeps compiled crates" FORCE)
endif()
find_program(PHASE_CARGO cargo HINTS "$ENV{HOME}/.cargo/bin" REQUIRED)
set(PHASE_WASM_INCLUDE "${CMAKE_BINARY_DIR}/rust/wasm-include")
file(MAKE_DIRECTORY "${PHASE_WASM_INCLUDE}")

function(phase_rust_library crate)
  string(REPLACE "-" "_" stem "${crate}")
  set(archive "${CMAKE_BINARY_DIR}/rust/release/lib${stem}.a")
  # cargo writes the .d file itself, with every source it read; BYPRODUCTS tells ninja who makes the archive.
  add_custom_command(
    OUTPUT "${archive}"
    COMMAND ${CMAKE_COMMAND} -E env
            "CARGO_TARGET_DIR=${CMAKE_BINARY_DIR}/rust"
            "CARGO_BUILD_BUILD_DIR=${PHASE_RUST_TARGET_DIR}"
            "PHASE_WASM_INCLUDE_OUT=${PHASE_WASM_INCLUDE}"
            "${PHASE_CARGO}" build --release --locked --package ${crate}
    # cargo leaves an up-to-date archive untouched; without the touch, ninja would ask again each time.
    COMMAND ${CMAKE_COMMAND} -E touch "${archive}"
    WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}/rust"
    DEPENDS "${CMAKE_SOURCE_DIR}/rust/Cargo.lock" "${CMAKE_SOURCE_DIR}/rust/Cargo.toml"
    DEPFILE "${CMAKE_BINARY_DIR}/rust/release/lib${stem}.d"
    USES_TERMINAL
    VERBATIM)
  add_custom_target(cargo_${stem} DEPENDS "${archive}")
  add_library(phase_rust_${ARGV1} STATIC IMPORTED GLOBAL)
  set_target_properties(phase_rust_${ARGV1} PROPERTIES IMPORTED_LOCATION "${archive}")
  add_dependencies(phase_rust_${ARGV1} cargo_${stem})
  target_link_libraries(phase_rust_${ARGV1} INTERFACE pthread dl m rt)
  add_library(phase::rust_${ARGV1} ALIAS phase_rust_${ARGV1})
endfunction()

phase_rust_library(phase-wasm wasm)
phase_rust_library(phase-net net)
# cargo locks its folder; two cargo runs at once would only wait for each other.
add_dependencies(cargo_phase_net cargo_phase_wasm)
target_include_directories(phase_rust_wasm SYSTEM INTERFACE "${PHASE_WASM_INCLUDE}")
target_include_directories(phase_rust_net SYSTEM INTERFACE "${CMAKE_SOURCE_DIR}/rust/net/include")

add_custom_target(rust_archives DEPENDS cargo_phase_wasm cargo_phase_net)
