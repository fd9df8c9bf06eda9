#include <algorithm>

#include "store/state.h"

namespace phase::store {
namespace {

/// Reads the columns every job query of ours begins with.
JobRow read_row(const sql::Statement& query) {
  JobRow row;
  row.id = query.text(0);
  row.state = query.text(1);
  row.created = {query.integer(2)};
  if (!query.is_null(3)) {
    row.finished = UtcTime{query.integer(3)};
  }
  row.document = query.text(4);
  row.transcript_bytes = query.integer(5);
  return row;
}

Result<std::vector<JobRow>> read_rows(sql::Statement& query, std::uint64_t limit) {
  const sql::ResetAtEnd reset(query);
  query.bind(limit);
  std::vector<JobRow> rows;
  PHASE_TRY(bool more, query.step());
  while (more) {
    rows.push_back(read_row(query));
    PHASE_TRY(more, query.step());
  }
  return rows;
}

constexpr std::size_t kRowsAtOnceMax = 1000;

}  // namespace

Result<void> Store::put_job(const JobRow& row) {
  State& s = *state_;
  if (row.document.size() > kBlobPartBytesMax) {
    return fail(Code::too_large, "the description of job " + row.id + " has " +
                                     std::to_string(row.document.size()) + " bytes");
  }
  bool was_finished = false;
  {
    const sql::ResetAtEnd reset(s.job_state);
    PHASE_TRY(const bool known, s.job_state.bind(std::string_view{row.id}).step());
    was_finished = known && !s.job_state.is_null(0);
  }
  const sql::ResetAtEnd reset(s.put_job);
  s.put_job.bind(std::string_view{row.id})
      .bind(std::string_view{row.state})
      .bind(row.created.unix_ms);
  if (row.finished) {
    s.put_job.bind(row.finished->unix_ms);
  } else {
    s.put_job.bind_null();
  }
  s.put_job.bind(std::string_view{row.document})
      .bind(ByteView{row.manifest})
      .bind(ByteView{row.receipt});
  PHASE_TRY_VOID(s.put_job.bind(row.transcript_bytes).run());
  if (row.finished && !was_finished) {
    ++s.finished_count;
  }
  return s.prune_jobs();
}

Result<JobRow> Store::job(const std::string& id) {
  sql::Statement& query = state_->get_job;
  const sql::ResetAtEnd reset(query);
  PHASE_TRY(const bool found, query.bind(std::string_view{id}).step());
  if (!found) {
    return fail(Code::not_found, "no job " + printable(id, 64),
                "phase job list shows the jobs that are kept");
  }
  JobRow row = read_row(query);
  row.manifest = query.blob(6);
  row.receipt = query.blob(7);
  return row;
}

Result<std::vector<JobRow>> Store::jobs(std::size_t limit) {
  return read_rows(state_->list_jobs, std::min(limit, kRowsAtOnceMax));
}

Result<std::vector<JobRow>> Store::unfinished_jobs() {
  return read_rows(state_->list_unfinished, kRowsAtOnceMax);
}

Result<void> Store::put_transcript_part(const std::string& id, std::uint64_t part, ByteView bytes) {
  State& s = *state_;
  if (bytes.size() > kBlobPartBytesMax) {
    return fail(Code::too_large,
                "a transcript part has " + std::to_string(bytes.size()) + " bytes");
  }
  const sql::ResetAtEnd reset(s.add_part);
  PHASE_TRY_VOID(s.add_part.bind(std::string_view{id}).bind(part).bind(bytes).run());
  if (s.database.changes() == 0) {
    return fail(Code::not_found, "no job " + printable(id, 64));
  }
  s.transcript_bytes += bytes.size();
  return s.prune_jobs();
}

Result<Bytes> Store::transcript_part(const std::string& id, std::uint64_t part) {
  sql::Statement& query = state_->get_part;
  const sql::ResetAtEnd reset(query);
  PHASE_TRY(const bool found, query.bind(std::string_view{id}).bind(part).step());
  if (!found) {
    return fail(Code::not_found,
                "the output of job " + printable(id, 64) + " is not kept any more");
  }
  return query.blob(0);
}

Result<bool> Store::State::drop_parts(std::uint64_t job_number) {
  PHASE_TRY(sql::Transaction transaction, sql::Transaction::begin(database));
  PHASE_TRY(
      sql::Statement size,
      database.prepare(
          "SELECT coalesce(sum(length(bytes)), 0), count(*) FROM (SELECT bytes FROM transcripts "
          "WHERE job = ? ORDER BY part LIMIT ?)"));
  size.bind(job_number).bind(static_cast<std::uint64_t>(kPartsPrunedAtOnce));
  PHASE_TRY(const bool row, size.step());
  const std::uint64_t freed = row ? size.integer(0) : 0;
  const std::uint64_t parts = row ? size.integer(1) : 0;
  size.reset();
  PHASE_TRY(sql::Statement drop,
            database.prepare(
                "DELETE FROM transcripts WHERE job = ?1 AND part IN (SELECT part FROM transcripts "
                "WHERE job = ?1 ORDER BY part LIMIT ?2)"));
  PHASE_TRY_VOID(drop.bind(job_number).bind(static_cast<std::uint64_t>(kPartsPrunedAtOnce)).run());
  PHASE_TRY(sql::Statement mark,
            database.prepare("UPDATE jobs SET transcript_bytes = 0 WHERE number = ?"));
  PHASE_TRY_VOID(mark.bind(job_number).run());
  PHASE_TRY_VOID(transaction.commit());
  transcript_bytes -= std::min(transcript_bytes, freed);
  return parts < static_cast<std::uint64_t>(kPartsPrunedAtOnce);
}

Result<void> Store::State::prune_jobs() {
  if (transcript_bytes > options.limits.transcript_bytes_max) {
    PHASE_TRY(const std::uint64_t oldest, database.integer("SELECT min(job) FROM transcripts"));
    PHASE_TRY_VOID(drop_parts(oldest));
  }
  if (finished_count <= options.limits.jobs_kept_max) {
    return {};
  }
  PHASE_TRY(const std::uint64_t oldest,
            database.integer(
                "SELECT number FROM jobs WHERE finished IS NOT NULL ORDER BY number LIMIT 1"));
  PHASE_TRY(const bool empty, drop_parts(oldest));
  if (empty) {
    PHASE_TRY(sql::Statement drop, database.prepare("DELETE FROM jobs WHERE number = ?"));
    PHASE_TRY_VOID(drop.bind(oldest).run());
    --finished_count;
  }
  return {};
}

}  // namespace phase::store
