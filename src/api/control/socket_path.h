// socket_path.h — where the control socket is when nobody says. Normative: spec/control-api.md.
// A library of its own, so that clients need nothing of the server.
#pragma once

#include <filesystem>

namespace phase::control {

/// The daemon's data folder: /var/lib/plasm for root, else $XDG_DATA_HOME/plasm, else
/// ~/.local/share/plasm.
[[nodiscard]] std::filesystem::path default_data_folder();

/// $PHASE_CONTROL_SOCKET, else $XDG_RUNTIME_DIR/phase/plasmd.sock, else <data folder>/plasmd.sock.
[[nodiscard]] std::filesystem::path default_socket_path();

}  // namespace phase::control
