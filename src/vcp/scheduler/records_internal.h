// records_internal.h — what the scheduler knows of nodes, tasks and runs.
#pragma once

#include <algorithm>

#include "vcp/scheduler/scheduler.h"

namespace phase::vcp {

struct Scheduler::Node {
  PlaceableNode facts;
  std::size_t index = 0;
  std::uint32_t running = 0;
  bool holds_alone = false;  // a run of a task that wants to be the only such one
  std::uint64_t key = 0;     // in order_
  bool ordered = false;

  [[nodiscard]] std::uint32_t places() const { return facts.probing ? 1 : facts.slots; }
  [[nodiscard]] bool free() const { return facts.available && running < places(); }
};

/// Tasks of equal needs, in the order they came.
struct Scheduler::Class {
  Need need;
  std::list<Waiting*> tasks;
  bool stuck = false;  // no node that is free will do; until one comes, or another task
};

/// Nodes whose machines have what a class of tasks needs, whatever was measured.
struct Scheduler::Candidates {
  std::vector<std::size_t> nodes;
  std::uint64_t machines = 0;  // machines_ when they were looked for
};

/// A task that is not final.
struct Scheduler::Waiting {
  TaskId id;
  Need need;
  std::string class_key;
  std::uint32_t finished = 0;  // results that count
  std::uint32_t attempts = 0;  // runs placed
  std::uint32_t failures = 0;  // runs that came to nothing
  std::uint32_t hedges = 0;    // places beyond the quorum: 0 or 1
  std::vector<RunId> live;
  std::vector<NodeName> engaged;    // run it now, ran it, or were found wrong: never again
  std::vector<NodeName> failed_on;  // only when there is no other
  std::string waiting_for, last_failure;
  bool paused = false;  // until its back-off ends
  bool queued = false;
  std::list<Waiting*>::iterator where;  // when queued
  std::optional<Timers::iterator> deadline;

  [[nodiscard]] std::uint32_t wanted() const { return need.requirements.min_nodes + hedges; }
};

struct Scheduler::Run {
  Waiting* task = nullptr;
  NodeName node;
  std::optional<Timers::iterator> lease;
};

}  // namespace phase::vcp
