# Pages in the programs: what npm packages bring, and files as C++ sources. Nothing is written into
# the source tree.

option(PHASE_DASHBOARD "Build the dashboard into ambient-vcp; needs Node.js 18 or later and npm" ON)
set(PHASE_NODE_MAJOR_MIN 18)
set(PHASE_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_DIR}/embed.cmake")

if(PHASE_DASHBOARD)
  find_program(PHASE_NODE node)
  find_program(PHASE_NPM npm)
  if(NOT PHASE_NODE OR NOT PHASE_NPM)
    message(FATAL_ERROR "node and npm are needed for the dashboard: tools/setup --set build, "
                        "or configure with -DPHASE_DASHBOARD=OFF")
  endif()
  execute_process(COMMAND "${PHASE_NODE}" --version OUTPUT_VARIABLE phase_node_version
                  OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCH "[0-9]+" phase_node_major "${phase_node_version}")
  if(phase_node_major LESS PHASE_NODE_MAJOR_MIN)
    message(FATAL_ERROR "Node.js ${phase_node_version} is too old for the dashboard: "
                        "${PHASE_NODE_MAJOR_MIN} or later, or -DPHASE_DASHBOARD=OFF")
  endif()
endif()

# phase_npm(folder into stamp): `npm ci` of folder/package.json and its lock file, into a folder of
# the build. `stamp` is set to a file that is newer than both once that is done.
function(phase_npm folder into stamp)
  set(made "${into}/npm.stamp")
  set(lists "${folder}/package.json" "${folder}/package-lock.json")
  add_custom_command(OUTPUT "${made}"
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${into}"
    COMMAND "${CMAKE_COMMAND}" -E copy_if_different ${lists} "${into}"
    COMMAND "${CMAKE_COMMAND}" -E chdir "${into}" "${PHASE_NPM}" ci
            --ignore-scripts --no-audit --no-fund --loglevel=error
    COMMAND "${CMAKE_COMMAND}" -E touch "${made}"
    DEPENDS ${lists} COMMENT "Installing the npm packages of ${folder}" VERBATIM)
  set(${stamp} "${made}" PARENT_SCOPE)
endfunction()

# phase_embed(target OUT source FOLDER folder HEADER header NAMESPACE name [FILES ...] [DEPENDS ...]
#             [TYPE type])
#   Adds to `target` a source with the files' bytes (embed.cmake). Without FILES: all below FOLDER.
function(phase_embed target)
  cmake_parse_arguments(arg "" "OUT;FOLDER;HEADER;NAMESPACE;TYPE" "FILES;DEPENDS" ${ARGN})
  list(TRANSFORM arg_FILES PREPEND "${arg_FOLDER}/" OUTPUT_VARIABLE paths)
  add_custom_command(OUTPUT "${arg_OUT}"
    COMMAND "${CMAKE_COMMAND}" "-DFOLDER=${arg_FOLDER}" "-DFILES=${arg_FILES}" "-DTYPE=${arg_TYPE}"
            "-DHEADER=${arg_HEADER}" "-DNAMESPACE=${arg_NAMESPACE}" "-DOUT=${arg_OUT}" -P "${PHASE_EMBED_SCRIPT}"
    DEPENDS ${paths} ${arg_DEPENDS} "${PHASE_EMBED_SCRIPT}"
    COMMENT "Embedding ${arg_FOLDER}" VERBATIM)
  target_sources(${target} PRIVATE "${arg_OUT}")
endfunction()
