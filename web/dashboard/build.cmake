# Copies the sources beside the installed packages and builds: cmake -DFROM=… -DINTO=… -DNPM=… -P
file(REMOVE_RECURSE "${INTO}/src" "${INTO}/public" "${INTO}/dist")
file(COPY "${FROM}/src" "${FROM}/public" "${FROM}/index.html" "${FROM}/vite.config.ts" "${FROM}/tsconfig.json"
     DESTINATION "${INTO}")
execute_process(COMMAND "${NPM}" run --silent build WORKING_DIRECTORY "${INTO}"
                OUTPUT_VARIABLE said ERROR_VARIABLE said RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "the dashboard does not build:\n${said}")
endif()
