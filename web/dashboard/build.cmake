# Copies the sources beside the installed packages and builds: cmake -DFROM=… -DINTO=… -DNPM=… -P
file(REMOVE_RECURSE "${INTO}/src" "${INTO}/public" "${INTO}/dist")
file(COPY "${FROM}/src" "${FROM}/public" "${FROM}/index.html" "${FROM}/vite.config.ts" "${FROM}/tsconfig.json"
     DESTINATION "${INTO}")
execute_process(COMMAND "${NPM}" run --silent build WORKING_DIRECTORY "${INTO}"
                OUTPUT_VARIABLE said ERROR_VARIABLE said RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the dashboard does not build:\n${said}")
endif()
# What the licences of the packages within ask for.
set(text "")
foreach(package react react-dom scheduler)
  file(READ "${INTO}/node_modules/${package}/LICENSE" licence)
  string(APPEND text "${package}\n\n${licence}\n\n")
endforeach()
file(WRITE "${INTO}/dist/third-party.txt" "${text}")
