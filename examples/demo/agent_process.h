// agent_process.h — a node's agent as a whole process, for programs that change one thing about it.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/random.h"
#include "vcp/agent/agent.h"

namespace phase::vcp {

struct AgentProcess {
  std::string name, url, join_token;  ///< of the node; of its coordinator; empty: it joined before
  std::filesystem::path folder;       ///< its data; the key is made there
  std::string worker;                 ///< path of phase-worker
  std::string agent;                  ///< as receipts and logs call the program
  std::string log_level = "warn";
};

/// Runs until SIGTERM, SIGINT or the agent's own end; `change` has the last word about its options.
/// The exit status: 0, or 1 with the reason on standard error.
[[nodiscard]] int run_agent(const AgentProcess& process,
                            const std::function<void(AgentOptions&, Random&)>& change);

}  // namespace phase::vcp
