// server.h — gives others what this node holds and its operator shares: chunks with their proofs,
// and name records. Normative: spec/artifact.md §2.
//
// Belongs to one executor; files are read in threads of its own.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>

#include <boost/asio/thread_pool.hpp>

#include "artifact/frame.h"
#include "artifact/store.h"
#include "base/event.h"
#include "identity/identity.h"

namespace phase::artifact {

/// What is shared, and with whom.
class Library {
 public:
  virtual ~Library() = default;
  struct Item {
    job::ArtifactRef content;
    FileDescriptor file;  ///< open for reading
  };
  /// Errors: Code::not_found when it is not here or not for `who`, Code::busy while nothing is
  /// shared.
  [[nodiscard]] virtual Result<Item> open(const ArtifactId& id, const identity::PublicKey& who) = 0;
  /// Signed records that fit, at most kRecordsPerAnswerMax.
  [[nodiscard]] virtual std::vector<Bytes> records(const Names& asked,
                                                   const identity::PublicKey& who) = 0;
};

struct ServerLimits {
  std::size_t streams_max = 64;
  std::size_t streams_per_peer_max = 4;
  std::uint64_t asks_per_stream_max = 65'536;
  Duration idle_max = 60s;   ///< between two asks of a stream
  Duration stall_max = 20s;  ///< one frame not taken by the other side
  std::size_t trees_making_max = 4;
  std::uint64_t bytes_per_second = 0;  ///< of all streams together; 0: as fast as it goes
};
/// While a tree is made, or nothing is shared, who asks is told to come again after this.
inline constexpr std::uint64_t kComeAgainMs = 1'000;

class Server : public std::enable_shared_from_this<Server> {
 public:
  struct World {
    Clock& clock;
    asio::any_io_executor executor;
    std::shared_ptr<Store> store;
  };
  Server(World world, ServerLimits limits) : world_(std::move(world)), limits_(limits) {}
  ~Server();

  /// What is given from now on; null: nothing. It outlives its place here.
  void share(Library* library) { library_ = library; }
  /// Serves one stream to its end, in the background. Above a limit the stream is reset.
  void serve(std::unique_ptr<ByteStream> stream, const identity::PublicKey& from);
  /// Bytes a second of all streams together; 0: as fast as it goes.
  void set_rate(std::uint64_t bytes_per_second) { limits_.bytes_per_second = bytes_per_second; }
  /// Nothing is given any more; threads end. Before the executor ends.
  void close();
  /// Makes the tree of something that is shared, ahead of the first ask.
  void prepare(const ArtifactId& id, const identity::PublicKey& self);
  [[nodiscard]] std::uint64_t bytes_sent() const noexcept { return sent_; }

 private:
  struct Conversation;
  static Task<void> converse(std::shared_ptr<Server> self, std::shared_ptr<Conversation> with);
  static Task<bool> answer(std::shared_ptr<Server> self, std::shared_ptr<Conversation> with,
                           Ask ask);
  static Task<bool> say(std::shared_ptr<Server> self, std::shared_ptr<Conversation> with,
                        Frame frame);
  static Task<bool> send_chunks(std::shared_ptr<Server> self, std::shared_ptr<Conversation> with,
                                Ask ask, std::shared_ptr<const Tree> tree,
                                std::shared_ptr<FileDescriptor> file);
  static Task<void> make_tree(std::shared_ptr<Server> self, job::ArtifactRef content,
                              std::shared_ptr<FileDescriptor> file);
  [[nodiscard]] Task<void> pace(std::size_t bytes);

  World world_;
  ServerLimits limits_;
  Library* library_ = nullptr;
  asio::thread_pool reads_{2}, hashes_{1};
  std::atomic<bool> closed_ = false;
  std::map<identity::PublicKey, std::size_t> streams_of_;
  std::size_t streams_ = 0;
  std::set<ArtifactId> making_;
  Instant free_at_;  // when the next byte may be sent
  std::uint64_t sent_ = 0;
};

}  // namespace phase::artifact
