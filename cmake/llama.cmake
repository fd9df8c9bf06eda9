# llama.cpp, built from the source in a crate that rust/llama pins by checksum. Linked by
# src/worker/inference (inside) only, as phase::llama.
#   PHASE_INFERENCE                            the language model worker; OFF leaves llama.cpp out of the build
#   PHASE_CUDA, _VULKAN, _HIP, _METAL          ggml's back ends of these names; each needs its SDK
#   PHASE_LLAMA_SOURCE                         another source tree, with llama-server as a target: for
#                                              the figures beside it (tools/baseline), not for shipping

option(PHASE_INFERENCE "Build the language model worker (llama.cpp)" ON)
option(PHASE_CUDA "Inference on NVIDIA processors" OFF)
option(PHASE_VULKAN "Inference through Vulkan" OFF)
option(PHASE_HIP "Inference on AMD processors (ROCm)" OFF)
option(PHASE_METAL "Inference on Apple processors" OFF)
set(PHASE_LLAMA_SOURCE "" CACHE PATH "For figures: build against this llama.cpp, and its llama-server")

# The folder of llama.cpp's sources, into `variable`. Fetches the crate when it is not there yet.
function(phase_llama_source variable)
  set(stub "${CMAKE_SOURCE_DIR}/rust/llama")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${stub}/Cargo.toml" "${stub}/Cargo.lock")
  execute_process(
    COMMAND "${PHASE_CARGO}" fetch --locked --quiet
    WORKING_DIRECTORY "${stub}" RESULT_VARIABLE failed ERROR_VARIABLE why)
  if(failed)
    message(FATAL_ERROR "llama.cpp's source (a crate, pinned by rust/llama) cannot be fetched; "
                        "-DPHASE_INFERENCE=OFF builds without inference\n${why}")
  endif()
  execute_process(
    COMMAND "${PHASE_CARGO}" metadata --locked --format-version 1
    WORKING_DIRECTORY "${stub}" OUTPUT_VARIABLE metadata RESULT_VARIABLE failed ERROR_VARIABLE why)
  if(failed OR NOT metadata MATCHES "\"manifest_path\":\"([^\"]*/llama-cpp-sys-2-[^\"/]*)/Cargo.toml\"")
    message(FATAL_ERROR "cargo does not say where llama.cpp's source is\n${why}")
  endif()
  set(${variable} "${CMAKE_MATCH_1}/llama.cpp" PARENT_SCOPE)
endfunction()

# A function, so that what is set for llama.cpp stays here.
function(phase_add_llama)
  if(PHASE_LLAMA_SOURCE)
    set(source "${PHASE_LLAMA_SOURCE}")
  else()
    phase_llama_source(source)
  endif()
  set(BUILD_SHARED_LIBS OFF)
  set(CMAKE_CXX_STANDARD 17)
  # Kernels want -O3. Parsing strangers' files wants checked containers.
  set(flags "-O3 -DNDEBUG -g0 -fstack-protector-strong")
  set(CMAKE_C_FLAGS_RELWITHDEBINFO "${flags}")
  set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "${flags} -D_GLIBCXX_ASSERTIONS")
  set(CMAKE_C_FLAGS "${CMAKE_C_FLAGS} -w")
  set(CMAKE_CXX_FLAGS "${CMAKE_CXX_FLAGS} -w")
  set(CMAKE_EXPORT_COMPILE_COMMANDS OFF)
  set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)  # the variables below win over options of these names
  set(LLAMA_BUILD_COMMON ON)
  foreach(part TESTS EXAMPLES TOOLS SERVER APP UI)
    set(LLAMA_BUILD_${part} OFF)
  endforeach()
  if(PHASE_LLAMA_SOURCE)
    set(LLAMA_BUILD_TOOLS ON)
    set(LLAMA_BUILD_SERVER ON)
    set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
  endif()
  foreach(part ALL_WARNINGS USE_PREBUILT_UI OPENSSL SUBPROCESS LLGUIDANCE)
    set(LLAMA_${part} OFF)
  endforeach()
  set(LLAMA_BUILD_NUMBER 0)
  set(LLAMA_BUILD_COMMIT "llama-cpp-sys-2")
  set(GGML_CCACHE OFF)  # cmake/options.cmake has set it up
  # Spinning barriers make several threads slower than one on a busy machine: parallelism comes from batching.
  set(GGML_OPENMP OFF)
  set(GGML_NATIVE OFF)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    foreach(set_of_instructions SSE42 AVX AVX2 BMI2 FMA F16C)
      set(GGML_${set_of_instructions} ON)
    endforeach()
  endif()
  set(GGML_ACCELERATE OFF)
  set(GGML_BLAS OFF)
  foreach(backend CUDA VULKAN HIP METAL)
    set(GGML_${backend} ${PHASE_${backend}})
  endforeach()
  add_subdirectory("${source}" "${CMAKE_BINARY_DIR}/llama" EXCLUDE_FROM_ALL SYSTEM)
  if(PHASE_VULKAN)
    target_compile_options(ggml-vulkan PRIVATE
      "$<$<COMPILE_LANGUAGE:CXX>:SHELL:-include ${CMAKE_SOURCE_DIR}/cmake/vulkan_layer_settings.h>")
  endif()
  if(TARGET mtmd)
    target_compile_options(mtmd PRIVATE -O0)  # images: llama-server needs it, no figure does
  endif()
  add_library(phase_llama INTERFACE)
  target_link_libraries(phase_llama INTERFACE llama-common llama)
  # src: llama-ext.h, where the library keeps what is not yet in its public header (memory by buffer).
  target_include_directories(phase_llama SYSTEM INTERFACE
    "${source}/common" "${source}/include" "${source}/src")
  add_library(phase::llama ALIAS phase_llama)
endfunction()

if(PHASE_INFERENCE)
  phase_add_llama()
endif()
