# Writes files as one C++ source that defines `const std::vector<http::Asset>& NAMESPACE::assets()`:
#   cmake -DFOLDER=… [-DFILES=a;b] -DHEADER=… -DNAMESPACE=… [-DTYPE=…] -DOUT=… -P embed.cmake
# TYPE: an aggregate of a name and bytes other than http::Asset.
# Without FILES: every file below FOLDER, in the order of their names (hashed names are known only
# once they are built). Any bytes; the header declares `assets`.
if(NOT FILES)
  file(GLOB_RECURSE FILES RELATIVE "${FOLDER}" LIST_DIRECTORIES FALSE "${FOLDER}/*")
  list(SORT FILES)
  if(NOT FILES)
    message(FATAL_ERROR "nothing to embed below ${FOLDER}")
  endif()
endif()
if(NOT TYPE)
  set(TYPE "http::Asset")
endif()
set(text "// Made by cmake/embed.cmake.\n#include \"${HEADER}\"\n\n")
# A file may be longer than every compiler must take; ours do.
string(APPEND text "#ifdef __clang__\n#pragma clang diagnostic ignored \"-Woverlength-strings\"\n#endif\n\n")
string(APPEND text "namespace ${NAMESPACE} {\n\nconst std::vector<${TYPE}>& assets() {\n")
string(APPEND text "  static const std::vector<${TYPE}> all{\n")
foreach(name IN LISTS FILES)
  file(READ "${FOLDER}/${name}" bytes HEX)
  string(LENGTH "${bytes}" digits)
  math(EXPR length "${digits} / 2")
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
  string(APPEND text "      {\"${name}\", {\"${bytes}\", ${length}}},\n")
endforeach()
string(APPEND text "  };\n  return all;\n}\n\n}  // namespace ${NAMESPACE}\n")
file(WRITE "${OUT}" "${text}")
