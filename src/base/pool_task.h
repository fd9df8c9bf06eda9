// pool_task.h — a blocking function run in a thread pool, awaited on the caller's executor.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/clock.h"

namespace phase {

/// Runs `function` on `executor`. What it refers to lives until it returns.
template <typename Function>
Task<std::invoke_result_t<Function>> run_on(asio::any_io_executor executor, Function function) {
  auto run = [&function]() -> Task<std::invoke_result_t<Function>> { co_return function(); };
  co_return co_await asio::co_spawn(executor, run, asio::use_awaitable);
}

/// Runs `function` in `pool`.
template <typename Function>
Task<std::invoke_result_t<Function>> in_pool(asio::thread_pool& pool, Function function) {
  return run_on(pool.get_executor(), std::move(function));
}

}  // namespace phase
